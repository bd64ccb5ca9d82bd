from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from perfhouse.calendars import HOUR, business_hours, span, utc_offsets
from perfhouse.company_types import Calendar
from perfhouse.errors import ConfigError
from perfhouse.month import Month


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def week(*spans: tuple[float, float]) -> dict[int, tuple[tuple[int, int], ...]]:
    hours = tuple((round(start * HOUR), round(end * HOUR)) for start, end in spans)
    return dict.fromkeys(range(7), hours)


def open_seconds(calendar: Calendar, start: int, end: int) -> int:
    """Read the table as SQL does: seconds before an instant, subtracted."""
    first, last = span(Month("2026-03"))
    rows = {row.hour_at: row for row in business_hours("c", calendar, first, last)}

    def before(instant: int) -> int:
        row = rows[instant - instant % HOUR]
        within = min(max(instant % HOUR, row.open_from), row.open_until) - row.open_from
        return row.seconds_before + within

    return before(end) - before(start)


def counted(calendar: Calendar, start: int, end: int, step: int = 60) -> int:
    """Count the open seconds one step at a time by the local clock: slow and independent."""
    zone = ZoneInfo(calendar.time_zone)
    total = 0
    for instant in range(start, end, step):
        local = datetime.fromtimestamp(instant, zone)
        second = local.hour * HOUR + local.minute * 60 + local.second
        day = local.date()
        usual = () if day in calendar.holidays else calendar.hours.get(local.weekday(), ())
        spans = calendar.days.get(day, usual)
        if any(a <= second < b for a, b in spans):
            total += step
    return total


CALENDARS = {
    "lunch": Calendar("Asia/Shanghai", week((9, 12), (13, 18)), frozenset({date(2026, 3, 9)})),
    "half past, half-hour zone": Calendar("Asia/Kolkata", week((9.5, 18.25)), frozenset()),
    "quarter zone": Calendar("Asia/Kathmandu", week((9, 17.5)), frozenset()),
    "night over a spring change": Calendar("America/New_York", week((0, 8.5)), frozenset()),
    "opens inside the skipped hour": Calendar("America/New_York", week((2.5, 6)), frozenset()),
    "half-hour change": Calendar("Australia/Lord_Howe", week((0, 24)), frozenset()),
    "holiday on a change day": Calendar(
        "Europe/London", week((0, 24)), frozenset({date(2026, 3, 29)})
    ),
    "made-up, half and shut days": Calendar(
        "Asia/Shanghai",
        {day: ((9 * HOUR, 18 * HOUR),) for day in range(5)},
        frozenset({date(2026, 3, 9), date(2026, 3, 10)}),
        {
            date(2026, 2, 28): ((9 * HOUR, 12 * HOUR), (13 * HOUR, 18 * HOUR)),  # a Saturday
            date(2026, 3, 9): ((10 * HOUR, 15 * HOUR),),  # a holiday, and open
            date(2026, 3, 13): ((9 * HOUR, 12 * HOUR),),
            date(2026, 3, 16): (),
        },
    ),
    "longer hours on a change day": Calendar(
        "America/New_York", week((9, 17)), frozenset(), {date(2026, 3, 8): ((0, 6 * HOUR + 1800),)}
    ),
}


@pytest.mark.parametrize("name", CALENDARS)
def test_open_seconds_equal_a_count_minute_by_minute(name: str) -> None:
    start, end = at("2026-02-26T00:07"), at("2026-04-08T13:41")
    assert open_seconds(CALENDARS[name], start, end) == counted(CALENDARS[name], start, end)


def test_the_repeated_hour_of_autumn_is_open_both_times() -> None:
    calendar = Calendar("America/New_York", week((1, 2)), frozenset())
    start, end = at("2025-11-02T00:00", "America/New_York"), at("2025-11-03", "America/New_York")
    assert open_seconds(calendar, start, end) == 2 * HOUR


def test_the_skipped_hour_of_spring_is_never_open() -> None:
    calendar = Calendar("America/New_York", week((2, 3)), frozenset())
    start, end = at("2026-03-08T00:00", "America/New_York"), at("2026-03-09", "America/New_York")
    assert open_seconds(calendar, start, end) == 0


def test_a_day_without_openings_and_a_holiday_are_shut() -> None:
    weekdays = {day: ((9 * HOUR, 18 * HOUR),) for day in range(5)}
    calendar = Calendar("Asia/Shanghai", weekdays, frozenset({date(2026, 3, 2)}))
    friday, tuesday = (
        at("2026-02-27T17:00", "Asia/Shanghai"),
        at("2026-03-03T10:00", "Asia/Shanghai"),
    )
    assert open_seconds(calendar, friday, tuesday) == 2 * HOUR


CHINA = Calendar(
    "Asia/Shanghai",
    {day: ((9 * HOUR, 18 * HOUR),) for day in range(5)},
    frozenset(date(2026, 2, day) for day in range(15, 24)),
    {date(2026, 2, 14): ((9 * HOUR, 18 * HOUR),), date(2026, 2, 13): ((9 * HOUR, 12 * HOUR),)},
)


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        # A Saturday made up for the new year's week, after a Friday that ended at noon.
        ("2026-02-13T11:59:59", "2026-02-14T09:00:01", 2),
        ("2026-02-13T12:00:00", "2026-02-14T08:59:59", 0),
        ("2026-02-14T17:59:59", "2026-02-24T09:00:07", 8),
        ("2026-02-13T00:00:00", "2026-02-25T00:00:00", (3 + 9 + 9) * HOUR),
    ],
)
def test_a_made_up_and_a_half_day_are_open_to_the_second(
    start: str, end: str, seconds: int
) -> None:
    zone = CHINA.time_zone
    assert open_seconds(CHINA, at(start, zone), at(end, zone)) == seconds


def test_every_clock_hour_of_the_span_has_one_row() -> None:
    start, end = span(Month("2026-03"))
    rows = business_hours("c", CALENDARS["lunch"], start, end)
    assert [row.hour_at for row in rows] == list(range(start, end, HOUR))
    assert start <= at("2025-02-01") - 86_400
    assert end >= at("2026-06-01") + 86_400
    assert all(0 <= row.open_from <= row.open_until <= HOUR for row in rows)


def test_the_span_reaches_to_the_end_of_the_as_of_month() -> None:
    month = Month("2026-07")
    assert span(month, Month("2026-08")) == span(month)
    first, last = span(month, Month("2026-12"))
    assert first == span(month)[0]
    assert last >= at("2027-01-01") + 86_400
    winter = utc_offsets("Europe/Berlin", first, last)[-1]
    assert (winter.from_at, winter.offset_seconds) == (at("2026-10-25T01:00"), HOUR)


def test_openings_that_touch_are_one() -> None:
    calendar = Calendar("Asia/Shanghai", week((9, 12.25), (12.25, 18)), frozenset())
    start = at("2026-03-03T00:00", "Asia/Shanghai")
    assert open_seconds(calendar, start, start + 86_400) == 9 * HOUR


@pytest.mark.parametrize(
    ("zone", "spans"),
    [("Asia/Shanghai", ((9, 12.25), (12.75, 18))), ("Asia/Kolkata", ((9, 12), (12.25, 18)))],
)
def test_two_openings_in_one_clock_hour_are_refused_with_the_hour(
    zone: str, spans: tuple[tuple[float, float], ...]
) -> None:
    with pytest.raises(ConfigError, match=r"calendars\.desk\.hours: expected at most one opening"):
        business_hours("desk", Calendar(zone, week(*spans), frozenset()), *span(Month("2026-03")))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Tehran"])
def test_offsets_cover_the_span_without_gap_and_agree_with_the_zone(zone: str) -> None:
    start, end = span(Month("2026-03"))
    rows = utc_offsets(zone, start, end)
    assert rows[0].from_at == start
    assert rows[-1].until_at == end
    assert [row.until_at for row in rows[:-1]] == [row.from_at for row in rows[1:]]
    for row in rows:
        for instant in (row.from_at, row.until_at - 1):
            local = datetime.fromtimestamp(instant, UTC).astimezone(ZoneInfo(zone))
            assert local.utcoffset() == timedelta(seconds=row.offset_seconds)


def test_a_change_is_found_to_the_second() -> None:
    rows = utc_offsets("America/New_York", *span(Month("2026-03")))
    changes = [datetime.fromtimestamp(row.from_at, UTC).isoformat() for row in rows[1:]]
    assert changes == [
        "2025-03-09T07:00:00+00:00",
        "2025-11-02T06:00:00+00:00",
        "2026-03-08T07:00:00+00:00",
    ]
