from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perfhouse import clock, run_cost, step_times, warehouse
from perfhouse.month import Month
from perfhouse.settings import Home
from perfhouse.step_times import BUILD, INGEST, PUBLISH, Step, timed

MONTH = Month("2026-09")
BEGAN = datetime(2026, 10, 3, 4, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def step(name: str, ended: float, seconds: float, source: str = "", is_done: bool = True) -> Step:
    at = (BEGAN + timedelta(seconds=ended)).isoformat()
    return Step(name, source, at, seconds, seconds / 2, is_done)


def test_the_last_of_each_step_is_told_in_the_order_in_which_they_ended(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(clock, "now", lambda: BEGAN + timedelta(seconds=next(ticks)))
    for name, source in ((INGEST, "crm"), (INGEST, "hr"), (BUILD, ""), (INGEST, "crm")):
        with timed(home, MONTH, name, source):
            pass
    told = step_times.of(home, MONTH)
    assert [(s.name, s.source) for s in told] == [(INGEST, "hr"), (BUILD, ""), (INGEST, "crm")]
    assert all(s.is_done and 0 <= s.seconds < 5 for s in told)
    assert step_times.of(home, MONTH.plus(1)) == []


def test_what_failed_is_noted_and_goes_on_failing(home: Home) -> None:
    with pytest.raises(ValueError, match="no"), timed(home, MONTH, BUILD):
        raise ValueError("no")
    (told,) = step_times.of(home, MONTH)
    assert not told.is_done


def test_work_on_the_processor_is_counted(home: Home) -> None:
    with timed(home, MONTH, BUILD):
        sum(range(3_000_000))
    (told,) = step_times.of(home, MONTH)
    assert told.cpu_seconds > 0
    assert told.seconds > 0


def test_a_torn_line_and_a_folder_that_cannot_be_written_stop_nothing(home: Home) -> None:
    with timed(home, MONTH, BUILD):
        pass
    file = home.logs / "steps" / "2026-09.jsonl"
    with file.open("a", encoding="utf-8") as handle:
        handle.write('{"name": "publ')
    assert [s.name for s in step_times.of(home, MONTH)] == [BUILD]
    blocked = Home(home.root / "blocked")
    blocked.root.mkdir()
    blocked.logs.write_text("no folder", encoding="utf-8")
    with timed(blocked, MONTH, BUILD):
        pass
    assert json.loads(file.read_text("utf-8").splitlines()[0])["name"] == BUILD


def test_what_lies_between_arrival_and_release_and_is_no_step_was_waiting() -> None:
    steps = [
        step(INGEST, 10, 5, "crm"),
        step(INGEST, 60, 5, "hr"),
        step("gate raw", 90, 2),
        step(BUILD, 110, 15),
        step(PUBLISH, 160, 13),
    ]
    assert step_times.since_arrival(steps) == (100, 30)
    assert step_times.since_arrival(steps[:-1]) is None, "not published yet"
    assert step_times.since_arrival([*steps, step(INGEST, 200, 5, "crm")]) is None, "landed since"
    assert step_times.since_arrival([step(PUBLISH, 160, 13)]) is None


def test_a_month_tells_what_its_last_run_cost(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert list(run_cost.lines(home, MONTH)) == []
    with step_times.timed(home, MONTH, step_times.BUILD):
        pass
    with warehouse.connect(home.warehouse) as con:
        con.execute("create schema scorecards")
    (line,) = run_cost.lines(home, MONTH)
    assert line.startswith("build")
    with warehouse.connect(home.warehouse) as con:
        con.execute("create schema ops")
        con.execute(
            "create table ops.model_runs as select date '2026-09-01' as month, * from (values "
            "('model', 'slow', 2.0), ('model', 'quick', 0.5), ('test', 'slower', 9.0)"
            ") as t(kind, name, seconds)"
        )
    assert list(run_cost.lines(home, MONTH))[-1] == "slowest models: slow 2.00 s, quick 0.50 s"
