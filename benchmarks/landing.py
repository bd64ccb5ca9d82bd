"""Rows landed per second by dialect, with peak memory, beside the floor of plain DuckDB.

Every run is a process of its own; floor and landing take turns, so that noise hits both.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
from pathlib import Path
from typing import Any

from benchmarks import dialects, measure
from benchmarks.dialects import DIALECTS, MONTH, Dialect
from benchmarks.measure import say
from benchmarks.results import Report, Table, number, times

DEFAULT_ROWS = 200_000
DEFAULT_REPEATS = 3
_COLUMNS = (
    *("delivery", "rows", "landed, rows/s", "peak MiB", "floor, rows/s", "floor peak MiB"),
    *("seconds, landing / floor", "CPU, landing / floor", "archiving, share"),
)
_NOTES = (
    "Landing archives the bytes, casts, judges, hashes, finds duplicates, quarantines, writes "
    "Parquet, counts what was written and commits. The floor reads the same bytes with the same "
    "casts and writes Parquet, no more.",
    "Seconds of the work itself, in a process that has imported its libraries; medians; ratios are "
    "medians of pairs run one after the other. Files are in the page cache.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure every dialect, or those of `--only`."""
    rows = (options.size or (DEFAULT_ROWS,))[0]
    repeats = options.repeats or DEFAULT_REPEATS
    names = options.only.split(",") if options.only else list(DIALECTS)
    data = []
    with measure.workspace(options.tmp, "landing") as root:
        dialects.company(root / "company")
        for name in names:
            data.append(_dialect(root, DIALECTS[name], rows, repeats))
    table = Table(
        title=f"Landing {rows:,} rows of each delivery, median of {repeats}",
        columns=_COLUMNS,
        rows=tuple(_row(entry) for entry in data),
    )
    return Report("landing", {"rows": rows, "repeats": repeats}, data, [table], _NOTES)


def _dialect(root: Path, dialect: Dialect, rows: int, repeats: int) -> dict[str, Any]:
    folder = root / dialect.name
    made = measure.call(write, folder=str(folder), dialect=dialect.name, rows=rows)
    say(f"   {dialect.title}: {rows:,} rows, {made.value['bytes'] / 1e6:,.0f} MB")
    landings, floors = [], []
    for _ in range(repeats):
        floors.append(measure.call(floor, folder=str(folder), dialect=dialect.name))
        landings.append(measure.call(land, root=str(root), dialect=dialect.name))
        rate = rows / landings[-1].value["seconds"]
        against = landings[-1].value["seconds"] / floors[-1].value["seconds"]
        say(f"     {rate:,.0f} rows/s, {landings[-1].peak_mib:,.0f} MiB, {against:.2f}x the floor")
    shutil.rmtree(folder)
    seconds, least = measure.values(landings, "seconds"), measure.values(floors, "seconds")
    cpu, least_cpu = (measure.values(runs, "cpu_seconds") for runs in (landings, floors))
    return {
        "dialect": dialect.name,
        "title": dialect.title,
        "rows": rows,
        "bytes": made.value["bytes"],
        "floor": dialect.floor_text,
        "counts": landings[0].value["counts"],
        "seconds": seconds,
        "archive_seconds": measure.values(landings, "archive_seconds"),
        "floor_seconds": least,
        "rows_per_second": rows / measure.median(seconds),
        "floor_rows_per_second": rows / measure.median(least),
        "cpu_seconds": cpu,
        "floor_cpu_seconds": least_cpu,
        "peak_mib": max(m.peak_mib for m in landings),
        "floor_peak_mib": max(m.peak_mib for m in floors),
        "ratio": measure.ratio(seconds, least),
        "cpu_ratio": measure.ratio(cpu, least_cpu),
    }


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    archived = measure.median(entry["archive_seconds"]) / measure.median(entry["seconds"])
    return (
        f"{entry['title']} (floor: {entry['floor']})",
        number(entry["rows"]),
        number(entry["rows_per_second"]),
        number(entry["peak_mib"]),
        number(entry["floor_rows_per_second"]),
        number(entry["floor_peak_mib"]),
        times(entry["ratio"]),
        times(entry["cpu_ratio"]),
        f"{archived:.0%}",
    )


# ---------------------------------------------------------------- in processes of their own


def write(folder: str, dialect: str, rows: int) -> dict[str, Any]:
    """Write a delivery; return its size."""
    from perfhouse import warehouse

    data = Path(folder) / "data"
    con = warehouse.connect()
    DIALECTS[dialect].write(con, data, rows)
    con.close()
    return {"bytes": sum(f.stat().st_size for f in data.rglob("*") if f.is_file())}


def floor(folder: str, dialect: str) -> dict[str, Any]:
    """Read a delivery without any care; return the seconds."""
    from perfhouse import warehouse

    _warm_up()
    target = Path(folder) / "floor.parquet"
    con = warehouse.connect()
    clock = measure.Clock()
    DIALECTS[dialect].floor(con, Path(folder) / "data", target)
    con.close()
    took = clock.read()
    target.unlink()
    return {**took}


def _warm_up() -> None:
    """Import what both sides may use before the clock starts: 1 s that does not grow with rows.

    DuckDB imports pandas when the first parameter is bound.
    """
    for name in ("pyarrow.csv", "pyarrow.parquet", "sqlalchemy"):
        importlib.import_module(name)

    from perfhouse import warehouse

    warehouse.connect().execute("select ?", ["pandas"]).fetchall()


def land(root: str, dialect: str) -> dict[str, Any]:
    """Land a delivery into a fresh home; return the seconds and the manifest's counts."""
    from connectors import landing
    from perfhouse import stages
    from perfhouse.month import Month

    _warm_up()
    folder = Path(root) / dialect
    home = folder / "home"
    ws = stages.open_workspace(Path(root) / "company", folder / "data", home)
    source = stages.source_of(ws, dialect)
    archived: list[float] = []

    def told(line: str) -> None:
        if line.endswith("archived"):
            archived.append(clock.read()["seconds"])

    clock = measure.Clock()
    manifest = landing.ingest(source, ws.company, Month(MONTH), ws.data, ws.home, told)
    took = clock.read()
    shutil.rmtree(home)
    return {
        **took,
        "archive_seconds": archived[0] if archived else 0.0,
        "counts": dict(landing.counts(manifest)),
    }
