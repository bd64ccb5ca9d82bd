"""Excel workbooks to text: one sheet of a .xlsx becomes a Parquet file of text columns.

Dates become ISO text, numbers their exact text, error cells stay to be quarantined; nothing here
knows streams or mappings, and no workbook may use more memory than its bounds allow.
"""

from __future__ import annotations

import datetime as dt
import errno
import json
import mmap
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, cast

from perfhouse.errors import ConfigError, SourceChanged

ROW = "__row"
# A sheet is held in memory whole; these keep it near 500 MB.
MAX_BYTES = 320 << 20  # of XML in all, unpacked
MAX_CELLS = 6_000_000  # of the rectangle that a sheet spans; a far-off cell makes it large
MAX_TEXT = 192 << 20  # of texts that cells share, each counted as often as it is used
_BATCH = 20_000
_CHUNK = 1 << 20
_ROW_BYTES = 64 << 20  # of one row's XML
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ROW_TAG = re.compile(rb"<(?:\w+:)?row[\s/>]")
_CELL_TAG = re.compile(rb"<(?:\w+:)?c[\s/>]")
_CELL = re.compile(rb"\br\s*=\s*[\"']([A-Za-z]{1,3})([0-9]{1,7})[\"']")
_ERROR = re.compile(
    rb"<(?:\w+:)?c\s([^<>]*\bt\s*=\s*[\"']e[\"'][^<>]*)>(.{0,20000}?)</(?:\w+:)?c>", re.DOTALL
)
_SHARED = re.compile(rb"\bt\s*=\s*[\"']s[\"']")
_SHARED_TEXTS = re.compile(rb"<(?:\w+:)?sst[\s>]")
_SHARED_TEXT = re.compile(rb"<(?:\w+:)?si[\s/>]")
_SHARED_USE = re.compile(
    rb"\bt\s*=\s*[\"']s[\"'][^<>]*>(?:(?!</(?:\w+:)?c>).)*?<(?:\w+:)?v[^<>]*>\s*([0-9]+)", re.DOTALL
)
_VALUE = re.compile(rb"<(?:\w+:)?v(?:\s[^<>]*)?>([^<>]*)</")
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)
_EXACT = 1 << 53  # whole numbers above are not exact in a workbook


@dataclass
class _Extent:
    """What a scan of a sheet's XML found: how far its cells reach, and its error cells."""

    rows: int = 0
    unplaced_rows: int = 0  # of cells that do not say where they stand
    unplaced_width: int = 0
    shared: int = 0  # cells whose text lies elsewhere, once for all that have it
    letters: set[bytes] = field(default_factory=set)
    errors: dict[tuple[int, int], str] = field(default_factory=dict)

    def cells(self) -> tuple[int, int]:
        """Return the rows and columns of the rectangle that a reader will make of the sheet."""
        width = max((_column(letters) for letters in self.letters), default=0)
        return self.rows + self.unplaced_rows, width + self.unplaced_width


def to_parquet(path: Path, target: Path, options: Mapping[str, Any], name: str, owner: str) -> Path:
    """Write one sheet as Parquet and return `target`.

    Columns are `c1`, `c2`, ... in the sheet's order, all text, and `__row`, the row number that
    the spreadsheet shows; `header` gives their names, which may repeat. Options: `sheet` (name,
    or number from 1; needed when several have rows), `header_row` (from 1; default the first
    that is not empty). Empty cells are null, empty rows are no rows.

    Raises:
        SourceChanged: no workbook, protected, damaged, or larger than its bounds (source owner).
        ConfigError: the sheet is not told, or not there (operator).
    """
    plain = target.with_name(f"{target.name}.unpacked")
    try:
        extents = _unpack(path, plain, name, owner)
        _check_texts(plain, extents, name, owner)
        with _opened(plain, name, owner) as book:
            sheet, extent = _chosen(book, plain, extents, options, name, owner)
            rows = _rows(sheet, extent)
            return _write(rows, target, options, name, owner)
    finally:
        plain.unlink(missing_ok=True)


def header(parquet: Path) -> list[str]:
    """Return the names of the columns c1, c2, ... of a file that `to_parquet` wrote."""
    import pyarrow.parquet as pq

    found: list[str] = json.loads(pq.read_schema(parquet).metadata[b"header"])
    return found


# --- the file, before anything interprets it ------------------------------------------------


def _unpack(path: Path, plain: Path, name: str, owner: str) -> dict[str, _Extent]:
    """Copy a workbook's XML unpacked, so that what was measured is what is read later."""
    _check_kind(path, name, owner)
    extents: dict[str, _Extent] = {}
    left = MAX_BYTES
    try:
        with zipfile.ZipFile(path) as packed, zipfile.ZipFile(plain, "w") as out:
            names = set(packed.namelist())
            if "xl/workbook.xml" not in names:
                _refuse(name, owner, _not_xlsx(names))
            for part in sorted(n for n in names if n.endswith((".xml", ".rels"))):
                extent, left = _copy_part(packed, out, part, left, name, owner)
                if extent is not None:
                    extents[part] = extent
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the file's start; others are our disk's
            raise
        _refuse(name, owner, "the workbook is damaged")
    except _DAMAGE:
        _refuse(name, owner, "the workbook is damaged or locked")
    return extents


def _check_kind(path: Path, name: str, owner: str) -> None:
    with path.open("rb") as handle:
        head = handle.read(8)
        if head.startswith(b"PK"):
            return
        if head == _OLE:
            tail = handle.read(_CHUNK * 64)
            locked = "EncryptedPackage".encode("utf-16-le") in tail
            what = "protected by a password" if locked else "an old .xls workbook"
            _refuse(name, owner, f"it is {what}; save it as .xlsx without a password")
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    what = "an HTML or XML page" if text.startswith(b"<") else "no workbook"
    _refuse(name, owner, f"it is {what}, whatever its name says; save it as .xlsx or .csv")


def _not_xlsx(names: set[str]) -> str:
    if "xl/workbook.bin" in names:
        return "it is a binary .xlsb workbook; save it as .xlsx"
    if "content.xml" in names:
        return "it is an OpenDocument file; save it as .xlsx"
    return "it is a ZIP file, but no workbook"


def _copy_part(
    packed: zipfile.ZipFile, out: zipfile.ZipFile, part: str, left: int, name: str, owner: str
) -> tuple[_Extent | None, int]:
    """Copy one part; return what a scan found when it is a sheet, and the bytes still allowed."""
    extent = _Extent()
    first, rest = True, cast(bytes | None, None)
    with packed.open(part) as source, out.open(zipfile.ZipInfo(part), "w", force_zip64=True) as to:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                size = f"{MAX_BYTES >> 20} MiB"
                _refuse(name, owner, f"it is larger than {size} unpacked; deliver CSV or Parquet")
            if first and b"worksheet" in chunk[:4096]:
                rest = b""
            first = False
            to.write(chunk)
            if rest is not None:
                rest = _scan(rest + chunk, extent, name, owner)
    if rest is None:
        return None, left
    _note(rest, extent, name, owner)
    rows, columns = extent.cells()
    if rows * columns > MAX_CELLS:
        what = f"a sheet spans {rows:,} rows and {columns:,} columns, more than {MAX_CELLS:,} cells"
        _refuse(name, owner, f"{what}; clear far-off cells, or deliver CSV or Parquet")
    return extent, left


def _scan(piece: bytes, extent: _Extent, name: str, owner: str) -> bytes:
    """Note the whole rows of a piece of a sheet; return what is left of it."""
    end = piece.rfind(b"row>")
    if end < 0:
        if len(piece) > _ROW_BYTES:
            _refuse(name, owner, "a row of a sheet is larger than any spreadsheet writes")
        return piece
    _note(piece[: end + 4], extent, name, owner)
    return piece[end + 4 :]


def _note(piece: bytes, extent: _Extent, name: str, owner: str) -> None:
    extent.shared += len(_SHARED.findall(piece))
    placed = _CELL.findall(piece)
    extent.letters.update({letters for letters, _ in placed})
    extent.rows = max(extent.rows, max((int(row) for _, row in placed), default=0))
    if len(_CELL_TAG.findall(piece)) > len(placed):  # some cells follow the one before them
        rows = _ROW_TAG.split(piece)
        extent.unplaced_rows += len(rows)
        widths = [len(_CELL_TAG.findall(row)) for row in rows]
        extent.unplaced_width = max(extent.unplaced_width, *widths)
    for attributes, body in _ERROR.findall(piece):
        place, value = _CELL.search(attributes), _VALUE.search(body)
        if place is None:
            _refuse(name, owner, "an error cell does not say where it stands; save it with Excel")
        at = (int(place[2]), _column(place[1]))
        text = value[1].decode("utf-8", "replace") if value else ""
        extent.errors[at] = text or "#ERROR!"


def _check_texts(plain: Path, extents: Mapping[str, _Extent], name: str, owner: str) -> None:
    """Refuse texts that are kept once, but would be many times as large in their cells."""
    sizes = _text_sizes(plain)
    if not sizes and any(extent.shared for extent in extents.values()):
        _refuse(name, owner, "the workbook is damaged")
    for part, extent in extents.items():
        if max(sizes, default=0) * extent.shared <= MAX_TEXT:
            continue
        with _mapped(plain, part) as sheet:
            used = (int(match[1]) for match in _SHARED_USE.finditer(sheet))
            total = sum(sizes[at] for at in used if at < len(sizes))
        if total > MAX_TEXT:
            size = f"{MAX_TEXT >> 20} MiB"
            _refuse(
                name, owner, f"its repeated texts make more than {size}; deliver CSV or Parquet"
            )


def _text_sizes(plain: Path) -> list[int]:
    """Return the size of every text that cells share, in the order they name them by."""
    sizes: list[int] = []
    with zipfile.ZipFile(plain) as packed:
        parts = packed.namelist()
    for part in parts:
        with _mapped(plain, part) as texts:
            if _SHARED_TEXTS.search(texts[:4096]):
                starts = [match.start() for match in _SHARED_TEXT.finditer(texts)]
                sizes += [after - at for at, after in pairwise((*starts, len(texts)))]
    return sizes


@contextmanager
def _mapped(plain: Path, part: str) -> Iterator[memoryview]:
    """Give the bytes of an unpacked part without holding them; none where there is no such part."""
    with zipfile.ZipFile(plain) as packed:
        found = packed.NameToInfo.get(part)
        at, size = _place(packed, found) if found else (0, 0)
    if not size:
        yield memoryview(b"")
        return
    with (
        plain.open("rb") as handle,
        mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as whole,
        memoryview(whole) as view,
        view[at : at + size] as piece,
    ):
        yield piece


def _place(packed: zipfile.ZipFile, part: zipfile.ZipInfo) -> tuple[int, int]:
    """Return where a part's bytes begin, after its header and name, and how many they are."""
    at = part.header_offset + 26
    with Path(str(packed.filename)).open("rb") as handle:
        handle.seek(at)
        lengths = struct.unpack("<HH", handle.read(4))
    return at + 4 + sum(lengths), part.file_size


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


# --- the sheet ------------------------------------------------------------------------------


@contextmanager
def _opened(plain: Path, name: str, owner: str) -> Iterator[Any]:
    import python_calamine as calamine

    try:
        with calamine.CalamineWorkbook.from_path(plain) as book:
            yield book
    except (calamine.CalamineError, SyntaxError, LookupError, ValueError):
        _refuse(name, owner, "the workbook is damaged")


def _chosen(
    book: Any,
    plain: Path,
    extents: Mapping[str, _Extent],
    options: Mapping[str, Any],
    name: str,
    owner: str,
) -> tuple[Any, _Extent]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    sheets = [s for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
    names = [s.name for s in sheets]
    wanted = options.get("sheet")
    if wanted is None:
        visible = [s.name for s in sheets if s.visible == SheetVisibleEnum.Visible]
        filled = (
            [n for n in visible if book.get_sheet_by_name(n).height] if len(visible) > 1 else []
        )
        candidates = filled or visible
    elif isinstance(wanted, int) and not isinstance(wanted, bool):
        candidates = names[wanted - 1 : wanted] if wanted > 0 else []
    else:
        candidates = [n for n in names if n == wanted]
    if len(candidates) != 1:
        told = ", ".join(map(repr, names)) or "none"
        got = "nothing" if wanted is None else repr(wanted)
        raise ConfigError([f"{name}: sheet: expected one of {told}, by name or number; got {got}"])
    part = _parts(plain).get(candidates[0], "")
    if part not in extents:
        _refuse(name, owner, "the workbook is damaged")
    return book.get_sheet_by_name(candidates[0]), extents[part]


def _parts(plain: Path) -> dict[str, str]:
    """Return the part of the archive that holds each sheet, by the sheet's name."""
    from xml.etree import ElementTree

    with zipfile.ZipFile(plain) as packed:
        book = ElementTree.fromstring(packed.read("xl/workbook.xml"))  # noqa: S314 - bounded above
        try:
            links = packed.read("xl/_rels/workbook.xml.rels")
        except KeyError:
            return {}
        relations = ElementTree.fromstring(links)  # noqa: S314
    targets = {r.get("Id"): str(r.get("Target")) for r in relations}
    found = {}
    for sheet in book.iter():
        if sheet.tag.rpartition("}")[2] == "sheet":
            ids = [v for k, v in sheet.attrib.items() if k.rpartition("}")[2] == "id"]
            target = posixpath.join("/xl", targets.get(ids[0], "") if ids else "")
            found[str(sheet.get("name"))] = posixpath.normpath(target).lstrip("/")
    return found


def _rows(sheet: Any, extent: _Extent) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the rows that hold anything, numbered as the spreadsheet numbers them."""
    left = sheet.start[1] if sheet.start else 0  # rows begin with the first, columns do not
    by_row: dict[int, dict[int, str]] = {}
    for (row, column), text in extent.errors.items():
        by_row.setdefault(row, {})[column] = text
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        texts: list[str | None] = [*[None] * left, *(_text(cell) for cell in cells)]
        for column, text in by_row.get(number, {}).items():
            texts.extend([None] * (column - len(texts)))
            texts[column - 1] = text
        if any(text is not None for text in texts):
            yield number, texts


def _text(cell: Any) -> str | None:
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float | int):
        return _number(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ", "milliseconds" if cell.microsecond else "seconds")
    if isinstance(cell, dt.timedelta):
        return _duration(cell)
    return str(cell.isoformat())  # a day, or a time of day


def _number(value: float) -> str:
    """Return a number as people know it: 1001 and not 1001.0; a fraction to 15 digits."""
    if value == int(value) and abs(value) < _EXACT:
        return str(int(value))
    text = format(value, ".15g")
    return format(Decimal(text), "f") if "e" in text else text


def _duration(value: dt.timedelta) -> str:
    seconds = round(value.total_seconds())
    sign = "-" if seconds < 0 else ""
    minutes, second = divmod(abs(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{sign}{hour}:{minute:02d}:{second:02d}"


# --- the result -----------------------------------------------------------------------------


def _write(
    rows: Iterator[tuple[int, list[str | None]]],
    target: Path,
    options: Mapping[str, Any],
    name: str,
    owner: str,
) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = _header(rows, options.get("header_row"), name, owner)
    columns = [f"c{at}" for at in range(1, len(names) + 1)]
    schema = pa.schema(
        [(ROW, pa.int64()), *((column, pa.string()) for column in columns)],
        metadata={"header": json.dumps(names, ensure_ascii=False)},
    )
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for numbers, batch in _batches(rows, len(names), name, owner):
            arrays = [pa.array(numbers, pa.int64())]
            arrays += [pa.array(values, pa.string()) for values in zip(*batch, strict=True)]
            writer.write_table(pa.table(arrays, schema=schema))
    return target


def _header(
    rows: Iterator[tuple[int, list[str | None]]], wanted: Any, name: str, owner: str
) -> list[str]:
    if wanted is not None and (not isinstance(wanted, int) or wanted < 1):
        raise ConfigError([f"{name}: header_row: expected a row number from 1, got {wanted!r}"])
    for number, texts in rows:
        if wanted is None or number >= wanted:
            if wanted is not None and number > wanted:
                break
            while texts and texts[-1] is None:
                texts.pop()
            return [text or "" for text in texts]
    what = "the sheet is empty" if wanted is None else f"row {wanted} of the sheet is empty"
    return _refuse(name, owner, f"{what}, not even a header")


def _batches(
    rows: Iterator[tuple[int, list[str | None]]], width: int, name: str, owner: str
) -> Iterator[tuple[list[int], list[list[str | None]]]]:
    numbers: list[int] = []
    batch: list[list[str | None]] = []
    for number, texts in rows:
        if any(text is not None for text in texts[width:]):
            _refuse(name, owner, f"row {number} has values right of the header's last column")
        numbers.append(number)
        batch.append(_fitted(texts, width))
        if len(batch) == _BATCH:
            yield numbers, batch
            numbers, batch = [], []
    if batch:
        yield numbers, batch


def _fitted(texts: Sequence[str | None], width: int) -> list[str | None]:
    return [*texts[:width], *[None] * (width - len(texts))]


def _refuse(name: str, owner: str, what: str) -> NoReturn:
    raise SourceChanged(f"{name}: {what}; nothing was landed; ask the source's owner: {owner}")
