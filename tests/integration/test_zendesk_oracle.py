"""The tables of a Zendesk replica through the whole pipeline, against minutes and counts of others.

The minutes are also counted here, from the raw files and with zoneinfo alone, for the tickets
that the oracle leaves out and for clocks that still run.
"""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from perfhouse import stages, warehouse
from perfhouse.month import Month

ROOT = Path(__file__).resolve().parents[2]
ORACLE = ROOT.parent / "shared" / "data" / "zendesk_oracle"
AS_OF = datetime(2026, 7, 15, tzinfo=UTC)
WAITS = {
    "requester_wait": {"new", "open", "hold"},
    "agent_work": {"new", "open"},
    "agent_wait": {"pending"},
    "on_hold": {"hold"},
}
COUNTS = {
    "total_comments": "comment_count",
    "count_public_comments": "public_comment_count",
    "count_internal_comments": "internal_comment_count",
    "count_end_user_comments": "customer_comment_count",
    "count_agent_comments": "agent_comment_count",
    "count_public_agent_comments": "touch_count",
    "total_agent_replies": "reply_count",
    "count_ticket_handoffs": "handoff_count",
    "unique_assignee_count": "assignee_count",
    "assignee_stations_count": "assignee_station_count",
    "group_stations_count": "queue_station_count",
    "count_resolutions": "resolution_count",
    "count_reopens": "reopen_count",
}
WORDS = ("status", "first_assignee_id", "last_assignee_id")
TOUCHES = ("one", "two", "multi")
MINUTES = {
    **{
        f"{wait}_time_in_{clock}_minutes": f"{wait}_{clock}_minutes"
        for wait in WAITS
        for clock in ("business", "calendar")
    },
    "first_reply_time_business_minutes": "first_reply_business_minutes",
    "first_resolution_business_minutes": "first_resolution_business_minutes",
    "full_resolution_business_minutes": "full_resolution_business_minutes",
}


def table(name: str) -> list[dict[str, str]]:
    with (ORACLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not ORACLE.is_dir():
        pytest.skip(f"third-party data is not here: {ORACLE}")
    root = tmp_path_factory.mktemp("zendesk")
    ws = stages.open_workspace(
        ROOT / "examples" / "zendesk_replica", data=ORACLE / "raw", home=root
    )
    # The replica holds its whole past, so each delivery brings most events again.
    for month in (Month("2026-05"), Month("2026-06")):
        stages.ingest(ws, "zendesk", month)
    stages.build(ws, Month("2026-06"), as_of=Month("2026-07"))
    return root


def rows(home: Path, sql: str) -> list[dict[str, Any]]:
    con = warehouse.connect(home / "warehouse.duckdb", read_only=True)
    try:
        con.execute("set TimeZone = 'UTC'")
        found = con.execute(sql)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    finally:
        con.close()


@pytest.fixture(scope="module")
def ours(home: Path) -> dict[str, dict[str, Any]]:
    found = rows(home, "from core.fct_ticket_lifecycles")
    return {row["ticket_id"]: row for row in found}


def test_every_ticket_of_the_replica_has_a_lifecycle(ours: dict[str, dict[str, Any]]) -> None:
    assert set(ours) == {row["id"] for row in table("raw/ticket_data.csv")}


def as_told(row: dict[str, str]) -> dict[str, Any]:
    """Return a row of counts.csv in our names; what was never counted there is 0."""
    return {
        **{name: int(row[theirs] or 0) for theirs, name in COUNTS.items()},
        **{name: row[name] or None for name in WORDS},
        **{name: row[name] or None for name in ("first_solved_at", "last_solved_at")},
        **{f"is_{n}_touch": row[f"is_{n}_touch_resolution"] == "t" for n in TOUCHES},
    }


def test_every_count_is_the_oracles(ours: dict[str, dict[str, Any]]) -> None:
    told = {row["ticket_id"]: as_told(row) for row in table("counts.csv")}
    mine = {}
    for ticket, row in told.items():
        found = {name: ours[ticket][name] for name in row}
        for name in ("first_solved_at", "last_solved_at"):
            found[name] = found[name] and found[name].strftime("%Y-%m-%d %H:%M:%S")
        mine[ticket] = found
    assert mine == told


def test_every_minute_is_the_oracles(ours: dict[str, dict[str, Any]]) -> None:
    wrong, compared = [], 0
    for row in table("exact_minutes.csv"):
        for theirs, name in MINUTES.items():
            if row[theirs]:
                compared += 1
                mine = ours[row["ticket_id"]][name]
                if mine is None or abs(float(mine) - float(row[theirs])) > 0.02:
                    wrong.append((row["ticket_id"], name, row[theirs], mine))
    assert wrong == []
    assert compared > 1_500


# ---------------------------------------------------------------- counted again, second by second


ZONES = {
    "Beijing": ZoneInfo("Asia/Shanghai"),
    "Pacific Time (US & Canada)": ZoneInfo("America/Los_Angeles"),
    "London": ZoneInfo("Europe/London"),
}


class Schedule:
    """One schedule of the raw tables as UTC openings, found by going through local days."""

    def __init__(self, number: str) -> None:
        hours = [row for row in table("raw/schedule_data.csv") if row["id"] == number]
        zone = ZONES[hours[0]["time_zone"]]
        holidays = {
            date.fromisoformat(row["start_date"]) + timedelta(days=n)
            for row in table("raw/schedule_holiday_data.csv")
            if row["schedule_id"] == number
            for n in range(
                (date.fromisoformat(row["end_date"]) - date.fromisoformat(row["start_date"])).days
                + 1
            )
        }
        self.openings: list[tuple[datetime, datetime]] = []
        for n in range(420):
            day = date(2025, 6, 1) + timedelta(days=n)  # a Sunday
            for row in hours:
                start, end = int(row["start_time"]), int(row["end_time"])
                if start // 1440 == n % 7 and day not in holidays:
                    midnight = datetime.combine(day, time(), zone)
                    self.openings.append(
                        tuple(  # type: ignore[arg-type]
                            (midnight + timedelta(minutes=minute - 1440 * (n % 7))).astimezone(UTC)
                            for minute in (start, end)
                        )
                    )

    def seconds(self, start: datetime, end: datetime) -> float:
        return sum(
            max(0.0, (min(shut, end) - max(opened, start)).total_seconds())
            for opened, shut in self.openings
        )


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def pieces(
    steps: list[tuple[datetime, str]], start: datetime, end: datetime
) -> Iterator[tuple[str, datetime, datetime]]:
    """Cut [start, end) where the steps change; before the first, schedule 501 is in force."""
    bounds = [(start, "501"), *steps, (end, "")]
    for (at, name), (until, _) in itertools.pairwise(bounds):
        low, high = max(at, start), min(until, end)
        if low < high:
            yield name, low, high


def history(table_name: str, at: str, value: str, field: str = "") -> dict[str, Any]:
    """Return the (instant, value) changes of each ticket in order, of one field where given."""
    found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for row in table(table_name):
        if not field or row["field_name"] == field:
            found[row["ticket_id"]].append((instant(row[at]), row[value]))
    return {ticket: sorted(changes) for ticket, changes in found.items()}


def waits(
    changes: list[tuple[datetime, str]],
    steps: list[tuple[datetime, str]],
    schedules: dict[str, Schedule],
) -> dict[str, float]:
    """Return the seconds of each wait by our names of the minutes."""
    times: dict[str, float] = defaultdict(float)
    ends = [at for at, _ in changes[1:]] + [AS_OF]
    for (start, status), end in zip(changes, ends, strict=True):
        parts = pieces(steps, start, end)
        opened = sum(schedules[name].seconds(low, high) for name, low, high in parts)
        for wait in (wait for wait, statuses in WAITS.items() if status in statuses):
            times[f"{wait}_calendar_minutes"] += (end - start).total_seconds()
            times[f"{wait}_business_minutes"] += opened
    return times


def test_the_minutes_in_each_status_are_right_to_the_second_for_every_ticket(
    ours: dict[str, dict[str, Any]],
) -> None:
    schedules = {number: Schedule(number) for number in ("501", "502", "503")}
    steps = history("raw/ticket_schedule_data.csv", "created_at", "schedule_id")
    statuses = history("raw/ticket_field_history_data.csv", "updated", "value", "status")
    counted = {
        ticket: waits(changes, steps.get(ticket, []), schedules)
        for ticket, changes in statuses.items()
    }
    names = [f"{wait}_{clock}_minutes" for wait in WAITS for clock in ("calendar", "business")]
    for ticket, times in counted.items():
        mine = {name: round(float(ours[ticket][name]) * 60, 3) for name in names}
        assert mine == {name: times[name] for name in names}, ticket
    assert set(counted) == set(ours)
    running = [changes for changes in statuses.values() if changes[-1][1] in {"open", "pending"}]
    assert len(running) > 20, "clocks that still run at the as-of instant are among them"


# ---------------------------------------------------------------- ownership


def test_at_every_instant_a_ticket_has_one_owner_and_it_is_who_was_last_assigned(
    home: Path,
) -> None:
    stretches = defaultdict(list)
    for row in rows(home, "from core.fct_ticket_owners order by ticket_id, stretch_no"):
        stretches[row["ticket_id"]].append(row)
    fields = ("raw/ticket_field_history_data.csv", "updated", "value")
    said = {
        "assignee_id": history(*fields, "assignee_id"),
        "queue_id": history(*fields, "group_id"),
    }
    created = {row["id"]: instant(row["created_at"]) for row in table("raw/ticket_data.csv")}
    assert set(stretches) == set(created)
    for ticket, owners in stretches.items():
        ends = [owner["from_at"] for owner in owners[1:]]
        assert [owner["to_at"] for owner in owners] == [*ends, None]
        assert owners[0]["from_at"] == created[ticket]
        for owner in owners:
            for column, changes in said.items():
                told = [v for at, v in changes.get(ticket, []) if at <= owner["from_at"]]
                assert owner[column] == (told[-1] if told else None), (ticket, column)
