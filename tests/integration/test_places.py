"""Whose clock dates an event: that of the place its person had on the day, in whichever month."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import streams
from perfhouse import build as builder
from perfhouse import config_tables, settings, warehouse
from perfhouse.company import Company, load_company
from perfhouse.month import Month
from perfhouse.settings import Home
from tests.integration import tiny_company as tiny

SEPTEMBER, OCTOBER = tiny.SEPTEMBER, tiny.SEPTEMBER.plus(1)
WEST, EAST = "Shanghai", "Tokyo"
# Who moves on which day; M1 owns the queue of the calls that nobody takes and moves as well.
MOVES = {
    "to_east_first": (WEST, EAST, "2026-10-01"),
    "to_west_first": (EAST, WEST, "2026-10-01"),
    "to_east_within": (WEST, EAST, "2026-09-16"),
    "to_west_within": (EAST, WEST, "2026-09-16"),
    "M1": (WEST, EAST, "2026-10-01"),
    "M2": (EAST, WEST, "2026-10-01"),
}
AGENTS = [name for name in MOVES if name.startswith("to_")]
QUEUES = {"T1": "M1", "T2": "M2"}


def roster() -> list[dict[str, Any]]:
    """Return rosters that each tell of today's place only, from the day of the move on."""
    found = []
    for month in (tiny.AUGUST, SEPTEMBER, OCTOBER):
        day = {"snapshot_date": str(month.last_day), "_window": month.key}
        for name, (before, after, moved_on) in MOVES.items():
            team = "T2" if name == "M2" else "T1"
            known = tiny.member(name, team, None if name == "M1" else "M1", "2020-01-01")
            if name == "M2":
                known["manager_employee_id"] = None
            if moved_on <= str(month.last_day):
                known |= {"location": after, "valid_from": moved_on}
                if moved_on < str(month.start):
                    known |= {"valid_from": str(month.start)}
            else:
                known |= {"location": before}
            found.append({**known, **day})
        found.append({**tiny.member("B2", "T2", "M2", "2020-01-01"), **day})
    return found


def calls() -> list[dict[str, Any]]:
    """Return a call every half hour around both midnights, for everybody and for nobody."""
    found = []
    for day in ("2026-09-15", "2026-09-30"):
        begin = datetime.fromisoformat(f"{day}T10:00:00+00:00").astimezone(UTC)
        for step in range(24):
            ended = (begin + timedelta(minutes=30 * step)).isoformat()
            for who in AGENTS:
                found.append(tiny.leg(f"{who} {ended}", who, 1, 60, ended_at=ended))
            for queue in QUEUES:
                found.append(
                    tiny.leg(f"{queue} {ended}", None, 60, None, queue_id=queue, ended_at=ended)
                )
    return [{**row, "_window": "2026-09"} for row in found]


def build(company: Company, home: Home, month: Month, as_of: Month) -> None:
    """Build the calls of a month and what they need, from what was delivered by `as_of`."""
    home.ensure()
    con = warehouse.connect(home.warehouse)
    config_tables.write(con, company, month, as_of)
    con.execute("create schema if not exists raw")
    given = {"hr_roster": roster(), "calls": calls()}
    for stream, columns in streams.declarations().items():
        told = [row for row in given.get(stream, []) if row["_window"] <= as_of.key]
        tiny.fill(con, stream, columns, told)
    con.close()
    with settings.dbt_environment(home, month, as_of, builder.environment(company, home)):
        runs, failure = builder.run_dbt(["run", "--select", "+fct_calls"])
    assert failure is None
    assert [run.name + run.message for run in runs if run.status != "success"] == []


@pytest.mark.parametrize(
    ("company_zone", "september_as_of"),
    [("Asia/Shanghai", SEPTEMBER), ("Asia/Tokyo", OCTOBER)],
    ids=["month_by_month", "as_of_one_month"],
)
def test_every_event_of_somebody_who_moves_is_in_exactly_one_month(
    company_zone: str, september_as_of: Month, tmp_path: Path
) -> None:
    tiny.company(tmp_path / "company")
    text = tiny.TOML.replace('"Asia/Shanghai"\ndefault', f'"{company_zone}"\ndefault')
    (tmp_path / "company" / "perfhouse.toml").write_text(text, encoding="utf-8")
    company, home = load_company(tmp_path / "company"), Home(tmp_path / "home")
    for month, as_of in ((SEPTEMBER, september_as_of), (OCTOBER, OCTOBER)):
        build(company, home, month, as_of)
    con = warehouse.connect(home.warehouse, read_only=True)
    found = con.execute(
        "select leg_id, strftime(ended_on, '%Y-%m-%d'), timezone('UTC', ended_at), "
        "strftime(month, '%Y-%m') from core.fct_calls"
    ).fetchall()
    con.close()
    assert Counter(leg for leg, *_ in found) == {row["leg_id"]: 1 for row in calls()}
    for leg, ended_on, ended_at, month in found:
        assert ended_on == local_day(leg.split(" ")[0], ended_at, company_zone), leg
        assert ended_on.startswith(month)


def local_day(who: str, at: datetime, company_zone: str) -> str:
    """Return the day of an instant where somebody worked on that day of the company."""
    hours = {WEST: 8, EAST: 9, "Asia/Shanghai": 8, "Asia/Tokyo": 9}
    before, after, moved_on = MOVES[QUEUES.get(who, who)]
    company_day = str((at + timedelta(hours=hours[company_zone])).date())
    place = before if company_day < moved_on else after
    return str((at + timedelta(hours=hours[place])).date())
