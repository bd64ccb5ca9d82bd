"""Any SQL database as a source: one query per stream, its answer archived with its types.

Runs the configured queries in a read-only session and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import partial
from inspect import cleandoc
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from connectors import sql_archive, sql_query, sql_sessions
from connectors.base import Connector, ExtractContext, Extracted
from connectors.quoting import literal
from connectors.sql_sessions import Session, Words
from perfhouse import settings
from perfhouse.company import Source, StreamMapping
from perfhouse.errors import ConfigError, SourceMissing, TransientError
from perfhouse.month import Month

OPTIONS = ("watermark", "statement_timeout")
STREAM_OPTIONS = ("lookback", "control")
_COLUMN = re.compile(r"[A-Za-z_]\w{0,62}")
# what a ready-made query leaves open, by source and kind of database: always ours or checked
Fill = Callable[[Source, str], Mapping[str, str]]


def extract(source: Source, month: Month, context: ExtractContext) -> Iterator[Extracted]:
    """Yield one answer per stream, as Parquet in key order.

    PostgreSQL answers all of them out of one snapshot; elsewhere each has its own.

    Raises:
        ConfigError: a query is no select, the login is refused, an option cannot be read.
        SourceMissing: the source says itself that the month is not complete there.
        TransientError: the database cannot be reached, is busy, or an answer was torn.
        SourceChanged: the database refuses a query: a column or a permission is missing.
    """
    queries = _queries(source)
    for stream in source.streams:
        sql_query.bounds(source, stream, context.company, month, context.end(month))
    with closing(_session(source, month, context)) as session:
        _wait(source, month, context, session)
        for stream in source.streams:
            save = partial(_save, source, stream, queries, month, context, session)
            yield Extracted((stream.stream,), f"{stream.stream}.parquet", "parquet", save)
        yield from context.part(month)


def plan(source: Source, month: Month, context: ExtractContext) -> Iterator[str]:
    """Say each query with its month's bounds, without connecting."""
    url = _url(source, context)
    yield f"from {sql_sessions.place(url)}, read only"
    for name, query in _queries(source).items():
        stream = next((s for s in source.streams if s.stream == name.split(".")[0]), None)
        bound = sql_query.bounds(source, stream, context.company, month, context.end(month))
        text = sql_query.rendered(query, bound, url.get_backend_name())
        first, *rest = cleandoc(text).splitlines() or [""]
        yield f"{name}: {first}"
        yield from (f"  {line}" for line in rest)


def _queries(source: Source) -> dict[str, str]:
    """Return every query of a source by what it is for, all of them checked."""
    found = {}
    if source.options.get("watermark") is not None:
        text = source.options["watermark"]
        found["watermark"] = sql_query.checked(text, f"{source.id}.watermark")
    for stream in source.streams:
        where = f"{source.id}.{stream.stream}"
        query = stream.options.get("query")
        found[stream.stream] = sql_query.checked(query, f"{where}.query")
        if stream.options.get("control") is not None:
            control = stream.options["control"]
            found[f"{stream.stream}.control"] = sql_query.checked(control, f"{where}.control")
    return found


def _url(source: Source, context: ExtractContext) -> Any:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    name = source.options.get("connection")
    text = settings.connection_url(str(name)) if name else str(source.options.get("url") or "")
    try:
        return make_url(text.replace("{data}", str(context.data)))
    except (ArgumentError, TypeError, ValueError):
        raise ConfigError(
            [f"{source.id}.url: expected a SQLAlchemy URL of a known driver"]
        ) from None


def _session(source: Source, month: Month, context: ExtractContext) -> Session:
    url = _url(source, context)
    timeout = sql_query.seconds(source, "statement_timeout")
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        sql_sessions.check_file(Path(str(url.database)), source.id, source.owner)
    words = Words(f"{source.id} {month}", sql_sessions.place(url), source.owner)
    return sql_sessions.opened(url, words, source.time_zone, timeout)


def _wait(source: Source, month: Month, context: ExtractContext, session: Session) -> None:
    """Refuse a month that the source's own watermark, or else its clock, has not passed yet."""
    watermark = _queries(source).get("watermark")
    query = watermark or session.clock
    if not query:
        return
    bound = sql_query.bounds(source, None, context.company, month, context.end(month))
    reached = _instant(session.scalar(query, bound), source)
    if reached is None or reached < bound.end:
        session.close()
        what = "the source is complete up to" if watermark else "the database's clock says"
        until = (
            f"{what} {reached:%Y-%m-%d %H:%M:%S} UTC" if reached else "the source is still empty"
        )
        is_part = context.end(month) < month.end
        asked = "what is asked for" if is_part else "the month"
        raise SourceMissing(
            f"{source.id} {month}: {until}, {asked} ends at "
            f"{bound.end:%Y-%m-%d %H:%M:%S} UTC; ask the source's owner: {source.owner}"
        )


def _instant(value: Any, source: Source) -> datetime | None:
    """Read a watermark: a time with or without zone, a day, seconds since 1970, or their text."""
    zone = ZoneInfo(source.time_zone)
    try:
        if isinstance(value, str):
            value = float(value) if value.strip().isdigit() else datetime.fromisoformat(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time(), zone)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        value = ""
    if value is None:
        return None
    raise ConfigError([f"{source.id}.watermark: expected a query for one instant"])


def _save(
    source: Source,
    stream: StreamMapping,
    queries: dict[str, str],
    month: Month,
    context: ExtractContext,
    session: Session,
    target: Path,
) -> None:
    told = f"{source.id} {month}: {stream.stream}"
    bound = sql_query.bounds(source, stream, context.company, month, context.end(month))
    control = queries.get(f"{stream.stream}.control")
    try:
        expected = session.scalar(control, bound) if control else None
        reading = session.read(queries[stream.stream], bound)
        rows = sql_archive.write(reading, target, _Progress(told, context))
        if control:
            _check_total(rows, expected, told, source.owner)
    except BaseException:
        session.close()
        raise
    context.progress(f"{told}: {rows:,} rows read")


def _check_total(rows: int, told_rows: Any, told: str, owner: str) -> None:
    try:
        expected = int(told_rows)
    except (TypeError, ValueError):
        raise ConfigError([f"{told}: control: expected a query for one whole number"]) from None
    if rows != expected:
        raise TransientError(
            f"{told}: {rows:,} rows were read, control counts {expected:,}: the source changed "
            f"meanwhile, or control does not count what query reads; nothing was landed; {owner}"
        )


class _Progress:
    """Says every so many rows how many there are."""

    def __init__(self, told: str, context: ExtractContext) -> None:
        self._told, self._context, self._next = told, context, 200_000

    def __call__(self, rows: int) -> None:
        if rows >= self._next:
            self._next = rows + 200_000
            self._context.progress(f"{self._told}: {rows:,} rows")


def ready(
    name: str,
    title: str,
    reads: str,
    defaults: Sequence[StreamMapping],
    *,
    options: tuple[str, ...] = (),
    fill: Fill = lambda source, backend: {},
    zone: str | None = None,
    snapshots: tuple[str, ...] = (),
) -> Connector:
    """Make the connector of a product whose tables are known.

    `fill` gives what stands for each `{word}` of its queries, out of `options` of [[sources]];
    `zone` is the one in which the product writes times, where the operator has no say in it.
    """

    def filled(source: Source, context: ExtractContext) -> Source:
        words = fill(source, _url(source, context).get_backend_name())
        form = re.compile(r"\{(" + "|".join(words or ("-",)) + r")\}")
        streams = []
        for stream in source.streams:
            text = form.sub(lambda found: words[found[1]], str(stream.options.get("query") or ""))
            streams.append(replace(stream, options={**stream.options, "query": text}))
        return replace(source, streams=tuple(streams), time_zone=zone or source.time_zone)

    def ready_extract(source: Source, month: Month, context: ExtractContext) -> Iterator[Extracted]:
        return extract(filled(source, context), month, context)

    def ready_plan(source: Source, month: Month, context: ExtractContext) -> Iterator[str]:
        return plan(filled(source, context), month, context)

    return Connector(
        name=name,
        title=title,
        reads=reads,
        extract=ready_extract,
        defaults={mapping.stream: mapping for mapping in defaults},
        options=(*OPTIONS, *options),
        stream_options=STREAM_OPTIONS,
        snapshots=snapshots,
        plan=ready_plan,
    )


def name_option(source: Source, option: str, default: str) -> str:
    """Return an option that names a table or column, or begins its name."""
    text = str(source.options.get(option, default))
    if not _COLUMN.fullmatch(text):
        raise ConfigError(
            [f"{source.id}.{option}: expected a name of A-Z, 0-9 and _, got {text!r}"]
        )
    return text


def text_option(value: object, where: str) -> str:
    """Return a literal of a text that an operator wrote; safe in every kind of database."""
    if not isinstance(value, str) or not value.isprintable() or "\\" in value:
        raise ConfigError([f"{where}: expected a text without backslash, got {value!r}"])
    return literal(value)


CONNECTOR = Connector(
    name="sql",
    title="SQL database",
    reads="one query per stream; :start and :end bound the month",
    extract=extract,
    options=OPTIONS,
    stream_options=STREAM_OPTIONS,
    plan=plan,
)
