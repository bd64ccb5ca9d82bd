"""The company that benchmarks/torture.py and test_torture.py torture: small_warehouse's.

Run with a folder, it makes the home there: August published, September built in two versions, and
a lake with a source that delivers in two versions. Great Expectations has its own tests.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import publish_in_child as child
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from benchmarks.torture_world import MART, VERSIONS, World
from expectations import gate
from perfhouse import release
from perfhouse.month import Month
from perfhouse.settings import Home
from perfhouse.stages import Workspace

AUGUST = MONTH.plus(-1)
_CSAT = dict(zip(VERSIONS, (82, 88), strict=True))
_ROWS = dict(zip(VERSIONS, (400, 390), strict=True))
_TOML = """
[company]
id = "lake"
name_en = "Lake"
time_zone = "UTC"
default_calendar = "always"
[calendars.always]
time_zone = "UTC"
[calendars.always.hours]
mon = ["09:00-18:00"]
[kpis]
choose = ["csat_rate"]
[[sources]]
id = "survey"
connector = "files"
owner = "Survey desk <survey@example.com>"
[[sources.streams]]
stream = "survey_responses"
path = "{month}.csv"
[sources.streams.columns]
response_id = "id"
survey_id = { value = "s" }
survey_kind = { value = "csat" }
question_id = { value = "q" }
metric = { value = "csat" }
submitted_at = { from = "at", format = "%Y-%m-%d %H:%M" }
score = "score"
scale_min = { value = 1 }
scale_max = { value = 5 }
subject_employee_id = "agent"
"""
_TARGETS = """\
kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,approved_by
csat_rate,*,*,0.5,0.8,0.9,1,2026-01-01,,1,2025-12-01,HR
"""


def opened(root: Path) -> Workspace:
    """Open the workspace without Great Expectations; with a mart where one was made."""
    gate._expect = child.everything_passes
    company = small.company(root / "company", small.source("hr"), small.source("calls"))
    mart = MART if (root / "mart").exists() else None
    return Workspace(replace(company, mart=mart), root, Home(root / "home"))


def _deliver(home: Home, month: Month) -> None:
    roster = ROSTER.replace("2026-09-30", f"{month.last_day}")
    small.land(home, "hr", {"hr_roster": roster}, month)
    small.land(home, "calls", {"calls": CALLS.replace("2026-09-10", f"{month.key}-10")}, month)


def prepare(root: Path) -> World:
    """Make the home; not for a process that goes on to test anything, see `opened`."""
    home = small.home(root / "home")
    ws = opened(root)
    world = World(root, "torture_small:opened", (AUGUST.key, MONTH.key))
    for month in (AUGUST, MONTH):
        _deliver(home, month)
        small.build(home, month)
        child.judge(home, ws.company, month)
        if month == AUGUST:
            release.publish(ws.company, home, month)
    for version in VERSIONS:
        small.build(home, MONTH, csat=_CSAT[version])
        child.judge(home, ws.company, MONTH)
        world.keep(version)
    world.turn(world.home, VERSIONS[0])
    _make_lake(root)
    return world


def _make_lake(root: Path) -> None:
    (root / "lake_company").mkdir()
    (root / "lake_company" / "perfhouse.toml").write_text(_TOML, encoding="utf-8")
    (root / "lake_company" / "targets.csv").write_text(_TARGETS, encoding="utf-8")
    for version in VERSIONS:
        lines = [
            f"{n},{MONTH}-{n % 28 + 1:02} 09:30,{n % 5 + 1},A{n % 7}" for n in range(_ROWS[version])
        ]
        (root / version).mkdir()
        text = "\n".join(["id,at,score,agent", *lines, ""])
        (root / version / f"{MONTH}.csv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
