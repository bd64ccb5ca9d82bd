"""Who is told that a month is overdue: whoever it waits for, by the company's day."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from expectations import gate
from perfhouse import company_notices, notices, overdue, stages
from perfhouse.company_deadlines import Deadlines, read_deadlines
from perfhouse.config_reader import Table
from perfhouse.month import Month

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import tiny

SEPTEMBER, OCTOBER = Month("2026-09"), Month("2026-10")
DUE = date(2026, 10, 11)  # ten days after September's end
CHANNEL = company_notices.Channel("it", "webhook", "it", ("overdue",), language="en")


@pytest.fixture
def ws(tmp_path: Path) -> stages.Workspace:
    toml = tiny.company(tmp_path / "company") / "perfhouse.toml"
    with toml.open("a", encoding="utf-8") as file:
        file.write("[deadlines]\nrelease_due_days = 10\n")
    tiny.deliver(tmp_path / "data", SEPTEMBER.key)
    it = stages.open_workspace(toml.parent, tmp_path / "data", tmp_path / "home")
    for source in ("desk", "survey"):
        stages.ingest(it, source, SEPTEMBER, str)
    return it


def told(ws: stages.Workspace, month: Month, today: date) -> str:
    """Return what a channel would hear."""
    found = [each for each in notices._due(ws, month, today) if each.event == "overdue"]
    return "\n".join(m.body for each in found for m in notices.messages(CHANNEL, each, today))


def test_a_month_without_a_release_is_overdue_from_its_day_on(ws: stages.Workspace) -> None:
    assert overdue.releases(ws, date(2026, 10, 10)) == []
    assert overdue.releases(ws, DUE) == [overdue.Overdue("2026-09", "release", "2026-10-11")]
    assert overdue.releases(ws, date(2026, 11, 11))[1:] == [
        overdue.Overdue("2026-10", "release", "2026-11-11")
    ]


def test_the_owner_of_what_is_missing_must_act_then_whoever_the_gate_names(
    ws: stages.Workspace,
) -> None:
    (missing,) = overdue.waits(ws, SEPTEMBER)
    assert missing == overdue.Wait("source", "hr", "HR owner <hr@example.com>")
    assert "source hr; who must act: HR owner <hr@example.com>" in told(ws, SEPTEMBER, DUE)
    assert told(ws, SEPTEMBER, date(2026, 10, 10)) == ""
    stages.ingest(ws, "hr", SEPTEMBER, str)
    (running,) = overdue.waits(ws, SEPTEMBER)
    assert running == overdue.Wait("run", "after ingest", "data engineer")
    said = gate.Verdict("raw", "2026-09", "2026-09", "", passed=False, checks=())
    gate._write(gate.verdict_path(ws.home, SEPTEMBER, "raw"), said)
    assert overdue.waits(ws, SEPTEMBER) == (overdue.Wait("gate", "raw", "data owner"),)


def test_a_run_that_missed_its_deadline_is_told_of_until_the_month_is_out(
    ws: stages.Workspace,
) -> None:
    overdue.note(ws.home, overdue.Overdue("2026-09", "transform", "2026-10-02T08:00"))
    early = date(2026, 10, 2)
    assert "It was due by 2026-10-02T08:00" in told(ws, SEPTEMBER, early)
    assert told(ws, OCTOBER, early) == ""
    overdue.settle(ws.home, SEPTEMBER)
    assert told(ws, SEPTEMBER, early) == ""


def test_deadlines_are_read_and_a_wrong_one_is_named() -> None:
    problems: list[str] = []
    top = Table({"deadlines": {"run_minutes": 0, "release_due_day": 3}}, "", problems)
    assert read_deadlines(top) == Deadlines()
    assert any("deadlines.run_minutes: expected a whole number from 1" in p for p in problems)
    assert any("deadlines.release_due_day: unknown key" in p for p in problems)
