"""Any SQL database as a source, through SQLAlchemy; the result is archived verbatim.

Runs the configured query and nothing else: it may not write to the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.base import Connector, ExtractContext, Extracted
from connectors.casting import literal, quoted
from connectors.streams import STREAMS
from perfhouse import settings, warehouse
from perfhouse.company import Company, Source, StreamMapping
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing, TransientError
from perfhouse.month import Month

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

BATCH = 20_000
_READS = re.compile(r"^\s*(--[^\n]*\n\s*)*(select|with|values)\b", re.IGNORECASE)
_NOT_SQL = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*(?!!).*?\*/", re.DOTALL)
_WRITES = re.compile(
    r"(?<![.:\w])(?:(?:insert|update|delete|merge)\b(?!\s*\()|into\b)|;\s*\S", re.IGNORECASE
)
_TEXT_TIME = "%Y-%m-%d %H:%M:%S"


def extract(source: Source, month: Month, context: ExtractContext) -> Iterator[Extracted]:
    """Yield one verbatim result per stream, as Parquet of text in key order."""
    for stream in source.streams:
        query = str(stream.options.get("query") or "")
        if not _READS.match(query) or _WRITES.search(_NOT_SQL.sub(" '' ", query)):
            raise ConfigError([f"{source.id}.{stream.stream}.query: expected a select"])
        save = partial(_save, source, stream, query, month, context)
        yield Extracted((stream.stream,), f"{stream.stream}.parquet", "parquet", save)


def window(source: Source, company: Company, month: Month) -> tuple[datetime, datetime]:
    """Return a month's half-open bounds as naive times in the source's zone."""
    home, zone = ZoneInfo(company.time_zone), ZoneInfo(source.time_zone)
    bounds = [datetime.combine(day, time(), home) for day in (month.start, month.end)]
    first, last = (bound.astimezone(zone).replace(tzinfo=None) for bound in bounds)
    return first, last


def _engine(source: Source, context: ExtractContext) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    name = source.options.get("connection")
    text = settings.connection_url(str(name)) if name else str(source.options.get("url") or "")
    try:
        url = make_url(text.replace("{data}", str(context.data)))
        if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
            _check_file(Path(str(url.database)), source)
        return create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError, TypeError, ValueError):
        raise ConfigError(
            [f"{source.id}.url: expected a SQLAlchemy URL of a known driver"]
        ) from None


def _check_file(path: Path, source: Source) -> None:
    if not path.is_file():
        raise SourceMissing(f"{source.id}: no file {path}; ask the source's owner: {source.owner}")
    with path.open("rb") as handle:
        head = handle.read(15)
    if head not in (b"", b"SQLite format 3"):
        raise SourceChanged(
            f"{source.id}: {path} is not an SQLite database; nothing was landed; "
            f"ask the source's owner: {source.owner}"
        )


def _save(
    source: Source,
    stream: StreamMapping,
    query: str,
    month: Month,
    context: ExtractContext,
    target: Path,
) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    engine = _engine(source, context)
    told = f"{source.id} {month}: {stream.stream}"
    try:
        with _connect(engine, told) as connection:
            statement = text(query)
            bound = _parameters(source, stream, month, context.company, engine.dialect.name)
            known = {k: v for k, v in bound.items() if re.search(rf"(?<!:):{k}\b", query)}
            result = connection.execution_options(
                stream_results=True, max_row_buffer=BATCH
            ).execute(statement, known)
            names = [str(name) for name in result.keys()]  # noqa: SIM118
            rows = _write(names, result.partitions(BATCH), stream, target, told, context)
        context.progress(f"{told}: {rows:,} rows read")
    except DBAPIError as error:
        _explain(error, engine, told, source)
    except SQLAlchemyError as error:
        raise ConfigError([f"{told}: the query cannot be run ({type(error).__name__})"]) from None
    finally:
        engine.dispose()


def _connect(engine: Engine, told: str) -> Connection:
    try:
        return engine.connect()
    except (TypeError, ValueError):  # a driver quotes the URL's option that it cannot read
        raise ConfigError([f"{told}: url: the driver does not take its options"]) from None


def _place(url: URL) -> str:
    """Name a database for people: no user, no password, no option of its URL."""
    return f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"


def _explain(error: Any, engine: Engine, told: str, source: Source) -> None:
    from sqlalchemy.exc import InterfaceError, OperationalError

    place = _place(engine.url)
    sqlite = engine.dialect.name == "sqlite"
    lost = isinstance(error, InterfaceError | OperationalError) and (
        error.statement is None or error.connection_invalidated or "locked" in str(error.orig)
    )
    if lost:
        raise TransientError(f"{told}: {place} cannot be reached; {source.owner}") from None
    detail = f": {error.orig}" if sqlite else ""
    raise SourceChanged(
        f"{told}: {place} refused the query ({type(error.orig).__name__}{detail}); nothing was "
        f"landed: the mapping's author adapts the query, or ask {source.owner}"
    ) from None


def _parameters(
    source: Source, stream: StreamMapping, month: Month, company: Company, dialect: str
) -> Mapping[str, Any]:
    """Return :start, :end, :month; times as text where the database has no time type."""
    start, end = window(source, company, month)
    form = stream.options.get("time_format") or (_TEXT_TIME if dialect == "sqlite" else None)
    if form is None:
        return {"start": start, "end": end, "month": month.key}
    return {"start": start.strftime(form), "end": end.strftime(form), "month": month.key}


def _write(
    names: Sequence[str],
    batches: Any,
    stream: StreamMapping,
    target: Path,
    told: str,
    context: ExtractContext,
) -> int:
    """Write text columns to Parquet ordered by the mapped key, then by every column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if len(set(names)) != len(names):
        raise ConfigError([f"{told}: query: expected each column once, got {', '.join(names)}"])
    schema = pa.schema([(name, pa.string()) for name in names])
    draft = target.with_name(f"{target.name}.unordered")
    rows = 0
    with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        for batch in batches:
            columns = [_text_column(values) for values in zip(*batch, strict=True)]
            writer.write_table(pa.table(columns, schema=schema))
            rows += len(batch)
            context.progress(f"{told}: {rows:,} rows") if rows % (10 * BATCH) == 0 else None
    _order(draft, target, _key_order(names, stream))
    draft.unlink()
    return rows


def _key_order(names: Sequence[str], stream: StreamMapping) -> list[str]:
    declared = STREAMS.get(stream.stream)
    mapped = [stream.columns.get(key) for key in declared.key] if declared else []
    first = [m.source for m in mapped if m is not None and m.source in names and m.source]
    return list(dict.fromkeys([*first, *names]))


def _order(draft: Path, target: Path, order: Sequence[str]) -> None:
    con = warehouse.connect(":memory:")
    try:
        con.execute("set threads = 1")
        by = ", ".join(f"{quoted(name)} nulls first" for name in order)
        con.execute(
            f"copy (from read_parquet(?) order by {by}) "
            f"to {literal(str(target))} (format parquet, compression zstd)",
            [str(draft)],
        )
    finally:
        con.close()


def _text_column(values: Sequence[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid, TypeError):
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    """Write a database value as the text that casting reads back."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return str(value)


CONNECTOR = Connector(
    name="sql",
    title="SQL database",
    reads="one query per stream through SQLAlchemy; :start and :end bound the month",
    extract=extract,
)
