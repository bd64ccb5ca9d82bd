"""The plan of a demo company: its size, months, sites, calendars and the shared SQL macros.

Everything here is a pure function of the parameters; no clock, no random state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from perfhouse.month import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Progress = Callable[[str], None]

# Half-open clock hours by weekday (0 = Monday). Limits below are chosen so that no due instant
# falls exactly on a closing time: an instant that ends one opening also starts the next.
WEEK = range(5)


@dataclass(frozen=True)
class Site:
    """One place of work: its zone, calendar and languages."""

    name: str
    name_zh: str
    time_zone: str
    calendar: str
    openings: tuple[tuple[str, str], ...]


SHANGHAI = Site("Shanghai", "上海", "Asia/Shanghai", "cn", (("09:00", "12:00"), ("13:00", "18:00")))
LONDON = Site("London", "伦敦", "Europe/London", "uk", (("09:00", "17:30"),))
SITES = (SHANGHAI, LONDON)
# The company's zone is its westernmost one: what is local June anywhere is then delivered by the
# end of the company's June.
COMPANY_ZONE = "Europe/London"

PRIORITIES = ("low", "normal", "high", "urgent")
FIRST_REPLY = {"low": 420, "normal": 240, "high": 60, "urgent": 30}  # business minutes
RESOLUTION = {"low": 2820, "normal": 1500, "high": 540, "urgent": 240}  # business minutes
COMPLAINT = {"low": 4320, "normal": 4320, "high": 2880, "urgent": 1440}  # calendar minutes
SHORT_ABANDON_SECONDS = 5
ANSWER_WITHIN_SECONDS = 20
REOPEN_DAYS = 7
# The help desk is read some days after the month's end; reopenings within a week are then known.
SETTLE_DAYS = 8


@dataclass(frozen=True)
class Plan:
    """What to generate; two equal plans give equal bytes."""

    managers: int
    agents: int
    months: tuple[Month, ...]
    seed: int
    tickets: int
    calls: int

    @property
    def first(self) -> Month:
        """First month."""
        return self.months[0]

    @property
    def last(self) -> Month:
        """Last month."""
        return self.months[-1]

    def stamp(self) -> dict[str, object]:
        """Return the parameters as plain values, for the stamp file."""
        return {
            "managers": self.managers,
            "agents": self.agents,
            "months": [m.key for m in self.months],
            "seed": self.seed,
            "tickets": self.tickets,
            "calls": self.calls,
        }

    def u(self, *what: object) -> float:
        """Return a number in [0, 1) that depends on the seed and `what` only."""
        text = "|".join(str(part) for part in (self.seed, *what))
        digest = hashlib.blake2b(text.encode(), digest_size=7).digest()
        return int.from_bytes(digest, "big") / float(1 << 56)


def holidays(site: Site, first: date, last: date) -> list[date]:
    """List the site's public holidays in [first, last], weekends included."""
    found: set[date] = set()
    for year in range(first.year, last.year + 1):
        found.update(_CALENDARS[site.calendar](year))
    return sorted(day for day in found if first <= day <= last)


def made_up(site: Site, first: date, last: date) -> list[date]:
    """List the days of rest in [first, last] on which the site works for a longer holiday."""
    days = _MADE_UP if site.calendar == "cn" else ()
    return [day for day in map(date.fromisoformat, days) if first <= day <= last]


# What the General Office of the State Council of China announced for 2025 and 2026: the days off,
# weekends included, and the Saturdays and Sundays that are worked for them.
_OFF = {
    2025: (
        ("2025-01-01", 1), ("2025-01-28", 8), ("2025-04-04", 3), ("2025-05-01", 5),
        ("2025-05-31", 3), ("2025-10-01", 8),
    ),
    2026: (
        ("2026-01-01", 3), ("2026-02-15", 9), ("2026-04-04", 3), ("2026-05-01", 5),
        ("2026-06-19", 3), ("2026-09-25", 3), ("2026-10-01", 7),
    ),
}  # fmt: skip
_MADE_UP = (
    "2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11",
    "2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10",
)  # fmt: skip


def _china(year: int) -> list[date]:
    usual = ((f"{year}-01-01", 1), (f"{year}-05-01", 2), (f"{year}-10-01", 3))
    return [
        date.fromisoformat(start) + timedelta(days=at)
        for start, days in _OFF.get(year, usual)  # of other years only what the law fixes by date
        for at in range(days)
    ]


def _england(year: int) -> list[date]:
    return [
        date(year, 1, 1),
        _monday(date(year, 5, 1)),
        _monday(date(year, 5, 25)),
        _monday(date(year, 8, 25)),
        date(year, 12, 25),
        date(year, 12, 26),
    ]


def _monday(day: date) -> date:
    return day + timedelta(days=-day.weekday() % 7)


_CALENDARS: dict[str, Callable[[int], list[date]]] = {"cn": _china, "uk": _england}


def prepare(con: DuckDBPyConnection, plan: Plan) -> None:
    """Create the macros, the months and the table of open minutes of each calendar."""
    con.execute(
        _MACROS.replace("@SEED", str(int(plan.seed)))
        .replace("@OFFSETS", _offset_sql(plan, "moment", civil=False))
        .replace("@CIVIL", _offset_sql(plan, "civil", civil=True))
    )
    fill(
        con,
        "month_days",
        "month varchar, first_day date, next_day date, position bigint",
        [[m.key, m.start, m.end, i] for i, m in enumerate(plan.months)],
    )
    con.execute(_MONTHS)
    levels = {"first_reply": FIRST_REPLY, "resolution": RESOLUTION, "complaint": COMPLAINT}
    fill(
        con,
        "limits",
        "measure varchar, priority varchar, minutes bigint",
        [[name, p, minutes] for name, by in levels.items() for p, minutes in by.items()],
    )
    first, last = plan.first.start - timedelta(days=12), plan.last.end + timedelta(days=60)
    fill(
        con,
        "openings",
        "calendar varchar, time_zone varchar, day date, from_second bigint, to_second bigint",
        [list(row) for site in SITES for row in _opening_rows(site, first, last)],
    )
    con.execute(_OPEN_MINUTES)


def _offset_sql(plan: Plan, name: str, *, civil: bool) -> str:
    """Return SQL for a zone's offset in seconds; a column zone is slow through the engine."""
    cases = []
    for site in SITES:
        steps, offset = [], 0
        for until, offset in _offsets(plan, site.time_zone):
            if until is not None:
                edge = until + timedelta(seconds=offset) if civil else until
                steps.append(f"when {name} < timestamp '{edge:%Y-%m-%d %H:%M:%S}' then {offset}")
        inner = f"case {' '.join(steps)} else {offset} end" if steps else str(offset)
        cases.append(f"when zone = '{site.time_zone}' then {inner}")
    return f"case {' '.join(cases)} end"


def _offsets(plan: Plan, zone: str) -> list[tuple[datetime | None, int]]:
    """List (until in UTC or None, offset in seconds) around the plan's months, in order."""
    at = datetime.combine(plan.first.start - timedelta(days=60), time(), UTC)
    end = datetime.combine(plan.last.end + timedelta(days=120), time(), UTC)
    found: list[tuple[datetime | None, int]] = []
    offset = _offset(at, zone)
    while at < end:
        at += timedelta(hours=1)
        if (now := _offset(at, zone)) != offset:
            found.append((at, offset))
            offset = now
    return [*found, (None, offset)]


def _offset(at: datetime, zone: str) -> int:
    shift = at.astimezone(ZoneInfo(zone)).utcoffset()
    return int(shift.total_seconds()) if shift is not None else 0


def _opening_rows(site: Site, first: date, last: date) -> list[tuple[object, ...]]:
    shut, extra = set(holidays(site, first, last)), set(made_up(site, first, last))
    rows: list[tuple[object, ...]] = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        if day not in extra and (day.weekday() not in WEEK or day in shut):
            continue
        for start, end in site.openings:
            rows.append((site.calendar, site.time_zone, day, _second(start), _second(end)))
    return rows


def _second(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 3600 + int(minute) * 60


def fill(con: DuckDBPyConnection, table: str, columns: str, rows: list[list[object]]) -> None:
    """Create a table of `columns` (names and types) that holds the rows, in one statement."""
    declared = [column.split() for column in columns.split(",")]
    lists = ", ".join(f"unnest(?::{kind}[]) as {name}" for name, kind in declared)
    values = [[row[i] for row in rows] for i in range(len(declared))]
    con.execute(f"create table {table} as select {lists}", values)


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write one file with exactly these characters; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


# u(i, salt): uniform in [0, 1), a pure function of i, salt and the seed, whatever the threads.
# pos/at turn instants into seconds of opening time and back; see open_minutes.
_MACROS = r"""
create macro u(i, salt) as
    (hash(cast(i as bigint), cast(salt as varchar), cast(@SEED as bigint)) >> 11)::double
        / 9007199254740992.0;
create macro bell(i, salt) as (u(i, salt || '1') + u(i, salt || '2') + u(i, salt || '3')) / 3;
create macro zone_offset(zone, moment) as @OFFSETS;
create macro civil_offset(zone, civil) as @CIVIL;
create macro local_time(zone, moment) as moment + to_seconds(zone_offset(zone, moment));
create macro local_day(zone, moment) as cast(local_time(zone, moment) as date);
create macro stamp(moment) as cast(moment as varchar);
create macro zulu(moment) as replace(cast(moment as varchar), ' ', 'T') || 'Z';
create macro true_state(merged, closed, again, reopened, solved, replied) as case
    when merged is not null then 'Merged'
    when closed is not null then 'Closed'
    when again is not null or (solved is not null and reopened is null) then 'Solved'
    when replied is not null then 'Open'
    else 'New'
end;
create macro civil_text(zone, moment) as strftime(local_time(zone, moment), '%d/%m/%Y %H:%M');
create macro by_day(zone, moment) as
    if(
        extract(hour from local_time(zone, moment)) < 8 and epoch(moment)::bigint % 7 < 6,
        moment + interval 9 hour, moment
    );
create macro contact_uuid(leg) as regexp_replace(
    md5('contact @SEED ' || leg), '(.{8})(.{4})(.{4})(.{4})(.{12})', '\1-\2-\3-\4-\5'
);
create macro utc(zone, civil) as civil - to_seconds(civil_offset(zone, civil));
"""

_MONTHS = f"""
create table months as
select
    month, first_day, next_day,
    utc('{COMPANY_ZONE}', first_day::timestamp) as start_at,
    utc('{COMPANY_ZONE}', next_day::timestamp) as end_at,
    position
from month_days
"""

_OPEN_MINUTES = """
create table open_minutes as
with minutes as (
    select
        calendar,
        utc(time_zone, day + to_seconds(second)) as minute_at
    from (
        select calendar, time_zone, day, unnest(range(from_second, to_second, 60)) as second
        from openings
    )
)
select
    calendar,
    row_number() over (partition by calendar order by minute_at) - 1 as n,
    minute_at
from minutes
order by calendar, n
"""
