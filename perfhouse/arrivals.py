"""What has arrived and is not landed: what lies at watched places, against what was last ingested.

An event is a hint to look, never the truth: doubled, lost and late ones do no harm. It fetches and
changes nothing but its own note of what was ingested.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import lake
from perfhouse.errors import ConfigError, PerfhouseError
from perfhouse.hashing import sha256_of
from perfhouse.month import Month

if TYPE_CHECKING:
    from connectors.base import Sight
    from perfhouse.company import Source
    from perfhouse.settings import Home
    from perfhouse.stages import Workspace

_CUT = 60  # letters of what an event says wrongly


@dataclass(frozen=True)
class Arrival:
    """A source's month to ingest; `key` is the same for the same state of its place.

    `announced`: when an event named it, in milliseconds of 1970; 0 where its place shows it.
    """

    source: str
    month: Month
    why: str
    key: str
    announced: int = 0

    @property
    def said(self) -> str:
        """Return a line for people."""
        return f"{self.month}  {self.source}: {self.why}"


@dataclass(frozen=True)
class Seen:
    """What a look found: what to ingest, what is not whole, where we could not look."""

    arrived: tuple[Arrival, ...] = ()
    waiting: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def window(ws: Workspace, today: date) -> list[Month]:
    """Return the months that are looked at: some that are over, and one under way if it may be."""
    last = Month.of(today).plus(-1)
    months = last.plus(1 - ws.company.arrivals.months).until(last)
    return [*months, Month.of(today)] if ws.company.arrivals.month_to_date else months


def look(ws: Workspace, today: date, hints: Collection[Arrival] = ()) -> Seen:
    """Look at every watched place, and at what events named; one that fails stops no other.

    A source that cannot be listed is taken at an event's word: its ingest finds out. Month to date,
    it is asked once a day for the days before.
    """
    arrived: list[Arrival] = []
    waiting: list[str] = []
    failed: list[str] = []
    for source in ws.company.sources:
        told = _told(ws, source, hints, today, waiting)
        if not source.watch:
            known = {arrival.month: arrival for arrival in _to_date(ws, source, today)} | told
            arrived.extend(known[month] for month in sorted(known))
            continue
        try:
            for sight in _sights(ws, source, sorted({*window(ws, today), *told})):
                if sight.waits:
                    waiting.append(sight.waits)
                elif _noted(ws.home, source.id, sight.month).fingerprint != sight.fingerprint:
                    arrived.append(_arrival(source, sight))
        except PerfhouseError as error:
            failed.append(f"{source.id}: {error} (who must act: {error.who})")
    return Seen(tuple(arrived), tuple(waiting), tuple(failed))


def _told(
    ws: Workspace, source: Source, hints: Collection[Arrival], today: date, waiting: list[str]
) -> dict[Month, Arrival]:
    """Return the last event about each month of a source; a month under way may have to wait."""
    found = {}
    for hint in sorted(hints, key=lambda hint: hint.announced):
        if hint.source != source.id:
            continue
        if hint.month.end > today and not ws.company.arrivals.month_to_date:
            waiting.append(f"{hint.source} {hint.month}: an event names a month that is not over")
            continue
        found[hint.month] = hint
    return found


def _to_date(ws: Workspace, source: Source, today: date) -> Iterator[Arrival]:
    """Yield months of which a source that cannot be listed has told less than it knows by now."""
    from connectors import base

    if not ws.company.arrivals.month_to_date or base.get(source.connector).look is not None:
        return
    for month in window(ws, today):
        known = min(today, month.end)
        landed = lake.read_manifest(ws.home, source.id, month)
        until = lake.part_until(landed) if landed else month.start
        # A month that is over and was never asked for is its clock's, or its owner's.
        if until is None or until >= known or (landed is None and known == month.end):
            continue
        why = f"told up to {until}, and {known} is reached"
        yield Arrival(source.id, month, why, f"to-date-{known}")


def _arrival(source: Source, sight: Sight) -> Arrival:
    key = sha256_of([source.id, sight.month.key, sight.fingerprint])[:12]
    return Arrival(source.id, sight.month, "lies at its place, whole, and is not landed", key)


def sight(ws: Workspace, source: Source, month: Month) -> Sight | None:
    """Return what lies at a watched source's place for a month now, None for any other source."""
    return next(_sights(ws, source, [month]), None) if source.watch else None


def _sights(ws: Workspace, source: Source, months: Sequence[Month]) -> Iterator[Sight]:
    from connectors import base

    looks = base.get(source.connector).look
    if looks is None:
        raise ConfigError([f"{source.id}.watch: expected false: nothing can be listed"])
    context = base.ExtractContext(ws.company, ws.data, ws.home.tmp)
    yield from looks(base.effective(source), months, context)


# ---------------------------------------------------------------- what events say


def hint(ws: Workspace, said: Mapping[str, Any] | None, at: int) -> Arrival | None:
    """Return what an event names; None where it names nothing, or an ingest has followed it.

    An event that names nothing only says to look. `at` is when it came, in milliseconds of 1970.
    Events come from outside, so what is wrong with one is told and stops nothing.

    Raises:
        ConfigError: it names no source of ours, or no month (who sent it).
    """
    given = said or {}
    source, month = given.get("source"), given.get("month")
    if source is None and month is None:
        return None
    known = [each.id for each in ws.company.sources]
    if source not in known:
        wanted = f"event: source: expected one of {', '.join(known)}"
        raise ConfigError([f"{wanted}, got {str(source)[:_CUT]!r}"])
    found = Month(str(month)[:_CUT])
    if at <= _noted(ws.home, str(source), found).announced:
        return None
    why = "an event says that it was delivered"
    return Arrival(str(source), found, why, f"announced-{at}", at)


# ---------------------------------------------------------------- what was ingested


@dataclass(frozen=True)
class _Note:
    """What lay there when a month was last ingested, and the last event that was followed."""

    fingerprint: str = ""
    announced: int = 0


def note(home: Home, source: str, seen: Sight) -> None:
    """Note what lay there when an ingest that landed it began.

    A file that came in between differs from the note, so it is ingested once more: nothing is lost.
    """
    known = _noted(home, source, seen.month)
    _write(home, source, seen.month, replace(known, fingerprint=seen.fingerprint))


def followed(home: Home, source: str, month: Month, at: int) -> None:
    """Note that an ingest followed the event of that time, and so all before it."""
    known = _noted(home, source, month)
    _write(home, source, month, replace(known, announced=max(at, known.announced)))


def _noted(home: Home, source: str, month: Month) -> _Note:
    try:
        return _Note(**json.loads(_file(home, source, month).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return _Note()


def _write(home: Home, source: str, month: Month, said: _Note) -> None:
    file = _file(home, source, month)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(said), sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(file)


def _file(home: Home, source: str, month: Month) -> Path:
    return home.arrivals / f"month={month}" / f"source={source}.json"
