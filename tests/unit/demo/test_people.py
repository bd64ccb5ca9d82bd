from __future__ import annotations

from datetime import date, timedelta

import pytest

from perfhouse.demo import people
from perfhouse.demo.plan import Plan
from perfhouse.month import Month

PLAN = Plan(24, 240, tuple(Month("2026-06").until(Month("2026-09"))), 1, 1000, 1000)


@pytest.fixture(scope="module")
def crew() -> people.People:
    return people.make(PLAN)


@pytest.fixture(scope="module")
def rows(crew: people.People) -> list[people.Assignment]:
    return people.assignments(crew)


def on(rows: list[people.Assignment], day: date) -> dict[str, list[people.Assignment]]:
    found: dict[str, list[people.Assignment]] = {}
    for row in rows:
        if row.valid_from <= day and (row.valid_to is None or day < row.valid_to):
            found.setdefault(row.person.employee_id, []).append(row)
    return found


def test_everybody_has_one_team_and_one_manager_on_every_day_of_employment(
    crew: people.People, rows: list[people.Assignment]
) -> None:
    for offset in range(0, 122):
        day = PLAN.first.start + timedelta(days=offset)
        there = on(rows, day)
        for person in crew.persons:
            employed = person.hire <= day and (person.leave is None or day < person.leave)
            assert len(there.get(person.employee_id, [])) == int(employed), (person, day)


def test_every_manager_of_a_day_is_employed_that_day_but_the_one_just_gone(
    rows: list[people.Assignment],
) -> None:
    for offset in range(0, 122):
        if 41 <= offset < 44:  # 12 to 14 July, see below
            continue
        there = on(rows, PLAN.first.start + timedelta(days=offset))
        for stays in there.values():
            boss = stays[0].manager_id
            assert boss is None or boss in there


def test_agents_transfer_leave_and_join_inside_every_month(crew: people.People) -> None:
    for month in PLAN.months:

        def inside(day: date | None, month: Month = month) -> bool:
            return day is not None and month.start < day < month.last_day

        agents = [p for p in crew.persons if p.role == "agent"]
        moved = [h for h in crew.homes.values() if len(h) > 1 and inside(h[1].start)]
        assert moved
        assert any(inside(p.leave) for p in agents)
        assert any(inside(p.hire) for p in agents)


def test_a_vacancy_is_covered_by_a_neighbour_until_the_successor_starts(
    crew: people.People,
) -> None:
    old, acting, new = crew.leads["T02"]
    assert (old.what, acting.what, new.what) == ("M1002", "M1005", "M1025")
    assert (old.end, acting.start, acting.end, new.start) == (
        date(2026, 7, 15), date(2026, 7, 15), date(2026, 7, 20), date(2026, 7, 20),
    )  # fmt: skip


def test_the_roster_names_a_manager_who_has_left_for_three_days(
    crew: people.People, rows: list[people.Assignment]
) -> None:
    gone = next(p for p in crew.persons if p.employee_id == "M1002")
    assert gone.leave == date(2026, 7, 12)
    named = {r.valid_to for r in rows if r.manager_id == "M1002" and r.team_id == "T02"}
    assert date(2026, 7, 15) in named


def test_hr_tells_of_one_move_only_a_month_later(crew: people.People) -> None:
    ((employee_id, position),) = crew.recorded.items()
    moved = crew.homes[employee_id][1].start
    assert PLAN.first.start < moved < PLAN.first.end
    for known, teams in ((0, 1), (position, 2), (None, 2)):
        stays = [r for r in people.assignments(crew, known) if r.person.employee_id == employee_id]
        assert len({r.team_id for r in stays}) == teams


def test_a_manager_on_leave_has_rows_that_say_so_and_name_the_deputy(
    rows: list[people.Assignment],
) -> None:
    away = [r for r in rows if r.is_on_leave]
    assert {r.person.employee_id: r.deputy_id for r in away} == {
        "M1003": "A10003", "M1006": None, "D0002": None,
    }  # fmt: skip


def test_two_managers_swap_their_teams_inside_a_month(crew: people.People) -> None:
    day = date(2026, 8, 16)
    assert [s.what for s in crew.leads["T01"]] == ["M1001", "M1004"]
    assert [s.what for s in crew.leads["T04"]] == ["M1004", "M1001"]
    assert crew.leads["T01"][1].start == crew.leads["T04"][1].start == day
    assert [s.what for s in crew.homes["M1001"]] == ["T01", "T04"]


def test_a_director_stands_above_the_managers(rows: list[people.Assignment]) -> None:
    managers = [r for r in rows if r.person.role == "cs_manager"]
    assert {r.manager_id for r in managers} == set(people.HEADS.values())
    heads = [r for r in rows if r.person.employee_id in people.HEADS.values()]
    assert {r.manager_id for r in heads} == {people.DIRECTOR}


def test_the_first_agent_of_a_team_stays_where_he_is(crew: people.People) -> None:
    for index in range(PLAN.managers):
        spells = crew.homes[people.agent_id(index)]
        assert len(spells) == 1
        assert spells[0].end.year == 9999


def test_a_company_of_two_managers_has_no_vacancy_to_cover() -> None:
    small = people.make(Plan(2, 6, (Month("2026-06"),), 3, 10, 10))
    assert all(len(spells) == 1 for spells in small.leads.values())


def test_names_are_chinese_in_shanghai_and_english_in_london(crew: people.People) -> None:
    for person in crew.persons:
        assert person.name.isascii() == (person.site.name == "London")
