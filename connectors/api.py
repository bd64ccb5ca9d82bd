"""Extraction from an API: endpoints walked page by page, every answer archived as it came.

A connector declares its endpoints; nothing here knows a vendor, casts a value or writes the lake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from connectors.api_sender import Sender, Tally
from connectors.base import Connector, ExtractContext, Extracted, Unfold
from connectors.endpoints import Call, Endpoint, System, Window
from connectors.http import Refused
from connectors.paging import Page, Request
from connectors.refusals import CONTROL
from perfhouse import settings
from perfhouse.company import Source, StreamMapping
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing, TransientError
from perfhouse.month import Month
from perfhouse.settings import Connection

FORMAT = "pages"


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
        sender = Sender(system, source, connection, client, window(source, month, context))
        sender.wait_for_watermark()
        for endpoint in _needed(system, source):
            call = sender.call(endpoint, kept, system.endpoints)
            kept[endpoint.name] = []
            tally = Tally()
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
    yield from context.part(month)


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
    """Return what may be asked for of a month, in the company's zone, as half-open UTC instants."""
    zone = ZoneInfo(context.company.time_zone)
    days = (month.start, context.end(month))
    start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in days)
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
    endpoint: Endpoint, call: Call, context: ExtractContext, tally: Tally
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


def _save(body: bytes, kept: list[Path], target: Path) -> None:
    target.write_bytes(body)
    kept.append(target)


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
