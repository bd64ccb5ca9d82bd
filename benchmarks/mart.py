"""The PostgreSQL mart: rows a second into it, and what readers see while a release takes its place.

Loads the same made-up KPI rows in several ways, then changes two tables under readers in several
ways and counts the answers that mix two releases.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from benchmarks import measure
from benchmarks.measure import say
from benchmarks.results import Report, Table, number
from perfhouse import warehouse
from perfhouse.mart import load, migration, readers, shape
from perfhouse.mart.readers import Reader
from perfhouse.settings import Home

_NAME = "perfhouse_bench_mart"
_KPIS = next(t for t in shape.tables() if t.name == "scorecard_kpi_months")
_COLUMNS = ", ".join(f'"{column.name}"' for column in _KPIS.columns)
_SWAPS = 50
_BATCH = 10_000
_NOTES = (
    "Loading: all columns of scorecard_kpi_months from a DuckDB file, one process each, one "
    "connection, the server on this machine. The first three ways write into a bare unlogged "
    "table; 'load' is `mart publish`: binary COPY, into the tables with key, index and row rights, "
    "read back and compared value by value, committed.",
    "Taking the place: two tables of 1,000 rows, changed 50 times; two readers ask one statement "
    "over both, without pause, and a third keeps a transaction open for 0.2 s. A mixed answer has "
    "two releases in one statement. Waits are the readers' longest, of a statement that takes "
    "about a millisecond.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure on the PostgreSQL that can be had here, in a database of its own."""
    rows = (options.size or (100_000,))[0]
    url = options.postgres or "postgresql://postgres@127.0.0.1:5432/postgres"
    data: list[dict[str, Any]] = []
    with measure.workspace(options.tmp, "mart") as root, _database(url) as mine:
        _publish(root, rows)
        for way in (*_WAYS, "load"):
            for _ in range(options.repeats or 1):
                found = measure.call(loaded, way=way, url=mine, folder=str(root))
                data.append({"way": way, "rows": rows, **found.value, "peak_mib": found.peak_mib})
                say(f"   {way}: {rows / found.value['seconds']:,.0f} rows/s")
        for name in _CHANGES:
            data.append({"change": name, **_under_readers(mine, name)})
            say(f"   {name}: {data[-1]}")
    loads, changes = ([e for e in data if key in e] for key in ("way", "change"))
    tables = [
        Table(
            "Rows into PostgreSQL",
            ("way", "rows", "seconds", "rows/s", "peak MiB"),
            tuple(_load_row(way, loads) for way in (*_WAYS, "load")),
        ),
        Table(
            "Taking the place of a release under readers",
            (
                "way",
                "answers",
                "mixed",
                "errors",
                "longest wait, ms",
                "changes that waited > 100 ms",
            ),
            tuple(_change_row(entry) for entry in changes),
        ),
    ]
    return Report("mart", {"rows": rows, "swaps": _SWAPS}, data, tables, _NOTES)


def _load_row(way: str, loads: list[dict[str, Any]]) -> tuple[str, ...]:
    runs = [entry for entry in loads if entry["way"] == way]
    seconds = measure.median([entry["seconds"] for entry in runs])
    peak = measure.median([entry["peak_mib"] for entry in runs])
    rows = runs[0]["rows"]
    return way, number(rows), f"{seconds:.1f}", number(rows / seconds), number(peak)


def _change_row(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        entry["change"],
        number(entry["answers"]),
        number(entry["mixed"]),
        number(entry["errors"]),
        number(entry["longest_ms"]),
        number(entry["waited"]),
    )


@contextmanager
def _database(url: str) -> Iterator[str]:
    place = url.rpartition("/")[0]
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(f"drop database if exists {_NAME} with (force)")
        con.execute(f"create database {_NAME}")
        known = {row[0] for row in con.execute("select rolname from pg_roles").fetchall()}
        try:
            yield f"{place}/{_NAME}"
        finally:
            con.execute(f"drop database {_NAME} with (force)")
            for role in (_NAME, shape.OWNER, *shape.ROLES.values()):
                if role not in known:
                    con.execute(f"drop role if exists {role}")


def _publish(root: Path, rows: int) -> None:
    """Write a published database of one month with that many KPI rows."""
    folder = Home(root / "home").ensure().published
    values = [
        f'cast({_made(index, column)} as {column.type}) as "{column.name}"'
        for index, column in enumerate(_KPIS.columns)
    ]
    with warehouse.connect(folder / "file.duckdb") as con:
        con.execute(
            f"create table {_KPIS.name} as select {', '.join(values)} from range({rows}) as n(i)"
        )
        con.execute(
            "create table releases as select '2026-09.r1' as release, 'bench' as company, "
            "date '2026-09-01' as month, 1::integer as number, date '2026-09-01' as as_of_month, "
            "'bench' as release_sha256"
        )
    (folder / "scorecards.duckdb").symlink_to("file.duckdb")


def _made(index: int, column: shape.Column) -> str:
    known = {
        "month": "date '2026-09-01'",
        "manager_id": "'M' || lpad((i // 40)::varchar, 6, '0')",
        "kpi_id": "'kpi_' || (i % 40)",
    }
    if column.name in known:
        return known[column.name]
    if column.type == "varchar":
        return f"['scored', 'insufficient_data', '2026.1'][1 + (hash(i, {index}) % 3)::int]"
    digits = f"(hash(i, {index}) % 1000000)::int"
    if column.type == "boolean":
        return f"{digits} % 2 = 0"
    if column.type == "date":
        return f"date '2026-01-01' + {digits} % 300"
    return f"if({digits} % 10 = 0, null, {digits} / 1000)"


# ---------------------------------------------------------------- loading


def loaded(way: str, url: str, folder: str) -> dict[str, Any]:
    """Load the rows in one way in this process; JSON in, JSON out."""
    root = Path(folder)
    if way == "load":
        return _load(url, Home(root / "home"))
    with (
        warehouse.connect(root / "home" / "published" / "file.duckdb", read_only=True) as source,
        psycopg.connect(url) as con,
    ):
        columns = ", ".join(f'"{c.name}" {c.postgres_type}' for c in _KPIS.columns)
        con.execute("drop table if exists bare")
        con.execute(f"create unlogged table bare ({columns})")
        con.commit()
        clock = measure.Clock()
        _WAYS[way](con, source.execute(f"select {_COLUMNS} from {_KPIS.name}"))
        con.commit()
        return clock.read()


def _load(url: str, home: Home) -> dict[str, Any]:
    os.environ["PERFHOUSE_URL_BENCH_ADMIN"] = url
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(f"drop role if exists {_NAME}")
        con.execute(f"create role {_NAME} login password '{_NAME}'")
    migration.migrate("bench_admin")
    readers.grant("bench_admin", [Reader(_NAME, "publisher")])
    os.environ["PERFHOUSE_URL_BENCH"] = _as_loader(url)
    clock = measure.Clock()
    load.load(home, "bench", "bench", again=True, progress=lambda _: None)
    return clock.read()


def _as_loader(url: str) -> str:
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or 5432}"
    return f"postgresql://{_NAME}:{_NAME}@{place}{parts.path}"


def _executemany(con: Any, result: Any) -> None:
    marks = ", ".join("%s" for _ in _KPIS.columns)
    with con.cursor() as cursor:
        while batch := result.fetchmany(_BATCH):
            cursor.executemany(f"insert into bare values ({marks})", batch)


def _csv(con: Any, result: Any) -> None:
    with con.cursor() as cursor, cursor.copy("copy bare from stdin (format csv)") as copy:
        while batch := result.fetchmany(_BATCH):
            text = io.StringIO()
            csv.writer(text).writerows(batch)
            copy.write(text.getvalue())


def _binary(con: Any, result: Any) -> None:
    statement = "copy bare from stdin (format binary)"
    with con.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([column.postgres_type.partition("(")[0] for column in _KPIS.columns])
        while batch := result.fetchmany(_BATCH):
            for row in batch:
                copy.write_row(row)


_WAYS: dict[str, Callable[[Any, Any], None]] = {
    "executemany": _executemany,
    "CSV COPY": _csv,
    "binary COPY": _binary,
}


# ---------------------------------------------------------------- taking the place


def _tables(schema: str, release: int) -> str:
    return "; ".join(
        f"create table {schema}.{name} as select {release} as release, i from "
        f"generate_series(1, 1000) as n(i); analyze {schema}.{name}"
        for name in ("one", "other")
    )


def _rows_replaced(con: Any, release: int) -> None:
    if release == 0:
        con.execute(f"create schema shown; {_tables('shown', 0)}")
        return
    with con.transaction():
        for name in ("one", "other"):
            con.execute(f"delete from shown.{name}")
            con.execute(
                f"insert into shown.{name} select {release}, i from generate_series(1, 1000) n(i)"
            )


def _schema_renamed(con: Any, release: int) -> None:
    if release == 0:
        con.execute(f"create schema shown; {_tables('shown', 0)}")
        return
    con.execute(f"create schema next; {_tables('next', release)}")
    with con.transaction():
        con.execute("alter schema shown rename to old")
        con.execute("alter schema next rename to shown")
    con.execute("drop schema old cascade")


def _views_replaced(con: Any, release: int) -> None:
    con.execute(f"create schema r{release}; {_tables(f'r{release}', release)}")
    if release == 0:
        con.execute("create schema shown")
    with con.transaction():
        for name in ("one", "other"):
            con.execute(f"create or replace view shown.{name} as select * from r{release}.{name}")
    if release:
        con.execute(f"drop schema r{release - 1} cascade")


_CHANGES: dict[str, Callable[[Any, int], None]] = {
    "rows replaced": _rows_replaced,
    "schema renamed": _schema_renamed,
    "views replaced": _views_replaced,
}
_ASKED = (
    "select min(a.release), max(a.release), min(b.release), max(b.release) "
    "from shown.one as a join shown.other as b using (i)"
)


class _Readers:
    """What readers were answered, until `stop` is set."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.answers = self.mixed = self.errors = 0
        self.longest = 0.0
        self._lock = threading.Lock()

    def ask(self, url: str, open_seconds: float) -> None:
        with psycopg.connect(url, autocommit=True) as con:
            while not self.stop.is_set():
                self._once(con, open_seconds)

    def _once(self, con: Any, open_seconds: float) -> None:
        began = time.perf_counter()
        try:
            with con.transaction():
                found = set(con.execute(_ASKED).fetchone())
                waited = time.perf_counter() - began
                time.sleep(open_seconds)
        except psycopg.Error:
            with self._lock:
                self.errors += 1
            return
        with self._lock:
            self.answers += 1
            self.mixed += len(found) != 1
            self.longest = max(self.longest, waited)


def _under_readers(url: str, name: str) -> dict[str, Any]:
    seen, waited = _Readers(), 0
    with psycopg.connect(url, autocommit=True) as con:
        _CHANGES[name](con, 0)
        threads = [
            threading.Thread(target=seen.ask, args=(url, seconds)) for seconds in (0, 0, 0.2)
        ]
        for thread in threads:
            thread.start()
        for release in range(1, _SWAPS + 1):
            began = time.perf_counter()
            _CHANGES[name](con, release)
            waited += time.perf_counter() - began > 0.1
        seen.stop.set()
        for thread in threads:
            thread.join()
        con.execute("drop schema shown cascade")
    return {
        "answers": seen.answers,
        "mixed": seen.mixed,
        "errors": seen.errors,
        "longest_ms": round(seen.longest * 1000),
        "waited": waited,
    }
