"""DuckDB connections: the only place that opens one.

This module may not know streams, models or releases; it hands out connections with the same
limits everywhere, so that no engine setting can change a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import settings
from perfhouse.errors import TransientError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_SHARE = 0.6
# Nothing is fetched or loaded that did not come with the engine.
_CLOSED: Mapping[str, str | int] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
# Text columns of the newest format cost about half the CPU of the default's to write (`benchmarks
# kpis`). Nobody but this package opens its files; published ones keep the default, for all readers.
_STORAGE_VERSION = "v1.5.0"
_VALUES = 1_000  # of one statement that inserts
# An expression that knew the clock, chance, our keys or a file would be no function of its row.
_FORBIDDEN = frozenset(
    (
        *("now", "today", "random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "setseed"),
        *("current_date", "current_time", "current_timestamp", "get_current_timestamp"),
        *("get_current_time", "transaction_timestamp", "current_localtime", "nextval", "currval"),
        *("current_localtimestamp", "getvariable", "getenv", "current_setting"),
        *("age", "localtime", "localtimestamp", "pg_postmaster_start_time", "pg_conf_load_time"),
        *("txid_current", "current_transaction_id", "current_connection_id", "current_query_id"),
        *("current_query", "current_user", "user", "session_user", "current_role", "version"),
        *("current_database", "current_catalog", "current_schema", "current_schemas"),
        *("in_search_path", "stats", "write_log", "sleep_ms", "pg_sleep"),
        *("read_text", "read_blob", "read_csv", "read_csv_auto", "read_json", "read_parquet"),
        *("glob", "query", "query_table"),  # table functions: refused here by name, not by luck
    )
)


def connect(path: Path | str = ":memory:", *, read_only: bool = False) -> DuckDBPyConnection:
    """Open a DuckDB file, or `:memory:`, with bounded memory, UTC and a spill folder.

    Args:
        path: the file; where it is missing and `read_only` is false, it is made, for its account.
        read_only: refuse writes; several processes may then read the file together.

    Raises:
        TransientError: another process has it open to write, or to read where we want to write
            (try again).
    """
    import duckdb

    memory = str(path) == ":memory:"
    target = Path(path)
    is_new = not memory and not read_only and not target.exists()
    if is_new:
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(
            ":memory:" if memory else str(target),
            read_only=read_only and not memory,
            config=dict(engine_config(None if memory else target.parent)),
        )
    except duckdb.IOException as error:
        if "lock" not in str(error):
            raise
        raise in_use(target) from error
    if is_new:  # single answers about people lie in it: its account alone may read them
        target.chmod(0o600)
    connection.execute("set global TimeZone = 'UTC'")  # of every session of the engine
    return connection


def in_use(path: Path) -> TransientError:
    """Return what says that another process holds a file."""
    told = "in use by another build or by somebody's question; try again when it is through"
    return TransientError(f"{path}: {told}")


def insert(con: DuckDBPyConnection, into: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows, a thousand values a statement: `executemany` plans every row anew.

    Args:
        con: an open database.
        into: the table, with its columns where the rows do not have all of them.
        rows: of as many values each; none is fine. A column's values are of one type or None.
    """
    many = max(1, _VALUES // max(1, len(rows[0]))) if rows else 1
    for start in range(0, len(rows), many):
        part = rows[start : start + many]
        marks = f"({', '.join('?' * len(part[0]))})"
        values = [value for row in part for value in row]
        con.execute(f"insert into {into} values {', '.join([marks] * len(part))}", values)


def answer(path: Path, sql: str) -> str:
    """Answer somebody's SQL over one file as a text table; no other file can be reached.

    Raises:
        ValueError: DuckDB cannot answer; the message is its own.
    """
    import duckdb

    with connect(path, read_only=True) as connection:
        lock(connection)
        try:
            return str(connection.sql(sql))
        except duckdb.Error as error:
            raise ValueError(str(error)) from error


def lock(connection: DuckDBPyConnection, *folders: Path) -> None:
    """Close an engine for others' SQL, for good: it reaches only files in `folders`.

    No other file, network, extension or variable of Python; no setting can be changed any more.
    """
    paths = {str(each) for folder in folders for each in (folder, folder.resolve())}
    reachable = sorted(paths | {plain(path) for path in paths})
    listed = ", ".join("'" + folder.replace("'", "''") + "'" for folder in reachable)
    connection.execute("set python_enable_replacements = false")
    if reachable:
        connection.execute(f"set allowed_directories = [{listed}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def plain(path: str) -> str:
    """Return a path as a pattern in which no letter stands for others."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def refused(tree: Any) -> str | None:
    """Return what in a parsed expression is not of one row alone, or None.

    Args:
        tree: what `json_serialize_sql` makes of it, or a part of that.
    """
    for node in nodes(tree):
        kind = node.get("class")
        name = str(node.get("function_name", "")).lower()
        if kind in ("SUBQUERY", "WINDOW", "STAR", "PARAMETER") or name in _FORBIDDEN:
            return name or str(kind).lower()
    return None


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a parsed statement."""
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def engine_config(folder: Path | None) -> dict[str, str | int]:
    """Return the engine's settings for a database that lies in `folder`.

    dbt opens the same file in the same process and must ask for the same settings, or DuckDB
    refuses the second connection.
    """
    config: dict[str, str | int] = {
        **_CLOSED,
        "memory_limit": memory_limit(),
        "storage_compatibility_version": _STORAGE_VERSION,
    }
    threads = settings.threads()
    if threads is not None:
        config["threads"] = threads
    if folder is not None:
        config["temp_directory"] = str(folder / "tmp" / "spill")
    return config


def memory_limit() -> str:
    """Return the share of this machine's memory that DuckDB may use, such as `4915MB`."""
    megabytes = int(_memory_bytes() * MEMORY_SHARE) // 1_000_000
    return f"{max(megabytes, 500)}MB"


def _memory_bytes() -> int:
    """Return the memory this process may use: the container's limit when there is one."""
    limits = [
        _kilobytes(Path("/proc/meminfo"), "MemTotal:"),
        _number(Path("/sys/fs/cgroup/memory.max")),
        _number(Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")),
    ]
    known = [limit for limit in limits if limit]
    return min(known) if known else 4_000_000_000


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def _kilobytes(path: Path, label: str) -> int | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(label):
            return int(line.split()[1]) * 1024
    return None
