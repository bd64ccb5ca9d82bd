"""The opening hours a company names: by weekday, the holidays, and days with hours of their own.

Standard library only; what is open at an instant is calendars.py's and not known here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from perfhouse.company_types import WEEKDAYS, Calendar, Openings
from perfhouse.config_reader import Table, parse_day

_OPENING = re.compile(r"^([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$")
_DAY = 86_400


def read_calendars(top: Table) -> dict[str, Calendar]:
    """Read `[calendars.<name>]`; a company has at least one."""
    nested = top.table("calendars")
    if not nested.data:
        top.problem("calendars", "at least one [calendars.<name>] table")
    return {name: _calendar(nested.table(name)) for name in nested.data}


def _calendar(table: Table) -> Calendar:
    zone = table.zone("time_zone")
    hours = table.table("hours")
    week = {index: _openings(hours, day) for index, day in enumerate(WEEKDAYS)}
    hours.finish()
    if not hours.data:
        table.problem("hours", 'opening hours by weekday such as mon = ["09:00-18:00"]')
    holidays = _holidays(table)
    days = _days(table.table("days"))
    table.finish()
    calendar = Calendar(zone, {day: spans for day, spans in week.items() if spans}, frozenset())
    _check_week(table, calendar)
    calendar = Calendar(zone, calendar.hours, holidays, days)
    _check_days(table, calendar)
    return calendar


def _holidays(table: Table) -> frozenset[date]:
    holidays = set()
    for index, value in enumerate(table.take("holidays") or []):
        day = parse_day(value)
        if day is None:
            table.problem(f"holidays[{index}]", "a day such as 2026-10-01", value)
        else:
            holidays.add(day)
    return frozenset(holidays)


def _days(table: Table) -> dict[date, Openings]:
    """Read `[calendars.<name>.days]`: a day's own hours, none for a day that stays shut."""
    found: dict[date, Openings] = {}
    for key in table.data:
        day = parse_day(key)
        spans = _openings(table, key)
        if day is None or day.isoformat() != key:
            table.problem(key, 'a day such as "2026-10-10" = ["09:00-18:00"], or [] if shut', key)
        else:
            found[day] = spans
    return found


def _openings(table: Table, day: str) -> Openings:
    spans: list[tuple[int, int]] = []
    for index, text in enumerate(table.texts(day)):
        key = f"{day}[{index}]"
        found = _OPENING.fullmatch(text)
        if not found:
            table.problem(key, "hours such as 09:00-18:00", text)
            continue
        hour, minute, to_hour, to_minute = (int(part) for part in found.groups())
        start, end = hour * 3600 + minute * 60, to_hour * 3600 + to_minute * 60
        if not start < end <= _DAY:
            what = "an end after the start and at most 24:00 (split a night at midnight)"
            table.problem(key, what, text)
        elif spans and start < spans[-1][1]:
            table.problem(key, f"to start after {table.data[day][index - 1]} ends", text)
        else:
            spans.append((start, end))
    return tuple(spans)


def _check_week(table: Table, calendar: Calendar) -> None:
    """Note breaks of a usual week that lie inside one UTC clock hour."""
    week = [calendar.hours.get(day % 7, ()) for day in range(8)]
    for day, shut, start in _short_breaks(week, _shifts(calendar.time_zone)):
        _too_short(table, f"hours.{WEEKDAYS[day % 7]}", shut, start)


def _check_days(table: Table, calendar: Calendar) -> None:
    """Note the same of days with hours of their own, and of such a day and its neighbours."""
    shifts = _shifts(calendar.time_zone) if calendar.days else ()
    for day in calendar.days:
        around = [calendar.openings_on(day + timedelta(days=at)) for at in (-1, 0, 1)]
        for _, shut, start in _short_breaks(around, shifts):
            _too_short(table, f"days.{day}", shut, start)


def _short_breaks(days: list[Openings], shifts: Collection[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (number of the day, end, start of the next) of openings in one UTC clock hour.

    An hour of the table of business hours holds one opening only.
    """
    spans = [
        (day * _DAY + start, day * _DAY + end, day)
        for day, openings in enumerate(days)
        for start, end in openings
    ]
    for (_, shut, day), (start, _, _) in itertools.pairwise(spans):
        inside = any((shut - 1 - shift) // 3600 == (start - shift) // 3600 for shift in shifts)
        if start > shut and inside:
            yield day, shut, start


def _shifts(time_zone: str) -> frozenset[int]:
    """Return by how many seconds a zone's clock hours begin after those of UTC."""
    zone = ZoneInfo(time_zone)
    moments = (
        datetime(year, month, 1, tzinfo=UTC) for year in range(1999, 2038) for month in (1, 7)
    )
    offsets = (moment.astimezone(zone).utcoffset() for moment in moments)
    return frozenset(round(each.total_seconds()) % 3600 for each in offsets if each is not None)


def _too_short(table: Table, key: str, shut: int, start: int) -> None:
    what = "a break that does not start and end inside one clock hour of UTC"
    table.problem(key, what, f"{_clock(shut)}-{_clock(start)}")


def _clock(second: int) -> str:
    return f"{second % _DAY // 3600:02d}:{second % 3600 // 60:02d}"
