"""Archived JSON to records: one object a line, arrays, objects end to end, answers of an API.

Every record keeps its raw text and its ordinal (JSON lines: its line). Nothing here casts,
judges or writes a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors import decoding, reading_fields, reading_pages, splitting
from connectors.checking import FILE, RAW, ROW
from connectors.quoting import literal
from connectors.reading import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    ReadFile,
    Records,
    Show,
    Wanted,
    internal_names,
    joined,
    note_broken,
)
from connectors.reading_fields import Shapes, check_required, path_steps
from connectors.reading_pages import Piece
from perfhouse.errors import SourceChanged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NOT_JSON = "not a JSON object"
_LINES = 16 << 20
_SPLIT = 1024  # records that the engine hands over at a time
_TOGETHER = 64 << 20  # bytes of files that the engine splits at once
_PIECE = 4 << 20  # characters of records that are split patiently at a time


class _NotSplitError(Exception):
    """The engine cannot split a file into records."""


def read_json(
    con: DuckDBPyConnection, files: Sequence[ReadFile], wanted: Wanted, scratch: Path
) -> Records:
    """Return the records of JSON files.

    Raises:
        SourceChanged: a file cannot be read, or no record has a field that is required.
    """
    steps = {name: path_steps(name) for name in wanted.fields}
    names = internal_names(list(steps))
    records = Records(fields=names)
    values = reading_fields.values(steps)
    records.used = {names[name]: text for name, text in values.used.items()}
    shapes = Shapes.of(steps.values(), wanted)
    records.chunks = _chunks(con, files, wanted, scratch, values.select, records, shapes)

    def settle() -> None:
        if shapes.looked:
            check_required(wanted, steps, shapes)
        records.undeclared = shapes.undeclared()

    records.settle = settle
    return records


def _chunks(
    con: DuckDBPyConnection,
    files: Sequence[ReadFile],
    wanted: Wanted,
    scratch: Path,
    values: str,
    records: Records,
    shapes: Shapes,
) -> Iterator[Show]:
    for batch in _batches(con, files, wanted, scratch, records):
        records.rows += batch.num_rows
        yield partial(_show, batch, values, shapes)


def _show(batch: Any, values: str, shapes: Shapes, con: DuckDBPyConnection) -> None:
    """Let the views `records` and `raws` give those records of a batch that are objects."""
    con.register("batch", batch)
    _check(con, shapes, batch)
    columns = ", ".join(filter(None, (FILE, ROW, values)))
    con.execute(f"create or replace temp view records as select {columns} from good")
    con.execute(f"create or replace temp view raws as select {FILE}, {ROW}, {RAW} as raw from good")


def _check(con: DuckDBPyConnection, shapes: Shapes, batch: Any) -> None:
    """Let `good` be the records of a batch that are objects; keep the others as broken."""
    import duckdb

    con.execute("create or replace temp view good as from batch")
    try:
        if _all_begin(batch):
            shapes.look(con)
            return
    except duckdb.InvalidInputException:  # one of them is no JSON
        pass
    test = f"coalesce(case when json_valid({RAW}) then json_type({RAW}) = 'OBJECT' end, false)"
    con.execute(
        f"insert into broken select {FILE}, {ROW}, {literal(NOT_JSON)}, {RAW} from batch "
        f"where not {test}"
    )
    objects = con.execute(f"from batch where {test}").to_arrow_table()
    con.register("batch", objects)
    con.execute("create or replace temp view good as from batch")
    shapes.look(con)


def _all_begin(batch: Any) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.starts_with(batch[RAW], "{"), min_count=0).as_py())


# --- from files to batches ---------------------------------------------------------------


def _batches(
    con: DuckDBPyConnection,
    files: Sequence[ReadFile],
    wanted: Wanted,
    scratch: Path,
    records: Records,
) -> Iterator[Any]:
    """Yield Arrow tables of file, row and raw text, in the order of files and rows."""
    if wanted.unfold is None and files and all(file.format == "json" for file in files):
        yield from _json_batches(con, files, wanted, scratch, records)
        return
    pieces: Iterator[Piece] = (p for file in files for p in _pieces(file, wanted, scratch))
    if wanted.unfold is not None:
        pieces = reading_pages.unfolded(con, pieces, wanted, records)
    yield from gathered(con, pieces, records)


def _pieces(file: ReadFile, wanted: Wanted, scratch: Path) -> Iterator[Piece]:
    if file.format == "pages":
        yield reading_pages.page(file, wanted)
    elif file.format == "jsonl":
        yield from _lines(file, wanted, scratch)
    else:
        yield from _slow(file, wanted, scratch)


def gathered(con: DuckDBPyConnection, pieces: Iterable[Piece], records: Records) -> Iterator[Any]:
    """Yield pieces as Arrow tables of bounded size."""
    yield from _merged(_table(con, piece, records) for piece in pieces)


def _table(con: DuckDBPyConnection, piece: Piece, records: Records) -> Any:
    """Return a piece as Arrow without an object of Python for each record."""
    import numpy as np
    import pyarrow as pa

    raws = piece.raws
    ends = np.cumsum(np.fromiter(map(len, raws), np.int64, len(raws)))
    offsets = np.concatenate([np.zeros(1, np.int64), ends])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(raws))]
    binary = pa.Array.from_buffers(pa.large_binary(), len(raws), buffers)
    rows = np.arange(piece.first, piece.first + len(raws), dtype=np.int64)
    keep = ends - offsets[:-1] > 0  # an empty line is no record
    files = pa.repeat(pa.scalar(piece.file.number, pa.int32()), len(raws))
    table = pa.table([files, pa.array(rows), binary], [FILE, ROW, RAW])
    table = table if keep.all() else table.filter(pa.array(keep))
    try:
        return table.set_column(2, RAW, table[RAW].cast(pa.large_string()))
    except pa.ArrowInvalid:
        return _readable(con, table, piece, records)


def _readable(con: DuckDBPyConnection, table: Any, piece: Piece, records: Records) -> Any:
    """Keep what is not UTF-8 as broken; return the rest."""
    import pyarrow as pa

    good, broken = [], []
    for at, raw in enumerate(table[RAW].to_pylist()):
        try:
            raw.decode("utf-8")
            good.append(at)
        except UnicodeDecodeError:
            row = table[ROW][at].as_py()
            broken.append((piece.file.number, row, NOT_JSON, raw.decode("utf-8", "replace")))
    note_broken(con, broken)
    records.rows += len(broken)
    table = table.take(pa.array(good, pa.int64()))
    return table.set_column(2, RAW, table[RAW].cast(pa.large_string()))


def _json_batches(
    con: DuckDBPyConnection,
    files: Sequence[ReadFile],
    wanted: Wanted,
    scratch: Path,
    records: Records,
) -> Iterator[Any]:
    """Let DuckDB split many files at once; where it cannot, they are read patiently."""
    waiting: list[ReadFile] = []
    size = 0
    for file in files:
        waiting.append(file)
        size += file.path.stat().st_size
        if size >= _TOGETHER:
            yield from _together(con, waiting, wanted, scratch, records)
            waiting, size = [], 0
    yield from _together(con, waiting, wanted, scratch, records)


def _together(
    con: DuckDBPyConnection,
    files: Sequence[ReadFile],
    wanted: Wanted,
    scratch: Path,
    records: Records,
) -> Iterator[Any]:
    """Yield the records of some files; from where the engine fails they are read patiently."""
    passed: dict[int, int] = {}
    try:
        for table in _fast(con, files, wanted, scratch):
            passed.update(zip(*(table[name].to_pylist() for name in (FILE, ROW)), strict=True))
            yield table
    except _NotSplitError:
        left = [file for file in files if file.number >= max(passed, default=0)]
        pieces = (piece for file in left for piece in _slow(file, wanted, scratch))
        yield from gathered(con, _after(pieces, passed), records)


def _after(pieces: Iterable[Piece], passed: Mapping[int, int]) -> Iterator[Piece]:
    """Leave out the records of each file up to a number."""
    for piece in pieces:
        done = max(0, passed.get(piece.file.number, 0) + 1 - piece.first)
        yield Piece(piece.file, piece.first + done, piece.raws[done:])


def _fast(
    con: DuckDBPyConnection, files: Sequence[ReadFile], wanted: Wanted, scratch: Path
) -> Iterator[Any]:
    """Let the engine split files, each run of one form at once, into tables of bounded size."""
    if wanted.options.get("records"):
        raise _NotSplitError
    forms = {"[": "array", "{": "unstructured"}
    readable = (_readable_by_engine(file, wanted, scratch) for file in files)
    for begin, group in groupby(readable, _sniff):
        if begin not in forms:
            raise _NotSplitError
        yield from _merged(_split(con, forms[begin], list(group)))


def _readable_by_engine(file: ReadFile, wanted: Wanted, scratch: Path) -> ReadFile:
    """Return the file, unpacked and in UTF-8 if it was not."""
    encoding = str(wanted.options.get("encoding") or "utf-8")
    if encoding in ("utf-8", "auto") and not decoding.packing(file.path):
        return file
    target = scratch / f"text-{file.number}"
    return replace(file, path=decoding.utf8(file.path, encoding, target, file.name, wanted.owner))


def _sniff(file: ReadFile) -> str:
    with file.path.open("rb") as handle:
        head = handle.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    globbed = any(c in str(file.path) for c in "*?[")
    return "" if globbed else head[:1].decode("ascii", "replace")


def _split(con: DuckDBPyConnection, form: str, group: Sequence[ReadFile]) -> Iterator[Any]:
    """Yield the records of files as small tables; those of each file are counted from 1."""
    import duckdb

    numbers = {str(file.path): file.number for file in group}
    firsts: dict[int, int] = {}
    query = (
        f"select filename, row_number() over () as nth, cast(json as varchar) as {RAW} "
        f"from read_json_objects(?, format = '{form}', filename = true)"
    )
    try:
        found = con.cursor().execute(query, [list(numbers)])
        for batch in found.to_arrow_reader(_SPLIT):
            yield _counted(batch, numbers, firsts)
    except (duckdb.InvalidInputException, OSError) as error:
        if not str(error).startswith("Invalid Input Error"):
            raise
        raise _NotSplitError from None  # something in one of them is no JSON


def _counted(batch: Any, numbers: Mapping[str, int], firsts: dict[int, int]) -> Any:
    """Give each record its file and its place there: the engine counts through all of them."""
    import numpy as np
    import pyarrow as pa

    names = batch["filename"].dictionary_encode()
    each = np.array([numbers[name] for name in names.dictionary.to_pylist()], np.int32)
    files, rows = each[names.indices.to_numpy()], batch["nth"].to_numpy()
    for number, first in zip(*np.unique(files, return_index=True), strict=True):
        firsts.setdefault(int(number), int(rows[first]))
    before = np.array([firsts[int(number)] - 1 for number in each], np.int64)
    ordinals = rows - before[names.indices.to_numpy()]
    return pa.table([pa.array(files), pa.array(ordinals), batch[RAW]], [FILE, ROW, RAW])


def _merged(tables: Iterable[Any]) -> Iterator[Any]:
    """Yield tables as fewer of bounded size."""
    waiting: list[Any] = []
    rows = size = 0
    for table in tables:
        waiting.append(table)
        rows, size = rows + table.num_rows, size + table.nbytes
        if rows >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield joined(waiting)
            waiting, rows, size = [], 0, 0
    if rows:
        yield joined(waiting)


def _slow(file: ReadFile, wanted: Wanted, scratch: Path) -> Iterator[Piece]:
    """Split one file patiently, so that what is no JSON is kept and the rest lands.

    Raises:
        SourceChanged: it is empty, or an object as large as no record can be has no records.
    """
    first, size = 1, 0
    raws: list[bytes] = []
    for text in _texts(file, wanted, scratch):
        raws.append(text.encode())
        size += len(text)
        if size >= _PIECE or len(raws) >= CHUNK_ROWS:
            yield Piece(file, first, raws)
            first, size, raws = first + len(raws), 0, []
    if raws:
        yield Piece(file, first, raws)


def _texts(file: ReadFile, wanted: Wanted, scratch: Path) -> Iterator[str]:
    encoding = str(wanted.options.get("encoding") or "utf-8")
    target = scratch / f"text-{file.number}"
    path = decoding.utf8(file.path, encoding, target, file.name, wanted.owner)
    records = str(wanted.options.get("records") or "")
    if not path.stat().st_size:
        raise SourceChanged(
            f"{file.name}: the file is empty, not even an empty list; nothing was landed; "
            f"ask the source's owner: {wanted.owner}"
        )
    with path.open(encoding="utf-8-sig", newline="") as handle:
        try:
            yield from splitting.records(handle, path_steps(records) if records else ())
        except splitting.NoRecordsError:
            raise SourceChanged(
                f"{file.name}: not the text that is expected: it has no list of records at "
                f"{records!r}. The whole delivery was refused, nothing was landed: the mapping's "
                f"author adapts perfhouse.toml, or ask the source's owner: {wanted.owner}"
            ) from None


def _lines(file: ReadFile, wanted: Wanted, scratch: Path) -> Iterator[Piece]:
    encoding = str(wanted.options.get("encoding") or "utf-8")
    target = scratch / f"text-{file.number}"
    path = decoding.utf8(file.path, encoding, target, file.name, wanted.owner)
    line = 1
    for parts in _line_blocks(path):
        yield Piece(file, line, [part.strip(b" \t\r") for part in parts])
        line += len(parts)


def _line_blocks(path: Path) -> Iterator[list[bytes]]:
    """Yield the lines of a file, some megabytes at a time."""
    tail = b""
    with path.open("rb") as handle:
        while chunk := handle.read(_LINES):
            *parts, tail = (tail + chunk).split(b"\n")
            yield parts
    yield [tail]
