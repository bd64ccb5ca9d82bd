"""Places where we hand files over: a folder, SFTP, S3; a name is there complete or not at all.

It writes and reads beside nobody else's names; what is handed over, and when, is not known here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import asyncssh

from connectors import remote
from connectors.remote import Local
from connectors.remote_s3 import S3
from connectors.remote_sftp import Sftp
from perfhouse.errors import ConfigError, TransientError

_LARGEST = 1 << 16  # of an answer


class Outbox(Protocol):
    """A place to put files; every error of it names who must act."""

    where: str

    def put(self, name: str, content: bytes) -> None:
        """Put a file, replacing one of that name; readers see none, the old or the new one.

        `name` is below the place, POSIX; one folder in it is made where it is missing.
        """

    def read(self, name: str) -> bytes | None:
        """Return what lies under a name (64 KiB at most), or None."""

    def now(self) -> float:
        """Return the time, in seconds of 1970, by the place's clock where it tells one."""

    def close(self) -> None:
        """Give connections back."""


def open_outbox(where: str, url: str, connection: str | None, base: Path) -> Outbox:
    """Return the place of an address; a folder without a scheme lies below `base`.

    Raises:
        ConfigError: the address or the connection tells no place; `where` is the key (operator).
    """
    if "://" not in url and connection is None:
        return _Folder(base / url)
    found = remote.locate(where, url if "://" in url else None, connection)
    if found.kind == "file":
        return _Folder(Path(found.folder))
    return _Sftp(Sftp(found)) if found.kind == "sftp" else _S3(S3(found))


def _answer(drop: remote.Drop, name: str) -> bytes | None:
    folder, _, last = name.rpartition("/")
    for entry in drop.entries(folder, last):
        if entry.name == last and not entry.is_folder:
            return drop.read(entry, _LARGEST)
    return None


def _draft(name: str) -> str:
    folder, _, last = name.rpartition("/")
    return remote.join(folder, f".{last}.part")


class _Folder:
    """A folder of this machine, mounted ones too."""

    def __init__(self, root: Path) -> None:
        self.where = str(root)
        self._root = root
        self._drop = Local(root, self.where)

    def put(self, name: str, content: bytes) -> None:
        if not self._root.is_dir():
            raise ConfigError([f"{self.where}: expected the folder to be there"])
        target, draft = self._root / name, self._root / _draft(name)
        try:
            target.parent.mkdir(mode=0o750, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with os.fdopen(os.open(draft, flags, 0o640), "wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            draft.replace(target)
        except PermissionError:
            raise ConfigError([f"{self.where}: we may not write there"]) from None
        except OSError as error:
            raise TransientError(f"{self.where}: {error.strerror}") from None

    def read(self, name: str) -> bytes | None:
        return _answer(self._drop, name)

    def now(self) -> float:
        return self._drop.now()

    def close(self) -> None:
        self._drop.close()


class _Sftp:
    """A folder of an SFTP server."""

    def __init__(self, drop: Sftp) -> None:
        self.where = drop.where
        self._drop = drop

    def put(self, name: str, content: bytes) -> None:
        self._drop.again(self._put, name, content)

    async def _put(self, sftp: asyncssh.SFTPClient, name: str, content: bytes) -> None:
        target, draft = self._drop.full(name), self._drop.full(_draft(name))
        folder = name.rpartition("/")[0]
        if not await sftp.isdir(self._drop.full("")):
            raise ConfigError([f"{self.where}: expected the folder to be there"])
        if folder and not await sftp.isdir(self._drop.full(folder)):
            await sftp.mkdir(self._drop.full(folder))
        async with sftp.open(draft, "wb") as handle:
            await handle.write(content)
        try:
            await sftp.posix_rename(draft, target)
        except asyncssh.SFTPOpUnsupported:  # it cannot replace: the name is gone for a moment
            if await sftp.exists(target):
                await sftp.remove(target)
            await sftp.rename(draft, target)

    def read(self, name: str) -> bytes | None:
        return _answer(self._drop, name)

    def now(self) -> float:
        return self._drop.now()

    def close(self) -> None:
        self._drop.close()


class _S3:
    """A prefix of an S3 bucket; an object is there when all of it is."""

    def __init__(self, drop: S3) -> None:
        self.where = drop.where
        self._drop = drop

    def put(self, name: str, content: bytes) -> None:
        self._drop.again(self._put, name, content)

    async def _put(self, files: Any, name: str, content: bytes) -> None:
        key = self._drop.root + name
        await files._call_s3("put_object", Bucket=self._drop.bucket, Key=key, Body=content)

    def read(self, name: str) -> bytes | None:
        return _answer(self._drop, name)

    def now(self) -> float:
        return self._drop.now()

    def close(self) -> None:
        self._drop.close()
