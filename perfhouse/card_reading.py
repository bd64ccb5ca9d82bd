"""Reads everything that one month's cards show from a warehouse connection.

It may not decide what a card shows of it, and writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from perfhouse import card_alerts, card_appeals, card_changes, card_training, scorecards
from perfhouse.card_sheet import AgentResult, Person, Sheet
from perfhouse.month import Month

if TYPE_CHECKING:
    import duckdb

RUN_BEFORE_CARDS = ("raw", "facts", "scorecards")


def read_sheet(
    con: duckdb.DuckDBPyConnection, month: Month, release: Mapping[str, Any] | None = None
) -> Sheet:
    """Read everything that the month's cards show.

    Args:
        con: the warehouse, read only.
        month: months before it are read for the trend, later ones never.
        release: what the cards are published as: `number`; `restated`, the numbers that the
            release before had otherwise (`card_changes.read_restated`); `reason`, why the month
            was restated.
    """
    everyone = scorecards.totals(con, month, back=scorecards.TREND_MONTHS - 1)
    history: dict[str, list[scorecards.Total]] = defaultdict(list)
    for total in everyone:
        history[total.manager_id].append(total)
    minimum = scorecards.read(
        con, "config.settings", {"value": "double"}, "name = ?", ["coverage_minimum"]
    )
    managers = [total.manager_id for total in everyone if total.month == month.start]
    names = _names(con, month)
    return Sheet(
        month=month.start,
        totals=tuple(t for t in everyone if t.month == month.start),
        history=history,
        peer_totals=_peer_totals(con, month),
        scores=scorecards.kpi_scores(con, month),
        before=scorecards.kpi_scores(con, month.plus(-1)),
        peer_values=_peer_values(con, month),
        definitions=scorecards.definitions(con),
        people=_people(con, month),
        names=names,
        agents=_agents(con, month, names),
        training=card_training.read(con, month),
        alerts=card_alerts.read(con, month, managers, RUN_BEFORE_CARDS),
        moves=card_changes.read(con, month),
        restated=(release or {}).get("restated", {}),
        reason=card_changes.told_reason((release or {}).get("reason")),
        parts=scorecards.team_parts(con, month),
        appeals=card_appeals.read(con, month),
        appeal_by=card_appeals.deadline(con, month),
        grades=_grades(con),
        coverage_minimum=minimum[0][0] if minimum else None,
        verdicts=tuple(v for v in scorecards.verdicts(con, month) if v.gate in RUN_BEFORE_CARDS),
        release=f"{month}.r{release['number']}" if release and release.get("number") else None,
    )


def _peer_totals(con: duckdb.DuckDBPyConnection, month: Month) -> dict[Any, list[float]]:
    """Totals by month and role, ascending."""
    first = month.plus(1 - scorecards.TREND_MONTHS).start
    rows = con.execute(
        "select cast(month as date), role, "
        "list(cast(total_score as double) order by total_score) "
        "from scorecards.scorecard_manager_months "
        "where month between ? and ? and total_score is not null group by all",
        [first, month.start],
    ).fetchall()
    return {(row[0], row[1]): row[2] for row in rows}


def _peer_values(con: duckdb.DuckDBPyConnection, month: Month) -> dict[Any, list[float]]:
    """Values of each KPI by role, ascending, of those who were scored."""
    rows = con.execute(
        "select managers.role, kpis.kpi_id, list(cast(kpis.value as double) order by kpis.value) "
        "from scorecards.scorecard_kpi_months as kpis "
        "join scorecards.scorecard_manager_months as managers using (month, manager_id) "
        "where month = ? and kpis.status = 'scored' and kpis.value is not null group by all",
        [month.start],
    ).fetchall()
    return {(row[0], row[1]): row[2] for row in rows}


def _people(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, Person]:
    columns = {
        "manager_id": "varchar",
        "display_name": "varchar",
        "team_id": "varchar",
        "team_name": "varchar",
    }
    rows = scorecards.read(con, "core.dim_managers", columns, "month = ?", [month.start])
    return {
        manager_id: Person(None if name == manager_id else name, team_name or team_id)
        for manager_id, name, team_id, team_name in rows
    }


def _names(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, str]:
    """Each employee's name; of several in the month the newest."""
    columns = {"employee_id": "varchar", "display_name": "varchar", "valid_from": "date"}
    known = scorecards.read(con, "core.dim_employees", columns, "month = ?", [month.start])
    ordered = sorted(known, key=lambda row: (row[0], str(row[2]), str(row[1])))
    return {row[0]: row[1] for row in ordered if row[1]}


def _agents(
    con: duckdb.DuckDBPyConnection, month: Month, names: Mapping[str, str]
) -> dict[str, list[AgentResult]]:
    """Each agent's sums by KPI, only within the team of the manager they are credited to."""
    if not scorecards.columns_of(con, "kpis", "kpi_employee_months"):
        return {}
    rows = con.execute(
        "select manager_id, employee_id, kpi_id, "
        "cast(sum(numerator) as double), cast(sum(denominator) as double) "
        "from kpis.kpi_employee_months where month = ? "
        "and manager_id is not null and employee_id is not null and employee_id <> manager_id "
        "group by all order by all",
        [month.start],
    ).fetchall()
    found: dict[str, list[AgentResult]] = defaultdict(list)
    for manager_id, employee_id, kpi_id, numerator, denominator in rows:
        name = names.get(employee_id) or employee_id
        found[manager_id].append(
            AgentResult(employee_id, name, kpi_id, numerator or 0.0, denominator or 0.0)
        )
    return dict(found)


def _grades(con: duckdb.DuckDBPyConnection) -> tuple[tuple[str, float], ...]:
    rows = scorecards.read(con, "config.grades", {"grade": "varchar", "from_score": "double"})
    return tuple(sorted(rows, key=lambda row: (-row[1], row[0])))
