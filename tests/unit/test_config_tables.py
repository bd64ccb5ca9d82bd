from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from perfhouse import config_tables
from perfhouse.company import load_company
from perfhouse.month import Month

TOML = """
[company]
id = "demo"
name_en = "Demo"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[locations.London]
time_zone = "Europe/London"
calendar = "uk"
[calendars.cn]
time_zone = "Asia/Shanghai"
hours = { mon = ["09:00-18:00"] }
days = { 2026-02-14 = ["09:00-12:00"], 2026-03-02 = [] }
[calendars.uk]
time_zone = "Europe/London"
hours = { mon = ["09:00-17:00"] }
[kpis]
choose = ["nps", "csat_rate"]
minimum_sample = { csat_rate = 10 }
[surveys.pulse]
closes_on = [2026-03-08, 2026-04-30]
[service_levels]
reopen_days = 3
[[service_levels.changes]]
valid_from = 2026-04-01
announced_on = 2026-03-02
approved_by = "HR"
reopen_days = 9
[[scoring.changes]]
valid_from = 2026-04-01
announced_on = 2026-03-02
approved_by = "HR"
grades = [{ grade = "pass", from = 0 }]
[[roles]]
role = "support"
team_id = ["T1", "T2"]
[[roles]]
role = "director"
leads = "managers"
[[queue_owners]]
queue_id = "*"
manager_id = "M1"
valid_from = 1999-01-01
[[sources]]
id = "x"
connector = "files"
owner = "x"
[[sources.streams]]
stream = "tickets"
path = "{month}.csv"
columns = { ticket_id = "id", created_at = "at" }
"""
TARGETS = """kpi_id,role,team_id,floor,target,stretch,weight,\
valid_from,valid_to,version,announced_on,approved_by
nps,*,*,0.1,0.2,0.3,2,2026-01-01,,1,2025-12-03,HR
csat_rate,cs_manager,T1,0.6,0.8,0.9,1,2026-01-01,2026-06-01,1,2025-12-03,HR
"""


@pytest.fixture
def con(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    (tmp_path / "perfhouse.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "targets.csv").write_text(TARGETS, encoding="utf-8")
    company = load_company(tmp_path)
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    for _ in range(2):  # writing again replaces
        config_tables.write(con, company, Month("2026-03"), Month("2026-04"))
    return con


def test_each_table_has_the_declared_columns_and_types(con: duckdb.DuckDBPyConnection) -> None:
    for name, columns in config_tables.TABLES.items():
        found = con.execute(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = 'config' and table_name = ? order by ordinal_position",
            [name],
        ).fetchall()
        full = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
        assert found == [(column, full.get(kind, kind)) for column, kind in columns.items()]


def test_the_month_and_the_last_window_are_half_open(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute("from config.months").fetchall()
    assert rows == [(date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1))]


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("locations", [("*", "Asia/Shanghai", "cn"), ("London", "Europe/London", "uk")]),
        ("kpis", [("csat_rate", 10)]),
        ("chosen_kpis", [("csat_rate",), ("nps",)]),
        ("grades", [("A", 100.0), ("B", 80.0), ("C", 60.0), ("D", 0.0)]),
        (
            "roles",
            [
                (1, "support", "*", "*", "T1", "*"),
                (1, "support", "*", "*", "T2", "*"),
                (2, "director", "managers", "*", "*", "*"),
            ],
        ),
        ("queue_owners", [("*", "M1", date(1999, 1, 1), None)]),
        (
            "settings",
            [
                ("answer_within_seconds", 20.0),
                ("certification_grace_days", 90.0),
                ("coverage_minimum", 0.6),
                ("reopen_days", 3.0),
                ("short_abandon_seconds", 5.0),
            ],
        ),
    ],
)
def test_small_tables_hold_what_the_company_says(
    con: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[object, ...]]
) -> None:
    assert con.execute(f"from config.{table}").fetchall() == rows


def test_the_offsets_that_dbt_is_handed_are_those_of_the_table(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rows = con.execute(
        "select case l.location when '*' then '*' else o.time_zone end as zone, "
        "cast(epoch(o.until_at) as bigint), o.offset_seconds from config.utc_offsets as o "
        "inner join config.locations as l on o.time_zone = l.time_zone "
        "group by 1, o.until_at, o.offset_seconds order by 1, o.until_at"
    ).fetchall()
    told: dict[str, list[list[int]]] = {}
    for zone, until, offset in rows:
        told.setdefault(zone, []).append([until, offset])
    march, april = Month("2026-03"), Month("2026-04")
    assert config_tables.clock_offsets(load_company(tmp_path), march, april) == told
    assert set(told) == {"*", "Europe/London"}
    assert {offset for _, offset in told["Europe/London"]} == {0, 3600}


def test_a_day_with_hours_of_its_own_has_them_and_no_others(
    con: duckdb.DuckDBPyConnection,
) -> None:
    seconds = (
        "select sum(open_until - open_from)::bigint from config.business_hours where calendar = "
        "'cn' and hour_at >= to_timestamp(?) and hour_at < to_timestamp(?)"
    )
    opened = {}
    for day in ("2026-02-14", "2026-03-02", "2026-03-09"):
        start = datetime.fromisoformat(f"{day}T00:00+08:00").timestamp()
        rows = con.execute(seconds, [start, start + 86_400]).fetchall()
        opened[day] = rows[0][0]
    assert opened == {"2026-02-14": 3 * 3600, "2026-03-02": 0, "2026-03-09": 9 * 3600}


def test_waves_end_at_the_companys_midnight_and_what_comes_after_the_last_is_a_line_too(
    con: duckdb.DuckDBPyConnection,
) -> None:
    rows = con.execute(
        "select survey_id, epoch(from_at)::bigint, epoch(until_at)::bigint, closes_on "
        "from config.survey_waves"
    ).fetchall()
    first, last = (
        round(datetime.fromisoformat(f"{day}T00:00+08:00").timestamp())
        for day in ("2026-03-09", "2026-05-01")
    )
    assert rows == [
        ("pulse", 0, first, date(2026, 3, 8)),
        ("pulse", first, last, date(2026, 4, 30)),
        ("pulse", last, None, None),
    ]


def test_clocks_reach_to_the_end_of_the_as_of_month(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    config_tables.write(con, load_company(tmp_path), Month("2026-07"), Month("2026-12"))
    midnight = f"to_timestamp({datetime(2027, 1, 1, tzinfo=UTC).timestamp()})"
    offset = con.execute(
        "select offset_seconds from config.utc_offsets where time_zone = 'Europe/London' "
        f"and from_at <= {midnight} and until_at > {midnight}"
    ).fetchall()
    hours = con.execute(
        f"select count(*) from config.business_hours where hour_at = {midnight}"
    ).fetchall()
    assert (offset, hours) == ([(0,)], [(2,)])


def test_a_month_has_the_grades_and_promises_in_force_in_it(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    days = "select value from config.settings where name = 'reopen_days'"
    assert con.execute(days).fetchall() == [(3.0,)]
    config_tables.write(con, load_company(tmp_path), Month("2026-04"), Month("2026-04"))
    assert con.execute(days).fetchall() == [(9.0,)]
    assert con.execute("from config.grades").fetchall() == [("pass", 0.0)]


def test_targets_keep_their_validity_and_version(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute(
        "select kpi_id, team_id, weight, valid_to, version from config.targets"
    ).fetchall()
    assert rows == [("csat_rate", "T1", 1.0, date(2026, 6, 1), "1"), ("nps", "*", 2.0, None, "1")]


def test_every_measure_has_a_limit_for_each_priority(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute(
        "select measure, count(*), count(distinct priority) from config.service_levels "
        "group by measure order by measure"
    ).fetchall()
    assert rows == [("complaint", 4, 4), ("first_reply", 4, 4), ("resolution", 4, 4)]


def test_local_time_is_the_instant_plus_its_offset(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute(
        "select time_zone, offset_seconds from config.utc_offsets where from_at <= "
        "timestamptz '2026-04-15 00:00:00+00' and until_at > timestamptz '2026-04-15 00:00:00+00'"
    ).fetchall()
    assert rows == [("Asia/Shanghai", 28800), ("Europe/London", 3600)]


def test_business_hours_hold_each_hour_once_per_calendar(con: duckdb.DuckDBPyConnection) -> None:
    assert con.execute(
        "select calendar, count(*) = count(distinct hour_at), "
        "count(*) * 3600 = date_diff('second', min(hour_at), max(hour_at)) + 3600 "
        "from config.business_hours group by calendar order by calendar"
    ).fetchall() == [("cn", True, True), ("uk", True, True)]
    monday = con.execute(
        "select sum(open_until - open_from) from config.business_hours where calendar = 'uk' "
        "and hour_at >= timestamptz '2026-03-30 00:00:00+00' "
        "and hour_at < timestamptz '2026-03-31 00:00:00+00'"
    ).fetchall()
    assert monday == [(8 * 3600,)]
