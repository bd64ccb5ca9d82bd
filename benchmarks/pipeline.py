"""The whole path under the real scheduler: `make run` twice, and one month from arrival to release.

Runs the product's own commands; the times of tasks come from Airflow's metadata database.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import components, measure
from benchmarks.measure import say
from benchmarks.results import Report, Table, number

DEFAULT_REPEATS = 2
GOAL_SECONDS = 180
_STEPS = ("gate_raw", "build", "gate_facts", "gate_scorecards", "publish")
_SIZES = ("rss_mib", "pss_mib")
_TASKS = """
select r.dag_id, r.partition_key, r.queued_at, t.task_id, t.start_date, t.end_date
from task_instance as t
join dag_run as r on t.dag_id = r.dag_id and t.run_id = r.run_id
where t.state = 'success'
    and t.task_id in ('ingest', 'gate_raw', 'build', 'gate_facts', 'gate_scorecards', 'publish')
order by t.end_date
"""
_NOTES = (
    "`make run` is its two commands, `perfhouse demo` and `perfhouse airflow run`, with the "
    "default demo company and one source of one month sent again; the environment is installed. "
    "Second: the same commands over the same home, Airflow's metadata made anew.",
    "Peak is the most memory that all its processes held together, shared pages counted once, "
    "looked at twice a second.",
    "One month: Airflow runs and is idle, all five sources of one month of the demo company are "
    "delivered at once. Landed to published: from the end of the last source's landing to the end "
    "of `publish`; waiting is what no task of ours ran.",
    "Of Airflow's processes RSS counts shared pages for each, PSS once; the most that was seen, "
    "looked at every second.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure `make run` twice, then one month on its own."""
    repeats = options.repeats or DEFAULT_REPEATS
    with measure.workspace(options.tmp, "pipeline") as root:
        cached = _bytecode_is_cached()
        runs = [_make_run(root, nth) for nth in (1, 2)]
        identical = runs[0]["releases"] == runs[1]["releases"]
        say(f"   releases of the second run {'are identical' if identical else 'DIFFER'}")
        single = [_one_month(root) for _ in range(repeats)]
    data: list[dict[str, Any]] = [
        *({"what": "make run", "bytecode_cached": cached, **entry} for entry in runs),
        *({"what": "one month", **entry} for entry in single),
    ]
    tables = [_totals(runs, identical), _latency(single), _memory(single)]
    settings = {"repeats": repeats, "goal_seconds": GOAL_SECONDS, "identical_releases": identical}
    notes = (*_NOTES, _said_of_bytecode(cached))
    return Report("pipeline", settings, data, tables, notes)


def _said_of_bytecode(cached: bool) -> str:
    if cached:
        return "Python's bytecode of the installed packages was there before the first run."
    return "The first run also compiles the Python bytecode of every package it imports."


def _bytecode_is_cached() -> bool:
    import sqlalchemy

    folder = Path(sqlalchemy.__file__).parent / "__pycache__"
    return folder.is_dir() and any(folder.glob(f"*.{sys.implementation.cache_tag}.pyc"))


# ---------------------------------------------------------------- make run


def _make_run(root: Path, nth: int) -> dict[str, Any]:
    home = root / "home"
    perfhouse = [sys.executable, "-m", "perfhouse.cli"]
    places = ["--company", str(home / "demo" / "company"), "--data", str(home / "demo" / "sources")]
    log = root / f"run-{nth}.log"
    made = measure.tree([*perfhouse, "demo", "--out", str(home / "demo")], root / f"demo-{nth}.log")
    say(f"   make run, {nth}: demo company after {made.seconds:.0f} s")
    with measure.heartbeat("airflow run"):
        ran = measure.tree([*perfhouse, "airflow", "run", *places, "--home", str(home)], log)
    say(f"   make run, {nth}: {made.seconds + ran.seconds:.0f} s, {ran.peak_mib:,.0f} MiB")
    months = _months(home / "airflow" / "metadata" / "airflow.db")
    return {
        "run": nth,
        "demo_seconds": made.seconds,
        "airflow_seconds": ran.seconds,
        "seconds": made.seconds + ran.seconds,
        "ready_seconds": _ready(log),
        "peak_mib": max(made.peak_mib, ran.peak_mib),
        "rows_in": _rows_in(home),
        "releases": _releases(home),
        "months": months,
    }


def _ready(log: Path) -> float | None:
    """Return how long Airflow took to be ready, as the command says."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("Airflow is ready after "):
            return float(line.split()[4])
    return None


def _rows_in(home: Path) -> int:
    total = 0
    for path in (home / "raw" / "_manifests").glob("month=*/source=*.json"):
        streams = json.loads(path.read_text(encoding="utf-8"))["streams"]
        total += sum(stream["rows_in"] for stream in streams.values())
    return total


def _releases(home: Path) -> dict[str, str]:
    """Return the hash of every release."""
    found = {}
    for path in sorted((home / "published").glob("*/r*/release.json")):
        body = json.loads(path.read_text(encoding="utf-8"))
        found[f"{body['month']}.r{body['number']}"] = body["release_sha256"]
    return found


# ---------------------------------------------------------------- one month


def _one_month(root: Path) -> dict[str, Any]:
    with measure.heartbeat("one month"):
        measured = measure.call(deliver_one_month, root=str(root))
    found: dict[str, Any] = measured.value["months"][0]
    found["components"] = measured.value["components"]
    say(
        f"   one month: {found['landed_to_published']:.1f} s from landed, "
        f"{found['delivered_to_published']:.1f} s from delivered to published"
    )
    return found


def deliver_one_month(root: str) -> dict[str, Any]:
    """Run the demo's first month through an embedded Airflow of its own."""
    from perfhouse import embedded, stages
    from perfhouse.month import Month

    demo = Path(root) / "home" / "demo"
    home = Path(root) / "single"
    shutil.rmtree(home, ignore_errors=True)
    month = Month(json.loads((demo / "demo.json").read_text(encoding="utf-8"))["months"][0])
    ws = stages.open_workspace(demo / "company", demo / "sources", home)
    with components.watching(home) as seen:
        embedded.run(ws, say, months=[month])
    months = _months(home / "airflow" / "metadata" / "airflow.db")
    shutil.rmtree(home)
    return {"months": months, "components": {name: each.told() for name, each in seen.items()}}


def _months(database: Path) -> list[dict[str, Any]]:
    """Return, for the first release of each month, how long every step took and waited."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as con:
        tasks = con.execute(_TASKS).fetchall()
    found = []
    for month in sorted({task[1] for task in tasks}):
        steps: dict[str, tuple[float, float]] = {}
        landed = queued = 0.0
        for _, key, queued_at, task, start, end in tasks:
            if key != month or task in steps:
                continue
            if task in _STEPS:
                steps[task] = (_seconds(start), _seconds(end))
            elif not steps:  # delivered before the month was first judged
                landed, queued = max(landed, _seconds(end)), max(queued, _seconds(queued_at))
        if set(steps) == set(_STEPS):
            found.append(_latencies(month, queued, landed, steps))
    return found


def _latencies(
    month: str, queued: float, landed: float, steps: dict[str, tuple[float, float]]
) -> dict[str, Any]:
    worked = {name: end - start for name, (start, end) in steps.items()}
    published = steps["publish"][1]
    total = published - landed
    return {
        "month": month,
        "landed_to_published": total,
        "delivered_to_published": published - queued,
        **worked,
        "waiting": total - sum(worked.values()),
    }


def _seconds(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


# ---------------------------------------------------------------- tables


def _totals(runs: list[dict[str, Any]], identical: bool) -> Table:
    rows = [
        (
            f"make run, {('first', 'second')[entry['run'] - 1]}",
            number(entry["seconds"]),
            number(entry["demo_seconds"]),
            number(entry["ready_seconds"] or 0),
            number(entry["airflow_seconds"] - (entry["ready_seconds"] or 0)),
            number(entry["peak_mib"]),
            number(entry["rows_in"]),
            str(len(entry["releases"])),
        )
        for entry in runs
    ]
    same = "identical" if identical else "DIFFERENT"
    return Table(
        f"The demo company from nothing to releases; release hashes of the two runs: {same}",
        (
            *("", "total, s", "writing the sources, s", "starting Airflow, s", "the months, s"),
            *("peak MiB", "rows in", "releases"),
        ),
        tuple(rows),
    )


def _memory(single: list[dict[str, Any]]) -> Table:
    """Show the most memory that each process of Airflow held in any of the runs."""
    rows = [
        (
            name,
            *(number(max(e["components"][name][of] for e in single)) for of in _SIZES),
        )
        for name in single[0]["components"]
    ]
    return Table(
        "Airflow's processes in that month",
        ("component", "most RSS, MiB", "most PSS, MiB"),
        tuple(rows),
    )


def _latency(single: list[dict[str, Any]]) -> Table:
    names = ("landed_to_published", "delivered_to_published", *_STEPS, "waiting")
    values = tuple(number(measure.median([entry[n] for entry in single]), 1) for n in names)
    return Table(
        f"One month on an idle scheduler, median of {len(single)}, seconds",
        (
            *("", "last source landed to published", "delivered to published"),
            *("gate raw", "build", "gate facts", "gate scorecards", "publish"),
            "waiting for the scheduler",
        ),
        (("one month", *values),),
    )
