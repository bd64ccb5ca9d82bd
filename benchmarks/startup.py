"""How long the command line takes to answer, beside an empty Python and the heavy imports.

Every number is a whole process, from its start to its end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import measure, synthetic
from benchmarks.measure import say
from benchmarks.results import Report, Table, number

DEFAULT_REPEATS = 5
_NOTES = (
    "Python's bytecode is cached: each command ran once before it was measured.",
    "The imports below the commands are what a build (dbt), a gate (Great Expectations) and a DAG "
    "(Airflow) pay once a process.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure the quick commands and what the slow ones import."""
    repeats = options.repeats or DEFAULT_REPEATS
    with measure.workspace(options.tmp, "startup") as root:
        measure.call(fill, root=str(root))
        data = _measured(_commands(root), repeats)
    table = Table(
        f"Start-up, median of {repeats}",
        ("process", "seconds", "slowest", "peak MiB"),
        tuple(
            (
                entry["title"],
                number(measure.median(entry["seconds"]), 2),
                number(max(entry["seconds"]), 2),
                number(entry["peak_mib"]),
            )
            for entry in data
        ),
    )
    return Report("startup", {"repeats": repeats}, data, [table], _NOTES)


def _commands(root: Path) -> list[tuple[str, list[str]]]:
    perfhouse = [sys.executable, "-m", "perfhouse.cli"]
    status = [*perfhouse, "status", "--home"]
    company = ["--company", str(root / "company")]
    code = [sys.executable, "-c"]
    return [
        ("python -c pass", [*code, "pass"]),
        ("perfhouse --help", [*perfhouse, "--help"]),
        ("perfhouse status, nothing landed", [*status, str(root / "empty")]),
        ("perfhouse status, one month landed", [*status, str(root / "home"), *company]),
        ("import duckdb", [*code, "import duckdb"]),
        ("import dbt.cli.main", [*code, "import dbt.cli.main, dbt.adapters.duckdb"]),
        ("import great_expectations", [*code, "import great_expectations"]),
        ("import airflow.sdk", [*code, "import airflow.sdk"]),
    ]


def _measured(commands: Sequence[tuple[str, list[str]]], repeats: int) -> list[dict[str, Any]]:
    """Run all commands in turn, `repeats` times, after once that does not count."""
    runs: dict[str, list[measure.Measured]] = {title: [] for title, _ in commands}
    for nth in range(repeats + 1):
        for title, words in commands:
            measured = measure.command(words)
            if nth:
                runs[title].append(measured)
    for title, found in runs.items():
        say(f"   {title}: {measure.median([m.seconds for m in found]):.2f} s")
    return [
        {
            "title": title,
            "seconds": [m.seconds for m in found],
            "cpu_seconds": [m.cpu_seconds for m in found],
            "peak_mib": max(m.peak_mib for m in found),
        }
        for title, found in runs.items()
    ]


def fill(root: str) -> dict[str, Any]:
    """Land a small month, so that `status` has something to tell."""
    from perfhouse.settings import Home

    synthetic.company(Path(root) / "company")
    return {"rows": synthetic.fill(Home(Path(root) / "home"), 10_000)}
