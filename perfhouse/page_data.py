"""What the overview pages draw on: one month of every manager, their KPIs, and who is above whom.

Reads a warehouse connection; it may not judge, write a file or know the clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from perfhouse import card_changes, scorecards
from perfhouse.scorecards import Definition, KpiScore, Total

if TYPE_CHECKING:
    import duckdb

    from perfhouse.month import Month

_LIMITS: scorecards.Columns = {
    "kpi_id": "varchar",
    "kpi_version": "varchar",
    "reference_value": "double",
    "within_variance": "double",
    "between_variance": "double",
}
_PERSON: scorecards.Columns = {
    "manager_id": "varchar",
    "display_name": "varchar",
    "team_id": "varchar",
    "team_name": "varchar",
}
_PLACE: scorecards.Columns = {
    "employee_id": "varchar",
    "valid_from": "date",
    "location": "varchar",
}


@dataclass(frozen=True)
class Funnel:
    """What a KPI's control limits rest on.

    At n cases one standard deviation is sqrt(within_variance / n + between_variance).
    """

    reference_value: float
    within_variance: float
    between_variance: float


@dataclass(frozen=True)
class Kpi:
    """A KPI of a page; `funnel` is None where no limits can be told."""

    definition: Definition
    funnel: Funnel | None


@dataclass(frozen=True)
class Manager:
    """One manager's month; `place` is where they work at its end."""

    total: Total
    name: str | None
    team: str | None
    place: str | None
    cells: Mapping[str, KpiScore]


@dataclass(frozen=True)
class Overview:
    """A month of some managers, best total first; `below` names whom each of them is above.

    Everybody is below themselves, so that who has a subtree has more than one. `reason`: why the
    month was restated; `restated`: whose numbers the release before had otherwise.
    """

    month: Month
    managers: Sequence[Manager]
    kpis: Sequence[Kpi]
    below: Mapping[str, frozenset[str]]
    release: str | None
    reason: str | None = None
    restated: frozenset[str] = frozenset()

    def of(self, ancestor_id: str) -> Overview:
        """Return what one manager may see: themselves and those below, and the KPIs of these."""
        seen = self.below.get(ancestor_id, frozenset())
        managers = [m for m in self.managers if m.total.manager_id in seen]
        below = {name: ids for name, ids in self.below.items() if name in seen}
        return replace(self, managers=managers, kpis=_of_managers(self.kpis, managers), below=below)

    @property
    def directors(self) -> list[str]:
        """List the managers who have managers below them, by id."""
        return sorted(name for name, ids in self.below.items() if len(ids) > 1)


def read(
    con: duckdb.DuckDBPyConnection, month: Month, release: Mapping[str, Any] | None = None
) -> Overview:
    """Read a month's overview of every manager; `release` is that of `card_reading.read_sheet`."""
    said = release or {}
    totals = [t for t in scorecards.totals(con, month) if t.month == month.start]
    cells = {
        manager: {score.kpi_id: score for score in scores}
        for manager, scores in scorecards.kpi_scores(con, month).items()
    }
    people = {
        row[0]: row[1:]
        for row in scorecards.read(con, "core.dim_managers", _PERSON, "month = ?", [month.start])
    }
    places = _places(con, month)
    managers = []
    for total in sorted(totals, key=_best_first):
        name, team_id, team_name = people.get(total.manager_id, (None, None, None))
        managers.append(
            Manager(
                total,
                None if name == total.manager_id else name,
                team_name or team_id,
                places.get(total.manager_id),
                cells.get(total.manager_id, {}),
            )
        )
    kpis = _kpis(con, month, [cell for own in cells.values() for cell in own.values()])
    below = _below(con, month, {total.manager_id for total in totals})
    return Overview(
        month,
        managers,
        _of_managers(kpis, managers),
        below,
        release=f"{month}.r{said['number']}" if said.get("number") else None,
        reason=card_changes.told_reason(said.get("reason")),
        restated=frozenset(said.get("restated", ())),
    )


def _best_first(total: Total) -> tuple[bool, float, str]:
    return total.total_score is None, -(total.total_score or 0.0), total.manager_id


def _of_managers(kpis: Sequence[Kpi], managers: Sequence[Manager]) -> list[Kpi]:
    """Leave out KPIs that nobody among these managers is judged by."""
    judged = {
        cell.kpi_id
        for manager in managers
        for cell in manager.cells.values()
        if cell.status != "no_target"
    }
    return [kpi for kpi in kpis if kpi.definition.kpi_id in judged]


def _kpis(con: duckdb.DuckDBPyConnection, month: Month, cells: Sequence[KpiScore]) -> list[Kpi]:
    known = scorecards.definitions(con)
    rows = scorecards.read(
        *(con, "kpis.kpi_reliabilities", _LIMITS),
        "month = ? and method = 'estimated'",
        [month.start],
    )
    limits = {row[:2]: Funnel(*row[2:]) for row in rows}
    versions = {cell.kpi_id: cell.kpi_version for cell in cells}
    found = [
        Kpi(scorecards.definition_of(known, kpi_id, version), limits.get((kpi_id, version)))
        for kpi_id, version in versions.items()
    ]
    return sorted(found, key=lambda kpi: _in_house_order(kpi.definition))


def _in_house_order(definition: Definition) -> tuple[int, str, str]:
    categories = scorecards.CATEGORIES
    known = definition.category in categories
    at = categories.index(definition.category) if known else len(categories)
    return at, definition.category, definition.kpi_id


def _places(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, str | None]:
    """Return where each employee works, as of the last stretch of the month."""
    if "location" not in scorecards.columns_of(con, "core", "dim_employees"):
        return {}
    rows = scorecards.read(con, "core.dim_employees", _PLACE, "month = ?", [month.start])
    return {row[0]: row[2] for row in rows}


def _below(
    con: duckdb.DuckDBPyConnection, month: Month, managers: set[str]
) -> dict[str, frozenset[str]]:
    """Say whose numbers a manager may see: the rule of the mart, who is below in the month."""
    rows = scorecards.read(
        *(con, "scorecards.scorecard_manager_tree"),
        {"ancestor_id": "varchar", "manager_id": "varchar"},
        "month = ?",
        [month.start],
    )
    found: dict[str, set[str]] = defaultdict(set)
    for ancestor, manager in rows:
        if ancestor in managers and manager in managers:
            found[ancestor] |= {ancestor, manager}
    return {ancestor: frozenset(ids) for ancestor, ids in found.items()}
