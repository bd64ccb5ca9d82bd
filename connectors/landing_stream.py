"""One stream of one delivery: what its mapping needs, its records, their typed values.

Fills tables of a scratch connection; `writing` takes them to files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors import base, casting, casts, checking, reading, reading_json, reading_pages, writing
from connectors.casting import Planned
from connectors.casts import Cast, CastFailed
from connectors.quoting import quoted
from connectors.reading import ReadFile, Records, Turned, Wanted
from connectors.streams import STREAMS, Column, Stream
from connectors.writing import Delivery
from perfhouse import lake
from perfhouse.company import StreamMapping
from perfhouse.errors import ConfigError, SourceMissing

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TABULAR = ("csv", "parquet", "xlsx")
_AT_ONCE = max(1, min(4, os.cpu_count() or 1))  # chunks that are cast: each one takes memory


def land_stream(
    con: DuckDBPyConnection, delivery: Delivery, mapping: StreamMapping
) -> tuple[lake.StreamLanding, dict[Path, Path]]:
    """Land one stream into staging; return its counts and final path by staged path."""
    stream = _stream(delivery, mapping)
    wanted = _wanted(con, delivery, mapping, stream)
    files = _files(delivery, mapping)
    delivery.progress(f"{delivery.source.id} {delivery.month}: reading {stream.name}")
    reading.prepare(con)
    scratch = delivery.staging / f"text-{stream.name}"
    scratch.mkdir(parents=True, exist_ok=True)
    tabular = all(file.format in _TABULAR for file in files)
    read = reading.read_tables if tabular else reading_json.read_json
    records = read(con, files, wanted, scratch)
    _turn(records, mapping, _where(delivery, mapping), tabular)
    planned = casting.plan(
        stream, mapping, delivery.source, delivery.company, records.fields, records.types
    )
    query = _query(delivery, mapping, planned, records)
    with closing(writing.Draft(con, delivery, stream, planned, files)) as draft:
        for cast in _casts(con, delivery, mapping, records, query):
            draft.add(cast)
        records.settle()
        return draft.finish(records)


def _stream(delivery: Delivery, mapping: StreamMapping) -> Stream:
    where = _where(delivery, mapping)
    stream = STREAMS.get(mapping.stream)
    if stream is None:
        known = ", ".join(STREAMS)
        raise ConfigError([f"{where}: expected one of {known}, got {mapping.stream!r}"])
    names = {c.name for c in stream.columns}
    required = {c.name for c in stream.columns if c.required}
    problems = [
        f"{where}.columns.{name}: {stream.name} has no such column"
        for name in mapping.columns
        if name not in names and stream.column(name) is None
    ]
    problems += [
        f"{where}.columns.{name}: required by {stream.name}, got nothing"
        for name in sorted(required - set(mapping.columns))
    ]
    problems += [
        f"{where}.columns.{name}: decimal and thousands are for numbers"
        for name, chosen in mapping.columns.items()
        if (chosen.decimal or chosen.thousands) and not _is_number(stream.column(name))
    ]
    problems += [
        f"{where}.columns.{name}: unit is for durations, whose names end with _ms"
        for name, chosen in mapping.columns.items()
        if chosen.unit and not name.endswith("_ms")
    ]
    window = mapping.window
    column = stream.column(window) if window else None
    if window and (window not in mapping.columns or column is None):
        problems.append(f"{where}.window: expected a mapped column, got {window!r}")
    elif column is not None and column.type not in ("DATE", "TIMESTAMPTZ"):
        problems.append(f"{where}.window: expected a day or an instant, got {window!r}")
    if problems:
        raise ConfigError(problems)
    return stream


def _is_number(column: Column | None) -> bool:
    return column is None or column.type.startswith(("BIGINT", "DECIMAL", "DOUBLE"))


def _where(delivery: Delivery, mapping: StreamMapping) -> str:
    return f"perfhouse.toml: sources.{delivery.source.id}.streams.{mapping.stream}"


def _wanted(
    con: DuckDBPyConnection, delivery: Delivery, mapping: StreamMapping, stream: Stream
) -> Wanted:
    where = _where(delivery, mapping)
    fields: dict[str, str] = {}
    required: set[str] = set()
    for name, names in _used_fields(con, mapping, where).items():
        column = stream.column(name)
        for used in names:
            fields.setdefault(used, name)
        if column is not None and column.required and mapping.columns[name].source is not None:
            required.update(names)
    _check_conditions(con, mapping, stream, where)
    connector = base.get(delivery.source.connector)
    wanted = Wanted(
        stream=stream.name,
        owner=delivery.source.owner,
        options=mapping.options,
        fields=fields,
        required=frozenset(required),
        quiet=frozenset(mapping.ignore) | _siblings(con, delivery, mapping),
        records=connector.records,
        unfold=connector.unfold.get(stream.name),
    )
    beside = reading_pages.besides(
        _archived(delivery), wanted, _window(delivery), delivery.source.options
    )
    return replace(wanted, beside=beside)


def _window(delivery: Delivery) -> tuple[datetime, datetime]:
    """Return the month of the company's zone as half-open UTC instants."""
    zone = ZoneInfo(delivery.company.time_zone)
    days = (delivery.month.start, delivery.month.end)
    start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in days)
    return start, end


def _used_fields(
    con: DuckDBPyConnection, mapping: StreamMapping, where: str
) -> dict[str, tuple[str, ...]]:
    used = {}
    for name, chosen in mapping.columns.items():
        if chosen.sql is not None:
            used[name] = casting.references(con, chosen.sql, f"{where}.columns.{name}.sql")
        else:
            used[name] = (chosen.source,) if chosen.source is not None else ()
    if mapping.options.get("where"):
        used["where"] = casting.references(con, str(mapping.options["where"]), f"{where}.where")
    turned = mapping.options.get("unpivot")
    return {name: _behind(names, turned) for name, names in used.items()} if turned else used


def _behind(names: Sequence[str], turned: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of the file behind names; some became rows, and one tells which."""
    real = [name for name in names if name not in (turned["name"], turned["value"])]
    return (*real, *(turned["columns"] if turned["value"] in names else ()))


def _turn(records: Records, mapping: StreamMapping, where: str, tabular: bool) -> None:
    """Let columns become rows, where the mapping says so."""
    told = mapping.options.get("unpivot")
    if not told:
        return
    name, value = told["name"], told["value"]
    columns = [column for column in told["columns"] if column in records.fields]
    if not tabular or len(columns) < len(told["columns"]):
        what = "tables (csv, xlsx, parquet)" if not tabular else f"{value!r} to be mapped"
        raise ConfigError([f"{where}.unpivot: expected {what}"])
    texts = {column: records.used[records.fields[column]] for column in columns}
    records.turned = Turned(name, value, texts)
    for told_by, inner in ((name, checking.NAME), (value, checking.VALUE)):
        records.fields[told_by] = told_by
        records.used[told_by] = quoted(inner)


def _check_conditions(
    con: DuckDBPyConnection, mapping: StreamMapping, stream: Stream, where: str
) -> None:
    for name, chosen in mapping.columns.items():
        if chosen.unknown_when is None:
            continue
        at = f"{where}.columns.{name}.unknown_when"
        for used in casting.references(con, chosen.unknown_when, at):
            if stream.column(used) is None or used not in mapping.columns:
                raise ConfigError([f"{at}: expected mapped columns of {stream.name}, got {used!r}"])


def _siblings(con: DuckDBPyConnection, delivery: Delivery, mapping: StreamMapping) -> set[str]:
    """Return fields that other streams of the source read from the same files."""
    place = (mapping.options.get("path"), mapping.options.get("query"))
    found: set[str] = set()
    for other in delivery.source.streams:
        if other is mapping or (other.options.get("path"), other.options.get("query")) != place:
            continue
        found.update(other.ignore)
        for names in _used_fields(con, other, _where(delivery, other)).values():
            found.update(names)
    return found


def _files(delivery: Delivery, mapping: StreamMapping) -> list[ReadFile]:
    chosen = mapping.options.get("format")
    archived = zip(_archived(delivery), delivery.receipt.files, strict=True)
    kept = [file for file, f in archived if mapping.stream in f.streams]
    if not kept:
        raise SourceMissing(
            f"{delivery.source.id} {delivery.month}: the archived delivery has no files of "
            f"{mapping.stream}; ingest the month again"
        )
    told = delivery.source.connector != "sql" and chosen
    return [
        replace(file, number=at, format=_format(file.format, str(chosen)) if told else file.format)
        for at, file in enumerate(kept)
    ]


def _format(archived: str, chosen: str) -> str:
    return archived if archived == reading_pages.FORMAT else chosen


def _archived(delivery: Delivery) -> list[ReadFile]:
    """Return every file of the delivery, in archive order."""
    return [
        ReadFile(at, f.name, lake.archived_path(delivery.home, delivery.receipt, f.name), f.format)
        for at, f in enumerate(delivery.receipt.files)
    ]


def _query(
    delivery: Delivery, mapping: StreamMapping, planned: list[Planned], records: Records
) -> str:
    window = (
        (mapping.window, delivery.month, delivery.company.time_zone) if mapping.window else None
    )
    nulls = [str(text) for text in mapping.options.get("null_values", ("",))]
    where = str(mapping.options["where"]) if mapping.options.get("where") else None
    return checking.typed_query(
        planned, records.used, records.native, nulls, window, where, records.turned
    )


def _casts(
    con: DuckDBPyConnection,
    delivery: Delivery,
    mapping: StreamMapping,
    records: Records,
    query: str,
) -> Iterator[Cast]:
    """Yield typed and judged rows; an expression of the mapping that failed is named."""
    try:
        yield from casts.in_turn(con, records.chunks, query, _AT_ONCE)
    except CastFailed as error:
        raise ConfigError(_blame(delivery, mapping, str(error))) from None


def _blame(delivery: Delivery, mapping: StreamMapping, kind: str) -> list[str]:
    """Say which expressions may have failed; the engine's text may quote a row: not told."""
    where = _where(delivery, mapping)
    problems = []
    if mapping.options.get("where"):
        problems.append(f"{where}.where: it may have failed ({kind}): {mapping.options['where']}")
    for name, chosen in mapping.columns.items():
        for key, text in (("sql", chosen.sql), ("unknown_when", chosen.unknown_when)):
            if text is not None:
                problems.append(
                    f"{where}.columns.{name}.{key}: one of these failed ({kind}): {text}"
                )
    return problems or [f"{where}: the mapping cannot be run ({kind})"]
