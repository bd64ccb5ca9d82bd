"""What the connector of an API declares, and what its endpoints' generators may use.

Declarations and the way to ask; nothing here knows a vendor or opens a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from connectors.http import Client, Judge, pauses
from connectors.paging import Following, Page, Request, only, pages
from perfhouse.company import Source
from perfhouse.errors import ConfigError, TransientError
from perfhouse.month import Month
from perfhouse.settings import Connection


@dataclass(frozen=True)
class Window:
    """A month as half-open instants in UTC; `start` is moved back by an endpoint's lookback."""

    month: Month
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Endpoint:
    """One thing to fetch: where its pages come from and which streams are read from them.

    Args:
        name: folder in the archive, word in progress and in `Call.records`.
        pages: a generator of answers; `first(...)` makes one of a request and a follower.
        records: path of the list of records in a page; `""` is the page itself.
        streams: canonical streams that land from these records.
        beside: streams whose unfolding looks records of this endpoint up.
        total: path of the told number of records; another count received is a torn read.
        lookback: how far before the month records are fetched again, for late changes.
        optional: a refusal (403, 404) means that the account lacks this feature: its streams land
            empty and as refused, unless they are listed or had rows before.
    """

    name: str
    pages: Callable[[Call], Iterator[Page]]
    records: str = ""
    streams: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    total: str | None = None
    lookback: timedelta = timedelta(0)
    optional: bool = False


@dataclass(frozen=True)
class System:
    """How to talk to a kind of system.

    Args:
        client: makes the client of a source from its options and connection.
        settle: how long after a window's end the source may still be filling it.
        watermark: asks the source how far its data is complete; None: its clock decides, or ours
            where it tells none.
        judge: raises for an answer that came with HTTP 200 and is none.
    """

    client: Callable[[Source, Connection], Client]
    endpoints: tuple[Endpoint, ...]
    settle: timedelta = timedelta(minutes=5)
    watermark: Callable[[Call], datetime | None] | None = None
    judge: Judge = lambda _: None


@dataclass
class Call:
    """What an endpoint's generator may use: the window, the options, the client."""

    source: Source
    window: Window
    send: Callable[[Request], Page]
    connection: Connection
    kept: Mapping[str, list[Path]] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    planning: bool = False  # a dry run: the first request is shown, none is made

    def option(self, name: str, default: str | None = None) -> str:
        """Return an option of the source as text; ConfigError when it must be set."""
        value = self.source.options.get(name, default)
        if value is None or isinstance(value, Mapping | list):
            raise ConfigError([f"{self.source.id}.{name}: expected text, got {value!r}"])
        return str(value)

    def whole(self, name: str, default: int, least: int = 1) -> int:
        """Return an option that is a whole number; ConfigError when it is none or too small."""
        value = self.source.options.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            wanted = f"a whole number, {least} or more"
            raise ConfigError([f"{self.source.id}.{name}: expected {wanted}, got {value!r}"])
        return value

    def options(self, name: str) -> tuple[str, ...]:
        """Return an option that lists texts; one alone may stand without brackets."""
        value = self.source.options.get(name, ())
        if not isinstance(value, str | int | list | tuple):
            raise ConfigError([f"{self.source.id}.{name}: expected a list of texts"])
        return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)

    def pages(self, request: Request, following: Following = only) -> Iterator[Page]:
        """Yield the pages from a first request on."""
        return pages(self.send, request, following)

    def until(
        self, request: Request, done: Callable[[Page], bool], deadline: float = 3600.0
    ) -> Page:
        """Ask for a job's state until `done` says so, with growing pauses.

        Raises:
            TransientError: the job is not done after `deadline` seconds.
        """
        for _ in pauses(deadline):
            page = self.send(request)
            if done(page):
                return page
        raise TransientError(f"{self.source.id}: {request.path}: not done in {deadline:.0f} s")

    def records(self, endpoint: str) -> Iterator[Any]:
        """Yield the decoded records of an endpoint that was fetched before this one."""
        for path in self.kept.get(endpoint, []):
            page = page_of(path.read_bytes(), Request(endpoint))
            for raw in page.records(self.paths.get(endpoint, "")):
                yield msgspec.json.decode(raw)


def first(
    request: Callable[[Call], Request], following: Following = only
) -> Callable[[Call], Iterator[Page]]:
    """Return an endpoint's generator: one request, and what follows it."""
    return lambda call: call.pages(request(call), following)


def page_of(body: bytes, request: Request, headers: Mapping[str, str] | None = None) -> Page:
    """Return a page; one with half a character is mended for its envelope, and lands as it is."""
    page = Page(body, request, headers)
    if b"\\" in body and (b"\\ud" in body or b"\\uD" in body):
        try:
            msgspec.json.decode(body, type=msgspec.Raw)
        except msgspec.DecodeError:
            page.mended()
    return page
