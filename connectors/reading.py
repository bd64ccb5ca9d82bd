"""Archived files to a table of text records: CSV and Parquet; JSON is in reading_json.

Every record gets its file and row; what is no record is kept with its raw text. Nothing here
casts, judges or writes a file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors import decoding
from connectors.casting import literal, quoted
from connectors.checking import FILE, RAW, ROW
from perfhouse.errors import SourceChanged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BLOCK = 8 << 20
_TOLD = 20  # unknown names that a message lists; the rest is a count
_PRIVATE = re.compile(r"@|\d{6}|.{41}", re.DOTALL)  # looks like a value, not like a column's name
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
    """

    stream: str
    owner: str
    options: Mapping[str, Any]
    fields: Mapping[str, str]
    required: Collection[str] = ()
    quiet: Collection[str] = ()


@dataclass
class Records:
    """The filled tables `records` and `broken`, and how to address them.

    Args:
        fields: internal column name by source field.
        used: SQL over `records` by internal column name.
        raw: SQL over `records` that gives a row's raw text.
        rows: records and broken rows, counted while reading.
    """

    fields: dict[str, str] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    raw: str = "null"
    rows: int = 0
    undeclared: set[str] = field(default_factory=set)


def prepare(con: DuckDBPyConnection) -> None:
    """Create the table of rows that are no records."""
    con.execute(
        f"create table broken ({FILE} integer, {ROW} bigint, reason varchar, {RAW} varchar)"
    )


def note_broken(con: DuckDBPyConnection, rows: Sequence[tuple[int, int, str, str]]) -> None:
    """Keep rows that are no records."""
    if rows:
        con.executemany("insert into broken values (?, ?, ?, ?)", rows)


def read_tables(
    con: DuckDBPyConnection, files: Sequence[ReadFile], wanted: Wanted, scratch: Path
) -> Records:
    """Fill `records` from CSV or Parquet files whose headers fit the mapping.

    Raises:
        SourceChanged: a header lacks a column the mapping uses, or a file cannot be read.
    """
    readers = {"csv": _csv_header, "parquet": _parquet_header}
    headers = []
    for file in files:
        path, header = readers[file.format](con, file, wanted, scratch)
        _check_header(file, header, wanted)
        headers.append((file, path, header))
    names = internal_names([name for _, _, header in headers for name in dict.fromkeys(header)])
    records = Records(fields={name: names[name] for name in wanted.fields if name in names})
    records.used = {inner: quoted(inner) for inner in records.fields.values()}
    records.undeclared = {
        label(name, at)
        for _, _, header in headers
        for at, name in enumerate(header, start=1)
        if name not in wanted.fields and name not in wanted.quiet
    }
    pairs = ", ".join(f"{literal(name)}, {quoted(inner)}" for name, inner in names.items())
    records.raw = f"cast(json_object({pairs}) as varchar)"
    columns = "".join(f", {quoted(inner)} varchar" for inner in names.values())
    con.execute(f"create table records ({FILE} integer, {ROW} bigint{columns})")
    for file, path, header in headers:
        fill = _fill_csv if file.format == "csv" else _fill_parquet
        records.rows += fill(con, file, path, header, names, wanted)
    return records


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
    return "<hidden>" if _PRIVATE.search(name) else name


def _told(name: str, wanted: Wanted, fresh: Sequence[str]) -> str:
    near = get_close_matches(name, fresh, n=1, cutoff=0.75)
    hint = f" (renamed to {near[0]!r}?)" if near else ""
    return f"{name!r} (for {wanted.fields[name]}){hint}"


def _csv_options(wanted: Wanted) -> tuple[str, str]:
    return str(wanted.options.get("delimiter") or ","), str(wanted.options.get("quote", '"'))


def _csv_header(
    _: DuckDBPyConnection, file: ReadFile, wanted: Wanted, scratch: Path
) -> tuple[Path, list[str]]:
    encoding = str(wanted.options.get("encoding") or "utf-8")
    target = scratch / f"text-{file.number}"
    path = decoding.utf8(file.path, encoding, target, file.name, wanted.owner)
    header = _first_rows(path, wanted, 1)
    if not header:
        raise SourceChanged(
            f"{file.name}: the file is empty, not even a header; nothing was landed; "
            f"ask the source's owner: {wanted.owner}"
        )
    return path, header[0]


def _first_rows(path: Path, wanted: Wanted, count: int) -> list[list[str]]:
    delimiter, quote = _csv_options(wanted)
    rows: list[list[str]] = []
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(
            handle,
            delimiter=delimiter,
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )
        try:
            for row in reader:
                if row:
                    rows.append(row)
                if len(rows) == count:
                    break
        except csv.Error:
            rows.append([])
    return rows


def _fill_csv(
    con: DuckDBPyConnection,
    file: ReadFile,
    path: Path,
    header: Sequence[str],
    names: Mapping[str, str],
    wanted: Wanted,
) -> int:
    import pyarrow as pa

    if len(_first_rows(path, wanted, 2)) < 2:
        return 0
    inner = _distinct([names[name] for name in header])
    for block in (_BLOCK, path.stat().st_size + 1):
        try:
            return _stream_csv(con, file, path, inner, block, wanted)
        except pa.ArrowInvalid:
            con.execute(f"delete from records where {FILE} = ?", [file.number])
            con.execute(f"delete from broken where {FILE} = ?", [file.number])
    raise SourceChanged(
        f"{file.name}: the file cannot be read as CSV (a quote that is never closed?); nothing "
        f"was landed; ask the source's owner: {wanted.owner}"
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
    con: DuckDBPyConnection,
    file: ReadFile,
    path: Path,
    inner: Sequence[str],
    block: int,
    wanted: Wanted,
) -> int:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    delimiter, quote = _csv_options(wanted)
    invalid: list[Any] = []

    def skip(row: Any) -> str:
        invalid.append(row)
        return "skip"

    reader = arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(
            use_threads=False, column_names=inner, skip_rows_after_names=1, block_size=block
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote or False,
            newlines_in_values=bool(quote),
            invalid_row_handler=skip,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(inner, pa.string()), strings_can_be_null=False
        ),
    )
    kept = [name for name in inner if not name.startswith("__again_")]
    columns = ", ".join(quoted(name) for name in (FILE, ROW, *kept))
    rows, following = 0, 2  # the header is row 1, as a spreadsheet counts
    for batch in reader:
        numbers, following = _ordinals(following, batch.num_rows, [row.number for row in invalid])
        table = pa.table([pa.array(numbers, pa.int64()), *batch.select(kept).columns], [ROW, *kept])
        con.register("batch", table)
        con.execute(
            f"insert into records ({columns}) "
            f"select {file.number}, {', '.join(quoted(n) for n in (ROW, *kept))} from batch"
        )
        con.unregister("batch")
        rows += batch.num_rows
    broken = [entry for row in invalid for entry in _broken(file, row)]
    note_broken(con, broken)
    return rows + len(broken)


def _ordinals(following: int, count: int, invalid: Sequence[int]) -> tuple[Any, int]:
    """Return the row numbers of the next `count` good rows, and the one after them."""
    import numpy as np

    skipped = np.asarray([number for number in invalid if number >= following], dtype=np.int64)
    numbers = np.arange(following, following + count + len(skipped), dtype=np.int64)
    numbers = numbers[~np.isin(numbers, skipped)][:count]
    return numbers, int(numbers[-1]) + 1 if count else following


def _broken(file: ReadFile, row: Any) -> list[tuple[int, int, str, str]]:
    """Keep a row of the wrong width; a quote never closed swallows lines, each is kept."""
    lines = [line for line in row.text.splitlines() if line] or [row.text]
    reason = f"expected {row.expected_columns} fields, found {row.actual_columns}"
    if len(lines) > 1:
        reason += f" in {len(lines)} lines joined by a quote"
    return [(file.number, row.number, reason, line) for line in lines]


def _parquet_header(
    con: DuckDBPyConnection, file: ReadFile, wanted: Wanted, _: Path
) -> tuple[Path, list[str]]:
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
    return file.path, [str(row[0]) for row in found]


def _plain(path: Path) -> list[str]:
    """Return a path as a list, which DuckDB still globs: so brackets are escaped."""
    return ["".join(f"[{c}]" if c in "*?[" else c for c in str(path))]


def _fill_parquet(
    con: DuckDBPyConnection,
    file: ReadFile,
    path: Path,
    header: Sequence[str],
    names: Mapping[str, str],
    _: Wanted,
) -> int:
    inner = ", ".join(quoted(names[name]) for name in header)
    texts = ", ".join(f"cast({quoted(name)} as varchar)" for name in header)
    con.execute(
        f"insert into records ({FILE}, {ROW}, {inner}) select {file.number}, file_row_number + 1, "
        f"{texts} from read_parquet(?, file_row_number = true, {_BARE})",
        [_plain(path)],
    )
    row = con.execute(f"select count(*) from records where {FILE} = {file.number}").fetchone()
    return int(row[0]) if row else 0
