"""Archived JSON to records: one object a line, arrays, objects end to end, answers of an API.

Every record keeps its raw text and its ordinal (JSON lines: its line). Nothing here casts,
judges or writes a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors import decoding, reading_fields, reading_pages
from connectors.casting import literal
from connectors.checking import FILE, RAW, ROW
from connectors.reading import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    ReadFile,
    Records,
    Show,
    Wanted,
    internal_names,
    note_broken,
    sliced,
)
from connectors.reading_fields import Shapes, Step, check_required, path_steps
from connectors.reading_pages import Piece
from perfhouse.errors import SourceChanged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NOT_JSON = "not a JSON object"
_LINES = 16 << 20
_TOGETHER = 64 << 20  # bytes of files that the engine splits at once
_NEXT_OBJECT = re.compile(r"\n\s*(?=\{)")
_SPACE = re.compile(r"[\s,]*")


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
        yield from _json_batches(con, files, wanted, scratch)
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
        raws = [text.encode() for text in _slow(file, wanted, scratch)]
        yield Piece(file, 1, raws)


def gathered(con: DuckDBPyConnection, pieces: Iterable[Piece], records: Records) -> Iterator[Any]:
    """Yield pieces as Arrow tables of bounded size."""
    waiting: list[Any] = []
    rows = size = 0
    for piece in pieces:
        table = _table(con, piece, records)
        waiting.append(table)
        rows, size = rows + table.num_rows, size + table.nbytes
        if rows >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield sliced(waiting)
            waiting, rows, size = [], 0, 0
    if rows:
        yield sliced(waiting)


def _table(con: DuckDBPyConnection, piece: Piece, records: Records) -> Any:
    """Return a piece as Arrow without an object of Python for each record."""
    import numpy as np
    import pyarrow as pa

    raws = piece.raws
    ends = np.cumsum(np.fromiter((memoryview(raw).nbytes for raw in raws), np.int64, len(raws)))
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
    con: DuckDBPyConnection, files: Sequence[ReadFile], wanted: Wanted, scratch: Path
) -> Iterator[Any]:
    """Let DuckDB split many files at once; those it cannot split are read patiently."""
    waiting: list[ReadFile] = []
    size = 0
    for file in files:
        waiting.append(file)
        size += file.path.stat().st_size
        if size >= _TOGETHER:
            yield from _together(con, waiting, wanted, scratch)
            waiting, size = [], 0
    yield from _together(con, waiting, wanted, scratch)


def _together(
    con: DuckDBPyConnection, files: Sequence[ReadFile], wanted: Wanted, scratch: Path
) -> Iterator[Any]:
    con.execute(f"create or replace table lines ({FILE} integer, {ROW} bigint, {RAW} varchar)")
    patient = _fast(con, files, wanted, scratch)
    for file in patient:
        _insert(con, file, _slow(file, wanted, scratch))
    order = f" order by {FILE}, {ROW}" if patient else ""
    size = con.execute(f"select avg(length({RAW})) from lines").fetchone()
    step = CHUNK_BYTES // max(int((size[0] if size else None) or 1), 1)
    found = con.execute(f"select {FILE}, min({ROW}) from lines group by all").fetchall()
    firsts = dict(found)
    reader = (
        con.cursor().execute(f"from lines{order}").to_arrow_reader(max(1, min(CHUNK_ROWS, step)))
    )
    for batch in reader:
        yield _renumbered(batch, firsts)


def _renumbered(batch: Any, firsts: Mapping[int, int]) -> Any:
    """Count the records of each file from 1: the engine counts through all of them."""
    import numpy as np
    import pyarrow as pa

    before = np.zeros(max(firsts, default=0) + 1, np.int64)
    before[list(firsts)] = [first - 1 for first in firsts.values()]
    table = pa.Table.from_batches([batch])
    rows = table[ROW].to_numpy() - before[table[FILE].to_numpy()]
    return sliced([table.set_column(1, ROW, pa.array(rows, pa.int64()))])


def _fast(
    con: DuckDBPyConnection, files: Sequence[ReadFile], wanted: Wanted, scratch: Path
) -> list[ReadFile]:
    """Let DuckDB split all files at once; return those that need the patient reader."""
    import duckdb

    patient: list[ReadFile] = []
    groups: dict[str, list[ReadFile]] = {"array": [], "unstructured": []}
    for file in files:
        readable = _readable_by_engine(file, wanted, scratch)
        kind = {"[": "array", "{": "unstructured"}.get(_sniff(readable))
        if kind and not wanted.options.get("records"):
            groups[kind].append(readable)
        else:
            patient.append(file)
    for form, group in groups.items():
        try:
            _split(con, form, group)
        except duckdb.InvalidInputException:  # something in one of them is no JSON
            patient.extend(group)
    return sorted(patient, key=lambda file: file.number)


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


def _split(con: DuckDBPyConnection, form: str, group: Sequence[ReadFile]) -> None:
    if not group:
        return
    con.execute("create or replace temp table numbered (filename varchar, number integer)")
    con.execute(
        "insert into numbered select unnest(?), unnest(?)",
        [[str(f.path) for f in group], [f.number for f in group]],
    )
    con.execute(
        f"insert into lines select number, nth, {RAW} from (select filename, "
        f"cast(json as varchar) as {RAW}, row_number() over () as nth "
        f"from read_json_objects(?, format = '{form}', filename = true)) "
        "join numbered using (filename)",
        [[str(f.path) for f in group]],
    )


def _insert(con: DuckDBPyConnection, file: ReadFile, raws: Sequence[str]) -> None:
    import pyarrow as pa

    con.register(
        "batch",
        pa.table(
            {ROW: pa.array(range(1, len(raws) + 1), pa.int64()), RAW: pa.array(raws, pa.string())}
        ),
    )
    con.execute(f"insert into lines select {file.number}, {ROW}, {RAW} from batch")
    con.unregister("batch")


def _slow(file: ReadFile, wanted: Wanted, scratch: Path) -> list[str]:
    """Split one file patiently, so that what is no JSON is kept and the rest lands."""
    encoding = str(wanted.options.get("encoding") or "utf-8")
    target = scratch / f"text-{file.number}"
    path = decoding.utf8(file.path, encoding, target, file.name, wanted.owner)
    text = path.read_text(encoding="utf-8-sig")
    if not text:
        raise SourceChanged(
            f"{file.name}: the file is empty, not even an empty list; nothing was landed; "
            f"ask the source's owner: {wanted.owner}"
        )
    within = path_steps(wanted.options["records"]) if wanted.options.get("records") else ()
    return [piece for raw in _objects(text) for piece in _within(raw, within)]


def _objects(text: str) -> Iterator[str]:
    """Yield the raw text of each value; of what is no JSON, up to the next line with a brace."""
    decoder = json.JSONDecoder()
    at = _SPACE.match(text).end()  # type: ignore[union-attr]
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            found = _NEXT_OBJECT.search(text, at + 1)
            yield text[at : found.start() if found else len(text)]
            at = found.end() if found else len(text)
            continue
        except RecursionError:
            yield text[at:]
            return
        if isinstance(value, list):
            yield from map(_dumped, value)
        else:
            yield text[at:end]
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]


def _within(raw: str, within: Sequence[Step]) -> Iterator[str]:
    """Yield the records that lie in a list inside a wrapping object."""
    if not within:
        yield raw
        return
    try:
        value: Any = json.loads(raw)
        for step in within:
            value = value[step]
    except (ValueError, KeyError, IndexError, TypeError):
        yield raw
        return
    items = value if isinstance(value, list) else [value]
    yield from map(_dumped, items)


def _dumped(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character: kept as an escape, and judged as no JSON
        return json.dumps(value)
    return text


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
