"""Where a month stands: open, provisional, closed or restated, told from deliveries and releases.

No clock is read: what day it is, the newest complete delivery says, or the receipt of a correction.
It may not build or publish.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from perfhouse import lake, ledger, warehouse
from perfhouse.company_types import Company
from perfhouse.lake import Manifest
from perfhouse.month import Month
from perfhouse.settings import Home

OPEN, PROVISIONAL, CLOSED, RESTATED = "open", "provisional", "closed", "restated"
_CLOCKED = {"tickets", "ticket_events"}  # streams whose events are due at some instant
_MANIFEST = "release.json"
PARTS = "month_to_date"  # in a release.json: what `parts` says of it, if anything
_KPI_MONTHS = "parquet/scorecard_kpi_months.parquet"


@dataclass(frozen=True)
class State:
    """Where a month stands; `provisional` names the KPIs that later events may still change.

    `is_locked`: what is not provisional changes only by a restatement.
    """

    month: Month
    status: str
    closes_on: date
    is_locked: bool
    release: str | None
    as_of: str | None
    provisional: tuple[str, ...]


def closes_on(company: Company, month: Month) -> date:
    """Return the day on which a month closes: days of grace after its end."""
    return month.end + timedelta(days=company.close_grace_days)


def closing(company: Company, home: Home, month: Month) -> date:
    """Return the day on which a month closes: never later than one of its releases says.

    A longer grace is for months that have no release yet; it opens none that has closed.
    """
    said = [_said(home, e).get("closes_on") for e in ledger.entries(home) if e.month == month.key]
    known = (date.fromisoformat(day) for day in said if day is not None)
    return min([closes_on(company, month), *known])


def known_until(company: Company, home: Home) -> date | None:
    """Return the day after the newest month that every required source has delivered."""
    required = _required(company)
    keys = {path.name.removeprefix("month=") for path in home.manifests.glob("month=*")}
    complete = [
        month
        for month in map(Month, keys)
        if all(lake.manifest_path(home, source, month).exists() for source in required)
    ]
    return max((told_until(company, home, month) for month in complete), default=None)


def told_until(company: Company, home: Home, month: Month) -> date:
    """Return the day after the last that a month's deliveries tell of: the month's end.

    With `[arrivals] month_to_date` it is the day on which the newest of them was taken, if that
    was before: a part of a month closes no month before it.
    """
    if not company.arrivals.month_to_date:
        return month.end
    zone = ZoneInfo(company.time_zone)
    told = [
        lake.part_until(manifest) or _taken(manifest).astimezone(zone).date()
        for manifest in lake.manifests(home, month, month)
    ]
    return min(month.end, max(told, default=month.end))


def parts(company: Company, home: Home, month: Month) -> dict[str, str]:
    """Return the required sources that tell of a part of a month, with the day after its last."""
    required = _required(company)
    found = {m.source: lake.part_until(m) for m in lake.manifests(home, month, month)}
    return {each: str(day) for each, day in sorted(found.items()) if day and each in required}


def _required(company: Company) -> set[str]:
    required = {source.id for source in company.sources if source.required}
    return required or {source.id for source in company.sources}


def _taken(manifest: Manifest) -> datetime:
    return datetime.fromisoformat(manifest.landed_at)


def read_at(company: Company, home: Home, month: Month) -> datetime | None:
    """Return up to when tickets of a month under way are told: clocks that run are read there.

    The company's `clocks_stop_at` where it has one; None where the month was over, or month to date
    is not asked for.
    """
    if company.clocks_stop_at is not None or not company.arrivals.month_to_date:
        return company.clocks_stop_at
    zone = ZoneInfo(company.time_zone)
    read = []
    for manifest in lake.manifests(home, month, month):
        if _CLOCKED & set(manifest.streams):
            until = lake.part_until(manifest)
            midnight = datetime.combine(until, time(), zone).astimezone(UTC) if until else None
            read.append(midnight or _taken(manifest))
    at = min(read, default=None)
    return at if at is not None and at.astimezone(zone).date() < month.end else None


def is_past_close(company: Company, home: Home, month: Month, as_of: Month) -> bool:
    """Say whether a month's close date has come.

    It has when data of later is known, counted in `as_of` or was in any release, when what was
    delivered since the month's release was taken from its source on that day or later, and once it
    was restated. A month of which a required source told some days only does not close on them,
    nor on a release that was made of them.
    """
    entry = ledger.latest(home, month)
    if parts(company, home, month) or (entry and _said(home, entry).get(PARTS)):
        return False
    closed_on = closing(company, home, month)
    # What was published is known for good, though a source that is new has not delivered it.
    days = [
        *(told_until(company, home, as_of), known_until(company, home)),
        *_published_until(company, home),
    ]
    if max(day for day in days if day is not None) >= closed_on:
        return True
    if entry is None or entry.reason is not None:
        return entry is not None
    corrected = _corrected_on(company, home, entry, as_of)
    return corrected is not None and corrected >= closed_on


def _published_until(company: Company, home: Home) -> Iterator[date]:
    """Yield the day after the last that each release counts."""
    counted = {entry.as_of for entry in ledger.entries(home)}
    return (told_until(company, home, Month(as_of)) for as_of in sorted(counted))


def _said(home: Home, entry: ledger.Entry) -> dict[str, Any]:
    text = (home.published / entry.path / _MANIFEST).read_text(encoding="utf-8")
    said: dict[str, Any] = json.loads(text)
    return said


def _corrected_on(company: Company, home: Home, entry: ledger.Entry, as_of: Month) -> date | None:
    """Return the company's day of the last delivery that a release has not read."""
    known = _deliveries(_said(home, entry)["inputs"])
    newer = _deliveries(lake.inputs(home, Month(entry.month), as_of)) - known
    taken = [lake.extracted_at(home, *delivery) for delivery in newer]
    zone = ZoneInfo(company.time_zone)
    return max((at.astimezone(zone).date() for at in taken if at is not None), default=None)


def _deliveries(inputs: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    return {(at["source"], at["month"], sha) for at in inputs for sha in at["archive_sha256s"]}


def provisional(folder: Path) -> tuple[str, ...]:
    """Return the KPIs that a release says may still change."""
    file = folder / _KPI_MONTHS
    con = warehouse.connect()
    try:
        columns = con.execute("select name from parquet_schema(?)", [str(file)]).fetchall()
        if ("is_provisional",) not in columns:
            return ()
        rows = con.execute(
            "select distinct kpi_id from read_parquet(?) where is_provisional order by 1",
            [str(file)],
        ).fetchall()
    finally:
        con.close()
    return tuple(str(row[0]) for row in rows)


def state(company: Company, home: Home, month: Month) -> State:
    """Return where one month stands."""
    entry = ledger.latest(home, month)
    closed_on = closing(company, home, month)
    if entry is None:
        return State(month, OPEN, closed_on, False, None, None, ())
    waiting = provisional(home.published / entry.path)
    locked = is_past_close(company, home, month, Month(entry.as_of))
    status = RESTATED if entry.reason else CLOSED
    if not locked or waiting:
        status = PROVISIONAL
    name = f"{month}.r{entry.number}"
    return State(month, status, closed_on, locked, name, entry.as_of, waiting)


def states(company: Company, home: Home) -> list[State]:
    """Return where every month stands that has a delivery or a release, in their order."""
    keys = {path.name.removeprefix("month=") for path in home.manifests.glob("month=*")}
    keys |= {entry.month for entry in ledger.entries(home)}
    return [state(company, home, Month(key)) for key in sorted(keys)]
