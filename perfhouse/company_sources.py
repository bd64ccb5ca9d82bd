"""The sources of a company: their connector, options and column mappings, checked.

This module may not import connectors: what streams and connectors exist is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from perfhouse.company_types import ColumnMapping, Source, StreamMapping
from perfhouse.config_reader import Table, did_you_mean

ID = re.compile(r"^[a-z0-9][a-z0-9_-]*$")
ENCODINGS = (
    *("auto", "utf-8", "utf-16", "gb18030", "big5", "shift_jis", "euc-kr"),
    *("windows-1250", "windows-1251", "windows-1252", "iso-8859-1", "iso-8859-15"),
)
UNITS = ("ms", "s", "min", "h", "d", "m:ss", "h:mm:ss")
DECIMALS = (".", ",")
THOUSANDS = (" ", ".", ",", "'")
EXCEL = ("excel", "excel1904")
FORMATS = ("csv", "json", "jsonl", "parquet", "xlsx")
SOURCE_OPTIONS = ("url", "connection", "max_loss")
STREAM_OPTIONS = (
    "path",
    "query",
    "format",
    "encoding",
    "delimiter",
    "quote",
    "null_values",
    "where",
    "records",
    "time_format",
    "unpivot",
)
_CRON = re.compile(r"^\s*\S+(\s+\S+){4}\s*$")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PATH_WORDS = ("month", "yyyymm", "yyyy", "mm", "dd", "hh")


@dataclass(frozen=True)
class ConnectorKeys:
    """What a connector adds to the configuration's words.

    Args:
        options: keys of [[sources]] that only it knows; `stream_options` likewise.
        ready: it brings mappings; without them each stream must map every required column.
        listed: what lies at its place can be listed without fetching it, so it can be watched.
    """

    options: Collection[str] = ()
    stream_options: Collection[str] = ()
    ready: bool = True
    listed: bool = False


_NO_KEYS = ConnectorKeys()


@dataclass(frozen=True)
class Known:
    """What exists beside the configuration; None switches a check off.

    `kpis`: which direction is better, 'up' or 'down', by KPI.
    """

    streams: Mapping[str, Collection[str]] | None = None
    required: Mapping[str, Collection[str]] = field(default_factory=dict)
    connectors: Mapping[str, ConnectorKeys] | None = None
    kpis: Mapping[str, str] | None = None
    thresholds: Mapping[str, Collection[str]] | None = None


def read_sources(top: Table, zone: str, known: Known) -> tuple[Source, ...]:
    """Return every [[sources]] table; `zone` stands in where a source names none."""
    sources = tuple(_source(table, zone, known) for table in top.tables("sources"))
    if not sources:
        top.problem("sources", "at least one [[sources]] table")
    seen: set[str] = set()
    for index, source in enumerate(sources):
        if source.id in seen:
            top.problem(f"sources[{index}].id", "an id no other source has", source.id)
        seen.add(source.id)
    return sources


def _source(table: Table, zone: str, known: Known) -> Source:
    connector = table.one_of("connector", known.connectors)
    keys = (known.connectors or {}).get(connector, _NO_KEYS)
    source = Source(
        id=table.text("id", pattern=ID, expected="an id of a-z, 0-9, _ and - such as helpdesk"),
        connector=connector,
        owner=table.text("owner", expected="who answers for the source: name <address>"),
        schedule=table.text("schedule", "0 3 1 * *", _CRON, "five cron fields: 0 3 1 * *"),
        required=table.flag("required", True),
        time_zone=table.zone("time_zone", zone),
        options=_options(table, dict.fromkeys((*SOURCE_OPTIONS, *keys.options))),
        streams=tuple(_stream(entry, connector, keys, known) for entry in table.tables("streams")),
        watch=table.flag("watch", False),
        due_days=table.whole("due_days", 0, low=1) if "due_days" in table.data else None,
    )
    _check_watch(table, source, keys, known)
    loss = source.options.get("max_loss", 0)
    if isinstance(loss, bool) or not isinstance(loss, int | float) or not 0 <= loss <= 1:
        table.problem("max_loss", "a share from 0 to 1 such as 0.2", loss)
    if _has_password(source.options.get("url")):
        table.problem("url", "no password; name a connection that holds it", "one")
    if not source.streams and not keys.ready:
        table.problem("streams", "at least one [[sources.streams]] table")
    if connector == "sql" and ("url" in source.options) == ("connection" in source.options):
        table.problem("url", "either url or connection", " and ".join(source.options) or "neither")
    names = [stream.stream for stream in source.streams]
    for index, name in enumerate(names):
        if name in names[:index]:
            table.problem(f"streams[{index}].stream", "a stream once per source", name)
    table.finish()
    return source


def _check_watch(table: Table, source: Source, keys: ConnectorKeys, known: Known) -> None:
    """Refuse to watch what cannot be listed, or what would start every month at once."""
    if not source.watch:
        return
    if known.connectors is not None and not keys.listed:
        what = f"false: {source.connector} lists no files; its clock, a message or a call starts it"
        table.problem("watch", what, True)
    elif any(stream.window is not None for stream in source.streams):
        what = "false, or paths with {month}: a file of all months would start every month"
        table.problem("watch", what, True)


def _has_password(url: object) -> bool:
    """Tell whether a URL holds one: this file is read by many and kept under version control."""
    place = str(url or "").partition("://")[2].partition("/")[0]
    return ":" in place.rpartition("@")[0]


def _options(table: Table, names: Collection[str]) -> dict[str, Any]:
    return {name: table.take(name) for name in names if table.take(name) is not None}


def _stream(table: Table, connector: str, keys: ConnectorKeys, known: Known) -> StreamMapping:
    stream = table.one_of("stream", known.streams)
    declared = known.streams.get(stream) if known.streams is not None else None
    window = table.optional_text("window")
    if window is not None and declared is not None and window not in declared:
        table.problem("window", f"a column of {stream}{did_you_mean(window, declared)}", window)
    columns = _columns(table, stream, declared)
    options = _options(table, dict.fromkeys((*STREAM_OPTIONS, *keys.stream_options)))
    _check_options(table, connector, options, window)
    if not keys.ready:
        _check_required(table, stream, columns, known)
    ignore = table.texts("ignore")
    table.finish()
    return StreamMapping(stream, options, window, columns, ignore)


def _check_required(table: Table, stream: str, columns: Collection[str], known: Known) -> None:
    missing = sorted(set(known.required.get(stream, ())) - set(columns))
    if missing:
        table.problem("columns", f"also {', '.join(missing)}, which {stream} requires", [*columns])


def _columns(
    table: Table, stream: str, declared: Collection[str] | None
) -> dict[str, ColumnMapping]:
    columns = {}
    nested = table.table("columns")
    for name in nested.data:
        if declared is not None and name not in declared:
            hint = did_you_mean(name, declared)
            nested.problems.append(f"{nested.at(name)}: {stream} has no such column{hint}")
        columns[name] = _column(nested, name)
    return columns


def _column(nested: Table, name: str) -> ColumnMapping:
    value = nested.take(name)
    if isinstance(value, str):
        return ColumnMapping(source=value)
    table = Table(value, nested.at(name), nested.problems)
    if not isinstance(value, Mapping):
        return ColumnMapping()
    given = [key for key in ("from", "sql", "value") if key in table.data]
    if len(given) != 1:
        nested.problem(name, "exactly one of from, sql and value", given or "none")
    mapping = ColumnMapping(
        source=_verbatim(table, "from"),
        sql=table.optional_text("sql"),
        value=_constant(table),
        format=_format(table),
        time_zone=table.zone("time_zone") if "time_zone" in table.data else None,
        values=_values(table),
        otherwise=table.take("otherwise"),
        unknown_when=table.optional_text("unknown_when"),
        hash=table.flag("hash", False),
        required=table.flag("required", False) if "required" in table.data else None,
        decimal=table.one_of("decimal", DECIMALS) if "decimal" in table.data else None,
        thousands=table.one_of("thousands", THOUSANDS) if "thousands" in table.data else None,
        unit=table.one_of("unit", UNITS) if "unit" in table.data else None,
    )
    if mapping.thousands is not None and mapping.thousands == (mapping.decimal or "."):
        table.problem("thousands", "another mark than decimal", mapping.thousands)
    if mapping.otherwise is not None and mapping.values is None:
        table.problem("otherwise", "to stand beside values", mapping.otherwise)
    table.finish()
    return mapping


def _verbatim(table: Table, key: str) -> str | None:
    """Return text that may be empty: a source column can have an empty header."""
    value = table.take(key)
    if value is not None and not isinstance(value, str):
        table.problem(key, "the name of a source column", value)
        return None
    return value


def _constant(table: Table) -> str | int | float | bool | None:
    value = table.take("value")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    table.problem("value", "text, a number, true or false", value)
    return None


def _format(table: Table) -> str | tuple[str, ...] | None:
    value = table.take("format")
    if value is None:
        return None
    given = value if isinstance(value, list) and value else [value]
    if all(isinstance(item, str) and ("%" in item or item in EXCEL) for item in given):
        return tuple(given) if isinstance(value, list) else str(value)
    table.problem("format", "a strptime format such as %d/%m/%Y %H:%M, or excel", value)
    return None


def _values(table: Table) -> dict[str, Any] | None:
    if "values" not in table.data:
        return None
    return dict(table.table("values").data)


def _check_options(
    table: Table, connector: str, options: Mapping[str, Any], window: str | None
) -> None:
    for key in ("path", "query", "delimiter", "quote", "where", "records", "time_format"):
        if key in options and not isinstance(options[key], str):
            table.problem(key, "text", options[key])
    table.texts("null_values")
    for key, choice in (("encoding", ENCODINGS), ("format", FORMATS)):
        if key in options:
            table.one_of(key, choice)
    if "unpivot" in options:
        _check_unpivot(table, connector)
    needed = {"files": "path", "sql": "query"}.get(connector)
    if needed and needed not in options:
        table.problem(needed, f"text, for the connector {connector} needs it")
    if isinstance(options.get("path"), str):
        _check_path(table, options["path"], window)


def _check_unpivot(table: Table, connector: str) -> None:
    """Note what is wrong with columns that are to become rows: `columns`, `name` and `value`."""
    if connector not in ("files", "sql"):
        table.problem("unpivot", "nothing, for only files and sql have tables", connector)
    entry = table.table("unpivot")
    columns = entry.texts("columns")
    if len(columns) < 2 or len(set(columns)) < len(columns):
        entry.problem("columns", "two columns or more, each once", list(columns))
    name, value = entry.text("name"), entry.text("value")
    named = {column.lower() for column in columns}
    if name.lower() == value.lower() or named & {name.lower(), value.lower()}:
        entry.problem("name", "name and value that are no columns themselves", [name, value])
    entry.finish()


def _check_path(table: Table, path: str, window: str | None) -> None:
    words = _PLACEHOLDER.findall(path)
    for word in words:
        if word not in _PATH_WORDS:
            table.problem("path", "{month} or {yyyymm} as placeholders", "{" + word + "}")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        table.problem("path", "a path inside --data", path)
    if not words and window is None:
        table.problem("window", "a column that tells the month, for path names none")
    if words and window is not None:
        # a row of another month in a month's own file would be read by no month at all
        table.problem("window", "nothing, for path names the month already", window)
