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

ROWS = 100_000  # of a row group; those of one key are never parted
MEMORY = "200MB"  # of a sort on disk


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
        rows = _spool(batches, reading.schema, draft)
        with pa.OSFile(str(draft)) as file, pa.ipc.open_stream(file) as reader:
            if reading.keys:
                return _stream(_settled(iter(reader), reading.keys), reading.schema, target)
            _sort(reader, target, list(dict.fromkeys((*order, *reading.schema.names))))
    finally:
        draft.unlink(missing_ok=True)
    return rows


def _spool(batches: Iterator[pa.RecordBatch], schema: pa.Schema, draft: Path) -> int:
    """Put batches on disk as fast as they come: a driver that reads ahead would fill memory."""
    import pyarrow as pa

    rows = 0
    with pa.OSFile(str(draft), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
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
    count, enough = 0, ROWS + 1
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        while count >= enough:
            table = pa.Table.from_batches(held)
            fresh = _fresh(table, keys)
            cut = _cut(fresh)
            if cut is None:  # one key fills it all: look again when there is much more
                enough = 2 * count
                break
            yield _ties(table.slice(0, cut), fresh[:cut])
            held = table.slice(cut).to_batches()
            count, enough = count - cut, ROWS + 1
    if count:
        table = pa.Table.from_batches(held)
        yield from _rest(table, keys)


def _rest(table: pa.Table, keys: Sequence[str]) -> Iterator[pa.Table]:
    """Cut what is left when no row follows."""
    fresh = _fresh(table, keys)
    cut = _cut(fresh) if table.num_rows > ROWS else None
    if cut is None:
        yield _ties(table, fresh)
        return
    yield _ties(table.slice(0, cut), fresh[:cut])
    yield from _rest(table.slice(cut), keys)


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


def _cut(fresh: Any) -> int | None:
    """Return the last place up to ROWS where a new key begins, else the first one after."""
    import numpy as np

    before = np.flatnonzero(fresh[1 : ROWS + 1])
    if len(before):
        return int(before[-1]) + 1
    after = np.flatnonzero(fresh[ROWS + 1 :])
    return int(after[0]) + ROWS + 1 if len(after) else None


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


def _sort(reader: pa.RecordBatchReader, target: Path, order: Sequence[str]) -> None:
    import duckdb

    con = warehouse.connect(":memory:")
    try:
        con.execute("set threads = 1")
        con.execute(f"set memory_limit = '{MEMORY}'")
        con.execute("set temp_directory = ?", [str(target.with_name(f"{target.name}.spill"))])
        con.register("answer", reader)
        by = ", ".join(f"{quoted(name)} nulls first" for name in order)
        con.execute(
            f"copy (from answer order by {by}) to {literal(str(target))} "
            f"(format parquet, compression zstd, row_group_size {ROWS})"
        )
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise TransientError(f"sorting {target.name}: {type(error).__name__}") from None
    finally:
        con.close()
