"""Read-only sessions with databases: a query in, batches of Arrow records out.

ADBC reads PostgreSQL, connectorx MySQL and MariaDB, SQLAlchemy every other one. Nothing here
knows streams, or may write to a source or quote a value of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from perfhouse.errors import ConfigError, SourceChanged, SourceMissing, TransientError

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import URL

    from connectors.sql_query import Bounds


@dataclass(frozen=True)
class Words:
    """How failures of one source are told: its place without login, month and owner."""

    told: str
    place: str
    owner: str

    def unreachable(self, why: str = "cannot be reached") -> NoReturn:
        """Raise what a retry may cure."""
        raise TransientError(f"{self.told}: {self.place} {why}; {self.owner}") from None

    def unusable(self, why: str) -> NoReturn:
        """Raise what the operator's connection or query makes impossible."""
        raise ConfigError([f"{self.told}: {self.place}: {why}"]) from None

    def refused(self, why: str) -> NoReturn:
        """Raise what the mapping's author must adapt."""
        raise SourceChanged(
            f"{self.told}: {self.place} refused the query ({why}); nothing was landed: the "
            f"mapping's author adapts the query, or ask {self.owner}"
        ) from None


@dataclass(frozen=True)
class Reading:
    """An answer on its way.

    Args:
        batches: record batches of `schema`.
        ahead: the driver reads on without waiting for who takes the batches.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    ahead: bool = False


class Session(Protocol):
    """One read-only connection; all queries see one snapshot where the database has such.

    `clock` is a query for the database's own time as one instant; empty where it tells none.
    """

    clock: str

    def read(self, query: str, bound: Bounds) -> Reading:
        """Run a query; the database is not asked to sort, which costs it more than the reading."""

    def scalar(self, query: str, bound: Bounds) -> Any:
        """Return the first value of a query's first row, or None."""

    def close(self) -> None:
        """Let go of the database; may be called again."""


def place(url: URL) -> str:
    """Name a database for people: no user, no password, no option of its URL."""
    return f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"


def opened(url: URL, words: Words, zone: str, timeout: float | None) -> Session:
    """Open a session; `zone` is the one in which the source writes times that name none.

    Raises:
        ConfigError: unknown driver, options or login (operator).
        TransientError: the database cannot be reached.
    """
    backend = url.get_backend_name()
    if backend == "postgresql":
        from connectors.sql_postgres import Postgres

        return Postgres(url, words, zone, timeout)
    if backend in ("mysql", "mariadb"):
        from connectors.sql_mysql import MySQL

        return MySQL(url, words, timeout)
    from connectors.sql_other import Other

    return Other(url, words)


def check_names(names: Sequence[str], words: Words) -> None:
    """Refuse an answer in which a name does not tell a column."""
    if len({name.lower() for name in names}) != len(names):
        raise ConfigError(
            [f"{words.told}: query: expected each column once, got {', '.join(names)}"]
        )


def check_file(path: Path, source_id: str, owner: str) -> None:
    """Refuse an SQLite file that is missing, something else, or cut off.

    SQLite would make a new one of the first, and read what is missing at the end as zeros.
    """
    if not path.is_file():
        raise SourceMissing(f"{source_id}: no file {path}; ask the source's owner: {owner}")
    with path.open("rb") as handle:
        head = handle.read(100)
    if head[:15] not in (b"", b"SQLite format 3"):
        raise SourceChanged(
            f"{source_id}: {path} is not an SQLite database; nothing was landed; "
            f"ask the source's owner: {owner}"
        )
    size, told = path.stat().st_size, _bytes_told(head)
    if size < told:
        raise SourceMissing(
            f"{source_id}: {path} has {size:,} of {told:,} bytes: it is still being copied, or "
            f"was cut off; nothing was landed; ask the source's owner: {owner}"
        )


def _bytes_told(head: bytes) -> int:
    """Return the size that an SQLite file's header tells; 0 where it tells none that counts."""
    if len(head) < 100:
        return 100 if head else 0
    size = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big")
    counts = head[24:28] == head[92:96]  # else another writer did not keep the number of pages
    return pages * (65_536 if size == 1 else size) if counts else 0
