"""An answer of a database to one Parquet file, in the order and the types it came in.

Nothing here talks to a database, and memory stays bounded whatever the size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.rows import layout
from connectors.sql_sessions import Reading

if TYPE_CHECKING:
    import pyarrow as pa

# of a row group, at most
ROWS = 61_440
BYTES = 16_000_000  # unless one batch has more


def write(reading: Reading, target: Path, told: Callable[[int], None]) -> int:
    """Write all batches; return how many rows there were. `told` is given their number so far."""
    import pyarrow as pa

    batches = _counted(reading, told)
    if not reading.ahead:
        return _write(batches, reading.schema, target)
    draft = target.with_name(f"{target.name}.draft")
    try:
        _spool(batches, reading.schema, draft)
        with pa.OSFile(str(draft)) as file, pa.ipc.open_stream(file) as reader:
            return _write(iter(reader), reading.schema, target)
    finally:
        draft.unlink(missing_ok=True)


def _counted(reading: Reading, told: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in reading.batches:
        rows += batch.num_rows
        told(rows)
        yield batch


def _spool(batches: Iterator[pa.RecordBatch], schema: pa.Schema, draft: Path) -> None:
    """Put batches on disk as fast as they come: a driver that reads ahead would fill memory."""
    import pyarrow as pa

    with pa.OSFile(str(draft), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write(batches: Iterator[pa.RecordBatch], schema: pa.Schema, target: Path) -> int:
    """Write row groups, each while the next one comes in."""
    import pyarrow.parquet as pq

    groups = _groups(batches)
    first = next(groups, schema.empty_table())
    rows = 0
    writing: Future[None] | None = None
    with (
        pq.ParquetWriter(target, schema, **layout(first)) as writer,
        ThreadPoolExecutor(1, thread_name_prefix="archive") as pool,
    ):
        for group in chain([first], groups):
            if writing is not None:
                writing.result()
            writing = pool.submit(writer.write_table, group, row_group_size=max(len(group), 1))
            rows += len(group)
        if writing is not None:
            writing.result()
    return rows


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in _pieces(batches):
        if held and (rows + batch.num_rows > ROWS or size + batch.nbytes > BYTES):
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
    if rows:
        yield pa.Table.from_batches(held)


def _pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            yield batch.slice(start, ROWS)
