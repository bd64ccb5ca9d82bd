"""DuckDB connections: the only place that opens one.

This module may not know streams, models or releases; it hands out connections with the same
limits everywhere, so that no engine setting can change a number.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_SHARE = 0.6


def connect(path: Path | str = ":memory:", *, read_only: bool = False) -> DuckDBPyConnection:
    """Open a DuckDB file, or `:memory:`, with bounded memory, UTC and a spill folder.

    Args:
        path: the file, created with its folders when it is missing and `read_only` is false.
        read_only: refuse writes; several processes may then read the file together.
    """
    import duckdb

    memory = str(path) == ":memory:"
    target = Path(path)
    if not memory and not read_only:
        target.parent.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        ":memory:" if memory else str(target),
        read_only=read_only and not memory,
        config=dict(engine_config(None if memory else target.parent)),
    )
    connection.execute("set TimeZone = 'UTC'")
    return connection


def answer(path: Path, sql: str) -> str:
    """Answer somebody's SQL over one file as a text table; no other file can be reached.

    Raises:
        ValueError: DuckDB cannot answer; the message is its own.
    """
    import duckdb

    with connect(path, read_only=True) as connection:
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        try:
            return str(connection.sql(sql))
        except duckdb.Error as error:
            raise ValueError(str(error)) from error


def engine_config(folder: Path | None) -> dict[str, str | int]:
    """Return the engine's settings for a database that lies in `folder`.

    dbt opens the same file in the same process and must ask for the same settings, or DuckDB
    refuses the second connection.
    """
    config: dict[str, str | int] = {"memory_limit": memory_limit()}
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
