"""Rows by the chunk: which of them came before, and files of even row groups.

Knows hashes and Arrow tables; may not know streams, sources or the lake.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
from functools import cache, cached_property
from pathlib import Path
from typing import Any

ROW_GROUP = 122_880
_MUCH = 448 << 20  # resident bytes from which freed memory goes back to the system
_GROUP_BYTES = 48 << 20
_RUN = 1 << 20  # hashes that are sorted together: 16 MiB
_KEPT = 6  # runs in memory; earlier ones wait in files
_SAMPLE = 2_000  # rows that tell how much texts repeat
_MARKS = 1 << 25  # one byte for each: most new rows are told by a look at one of them


def digests(column: Any) -> Any:
    """Return 128-bit hashes, an Arrow column of 32 hexadecimal digits each, as pairs of numbers."""
    import numpy as np
    import pyarrow as pa

    parts = [np.zeros((0, 2), np.uint64)]
    for chunk in column.chunks:
        texts = chunk.cast(pa.large_string())
        start = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset] if len(texts) else 0
        digits = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[start : start + 32 * len(texts)]
        parts.append(_bytes_of()[digits.view(np.uint16)].view(np.uint64).reshape(-1, 2))
    return np.concatenate(parts)


@cache
def _bytes_of() -> Any:
    """Return the byte that two hexadecimal digits mean, by both digits as one number."""
    import numpy as np

    table = np.zeros(1 << 16, np.uint8)
    pairs = np.frombuffer(b"".join(b"%02x" % value for value in range(256)), np.uint16)
    table[pairs] = np.arange(256)
    return table


def give_back() -> None:
    """Return freed memory to the system where much is held; Linux keeps what threads freed."""
    trim = _trim()
    if trim is not None and _resident() > _MUCH:
        trim(0)


def _resident() -> int:
    """Return the bytes of memory that this process holds; where nobody tells, more than any."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * mmap.PAGESIZE
    except (OSError, ValueError, IndexError):
        return 1 << 62


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another system or C library
        return None


class _Part:
    """The hashes of some rows: as they came, and in order once somebody has to look closely."""

    def __init__(self, rows: Any, highs: Any) -> None:
        self.rows = rows
        self.highs = highs  # the first halves alone, in order

    @cached_property
    def halves(self) -> Any:
        """Return both halves of the hashes in the order of the first ones."""
        import numpy as np

        return _ranked(self.rows, np.argsort(self.rows[:, 0]))


class Seen:
    """The hashes of all rows so far: sorted runs, the oldest in files, so memory stays small."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: list[Any] = []
        self._fresh: list[_Part] = []
        self._marks: Any = None

    def first(self, rows: Any) -> Any:
        """Tell which rows of a chunk are the first of their kind; remember those."""
        import numpy as np

        if self._marks is None:
            self._marks = np.zeros(_MARKS, bool)
        highs = np.sort(rows[:, 0])
        marks = (rows[:, 0] & np.uint64(_MARKS - 1)).astype(np.int64)
        marked = self._marks[marks]
        if (highs[1:] == highs[:-1]).any() or self._meets(rows[marked, 0]):
            return self._closely(rows, marked, marks)
        self._marks[marks] = True
        self._remember(_Part(rows, highs))
        return np.ones(len(rows), bool)

    def _meets(self, highs: Any) -> bool:
        """Tell whether one of some first halves was there before; hardly ever by chance."""
        if not len(highs):
            return False
        for run in (*self._runs, *(part.highs for part in self._fresh)):
            known = _loaded(run)
            known = known[0] if known.ndim == 2 else known
            at = known.searchsorted(highs)
            at[at == len(known)] = 0
            if len(known) and (known[at] == highs).any():
                return True
        return False

    def _closely(self, rows: Any, marked: Any, marks: Any) -> Any:
        import numpy as np

        order = _order(rows)
        ranked = _ranked(rows, order)
        new = np.ones(len(rows), bool)
        new[1:] = (ranked[:, 1:] != ranked[:, :-1]).any(axis=0)
        asked = np.flatnonzero(new & marked[order])
        for run in (*self._runs, *(part.halves for part in self._fresh)):
            found = _found(_loaded(run), ranked[:, asked])
            new[asked[found]] = False
            asked = asked[~found]
        result = np.zeros(len(rows), bool)
        result[order[new]] = True
        self._marks[marks[result]] = True
        self._remember(_Part(rows[result], np.sort(rows[result, 0])))
        return result

    def _remember(self, part: _Part) -> None:
        import numpy as np

        self._fresh.append(part)
        if sum(len(part.rows) for part in self._fresh) < _RUN:
            return
        rows = np.concatenate([part.rows for part in self._fresh])
        self._runs.append(_ranked(rows, np.argsort(rows[:, 0])))
        self._fresh = []
        if len(self._runs) > _KEPT:
            self._folder.mkdir(exist_ok=True)
            at = len(self._runs) - _KEPT - 1
            file = self._folder / f"{at}.npy"
            np.save(file, self._runs[at])
            self._runs[at] = file


def _loaded(run: Any) -> Any:
    import numpy as np

    return np.load(run, mmap_mode="r") if isinstance(run, Path) else run


def _ranked(rows: Any, order: Any) -> Any:
    """Return both halves in an order, each in one piece as a search wants it."""
    import numpy as np

    return np.stack([rows[:, 0][order], rows[:, 1][order]])


class Content:
    """A hash of rows that does not depend on their order: the sum of theirs."""

    def __init__(self) -> None:
        self._rows = 0
        self._sums = [0, 0]

    def add(self, rows: Any) -> None:
        """Take the 128-bit hashes of some more rows, as pairs of numbers."""
        self._rows += len(rows)
        halves = (int(half) for half in rows.sum(axis=0))
        self._sums = [(a + b) % (1 << 64) for a, b in zip(self._sums, halves, strict=True)]

    def sha256(self, more: int = 0) -> str:
        """Return it with another number, as hexadecimal digits."""
        told = f"{self._rows} {self._sums[0]} {self._sums[1]} {more}"
        return hashlib.sha256(told.encode()).hexdigest()


def _order(rows: Any) -> Any:
    """Return the places of hashes in their order; equal ones keep theirs."""
    import numpy as np

    order = np.argsort(np.ascontiguousarray(rows[:, 0]), kind="stable")
    ranked = rows[order]
    tied = ranked[1:, 0] == ranked[:-1, 0]
    if (tied & (ranked[1:, 1] != ranked[:-1, 1])).any():  # halves that agree by chance
        return np.lexsort((rows[:, 1], rows[:, 0]))
    return order


def _found(run: Any, asked: Any) -> Any:
    """Tell which of the asked hashes lie in a sorted run; both come as two halves."""
    import numpy as np

    high, low = run
    found = np.zeros(asked.shape[1], bool)
    at = np.searchsorted(high, asked[0])
    open_ = np.arange(asked.shape[1])
    while len(open_):
        open_ = open_[at[open_] < len(high)]
        open_ = open_[high[at[open_]] == asked[0, open_]]
        found[open_] = low[at[open_]] == asked[1, open_]
        open_ = open_[~found[open_]]
        at[open_] += 1
    return found


def layout(sample: Any) -> dict[str, Any]:
    """Return options of a Parquet writer: quick to write, small, and as exact as any other.

    Texts get a dictionary unless nearly every row of the sample, an Arrow table, has its own; all
    else gets the ranges that a reader can skip by.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = [field.name for field in sample.schema if pa.types.is_string(field.type)]
    head = sample.slice(0, _SAMPLE)
    few = [name for name in texts if 2 * pc.count_distinct(head[name]).as_py() <= len(head)]
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": few or False,
        "write_statistics": [name for name in sample.schema.names if name not in texts] or False,
    }


class RowGroups:
    """A Parquet file whose row groups are large, however small the chunks are that come in."""

    def __init__(self, path: Path, schema: Any) -> None:
        self.schema = schema
        self._path = path
        self._writer: Any = None
        self._waiting: list[Any] = []

    def write(self, table: Any) -> None:
        """Append a table of the schema; it is one row group, or part of one."""
        self._waiting.append(table)
        full = sum(map(len, self._waiting)) >= ROW_GROUP // 2
        if full or sum(table.nbytes for table in self._waiting) >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left; a file is there even without a row."""
        if self._waiting or self._writer is None:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.concat_tables(self._waiting or [self.schema.empty_table()])
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, self.schema, **layout(table))
        self._waiting = []
        self._writer.write_table(table, row_group_size=max(len(table), 1))
