"""From a source to validated Parquet, beside dlt on the same feed in the same run.

Feeds: a paged REST API, PostgreSQL and MariaDB. The two sides take turns; ours archives, checks,
hashes, finds duplicates and commits, the other loads to Parquet as its documentation says.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import ROOT, say
from benchmarks.results import Report, Table, number, times

PAGE = 1_000
SIZES = {"rest": 500_000, "postgres": 5_000_000, "mariadb": 5_000_000}
MONTH = "2026-09"
_ENVIRONMENT = ROOT / ".bench" / "dlt"
_IMPORTED = (
    *("duckdb", "httpx", "pandas", "pyarrow.parquet", "sqlalchemy", "pymysql", "connectorx"),
    "adbc_driver_postgresql.dbapi",
)
_COLUMNS = (
    *(
        "feed",
        "rows",
        "ours, rows/s",
        "dlt, rows/s",
        "ours / dlt",
        "rows per CPU second, ours / dlt",
    ),
    *("ours, peak MiB", "dlt, peak MiB"),
)
_NOTES = (
    "Ours: extract, archive verbatim, cast, judge, hash, find duplicates, quarantine, write "
    "Parquet, count again, commit. dlt 1.31: extract, normalise, load to Parquet files on the "
    "same disk; its pyarrow backend for databases. Rows per second of the whole; imports are left "
    "out: dlt loads a few rows to Parquet before its clock starts.",
    "The REST server is a process of its own that holds every page ready; databases are local. "
    "Each side runs in a fresh process; ratios are medians of pairs run one after the other. CPU "
    "seconds leave out the server's; they hold when the machine is shared.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure the feeds that can be had here."""
    names = options.only.split(",") if options.only else list(SIZES)
    python = _dlt_environment()
    data = []
    with measure.workspace(options.tmp, "sources") as root:
        for name in names:
            rows = (options.size or (SIZES[name],))[0]
            with _FEEDS[name](rows, options) as feed:
                if feed is None:
                    say(f"   {name}: no server here (see --{name}); left out")
                    continue
                data.append(_feed(root, name, rows, feed, python, options.repeats or 1))
    table = Table("Source to validated Parquet", _COLUMNS, tuple(_row(entry) for entry in data))
    return Report("sources", {"page": PAGE}, data, [table], _NOTES)


def _feed(
    root: Path, name: str, rows: int, feed: dict[str, str], python: Path, repeats: int
) -> dict[str, Any]:
    ours, theirs = [], []
    for _ in range(repeats):
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "dlt").mkdir(parents=True)
        given = {"feed": name, "folder": str(folder / "dlt"), "page": PAGE, "url": feed["dlt"]}
        theirs.append(_dlt(python, given))
        mine = measure.call(ingest, folder=str(folder / "ours"), name=name, url=feed["ours"])
        ours.append({**mine.value, "peak_mib": mine.peak_mib})
        assert ours[-1]["rows"] == theirs[-1]["rows"] == rows, (ours[-1], theirs[-1], rows)
        rates = [side[-1]["rows"] / side[-1]["seconds"] for side in (ours, theirs)]
        say(f"   {name}: ours {rates[0]:,.0f} rows/s, dlt {rates[1]:,.0f} rows/s")
    return {"feed": name, "rows": rows, "ours": ours, "dlt": theirs}


def ingest(folder: str, name: str, url: str) -> dict[str, Any]:
    """Land one feed in this process; JSON in, JSON out."""
    for module in _IMPORTED:  # on both sides imports are left out of the seconds
        importlib.import_module(module)
    from connectors import base, landing
    from perfhouse.month import Month
    from perfhouse.settings import Home

    root = Path(folder)
    source, company = _configured(root, name, url)
    base.get(source.connector)
    home = Home(root / "home").ensure()
    clock = measure.Clock()
    manifest = landing.ingest(source, company, Month(MONTH), root, home)
    seconds = clock.read()
    landed = manifest.streams["tickets"]
    assert landed.quarantined == landed.duplicates == 0, landed
    return {"rows": landed.landed, **seconds}


def _configured(root: Path, name: str, url: str) -> tuple[Any, Any]:
    from types import SimpleNamespace

    from perfhouse.company import ColumnMapping, Source, StreamMapping

    root.mkdir(parents=True, exist_ok=True)
    os.environ["AIRFLOW_CONN_FEED"] = url
    streams = [
        StreamMapping("tickets", {"format": "pages", "null_values": ["", "NULL"]}, None, {}, ())
    ]
    connector = "servicenow"
    if name != "rest":
        connector = "sql"
        columns = {
            "ticket_id": "sys_id", "external_ref": "number", "category": "category",
            "priority": "priority", "status": "state", "queue_id": "assignment_group",
            "assignee_id": "assigned_to", "created_at": "opened_at", "resolved_at": "resolved_at",
            "reopen_count": "reopen_count", "reassign_count": "reassignment_count",
            "source_updated_at": "updated_at", "source_seq": "mod_count",
        }  # fmt: skip
        query = (
            "select sys_id, number, category, priority, state, assignment_group, assigned_to, "
            "opened_at, resolved_at, reopen_count, reassignment_count, updated_at, mod_count "
            "from incident where updated_at >= :start and updated_at < :end"
        )
        mapped = {k: ColumnMapping(source=v) for k, v in columns.items()}
        streams = [StreamMapping("tickets", {"query": query}, None, mapped, ())]
    source = Source(
        id="feed",
        connector=connector,
        owner="Bench <bench@example.com>",
        schedule="0 3 1 * *",
        required=True,
        time_zone="UTC",
        options={"connection": "feed", **({"page_size": PAGE} if name == "rest" else {})},
        streams=tuple(streams),
    )
    return source, SimpleNamespace(time_zone="UTC", sources=(source,))


def _dlt(python: Path, given: dict[str, Any]) -> dict[str, Any]:
    words = [str(python), str(ROOT / "benchmarks" / "dlt_feed.py"), json.dumps(given)]
    quiet = {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    done = subprocess.run(words, capture_output=True, text=True, env=quiet, check=False)
    if done.returncode:
        raise measure.ChildFailed(f"dlt: {done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _dlt_environment() -> Path:
    """Return the Python of dlt's own environment, made once from its locked requirements."""
    python = _ENVIRONMENT / "bin" / "python"
    lock = ROOT / "benchmarks" / "requirements-dlt.lock"
    done = _ENVIRONMENT / "lock"
    if not done.exists() or done.read_bytes() != lock.read_bytes():
        say("   installing dlt into .bench/dlt (once)")
        venv.create(_ENVIRONMENT, with_pip=False, clear=True)
        uv = Path(sys.executable).with_name("uv")
        words = [str(uv), "pip", "sync", "--quiet", "--require-hashes", "--python", str(python)]
        subprocess.run([*words, str(lock)], check=True)
        shutil.copyfile(lock, done)
    return python


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    ours, theirs = entry["ours"], entry["dlt"]
    rates = [[run["rows"] / run["seconds"] for run in side] for side in (ours, theirs)]
    costs = [[run["rows"] / run["cpu_seconds"] for run in side] for side in (ours, theirs)]
    peaks = [measure.median([run["peak_mib"] for run in side]) for side in (ours, theirs)]
    return (
        entry["feed"],
        number(entry["rows"]),
        number(measure.median(rates[0])),
        number(measure.median(rates[1])),
        times(measure.ratio(rates[0], rates[1])),
        times(measure.ratio(costs[0], costs[1])),
        number(peaks[0]),
        number(peaks[1]),
    )


# ---------------------------------------------------------------- feeds


@contextmanager
def _rest(rows: int, _: argparse.Namespace) -> Iterator[dict[str, str] | None]:
    words = [sys.executable, "-m", "benchmarks.rest_server", str(rows), str(PAGE)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            base = f"http://127.0.0.1:{port}"
            yield {"dlt": base, "ours": f"http://perf:unused@127.0.0.1:{port}"}
        finally:
            server.kill()


_TABLE = """
create table incident (sys_id varchar(32) primary key, number varchar(20), category varchar(20),
    priority varchar(10), state varchar(10), assignment_group varchar(20), assigned_to varchar(20),
    opened_at timestamp not null, resolved_at timestamp null, reopen_count int,
    reassignment_count int, updated_at timestamp not null, mod_count bigint)"""


@contextmanager
def _postgres(rows: int, options: argparse.Namespace) -> Iterator[dict[str, str] | None]:
    import psycopg

    url = options.postgres or "postgresql://postgres@127.0.0.1:5432/postgres"
    try:
        con = psycopg.connect(url, autocommit=True)
    except psycopg.OperationalError:
        yield None
        return
    place, _, _ = url.rpartition("/")
    mine = f"{place}/perfhouse_bench"
    with con:
        con.execute("drop database if exists perfhouse_bench with (force)")
        con.execute("create database perfhouse_bench")
        with psycopg.connect(mine, autocommit=True) as bench:
            bench.execute(_TABLE)
            bench.execute(
                f"""insert into incident select md5(i::text), 'INC' || lpad(i::text, 9, '0'),
                (array['network','hardware','software'])[1 + i % 3],
                (array['low','normal','high','urgent'])[1 + i % 4],
                (array['new','open','solved','closed'])[1 + i % 4], 'queue' || i % 20,
                'agent' || i % 500, t, t + interval '2 hours', i % 3, i % 5, t + interval '3 hours',
                i % 7 from (select i, timestamp '2026-09-01' + i * interval '2629 ms' *
                (900000.0 / {rows}) as t from generate_series(1, {rows}) i) x"""
            )
            bench.execute("analyze incident")
        try:
            yield {"dlt": mine.replace("postgresql://", "postgresql+psycopg://"), "ours": mine}
        finally:
            con.execute("drop database perfhouse_bench with (force)")


@contextmanager
def _mariadb(rows: int, options: argparse.Namespace) -> Iterator[dict[str, str] | None]:
    import pymysql
    from sqlalchemy.engine import make_url

    url = options.mariadb or "mysql://root@127.0.0.1:3306/test"
    parts = make_url(url)
    try:
        con = pymysql.connect(
            host=parts.host,
            port=parts.port or 3306,
            user=parts.username,
            password=parts.password or "",
            autocommit=True,
        )
    except pymysql.err.OperationalError:
        yield None
        return
    with con, con.cursor() as cursor:
        cursor.execute("drop database if exists perfhouse_bench")
        cursor.execute("create database perfhouse_bench character set utf8mb4")
        cursor.execute("use perfhouse_bench")
        cursor.execute("set time_zone = '+00:00'")
        bare = _TABLE.replace("timestamp", "datetime").replace(" primary key", "")
        cursor.execute(bare)
        for first in range(1, rows + 1, 250_000):  # one statement for all would only grow its undo
            last = min(rows, first + 249_999)
            cursor.execute(
                f"""insert into incident select md5(seq), concat('INC', lpad(seq, 9, '0')),
                elt(1 + seq % 3, 'network', 'hardware', 'software'),
                elt(1 + seq % 4, 'low', 'normal', 'high', 'urgent'),
                elt(1 + seq % 4, 'new', 'open', 'solved', 'closed'), concat('queue', seq % 20),
                concat('agent', seq % 500), t, t + interval 2 hour, seq % 3, seq % 5,
                t + interval 3 hour, seq % 7 from (select seq, timestamp('2026-09-01') +
                interval floor(seq * 2.3e6 / {rows}) second as t
                from seq_{first}_to_{last}) x"""
            )
        cursor.execute("alter table incident add primary key (sys_id)")  # one sort, no hops
        base = parts.set(database="perfhouse_bench", drivername="mysql")
        mine = base.render_as_string(hide_password=False)
        try:
            yield {"dlt": mine.replace("mysql://", "mysql+pymysql://"), "ours": mine}
        finally:
            cursor.execute("drop database perfhouse_bench")


_FEEDS = {"rest": _rest, "postgres": _postgres, "mariadb": _mariadb}
