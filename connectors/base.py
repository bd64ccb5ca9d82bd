"""What a connector is: a name, how it extracts, and the mappings it brings ready-made.

Connectors declare and do not inherit; nothing here may read a source or write the lake.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perfhouse.company import ColumnMapping, Company, Source, StreamMapping
from perfhouse.errors import ConfigError
from perfhouse.month import Month

Progress = Callable[[str], None]
MODULES = ("amazon_connect", "files", "sql", "xapi")


def quiet(_: str) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class ExtractContext:
    """What an extraction may need: the company, where file sources lie, a scratch folder."""

    company: Company
    data: Path
    tmp: Path
    progress: Progress = quiet


@dataclass(frozen=True)
class Extracted:
    """One delivered file, not read yet.

    Args:
        streams: the canonical streams that are read from it.
        name: relative POSIX path under which it is archived.
        format: csv, json, jsonl or parquet.
        save: writes the original bytes to a path; called once.
    """

    streams: tuple[str, ...]
    name: str
    format: str
    save: Callable[[Path], None]


@dataclass(frozen=True)
class Connector:
    """One kind of source system.

    Args:
        reads: one line for people: what it reads and how a month is told.
        extract: yields the files of a month; SourceMissing when there are none.
        defaults: ready-made mappings by stream; the configuration overrides them by key.
    """

    name: str
    title: str
    reads: str
    extract: Callable[[Source, Month, ExtractContext], Iterator[Extracted]]
    defaults: Mapping[str, StreamMapping] = field(default_factory=dict)


def names() -> tuple[str, ...]:
    """Return the names of all connectors."""
    return MODULES


def get(name: str) -> Connector:
    """Return a connector by its module's name; ConfigError lists the known ones."""
    if name not in MODULES:
        raise ConfigError([f"connector: expected one of {', '.join(MODULES)}; got {name!r}"])
    connector: Connector = importlib.import_module(f"connectors.{name}").CONNECTOR
    return connector


def effective(source: Source) -> Source:
    """Return the source with its connector's ready-made mappings filled in."""
    defaults = get(source.connector).defaults
    if not defaults:
        return source
    configured = source.streams or tuple(defaults.values())
    return replace(source, streams=tuple(_merge(s, defaults.get(s.stream)) for s in configured))


def _merge(mapping: StreamMapping, default: StreamMapping | None) -> StreamMapping:
    if default is None:
        return mapping
    options: dict[str, Any] = {**default.options, **mapping.options}
    columns: dict[str, ColumnMapping] = {**default.columns, **mapping.columns}
    return StreamMapping(
        stream=mapping.stream,
        options=options,
        window=mapping.window or default.window,
        columns=columns,
        ignore=(*default.ignore, *mapping.ignore),
    )
