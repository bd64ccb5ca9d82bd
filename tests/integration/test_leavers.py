"""Who has left: rosters that simply stop to name people, from delivered files to the KPI."""

from __future__ import annotations

import pytest

from connectors import streams
from expectations import gate
from perfhouse import stages, warehouse
from perfhouse.month import Month
from tests.hr_source import hr_source

MONTHS = (Month("2026-08"), Month("2026-09"), Month("2026-10"))
TOML = """
[company]
id = "tiny"
name_en = "Tiny"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[calendars.cn]
time_zone = "Asia/Shanghai"
[calendars.cn.hours]
mon = ["09:00-18:00"]
[kpis]
choose = ["turnover_rate"]
"""
TOML += hr_source(
    "roster_{month}.csv", job_family='{ value = "agent" }', employment_status='"status"'
)
TOML += """\
[[sources.streams]]
stream = "employment_events"
path = "events_{month}.csv"
[sources.streams.columns]
event_id = "id"
employee_id = "who"
event_type = "what"
effective_date = "day"
"""
TARGETS = """\
kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,approved_by
turnover_rate,*,*,0.8,0.2,0,1,2026-01-01,,1,2025-12-01,HR
"""
# A3 and A4 are gone in September, A3's last day was told; A5 on leave is gone, too; A6 comes back.
NAMED = {
    "2026-08": ("A1", "A2", "A3", "A4", "A5 leave", "A6"),
    "2026-09": ("A1", "A2"),
    "2026-10": ("A1", "A6"),
}


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> stages.Workspace:
    root = tmp_path_factory.mktemp("leavers")
    (root / "company").mkdir()
    (root / "data").mkdir()
    (root / "company" / "perfhouse.toml").write_text(TOML, encoding="utf-8")
    (root / "company" / "targets.csv").write_text(TARGETS, encoding="utf-8")
    for month in MONTHS:
        people = [[*who.split(), "active"][:2] for who in NAMED[month.key]]
        lines = [f"{month.last_day},{who},M1,{status}" for who, status in people]
        roster = ["day,id,manager,status", *lines, f"{month.last_day},M1,,active", ""]
        (root / "data" / f"roster_{month}.csv").write_text("\n".join(roster), encoding="utf-8")
        told = "e1,A3,termination,2026-09-14\n" if month.key == "2026-09" else ""
        events = f"id,who,what,day\n{told}e0,A1,hire,2020-01-01\n"
        (root / "data" / f"events_{month}.csv").write_text(events, encoding="utf-8")
    opened = stages.open_workspace(root / "company", root / "data", root / "home")
    for month in MONTHS:
        stages.ingest(opened, "hr", month)
        stages.build(opened, month)
    return opened


def asked(ws: stages.Workspace, sql: str) -> list[tuple]:
    with warehouse.connect(ws.home.warehouse, read_only=True) as con:
        return con.execute(sql).fetchall()


def test_whom_the_roster_stops_to_name_has_left_once_and_only_where_nobody_says_more(
    ws: stages.Workspace,
) -> None:
    found = asked(
        ws,
        "select strftime(month, '%Y-%m'), employee_id, left_on::varchar, is_left_inferred, "
        "manager_id, employed_days from core.fct_headcount_spans where leaver_count = 1 "
        "order by all",
    )
    assert found == [
        ("2026-09", "A3", "2026-09-15", False, "M1", 14),
        ("2026-09", "A4", "2026-09-01", True, "M1", 0),
        ("2026-09", "A6", "2026-09-01", True, "M1", 0),
        ("2026-10", "A2", "2026-10-01", True, "M1", 0),
    ]


def test_turnover_counts_them(ws: stages.Workspace) -> None:
    found = asked(
        ws,
        "select strftime(month, '%Y-%m'), sum(numerator)::integer from kpis.kpi_employee_months "
        "where kpi_id = 'turnover_rate' and manager_id = 'M1' group by 1 order by 1",
    )
    assert found == [("2026-08", 0), ("2026-09", 3), ("2026-10", 4)]


def test_the_gate_names_whom_nobody_says_to_have_left(ws: stages.Workspace) -> None:
    verdict = gate.run("raw", ws.home, ws.company, MONTHS[1], streams=streams.STREAMS)
    found = {check.id: check for check in verdict.checks}
    assert found["roster_tells_leavers"].failing_keys == (
        "employee_id=A4, source=hr",
        "employee_id=A6, source=hr",
    )
    assert found["roster_is_whole"].passed  # of so few people any share is chance
