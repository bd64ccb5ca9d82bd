"""The demo's own clock arithmetic against zoneinfo and against a plain loop."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from perfhouse import warehouse
from perfhouse.demo import plan as planning
from perfhouse.demo import tickets
from perfhouse.demo.people import load, make
from perfhouse.demo.plan import LONDON, SHANGHAI, SITES, Plan
from perfhouse.month import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# October 2026: London's clocks go back on the 25th, China is on holiday for a week.
PLAN = Plan(2, 8, tuple(Month("2026-10").until(Month("2026-11"))), 5, 400, 100)


@pytest.fixture(scope="module")
def con() -> Iterator[DuckDBPyConnection]:
    connection = warehouse.connect()
    planning.prepare(connection, PLAN)
    load(connection, PLAN, make(PLAN))
    tickets.build(connection, PLAN)
    yield connection
    connection.close()


@pytest.mark.parametrize("site", SITES, ids=lambda s: s.name)
def test_local_time_agrees_with_zoneinfo_across_the_clock_change(
    con: DuckDBPyConnection, site: planning.Site
) -> None:
    start = datetime(2026, 10, 24, 0, 30)  # noqa: DTZ001
    for hours in range(72):
        moment = start + timedelta(hours=hours)
        row = con.execute("select local_time(?, ?)", [site.time_zone, moment]).fetchone()
        local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(site.time_zone))
        assert row == (local.replace(tzinfo=None),)


@pytest.mark.parametrize("site", SITES, ids=lambda s: s.name)
def test_a_civil_time_that_exists_once_comes_back_from_utc(
    con: DuckDBPyConnection, site: planning.Site
) -> None:
    for hours in range(96):
        civil = datetime(2026, 10, 23, 9, 15) + timedelta(hours=hours)  # noqa: DTZ001
        if civil.date() == date(2026, 10, 25) and civil.hour == 1:
            continue  # that hour happens twice in London
        row = con.execute(
            "select local_time($zone, utc($zone, $civil::timestamp))",
            {"zone": site.time_zone, "civil": civil},
        ).fetchone()
        assert row == (civil,)


def test_china_is_shut_in_the_national_week_and_london_is_not(con: DuckDBPyConnection) -> None:
    query = (
        "select count(*) from open_minutes where calendar = ? "
        "and minute_at >= '2026-10-01' and minute_at < '2026-10-08'"
    )
    assert con.execute(query, [SHANGHAI.calendar]).fetchone() == (0,)
    assert con.execute(query, [LONDON.calendar]).fetchone() == (5 * 510,)


def test_china_works_on_the_saturday_after_the_national_week(con: DuckDBPyConnection) -> None:
    query = (
        "select count(*) from open_minutes where calendar = ? "
        "and minute_at >= '2026-10-09 16:00' and minute_at < '2026-10-11 16:00'"
    )
    assert con.execute(query, [SHANGHAI.calendar]).fetchone() == (480,)
    assert con.execute(query, [LONDON.calendar]).fetchone() == (30,)  # what is left of Friday


def test_due_instants_are_the_limit_away_in_open_minutes_counted_one_by_one(
    con: DuckDBPyConnection,
) -> None:
    rows = con.execute(
        "select t.calendar, t.created_at, t.reply_due_at, t.solve_due_at, r.minutes, s.minutes "
        "from true_tickets t join limits r on r.measure = 'first_reply' and "
        "r.priority = t.priority join limits s on s.measure = 'resolution' and "
        "s.priority = t.priority where t.ticket_id % 20 = 0"
    ).fetchall()
    assert len(rows) == 20
    by_calendar = {site.calendar: site for site in SITES}
    for calendar, created, reply_due, solve_due, reply, solve in rows:
        assert open_seconds(by_calendar[calendar], created, reply_due) == 60 * reply
        assert open_seconds(by_calendar[calendar], created, solve_due) == 60 * solve


def open_seconds(site: planning.Site, start: datetime, end: datetime) -> int:
    """Walk the seconds, a minute's edge at a time, and ask of each stretch if the site is open."""
    shut = set(planning.holidays(site, date(2026, 9, 1), date(2027, 1, 31)))
    extra = set(planning.made_up(site, date(2026, 9, 1), date(2027, 1, 31)))
    zone, total, at = ZoneInfo(site.time_zone), 0, start
    while at < end:
        stop = min(end, at.replace(second=0) + timedelta(minutes=1))
        local = at.replace(tzinfo=UTC).astimezone(zone)
        clock = f"{local:%H:%M}"
        is_open = any(first <= clock < last for first, last in site.openings)
        is_usual = local.weekday() < 5 and local.date() not in shut
        if is_open and (is_usual or local.date() in extra):
            total += int((stop - at).total_seconds())
        at = stop
    return total


def test_no_limit_ends_on_a_closing_time() -> None:
    day = {"cn": (480, {0, 180, 300}), "uk": (510, {0})}
    for limits in (planning.FIRST_REPLY, planning.RESOLUTION):
        for minutes in limits.values():
            for length, edges in day.values():
                assert minutes % length not in edges


def test_every_step_of_a_ticket_follows_the_one_before(con: DuckDBPyConnection) -> None:
    row = con.execute(
        "select count(*) from true_tickets where first_reply_at < created_at "
        "or solved_at < first_reply_at or reopened_at < solved_at "
        "or solved_again_at < reopened_at or closed_at < solved_at or assigned_at < created_at"
    ).fetchone()
    assert row == (0,)


def test_agents_answer_and_solve_only_while_their_site_is_open(con: DuckDBPyConnection) -> None:
    row = con.execute(
        "select count(*) from (select calendar, first_reply_at as done from true_tickets "
        "union all select calendar, solved_at from true_tickets) d where done is not null and "
        "not exists (select 1 from open_minutes m where m.calendar = d.calendar "
        "and m.minute_at = date_trunc('minute', d.done))"
    ).fetchone()
    assert row == (0,)
