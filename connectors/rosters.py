"""What a directory that knows only today can say about a month: days, ages, mapping words.

A snapshot tells no history; nothing here may guess one, read a source or know a vendor.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from connectors.base import Beside, column
from perfhouse.company import ColumnMapping, Source
from perfhouse.errors import ConfigError, SourceMissing
from perfhouse.month import Month

GRACE = timedelta(days=7)
# words of job titles to our families; a company overrides them in its configuration
FAMILIES = {
    **{"Agent": "agent", "Customer Service Agent": "agent", "Manager": "cs_manager"},
    **{"Customer Service Manager": "cs_manager", "Supervisor": "supervisor"},
    **{"Team Lead": "supervisor", "Quality Analyst": "qa", "Trainer": "trainer"},
}


def check_age(source: Source, month: Month, end: datetime, taken: datetime) -> None:
    """Refuse to let the people of today stand for a month that ended long ago.

    Raises:
        SourceMissing: the month is not over yet.
        ConfigError: it ended more than `GRACE` ago, and `backdate` is not set (operator).
    """
    if taken < end:
        raise SourceMissing(
            f"{source.id} {month}: it is {taken:%Y-%m-%d %H:%M:%S} UTC, the month ends at "
            f"{end:%Y-%m-%d %H:%M:%S} UTC; wait until it is past"
        )
    allowed = source.options.get("backdate", False)
    if not isinstance(allowed, bool):
        raise ConfigError([f"{source.id}.backdate: expected true or false"])
    if taken - end > GRACE and not allowed:
        raise ConfigError(
            [
                f"{source.id} {month}: a directory tells today's people only, and the month ended "
                f"{(taken - end).days} days ago; set backdate = true if they may stand for it"
            ]
        )


def days(beside: Beside) -> tuple[date, date]:
    """Return the first and the last day of the delivery's month, whatever the company's zone."""
    if beside.end is None:
        raise ValueError("a snapshot needs to be told its month")
    # midnight of the next month's first day lies on that day or the day before, in UTC
    at = beside.end.date()
    following = at if at.day == 1 else at + timedelta(days=1)
    last = following - timedelta(days=1)
    return last.replace(day=1), last


def span(
    beside: Beside, hired: date | None, active: bool, changed: date | None
) -> dict[str, str | None]:
    """Return what a snapshot may claim: its own month, from entry on, up to leaving.

    `hired` None: the directory tells no day of entry, so the whole month is claimed; the day an
    account was made would be that of the last migration. Who is not active any more ended with
    the last change of the entry, as far as can be told.
    """
    first, last = days(beside)
    begin = max(first, hired or first)
    until = None if active else max(begin, (changed + timedelta(days=1)) if changed else begin)
    return {
        "SnapshotDay": last.isoformat(),
        "ValidFrom": begin.isoformat(),
        "ValidTo": until.isoformat() if until else None,
        "Hired": hired.isoformat() if hired else None,
    }


def day(text: Any) -> date | None:
    """Return the day that an ISO instant begins with; None for nothing; ValueError for else."""
    return None if text in (None, "") else date.fromisoformat(str(text)[:10])


SPAN = {
    "snapshot_date": column("SnapshotDay"),
    "valid_from": column("ValidFrom"),
    "valid_to": column("ValidTo"),
}


def family(field: str) -> ColumnMapping:
    """Map a job title to our families."""
    return column(field, values=FAMILIES, otherwise="other")
