"""Chunks of records to typed and judged rows: several chunks at once, handed on in their order.

Each chunk is cast on a session of its own by one thread. Nothing here may know files or write one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from connectors.checking import FILE, OUTSIDE, ROW, WRONG
from connectors.keyed_hashes import hmac_copy
from connectors.reading import Show

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class CastFailed(Exception):
    """An expression of the mapping cannot be run; the engine's own text may quote a row."""


@dataclass(frozen=True)
class Cast:
    """A chunk's rows as Arrow tables.

    Args:
        good: rows without a fault inside the window, by file and row.
        refused: rows inside it that have one: file, row, `__error` and their text `raw`.
        outside: how many are outside the window.
    """

    good: Any
    refused: Any | None
    outside: int


def in_turn(
    con: DuckDBPyConnection, chunks: Iterable[Show], query: str, at_once: int
) -> Iterator[Cast]:
    """Yield the rows of each chunk, in the order of the chunks.

    So many chunks are cast at a time, and one more waits. What goes wrong with a chunk is raised
    before anything that is wrong with a later one.

    Raises:
        CastFailed: an expression cannot be run.
    """
    sessions: SimpleQueue[DuckDBPyConnection] = SimpleQueue()
    for _ in range(at_once):
        sessions.put(_session(con))

    def cast(show: Show) -> Cast:
        session = sessions.get()
        try:
            return _cast(session, show, query)
        finally:
            sessions.put(session)

    with ThreadPoolExecutor(at_once, thread_name_prefix="cast") as pool:
        yield from _queued(chunks, lambda show: pool.submit(cast, show), at_once)


def _queued(
    chunks: Iterable[Show], begin: Callable[[Show], Future[Cast]], at_once: int
) -> Iterator[Cast]:
    waiting: deque[Future[Cast]] = deque()
    try:
        try:
            for show in chunks:
                if len(waiting) == at_once:
                    yield waiting.popleft().result()
                waiting.append(begin(show))
        except Exception:
            while waiting:
                waiting.popleft().result()
            raise
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _session(con: DuckDBPyConnection) -> DuckDBPyConnection:
    """Return another session of the same engine: views and variables are a session's own."""
    session = con.cursor()
    hmac_copy(con, session)
    return session


def _cast(con: DuckDBPyConnection, show: Show, query: str) -> Cast:
    import pyarrow.compute as pc

    show(con)
    typed = in_order(_typed(con, query))
    inside = pc.invert(typed[OUTSIDE])
    fine = pc.equal(typed[WRONG], "")
    kept = pc.and_(fine, inside)
    good = typed if pc.all(kept, min_count=0).as_py() else typed.filter(kept)
    outside = typed.num_rows - pc.sum(inside, min_count=0).as_py()
    refused = None
    if good.num_rows + outside < typed.num_rows:
        refused = _refused(con, typed.filter(pc.and_(pc.invert(fine), inside)))
    con.unregister("batch")  # let go of the chunk; a scan of a file has none
    return Cast(good, refused, outside)


def _typed(con: DuckDBPyConnection, query: str) -> Any:
    import duckdb

    try:
        return con.execute(query).to_arrow_table()
    except (duckdb.OutOfMemoryException, duckdb.IOException):
        raise
    except duckdb.Error as error:
        raise CastFailed(type(error).__name__) from None


def _refused(con: DuckDBPyConnection, bad: Any) -> Any:
    con.register("bad", bad.select([FILE, ROW, WRONG]))
    refused = con.execute(
        f"select bad.{FILE}, bad.{ROW}, bad.{WRONG}, raws.raw "
        f"from bad left join raws using ({FILE}, {ROW})"
    ).to_arrow_table()
    con.unregister("bad")
    return refused


def in_order(rows: Any) -> Any:
    """Return rows by file and row number: the engine may hand them over as its threads end."""
    import numpy as np

    file, row = (rows[name].to_numpy() for name in (FILE, ROW))
    files, steps = np.diff(file), np.diff(row)
    if ((files > 0) | ((files == 0) & (steps >= 0))).all():
        return rows
    return rows.sort_by([(FILE, "ascending"), (ROW, "ascending")])
