"""Extraction from an API: endpoints walked page by page, every answer archived as it came.

A connector declares its endpoints; nothing here knows a vendor, casts a value or writes the lake.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from connectors.base import Connector, ExtractContext, Extracted, Unfold
from connectors.http import Answer, Client, Judge, Later, Refused, pauses, told_time
from connectors.paging import Following, Page, Request, number, only, pages
from connectors.refusals import CONTROL
from perfhouse import settings
from perfhouse.company import Source, StreamMapping
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing, TransientError
from perfhouse.month import Month
from perfhouse.settings import Connection

FORMAT = "pages"
_BY_CLOCK = "its clock minus the time it settles"


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
            page = _page(path.read_bytes(), Request(endpoint))
            for raw in page.records(self.paths.get(endpoint, "")):
                yield msgspec.json.decode(raw)


def first(
    request: Callable[[Call], Request], following: Following = only
) -> Callable[[Call], Iterator[Page]]:
    """Return an endpoint's generator: one request, and what follows it."""
    return lambda call: call.pages(request(call), following)


def connector(
    name: str,
    title: str,
    reads: str,
    system: System,
    defaults: Mapping[str, StreamMapping],
    unfold: Mapping[str, Unfold] | None = None,
    options: tuple[str, ...] = (),
    stream_options: tuple[str, ...] = (),
    snapshots: tuple[str, ...] = (),
    version: int = 1,
) -> Connector:
    """Return the connector of an API; every ready mapping reads pages."""
    return Connector(
        name=name,
        title=title,
        reads=reads,
        extract=partial(extract, system),
        plan=partial(plan, system),
        defaults=defaults,
        unfold=unfold or {},
        records={e.name: e.records for e in system.endpoints},
        options=("connection", *options),
        stream_options=stream_options,
        snapshots=snapshots,
        version=version,
    )


def extract(
    system: System, source: Source, month: Month, context: ExtractContext
) -> Iterator[Extracted]:
    """Yield every answer of the endpoints that the source's streams need.

    Raises:
        SourceMissing: the source's own clock or watermark lies before the month's end.
        TransientError: the source could not be read to its end, or told another total.
        SourceChanged: an answer has not the shape that the connector knows.
        ConfigError: the source refuses what the connection may not have.
    """
    try:
        yield from _answers(system, source, month, context)
    except SourceMissing:
        raise
    except ConfigError as error:
        raise ConfigError([_named(source, problem) for problem in error.problems]) from None
    except (TransientError, SourceChanged) as error:
        kind = TransientError if isinstance(error, TransientError) else SourceChanged
        stays = "if it stays so, " if kind is TransientError else "nothing was landed; "
        told = f"{_named(source, str(error))}; {stays}ask the source's owner: {source.owner}"
        raise kind(told) from None


def _named(source: Source, text: str) -> str:
    return text if text.startswith((source.id, "connection ")) else f"{source.id}: {text}"


def _answers(
    system: System, source: Source, month: Month, context: ExtractContext
) -> Iterator[Extracted]:
    connection = settings.connection(_connection_name(source))
    kept: dict[str, list[Path]] = {}
    totals: dict[str, dict[str, Any]] = {}
    with system.client(source, connection) as client:
        sender = _Sender(system, source, connection, client, window(source, month, context))
        sender.wait_for_watermark()
        for endpoint in _needed(system, source):
            call = sender.call(endpoint, kept, system.endpoints)
            kept[endpoint.name] = []
            tally = _Tally()
            for page in _tolerant(endpoint, call, context, tally):
                tally.add(page, endpoint)
                label = f"{page.request.label}/" if page.request.label else ""
                name = f"{endpoint.name}/{label}{tally.pages:06d}.json"
                save = partial(_save, page.body, kept[endpoint.name])
                yield Extracted(endpoint.streams, name, FORMAT, save)
                if tally.pages % 50 == 0:
                    told = f"{tally.records:,} records in {tally.pages:,} pages"
                    context.progress(f"{source.id} {month}: {endpoint.name}: {told}")
            if not tally.pages and endpoint.streams:  # asked for nobody, or refused an option
                save = partial(_save, _nothing(endpoint.records), [])
                yield Extracted(endpoint.streams, f"{endpoint.name}/{0:06d}.json", FORMAT, save)
            tally.check(source, month, endpoint)
            totals[endpoint.name] = tally.facts(endpoint)
    body = msgspec.json.encode(totals, order="sorted")
    yield Extracted((), CONTROL, "json", partial(_save, body, []))


def plan(system: System, source: Source, month: Month, context: ExtractContext) -> Iterator[str]:
    """Say which requests a fetch would make first, endpoint by endpoint, without making one."""
    frame = window(source, month, context)
    for endpoint in _needed(system, source):
        begin = frame.start - endpoint.lookback
        call = Call(
            source,
            Window(month, begin, frame.end),
            _refuse,
            _stand_in(source),
            planning=True,
        )
        into = ", ".join(endpoint.streams) or f"looked up for {', '.join(endpoint.beside)}"
        try:
            for _ in endpoint.pages(call):
                break
            yield f"{endpoint.name}: for each record fetched before -> {into}"
        except _Planned as planned:
            yield f"{endpoint.name}: {planned.request} -> {into}"


def window(source: Source, month: Month, context: ExtractContext) -> Window:
    """Return a month of the company's zone as half-open UTC instants."""
    zone = ZoneInfo(context.company.time_zone)
    start, end = (
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (month.start, month.end)
    )
    return Window(month, start, end)


class _Planned(Exception):
    """The request that would have been made."""

    def __init__(self, request: Request) -> None:
        self.request = request
        super().__init__()


def _refuse(request: Request) -> Page:
    raise _Planned(request)


def _stand_in(source: Source) -> Connection:
    name = str(source.options.get("connection", source.id))
    return Connection(name, "https", host=f"<{name}>", login="<login>")


def _connection_name(source: Source) -> str:
    name = source.options.get("connection")
    if not isinstance(name, str):
        raise ConfigError([f"{source.id}.connection: expected the name of a connection"])
    return name


def _needed(system: System, source: Source) -> Iterator[Endpoint]:
    wanted = {stream.stream for stream in source.streams}
    for endpoint in system.endpoints:
        if wanted & {*endpoint.streams, *endpoint.beside}:
            yield endpoint


def _tolerant(
    endpoint: Endpoint, call: Call, context: ExtractContext, tally: _Tally
) -> Iterator[Page]:
    begun = False  # what is refused later on is lost, not absent
    try:
        for page in endpoint.pages(call):
            begun = True
            yield page
    except Refused as error:
        if begun or not endpoint.optional or error.status not in (403, 404):
            raise
        tally.refused = error.status
        told = f"refused to this account (HTTP {error.status})"
        context.progress(f"{call.source.id}: {endpoint.name}: {told}")


def _nothing(records: str) -> bytes:
    """Return a page without records, for an endpoint that gave none: its streams land empty."""
    value: Any = []
    for step in reversed(records.split(".") if records else ()):
        value = {step: value}
    return msgspec.json.encode(value)


def _page(body: bytes, request: Request, headers: Mapping[str, str] | None = None) -> Page:
    """Return a page; one with half a character is mended for its envelope, and lands as it is."""
    page = Page(body, request, headers)
    if b"\\" in body and (b"\\ud" in body or b"\\uD" in body):
        try:
            msgspec.json.decode(body, type=msgspec.Raw)
        except msgspec.DecodeError:
            page.mended()
    return page


def _is_json(body: bytes) -> bool:
    """Tell JSON from what is none or was cut; half a character is some record's own fault."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError:
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            return False
    return True


def _save(body: bytes, kept: list[Path], target: Path) -> None:
    target.write_bytes(body)
    kept.append(target)


@dataclass
class _Tally:
    """Counts of one endpoint, beside what the source told."""

    pages: int = 0
    records: int = 0
    told: int | None = None
    refused: int | None = None  # the HTTP status of what the account may not read

    def add(self, page: Page, endpoint: Endpoint) -> None:
        self.pages += 1
        self.records += len(page.records(endpoint.records))
        if endpoint.total is not None:
            self.told = number(page.at(endpoint.total))

    def check(self, source: Source, month: Month, endpoint: Endpoint) -> None:
        if self.told is not None and self.told != self.records:
            raise TransientError(
                f"{source.id} {month}: {endpoint.name}: {self.records:,} records received, the "
                f"source told {self.told:,}: it changed while it was read; nothing was landed"
            )

    def facts(self, endpoint: Endpoint) -> dict[str, Any]:
        counts = {"pages": self.pages, "records": self.records, "told": self.told}
        if self.refused is None:
            return counts
        return {**counts, "refused": self.refused, "streams": endpoint.streams}


class _Sender:
    """Makes an endpoint's requests; refuses a source whose clock lies before the window's end."""

    def __init__(
        self, system: System, source: Source, connection: Connection, client: Client, frame: Window
    ) -> None:
        self.system, self.source, self.connection = system, source, connection
        self.client, self.frame = client, frame
        self.prefix = f"/{connection.schema.strip('/')}" if connection.schema.strip("/") else ""

    def send(self, request: Request) -> Page:
        path = request.path
        if path.startswith("/") and self.prefix and not path.startswith(f"{self.prefix}/"):
            path = f"{self.prefix}{path}"
        answer = self.client.fetch(
            request.method, path, params=request.params, body=request.body, judge=self._judge
        )
        if self.system.watermark is None:
            self._enough(told_time(answer) - self.system.settle, _BY_CLOCK)
        return _page(answer.body, request, answer.headers)

    def _judge(self, answer: Answer) -> None:
        """Refuse an answer cut short or no JSON at all, so that it is asked for again."""
        if answer.status == 204:
            return
        if not _is_json(answer.body):
            kind = answer.headers.get("content-type", "unknown").split(";")[0]
            raise Later(f"{self.source.id}: the answer is no complete JSON ({kind})")
        self.system.judge(answer)

    def wait_for_watermark(self) -> None:
        if self.system.watermark is None:
            return
        reached = self.system.watermark(self.call(None, {}, ()))
        if reached is None:
            self._enough(told_time() - self.system.settle, _BY_CLOCK)
        else:
            self._enough(reached, "its watermark")

    def _enough(self, reached: datetime, what: str) -> None:
        if reached < self.frame.end:
            raise SourceMissing(
                f"{self.source.id} {self.frame.month}: {what} is {reached:%Y-%m-%d %H:%M:%S} UTC, "
                f"the month ends at {self.frame.end:%Y-%m-%d %H:%M:%S} UTC; wait until it is "
                f"past, or ask the source's owner: {self.source.owner}"
            )

    def call(
        self,
        endpoint: Endpoint | None,
        kept: Mapping[str, list[Path]],
        endpoints: tuple[Endpoint, ...],
    ) -> Call:
        begin = self.frame.start - (endpoint.lookback if endpoint else timedelta(0))
        frame = Window(self.frame.month, begin, self.frame.end)
        paths = {e.name: e.records for e in endpoints}
        return Call(self.source, frame, self.send, self.connection, kept, paths)


def parsed(text: Any, what: str) -> datetime | None:
    """Return an ISO instant of a vendor in UTC, None for nothing; SourceChanged when it is none."""
    if text in (None, ""):
        return None
    try:
        return instant(text)
    except ValueError:
        raise SourceChanged(f"{what}: expected an ISO time") from None


def instant(text: Any) -> datetime:
    """Return an ISO instant of a record in UTC; ValueError when it is none: it is quarantined."""
    found = datetime.fromisoformat(str(text))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def moment(epoch: Any) -> datetime:
    """Return seconds since 1970 as an instant; an error of a record where no calendar has it."""
    # not `fromtimestamp`: the system's own OSError would end the landing of all other records
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(epoch))


def base_url(source: Source, connection: Connection, default: str = "") -> str:
    """Return the address of a source: option `url`, else the connection's host, else a default."""
    chosen = source.options.get("url")
    if isinstance(chosen, str):
        return chosen.rstrip("/")
    if not connection.host:
        if default:
            return default
        raise ConfigError([f"connection {connection.name!r}: expected a host"])
    kind = connection.kind if connection.kind in ("http", "https") else "https"
    kind = connection.extra.get("scheme", kind)
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    return f"{kind}://{host}:{connection.port}" if connection.port else f"{kind}://{host}"
