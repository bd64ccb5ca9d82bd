"""Business minutes of many intervals under twenty schedules, by the SQL that the models use.

The schedules differ in zone, hours and holidays; intervals last from seconds to three weeks. A
sample is counted again from each calendar's openings, second by second, before anything is timed.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

from benchmarks import measure, synthetic
from benchmarks.measure import say
from benchmarks.results import Report, Table, number
from benchmarks.synthetic import MONTH

DEFAULT_SIZES = (1_000_000, 10_000_000)
DEFAULT_REPEATS = 3
GOAL = 15.0
SCHEDULES = 20
_SAMPLE = 500
_ZONES = (
    *("Asia/Shanghai", "America/Los_Angeles", "Europe/London", "Asia/Kolkata"),
    "Australia/Adelaide",
)
# Rendered by dbt, so that what is timed is the macro and not a copy of it.
_INLINE = """
with intervals as (select * from bench.intervals),
{{ open_time_ctes('interval_no') }}
select ticket_key, interval_no, business_seconds from open_times
"""
_NOTES = (
    "The SQL is the macro `open_time_ctes` as dbt renders it, run in DuckDB with 2 threads: every "
    "interval is looked up in the calendar of its schedule at both ends; one ticket in a hundred "
    "changes its schedule, and its intervals are cut there.",
    "Writing the calendars themselves (zoneinfo, 20 schedules, 16 months) is its own column.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure each size."""
    sizes = options.size or DEFAULT_SIZES
    repeats = options.repeats or DEFAULT_REPEATS
    data = []
    for size in sizes:
        with measure.workspace(options.tmp, "business_minutes") as root:
            found = measure.call(timed, root=str(root), size=size, repeats=repeats)
        entry = {**found.value, "intervals": size, "peak_mib": found.peak_mib, "goal": GOAL}
        say(f"   {size:,} intervals: {measure.median(entry['seconds']):.1f} s")
        data.append(entry)
    table = Table(
        f"Business minutes, {SCHEDULES} schedules; medians of {repeats}",
        ("intervals", "seconds", "slowest", "intervals/s", "peak MiB", "calendars, s"),
        tuple(
            (
                number(entry["intervals"]),
                number(measure.median(entry["seconds"]), 1),
                number(max(entry["seconds"]), 1),
                number(entry["intervals"] / measure.median(entry["seconds"])),
                number(entry["peak_mib"]),
                number(entry["calendar_seconds"], 1),
            )
            for entry in data
        ),
    )
    return Report("business_minutes", {"repeats": repeats}, data, [table], _NOTES)


# ---------------------------------------------------------------- in a process of its own


def timed(root: str, size: int, repeats: int) -> dict[str, Any]:
    """Prepare a home, check a sample, then time the whole; return the seconds of each run."""
    from perfhouse import warehouse
    from perfhouse.settings import Home

    home = Home(Path(root) / "home").ensure()
    company = _company(Path(root) / "company")
    began = time.perf_counter()
    _prepare(company, home)
    calendar_seconds = time.perf_counter() - began
    sql = _rendered(company, home)
    con = warehouse.connect(home.warehouse)
    try:
        con.execute("set threads = 2")
        _fill(con, size)
        _check(con, sql, company)
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            con.execute(f"create or replace temp table found as {sql}")
            seconds.append(time.perf_counter() - began)
        counted = con.execute("select count(business_seconds) from found").fetchall()[0][0]
    finally:
        con.close()
    if counted != size:
        raise RuntimeError(f"{size - counted} intervals have no business time")
    return {"seconds": seconds, "calendar_seconds": calendar_seconds}


def _company(folder: Path) -> Any:
    """Return the benchmark's company with twenty calendars."""
    from dataclasses import replace
    from datetime import timedelta

    from perfhouse.company import load_company
    from perfhouse.company_types import Calendar

    synthetic.company(folder)
    calendars = {}
    for n in range(SCHEDULES):
        opens, shuts = 3600 * (6 + n % 4) + 900 * (n % 3), 3600 * (15 + n % 6) + 1800 * (n % 2)
        days = range(5 + n % 3)
        holidays = frozenset(MONTH.start - timedelta(days=7 * n + k) for k in range(3))
        hours = {day: ((opens, shuts),) for day in days}
        calendars[f"s{n:02d}"] = Calendar(_ZONES[n % len(_ZONES)], hours, holidays)
    loaded = load_company(folder)
    return replace(loaded, calendars={**loaded.calendars, **calendars})


def _prepare(company: Any, home: Any) -> None:
    from perfhouse import config_tables, warehouse

    con = warehouse.connect(home.warehouse)
    try:
        config_tables.write(con, company, MONTH, MONTH)
    finally:
        con.close()


def _rendered(company: Any, home: Any) -> str:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    from perfhouse import build, settings

    project = str(settings.project_dir())
    words = ["compile", "--inline", _INLINE, "--quiet", "--project-dir", project]
    with settings.dbt_environment(home, MONTH, MONTH, build.environment(company, home)):
        try:
            done = dbtRunner().invoke([*words, "--profiles-dir", project])
        finally:
            DuckDBConnectionManager.close_all_connections()
    if done.exception is not None:
        raise done.exception
    result: Any = done.result
    return str(result.results[0].node.compiled_code)


def _fill(con: Any, size: int) -> None:
    """Write the intervals, schedules of one ticket in a hundred, and the calendars as a view."""
    con.execute("create schema if not exists bench; create schema if not exists core")
    con.execute(
        "create view core.dim_business_hours as select calendar, epoch(hour_at)::bigint // 3600 "
        "as hour_number, seconds_before, open_from, open_until from config.business_hours"
    )
    begin = f"timestamptz '{MONTH.start} 00:00:00+00:00'"
    con.execute(
        "create table bench.intervals as select md5((i // 10)::varchar) as ticket_key, "
        f"i % 10 as interval_no, format('s{{:02d}}', (i // 10) % {SCHEDULES}) as calendar, "
        f"{begin} + to_seconds((hash(i) % 1000000)::bigint) as from_at, "
        f"from_at + to_seconds((hash(i, 1) % 1800000)::bigint) as until_at "
        f"from range({size}) as r(i)"
    )
    con.execute(
        "create table core.fct_ticket_schedules as with t as (select distinct ticket_key from "
        "bench.intervals where hash(ticket_key) % 100 = 0) select date "
        f"'{MONTH.start}' as month, ticket_key, case n when 1 then 's07' end as calendar, "
        f"if(n = 0, timestamptz '1900-01-01 00:00:00+00', {begin} + interval 10 day) as from_at, "
        f"if(n = 1, timestamptz '2999-01-01 00:00:00+00', {begin} + interval 10 day) as until_at "
        "from t, range(2) as r(n)"
    )


def _check(con: Any, sql: str, company: Any) -> None:
    """Count a sample of intervals again from the calendars' own openings."""
    from perfhouse.calendars import openings, span

    start, end = span(MONTH)
    opened = {name: list(openings(c, start, end)) for name, c in company.calendars.items()}
    rows = con.execute(
        f"select f.business_seconds, i.calendar, epoch(i.from_at), epoch(i.until_at), "
        f"s.ticket_key is not null, epoch(s.from_at), f.ticket_key, f.interval_no from ({sql}) f "
        "join bench.intervals i using (ticket_key, interval_no) left join (select * from "
        "core.fct_ticket_schedules where calendar is not null) s using (ticket_key) "
        "where hash(f.ticket_key) % 100 < 2 order by f.ticket_key, f.interval_no"
    ).fetchall()
    for row in random.Random(1).sample(rows, min(_SAMPLE, len(rows))):
        found, calendar, low, high, is_cut, cut_at, *_ = row
        middle = min(max(cut_at, low), high) if is_cut else high
        parts = ((calendar, low, middle), ("s07", middle, high))
        known = sum(
            max(0, min(shut, until) - max(at, begins))
            for name, begins, until in parts
            for at, shut in opened[name]
        )
        if found != known:
            raise RuntimeError(f"business seconds: {found} of {row}, counted again {known}")
