"""How long the managers' cards take: made-up scorecards of a month, every page and PDF written.

The tables are those that cards read, filled by SQL with the project's own KPIs; only reading and
rendering is measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from benchmarks import measure
from benchmarks.measure import say
from benchmarks.results import Report, Table, number
from perfhouse import settings, warehouse
from perfhouse.month import Month

DEFAULT_MANAGERS = 5_000
KINDS = {"html": 2, "pdf": 1}  # how often each is run
GOALS = {"html": 60, "pdf": 360}  # seconds
MONTH = Month("2026-09")
KPIS = 20
AGENTS = 12
_NOTES = (
    f"A card: {KPIS} KPIs with target, median and interval, what moved each of them and the total, "
    f"a year of totals, {AGENTS} agents of whom the four weakest KPIs are listed; all alike.",
    "HTML: one process, one thread but for DuckDB's reading. PDF: a typesetter on each core, and "
    "one process that describes the cards to them.",
    "CPU seconds are of all processes with their start; MiB is the peak of the largest of them.",
    f"The goals for {DEFAULT_MANAGERS:,} managers on two cores: HTML {GOALS['html']} s, PDF "
    f"{GOALS['pdf']} s.",
)
_TABLES = """
create schema scorecards; create schema kpis; create schema core; create schema config;
create temp table managers as
    select 'M' || (10000 + n) as manager_id, n from range({managers}) as r(n);
create table scorecards.scorecard_kpi_months as
    select date '{month}' as month, manager_id, k.kpi_id, k.version as kpi_version,
        321.0 as numerator, 400.0 as denominator, 400 as sample_size, v as value,
        v * 0.99 as shrunk_value, v * 0.95 as ci_low, v * 1.04 as ci_high, 0.5 as floor,
        0.8 as target, 0.9 as stretch, 0.05 as weight,
        least(120, greatest(0, (v * 0.99 - 0.5) / 0.3 * 100)) as score, 'scored' as status,
        '2026-v1' as target_version, n % 7 = 0 as is_provisional,
        case when n % 5 = 0 then 'better' else 'no_clear_change' end as change_status
    from (select *, 0.6 + ((n * 7 + position * 13) % 30) / 100 as v from managers, kpis_chosen as k)
        as k;
insert into scorecards.scorecard_kpi_months
    select * replace (cast(month - interval 1 month as date) as month,
        (score * 7 + 31) % 120 as score) from scorecards.scorecard_kpi_months;
create table scorecards.scorecard_manager_months as
    select cast(date '{month}' - to_months(cast(back as integer)) as date) as month, manager_id,
        'front_line' as role, 60 + (n * 3 + back) % 50 as total_score, 'B' as grade,
        1 + n as rank, 1 + n as rank_low, 9 + n as rank_high, {managers} as peer_count,
        1.0 as coverage_rate, 1.5::double as change, 70.0 as previous_total_score,
        {agents} as agent_count, 30 as exposure_days, 'scored' as status, 55.0 as total_low,
        65.0 as total_high, 'no_clear_change' as change_status
    from managers, range(12) as r(back);
update scorecards.scorecard_manager_months as m set change = k.change from (
    select manager_id, avg(score) filter (where month = date '{month}')
        - avg(score) filter (where month < date '{month}') as change
    from scorecards.scorecard_kpi_months group by all) as k
    where k.manager_id = m.manager_id and m.month = date '{month}';
create table scorecards.scorecard_explanations as
    select month, manager_id, kpi_id, 0.021 as value_change, 0.008 as mix_effect
    from scorecards.scorecard_kpi_months where month = date '{month}';
create table core.dim_managers as
    select date '{month}' as month, manager_id, '经理 ' || n as display_name,
        'T' || n as team_id, '第 ' || n || ' 组' as team_name from managers;
create table core.dim_employees as
    select date '{month}' as month, 'E' || n || '-' || a as employee_id,
        '员工 ' || n || '-' || a as display_name, date '{month}' as valid_from
    from managers, range({agents}) as r(a);
create table kpis.kpi_employee_months as
    select date '{month}' as month, kpi_id, manager_id, 'E' || n || '-' || a as employee_id,
        20.0 + (a + n) % 12 as numerator, 34.0 as denominator
    from managers, kpis_chosen, range({agents}) as r(a);
create table config.grades as select * from (values ('A', 100.0), ('B', 80.0), ('C', 60.0))
    as t(grade, from_score);
create table config.settings as select 'coverage_minimum' as name, 0.6 as value;
"""


def run(options: argparse.Namespace) -> Report:
    """Measure the cards of so many managers, each run in a fresh process."""
    sizes = options.size or (DEFAULT_MANAGERS,)
    kinds = [kind for kind in KINDS if not options.only or kind in options.only.split(",")]
    data: list[dict[str, Any]] = []
    with measure.workspace(options.tmp, "cards") as root:
        for managers in sizes:
            file = root / f"{managers}.duckdb"
            measure.call(fill, file=str(file), managers=managers)
            for kind in kinds:
                for nth in range(options.repeats or KINDS[kind]):
                    out = root / f"{managers}-{kind}-{nth}"
                    found = measure.call(
                        render if kind == "html" else set_pdf, file=str(file), out=str(out)
                    )
                    data.append(_entry(kind, managers, found))
                    say(f"   {managers:,} managers, {kind}: {found.value['seconds']:.1f} s")
    table = Table(
        "Cards of a month, median of the runs",
        ("cards", "managers", "runs", "seconds", "CPU s", "ms a card", "largest, bytes", "MiB"),
        tuple(_row(kind, managers, data) for managers in sizes for kind in kinds),
    )
    settings = {"kpis": KPIS, "agents": AGENTS, "goal_seconds": GOALS}
    return Report("cards", settings, data, [table], _NOTES)


def _entry(kind: str, managers: int, found: measure.Measured) -> dict[str, Any]:
    usage = {"cpu_seconds": round(found.cpu_seconds, 2), "peak_mib": found.peak_mib}
    return {"kind": kind, "managers": managers, **found.value, **usage}


def _row(kind: str, managers: int, data: list[dict[str, Any]]) -> tuple[str, ...]:
    runs = [entry for entry in data if (entry["kind"], entry["managers"]) == (kind, managers)]
    seconds = measure.median([entry["seconds"] for entry in runs])
    return (
        *(kind.upper(), number(managers), number(len(runs)), number(seconds, 1)),
        number(measure.median([entry["cpu_seconds"] for entry in runs]), 1),
        number(1000 * seconds / managers, 1),
        number(max(entry["largest_bytes"] for entry in runs)),
        number(max(entry["peak_mib"] for entry in runs)),
    )


def fill(file: str, managers: int) -> dict[str, Any]:
    """Write a warehouse with the tables that cards read."""
    with warehouse.connect(Path(file)) as con:
        con.execute(
            "create temp table kpis_chosen (kpi_id varchar, version varchar, position integer)"
        )
        chosen = catalogue()[:KPIS]
        for position, kpi in enumerate(chosen):
            values = [kpi["id"], str(kpi["version"]), position]
            con.execute("insert into kpis_chosen values (?, ?, ?)", values)
        shape = {"managers": managers, "agents": AGENTS, "month": MONTH.start}
        con.execute(_TABLES.format(**shape))
        con.execute(
            "create table kpis.kpi_definitions (kpi_id varchar, version varchar, name_en varchar, "
            "name_zh varchar, definition_en varchar, definition_zh varchar, category varchar, "
            "unit varchar, direction varchar, minimum_sample bigint, is_suppressed boolean, "
            "credit_to varchar)"
        )
        for kpi in chosen:
            words = [kpi[key] for key in ("name_en", "name_zh", "definition_en", "definition_zh")]
            values = [kpi["id"], str(kpi["version"]), *words, kpi["category"]]
            con.execute(
                "insert into kpis.kpi_definitions "
                "values (?, ?, ?, ?, ?, ?, ?, 'rate', 'up', 10, false, 'employee')",
                values,
            )
    return {}


def render(file: str, out: str) -> dict[str, Any]:
    """Write all cards; return seconds and the largest page."""
    from perfhouse import cards

    with warehouse.connect(Path(file), read_only=True) as con:
        clock = measure.Clock()
        paths = cards.render_all(con, MONTH, Path(out), release={"number": 1})
        taken = clock.read()
    sizes = [path.stat().st_size for path in paths if path.name != "index.html"]
    return {**taken, "largest_bytes": max(sizes)}


def set_pdf(file: str, out: str) -> dict[str, Any]:
    """Write all cards as PDF; return seconds and the largest file."""
    from perfhouse import card_pdf
    from perfhouse.card_reading import read_sheet

    Path(out).mkdir()
    with warehouse.connect(Path(file), read_only=True) as con:
        clock = measure.Clock()
        sheet = read_sheet(con, MONTH, {"number": 1})
        paths = card_pdf.write_all(sheet, MONTH, Path(out), lambda line: say(f"      {line}"))
        taken = clock.read()
    return {**taken, "largest_bytes": max(path.stat().st_size for path in paths)}


def catalogue() -> list[dict[str, Any]]:
    """Read every KPI of the project: its id and what its file says of it."""
    found = []
    for file in sorted((settings.project_dir() / "models" / "kpis").glob("*.yml")):
        for metric in yaml.safe_load(file.read_text(encoding="utf-8")).get("metrics", ()):
            kpi = metric.get("config", {}).get("meta", {}).get("kpi")
            if kpi:
                found.append({"id": metric["name"], **kpi})
    return found
