"""Files on an SFTP server, through asyncssh; the server's key is always checked unless told not to.

Lists and downloads; it may not write, rename or delete: what we hand over goes through `outbox`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import stamina
from fsspec.asyn import FSTimeoutError, get_loop, sync

from connectors import remote
from connectors.remote import Address, Entry
from perfhouse.errors import ConfigError, PerfhouseError, TransientError
from perfhouse.settings import Connection

ATTEMPTS = 4
_AT_ONCE = 8  # files downloaded at a time; servers commonly allow ten sessions
_CONNECT_SECONDS = 20
_ANSWER_SECONDS = 120
_SLOWEST = 100_000  # bytes a second that a download must reach on average
_QUESTIONS = 64  # asked at a time of one file
_SAFE_BLOCK, _LARGEST_BLOCK = 32 << 10, 255 << 10
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"  # first choice: the fastest here
_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it tells accounts and paths

T = TypeVar("T")


class Sftp:
    """An SFTP server and the folder on it; connects when first asked."""

    is_remote = True

    def __init__(self, address: Address) -> None:
        self.where = str(address)
        self._address = address
        self._client: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None
        self._loop = get_loop()
        self._days: dict[str, set[str] | None] = {}

    def entries(self, folder: str, prefix: str = "") -> Sequence[Entry]:
        """Return what lies in a folder; links are followed."""
        day = folder.rpartition("/")[0]
        if day in self._days:
            hours = self._days[day]
            if hours is None:
                hours = {entry.path for entry in self.again(self._list, day, "")}
                self._days[day] = hours
            if folder not in hours:
                return []
        return self.again(self._list, folder, prefix)

    def read(self, entry: Entry, limit: int) -> bytes:
        """Return the first bytes of a file."""
        return self.again(self._read, entry, limit)

    def fetch(self, wanted: Sequence[tuple[Entry, Path]]) -> None:
        """Download files, some at a time."""
        missing = list(wanted)
        self.again(self._fetch, missing)

    def now(self) -> float:
        """Return this machine's time: SFTP tells none."""
        return remote.clock()

    def expect(self, folders: Collection[str]) -> None:
        """Ask once which hours a day has, not for every hour whether it is there."""
        self._days = dict.fromkeys(folder.strip("/") for folder in folders)

    def close(self) -> None:
        """End the connection."""
        try:
            sync(self._loop, self._disconnect, timeout=5)
        except FSTimeoutError:
            self._client = None

    # --- the connection -----------------------------------------------------------------

    def again(self, ask: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Ask, and ask again on a new connection when the old one was lost."""
        for attempt in stamina.retry_context(
            on=remote.LostConnection,
            attempts=ATTEMPTS,
            wait_initial=0.5,
            wait_max=10.0,
            timeout=None,
        ):
            with attempt:
                answer: T = sync(self._loop, self._guarded, ask, *args)
                return answer
        raise AssertionError("unreachable")  # pragma: no cover

    async def _guarded(self, ask: Callable[..., Awaitable[T]], *args: Any) -> T:
        try:
            if self._sftp is None:
                await self._connect()
            return await ask(self._sftp, *args)
        except PerfhouseError:
            raise
        except (asyncssh.Error, OSError) as error:
            await self._disconnect()
            raise self._translated(error) from None

    async def _connect(self) -> None:
        address = self._address
        options = _options(address.connection, self.where)
        if not address.login:
            raise ConfigError([f"{self.where}: expected a login, in the connection or the url"])
        async with asyncio.timeout(_CONNECT_SECONDS * 2):
            self._client = await asyncssh.connect(
                address.host,
                address.port or 22,
                username=address.login,
                connect_timeout=_CONNECT_SECONDS,
                login_timeout=_CONNECT_SECONDS,
                keepalive_interval=15,
                keepalive_count_max=3,
                config=[],
                agent_path=None,
                encryption_algs=_CIPHERS,
                **options,
            )
            self._sftp = await self._client.start_sftp_client()

    async def _disconnect(self) -> None:
        client, self._client, self._sftp = self._client, None, None
        if client is not None:
            client.abort()
            await client.wait_closed()

    def _translated(self, error: Exception) -> PerfhouseError:
        """Say who must act; the server's own words may name people and stay out."""
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            said = "the server's key is not the one we know; ask its owner before you trust a new"
            return ConfigError(
                [f"{self.where}: {said} one: put it in known_hosts or the connection's host_key"]
            )
        if isinstance(error, asyncssh.PermissionDenied):
            name = self._address.connection.name
            return ConfigError([f"{self.where}: the server refused the account of {name!r}"])
        if isinstance(error, asyncssh.SFTPPermissionDenied):
            return ConfigError([f"{self.where}: the account may not read or write here"])
        if isinstance(error, asyncssh.ChannelOpenError | asyncssh.KeyExchangeFailed):
            return ConfigError([f"{self.where}: no SFTP service we can speak with is there"])
        if isinstance(error, OSError) and error.errno in _OURS:
            return TransientError(f"our disk: {error.strerror}")
        return remote.LostConnection(
            f"{self.where}: the connection failed ({type(error).__name__})"
        )

    # --- questions ----------------------------------------------------------------------

    def full(self, path: str) -> str:
        """Return the server's path of a path below the drop's root."""
        folder = self._address.folder.removeprefix("/~/")
        return "/".join(part for part in (folder.rstrip("/"), path) if part) or folder or "."

    async def _list(self, sftp: asyncssh.SFTPClient, folder: str, prefix: str) -> list[Entry]:
        full = self.full(folder)
        found = []
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                async for item in sftp.scandir(full):
                    name = str(item.filename)
                    if name not in (".", "..") and name.startswith(prefix):
                        path = remote.join(folder, name)
                        found.append(await self._entry(sftp, path, item.attrs))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory):
            return []
        return found

    async def _entry(
        self, sftp: asyncssh.SFTPClient, path: str, attrs: asyncssh.SFTPAttrs
    ) -> Entry:
        mode = attrs.permissions or 0
        if stat.S_ISLNK(mode):
            try:
                attrs = await sftp.stat(self.full(path))
            except asyncssh.SFTPNoSuchFile:  # a link to nothing
                return Entry(path, 0, 0.0, is_folder=True)
            mode = attrs.permissions or 0
        return Entry(
            path,
            attrs.size or 0,
            float(attrs.mtime or 0),
            is_folder=stat.S_ISDIR(mode),
        )

    async def _read(self, sftp: asyncssh.SFTPClient, entry: Entry, limit: int) -> bytes:
        async with asyncio.timeout(_ANSWER_SECONDS):
            async with sftp.open(self.full(entry.path), "rb", block_size=None) as handle:
                content: bytes = await handle.read(limit)
                return content

    async def _fetch(self, sftp: asyncssh.SFTPClient, missing: list[tuple[Entry, Path]]) -> None:
        """Download what is missing; what arrived is taken off the list, for a second attempt."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(pair: tuple[Entry, Path]) -> None:
            async with turn:
                await self._download(sftp, *pair)
                missing.remove(pair)

        await remote.together([one(pair) for pair in missing])

    async def _download(self, sftp: asyncssh.SFTPClient, entry: Entry, target: Path) -> None:
        full = self.full(entry.path)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS + entry.size / _SLOWEST):
                await _copy(sftp, full, entry.size, target)
                after = await sftp.stat(full)
        except asyncssh.SFTPNoSuchFile:
            raise remote.changed(self.where, entry) from None
        seen = (after.size, float(after.mtime or 0), target.stat().st_size)
        if seen != (entry.size, entry.changed, entry.size):
            raise remote.changed(self.where, entry)


async def _copy(sftp: asyncssh.SFTPClient, full: str, size: int, target: Path) -> None:
    """Copy a file by many questions at a time; one that ends early is left short.

    Not by asyncssh's own `get`: it leaves a traceback of every question that a cut line answers.
    """
    block = min(sftp.limits.max_read_len or _SAFE_BLOCK, _LARGEST_BLOCK)
    starts = iter(range(0, size, block))
    async with sftp.open(full, "rb", block_size=None) as source:
        with target.open("wb") as out:

            async def copy() -> None:
                for at in starts:
                    end = min(at + block, size)
                    while at < end and (data := await source.read(end - at, at)):
                        at += os.pwrite(out.fileno(), data, at)

            await remote.together([copy() for _ in range(min(_QUESTIONS, size // block + 1))])


# --- who we are, and who the server must be ---------------------------------------------------


def _options(connection: Connection, where: str) -> dict[str, Any]:
    return {**_account(connection, where), **_host(connection, where)}


def _account(connection: Connection, where: str) -> dict[str, Any]:
    extra = connection.extra
    file, text = extra.get("key_file"), extra.get("private_key")
    options: dict[str, Any] = {"client_keys": None, "password": None}
    if file or text:
        words = extra.get("private_key_passphrase")
        try:
            key = (
                asyncssh.import_private_key(text, words)
                if text
                else asyncssh.read_private_key(str(file), words)
            )
        except (OSError, ValueError):  # bad keys and passphrases are ValueErrors
            raise ConfigError(
                [f"{where}: connection {connection.name!r}: the private key cannot be read"]
            ) from None
        options["client_keys"] = [key]
    if connection.password:
        options["password"] = connection.password
    if not any(options.values()):
        raise ConfigError(
            [f"{where}: expected a connection with a password, key_file or private_key"]
        )
    return options


def _host(connection: Connection, where: str) -> dict[str, Any]:
    extra = connection.extra
    pinned, file = extra.get("host_key"), extra.get("known_hosts")
    if pinned:
        return {"known_hosts": ([], [], []), "client_factory": lambda: _Pinned(pinned)}
    if str(extra.get("no_host_key_check", "")).lower() == "true":
        return {"known_hosts": None}
    known = Path(file).expanduser() if file else Path("~/.ssh/known_hosts").expanduser()
    if not known.is_file():
        raise ConfigError(
            [f"{where}: expected the server's key: host_key (SHA256:...) in the extra of "
             f"connection {connection.name!r}, or a file known_hosts"]
        )  # fmt: skip
    return {"known_hosts": os.fspath(known)}


class _Pinned(asyncssh.SSHClient):  # type: ignore[misc]
    """Trusts one key: given as SHA256:..., or as the line of a public key with or without type."""

    def __init__(self, pinned: str) -> None:
        self._pinned = pinned.strip()

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Tell whether this is the key."""
        if self._pinned.upper().startswith("SHA256:"):
            pinned = self._pinned[7:].rstrip("=").replace(" ", "+")  # a plus unquoted in a URI
            return bool(key.get_fingerprint("sha256")[7:] == pinned)
        offered: str = key.export_public_key("openssh").decode().split()[1]
        return offered in self._pinned.split()
