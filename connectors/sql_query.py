"""A configured query before it is sent: only a select, its month's bounds as strict literals.

Text in, text out: nothing here may connect to anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from connectors.quoting import literal
from perfhouse.company import Company, Source, StreamMapping
from perfhouse.errors import ConfigError
from perfhouse.month import Month

# what is no code: texts, quoted names, comments (a hinted /*! ... */ is code to MySQL)
_NOT_CODE = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*(?!!).*?\*/|\$(\w*)\$.*?\$\1\$", re.DOTALL
)
_READS = re.compile(r"\s*(select|with|values)\b", re.IGNORECASE)
_WRITES = re.compile(
    r"(?<![.:\w])(?:(?:insert|update|delete|merge)\b(?!\s*\()|into\b)|;\s*\S", re.IGNORECASE
)
_NAME = re.compile(r"(?<![:\w\]]):([a-zA-Z_]\w*)")
_LOOKBACK = re.compile(r"([1-9]\d{0,3})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_FORM = "%Y-%m-%d %H:%M:%S"
_BACKENDS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
NAMES = ("start", "end", "start_utc", "end_utc", "start_epoch", "end_epoch", "month")


@dataclass(frozen=True)
class Bounds:
    """A month's half-open instants, and how the source writes them.

    Args:
        zone: of times that name none.
        form: how times are written where the database keeps them as texts.
    """

    start: datetime
    end: datetime
    month: str
    zone: ZoneInfo
    form: str | None = None

    def values(self) -> dict[str, Any]:
        """Return every parameter: wall times of the source, UTC times, seconds since 1970."""
        found: dict[str, Any] = {"month": self.month}
        for name, instant in (("start", self.start), ("end", self.end)):
            found[name] = instant.astimezone(self.zone).replace(tzinfo=None)
            found[f"{name}_utc"] = instant.replace(tzinfo=None)
            found[f"{name}_epoch"] = int(instant.timestamp())
        return found


def bounds(
    source: Source,
    stream: StreamMapping | None,
    company: Company,
    month: Month,
    until: date | None = None,
) -> Bounds:
    """Return the bounds of a month in the company's zone; a stream's lookback moves the start.

    `until`: the day after the last that is asked for, where the month is under way.
    """
    home = ZoneInfo(company.time_zone)
    days = (month.start, until or month.end)
    start, end = (datetime.combine(day, time(), home) for day in days)
    back = _lookback(source, stream) if stream is not None else timedelta(0)
    form = stream.options.get("time_format") if stream is not None else None
    return Bounds(
        start.astimezone(UTC) - back,
        end.astimezone(UTC),
        month.key,
        ZoneInfo(source.time_zone),
        str(form) if form else None,
    )


def _lookback(source: Source, stream: StreamMapping) -> timedelta:
    text = stream.options.get("lookback")
    if text is None:
        return timedelta(0)
    match = _LOOKBACK.fullmatch(str(text))
    if match is None:
        raise ConfigError(
            [f"{source.id}.{stream.stream}.lookback: expected 12h, 3d or 2w, got {text!r}"]
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def seconds(source: Source, option: str) -> float | None:
    """Return a source's option such as `90s`, `10m` or `2h` in seconds, None when it is unset."""
    text = source.options.get(option)
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,5})([smh])", str(text))
    if match is None:
        raise ConfigError([f"{source.id}.{option}: expected 90s, 10m or 2h, got {text!r}"])
    return int(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def checked(text: object, where: str) -> str:
    """Return a query that reads and does nothing else, without its last semicolon."""
    query = str(text or "")
    code = _NOT_CODE.sub(_blank, query)
    if not _READS.match(code) or _WRITES.search(code):
        raise ConfigError([f"{where}: expected a select"])
    end = code.find(";")
    query = query if end < 0 else query[:end] + query[end + 1 :]
    unknown = [name for name in _names(query) if name not in NAMES]
    if unknown:
        raise ConfigError([f"{where}: expected :{', :'.join(NAMES)}; got :{', :'.join(unknown)}"])
    return query


def _blank(match: re.Match[str]) -> str:
    """Keep the length, so that places stay the same; a text leaves its quotes."""
    text = match[0]
    comment = text.startswith(("--", "/*"))
    return " " * len(text) if comment else "'" + " " * (len(text) - 2) + "'"


def _names(query: str) -> list[str]:
    return [match[1] for match in _NAME.finditer(_NOT_CODE.sub(_blank, query))]


def used(query: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a query names."""
    names = set(_names(query))
    return {name: value for name, value in values.items() if name in names}


def rendered(query: str, bound: Bounds, backend: str) -> str:
    """Return the query with its bounds as typed literals, for drivers that bind no parameters.

    Only our own instants, seconds and month are written, so nothing foreign can get in.
    """
    values = bound.values()
    dialect = "text" if bound.form else _BACKENDS.get(backend, "text")
    form = partial(_literal, dialect=dialect, form=bound.form or _FORM)
    code = _NOT_CODE.sub(_blank, query)
    parts, at = [], 0
    for match in _NAME.finditer(code):
        parts += [query[at : match.start()], form(match[1], values[match[1]])]
        at = match.end()
    return "".join((*parts, query[at:]))


def _literal(name: str, value: Any, dialect: str, form: str) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return literal(value)
    text = value.strftime(form)
    if dialect == "postgresql":
        kind, zone = ("timestamptz", "+00") if name.endswith("_utc") else ("timestamp", "")
        return f"({kind} '{text}{zone}')"
    return f"(timestamp '{text}')" if dialect == "mysql" else literal(text)


def escaped(query: str) -> str:
    """Return the query for SQLAlchemy, which would take a colon in a text for a parameter."""
    code = _NOT_CODE.sub(_blank, query)
    names = {match.start() for match in _NAME.finditer(code)}
    return "".join(
        "\\:" if char == ":" and at not in names else char for at, char in enumerate(query)
    )
