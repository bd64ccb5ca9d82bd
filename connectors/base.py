"""What a connector is: a name, how it extracts, and the mappings it brings ready-made.

Connectors declare and do not inherit; nothing here may read a source or write the lake.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from perfhouse import lake
from perfhouse.company import ColumnMapping, Company, Source, StreamMapping
from perfhouse.company_sources import ConnectorKeys
from perfhouse.errors import ConfigError
from perfhouse.month import Month

Progress = Callable[[str], None]


def column(name: str, **more: Any) -> ColumnMapping:
    """Map a column from one field of the source, with further words of a mapping if need be."""
    return ColumnMapping(source=name, **more)


def quiet(_: str) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class ExtractContext:
    """What an extraction may need: the company, where file sources lie, a scratch folder.

    `until`: the company's day, where a month under way may be asked for: the days before it are.
    None: months are asked for whole.
    """

    company: Company
    data: Path
    tmp: Path
    progress: Progress = quiet
    until: date | None = None

    def end(self, month: Month) -> date:
        """Return the day after the last of a month that may be asked for.

        A month whose first day is not over is asked for whole, and so is waited for.
        """
        if self.until is None or self.until <= month.start:
            return month.end
        return min(month.end, self.until)

    def part(self, month: Month) -> Iterator[Extracted]:
        """Yield what marks a delivery that ends before its month does; nothing for a whole one."""
        if self.end(month) < month.end:
            yield Extracted((), lake.part_name(self.end(month)), "json", _mark)


@dataclass(frozen=True)
class Extracted:
    """One delivered file, not read yet.

    Args:
        streams: the canonical streams that are read from it.
        name: relative POSIX path under which it is archived.
        format: csv, json, jsonl, parquet, xlsx, or pages: one answer of an API, whose records
            lie in a list inside.
        save: writes the original bytes to a path; called once.
    """

    streams: tuple[str, ...]
    name: str
    format: str
    save: Callable[[Path], None]


def _mark(target: Path) -> None:
    target.write_bytes(b"{}")  # its name says it all


@dataclass(frozen=True)
class Beside:
    """What was delivered beside a record that is being unfolded.

    Args:
        page: the decoded page the record came in; the record itself where there are no pages.
        name: the archived file.
        lookup: records of another endpoint of the same delivery by the text of one of their
            fields, such as `lookup("users", "id")`; the last of several wins.
        group: likewise, but all of several, in the order of their delivery.
        start, end: the delivery's month as instants, half-open, for sources whose answers reach
            beyond what was asked; None where nobody told.
        options: the source's own options.
    """

    page: Any
    name: str
    lookup: Callable[[str, str], Mapping[str, Any]]
    start: datetime | None = None
    end: datetime | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    group: Callable[[str, str], Mapping[str, list[Any]]] = lambda _, __: {}


@dataclass(frozen=True)
class Sight:
    """What lies at a source's place for a month, seen without fetching it.

    Args:
        fingerprint: of the names, sizes and times of what was listed; empty where it is not whole.
        waits: why it is not there whole, in words; empty where it is.
    """

    month: Month
    fingerprint: str = ""
    waits: str = ""


# One archived record to the rows that columns address: a pure function without clock, which may
# raise KeyError, TypeError, ValueError, ... on a record of another shape: that is quarantined.
Unfold = Callable[[Any, Beside], Iterable[Mapping[str, Any]]]
Plan = Callable[[Source, Month, ExtractContext], Iterator[str]]
Look = Callable[[Source, Sequence[Month], ExtractContext], Iterator[Sight]]


@dataclass(frozen=True)
class Connector:
    """One kind of source system.

    Args:
        reads: one line for people: what it reads and how a month is told.
        extract: yields the files of a month; SourceMissing when there are none.
        defaults: ready-made mappings by stream; the configuration overrides them by key.
        options: further keys that its [[sources]] tables may have.
        stream_options: further keys of their [[sources.streams]] tables.
        unfold: by stream, what turns one archived record into rows.
        records: by folder of the archive, where in a page the list of records lies.
        snapshots: streams of which every delivery is complete: one that lost many rows against
            the month before is refused.
        version: raise it when `unfold` makes other rows of the same bytes.
        plan: says what a fetch would ask for, without asking; by default the files it finds.
        look: lists what lies there for some months, without fetching; None where nothing can be
            listed, such as an API.
    """

    name: str
    title: str
    reads: str
    extract: Callable[[Source, Month, ExtractContext], Iterator[Extracted]]
    defaults: Mapping[str, StreamMapping] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    stream_options: tuple[str, ...] = ()
    unfold: Mapping[str, Unfold] = field(default_factory=dict)
    records: Mapping[str, str] = field(default_factory=dict)
    snapshots: tuple[str, ...] = ()
    version: int = 1
    plan: Plan | None = None
    look: Look | None = None

    def planned(self, source: Source, month: Month, context: ExtractContext) -> Iterator[str]:
        """Say what a fetch would ask for; where that is files, which ones are there."""
        if self.plan is not None:
            yield from self.plan(source, month, context)
            return
        for item in self.extract(source, month, context):
            yield f"{', '.join(item.streams):<40} {item.name}"


@cache
def names() -> tuple[str, ...]:
    """Return the names of all connectors: the modules here that declare a CONNECTOR."""
    modules = Path(__file__).parent.glob("*.py")
    declared = (m.stem for m in modules if "\nCONNECTOR = " in m.read_text(encoding="utf-8"))
    return tuple(sorted(declared))


def get(name: str) -> Connector:
    """Return a connector by its module's name; ConfigError lists the known ones."""
    if name not in names():
        raise ConfigError([f"connector: expected one of {', '.join(names())}; got {name!r}"])
    connector: Connector = importlib.import_module(f"connectors.{name}").CONNECTOR
    return connector


class Keys(Mapping[str, ConnectorKeys]):
    """What each connector adds to the configuration's words, looked up when it is used."""

    def __getitem__(self, name: str) -> ConnectorKeys:
        """Return one connector's words; KeyError for a name that is none."""
        if name not in names():
            raise KeyError(name)
        connector = get(name)
        ready = bool(connector.defaults)
        return ConnectorKeys(
            connector.options, connector.stream_options, ready, connector.look is not None
        )

    def __iter__(self) -> Iterator[str]:
        """Yield the connectors' names."""
        return iter(names())

    def __len__(self) -> int:
        """Return how many connectors there are."""
        return len(names())


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
