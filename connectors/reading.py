"""Archived files to a table of text records: CSV and Parquet; JSON is in reading_json.

Every record gets its file and row; what is no record is kept with its raw text. Nothing here
casts, judges or writes a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors import decoding, reading_csv
from connectors.base import Beside, Unfold
from connectors.checking import FILE, RAW, ROW
from connectors.quoting import literal, quoted
from perfhouse.errors import SourceChanged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CHUNK_ROWS = 61_440  # records that are cast at a time, unless their bytes are more than this
CHUNK_BYTES = 24 << 20
_LOOKS, _LOOK = 8, 500  # row groups that are looked into, and rows of each
_SPAN_ROWS = 61_440  # likewise of Parquet, where only the columns in use are read
_LARGEST = 4  # blocks that one row may fill: beyond lies a quote that is never closed
_NOTED = 4_096  # rows of the wrong width that are kept at a time
_TOLD = 20  # unknown names that a message lists; the rest is a count
PRIVATE = re.compile(r"@|\d{6}|.{41}", re.DOTALL)  # looks like a value, not like a column's name
_VALUE = re.compile(r"@|\d{6}")
_LINE = re.compile(r"[^\r\n]+")
_BARE = "hive_partitioning = false"  # folder names are ours and no columns of the source


@dataclass(frozen=True)
class ReadFile:
    """An archived file: its number in archive order, its name for people, where it lies."""

    number: int
    name: str
    path: Path
    format: str


@dataclass(frozen=True)
class Wanted:
    """What a mapping needs from its files.

    Args:
        fields: source fields it uses, by the canonical column that uses them first.
        required: those of them that a required column needs.
        quiet: fields that need no report: ignored, or used by a sibling stream.
        records: by folder of the archive, where in an answer the list of records lies.
        unfold: what turns one record into rows, if the connector has it for the stream.
        beside: what it is given beside a record, of a page and its file's name.
    """

    stream: str
    owner: str
    options: Mapping[str, Any]
    fields: Mapping[str, str]
    required: Collection[str] = ()
    quiet: Collection[str] = ()
    records: Mapping[str, str] = field(default_factory=dict)
    unfold: Unfold | None = None
    beside: Callable[[Any, str], Beside] = lambda page, name: Beside(page, name, lambda *_: {})


@dataclass(frozen=True)
class Turned:
    """Columns of a table that become rows.

    Args:
        name: the column that tells which of them a row comes from; `value` what stood there.
        columns: SQL over `records` of their texts, by name.
    """

    name: str
    value: str
    columns: Mapping[str, str]


Show = Callable[["DuckDBPyConnection"], None]


@dataclass
class Records:
    """What was read, a chunk at a time, and the table `broken`.

    Args:
        fields: internal column name by source field.
        used: SQL over `records` by internal column name that gives its text.
        native: likewise, the value in its own type, of columns that were archived with one.
        types: those types, as DuckDB names them.
        chunks: each step shows a connection some more records in its views `records` and `raws`;
            the counts below are complete after the last one.
        settle: ends the reading when all chunks are cast; may refuse them all.
        turned: columns that become rows, or None: every record is as many rows as it has columns.
        rows: records, each as often as it is a row, and broken rows.
        outside: records that are about no row of the stream.
    """

    fields: dict[str, str] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    native: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    chunks: Iterable[Show] = ()
    settle: Callable[[], None] = lambda: None
    turned: Turned | None = None
    rows: int = 0
    outside: int = 0
    undeclared: set[str] = field(default_factory=set)

    @property
    def times(self) -> int:
        """Return how many rows a record is."""
        return len(self.turned.columns) if self.turned else 1


@dataclass(frozen=True)
class _Table:
    """A file with a header.

    Args:
        path: where it can be read, decoded already.
        header: its column names; `columns` are the SQL names they are read by, in Parquet.
        types: likewise, as DuckDB names them; none where all is text.
        row: SQL of a row's number, in Parquet.
    """

    file: ReadFile
    path: Path
    header: list[str]
    columns: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    row: str = "file_row_number + 1"


class _WrongWidth:
    """Keeps rows of the wrong width as broken, each once however often it is read.

    Arrow may tell them from another thread, so they go through a session of their own.
    """

    def __init__(self, con: DuckDBPyConnection, file: ReadFile, records: Records) -> None:
        self._con, self._file, self._records = con.cursor(), file, records
        self._waiting: list[tuple[int, int, str, str]] = []
        self._last = self._size = 0

    def note(self, row: Any) -> None:
        """Keep a row, unless it was read before."""
        if row.number <= self._last:
            return
        self._last = row.number
        reason, lines = _swallowed(row)
        for line in lines:
            self._waiting.append((self._file.number, row.number, reason, line))
            self._size += len(line)
            if len(self._waiting) >= _NOTED or self._size >= reading_csv.BLOCK:
                self.settle()

    def settle(self) -> None:
        """Let the table have them all."""
        note_broken(self._con, self._waiting)
        self._records.rows += len(self._waiting)
        self._waiting, self._size = [], 0


def prepare(con: DuckDBPyConnection) -> None:
    """Create the table of rows that are no records."""
    con.execute(
        f"create table broken ({FILE} integer, {ROW} bigint, reason varchar, {RAW} varchar)"
    )


def note_broken(con: DuckDBPyConnection, rows: Sequence[tuple[int, int, str, str]]) -> None:
    """Keep rows that are no records."""
    import pyarrow as pa

    if not rows:
        return
    kinds = (pa.int32(), pa.int64(), pa.string(), pa.string())
    columns = [pa.array(c, kind) for c, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    con.register("noted", pa.table(columns, [FILE, ROW, "reason", RAW]))
    con.execute("insert into broken from noted")
    con.unregister("noted")


def read_tables(
    con: DuckDBPyConnection, files: Sequence[ReadFile], wanted: Wanted, scratch: Path
) -> Records:
    """Return the records of CSV, Parquet or Excel files whose headers fit the mapping.

    Raises:
        SourceChanged: a header lacks a column the mapping uses, or a file cannot be read.
    """
    openers = {"csv": _open_csv, "parquet": _open_parquet, "xlsx": _open_sheet}
    tables = []
    for file in files:
        table = openers[file.format](con, file, wanted, scratch)
        _check_header(file, table.header, wanted)
        tables.append(table)
    names = internal_names([name for table in tables for name in dict.fromkeys(table.header)])
    records = Records(fields={name: names[name] for name in wanted.fields if name in names})
    for name, inner in records.fields.items():
        kind = _common_type(tables, name)
        records.used[inner] = f"cast({quoted(inner)} as varchar)" if kind else quoted(inner)
        if kind:
            records.native[inner], records.types[inner] = quoted(inner), kind
    records.undeclared = {
        shown(label(name, at))
        for table in tables
        for at, name in enumerate(table.header, start=1)
        if name not in wanted.fields and name not in wanted.quiet
    }
    records.chunks = _chunks(con, tables, names, wanted, records)
    return records


def _common_type(tables: Sequence[_Table], name: str) -> str:
    """Return the type that a column has in every file, or nothing: then it is read as text."""
    kinds = {
        table.types[table.header.index(name)] if table.types else "VARCHAR" for table in tables
    }
    kind = kinds.pop() if len(kinds) == 1 else "VARCHAR"
    return "" if kind == "VARCHAR" else kind


def _chunks(
    con: DuckDBPyConnection,
    tables: Sequence[_Table],
    names: Mapping[str, str],
    wanted: Wanted,
    records: Records,
) -> Iterator[Show]:
    for table in tables:
        if table.file.format == "csv":
            yield from _fill_csv(con, table, names, wanted, records)
        else:
            yield from _fill_parquet(con, table, names, records)


def internal_names(names: Sequence[str]) -> dict[str, str]:
    """Return a usable column name for every source name: unique whatever the case, not empty."""
    result: dict[str, str] = {}
    taken = {FILE, ROW, RAW, "__values"}
    for name in dict.fromkeys(names):
        inner = name if name.strip() and name.lower() not in taken else f"__column_{len(result)}"
        taken.add(inner.lower())
        result[name] = inner
    return result


def label(name: str, position: int) -> str:
    """Return how people are told of a column; one without a name is told by its place."""
    return name if name.strip() else f"(column {position} without a name)"


def shown(name: str) -> str:
    """Return a field's name for a manifest: addresses and numbers may be keys, but no names."""
    return "<hidden>" if _VALUE.search(name) else name


def _check_header(file: ReadFile, header: Sequence[str], wanted: Wanted) -> None:
    missing = [name for name in wanted.fields if name not in header]
    twice = [name for name in wanted.fields if list(header).count(name) > 1]
    if not missing and not twice:
        return
    known = {*wanted.fields, *wanted.quiet}
    if file.format == "csv" and not any(name.strip() and name in known for name in header):
        raise SourceChanged(_headless(file, wanted))  # the line may be a row: not a word of it
    fresh = [
        _public(label(name, at)) for at, name in enumerate(header, start=1) if name not in known
    ]
    parts = [f"{_told(name, wanted, fresh)} is missing" for name in missing]
    parts += [f"{name!r} appears more than once" for name in twice]
    more = f" and {len(fresh) - _TOLD} more" if len(fresh) > _TOLD else ""
    extra = f"; not in the mapping: {', '.join(map(repr, fresh[:_TOLD]))}{more}" if fresh else ""
    raise SourceChanged(
        f"{file.name}: the header does not fit the mapping of {wanted.stream}: "
        f"{'; '.join(parts)}{extra}. The whole delivery was refused, nothing was landed: the "
        f"mapping's author adapts perfhouse.toml, or {wanted.owner} delivers the file again"
    )


def _headless(file: ReadFile, wanted: Wanted) -> str:
    names = ", ".join(map(repr, wanted.fields))
    return (
        f"{file.name}: the header line seems to be missing (or the delimiter is another one): "
        f"none of the {len(wanted.fields)} columns that {wanted.stream} expects is in the first "
        f"line: {names}. The whole delivery was refused, nothing was landed: {wanted.owner} "
        f"delivers the file again, or the mapping's author adapts perfhouse.toml"
    )


def _public(name: str) -> str:
    """Return a column's name, or a stand-in for what may be a person's data."""
    return "<hidden>" if PRIVATE.search(name) else name


def _told(name: str, wanted: Wanted, fresh: Sequence[str]) -> str:
    near = get_close_matches(name, fresh, n=1, cutoff=0.75)
    hint = f" (renamed to {near[0]!r}?)" if near else ""
    return f"{name!r} (for {wanted.fields[name]}){hint}"


def _open_csv(_: DuckDBPyConnection, file: ReadFile, wanted: Wanted, scratch: Path) -> _Table:
    encoding = str(wanted.options.get("encoding") or "utf-8")
    target = scratch / f"text-{file.number}"
    path = decoding.utf8(file.path, encoding, target, file.name, wanted.owner)
    path = reading_csv.without_sep_line(path, scratch / f"plain-{file.number}", file, wanted)
    header = reading_csv.first_rows(path, wanted, 1)
    if not header:
        raise SourceChanged(
            f"{file.name}: the file is empty, not even a header; nothing was landed; "
            f"ask the source's owner: {wanted.owner}"
        )
    return _Table(file, path, header[0])


def _fill_csv(
    con: DuckDBPyConnection,
    table: _Table,
    names: Mapping[str, str],
    wanted: Wanted,
    records: Records,
) -> Iterator[Show]:
    import pyarrow as pa

    if len(reading_csv.first_rows(table.path, wanted, 2)) < 2:
        return
    inner = _distinct([names[name] for name in table.header])
    first, size = reading_csv.BLOCK, table.path.stat().st_size + 1
    broken = _WrongWidth(con, table.file, records)
    passed = 0  # good rows that went on already; a row too long for a block comes after them
    for block in (first, min(_LARGEST * first, size)):
        try:
            for batch in _stream_csv(table, inner, block, wanted, passed, broken):
                passed += batch.num_rows
                records.rows += batch.num_rows * records.times
                yield partial(_show, batch, names, table.header)
        except pa.ArrowInvalid:
            continue
        broken.settle()
        return
    raise SourceChanged(
        f"{table.file.name}: the file cannot be read as CSV (a quote that is never closed?); "
        f"nothing was landed; ask the source's owner: {wanted.owner}"
    )


def _show(
    batch: Any, names: Mapping[str, str], header: Sequence[str], con: DuckDBPyConnection
) -> None:
    """Let the views `records` and `raws` give an Arrow table of text columns."""
    con.register("batch", batch)
    con.execute("create or replace temp view records as select * from batch")
    pairs = ", ".join(f"{literal(name)}, {quoted(names[name])}" for name in dict.fromkeys(header))
    con.execute(
        f"create or replace temp view raws as select {FILE}, {ROW}, "
        f"cast(json_object({pairs}) as varchar) as raw from batch"
    )


def _distinct(inner: Sequence[str]) -> list[str]:
    """Name repeated columns apart; only columns no mapping uses can repeat."""
    seen: set[str] = set()
    result = []
    for at, name in enumerate(inner):
        result.append(f"__again_{at}" if name in seen else name)
        seen.add(name)
    return result


def _stream_csv(
    table: _Table,
    inner: Sequence[str],
    block: int,
    wanted: Wanted,
    passed: int,
    broken: _WrongWidth,
) -> Iterator[Any]:
    """Yield Arrow tables of the good rows after the first `passed`; note the others."""
    kept = [name for name in inner if not name.startswith("__again_")]
    waiting: list[Any] = []
    for numbers, batch in reading_csv.numbered(table.path, inner, block, wanted, broken.note):
        skipped = min(passed, batch.num_rows)
        passed -= skipped
        waiting.append(_numbered(table.file.number, numbers, batch.select(kept)).slice(skipped))
        if sum(t.nbytes for t in waiting) >= CHUNK_BYTES or _count(waiting) >= CHUNK_ROWS:
            yield joined(waiting)
            waiting = []
    if _count(waiting):
        yield joined(waiting)


def _count(tables: Iterable[Any]) -> int:
    return sum(table.num_rows for table in tables)


def joined(tables: Sequence[Any]) -> Any:
    """Return Arrow tables as one, without copying them."""
    import pyarrow as pa

    return pa.concat_tables(tables)


def _numbered(file: int, numbers: Any, batch: Any) -> Any:
    import pyarrow as pa

    files = pa.repeat(pa.scalar(file, pa.int32()), batch.num_rows)
    columns = [files, pa.array(numbers, pa.int64()), *batch.columns]
    return pa.table(columns, [FILE, ROW, *batch.schema.names])


def _swallowed(row: Any) -> tuple[str, Iterator[str]]:
    """Tell what is wrong with a row and its lines; a quote never closed swallows many."""
    count = sum(1 for _ in _LINE.finditer(row.text))
    reason = f"expected {row.expected_columns} fields, found {row.actual_columns}"
    if count > 1:
        reason += f" in {count} lines joined by a quote"
    return reason, (match[0] for match in _LINE.finditer(row.text)) if count else iter([row.text])


def _open_parquet(con: DuckDBPyConnection, file: ReadFile, wanted: Wanted, _: Path) -> _Table:
    import duckdb

    try:
        found = con.execute(
            f"describe select * from read_parquet(?, {_BARE})", [_plain(file.path)]
        ).fetchall()
    except duckdb.Error:
        raise SourceChanged(
            f"{file.name}: the file cannot be read as Parquet; nothing was landed; "
            f"ask the source's owner: {wanted.owner}"
        ) from None
    names, types = ([str(row[at]) for row in found] for at in (0, 1))
    return _Table(file, file.path, names, [quoted(name) for name in names], types)


def _open_sheet(_: DuckDBPyConnection, file: ReadFile, wanted: Wanted, scratch: Path) -> _Table:
    from connectors import reading_xlsx

    target = scratch / f"sheet-{file.number}.parquet"
    path = reading_xlsx.to_parquet(file.path, target, wanted.options, file.name, wanted.owner)
    header = reading_xlsx.header(path)
    columns = [quoted(f"c{at}") for at in range(1, len(header) + 1)]
    return _Table(file, path, header, columns, row=quoted(ROW))


def _plain(path: Path) -> list[str]:
    """Return a path as a list, which DuckDB still globs: so brackets are escaped."""
    return ["".join(f"[{c}]" if c in "*?[" else c for c in str(path))]


def _fill_parquet(
    con: DuckDBPyConnection, table: _Table, names: Mapping[str, str], records: Records
) -> Iterator[Show]:
    """Show one span of a file after the other; row groups outside a span are not touched."""
    (path,) = _plain(table.path)
    scan = f"read_parquet([{literal(path)}], file_row_number = true, {_BARE})"
    columns = dict(zip(reversed(table.header), reversed(table.columns), strict=True))
    texts = {name: f"cast({columns[name]} as varchar)" for name in dict.fromkeys(table.header)}
    shown = "".join(
        f", {columns[name] if inner in records.native else texts[name]} as {quoted(inner)}"
        for name, inner in records.fields.items()
    )
    pairs = ", ".join(f"{literal(name)}, {text}" for name, text in texts.items())
    numbers = f"cast({table.file.number} as integer) as {FILE}, {table.row} as {ROW}"
    raw = f", cast(json_object({pairs}) as varchar) as raw"
    for first, end in _spans(con, table.path):
        within = f"from {scan} where file_row_number >= {first} and file_row_number < {end}"
        records.rows += (end - first) * records.times
        yield partial(_show_queries, f"{numbers}{shown} {within}", f"{numbers}{raw} {within}")


def _show_queries(records: str, raws: str, con: DuckDBPyConnection) -> None:
    con.execute(f"create or replace temp view records as select {records}")
    con.execute(f"create or replace temp view raws as select {raws}")


def _spans(con: DuckDBPyConnection, path: Path) -> list[tuple[int, int]]:
    """Return spans of a file's rows to read at a time: whole row groups, unless one is large."""
    (plain,) = _plain(path)
    groups = con.execute(
        "select any_value(row_group_num_rows), sum(total_uncompressed_size) "
        f"from parquet_metadata([{literal(plain)}]) group by row_group_id order by row_group_id"
    ).fetchall()
    width = _width(path, len(groups))
    spans: list[tuple[int, int]] = []
    start = end = 0
    for count, size in groups:
        most = int(max(1, min(_SPAN_ROWS, CHUNK_BYTES // max(width, size / max(count, 1), 1))))
        if end > start and end - start + count > most:
            spans.append((start, end))
            start = end
        end += count
        while end - start > most:
            spans.append((start, start + most))
            start += most
    return [*spans, (start, end)] if end > start else spans


def _width(path: Path, groups: int) -> float:
    """Return how many bytes a row takes once it is read, of the widest of some row groups.

    A file says how large its values are only while each of them is kept but once.
    """
    import pyarrow.parquet as pq

    widths = [0.0]
    some = {groups * nth // _LOOKS for nth in range(_LOOKS)} if groups else set()
    with pq.ParquetFile(path) as file:
        for group in sorted(some):
            batch = next(file.iter_batches(_LOOK, row_groups=[group], use_threads=False), None)
            if batch is not None and batch.num_rows:
                widths.append(batch.nbytes / batch.num_rows)
    return max(widths)
