"""The training to recommend to a manager's people: courses overdue, certificates missing.

Reads a warehouse connection and lists what its facts say; it may not rate anybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from perfhouse import scorecards

if TYPE_CHECKING:
    import duckdb

    from perfhouse.month import Month

SHOWN = 8
_COURSES = 3  # named of each person
# Whoever answers for a person at the month's end can still do something about it.
_PEOPLE = (
    "select employee_id, responsible_manager_id as manager_id from core.dim_employees "
    "where month = $month and valid_to > $last_day and valid_from <= $last_day "
    "and responsible_manager_id <> employee_id"
)
_OVERDUE = (
    f"select p.manager_id, t.learner_employee_id, t.course_id, min(cast(t.due_on as date)) "
    f"from core.fct_training_records as t join ({_PEOPLE}) as p "
    "on t.learner_employee_id = p.employee_id "
    "where t.month = $month and t.is_due and t.completed_on is null and t.course_id is not null "
    "group by all order by all"
)
_MISSING = (
    f"select distinct p.manager_id, c.learner_employee_id, c.course_id "
    f"from core.fct_certifications as c join ({_PEOPLE}) as p "
    "on c.learner_employee_id = p.employee_id "
    "where c.month = $month and not c.is_valid and c.course_id is not null order by all"
)


@dataclass
class Needs:
    """What one person lacks: overdue courses with the day they were due, and certificates."""

    employee_id: str
    overdue: list[tuple[str, date]] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)


def read(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, list[Needs]]:
    """Read by manager what their people lack at the end of a month, the longest list first."""
    if "responsible_manager_id" not in scorecards.columns_of(con, "core", "dim_employees"):
        return {}
    values = {"month": month.start, "last_day": month.last_day}
    found: dict[str, dict[str, Needs]] = defaultdict(dict)
    if scorecards.columns_of(con, "core", "fct_training_records"):
        for manager, employee, course, due in con.execute(_OVERDUE, values).fetchall():
            of = found[manager].setdefault(employee, Needs(employee))
            of.overdue.append((course, due))
    if scorecards.columns_of(con, "core", "fct_certifications"):
        for manager, employee, course in con.execute(_MISSING, values).fetchall():
            of = found[manager].setdefault(employee, Needs(employee))
            of.certificates.append(course)
    return {
        manager: sorted(
            of.values(), key=lambda n: (-len(n.overdue) - len(n.certificates), n.employee_id)
        )
        for manager, of in found.items()
    }


def view(needs: Sequence[Needs], names: Mapping[str, str]) -> dict[str, Any] | None:
    """Describe what a manager's people lack; `names` are those of employees."""
    if not needs:
        return None
    return {
        "rows": [
            {
                "employee_id": n.employee_id,
                "name": names.get(n.employee_id) or n.employee_id,
                "overdue": _joined(
                    [f"{_short(course)} ({due:%m-%d})" for course, due in n.overdue]
                ),
                "certificates": _joined([_short(course) for course in n.certificates]),
            }
            for n in needs[:SHOWN]
        ],
        "more": max(0, len(needs) - SHOWN),
    }


def _short(course: str) -> str:
    """Name a course by the end of its address, as xAPI has one; any other id as it is."""
    return course.rstrip("/").rpartition("/")[2] if "://" in course else course


def _joined(parts: Sequence[str]) -> str:
    more = f" +{len(parts) - _COURSES}" if len(parts) > _COURSES else ""
    return ", ".join(parts[:_COURSES]) + more
