"""The demo's people: teams, managers, agents, and who reported to whom on which day.

Built in Python (thousands of rows at most) and handed to SQL as tables; holds no measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from perfhouse.demo.names import full_name
from perfhouse.demo.plan import LONDON, SHANGHAI, Plan, Site, fill

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DIRECTOR = "D0001"
HEADS = {SHANGHAI.name: "D0002", LONDON.name: "D0003"}  # of a site, in a company of some size
SKILLS = ("csat", "nps", "attitude", "reply", "resolve", "complaint", "reopen", "talk", "wait",
          "abandon", "transfer", "train", "knowledge")  # fmt: skip
_OPEN = date(9999, 12, 31)


@dataclass(frozen=True)
class Team:
    """One team; its id is also the name of its queue."""

    team_id: str
    name: str
    site: Site
    index: int


@dataclass(frozen=True)
class Person:
    """One person's employment: `leave` is the first day no longer employed."""

    employee_id: str
    name: str
    site: Site
    role: str
    hire: date
    leave: date | None


@dataclass(frozen=True)
class Spell:
    """One stretch of an assignment, half-open: a team or a manager from a day to a day."""

    what: str
    start: date
    end: date


@dataclass(frozen=True)
class Absence:
    """A manager's leave, half-open, and the deputy whom the roster names, if any."""

    start: date
    end: date
    deputy_id: str | None


@dataclass(frozen=True)
class People:
    """Everybody, with the timelines that say who led and who belonged where.

    What HR records late is in no roster before the one of month number `recorded[employee]`: until
    then the employee seems to stay in the first team.
    """

    teams: tuple[Team, ...]
    persons: tuple[Person, ...]
    leads: dict[str, tuple[Spell, ...]]  # team -> managers, in time
    homes: dict[str, tuple[Spell, ...]]  # employee -> teams, in time
    bosses: dict[str, str]  # site -> whom its managers report to
    absences: dict[str, Absence]  # manager -> leave
    recorded: dict[str, int]  # employee -> month number of the roster that first tells of a move


def make(plan: Plan) -> People:
    """Invent the company's people and everything that happens to them."""
    teams = tuple(_team(index) for index in range(plan.managers))
    managers, leads = _managers(plan, teams)
    agents, homes = _agents(plan, teams)
    for team_id, spells in leads.items():
        for spell in spells:
            person = next(p for p in managers if p.employee_id == spell.what)
            if not _is_acting(teams, team_id, spell.what):
                stay = Spell(team_id, max(spell.start, person.hire), spell.end)
                stays = (*homes.get(person.employee_id, ()), stay)
                homes[person.employee_id] = tuple(sorted(stays, key=lambda s: s.start))
    directors = _directors(plan)
    for director in directors:
        homes[director.employee_id] = (Spell("HQ", director.hire, _OPEN),)
    bosses = {s.name: HEADS[s.name] if _is_sizeable(plan) else DIRECTOR for s in (SHANGHAI, LONDON)}
    persons = (*directors, *managers, *agents)
    return People(
        teams, persons, leads, homes, bosses, _absences(plan), _recorded_late(plan, homes)
    )


def _is_sizeable(plan: Plan) -> bool:
    """Say whether the company has heads of its sites, vacancies and people on leave."""
    return plan.managers >= 6


def _directors(plan: Plan) -> list[Person]:
    sites = {DIRECTOR: SHANGHAI}
    if _is_sizeable(plan):
        sites |= {HEADS[SHANGHAI.name]: SHANGHAI, HEADS[LONDON.name]: LONDON}
    return [
        Person(key, full_name(plan, site, key), site, "director", date(2018, 3, 1), None)
        for key, site in sites.items()
    ]


def _absences(plan: Plan) -> dict[str, Absence]:
    """Send a manager with a deputy, one without and the head of a site on leave."""
    if not _is_sizeable(plan):
        return {}
    first, last = plan.first.start, plan.last.start
    return {
        manager_id(2): Absence(first + timedelta(days=8), first + timedelta(days=19), agent_id(2)),
        manager_id(5): Absence(last + timedelta(days=20), last + timedelta(days=27), None),
        HEADS[SHANGHAI.name]: Absence(last + timedelta(days=9), last + timedelta(days=12), None),
    }


def _recorded_late(plan: Plan, homes: dict[str, tuple[Spell, ...]]) -> dict[str, int]:
    """Choose somebody who moved in the first month and of whose move HR tells in the second."""
    if len(plan.months) < 2:
        return {}
    first = plan.first
    moved = (
        employee_id
        for employee_id, stays in sorted(homes.items())
        if employee_id.startswith("A")
        and len(stays) == 2
        and first.start < stays[1].start < first.end
        and stays[1].end == _OPEN
    )
    return {employee_id: 1 for employee_id in list(moved)[:1]}


def _team(index: int) -> Team:
    site = LONDON if index % 3 == 2 else SHANGHAI
    number = index // 3 + 1 if site is LONDON else index // 3 * 2 + index % 3 + 1
    name = f"London Care {number}" if site is LONDON else f"上海客服{number}组"
    return Team(f"T{index + 1:02d}", name, site, index)


def manager_id(index: int) -> str:
    """Return the employee id of the manager who led team `index` at first."""
    return f"M{1001 + index}"


def _managers(
    plan: Plan, teams: tuple[Team, ...]
) -> tuple[list[Person], dict[str, tuple[Spell, ...]]]:
    persons = [
        _person(plan, manager_id(t.index), t.site, "cs_manager", _hired(plan, t.index))
        for t in teams
    ]
    leads: dict[str, tuple[Spell, ...]] = {
        t.team_id: (Spell(manager_id(t.index), date(2018, 1, 1), _OPEN),) for t in teams
    }
    if len(teams) >= 6:
        _vacancy(plan, teams, persons, leads)
        _swap(plan, teams, leads)
    return persons, leads


def _vacancy(
    plan: Plan, teams: tuple[Team, ...], persons: list[Person], leads: dict[str, tuple[Spell, ...]]
) -> None:
    """Let team 2's manager leave mid-month; a neighbour acts until the successor starts.

    For three days the roster still names the one who left.
    """
    team, neighbour = teams[1], teams[4]
    month = plan.months[min(1, len(plan.months) - 1)]
    left, filled = month.start + timedelta(days=11), month.start + timedelta(days=19)
    old = persons[team.index]
    persons[team.index] = Person(old.employee_id, old.name, old.site, old.role, old.hire, left)
    new = _person(plan, manager_id(len(teams)), team.site, "cs_manager", filled)
    persons.append(new)
    leads[team.team_id] = (
        Spell(old.employee_id, date(2018, 1, 1), left + timedelta(days=3)),
        Spell(manager_id(neighbour.index), left + timedelta(days=3), filled),
        Spell(new.employee_id, filled, _OPEN),
    )


def _swap(plan: Plan, teams: tuple[Team, ...], leads: dict[str, tuple[Spell, ...]]) -> None:
    """Let two managers of one site change teams on the 16th of a month."""
    one, two = teams[0], teams[3]
    day = plan.months[min(2, len(plan.months) - 1)].start + timedelta(days=15)
    for team, other in ((one, two), (two, one)):
        leads[team.team_id] = (
            Spell(manager_id(team.index), date(2018, 1, 1), day),
            Spell(manager_id(other.index), day, _OPEN),
        )


def _is_acting(teams: tuple[Team, ...], team_id: str, employee_id: str) -> bool:
    """Say whether a manager only stands in here; he stays in the team where he was."""
    return len(teams) >= 6 and team_id == teams[1].team_id and employee_id == manager_id(4)


def _agents(
    plan: Plan, teams: tuple[Team, ...]
) -> tuple[list[Person], dict[str, tuple[Spell, ...]]]:
    persons: list[Person] = []
    homes: dict[str, tuple[Spell, ...]] = {}
    movers, leavers = _fates(plan)
    for index in range(plan.agents):
        team = teams[index % len(teams)]
        leave = leavers.get(index)
        person = _person(
            plan, agent_id(index), team.site, "agent", _hired(plan, index + 5000), leave
        )
        persons.append(person)
        moved = movers.get(index)
        target = _other_team(teams, team, plan.u(index, "target"))
        end = leave or _OPEN
        if moved is None or target is None:
            homes[person.employee_id] = (Spell(team.team_id, person.hire, end),)
        else:
            homes[person.employee_id] = (
                Spell(team.team_id, person.hire, moved),
                Spell(target.team_id, moved, end),
            )
    for person, team in _newcomers_and_gone(plan, teams):
        persons.append(person)
        homes[person.employee_id] = (Spell(team.team_id, person.hire, person.leave or _OPEN),)
    return persons, homes


def agent_id(index: int) -> str:
    """Return the employee id of an agent by number."""
    return f"A{10001 + index}"


def _fates(plan: Plan) -> tuple[dict[int, date], dict[int, date]]:
    """Choose who changes team and who leaves, and the day; slot 0 of each team always stays."""
    able = sorted(range(plan.managers, plan.agents), key=lambda i: plan.u(i, "fate"))
    moving = min(len(able) // 3, max(len(plan.months), plan.agents * 8 // 100))
    leaving = min(len(able) // 3, max(len(plan.months), plan.agents * 5 // 100))
    movers = {i: _mid_month(plan, n, 8, i) for n, i in enumerate(able[:moving])}
    gone = able[moving : moving + leaving]
    return movers, {i: _mid_month(plan, n, 6, i) for n, i in enumerate(gone)}


def _mid_month(plan: Plan, number: int, first: int, index: int) -> date:
    month = plan.months[number % len(plan.months)]
    return month.start + timedelta(days=first + int(plan.u(index, "day") * 14))


def _other_team(teams: tuple[Team, ...], team: Team, u: float) -> Team | None:
    others = [t for t in teams if t.site is team.site and t is not team]
    return others[int(u * len(others))] if others else None


def _newcomers_and_gone(plan: Plan, teams: tuple[Team, ...]) -> Iterator[tuple[Person, Team]]:
    joining = max(len(plan.months), plan.agents * 5 // 100)
    for number in range(joining):
        index = plan.agents + number
        team = teams[int(plan.u(index, "team") * len(teams))]
        hired = _mid_month(plan, number, 2, index)
        yield _person(plan, agent_id(index), team.site, "agent", hired), team
    for number in range(max(2, plan.agents // 10)):
        index = plan.agents + joining + number
        team = teams[int(plan.u(index, "team") * len(teams))]
        left = plan.first.start - timedelta(days=20 + int(plan.u(index, "left") * 320))
        hired = left - timedelta(days=200 + int(plan.u(index, "hired") * 700))
        yield _person(plan, agent_id(index), team.site, "agent", hired, left), team


def _person(
    plan: Plan, employee_id: str, site: Site, role: str, hire: date, leave: date | None = None
) -> Person:
    return Person(employee_id, full_name(plan, site, employee_id), site, role, hire, leave)


def _hired(plan: Plan, index: int) -> date:
    return plan.first.start - timedelta(days=90 + int(plan.u(index, "hire") * 1800))


@dataclass(frozen=True)
class Assignment:
    """One row of the organisation's history: who was where under whom, half-open."""

    person: Person
    team_id: str
    manager_id: str | None
    valid_from: date
    valid_to: date | None
    is_on_leave: bool = False
    deputy_id: str | None = None


def assignments(people: People, position: int | None = None) -> list[Assignment]:
    """Cut everybody's time by team, manager and leave; ordered by person and day.

    With a `position`, as HR knows it at the end of that month of the plan.
    """
    rows: list[Assignment] = []
    for person in people.persons:
        homes = people.homes[person.employee_id]
        if position is not None and position < people.recorded.get(person.employee_id, 0):
            homes = (Spell(homes[0].what, homes[0].start, homes[-1].end),)
        for home in homes:
            for row in _under(person, home, people):
                rows.extend(_cut_by_leave(row, people.absences.get(person.employee_id)))
    return rows


def _under(person: Person, home: Spell, people: People) -> Iterable[Assignment]:
    end = min(home.end, person.leave or _OPEN)
    above: tuple[Spell, ...] = people.leads.get(home.what, ())
    if person.role == "cs_manager":
        above = (Spell(people.bosses[person.site.name], date(2018, 1, 1), _OPEN),)
    if person.role == "director":
        boss = None if person.employee_id == DIRECTOR else DIRECTOR
        yield Assignment(person, home.what, boss, home.start, None)
        return
    for lead in above:
        start, stop = max(home.start, lead.start), min(end, lead.end)
        if start < stop:
            until = None if stop == _OPEN else stop
            yield Assignment(person, home.what, lead.what, start, until)


def _cut_by_leave(row: Assignment, absence: Absence | None) -> Iterable[Assignment]:
    if absence is None:
        return [row]
    edges = [row.valid_from, absence.start, absence.end, row.valid_to or _OPEN]
    edges = sorted(min(max(edge, edges[0]), edges[3]) for edge in edges)
    return [
        replace(
            row,
            valid_from=start,
            valid_to=None if stop == _OPEN else stop,
            is_on_leave=absence.start <= start < absence.end,
            deputy_id=absence.deputy_id if absence.start <= start < absence.end else None,
        )
        for start, stop in pairwise(edges)
        if start < stop
    ]


def load(con: DuckDBPyConnection, plan: Plan, people: People) -> None:
    """Create people's tables: persons, assignments, teams, skills and agent_days."""
    fill(con, "teams", "team_id varchar, team_name varchar, team_index bigint, site varchar,"
               " time_zone varchar, calendar varchar",
               [[t.team_id, t.name, t.index, t.site.name, t.site.time_zone, t.site.calendar]
                for t in people.teams])  # fmt: skip
    home = {p.employee_id: people.homes[p.employee_id][0].what for p in people.persons}
    fill(con, "persons", "employee_id varchar, name varchar, role varchar, site varchar, "
               "time_zone varchar, calendar varchar, hire date, leave date, home varchar",
               [[p.employee_id, p.name, p.role, p.site.name, p.site.time_zone, p.site.calendar,
                 p.hire, p.leave, home[p.employee_id]] for p in people.persons])  # fmt: skip
    fill(con, "assignments", "employee_id varchar, role varchar, team_id varchar, "
               "manager_id varchar, valid_from date, valid_to date",
               [[a.person.employee_id, a.person.role, a.team_id, a.manager_id, a.valid_from,
                 a.valid_to] for a in assignments(people)])  # fmt: skip
    fill(con, "leads", "team_id varchar, manager_id varchar, valid_from date, valid_to date",
               [[team, s.what, s.start, s.end] for team, spells in people.leads.items()
                for s in spells])  # fmt: skip
    columns = "manager_id varchar, " + ", ".join(f"{name} double" for name in SKILLS)
    fill(con, "skills", columns, list(_skills(plan, people)))
    con.execute(_AGENTS)
    con.execute(_AGENT_DAYS)


def _skills(plan: Plan, people: People) -> Iterator[list[object]]:
    """Spread abilities evenly over the managers, so that every grade has somebody."""
    ids = [p.employee_id for p in people.persons if p.role == "cs_manager"]
    ranked = sorted(ids, key=lambda m: plan.u(m, "ability"))
    for rank, employee_id in enumerate(ranked):
        ability = (rank + 0.5) / len(ranked)
        yield [
            employee_id,
            *(0.85 * ability + 0.15 * plan.u(employee_id, name) for name in SKILLS),
        ]


# The partner takes over what a person who is not there for a ticket's whole life would get: the
# first agent of the team never moves and never leaves.
_AGENTS = """
create table agents as
select
    row_number() over (order by p.employee_id) - 1 as idx,
    p.employee_id, p.site, p.time_zone, p.calendar, p.hire, p.leave,
    (select min(s.employee_id) from persons s where s.role = 'agent' and s.home = p.home)
        as partner_id
from persons p
where p.role = 'agent' and (p.leave is null or p.leave > (select min(first_day) from months))
order by idx
"""

_AGENT_DAYS = """
create table agent_days as
select a.employee_id, cast(d.day as date) as day, a.team_id, a.manager_id
from assignments a
join range(
    (select min(first_day) from months)::timestamp - interval 2 day,
    (select max(next_day) from months)::timestamp + interval 60 day,
    interval 1 day
) as d(day) on d.day >= a.valid_from and (a.valid_to is null or d.day < a.valid_to)
where a.role = 'agent'
"""
