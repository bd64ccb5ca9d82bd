"""Answers of an API to raw records, and records unfolded into rows by a connector's function.

An answer without its list of records refuses the delivery; a record that cannot be unfolded is
kept as broken. Nothing here casts, judges or writes a file.
"""

from __future__ import annotations

import json
import re
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
    body = path.read_bytes()
    try:
        return Page(body, Request(name)).records(records)
    except SourceChanged:
        found, what = _patiently(body, records)
    if found is not None:
        return found
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
        return msgspec.json.decode(body)
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
    """Records by the text of one of their fields, kept raw and decoded when asked for."""

    def __init__(self, raws: Iterable[msgspec.Raw], key: str) -> None:
        self._raws: dict[str, list[bytes]] = {}
        for raw in raws:
            found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get(key)
            if found is not None:
                self._raws.setdefault(_text(msgspec.json.decode(found)), []).append(bytes(raw))

    def __getitem__(self, name: str) -> list[Any]:
        return [msgspec.json.decode(raw) for raw in self._raws[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._raws)

    def __len__(self) -> int:
        return len(self._raws)

    def last(self, name: str) -> Any:
        """Return the newest record of that text."""
        return msgspec.json.decode(self._raws[name][-1])


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
        own = (f for f in files if f.format == FORMAT and f.name.startswith(f"{folder}/"))
        path = wanted.records.get(folder, "")
        return _Shelf((raw for f in own for raw in _records(f.path, f.name, path, wanted)), key)

    @cache
    def lookup(folder: str, key: str) -> _Last:
        return _Last(group(folder, key))

    return partial(
        Beside, lookup=lookup, group=group, start=window[0], end=window[1], options=options
    )
