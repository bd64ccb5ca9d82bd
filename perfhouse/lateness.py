"""Which sources are late with a month, by one rule for alerts and pages; what they sent last.

Today is handed in, and no clock is read; it changes nothing and may not tell anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from perfhouse import lake, months
from perfhouse.company_types import Company, Source
from perfhouse.lake import Manifest
from perfhouse.month import Month
from perfhouse.settings import Home


@dataclass(frozen=True)
class Late:
    """A required source that has not delivered a month whole, on a day on which it was due.

    `last_*` tell of the newest month it did deliver: which, when it was taken (UTC), with how
    many rows; None and 0 where it never delivered.
    """

    source: str
    owner: str
    month: Month
    due_on: date
    last_month: str | None = None
    last_at: datetime | None = None
    last_rows: int = 0

    @property
    def said(self) -> str:
        """Return a line for people."""
        last = "never received anything"
        if self.last_month:
            taken = f" on {self.last_at:%Y-%m-%d %H:%M} UTC" if self.last_at else ""
            last = f"last received {self.last_month}{taken}, {self.last_rows:,} rows"
        return f"{self.month}  {self.source}: due on {self.due_on}, {last}; owner: {self.owner}"


def due_on(company: Company, home: Home, source: Source, month: Month) -> date:
    """Return the company's day on which a source is late with a month, if nothing is there before.

    Never later than the day on which the month closes.
    """
    closing = months.closing(company, home, month)
    if source.due_days is None:
        return closing
    return min(closing, month.end + timedelta(days=source.due_days))


def late(company: Company, home: Home, today: date) -> list[Late]:
    """Return who is late with the last months that are over, by month and source.

    Months before anything was ever landed are nobody's; `[arrivals] months` says how far it looks.
    """
    known = sorted(path.name.removeprefix("month=") for path in home.manifests.glob("month=*"))
    last = Month.of(today).plus(-1)
    first = max(last.plus(1 - max(company.arrivals.months, 1)), Month(known[0]) if known else last)
    return [
        _late(home, source, month, due)
        for month in first.until(last)
        for source in company.sources
        if source.required and not _is_whole(home, source.id, month)
        if today >= (due := due_on(company, home, source, month))
    ]


def _is_whole(home: Home, source: str, month: Month) -> bool:
    landed = lake.read_manifest(home, source, month)
    return landed is not None and lake.part_until(landed) is None


def _late(home: Home, source: Source, month: Month, due: date) -> Late:
    newest = _newest(home, source.id)
    if newest is None:
        return Late(source.id, source.owner, month, due)
    taken = lake.extracted_at(home, source.id, newest.month, newest.archive_sha256)
    rows = sum(landing.landed for landing in newest.streams.values())
    return Late(source.id, source.owner, month, due, newest.month, taken, rows)


def _newest(home: Home, source: str) -> Manifest | None:
    keys = sorted(
        path.parent.name.removeprefix("month=")
        for path in home.manifests.glob(f"month=*/source={source}.json")
    )
    return lake.read_manifest(home, source, Month(keys[-1])) if keys else None
