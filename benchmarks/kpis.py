"""Every KPI of a large month beside SQL written by hand for it, from the same landed files.

The product's models run through dbt as far as the sums of managers; the hand-written SQL
(`kpis_by_hand.sql`) keeps no facts. Both must find the same numerator and denominator of every KPI
and manager before a ratio is told.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks import measure, synthetic, transform
from benchmarks.measure import say
from benchmarks.results import Report, Table, number, times
from benchmarks.synthetic import MONTH

DEFAULT_SIZES = (1_000_000, 10_000_000)
DEFAULT_REPEATS = 2
GOAL = 2.0
MODEL = "kpi_manager_months"
SCRIPT = Path(__file__).with_name("kpis_by_hand.sql")
_THREADS = "2"
_COLUMNS = (
    *("ticket events", "calls", "KPIs", "rows", "runs", "models through dbt, s", "peak MiB"),
    *("by hand, s", "peak MiB", "seconds, models / by hand", "CPU, models / by hand"),
    *("of it parsing and the like, s", "whole build, s"),
)
_DIFFERENCES = """
select coalesce(m.kpi_id, h.kpi_id) || ' of ' || coalesce(m.manager_id, h.manager_id)
from (select * from product.kpis.{model} where month = date '{month}') as m
full join by_hand as h on m.kpi_id = h.kpi_id and m.manager_id = h.manager_id
where m.numerator is distinct from h.numerator or m.denominator is distinct from h.denominator
order by 1
"""
_NOTES = (
    "Models: settings and raw views written, then `dbt run` of all that `kpi_manager_months` "
    "needs, in a fresh process from importing dbt to the closed warehouse: facts of every row that "
    "counted, identities, management chains, references, intervals are made on the way and kept.",
    "By hand: `benchmarks/kpis_by_hand.sql`, one DuckDB session over the same files and settings, "
    "from connecting to closing; it knows this company alone and keeps nothing but the sums.",
    "Both have 2 threads and the same share of memory. The sums of every KPI and manager are "
    "compared, digit by digit, before anything is told. Ratios are medians of pairs.",
    "The whole build adds scorecards, explanations, monitors, exports and every test of the data.",
)


class Differs(RuntimeError):
    """Both sides do not say the same; the message names KPIs and managers."""


def run(options: argparse.Namespace) -> Report:
    """Measure each size: that many ticket events and as many calls."""
    sizes = options.size or DEFAULT_SIZES
    repeats = options.repeats or DEFAULT_REPEATS
    data = []
    for size in sizes:
        with measure.workspace(options.tmp, "kpis") as root:
            data.append(_size(root, size, repeats))
    title = f"All KPIs of a month: {synthetic.AGENTS:,} agents, {synthetic.TEAMS} managers; medians"
    table = Table(title, _COLUMNS, tuple(_row(entry) for entry in data))
    return Report("kpis", {"sizes": list(sizes), "goal": GOAL}, data, [table], _NOTES)


def _size(root: Path, size: int, repeats: int) -> dict[str, Any]:
    made = measure.call(fill, root=str(root), size=size)
    say(f"   {size:,} events, {size:,} calls: lake written in {made.seconds:.0f} s")
    with measure.heartbeat("whole build"):
        whole = measure.call(build, root=str(root))
    say(f"     whole build: {whole.value['seconds']:.1f} s, {whole.peak_mib:,.0f} MiB")
    ours, theirs = [], []
    for _ in range(repeats):
        with measure.heartbeat("models"):
            ours.append(measure.call(models, root=str(root)))
        with measure.heartbeat("by hand"):
            theirs.append(measure.call(by_hand, root=str(root)))
        a, b = ours[-1].value["seconds"], theirs[-1].value["seconds"]
        say(f"     models {a:.1f} s, by hand {b:.1f} s: {a / b:.2f}x; the same sums")
    return {
        "events": size,
        "rows": made.value["rows"],
        "repeats": repeats,
        **{name: theirs[-1].value[name] for name in ("kpis", "sums")},
        "seconds": measure.values(ours, "seconds"),
        "hand_seconds": measure.values(theirs, "seconds"),
        "cpu_seconds": measure.values(ours, "cpu_seconds"),
        "hand_cpu_seconds": measure.values(theirs, "cpu_seconds"),
        "other_seconds": measure.values(ours, "other_seconds"),
        "peak_mib": max(m.peak_mib for m in ours),
        "hand_peak_mib": max(m.peak_mib for m in theirs),
        "ratio": _ratio(ours, theirs, "seconds"),
        "cpu_ratio": _ratio(ours, theirs, "cpu_seconds"),
        "goal": GOAL,
        "build_seconds": whole.value["seconds"],
        "build_peak_mib": whole.peak_mib,
        "models": ours[-1].value["models"],
        "statements": theirs[-1].value["statements"],
    }


def _ratio(above: list[measure.Measured], below: list[measure.Measured], name: str) -> float:
    return measure.ratio(measure.values(above, name), measure.values(below, name))


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        number(entry["events"]),
        number(entry["rows"]["calls"]),
        number(entry["kpis"]),
        number(entry["sums"]),
        number(entry["repeats"]),
        number(measure.median(entry["seconds"]), 1),
        number(entry["peak_mib"]),
        number(measure.median(entry["hand_seconds"]), 1),
        number(entry["hand_peak_mib"]),
        times(entry["ratio"]),
        times(entry["cpu_ratio"]),
        number(measure.median(entry["other_seconds"]), 1),
        number(entry["build_seconds"], 1),
    )


# ---------------------------------------------------------------- in processes of their own


def fill(root: str, size: int) -> dict[str, Any]:
    """Write the company and its landed month; return the rows by stream."""
    from perfhouse.settings import Home

    synthetic.company(Path(root) / "company")
    return {"rows": synthetic.fill(Home(Path(root) / "home"), size, size)}


def build(root: str) -> dict[str, Any]:
    """Build the month as the product does; dbt parses the project here, as once on a machine."""
    from perfhouse import stages

    _two_threads()
    clock = measure.Clock()
    stages.build(_open(root), MONTH)
    return clock.read()


def models(root: str) -> dict[str, Any]:
    """Run what the sums of managers need, in a new warehouse; return the seconds of each model."""
    from perfhouse import build as builder
    from perfhouse import settings

    _two_threads()
    ws = _open(root)
    ws.home.warehouse.unlink()
    clock = measure.Clock()
    _prepare(ws, ws.home.warehouse)
    extra = builder.environment(ws.company, ws.home)
    with settings.dbt_environment(ws.home, MONTH, MONTH, extra):
        runs, failure = builder.run_dbt(["run", "--select", f"+{MODEL}"])
    took = clock.read()
    wrong = [f"{run.name}: {run.message}" for run in runs if run.status != "success"]
    if failure or wrong:
        raise RuntimeError(failure or "\n".join(wrong))
    _, _, busy = transform.executed(ws.home.dbt / "target" / "run_results.json")
    spent = {run.name: run.seconds for run in runs}
    return {**took, "other_seconds": took["seconds"] - busy, "models": spent}


def by_hand(root: str) -> dict[str, Any]:
    """Run the script over the same files, then compare; return the seconds of each statement.

    Raises:
        Differs: a KPI of a manager has other sums than the models gave it.
    """
    import duckdb

    from perfhouse import warehouse

    _two_threads()
    ws = _open(root)
    folder = Path(root) / "by_hand"
    shutil.rmtree(folder, ignore_errors=True)
    clock = measure.Clock()
    _prepare(ws, folder / "inputs.duckdb")
    con = warehouse.connect(folder / "inputs.duckdb")
    spent = []
    for statement in duckdb.extract_statements(SCRIPT.read_text(encoding="utf-8")):
        began = time.perf_counter()
        con.execute(statement)
        spent.append([time.perf_counter() - began, _title(statement.query)])
    con.execute("checkpoint")
    took = clock.read()
    found = _compared(con, ws.home.warehouse)
    con.close()
    return {**took, **found, "statements": spent}


def _compared(con: Any, product: Path) -> dict[str, int]:
    con.execute(f"attach '{product}' as product (read_only)")
    different = con.execute(_DIFFERENCES.format(model=MODEL, month=MONTH.start)).fetchall()
    if different:
        listed = ", ".join(row[0] for row in different[:10])
        raise Differs(f"{len(different)} sums differ, such as {listed}")
    counts = con.execute("select count(distinct kpi_id), count(*) from by_hand").fetchall()
    return {"kpis": counts[0][0], "sums": counts[0][1]}


def _title(query: str) -> str:
    """Return the first words of a statement, without the comments before it."""
    lines = [line for line in query.splitlines() if line and not line.startswith("--")]
    return lines[0][:60]


def _two_threads() -> None:
    os.environ["PERFHOUSE_THREADS"] = _THREADS


def _open(root: str) -> Any:
    from perfhouse import stages

    return stages.open_workspace(Path(root) / "company", Path(root), Path(root) / "home")


def _prepare(ws: Any, database: Path) -> None:
    """Write what both sides read: the company's settings and views of the landed files."""
    from connectors import streams
    from perfhouse import config_tables, lake, warehouse

    con = warehouse.connect(database)
    try:
        config_tables.write(con, ws.company, MONTH, MONTH)
        lake.create_raw_views(con, ws.home, ws.company, MONTH, MONTH, streams.declarations())
    finally:
        con.close()
