"""Business hours and UTC offsets as tables, so that SQL never asks for a time zone.

Standard library (zoneinfo) only; an instant is open when its local clock reads an opening.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from perfhouse.company_types import Calendar, Company
from perfhouse.errors import ConfigError
from perfhouse.month import Month

HOUR = 3600
DAY = 86_400
_EPOCH_DAY = date(1970, 1, 1)
_MONTHS_BEFORE = 13
_MONTHS_AFTER = 2


class Offset(NamedTuple):
    """Local time is UTC plus offset_seconds in [from_at, until_at), epoch seconds."""

    time_zone: str
    from_at: int
    until_at: int
    offset_seconds: int


class BusinessHour(NamedTuple):
    """One UTC clock hour (epoch seconds): open in [open_from, open_until) of its 3600 seconds.

    seconds_before counts the open seconds from the start of the table to the hour's start.
    """

    calendar: str
    hour_at: int
    seconds_before: int
    open_from: int
    open_until: int


def span(month: Month, as_of: Month | None = None) -> tuple[int, int]:
    """Return the UTC seconds both tables cover for a month: 13 months back to 2 months after.

    To the end of the as-of month if that is later: clocks that run are read there. A day is added
    at each end, for local months reach over UTC ones.
    """
    after = month.plus(_MONTHS_AFTER)
    first, last = month.plus(-_MONTHS_BEFORE).start, max(after, as_of or after).end
    return _seconds(first) - DAY, _seconds(last) + DAY


def zones(company: Company) -> tuple[str, ...]:
    """Return every zone a company names for itself, its places and its calendars, sorted."""
    named = {company.time_zone}
    named |= {location.time_zone for location in company.locations.values()}
    named |= {calendar.time_zone for calendar in company.calendars.values()}
    return tuple(sorted(named))


def utc_offsets(time_zone: str, start: int, end: int) -> list[Offset]:
    """Return the offsets of a zone over [start, end) epoch seconds, without gap or overlap."""
    zone = ZoneInfo(time_zone)
    rows: list[Offset] = []
    at, offset = start, _offset(zone, start)
    probe = start
    while probe < end:
        following = min(probe + 6 * HOUR, end)
        if following < end and _offset(zone, following) != offset:
            change = _change(zone, probe, following)
            rows.append(Offset(time_zone, at, change, offset))
            at, offset = change, _offset(zone, following)
        probe = following
    rows.append(Offset(time_zone, at, end, offset))
    return rows


def business_hours(name: str, calendar: Calendar, start: int, end: int) -> list[BusinessHour]:
    """Return every UTC clock hour of [start, end), both on the hour, with its open seconds.

    Raises:
        ConfigError: Two openings fall into one UTC clock hour (operator).
    """
    opened: dict[int, tuple[int, int]] = {}
    for hour, open_from, open_until in _pieces(calendar, start, end):
        before = opened.get(hour)
        if before is None:
            opened[hour] = (open_from, open_until)
        elif before[1] == open_from:
            opened[hour] = (before[0], open_until)
        else:
            raise ConfigError([_two_openings(name, hour)])
    rows, total = [], 0
    for hour in range(start, end, HOUR):
        open_from, open_until = opened.get(hour, (0, 0))
        rows.append(BusinessHour(name, hour, total, open_from, open_until))
        total += open_until - open_from
    return rows


def _pieces(calendar: Calendar, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (UTC hour, open from, open until) in time order."""
    for open_at, shut_at in openings(calendar, start, end):
        at = open_at
        while at < shut_at:
            hour = at - at % HOUR
            until = min(shut_at, hour + HOUR)
            yield hour, at - hour, until - hour
            at = until


def openings(calendar: Calendar, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the openings as UTC seconds; each is read under the one offset it lies in.

    So a skipped local hour is never open, and a repeated one is open both times.
    """
    for row in utc_offsets(calendar.time_zone, start, end):
        first = (row.from_at + row.offset_seconds) // DAY
        last = (row.until_at + row.offset_seconds) // DAY
        for number in range(first, last + 1):
            day = _EPOCH_DAY + timedelta(days=number)
            midnight = number * DAY - row.offset_seconds
            for opens, shuts in calendar.openings_on(day):
                open_at = max(midnight + opens, row.from_at)
                shut_at = min(midnight + shuts, row.until_at)
                if open_at < shut_at:
                    yield open_at, shut_at


def _two_openings(name: str, hour: int) -> str:
    at = datetime.fromtimestamp(hour, UTC).strftime("%Y-%m-%d %H:00")
    return (
        f"perfhouse.toml: calendars.{name}.hours: expected at most one opening in a clock hour "
        f"of UTC, got two in {at} UTC; join the openings or move the break to the hour"
    )


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """Return the first second in (low, high] whose offset differs from low's."""
    offset = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    return round(offset.total_seconds()) if offset is not None else 0


def _seconds(day: date) -> int:
    return (day - _EPOCH_DAY).days * DAY


def working_day(calendar: Calendar, day: date, count: int) -> date:
    """Return the so many'th working day after a day: one that has opening hours.

    A calendar that is open on no weekday counts every day.
    """
    for _ in range(count):
        day += timedelta(days=1)
        while calendar.hours and not calendar.openings_on(day):
            day += timedelta(days=1)
    return day
