"""Objects in an S3 bucket, through s3fs, seen as files in folders.

Lists and downloads; it may not write or delete: what we hand over goes through `outbox`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import stamina
from fsspec.asyn import FSTimeoutError, sync

from connectors import remote
from connectors.remote import Address, Entry
from perfhouse.errors import ConfigError, PerfhouseError
from perfhouse.settings import Connection

ATTEMPTS = 6
_AT_ONCE = 8
_CHUNK = 1 << 20
_SLOWEST = 100_000  # bytes a second that a download must reach on average
_ANSWER_SECONDS = 120
_REFUSED = frozenset(
    (
        *("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "403"),
        *("NoSuchBucket", "InvalidBucketName", "PermanentRedirect", "301", "InvalidObjectState"),
        *("AuthorizationHeaderMalformed", "RequestTimeTooSkewed", "AllAccessDisabled", "400"),
        *("IllegalLocationConstraintException", "InvalidToken", "TokenRefreshRequired"),
    )
)
_UNUSABLE = frozenset(  # what the client itself refuses; a ValueError is an address that is none
    (
        *("NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "ValueError"),
        *("InvalidRegionError", "ProfileNotFound", "UnknownEndpointError", "NoRegionError"),
    )
)
_GONE = frozenset(("PreconditionFailed", "NoSuchKey", "404", "412"))

T = TypeVar("T")


class S3:
    """A bucket and the prefix in it; connects when first asked."""

    is_remote = True

    def __init__(self, address: Address) -> None:
        self.where = str(address)
        self.bucket = address.host
        self.root = f"{address.folder}/" if address.folder else ""
        self._connection = address.connection
        self._files: Any = None
        self._now: float | None = None
        self._deep: dict[str, dict[str, list[Entry]] | None] = {}

    def entries(self, folder: str, prefix: str = "") -> Sequence[Entry]:
        """Return the objects and common prefixes of a folder."""
        for deep, tree in self._deep.items():
            if f"{folder}/".startswith(f"{deep}/"):
                if tree is None:
                    tree = self._deep[deep] = _tree(self._pages(f"{deep}/", ""), deep)
                return tree.get(folder, [])
        start = f"{folder}/" if folder else ""
        return list(self._pages(start + prefix, "/"))

    def read(self, entry: Entry, limit: int) -> bytes:
        """Return the first bytes of an object."""
        return self.again(self._read, entry, limit)

    def fetch(self, wanted: Sequence[tuple[Entry, Path]]) -> None:
        """Download objects, some at a time, each as it was when it was listed."""
        self.again(self._fetch, list(wanted))

    def now(self) -> float:
        """Return the server's time as its last answer told it."""
        return remote.clock() if self._now is None else self._now

    def expect(self, folders: Collection[str]) -> None:
        """List these folders with all below them at once: a day, not each of its hours."""
        self._deep = {folder.strip("/"): None for folder in sorted(folders)}

    def close(self) -> None:
        """Give connections back."""
        files, self._files = self._files, None
        if files is not None and files._s3 is not None:
            files.close_session(files.loop, files._s3)

    # --- questions ----------------------------------------------------------------------

    def _pages(self, prefix: str, delimiter: str) -> Iterator[Entry]:
        token: dict[str, str] = {}
        for _ in range(remote.MAX_ENTRIES // 1000 + 1):
            page = self.again(self._page, self.root + prefix, delimiter, token)
            for item in page.get("Contents", ()):
                yield self._entry(item)
            for item in page.get("CommonPrefixes", ()):
                path = item["Prefix"].removeprefix(self.root).rstrip("/")
                yield Entry(path, 0, 0.0, is_folder=True)
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}
        raise ConfigError(
            [f"{self.where}: path: more than {remote.MAX_ENTRIES:,} objects below {prefix!r}; "
             "name the folder of the month or day"]
        )  # fmt: skip

    def _entry(self, item: dict[str, Any]) -> Entry:
        path = item["Key"].removeprefix(self.root)
        changed = item["LastModified"].timestamp()
        # consoles mark an empty folder by an object whose key ends with a slash
        return Entry(path.rstrip("/"), item["Size"], changed, item["ETag"], path.endswith("/"))

    async def _page(self, files: Any, prefix: str, delimiter: str, token: dict[str, str]) -> Any:
        page = await files._call_s3(
            "list_objects_v2", Bucket=self.bucket, Prefix=prefix, Delimiter=delimiter, **token
        )
        told = page["ResponseMetadata"]["HTTPHeaders"].get("date")
        if told:
            self._now = parsedate_to_datetime(told).timestamp()
        return page

    async def _read(self, files: Any, entry: Entry, limit: int) -> bytes:
        async with await self._body(files, entry) as body:
            content: bytes = await body.read(limit)
        return content

    async def _body(self, files: Any, entry: Entry) -> Any:
        key = self.root + entry.path
        try:
            answer = await files._call_s3(
                "get_object", Bucket=self.bucket, Key=key, IfMatch=entry.tag
            )
        except OSError as error:
            if _code(error) in _GONE:
                raise remote.changed(self.where, entry) from None
            raise
        return answer["Body"]

    async def _fetch(self, files: Any, missing: list[tuple[Entry, Path]]) -> None:
        """Download what is missing; what arrived is taken off the list, for a second attempt."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(pair: tuple[Entry, Path]) -> None:
            async with turn, asyncio.timeout(_ANSWER_SECONDS + pair[0].size / _SLOWEST):
                await self._download(files, *pair)
            missing.remove(pair)

        await remote.together([one(pair) for pair in missing])

    async def _download(self, files: Any, entry: Entry, target: Path) -> None:
        size = 0
        with target.open("wb") as out:
            async with await self._body(files, entry) as body:
                while chunk := await body.read(_CHUNK):
                    size += out.write(chunk)
        if size != entry.size:
            raise remote.LostConnection(
                f"{self.where}: {entry.path}: {size:,} of {entry.size:,} bytes arrived"
            )

    # --- the connection -----------------------------------------------------------------

    def again(self, ask: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Ask, and ask again when the connection was lost."""
        for attempt in stamina.retry_context(
            on=remote.LostConnection,
            attempts=ATTEMPTS,
            wait_initial=0.5,
            wait_max=10.0,
            timeout=None,
        ):
            with attempt:
                return self._once(ask, *args)
        raise AssertionError("unreachable")  # pragma: no cover

    def _once(self, ask: Callable[..., Awaitable[T]], *args: Any) -> T:
        import aiohttp
        from botocore.exceptions import BotoCoreError

        if self._files is None:
            self._files = _open(self._connection)
        try:
            answer: T = sync(self._files.loop, ask, self._files, *args)
        except PerfhouseError:
            raise
        except (OSError, BotoCoreError, aiohttp.ClientError, FSTimeoutError, ValueError) as error:
            raise self._translated(error) from None
        return answer

    def _translated(self, error: Exception) -> PerfhouseError:
        """Say who must act by S3's error code; its words may quote names and stay out."""
        code = _code(error)
        kind = type(error).__name__
        if code in _REFUSED or kind in _UNUSABLE:
            name = self._connection.name or "the machine's own credentials"
            return ConfigError([f"{self.where}: refused ({code or kind}) with {name!r}"])
        return remote.LostConnection(f"{self.where}: the request failed ({code or kind})")


def _code(error: BaseException) -> str:
    """Return S3's error code, from the error or the one that s3fs turned into an OSError."""
    for found in (error, error.__cause__):
        response = getattr(found, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def _tree(entries: Iterator[Entry], root: str) -> dict[str, list[Entry]]:
    """Sort objects into their folders, and folders into theirs."""
    tree: dict[str, dict[str, Entry]] = {root: {}}
    for entry in entries:
        path = entry.path
        tree.setdefault(path.rpartition("/")[0], {})[path] = entry
        while (path := path.rpartition("/")[0]) and path != root:
            tree.setdefault(path.rpartition("/")[0], {})[path] = Entry(path, 0, 0.0, is_folder=True)
    return {folder: list(found.values()) for folder, found in tree.items()}


def _open(connection: Connection) -> Any:
    import s3fs

    extra = connection.extra
    region = extra.get("region") or extra.get("region_name")
    style = extra.get("addressing_style")
    config: dict[str, Any] = {
        "connect_timeout": 20,
        "read_timeout": 60,
        "max_pool_connections": 16,
        "retries": {"total_max_attempts": 1},  # it is tried again here, and nowhere else
    }
    files = s3fs.S3FileSystem(
        anon=str(extra.get("anon", "")).lower() == "true",
        key=connection.login or None,
        secret=connection.password or None,
        token=extra.get("session_token") or extra.get("aws_session_token"),
        endpoint_url=extra.get("endpoint_url"),
        client_kwargs={"region_name": region} if region else {},
        config_kwargs={**config, "s3": {"addressing_style": style}} if style else config,
        skip_instance_cache=True,
        use_listings_cache=False,
    )
    files.retries = 1
    return files
