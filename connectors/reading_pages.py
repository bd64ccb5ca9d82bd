"""Answers of an API to raw records, and records unfolded into rows by a connector's function.

An answer without its list of records refuses the delivery; a record that cannot be unfolded is
kept as broken. Nothing here casts, judges or writes a file.
"""

from __future__ import annotations

import json
import os
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.base import Beside
from connectors.paging import Page, Request
from connectors.reading import PRIVATE, ReadFile, Records, Wanted, note_broken
from perfhouse.errors import SourceChanged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMAT = "pages"
_RECENT = 8 << 20  # bytes of looked-up records that stay in memory
_OPEN = 32  # files of them that stay open
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,39}")
_SHAPELESS = (
    *(KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError),
    *(RecursionError, StopIteration),
)


@dataclass(frozen=True)
class Piece:
    """Raw records of one file, one after the other; `first` is the number of the first."""

    file: ReadFile
    first: int
    raws: Sequence[Any]


def page(file: ReadFile, wanted: Wanted) -> Piece:
    """Return the records of one archived answer, cut out of its bytes.

    Raises:
        SourceChanged: it is no JSON, or has no list of records where there must be one.
    """
    return Piece(file, 1, _records(file.path, file.name, _path(file.name, wanted), wanted))


def _path(name: str, wanted: Wanted) -> str:
    own = wanted.options.get("records")
    return str(own) if own is not None else wanted.records.get(name.split("/")[0], "")


def _records(path: Path, name: str, records: str, wanted: Wanted) -> Sequence[Any]:
    return _cut(path.read_bytes(), name, records, wanted)[0]


def _cut(body: bytes, name: str, records: str, wanted: Wanted) -> tuple[Sequence[Any], bool]:
    """Return the records of a page, and whether they are as they lie in its bytes."""
    try:
        return Page(body, Request(name)).records(records), True
    except SourceChanged:
        found, what = _patiently(body, records)
    if found is not None:
        return found, False
    raise SourceChanged(
        f"{name}: not the answer that is expected: {what}. The whole delivery was refused, nothing "
        f"was landed: the connector's author adapts it, or ask the source's owner: {wanted.owner}"
    )


def _patiently(body: bytes, records: str) -> tuple[list[bytes] | None, str]:
    """Return the records of a page that holds half a character, or why it has none."""
    try:
        value = json.loads(body)
        for step in filter(None, records.split(".")):
            value = value[step]
    except (KeyError, TypeError):
        return None, f"it has no list of records at {records!r}"
    except (ValueError, RecursionError):
        return None, "it is no JSON"
    if not isinstance(value, list | dict):
        return None, f"it has no list of records at {records!r}"
    items = value if isinstance(value, list) else [value]
    return [json.dumps(item).encode() for item in items], ""


# --- one record, many rows ---------------------------------------------------------------


def unfolded(
    con: DuckDBPyConnection, pieces: Iterable[Piece], wanted: Wanted, records: Records
) -> Iterator[Piece]:
    """Yield each piece's rows as the connector's function makes them of its records.

    Rows are counted through each file. A record that gives none is about no row of the stream; one
    on which the function fails is broken, and takes a number too.
    """
    file, following = -1, 1
    for piece in pieces:
        if piece.file.number != file:
            file, following = piece.file.number, 1
        rows: list[bytes] = []
        broken: list[tuple[int, int, str, str]] = []
        for raw, read in _each(piece, wanted):
            made, reason = _unfold(raw, read, wanted)
            if reason is not None:
                at = following + len(rows)
                broken.append((file, at, reason, bytes(raw).decode("utf-8", "replace")))
                made = [b""]  # an empty row: it only takes the number
            elif not made:
                records.outside += 1
                records.rows += 1
            rows.extend(made)
        note_broken(con, broken)
        records.rows += len(broken)
        yield Piece(piece.file, following, rows)
        following += len(rows)


def _each(piece: Piece, wanted: Wanted) -> Iterator[tuple[Any, Callable[[], tuple[Any, Beside]]]]:
    """Yield each raw record with what decodes it; a page is decoded once for all of its own."""
    name = piece.file.name
    if piece.file.format != FORMAT:
        for raw in piece.raws:
            if len(memoryview(raw)):
                yield raw, partial(_alone, raw, name, wanted)
        return
    value = _decoded(piece.file.path.read_bytes())
    beside = wanted.beside(value, name)
    for step in filter(None, _path(name, wanted).split(".")):
        value = value[step]
    for raw, record in zip(piece.raws, value if isinstance(value, list) else [value], strict=True):
        yield raw, partial(_together, record, beside)


def _decoded(body: bytes) -> Any:
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError:  # half a character; `_patiently` let it pass
        return json.loads(body)


def _alone(raw: Any, name: str, wanted: Wanted) -> tuple[Any, Beside]:
    record = msgspec.json.decode(raw)
    return record, wanted.beside(record, name)


def _together(record: Any, beside: Beside) -> tuple[Any, Beside]:
    return record, beside


def _as_it_is(record: Any, _: Beside) -> list[Any]:
    return [record]


def _unfold(
    raw: Any, read: Callable[[], tuple[Any, Beside]], wanted: Wanted
) -> tuple[list[bytes], str | None]:
    """Return the rows of a record as JSON, or why it gives none."""
    unfold = wanted.unfold or _as_it_is
    try:
        return [_ENCODER.encode(row) for row in unfold(*read())], None
    except msgspec.DecodeError:
        return [], "not a JSON object"
    except _SHAPELESS as error:
        told = f"{type(error).__name__}{_missing(error, raw)}"
        return [], f"the record has not the shape of {wanted.stream}: {told}"


_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _missing(error: BaseException, raw: Any) -> str:
    """Name the missing field, unless it may be a value of the record."""
    if not isinstance(error, KeyError) or not error.args or not isinstance(error.args[0], str):
        return ""
    name = error.args[0]
    quoted = msgspec.json.encode(name)
    shown = _FIELD.fullmatch(name) and not PRIVATE.search(name) and quoted not in bytes(raw)
    return f" {name!r}" if shown else ""


# --- records of another folder -----------------------------------------------------------


class _Shelf(Mapping[str, list[Any]]):
    """Records by the text of one of their fields, decoded when asked for.

    Of each record only its place in the archive is kept, found by the hash of that text: about 30
    bytes. The bytes of those asked for last stay too, up to some megabytes.
    """

    def __init__(self, files: Sequence[ReadFile], records: str, key: str, wanted: Wanted) -> None:
        self._files, self._records, self._key, self._wanted = files, records, key, wanted
        self._opened = _Opened([file.path for file in files])
        self._file, self._begin, self._length = array("i"), array("q"), array("q")
        self._recent: dict[int, bytes] = {}
        self._size = 0
        hashes = array("q")
        for nth in range(len(files)):
            hashes.extend(self._placed(nth))
        self._hashes, self._order, self._count = _sorted(hashes)

    def _placed(self, nth: int) -> Iterator[int]:
        """Keep the place of each record of a page; yield the hash of its text."""
        body = self._files[nth].path.read_bytes()
        raws, verbatim = _cut(body, self._files[nth].name, self._records, self._wanted)
        end = 0
        for before, raw in enumerate(raws):
            begin = body.index(raw, end) if verbatim else 0
            end = begin + len(memoryview(raw))
            found = _field(raw, self._key)
            if found is not None:
                self._file.append(nth)
                self._begin.append(begin if verbatim else ~before)
                self._length.append(end - begin)
                yield hash(found)

    def __getitem__(self, name: str) -> list[Any]:
        wanted = hash(name)
        at = bisect_left(self._hashes, wanted)
        found = []
        while at < len(self._hashes) and self._hashes[at] == wanted:
            record = self._record(self._order[at])
            if _text(record[self._key]) == name:  # others may have its hash
                found.append(record)
            at += 1
        if not found:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        seen: set[int] = set()
        for at in range(len(self._file)):
            name = _text(self._record(at)[self._key])
            if hash(name) not in seen:
                seen.add(hash(name))
                yield name

    def __len__(self) -> int:
        return self._count

    def last(self, name: str) -> Any:
        """Return the newest record of that text."""
        wanted = hash(name)
        end = bisect_right(self._hashes, wanted)
        while end and self._hashes[end - 1] == wanted:
            end -= 1
            record = self._record(self._order[end])
            if _text(record[self._key]) == name:
                return record
        raise KeyError(name)

    def _record(self, at: int) -> Any:
        raw = self._recent.get(at)
        if raw is None:
            raw = self._recent[at] = self._read(at)
            self._size += len(raw)
            if self._size > _RECENT:
                self._recent, self._size = {at: raw}, len(raw)
        return _decoded(raw)

    def _read(self, at: int) -> bytes:
        nth, begin = self._file[at], self._begin[at]
        if begin < 0:
            file = self._files[nth]
            raws, _ = _cut(file.path.read_bytes(), file.name, self._records, self._wanted)
            return bytes(raws[~begin])
        return self._opened.read(nth, begin, self._length[at])


class _Opened:
    """Files of which the ones that were read last stay open."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._handles: dict[int, int] = {}

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        while self._handles:
            os.close(self._handles.popitem()[1])

    def read(self, nth: int, begin: int, length: int) -> bytes:
        """Return so many bytes of a file."""
        handle = self._handles.get(nth)
        if handle is None:
            if len(self._handles) == _OPEN:
                self._close()
            handle = self._handles[nth] = os.open(self._paths[nth], os.O_RDONLY)
        return os.pread(handle, length, begin)


def _sorted(hashes: array[int]) -> tuple[array[int], array[int], int]:
    """Return hashes in ascending order, where each one was, and how many are different."""
    import numpy as np

    given = np.frombuffer(hashes, np.int64)
    order = np.argsort(given, kind="stable")
    ascending = given[order]
    count = int(np.count_nonzero(np.diff(ascending))) + 1 if len(given) else 0
    return array("q", ascending.tobytes()), array("q", order.tobytes()), count


class _Last(Mapping[str, Any]):
    """A shelf that gives only the last of several."""

    def __init__(self, shelf: _Shelf) -> None:
        self._shelf = shelf

    def __getitem__(self, name: str) -> Any:
        return self._shelf.last(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shelf)

    def __len__(self) -> int:
        return len(self._shelf)


def _field(raw: Any, key: str) -> str | None:
    """Return the text of a record's field, or None if it has none."""
    try:
        found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get(key)
        return None if found is None else _text(msgspec.json.decode(found))
    except msgspec.ValidationError:  # no object
        raise
    except msgspec.DecodeError:  # half a character
        record = json.loads(bytes(raw))
        return _text(record[key]) if key in record else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def besides(
    files: Sequence[ReadFile],
    wanted: Wanted,
    window: tuple[datetime, datetime],
    options: Mapping[str, Any],
) -> Callable[[Any, str], Beside]:
    """Return what makes a record's surroundings; each folder is read once per field."""

    @cache
    def group(folder: str, key: str) -> _Shelf:
        own = [f for f in files if f.format == FORMAT and f.name.startswith(f"{folder}/")]
        return _Shelf(own, wanted.records.get(folder, ""), key, wanted)

    @cache
    def lookup(folder: str, key: str) -> _Last:
        return _Last(group(folder, key))

    return partial(
        Beside, lookup=lookup, group=group, start=window[0], end=window[1], options=options
    )
