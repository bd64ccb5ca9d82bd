"""Lets the tests of one run play a build's statements back where dbt has compiled the same before.

The first build of its kind runs in dbt, which every statement it sends is taken down from; the next
sends those again. What differs on the way, a row asked for or an error, goes back to dbt itself.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import parsed_once
import pytest

from perfhouse import build, settings

_HOME = "\0home\0"
_ARTEFACTS = ("manifest.json", "run_results.json", "compiled")
_GLOB = frozenset("[]*?'")
# What dbt asks of the catalogue: the key tells it, and it moves with what another thread has made.
_CATALOGUE = re.compile(r"^\s*select\b.*\b(duckdb_\w+\(|information_schema\.)", re.S | re.I)
_COMMENT = re.compile(r"^/\*.*?\*/", re.S)
# What a statement depends on, but its month's data: `_DATA` names what Jinja asks of the data.
_WORDS = (
    *("PERFHOUSE_MONTH", "PERFHOUSE_MONTH_START", "PERFHOUSE_MONTH_END", "PERFHOUSE_AS_OF"),
    *("PERFHOUSE_CLOCKS_STOP_AT", "PERFHOUSE_MEMORY_LIMIT", "PERFHOUSE_DBT_THREADS"),
)
_SHAPE = """
select table_schema, table_name, column_name, ordinal_position, data_type, is_nullable
from information_schema.columns where table_catalog = current_database() order by all
"""


@dataclass
class Statement:
    """One statement as dbt sent it; `found` is what it read of the answer, if it read any."""

    sql: str
    bindings: Any = None
    found: str | None = None


@dataclass
class Played:
    """A whole build: what came before its nodes, the nodes as they ended, and what they told."""

    config: dict[str, Any]
    settings: dict[str, Any]
    before: list[Statement] = field(default_factory=list)
    nodes: list[tuple[str, list[Statement]]] = field(default_factory=list)
    runs: tuple[build.NodeRun, ...] = ()


class _DiffersError(Exception):
    """The data asks for other statements than those that were taken down."""


def run_dbt(arguments: Sequence[str], *more: Any, **named: Any) -> Any:
    """Build by statements taken down before, or in dbt; anything but a build is dbt's."""
    home = os.environ.get("PERFHOUSE_HOME", "")
    if arguments[0] != "build" or not home or _GLOB & set(home):
        return parsed_once.run_dbt(arguments, *more, **named)
    kept = _folder() / _key(arguments)
    if kept.is_dir():
        runs = play(kept, home, named.get("progress", lambda _: None))
        if runs is not None:
            return runs, None
    with _taken_down() as taken:
        runs, failure = parsed_once.run_dbt(arguments, *more, **named)
    if failure is None and runs and all(run.status in build._OK for run in runs):
        _keep(taken, runs, home, kept)
    return runs, failure


# ---------------------------------------------------------------- which build it is


@functools.cache
def _folder() -> Path:
    """Return a folder that the workers of one test run share."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}"
    folder = Path(tempfile.gettempdir()) / f"perfhouse-played-{os.getuid()}-{run}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _key(arguments: Sequence[str]) -> str:
    """Return what the compiled statements depend on, but for the answers to what Jinja asks."""
    with duckdb.connect(os.environ["PERFHOUSE_WAREHOUSE"]) as con:
        shape = con.execute(_SHAPE).fetchall()
        zones = [
            con.execute(f"select * from config.{table} order by all").fetchall()
            for table in ("utc_offsets", "locations")
        ]
    words = [os.environ.get(word, "") for word in _WORDS]
    own = settings.project_dir() / os.environ.get("PERFHOUSE_COMPANY_KPIS", "company_kpis")
    kpis = [(file.name, file.read_bytes()) for file in sorted(own.rglob("*.yml"))]
    told = repr((tuple(arguments), parsed_once.project(), kpis, words, shape, zones))
    return hashlib.sha256(told.encode()).hexdigest()


# ---------------------------------------------------------------- taking down


class _Taken:
    def __init__(self) -> None:
        self.local = threading.local()
        self.lock = threading.Lock()
        self.played = Played({}, {})
        self.later = False

    def add(self, sql: str, bindings: Any) -> Statement:
        statement = Statement(sql, bindings)
        node = getattr(self.local, "node", None)
        if node is not None:
            node.append(statement)
        elif sql not in (
            "BEGIN",
            "COMMIT",
        ):  # of several connections at once, each of one statement
            with self.lock:
                self.later = self.later or bool(self.played.nodes)
                self.played.before.append(statement)
        return statement


class _Cursor:
    """Passes everything on to dbt's cursor and notes what was sent and what was read."""

    def __init__(self, cursor: Any, taken: _Taken) -> None:
        self._cursor, self._taken = cursor, taken
        self._last: Statement | None = None

    def execute(self, sql: str, bindings: Any = None) -> Any:
        self._last = self._taken.add(sql, bindings)
        self._cursor.execute(sql, bindings)
        return self

    @property
    def description(self) -> Any:
        return self._cursor.description

    def fetchall(self) -> Any:
        return self._read(self._cursor.fetchall())

    def fetchmany(self, *size: int) -> Any:
        return self._read(self._cursor.fetchmany(*size))

    def fetchone(self) -> Any:
        row = self._cursor.fetchone()
        self._read([] if row is None else [row])
        return row

    def _read(self, rows: Any) -> Any:
        if self._last is not None:
            self._last.found = _digest(self._cursor.description, rows)
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def _digest(description: Any, rows: Any) -> str:
    names = [(each[0], str(each[1])) for each in description or ()]
    told = repr((names, sorted(map(repr, rows)))).replace(os.environ["PERFHOUSE_HOME"], _HOME)
    return hashlib.sha256(told.encode()).hexdigest()


@contextmanager
def _taken_down() -> Iterator[_Taken]:
    """Take down what dbt sends until the end of the context, node by node."""
    from dbt.adapters.duckdb.environments import Environment, local
    from dbt.task.base import BaseRunner

    taken = _Taken()
    handle, connect, run = (
        local.DuckDBConnectionWrapper.cursor,
        Environment.initialize_db,
        BaseRunner.run_with_hooks,
    )

    def cursor(wrapper: Any) -> Any:
        return _Cursor(handle(wrapper), taken)

    def connected(creds: Any, plugins: Any = None) -> Any:
        taken.played.config = dict(creds.config_options or {})
        taken.played.settings = dict(creds.settings or {})
        return connect(creds, plugins)

    def node(runner: Any, manifest: Any) -> Any:
        mine: list[Statement] = []
        taken.local.node = mine
        try:
            return run(runner, manifest)
        finally:
            taken.local.node = None
            with taken.lock:
                taken.played.nodes.append((runner.node.name, mine))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local.DuckDBConnectionWrapper, "cursor", cursor)
        patch.setattr(Environment, "initialize_db", staticmethod(connected))
        patch.setattr(BaseRunner, "run_with_hooks", node)
        yield taken


def _keep(taken: _Taken, runs: tuple[build.NodeRun, ...], home: str, kept: Path) -> None:
    """Keep a sound build and dbt's files of it, unless it lies there or names its home oddly."""
    played = replace(taken.played, runs=runs)
    if taken.later or kept.exists():
        return
    told = pickle.dumps(_moved(_needed(played), home, _HOME))
    if Path(home).name.encode() in told and len(Path(home).name) > 8:
        return
    new = Path(tempfile.mkdtemp(dir=kept.parent))
    (new / "played").write_bytes(told)
    _copy(Path(os.environ["DBT_TARGET_PATH"]), new)
    try:
        new.rename(kept)
    except OSError:  # another worker was first
        shutil.rmtree(new)


def _needed(played: Played) -> Played:
    """Leave out what asks the catalogue, and what asks the configuration once more."""
    asked: set[str] = set()

    def is_needed(statement: Statement) -> bool:
        sql = _COMMENT.sub("", statement.sql)
        if _CATALOGUE.match(sql):
            return False
        again = sql in asked
        if statement.found is not None and '"config".' in sql:
            asked.add(sql)
        return not again

    nodes = [(name, [s for s in sent if is_needed(s)]) for name, sent in played.nodes]
    return replace(played, before=[s for s in played.before if is_needed(s)], nodes=nodes)


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in _ARTEFACTS:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        elif (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _moved(played: Played, old: str, new: str) -> Played:
    """Return a build for another home."""

    def said(statements: Sequence[Statement]) -> list[Statement]:
        return [replace(each, sql=each.sql.replace(old, new)) for each in statements]

    config = {
        key: value.replace(old, new) if isinstance(value, str) else value
        for key, value in played.config.items()
    }
    nodes = [(name, said(statements)) for name, statements in played.nodes]
    return replace(played, config=config, before=said(played.before), nodes=nodes)


# ---------------------------------------------------------------- playing back


def play(
    kept: Path, home: str, progress: Callable[[str], None]
) -> tuple[build.NodeRun, ...] | None:
    """Send the statements again; None where the data differs so that dbt must look itself."""
    played = _moved(pickle.loads((kept / "played").read_bytes()), _HOME, home)
    seconds: dict[str, float] = {}
    with duckdb.connect(os.environ["PERFHOUSE_WAREHOUSE"], config=played.config) as con:
        for name, value in played.settings.items():
            con.execute(f"set {name} = '{value}'")
        try:
            _send(con, played.before)
            for name, statements in played.nodes:
                began = time.perf_counter()
                _send(con, statements)
                seconds[name] = time.perf_counter() - began
        except (_DiffersError, duckdb.Error):
            return None
    _copy(kept, Path(os.environ["DBT_TARGET_PATH"]))
    runs = tuple(replace(run, seconds=seconds.get(run.name, 0.0)) for run in played.runs)
    for run in runs:
        if run.kind == "model":
            progress(f"{run.name} {run.status} {run.seconds:.1f} s")
    return runs


def _send(con: duckdb.DuckDBPyConnection, statements: Sequence[Statement]) -> None:
    for each in statements:
        con.execute(each.sql, each.bindings)
        if each.found is not None and _digest(con.description, con.fetchall()) != each.found:
            raise _DiffersError
    try:  # dbt gives its connection back after each node
        con.rollback()
    except duckdb.TransactionException:
        return


def pytest_configure() -> None:
    """Take the place of the product's own call in every test of this process."""
    build.run_dbt = run_dbt


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind; with several workers, the one that started them tidies up."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(_folder(), ignore_errors=True)
