"""A month's dbt build beside the same compiled SQL run straight in DuckDB, and peak memory.

dbt and the bare engine take turns on the same lake; each run is a process of its own and starts
from a warehouse without any model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks import measure, synthetic
from benchmarks.measure import say
from benchmarks.results import Report, Table, number, times
from benchmarks.synthetic import MONTH

DEFAULT_SIZES = (1_000_000, 10_000_000)
DEFAULT_REPEATS = 3
_LARGE, _LARGE_REPEATS = 5_000_000, 2  # minutes each
GOAL = 1.2
_COLUMNS = (
    *("ticket events", "runs", "build, s", "peak MiB", "same SQL direct, s", "peak MiB"),
    *("seconds, build / direct", "CPU, build / direct"),
    *("first build (parses), s", "/ direct", "built again, s"),
)
_SHARES = (
    *("ticket events", "dbt imported, s", "parsing and all else, s", "models, s", "tests, s"),
    "slowest statements",
)
_NOTES = (
    "Build: `stages.build` in a fresh process, from importing dbt to the closed warehouse: "
    "settings and raw views written, every model, every data test, the run recorded. dbt has "
    "parsed the project before, as on any machine that has built a month.",
    "Direct: the statements that dbt ran for models and tests, in its order, through one DuckDB "
    "connection with the same limits, on a copy of the same inputs, from connecting to closing.",
    "Ratios are medians of pairs run one after the other.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure each size."""
    sizes = options.size or DEFAULT_SIZES
    data = []
    for events in sizes:
        repeats = options.repeats or (_LARGE_REPEATS if events > _LARGE else DEFAULT_REPEATS)
        with measure.workspace(options.tmp, "transform") as root:
            data.append(_size(root, events, repeats))
    title = f"One month: {synthetic.AGENTS:,} agents, {synthetic.TEAMS} managers"
    tables = [
        Table(f"{title}; medians", _COLUMNS, tuple(_row(entry) for entry in data)),
        Table("Where the build's seconds go", _SHARES, tuple(_shares(entry) for entry in data)),
    ]
    return Report("transform", {"sizes": list(sizes)}, data, tables, _NOTES)


def _size(root: Path, events: int, repeats: int) -> dict[str, Any]:
    made = measure.call(fill, root=str(root), events=events)
    rows = made.value["rows"]
    listed = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    say(f"   {events:,} events: lake written in {made.seconds:.0f} s ({listed})")
    with measure.heartbeat("first build"):
        first = measure.call(build, root=str(root), keep=False)
    said = f"{first.value['seconds']:.1f} s, {first.peak_mib:,.0f} MiB"
    say(f"     first build, parsing the project: {said}")
    collected = measure.call(collect, root=str(root))
    say(f"     {collected.value['models']} models, {collected.value['tests']} tests")
    builds, directs = [], []
    for _ in range(repeats):
        with measure.heartbeat("build"):
            builds.append(measure.call(build, root=str(root), keep=False))
        with measure.heartbeat("direct"):
            directs.append(measure.call(direct, root=str(root)))
        b, d = builds[-1].value["seconds"], directs[-1].value["seconds"]
        say(f"     build {b:.1f} s, direct {d:.1f} s: {b / d:.2f}x")
    with measure.heartbeat("building again"):
        again = measure.call(build, root=str(root), keep=True)
    say(f"     the same month again: {again.value['seconds']:.1f} s")
    return {
        "events": events,
        "repeats": repeats,
        "rows": rows,
        **collected.value,
        "first_seconds": first.value["seconds"],
        "again_seconds": again.value["seconds"],
        "again_peak_mib": again.peak_mib,
        "seconds": measure.values(builds, "seconds"),
        "direct_seconds": measure.values(directs, "seconds"),
        "cpu_seconds": measure.values(builds, "cpu_seconds"),
        "direct_cpu_seconds": measure.values(directs, "cpu_seconds"),
        "peak_mib": max(m.peak_mib for m in builds),
        "direct_peak_mib": max(m.peak_mib for m in directs),
        "ratio": _ratio(builds, directs, "seconds"),
        "cpu_ratio": _ratio(builds, directs, "cpu_seconds"),
        "goal": GOAL,
        "parts": [m.value["parts"] for m in builds],
        "nodes": builds[-1].value["nodes"],
        "direct_nodes": directs[-1].value["nodes"],
    }


def _ratio(above: list[measure.Measured], below: list[measure.Measured], name: str) -> float:
    return measure.ratio(measure.values(above, name), measure.values(below, name))


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    least = measure.median(entry["direct_seconds"])
    return (
        number(entry["events"]),
        number(entry["repeats"]),
        number(measure.median(entry["seconds"]), 1),
        number(entry["peak_mib"]),
        number(least, 1),
        number(entry["direct_peak_mib"]),
        times(entry["ratio"]),
        times(entry["cpu_ratio"]),
        number(entry["first_seconds"], 1),
        times(entry["first_seconds"] / least),
        number(entry["again_seconds"], 1),
    )


def _shares(entry: dict[str, Any]) -> tuple[str, ...]:
    parts = {
        name: measure.median([part[name] for part in entry["parts"]]) for name in entry["parts"][0]
    }
    slowest = sorted(entry["direct_nodes"].items(), key=lambda node: -node[1])[:3]
    return (
        number(entry["events"]),
        number(parts["import"], 1),
        number(parts["rest"], 1),
        number(parts["models"], 1),
        number(parts["tests"], 1),
        ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest),
    )


# ---------------------------------------------------------------- in processes of their own


def fill(root: str, events: int) -> dict[str, Any]:
    """Write the company and its landed month; return the rows by stream."""
    from perfhouse.settings import Home

    synthetic.company(Path(root) / "company")
    return {"rows": synthetic.fill(Home(Path(root) / "home"), events)}


def build(root: str, keep: bool) -> dict[str, Any]:
    """Build the month with dbt; `keep` leaves the models of the build before in place."""
    from perfhouse import stages

    ws = stages.open_workspace(Path(root) / "company", Path(root), Path(root) / "home")
    if not keep:
        ws.home.warehouse.unlink(missing_ok=True)
    clock = measure.Clock()
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: F401
    from dbt.cli.main import dbtRunner  # noqa: F401

    imported = clock.read()["seconds"]
    result = stages.build(ws, MONTH)
    took = clock.read()
    models, tests, spent = executed(result.run_results)
    return {
        **took,
        "nodes": dict(result.seconds),
        "parts": {
            "import": imported,
            "rest": took["seconds"] - imported - spent,
            "models": models,
            "tests": tests,
        },
    }


def executed(run_results: Path) -> tuple[float, float, float]:
    """Return wall seconds in which models ran, tests ran, anything ran; dbt runs some at once."""
    from datetime import datetime

    found = json.loads(run_results.read_text(encoding="utf-8"))["results"]
    spans: dict[str, list[tuple[float, float]]] = {"model": [], "test": []}
    for result in found:
        kind = "test" if result["unique_id"].startswith("test.") else "model"
        for timing in result["timing"]:
            ends = [
                datetime.fromisoformat(timing[word].replace("Z", "+00:00")).timestamp()
                for word in ("started_at", "completed_at")
            ]
            spans[kind].append((ends[0], ends[1]))
    together = _covered(spans["model"] + spans["test"])
    models = _covered(spans["model"])
    return models, together - models, together


def _covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def collect(root: str) -> dict[str, Any]:
    """Keep the statements that dbt ran, and a copy of the warehouse before any model."""
    from connectors import streams
    from perfhouse import config_tables, lake, stages, warehouse

    ws = stages.open_workspace(Path(root) / "company", Path(root), Path(root) / "home")
    folder = Path(root) / "direct"
    shutil.rmtree(folder, ignore_errors=True)
    con = warehouse.connect(folder / "inputs" / "warehouse.duckdb")
    config_tables.write(con, ws.company, MONTH, MONTH)
    lake.create_raw_views(con, ws.home, ws.company, MONTH, MONTH, streams.declarations())
    con.close()
    statements = _statements(ws.home.dbt / "target")
    (folder / "statements.json").write_text(json.dumps(statements), encoding="utf-8")
    kinds = [kind for _, kind, _ in statements]
    return {"models": kinds.count("model"), "tests": kinds.count("test")}


def _statements(target: Path) -> list[tuple[str, str, str]]:
    """Return (name, kind, SQL) of what dbt ran, in the order it finished: dependencies first.

    dbt makes views and replaced tables under a temporary name and renames them; here they get
    their name at once.
    """
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    ran = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    statements = []
    for result in ran:
        node = nodes.get(result["unique_id"])
        if node is None or node["resource_type"] not in ("model", "test"):
            continue
        compiled = Path(node["compiled_path"])
        compiled = compiled if compiled.is_absolute() else target.parents[1] / compiled
        path = target / "run" / compiled.relative_to(target / "compiled")
        sql = (path if path.exists() else compiled).read_text(encoding="utf-8")
        statements.append((node["name"], node["resource_type"], sql.replace("__dbt_tmp", "")))
    return statements


def direct(root: str) -> dict[str, Any]:
    """Run the same statements through one connection; return the seconds of each."""
    from perfhouse import warehouse

    folder = Path(root) / "direct"
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(folder / "inputs", work)
    statements = json.loads((folder / "statements.json").read_text(encoding="utf-8"))
    schemas = ("staging", "core", "kpis", "scorecards", "exports")
    nodes: dict[str, float] = {}
    clock = measure.Clock()
    con = warehouse.connect(work / "warehouse.duckdb")
    for schema in schemas:
        con.execute(f"create schema if not exists {schema}")
    for name, kind, sql in statements:
        start = time.perf_counter()
        cursor = con.execute(sql)
        if kind == "test":
            cursor.fetchall()
        nodes[name] = time.perf_counter() - start
    con.close()
    took = clock.read()
    shutil.rmtree(work)
    return {**took, "nodes": nodes}
