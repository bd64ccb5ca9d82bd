"""Who answers for whom on every day of the demo, by brute force: the truth behind all credit.

Asks day by day and person by person, as one would with the rosters on the desk; shares no line with
the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

from perfhouse.demo.people import Assignment, People, assignments
from perfhouse.demo.plan import Plan, fill
from perfhouse.month import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Desk:
    """The rosters as they are known at one time."""

    def __init__(self, people: People, position: int) -> None:
        """Sort what is known at the end of the plan's month `position` by person."""
        self.people = people
        self.rows: dict[str, list[Assignment]] = {}
        for row in assignments(people, position):
            self.rows.setdefault(row.person.employee_id, []).append(row)

    def place(self, employee_id: str, day: date) -> Assignment | None:
        """Return where somebody is on a day, or None when they are not employed."""
        for row in self.rows[employee_id]:
            if row.valid_from <= day and (row.valid_to is None or day < row.valid_to):
                return row
        return None

    def answering(self, manager_id: str, day: date) -> list[str]:
        """Return who answers where a manager is named, nearest first, up to the top."""
        found: list[str] = []
        named: str | None = manager_id
        while named is not None:
            row = self.place(named, day)
            if row is not None and not row.is_on_leave:
                found.append(named)
            elif row is not None and row.deputy_id and self._is_there(row.deputy_id, day):
                found.append(row.deputy_id)
            if row is None:  # gone: whom they reported to last
                row = [r for r in self.rows[named] if r.valid_from <= day][-1]
            named = row.manager_id
        return found

    def _is_there(self, employee_id: str, day: date) -> bool:
        row = self.place(employee_id, day)
        return row is not None and not row.is_on_leave

    def for_person(self, employee_id: str, day: date) -> list[str]:
        """Return who answers for somebody's work: never themselves, but at the very top."""
        row = self.place(employee_id, day)
        if row is None:
            return []
        if row.manager_id is None:
            return [employee_id]
        found = self.answering(row.manager_id, day)
        return found[1:] if found[0] == employee_id else found

    def for_queue(self, team_id: str, day: date) -> list[str]:
        """Return who answers for a team's queue."""
        lead = next(s.what for s in self.people.leads[team_id] if s.start <= day < s.end)
        return self.answering(lead, day)


def load(con: DuckDBPyConnection, plan: Plan, people: People) -> None:
    """Create `answers`: person or queue, stretch of days, manager, known at a month's end."""
    fill(
        con,
        "answers",
        "position bigint, employee_id varchar, queue_id varchar, from_day date, to_day date, "
        "manager_id varchar, is_direct boolean",
        [list(row) for row in _rows(plan, people)],
    )


def _rows(plan: Plan, people: People) -> Iterator[tuple[object, ...]]:
    last = len(plan.months) - 1
    for position in range(len(plan.months)):
        desk = Desk(people, position)
        for month in plan.months if position == last else (plan.months[position],):
            for who, queue, start, stop, managers in _month_rows(people, desk, month):
                for at, manager in enumerate(managers):
                    yield position, who, queue, start, stop, manager, at == 0


def _month_rows(
    people: People, desk: Desk, month: Month
) -> Iterator[tuple[str | None, str | None, date, date, list[str]]]:
    days = [month.start + timedelta(days=n) for n in range((month.end - month.start).days)]
    for person in people.persons:
        who = person.employee_id
        for span in _spans(days, [desk.for_person(who, day) for day in days]):
            yield who, None, *span
    for team in people.teams:
        for span in _spans(days, [desk.for_queue(team.team_id, day) for day in days]):
            yield None, team.team_id, *span


def _spans(days: list[date], found: list[list[str]]) -> Iterator[tuple[date, date, list[str]]]:
    """Join neighbouring days with the same answer."""
    start = 0
    for at in range(1, len(days) + 1):
        if at == len(days) or found[at] != found[start]:
            yield days[start], days[at - 1] + timedelta(days=1), found[start]
            start = at
