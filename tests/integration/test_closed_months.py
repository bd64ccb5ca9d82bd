"""A month that is over stays as it was, whatever happens to its tickets afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors import streams
from perfhouse import build as builder
from perfhouse import lake, warehouse
from perfhouse.month import Month
from perfhouse.settings import Home
from tests.integration import tiny_company as tiny

SEPTEMBER, NOVEMBER = Month("2026-09"), Month("2026-11")
KPIS = (
    *("first_reply_on_time_rate", "resolution_on_time_rate", "complaint_on_time_rate"),
    *("ticket_closure_rate", "sla_met_rate", "reopen_rate", "first_contact_resolution_rate"),
)


def told(ticket: str, created: str, months: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one version of a ticket for each month that delivers it."""
    return [
        tiny.ticket(ticket, created, _window=month, requester_key=ticket,
                    source_updated_at=tiny.at(f"{month}-28 12:00"), **more)
        for month, more in months.items()
    ]  # fmt: skip


def step(ticket: str, kind: str, when: str, actor: str = "u1", **more: Any) -> dict[str, Any]:
    return tiny.event(ticket, kind, when, actor, **more)


OPEN: dict[str, Any] = {"status": "open"}
TICKETS = [
    # Solved in time by A1; back in October, solved again by A3, with the flag of the last solve.
    *told("again", "2026-09-01 09:00", {
        "2026-09": {"assignee_id": "u1", "resolved_at": tiny.at("2026-09-01 15:00"),
                    "sla_breached": False, "sla_due_resolution_at": tiny.at("2026-09-02 09:00")},
        "2026-11": {"assignee_id": "u3", "resolved_at": tiny.at("2026-11-04 15:00"),
                    "sla_breached": True, "sla_due_resolution_at": tiny.at("2026-09-02 09:00"),
                    "reopen_count": 1},
    }),
    # A complaint of A1's that nobody answers in September; A3 solves it in November.
    *told("late", "2026-09-01 09:00", {
        "2026-09": {"assignee_id": "u1", "is_complaint": True, **OPEN},
        "2026-11": {"assignee_id": "u3", "is_complaint": True,
                    "resolved_at": tiny.at("2026-11-04 15:00")},
    }),
    # In the queue of T2 all September; A1 takes and solves it in November.
    *told("queued", "2026-09-01 09:00", {
        "2026-09": {"queue_id": "T2", "sla_due_resolution_at": tiny.at("2026-09-03 09:00"), **OPEN},
        "2026-11": {"queue_id": "T2", "sla_due_resolution_at": tiny.at("2026-09-03 09:00"),
                    "assignee_id": "u1", "resolved_at": tiny.at("2026-11-04 15:00")},
    }),
    # Solved without an answer before one was due; answered when it is back in November.
    *told("silent", "2026-09-01 09:00", {
        "2026-09": {"assignee_id": "u1", "resolved_at": tiny.at("2026-09-01 09:30")},
        "2026-11": {"assignee_id": "u1", "resolved_at": tiny.at("2026-11-04 15:00"),
                    "reopen_count": 1},
    }),
]  # fmt: skip
EVENTS = [
    step("again", "assigned", "2026-09-01 09:00", new_value="u1"),
    step("again", "public_reply", "2026-09-01 09:30"),
    step("again", "solved", "2026-09-01 15:00"),
    step("again", "reopened", "2026-10-20 09:00", "c", actor_type="customer"),
    step("again", "assigned", "2026-10-20 09:01", old_value="u1", new_value="u3"),
    step("again", "solved", "2026-11-04 15:00", "u3"),
    step("late", "assigned", "2026-09-01 09:00", new_value="u1"),
    step("late", "sla_breached", "2026-09-03 09:00", "bot", actor_type="bot", field="solve"),
    step("late", "assigned", "2026-11-03 09:00", old_value="u1", new_value="u3"),
    step("late", "public_reply", "2026-11-04 09:00", "u3"),
    step("late", "solved", "2026-11-04 15:00", "u3"),
    step("queued", "assigned", "2026-11-03 09:00", new_value="u1"),
    step("queued", "solved", "2026-11-04 15:00"),
    step("silent", "assigned", "2026-09-01 09:00", new_value="u1"),
    step("silent", "solved", "2026-09-01 09:30"),
    step("silent", "reopened", "2026-11-03 09:00", "c", actor_type="customer"),
    step("silent", "public_reply", "2026-11-04 09:00"),
    step("silent", "solved", "2026-11-04 15:00"),
]
ROSTER = [
    {**row, "snapshot_date": str(month.last_day), "_window": month.key}
    for month in (SEPTEMBER, Month("2026-10"), NOVEMBER)
    for row in tiny.ROSTER
]


def built(folder: Path, as_of: Month) -> list[tuple[Any, ...]]:
    """Return September's sums of the KPIs of tickets by manager, as of a month."""
    home = Home(folder / f"home-{as_of}")
    company = tiny.company(folder / f"company-{as_of}")
    builder.build(company, home, SEPTEMBER, as_of, streams.declarations(), lambda _: None)
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        return con.execute(
            "select kpi_id, manager_id, employee_id, numerator::integer, denominator::integer "
            "from kpis.kpi_employee_months where month = ? and list_contains(?, kpi_id) "
            "order by all",
            [SEPTEMBER.start, list(KPIS)],
        ).fetchall()
    finally:
        con.close()


def test_what_happens_to_tickets_later_changes_nobodys_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"tickets": TICKETS, "ticket_events": EVENTS, "hr_roster": ROSTER}
    monkeypatch.setattr(tiny, "rows", lambda: given)
    monkeypatch.setattr(lake, "create_raw_views", tiny.raw_tables)
    in_september = built(tmp_path, SEPTEMBER)
    assert in_september == built(tmp_path, NOVEMBER)
    assert in_september == [
        ("complaint_on_time_rate", "M1", "A1", 0, 1),  # late
        ("first_contact_resolution_rate", "M1", "A1", 2, 3),  # again silent of again late silent
        ("first_contact_resolution_rate", "M2", None, 0, 1),  # queued
        ("first_reply_on_time_rate", "M1", "A1", 1, 2),  # again of again late
        ("first_reply_on_time_rate", "M2", None, 0, 1),  # queued
        ("reopen_rate", "M1", "A1", 0, 2),  # again silent, back long after the window
        ("resolution_on_time_rate", "M1", "A1", 2, 3),  # again silent of again late silent
        ("resolution_on_time_rate", "M2", None, 0, 1),  # queued
        ("sla_met_rate", "M1", "A1", 1, 2),  # again of again late
        ("sla_met_rate", "M2", None, 0, 1),  # queued
        ("ticket_closure_rate", "M1", "A1", 2, 3),  # again silent of again late silent
        ("ticket_closure_rate", "M2", None, 0, 1),  # queued
    ]
