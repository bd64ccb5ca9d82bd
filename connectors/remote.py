"""Places where files are dropped, seen alike: a local folder, SFTP, S3; listed, never written.

What a drop answers goes through here; which files are wanted and when is for `files` to say.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import Collection, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, Protocol, Self
from urllib.parse import unquote, urlsplit

from perfhouse import settings
from perfhouse.company import Source
from perfhouse.errors import ConfigError, TransientError
from perfhouse.settings import Connection

MAX_ENTRIES = 200_000  # listed by one extraction; more means a path that is too wide
_MAX_DEPTH = 32  # of `**`
_WILD = re.compile(r"[*?\[]")
KINDS = {"sftp": "sftp", "ssh": "sftp", "s3": "s3", "aws": "s3", "file": "file"}

clock = time.time


@dataclass(frozen=True)
class Entry:
    """A file or folder at a drop.

    Args:
        path: below the drop's root, POSIX.
        changed: when its bytes last changed by the server's account, in seconds of 1970.
        tag: what else changes with its bytes (an ETag), or nothing.
    """

    path: str
    size: int
    changed: float
    tag: str = ""
    is_folder: bool = False

    @property
    def name(self) -> str:
        """Return the last part of its path."""
        return self.path.rpartition("/")[2]


class Drop(Protocol):
    """A place to list and read; every error of it names who must act."""

    where: str
    is_remote: bool

    def entries(self, folder: str, prefix: str = "") -> Sequence[Entry]:
        """Return what lies in a folder; names without `prefix` may be left out.

        A folder that is not there is empty.
        """

    def read(self, entry: Entry, limit: int) -> bytes:
        """Return the first `limit` bytes of a small file."""

    def fetch(self, wanted: Sequence[tuple[Entry, Path]]) -> None:
        """Download files whole.

        Raises:
            TransientError: one changed since it was listed, or the connection was lost for good.
        """

    def now(self) -> float:
        """Return the server's time where it tells one, in seconds of 1970; else ours."""

    def expect(self, folders: Collection[str]) -> None:
        """Hear of folders of which everything below will be listed."""

    def close(self) -> None:
        """Give connections back."""


# --- addresses ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Address:
    """Where a source's files are dropped; `connection` holds its secrets, if it has any."""

    kind: str
    host: str
    port: int | None
    folder: str
    login: str
    connection: Connection

    def __str__(self) -> str:
        """Name the place without any secret."""
        port = f":{self.port}" if self.port else ""
        return f"{self.kind}://{self.host}{port}/{self.folder.strip('/')}"


def address(source: Source) -> Address | None:
    """Return where a source's files are, from its options `url` and `connection`; None: locally.

    Raises:
        ConfigError: neither tells a host, both tell different ones, or `url` holds a password.
    """
    url, name = source.options.get("url"), source.options.get("connection")
    if url is None and name is None:
        return None
    return locate(f"{source.id}.url", url, name)


def locate(where: str, url: object, name: object) -> Address:
    """Return the place that an address and a named connection tell together.

    Raises:
        ConfigError: as `address`; `where` is the key that the message names.
    """
    parts = urlsplit(str(url or ""))
    if parts.password is not None:
        _refuse(where, "no password; name a connection that holds it")
    held = settings.connection(str(name)) if name is not None else Connection("", parts.scheme)
    kind = KINDS.get(parts.scheme or held.kind)
    if kind is None:
        _refuse(where, "sftp://host/folder, s3://bucket/prefix or file:///folder")
    if kind == "s3":
        return _bucket(where, parts.netloc, unquote(parts.path), held)
    if parts.hostname and held.host and parts.hostname != held.host.lower():
        _refuse(where, f"the host of connection {held.name!r}, or none")
    folder = unquote(parts.path) or (f"/{held.schema.lstrip('/')}" if held.schema else "")
    host = parts.hostname or held.host
    if kind == "sftp" and not host:
        _refuse(where, "a host, here or in the connection")
    return Address(
        kind, host, parts.port or held.port, folder, unquote(parts.username or "") or held.login,
        held,
    )  # fmt: skip


def _bucket(where: str, bucket: str, prefix: str, held: Connection) -> Address:
    if not bucket and held.kind == "s3":
        bucket, prefix = held.host, held.schema
    if not bucket or "@" in bucket:
        _refuse(where, "s3://bucket/prefix")
    return Address("s3", bucket, None, prefix.strip("/"), held.login, held)


def _refuse(where: str, expected: str) -> NoReturn:
    raise ConfigError([f"{where}: expected {expected}"])


def open_drop(source: Source, data: Path) -> Drop:
    """Return the place of a source's files; nothing is asked of it yet."""
    found = address(source)
    if found is None:
        return Local(data, str(data))
    if found.kind == "file":
        return Local(Path(found.folder), str(found))
    if found.kind == "sftp":
        from connectors.remote_sftp import Sftp

        return Sftp(found)
    from connectors.remote_s3 import S3

    return S3(found)


# --- finding --------------------------------------------------------------------------------


def find(drop: Drop, patterns: Iterable[str]) -> list[Entry]:
    """Return the files that match any pattern, by path.

    `*`, `?` and `[...]` stay within one name and do not match a leading dot; `**` stands for any
    folders. Only folders that a pattern needs are listed.

    Raises:
        ConfigError: the patterns make us list more than MAX_ENTRIES names.
    """
    walk = _Walk(drop)
    rooted: dict[str, set[tuple[str, ...]]] = {}
    for pattern in patterns:
        path = PurePosixPath(pattern)
        at = 1 if path.is_absolute() else 0
        rooted.setdefault("/" if at else "", set()).add(path.parts[at:])
    found = {
        entry.path: entry
        for folder, tails in rooted.items()
        for entry in walk.files(folder, sorted(tails))
    }
    return [found[path] for path in sorted(found)]


class _Walk:
    """One descent through a drop; counts what it lists."""

    def __init__(self, drop: Drop) -> None:
        self.drop = drop
        self.listed = 0

    def files(self, folder: str, tails: Sequence[tuple[str, ...]]) -> Iterator[Entry]:
        deeper: dict[str, set[tuple[str, ...]]] = {}
        here = []
        for tail in _without_stars(tails):
            if len(tail) == 1 or _WILD.search(tail[0]):
                here.append(tail)
            else:
                deeper.setdefault(tail[0], set()).add(tail[1:])
        for entry, rest in self._fitting(folder, here):
            if rest:
                deeper.setdefault(entry.name, set()).add(rest)
            else:
                yield entry
        for name, rests in sorted(deeper.items()):
            below = join(folder, name)
            if below.count("/") < _MAX_DEPTH:
                yield from self.files(below, sorted(rests))

    def _fitting(
        self, folder: str, tails: Sequence[tuple[str, ...]]
    ) -> Iterator[tuple[Entry, tuple[str, ...]]]:
        for entry in self._entries(folder, [tail[0] for tail in tails]) if tails else ():
            for rest in _rests(entry, tails):
                yield entry, rest

    def _entries(self, folder: str, names: Sequence[str]) -> Sequence[Entry]:
        heads = [_WILD.split(name, maxsplit=1)[0] for name in names]
        first, last = min(heads), max(heads)
        shared = next((n for n, c in enumerate(first) if c != last[n]), len(first))
        found = self.drop.entries(folder, first[:shared])
        self.listed += len(found)
        if self.listed > MAX_ENTRIES:
            raise ConfigError(
                [f"{self.drop.where}: path: more than {MAX_ENTRIES:,} names to look through; "
                 "name the folder of the month or day, such as {month}/*.csv"]
            )  # fmt: skip
        return found


def _without_stars(tails: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Let `**` also stand for no folder at all."""
    result: dict[tuple[str, ...], None] = {}
    for tail in tails:
        at = tail
        result[at] = None
        while len(at) > 1 and at[0] == "**":
            at = at[1:]
            result[at] = None
    return list(result)


def _rests(entry: Entry, tails: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Yield what is left of every pattern an entry fits; nothing is left for a file."""
    for tail in tails:
        if tail[0] == "**":
            if entry.is_folder and not entry.name.startswith("."):
                yield tail
        elif (len(tail) > 1) == entry.is_folder and matches(entry.name, tail[0]):
            yield tail[1:]


def join(folder: str, name: str) -> str:
    """Return the path of a name in a folder; the drop's root is empty."""
    return f"{folder.rstrip('/')}/{name}" if folder else name


def is_wild(pattern: str) -> bool:
    """Tell whether a pattern names more than itself."""
    return _WILD.search(pattern) is not None


def matches(name: str, pattern: str) -> bool:
    """Tell whether a name fits one part of a pattern; a name always fits itself."""
    if name == pattern:
        return True
    head = _WILD.split(pattern, maxsplit=1)[0]
    if head == pattern or not name.startswith(head):
        return False
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return re.match(translate(pattern), name) is not None


async def together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await all of it; the first failure cancels the rest and is raised when all have ended."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# --- a folder of this machine ---------------------------------------------------------------


class Local:
    """A folder of this machine, mounted ones too."""

    is_remote = False

    def __init__(self, root: Path, where: str) -> None:
        self.root = root
        self.where = where

    def __enter__(self) -> Self:
        """Return the drop."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hold nothing."""

    def entries(self, folder: str, prefix: str = "") -> Sequence[Entry]:
        """Return what lies in a folder."""
        try:
            with os.scandir(self.root / folder) as found:
                return [self._entry(folder, item) for item in found if item.name.startswith(prefix)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError as error:
            raise ConfigError([f"{self.root / folder}: we may not list it"]) from error
        except OSError as error:
            raise TransientError(f"{self.root / folder}: {error.strerror}") from error

    def _entry(self, folder: str, item: os.DirEntry[str]) -> Entry:
        path = join(folder, item.name)
        try:
            status = item.stat()
        except FileNotFoundError:  # a link to nothing
            return Entry(path, 0, 0.0, is_folder=True)
        return Entry(path, status.st_size, status.st_mtime, str(status.st_mtime_ns), item.is_dir())

    def read(self, entry: Entry, limit: int) -> bytes:
        """Return the first bytes of a file."""
        try:
            with (self.root / entry.path).open("rb") as handle:
                return handle.read(limit)
        except OSError as error:
            raise _unreadable(entry, error) from error

    def fetch(self, wanted: Sequence[tuple[Entry, Path]]) -> None:
        """Copy files."""
        for entry, target in wanted:
            try:
                shutil.copyfile(self.root / entry.path, target)
                after = (self.root / entry.path).stat()
            except OSError as error:
                raise _unreadable(entry, error) from error
            if (after.st_size, str(after.st_mtime_ns)) != (entry.size, entry.tag):
                raise changed(self.where, entry)

    def now(self) -> float:
        """Return this machine's time."""
        return clock()

    def expect(self, folders: Collection[str]) -> None:
        """Need no warning."""

    def close(self) -> None:
        """Hold nothing."""


def _unreadable(entry: Entry, error: OSError) -> TransientError:
    return TransientError(f"{entry.path}: the file cannot be read ({error.strerror})")


class LostConnection(TransientError):
    """The connection failed, not what was asked: worth another attempt at once."""


def changed(where: str, entry: Entry) -> TransientError:
    """Return the error of a file whose bytes were not those that were listed."""
    return TransientError(
        f"{where}: {entry.path} changed while it was read; nothing was archived, it is read again "
        "in the next attempt"
    )
