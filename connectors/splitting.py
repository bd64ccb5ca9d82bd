"""JSON text of any size to the raw text of its records: a window of it at a time.

Nothing here casts, judges or writes a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Sequence
from itertools import count
from typing import Any, TextIO

_BLOCK = 1 << 20  # characters that are read at a time
_LARGEST = 16 << 20  # characters of a record; the engine takes no larger one either
_DEEPEST = 64  # lists and objects inside each other that are passed a member at a time
_NUMBER = 4  # characters that may still belong to a number
_SPACE = re.compile(r"[\s,]*")
_NEXT_OBJECT = re.compile(r"[\r\n][^\S\r\n]*(?=\{)")
_UNCLOSED = "["


class NoRecordsError(Exception):
    """An object larger than any record has no list of records where there must be one."""


class _DamagedError(Exception):
    """What lies here is no JSON."""


def records(handle: TextIO, path: Sequence[str | int] = ()) -> Iterator[str]:
    """Yield the raw text of each record: values end to end, of a list, of lists inside objects.

    What is no JSON is told as text up to the next line that begins with a brace, in parts if it
    is larger than a record may be; what comes after it is read on. An object without the path to
    its records is a record itself.

    Args:
        handle: the text, read once.
        path: keys and indexes from each object to its records; empty where it is one.

    Raises:
        NoRecordsError: an object has no such path and is too large to be a record.
    """
    yield from _Splitter(handle, path).records()


class _Splitter:
    """A window of the text, and the place in it that everything before was told of."""

    def __init__(self, handle: TextIO, path: Sequence[str | int]) -> None:
        self._handle, self._path = handle, tuple(path)
        self._text, self._at = "", 0
        self._from: int | None = None  # where an object began whose records were not reached yet
        self._ended = self._cut = False  # nothing more to read; it ends with text that is no JSON
        self._decode = json.JSONDecoder().raw_decode

    def records(self) -> Iterator[str]:
        """Yield every record."""
        while begin := self._next():
            try:
                if begin == "[":
                    for _ in self._members():
                        yield from self._record()
                else:
                    yield from self._record()
            except _DamagedError:
                yield from self._broken()

    def _record(self) -> Iterator[str]:
        if not self._path:
            yield from self._one()
            return
        self._from = self._at
        found = yield from self._below(self._path)
        if not found and self._from is None:
            raise NoRecordsError
        if not found:
            yield self._text[self._from : self._at]
        self._from = None

    def _below(self, path: tuple[str | int, ...]) -> Generator[str, None, bool]:
        """Yield the records at a path below the value here; tell whether there is that path."""
        if not path:
            self._from = None
            if self._text[self._at] == "[":
                for _ in self._members():
                    yield from self._one()
            else:
                yield from self._one()
            return True
        found = False
        for name in self._members():
            if name == path[0]:
                found = (yield from self._below(path[1:])) or found
            else:
                self._skip()
        return found

    def _members(self) -> Iterator[str | int]:
        """Yield the key or index of each member of what lies here; who asks goes beyond it."""
        begin = self._text[self._at]
        if begin not in "{[":
            self._skip()
            return
        self._at += 1
        for nth in count():
            following = self._next()
            if following == ("}" if begin == "{" else "]"):
                self._at += 1
                return
            if not following and self._cut:
                return
            if not following:
                raise _DamagedError
            yield self._key() if begin == "{" else nth

    def _key(self) -> str:
        found = self._value()
        if found is None or not isinstance(found[0], str):
            raise _DamagedError
        self._at = found[1]
        if self._next() != ":":
            raise _DamagedError
        self._at += 1
        if not self._next():
            raise _DamagedError
        return found[0]

    def _skip(self, depth: int = 0) -> None:
        """Go beyond the value here, whatever its size."""
        found = self._value(_BLOCK)
        inside = found is None and self._text[self._at] in "{["
        if inside and depth < _DEEPEST:
            for _ in self._members():
                self._skip(depth + 1)
            return
        found = found if found or inside else self._value()
        if found is None:
            raise _DamagedError
        self._at = found[1]

    def _one(self) -> Iterator[str]:
        found = self._value()
        if found is None:
            yield from self._broken()
            return
        begin, self._at = self._at, found[1]
        yield self._text[begin : self._at]

    def _value(self, most: int | None = None) -> tuple[Any, int] | None:
        """Return the value here and where it ends; None if it is no JSON, or larger than that."""
        most = _LARGEST if most is None else most
        found = self._decoded()
        while found is None and not self._ended and self._ahead < most:
            self._read(min(2 * most, max(_BLOCK, 4 * self._ahead)))
            found = self._decoded()
        return found

    def _decoded(self) -> tuple[Any, int] | None:
        """Return the value here and where it ends, if the window shows its end."""
        try:
            value, end = self._decode(self._text, self._at)
        except (ValueError, RecursionError):
            return None
        whole = self._text[self._at] in '{["' or end + _NUMBER <= len(self._text)
        return (value, end) if whole or self._ended else None

    def _broken(self) -> Iterator[str]:
        """Yield what is no JSON."""
        self._from = self._at if self._from is None else self._from
        told = False
        found = self._line()
        while not found and not self._ended:
            text = self._text[self._behind :]
            kept = min(len(text) - len(text.rstrip()), len(text) // 2)  # a brace may follow
            self._from, self._at = None, len(self._text) - kept
            yield text[: len(text) - kept]
            told = True
            found = self._line()
        begin = self._behind
        self._from, self._at = None, found.end() if found else len(self._text)
        self._cut = not found
        text = self._text[begin : found.start() if found else self._at].rstrip()
        if text or not told:
            yield text or _UNCLOSED

    def _line(self) -> re.Match[str] | None:
        self._read(_LARGEST)
        if self._behind > _BLOCK:  # what tells where the damage is counts all lines before it
            self._forget()
        return _NEXT_OBJECT.search(self._text, self._at)

    def _next(self) -> str:
        """Go on to what is neither space nor comma and return that character; "" at the end."""
        self._pass_space()
        while not self._ahead and not self._ended:
            self._read(_BLOCK)
            self._pass_space()
        return self._text[self._at : self._at + 1]

    def _pass_space(self) -> None:
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at

    @property
    def _ahead(self) -> int:
        return len(self._text) - self._at

    @property
    def _behind(self) -> int:
        """Where the text begins that is still needed."""
        return self._at if self._from is None else self._from

    def _read(self, ahead: int) -> None:
        """Read on until so many characters lie ahead, and let go of those that lie behind."""
        missing = ahead - self._ahead
        if not self._ended and missing > 0:
            read = self._handle.read(missing)
            self._ended = len(read) < missing
            self._forget(read)

    def _forget(self, read: str = "") -> None:
        if self._at - self._behind > _LARGEST:
            self._from = None
        behind = self._behind
        self._text = self._text[behind:] + read
        self._at -= behind
        self._from = None if self._from is None else 0
