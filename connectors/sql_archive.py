"""An answer of a database to one Parquet file: the same rows give the same bytes.

Rows keep their types and are ordered by the mapped key, then by every column; nothing here
talks to a database, and memory stays bounded whatever the size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.casting import literal, quoted
from connectors.sql_sessions import Reading
from perfhouse import warehouse
from perfhouse.errors import TransientError

if TYPE_CHECKING:
    import pyarrow as pa

# of a row group; rows of one key are never parted
ROWS = 50_000
BYTES = 32_000_000  # of text
MEMORY = "150MB"  # of a sort on disk


def write(reading: Reading, order: Sequence[str], target: Path, told: Callable[[int], None]) -> int:
    """Write all batches; return how many rows there were.

    Where the database did not sort by the key, `order` comes first in a sort on disk; `told` is
    given the number of rows so far.
    """
    import pyarrow as pa

    draft = target.with_name(f"{target.name}.draft")
    batches = _counted(reading, told)
    if reading.keys and not reading.ahead:
        return _stream(_settled(batches, reading.keys), reading.schema, target)
    try:
        if not reading.keys:
            rows = _heap(batches, reading.schema, draft)
            _sort(draft, target, list(dict.fromkeys((*order, *reading.schema.names))))
            return rows
        _spool(batches, reading.schema, draft)
        with pa.OSFile(str(draft)) as file, pa.ipc.open_stream(file) as reader:
            return _stream(_settled(iter(reader), reading.keys), reading.schema, target)
    finally:
        draft.unlink(missing_ok=True)


def _spool(batches: Iterator[pa.RecordBatch], schema: pa.Schema, draft: Path) -> None:
    """Put batches on disk as fast as they come: a driver that reads ahead would fill memory."""
    import pyarrow as pa

    with pa.OSFile(str(draft), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _heap(batches: Iterator[pa.RecordBatch], schema: pa.Schema, draft: Path) -> int:
    """Put batches on disk for a sort, which would keep all of Arrow's own memory alive."""
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(draft, schema, compression="none", use_dictionary=False) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _stream(tables: Iterator[pa.Table], schema: pa.Schema, target: Path) -> int:
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(table.num_rows, 1))
            rows += table.num_rows
    return rows


def _counted(reading: Reading, told: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in reading.batches:
        rows += batch.num_rows
        told(rows)
        yield batch


def _settled(batches: Iterator[pa.RecordBatch], keys: Sequence[str]) -> Iterator[pa.Table]:
    """Cut rows that come in key order into groups, those of one key ordered by all columns.

    Where it cuts depends on the rows alone, not on how they came in batches.
    """
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = size = 0
    wait = 1  # where one key fills it all, look again when there is twice as much
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows <= wait * ROWS and size <= wait * BYTES:
            continue
        done, rest = _cut_off(pa.Table.from_batches(held), keys)
        yield from done
        held, rows, size = rest.to_batches(), rest.num_rows, rest.nbytes
        wait = 1 if done else 2 * wait
    if rows:
        done, rest = _cut_off(pa.Table.from_batches(held), keys)
        yield from (*done, _ties(rest, _fresh(rest, keys)))


def _cut_off(table: pa.Table, keys: Sequence[str]) -> tuple[list[pa.Table], pa.Table]:
    """Return the groups that are complete, and the rows after them."""
    import numpy as np

    fresh, lengths = _fresh(table, keys), _lengths(table)
    done: list[pa.Table] = []
    start = 0
    while start < table.num_rows:
        before = lengths[start - 1] if start else 0
        fits = int(np.searchsorted(lengths, before + BYTES, side="right")) - start
        cut = _cut(fresh, start, min(max(fits, 1), ROWS))
        if cut is None:
            break
        done.append(_ties(table.slice(start, cut - start), fresh[start:cut]))
        start = cut
    return done, table.slice(start)


def _cut(fresh: Any, start: int, limit: int) -> int | None:
    """Return the last place within the limit where a new key begins, else the first after it."""
    import numpy as np

    if len(fresh) - start <= limit:
        return None
    within = np.flatnonzero(fresh[start + 1 : start + limit + 1])
    if len(within):
        return start + 1 + int(within[-1])
    after = np.flatnonzero(fresh[start + limit + 1 :])
    return start + limit + 1 + int(after[0]) if len(after) else None


def _lengths(table: pa.Table) -> Any:
    """Return how many bytes of text the rows have up to and with each one."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    total = np.zeros(table.num_rows, dtype=np.int64)
    for column in table.columns:
        if pa.types.is_string(column.type):
            total += np.asarray(pc.fill_null(pc.binary_length(column), 0))
    return np.cumsum(total)


def _fresh(table: pa.Table, keys: Sequence[str]) -> Any:
    """Tell of each row whether its key differs from the row's before; the first one's does."""
    import numpy as np
    import pyarrow.compute as pc

    fresh = np.zeros(table.num_rows, dtype=bool)
    fresh[:1] = True
    for key in keys:
        column = table.column(key).combine_chunks()
        one, other = column.slice(1), column.slice(0, len(column) - 1)
        same = pc.fill_null(pc.equal(one, other), False)
        empty = pc.and_(pc.is_null(one), pc.is_null(other))
        fresh[1:] |= ~np.asarray(pc.or_(same, empty))
    return fresh


def _ties(table: pa.Table, fresh: Any) -> pa.Table:
    """Order rows of one key among themselves by every column."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    tied = ~fresh
    tied[:-1] |= ~fresh[1:]
    places = np.flatnonzero(tied)
    if not len(places):
        return table
    group = "__group" + "_" * max(len(name) for name in table.column_names)
    rows = table.take(pa.array(places)).append_column(
        group, pa.array(np.cumsum(fresh)[places], pa.int64())
    )
    keys = [(group, "ascending"), *((name, "ascending") for name in table.column_names)]
    order = np.asarray(pc.sort_indices(rows, sort_keys=keys))
    every = np.arange(table.num_rows)
    every[places] = places[order]
    return table.take(pa.array(every))


def _sort(draft: Path, target: Path, order: Sequence[str]) -> None:
    import duckdb

    con = warehouse.connect(":memory:")
    try:
        con.execute("set threads = 1")
        con.execute(f"set memory_limit = '{MEMORY}'")
        con.execute("set temp_directory = ?", [str(target.with_name(f"{target.name}.spill"))])
        by = ", ".join(f"{quoted(name)} nulls first" for name in order)
        con.execute(
            f"copy (from read_parquet(?) order by {by}) to {literal(str(target))} "
            f"(format parquet, compression zstd, row_group_size {ROWS})",
            [str(draft)],
        )
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise TransientError(f"sorting {target.name}: {type(error).__name__}") from None
    finally:
        con.close()
