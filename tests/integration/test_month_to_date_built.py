"""A month under way, asked of a database day by day, published as provisional until it is whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perfhouse import arrivals, clock, lake, lateness, months, reconcile, release, stages
from perfhouse.month import Month
from tests import tiny

SEPTEMBER, OCTOBER, NOVEMBER = Month("2026-09"), Month("2026-10"), Month("2026-11")
TABLES = {
    "tickets": "id text, opened text, solved text, agent text",
    "answers": "id text, at text, score integer, agent text",
}
QUERIES = {
    "tickets": ("desk", "desk/{month}/*.csv*", "select * from tickets where solved"),
    "answers": ("survey", "survey/{month}/*.csv", "select * from answers where at"),
}


def company(folder: Path) -> Path:
    """Write the tiny company with tickets and answers in a database that tells how far it is."""
    made = tiny.company(folder)
    text = tiny.TOML
    for _, path, query in QUERIES.values():
        bounded = f"{query} >= :start and {query.split()[-1]} < :end"
        text = text.replace(f'path = "{path}"', f'query = "{bounded}"')
    for source in ("desk", "survey"):
        said = (
            f'id = "{source}"\nurl = "sqlite:///{{data}}/crm.db"\ntime_zone = "Asia/Shanghai"\n'
            f'watermark = "select until from told where source = \'{source}\'"\nconnector = "sql"\n'
        )
        text = text.replace(f'id = "{source}"\nconnector = "files"\n', said)
    text = text.replace('%Y-%m-%d %H:%M"', '%Y-%m-%d %H:%M:%S"')
    (made / "perfhouse.toml").write_text(
        f"{text}\n[arrivals]\nmonth_to_date = true\nmonths = 2\n", encoding="utf-8"
    )
    return made


class Crm:
    """The company's system: what happened in it, and up to when it tells."""

    def __init__(self, data: Path) -> None:
        self.con = sqlite3.connect(data / "crm.db", isolation_level=None)
        for table, columns in {**TABLES, "told": "source text, until text"}.items():
            self.con.execute(f"create table {table} ({columns})")
        self.con.execute("insert into told values ('desk', ''), ('survey', '')")

    def live(self, month: Month, first: int, last: int) -> None:
        """Let a ticket be solved and answered every day; the last of each week is unhappy."""
        for day in range(first, last + 1):
            agent, at = tiny.AGENTS[day % 4], f"{month}-{day:02}"
            ticket = (f"{at}-t", f"{at} 10:00:00", f"{at} 11:00:00", agent)
            self.con.execute("insert into tickets values (?, ?, ?, ?)", ticket)
            answer = (f"{at}-a", f"{at} 12:00:00", 1 if day % 7 == 0 else 5, agent)
            self.con.execute("insert into answers values (?, ?, ?, ?)", answer)

    def tells(self, until: str, *sources: str) -> None:
        for source in sources or ("desk", "survey"):
            self.con.execute("update told set until = ? where source = ?", (until, source))


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    (tmp_path / "data").mkdir()
    company(tmp_path / "company")
    for month in (SEPTEMBER, OCTOBER, NOVEMBER):
        tiny.roster(tmp_path / "data", month.key)
    made = Crm(tmp_path / "data")
    yield made
    made.con.close()


def opened(root: Path, home: str = "home") -> stages.Workspace:
    return stages.open_workspace(root / "company", root / "data", root / home)


def is_now(monkeypatch: pytest.MonkeyPatch, text: str) -> date:
    """Let it be an instant in Shanghai at noon; return the day."""
    day = date.fromisoformat(text)
    at = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: at)
    return day


def scored(found: release.Release) -> list[Any]:
    rows = duckdb.sql(
        "select kpi_id, manager_id, numerator, denominator, value from read_parquet("
        f"'{found.path}/parquet/scorecard_kpi_months.parquet') order by all"
    )
    return rows.fetchall()


@pytest.mark.nightly  # seven builds
def test_a_month_under_way_is_published_day_by_day_and_ends_like_one_that_was_waited_for(
    crm: Crm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = opened(tmp_path)
    crm.live(SEPTEMBER, 1, 30)
    crm.live(OCTOBER, 1, 20)  # the 20th is under way, too
    crm.tells("2026-10-20 09:00:00")
    is_now(monkeypatch, "2026-10-02")
    stages.run(ws, SEPTEMBER, progress=str)

    day = is_now(monkeypatch, "2026-10-20")
    assert [(a.source, a.month, a.key) for a in arrivals.look(ws, day).arrived] == [
        ("desk", OCTOBER, "to-date-2026-10-20"),
        ("survey", OCTOBER, "to-date-2026-10-20"),
    ]
    stages.ingest(ws, "hr", OCTOBER, str)
    healed = reconcile.heal_all(ws, day, str)
    assert [each.error for each in healed] == [None] * 3, [each.said for each in healed]
    first = release.latest(ws.home, OCTOBER)
    assert first is not None
    assert {row[3] for row in scored(first) if row[0] == "csat_rate"} == {9, 10}, "19 days"
    assert arrivals.look(ws, day).arrived == (), "once a day"
    assert months.state(ws.company, ws.home, OCTOBER).status == months.PROVISIONAL

    crm.live(OCTOBER, 21, 31)
    crm.live(NOVEMBER, 1, 8)
    crm.tells("2026-11-09 00:00:00", "desk")
    crm.tells("2026-10-31 23:00:00", "survey")  # behind, and so it stays
    day = is_now(monkeypatch, "2026-11-09")
    stages.ingest(ws, "hr", NOVEMBER, str)
    behind = [each for each in reconcile.heal_all(ws, day, str) if each.error is not None]
    assert {(each.work.source, each.work.month) for each in behind} == {
        ("survey", OCTOBER),
        ("survey", NOVEMBER),
    }
    standing = months.state(ws.company, ws.home, OCTOBER)
    assert not standing.is_locked, "a month does not close on a part"
    (late,) = lateness.late(ws.company, ws.home, day)
    assert (late.source, late.month) == ("survey", OCTOBER)

    crm.tells("2026-11-09 00:00:00")
    assert all(each.error is None for each in reconcile.heal_all(ws, day, str))
    assert lateness.late(ws.company, ws.home, day) == []
    standing = months.state(ws.company, ws.home, OCTOBER)
    assert standing.is_locked
    assert standing.provisional == ("reopen_rate",), "it ripens for some days more"
    landed = lake.read_manifest(ws.home, "survey", OCTOBER)
    assert landed is not None
    assert lake.part_until(landed) is None

    plain = opened(tmp_path, "plain")
    stages.run(plain, SEPTEMBER, progress=str)
    waited = stages.run(plain, OCTOBER, progress=str).release
    last = release.latest(ws.home, OCTOBER)
    assert last is not None
    assert scored(last) == scored(waited)


def test_a_database_that_has_not_come_as_far_as_today_is_waited_for(
    crm: Crm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = opened(tmp_path)
    crm.live(OCTOBER, 1, 18)
    crm.tells("2026-10-18 23:00:00")
    day = is_now(monkeypatch, "2026-10-20")
    arrived = reconcile.ingests(arrivals.look(ws, day).arrived)
    healed = reconcile.heal(ws, arrived, str)
    assert [type(each.error).__name__ for each in healed] == ["SourceMissing"] * 2
    assert "what is asked for ends at 2026-10-19 16:00:00 UTC" in healed[0].said
    is_now(monkeypatch, "2026-10-01")
    with pytest.raises(stages.SourceMissing, match="the month ends at 2026-10-31 16:00:00 UTC"):
        stages.ingest(ws, "desk", OCTOBER, str)
