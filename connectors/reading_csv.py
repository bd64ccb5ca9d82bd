"""CSV text to Arrow batches of text, and what number each row has.

Nothing here knows streams, judges a row or writes to the lake.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from perfhouse.errors import ConfigError

if TYPE_CHECKING:
    from connectors.reading import ReadFile, Wanted

BLOCK = 8 << 20  # bytes
_SEP_LINE = re.compile(rb'"?sep=([\x20-\x7e\t])"?\r?\n', re.IGNORECASE)


def options(wanted: Wanted) -> tuple[str, str]:
    """Return the delimiter and the quote, which may be empty."""
    return str(wanted.options.get("delimiter") or ","), str(wanted.options.get("quote", '"'))


def without_sep_line(path: Path, target: Path, file: ReadFile, wanted: Wanted) -> Path:
    """Leave out the line `sep=;` that tells Excel the delimiter, and that Excel never shows."""
    with path.open("rb") as handle:
        line = handle.readline(16)
        told = _SEP_LINE.fullmatch(line)
        if told is None:
            return path
        delimiter = told[1].decode()
        if delimiter != options(wanted)[0]:
            where = f"{wanted.stream}.delimiter"
            raise ConfigError([f"{where}: expected {delimiter!r}, as {file.name} itself says"])
        with target.open("wb") as out:
            shutil.copyfileobj(handle, out, BLOCK)
    return target


def first_rows(path: Path, wanted: Wanted, count: int) -> list[list[str]]:
    """Return the first rows that are no blank lines; fields may be of 128 KiB at most."""
    found: list[list[str]] = []
    try:
        for row in _rows(path, wanted):
            if row:
                found.append(row)
            if len(found) == count:
                break
    except csv.Error:
        found.append([])
    return found


def _rows(path: Path, wanted: Wanted) -> Iterator[list[str]]:
    """Yield the rows of a file; a blank line is one without fields."""
    delimiter, quote = options(wanted)
    with path.open(encoding="utf-8-sig", newline="") as handle:
        yield from csv.reader(
            handle,
            delimiter=delimiter,
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )


def numbered(
    path: Path, names: Sequence[str], block: int, wanted: Wanted, note: Callable[[Any], None]
) -> Iterator[tuple[Any, Any]]:
    """Yield row numbers and text of the rows below the header, so many bytes at a time.

    Rows are numbered as a spreadsheet shows them: the header too, blank lines too, and a row
    whose quoted text has several lines is one. A blank line itself is none. Rows of the wrong
    width are noted instead, as Arrow gives them and perhaps in another thread.

    Raises:
        pyarrow.ArrowInvalid: a row does not fit in a block.
    """
    above = next(at for at, row in enumerate(_rows(path, wanted)) if row)
    following = above + 2
    blanks = _blanks(path, len(names), wanted, above + 1)
    runs: list[list[int]] = []

    def skip(row: Any) -> str:
        note(row)
        if runs and runs[-1][1] == row.number:
            runs[-1][1] += 1
        else:
            runs.append([row.number, row.number + 1])
        return "skip"

    for batch in _batches(path, names, block, wanted, above + 1, skip):
        numbers, following = _numbers(following, batch.num_rows, runs)
        del runs[: sum(end <= following for _, end in runs)]
        held = _held(batch, blanks)
        yield (numbers, batch) if held is None else (numbers[held], batch.filter(held))


def _batches(
    path: Path,
    names: Sequence[str],
    block: int,
    wanted: Wanted,
    skipped: int,
    skip: Callable[[Any], str],
) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    delimiter, quote = options(wanted)
    with path.open("rb") as handle:
        yield from arrow_csv.open_csv(
            pa.PythonFile(_LineEnds(handle), "r"),
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                column_names=names,
                skip_rows_after_names=skipped,
                block_size=block,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter,
                quote_char=quote or False,
                newlines_in_values=bool(quote),
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )


class _LineEnds:
    """Never lets a read end between the two characters of a line end: Arrow would drop one."""

    closed = False

    def __init__(self, handle: BinaryIO) -> None:
        self._handle, self._held = handle, b""

    def read(self, size: int) -> bytes:
        """Return some more bytes, `size` at most; none at the end."""
        got = self._held + self._handle.read(size - len(self._held))
        self._held = b"\r" if len(got) > 1 and got.endswith(b"\r") else b""
        return got[: len(got) - len(self._held)]

    def close(self) -> None:
        """Leave the file to whoever opened it."""


def _numbers(following: int, count: int, runs: Sequence[Sequence[int]]) -> tuple[Any, int]:
    """Return the numbers of the next `count` rows, and the first that another may have.

    Runs are half-open ranges of numbers that no good row has, from the following one on.
    """
    import numpy as np

    starts, ends = np.array(runs, np.int64).reshape(-1, 2).T
    left_out = np.concatenate([np.zeros(1, np.int64), np.cumsum(ends - starts)])
    rows_before = starts - following - left_out[:-1]
    at = np.arange(count, dtype=np.int64)
    numbers = following + at + left_out[np.searchsorted(rows_before, at, side="right")]
    following = int(numbers[-1]) + 1 if count else following
    return numbers, next((end for start, end in runs if start == following), following)


def _held(batch: Any, blanks: Iterator[bool]) -> Any:
    """Return which rows are no blank lines, or None for all; as read, those have empty fields."""
    import numpy as np
    import pyarrow.compute as pc

    empty = pc.equal(batch.column(0), "")
    for column in batch.columns[1:]:
        if not pc.any(empty, min_count=0).as_py():
            return None
        empty = pc.and_(empty, pc.equal(column, ""))
    held = [not (nothing and next(blanks, False)) for nothing in empty.to_pylist()]
    return None if all(held) else np.array(held)


def _blanks(path: Path, width: int, wanted: Wanted, skipped: int) -> Iterator[bool]:
    """Tell of each row without any text whether it is a blank line, not a row such as `,,`."""
    if not _some_begin_empty(path, width, wanted):
        yield from repeat(True)
    try:
        for row in islice(_rows(path, wanted), skipped, None):
            if not any(row) and len(row) in (0, width):
                yield not row
    except csv.Error:  # a field of more than 128 KiB
        yield from repeat(False)


def _some_begin_empty(path: Path, width: int, wanted: Wanted) -> bool:
    """Tell at once of most files that no line begins with an empty field."""
    delimiter, quote = options(wanted)
    begins = ([2 * quote] if quote else []) + ([delimiter] if width > 1 else [])
    marks = [f"{end}{begin}".encode() for begin in begins for end in "\r\n"]
    tail = b""
    with path.open("rb") as handle:
        while read := handle.read(BLOCK):
            text = tail + read
            if any(mark in text for mark in marks):
                return True
            tail = text[-8:]
    return False
