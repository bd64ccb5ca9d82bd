"""A month that is published before it is over: what deliveries tell of, and where clocks stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from perfhouse import lake, lateness, months, stages
from perfhouse.lake import StreamLanding
from perfhouse.month import Month
from tests import tiny

SEPTEMBER, OCTOBER = Month("2026-09"), Month("2026-10")
NOTHING = StreamLanding((), 0, 0, 0, 0, 0, 0, {}, (), {}, None, {})


@pytest.fixture
def ws(tmp_path: Path) -> stages.Workspace:
    company = tiny.company(tmp_path / "company")
    with (company / "perfhouse.toml").open("a", encoding="utf-8") as file:
        file.write("[arrivals]\nmonth_to_date = true\n")
    return stages.open_workspace(company, tmp_path, tmp_path / "home")


def land(
    ws: stages.Workspace, month: Month, taken: str, *names: str, until: date | None = None
) -> None:
    """Land a month of some sources, all by default, as taken at an instant, or up to a day."""
    mark = lake.part_name(until) if until else ""
    kept = (lake.ArchivedFile(mark, "", 2, (), "json"),) if mark else ()
    streams = {"desk": "tickets", "survey": "survey_responses", "hr": "hr_roster"}
    for name in names or streams:
        manifest = lake.Manifest(
            *(name, "files", month.key, "m", taken, kept, {streams[name]: NOTHING}),
            *(taken, ""),
        )
        lake.commit(ws.home, manifest, {})


def without(ws: stages.Workspace) -> stages.Workspace:
    arrivals = replace(ws.company.arrivals, month_to_date=False)
    return replace(ws, company=replace(ws.company, arrivals=arrivals))


def test_a_part_of_a_month_closes_no_month_before_it(ws: stages.Workspace) -> None:
    land(ws, SEPTEMBER, "2026-10-01T02:00:00+00:00")
    land(ws, OCTOBER, "2026-10-04T02:00:00+00:00")
    assert months.known_until(ws.company, ws.home) == date(2026, 10, 4)
    assert not months.is_past_close(ws.company, ws.home, SEPTEMBER, SEPTEMBER)
    assert not months.is_past_close(ws.company, ws.home, SEPTEMBER, OCTOBER)
    whole = without(ws).company
    assert months.known_until(whole, ws.home) == date(2026, 11, 1), "a delivery is the month"
    land(ws, OCTOBER, "2026-10-06T02:00:00+00:00", "desk")
    assert months.is_past_close(ws.company, ws.home, SEPTEMBER, SEPTEMBER), "its day has come"


def test_a_month_is_told_whole_once_any_of_its_sources_was_taken_after_its_end(
    ws: stages.Workspace,
) -> None:
    land(ws, OCTOBER, "2026-10-20T02:00:00+00:00")
    assert months.told_until(ws.company, ws.home, OCTOBER) == date(2026, 10, 20)
    land(ws, OCTOBER, "2026-10-31T17:00:00+00:00", "survey")  # 1 November in Shanghai
    assert months.told_until(ws.company, ws.home, OCTOBER) == date(2026, 11, 1)


def test_clocks_that_run_stop_where_the_tickets_of_a_month_under_way_were_read(
    ws: stages.Workspace,
) -> None:
    land(ws, OCTOBER, "2026-10-01T02:00:00+00:00", "hr")
    land(ws, OCTOBER, "2026-10-20T02:00:00+00:00", "desk")
    at = datetime(2026, 10, 20, 2, tzinfo=UTC)
    assert months.read_at(ws.company, ws.home, OCTOBER) == at, "a roster has no clock"
    assert months.read_at(without(ws).company, ws.home, OCTOBER) is None
    said = replace(ws.company, clocks_stop_at=datetime(2026, 10, 9, tzinfo=UTC))
    assert months.read_at(said, ws.home, OCTOBER) == said.clocks_stop_at
    land(ws, OCTOBER, "2026-11-02T02:00:00+00:00", "desk")
    assert months.read_at(ws.company, ws.home, OCTOBER) is None, "the month was over"
    assert months.read_at(ws.company, ws.home, SEPTEMBER) is None, "nothing is landed"


def test_a_part_tells_up_to_its_day_and_its_clocks_stop_at_that_midnight(
    ws: stages.Workspace,
) -> None:
    land(ws, OCTOBER, "2026-10-20T02:00:00+00:00", until=date(2026, 10, 19))
    assert months.told_until(ws.company, ws.home, OCTOBER) == date(2026, 10, 19)
    midnight = datetime(2026, 10, 18, 16, tzinfo=UTC)  # in Shanghai
    assert months.read_at(ws.company, ws.home, OCTOBER) == midnight


def test_a_month_does_not_close_on_a_part_and_its_source_is_late(ws: stages.Workspace) -> None:
    day = date(2026, 11, 9)
    land(ws, OCTOBER, "2026-11-01T02:00:00+00:00", "desk", "hr")
    land(ws, OCTOBER, "2026-10-31T02:00:00+00:00", "survey", until=date(2026, 10, 31))
    land(ws, Month("2026-11"), "2026-11-09T02:00:00+00:00")
    assert months.parts(ws.company, ws.home, OCTOBER) == {"survey": "2026-10-31"}
    assert not months.is_past_close(ws.company, ws.home, OCTOBER, OCTOBER)
    late = [(each.source, each.month) for each in lateness.late(ws.company, ws.home, day)]
    assert late == [("survey", OCTOBER)]
    land(ws, OCTOBER, "2026-11-09T03:00:00+00:00", "survey")
    assert months.is_past_close(ws.company, ws.home, OCTOBER, OCTOBER)
    assert lateness.late(ws.company, ws.home, day) == []
