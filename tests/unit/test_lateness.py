"""Who is late, by which day, and what was received last: one rule for alerts and pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from perfhouse import lateness, stages
from perfhouse.month import Month
from tests import tiny

AUGUST, SEPTEMBER = Month("2026-08"), Month("2026-09")
CLOSES = date(2026, 10, 6)


@pytest.fixture
def ws(tmp_path: Path) -> stages.Workspace:
    company = tiny.company(tmp_path / "company")
    (tmp_path / "data").mkdir()
    return stages.open_workspace(company, tmp_path / "data", tmp_path / "home")


def late(ws: stages.Workspace, today: date) -> list[tuple[str, str]]:
    return [(e.source, e.month.key) for e in lateness.late(ws.company, ws.home, today)]


def due_after(ws: stages.Workspace, days: int) -> stages.Workspace:
    sources = tuple(replace(source, due_days=days) for source in ws.company.sources)
    return replace(ws, company=replace(ws.company, sources=sources))


def test_a_source_is_late_from_the_day_on_which_the_month_closes(ws: stages.Workspace) -> None:
    tiny.deliver(ws.data, SEPTEMBER.key)
    stages.ingest(ws, "hr", SEPTEMBER)
    assert late(ws, date(2026, 10, 5)) == []
    assert late(ws, CLOSES) == [("desk", "2026-09"), ("survey", "2026-09")]
    stages.ingest(ws, "desk", SEPTEMBER)
    assert late(ws, CLOSES) == [("survey", "2026-09")]


def test_a_source_may_be_due_earlier_but_not_after_the_close(ws: stages.Workspace) -> None:
    source = ws.company.sources[0]
    for days, expected in ((2, date(2026, 10, 3)), (30, CLOSES), (None, CLOSES)):
        given = replace(source, due_days=days)
        assert lateness.due_on(ws.company, ws.home, given, SEPTEMBER) == expected
    tiny.roster(ws.data, SEPTEMBER.key)
    stages.ingest(ws, "hr", SEPTEMBER)
    assert late(due_after(ws, 2), date(2026, 10, 2)) == []
    assert late(due_after(ws, 2), date(2026, 10, 3)) == [
        ("desk", "2026-09"),
        ("survey", "2026-09"),
    ]


def test_it_names_the_owner_and_what_was_received_last(ws: stages.Workspace) -> None:
    tiny.deliver(ws.data, AUGUST.key)
    for source in ("desk", "survey", "hr"):
        stages.ingest(ws, source, AUGUST)
    found = {each.source: each for each in lateness.late(ws.company, ws.home, CLOSES)}
    desk = found["desk"]
    assert (desk.owner, desk.month, desk.due_on) == (
        "Desk owner <desk@example.com>",
        SEPTEMBER,
        CLOSES,
    )
    assert (desk.last_month, desk.last_rows) == ("2026-08", 5)
    assert desk.last_at is not None
    assert "last received 2026-08 on " in desk.said
    assert "5 rows; owner: Desk owner" in desk.said


def test_who_never_delivered_is_told_of_as_such(ws: stages.Workspace) -> None:
    (desk, *_) = lateness.late(ws.company, ws.home, CLOSES)
    assert desk.last_month is None
    assert "never received anything" in desk.said


def test_months_before_the_first_delivery_and_optional_sources_are_not_late(
    ws: stages.Workspace,
) -> None:
    assert {month for _, month in late(ws, CLOSES)} == {"2026-09"}, "nothing was ever landed"
    tiny.deliver(ws.data, AUGUST.key)
    stages.ingest(ws, "hr", AUGUST)
    assert {month for _, month in late(ws, CLOSES)} == {"2026-08", "2026-09"}
    sources = tuple(replace(each, required=each.id == "hr") for each in ws.company.sources)
    ws = replace(ws, company=replace(ws.company, sources=sources))
    assert late(ws, CLOSES) == [("hr", "2026-09")]


def test_the_month_under_way_is_not_late(ws: stages.Workspace) -> None:
    tiny.roster(ws.data, SEPTEMBER.key)
    stages.ingest(ws, "hr", SEPTEMBER)
    assert late(ws, date(2026, 9, 30)) == []
