"""What the warehouse says about one month: totals, KPI scores, definitions, peers, verdicts.

Reads and does the arithmetic that cards and explanations share; it writes nothing, shows
nothing and may not know releases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from perfhouse.month import Month

SCORED = "scored"
TOP_SCORE = 120.0
TARGET_SCORE = 100.0
TREND_MONTHS = 12
CATEGORIES = ("result", "quality", "efficiency", "people", "innovation")

# Columns that a later version fills may be absent from a table: they are read as null.
Columns = Mapping[str, str]
_TOTAL: Columns = {
    "month": "date",
    "manager_id": "varchar",
    "role": "varchar",
    "total_score": "double",
    "grade": "varchar",
    "rank": "bigint",
    "rank_low": "bigint",
    "rank_high": "bigint",
    "peer_count": "bigint",
    "coverage_rate": "double",
    "change": "double",
    "previous_total_score": "double",
    "agent_count": "bigint",
    "exposure_days": "double",
    "status": "varchar",
    "total_low": "double",
    "total_high": "double",
    "change_status": "varchar",
}
_KPI: Columns = {
    "manager_id": "varchar",
    "kpi_id": "varchar",
    "kpi_version": "varchar",
    "numerator": "double",
    "denominator": "double",
    "sample_size": "double",
    "value": "double",
    "shrunk_value": "double",
    "ci_low": "double",
    "ci_high": "double",
    "floor": "double",
    "target": "double",
    "stretch": "double",
    "weight": "double",
    "score": "double",
    "status": "varchar",
    "target_version": "varchar",
    "effective_weight": "double",
    "minimum_sample": "double",
    "is_provisional": "boolean",
    "change": "double",
    "change_status": "varchar",
    "funnel_status": "varchar",
    "row_count": "double",
    "minimum_rows": "double",
    "adjusted_value": "double",
}
_PART: Columns = {
    "manager_id": "varchar",
    "exposure_days": "bigint",
    "team_id": "varchar",
    "team_name": "varchar",
    "kpi_id": "varchar",
    "kpi_version": "varchar",
    "sample_size": "double",
    "value": "double",
    "target": "double",
    "score": "double",
    "status": "varchar",
}
_DEFINITION: Columns = {
    "kpi_id": "varchar",
    "version": "varchar",
    "name_en": "varchar",
    "name_zh": "varchar",
    "definition_en": "varchar",
    "definition_zh": "varchar",
    "category": "varchar",
    "unit": "varchar",
    "direction": "varchar",
    "minimum_sample": "double",
    "row_sql": "varchar",
    "is_suppressed": "boolean",
    "credit_to": "varchar",
}
_CHECK: Columns = {
    "gate": "varchar",
    "check_id": "varchar",
    "severity": "varchar",
    "passed": "boolean",
    "accepted_by": "varchar",
}


@dataclass(frozen=True)
class Total:
    """One manager's month; scores run from 0 to 120, `coverage_rate` from 0 to 1."""

    month: date
    manager_id: str
    role: str | None
    total_score: float | None
    grade: str | None
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    peer_count: int | None
    coverage_rate: float | None
    change: float | None
    previous_total_score: float | None
    agent_count: int | None
    exposure_days: float | None
    status: str | None
    total_low: float | None = None
    total_high: float | None = None
    change_status: str | None = None


@dataclass(frozen=True, slots=True)
class KpiScore:
    """One KPI of one manager and month, in the KPI's unit; `score` is None unless scored.

    A company's cards hold hundreds of thousands.
    """

    manager_id: str
    kpi_id: str
    kpi_version: str | None
    numerator: float | None
    denominator: float | None
    sample_size: float | None
    value: float | None
    shrunk_value: float | None
    ci_low: float | None
    ci_high: float | None
    floor: float | None
    target: float | None
    stretch: float | None
    weight: float | None
    score: float | None
    status: str | None
    target_version: str | None
    effective_weight: float | None
    minimum_sample: float | None
    is_provisional: bool | None = None
    change: float | None = None
    change_status: str | None = None
    funnel_status: str | None = None
    row_count: float | None = None
    minimum_rows: float | None = None
    adjusted_value: float | None = None

    @property
    def basis(self) -> float | None:
        """The value that was scored: the shrunk one, where there is one."""
        return self.value if self.shrunk_value is None else self.shrunk_value

    @property
    def is_scored(self) -> bool:
        """Whether this KPI counts towards the total."""
        return self.status == SCORED and self.score is not None

    def lacks(self, definition: Definition) -> str | None:
        """Name what too little data there is of, as `scorecard_explanations` does.

        Returns `answers` (they are not shown, so that nobody's can be worked out), `cases`,
        `rows` or `months`; None where the status is not that there is too little.
        """
        if self.status != "insufficient_data":
            return None
        if self.sample_size is None and definition.is_suppressed:
            return "answers"
        if self.value is None or (self.sample_size or 0.0) < self.fewest(definition):
            return "cases"
        if self.row_count is None or self.minimum_rows is None:
            return None
        return "rows" if self.row_count < self.minimum_rows else "months"

    def fewest(self, definition: Definition) -> float:
        """Return the cases needed: the company's choice where it made one, else the KPI's own."""
        return definition.minimum_sample if self.minimum_sample is None else self.minimum_sample

    @property
    def scale(self) -> Scale | None:
        """Floor, target and stretch, or None when the KPI has no target."""
        if self.floor is None or self.target is None:
            return None
        return Scale(self.floor, self.target, self.stretch)


@dataclass(frozen=True)
class TeamPart:
    """One KPI of the part of a manager's month in one team, by that team's own target.

    `exposure_days`: on how many days of the month the manager answered for people of the team.
    """

    manager_id: str
    exposure_days: int
    team_id: str
    team_name: str
    kpi_id: str
    kpi_version: str | None
    sample_size: float | None
    value: float | None
    target: float | None
    score: float | None
    status: str


@dataclass(frozen=True)
class Definition:
    """What a KPI means; `minimum_sample` counts denominator units.

    `is_suppressed`: single answers are confidential and never shown.
    """

    kpi_id: str
    version: str | None
    name_en: str
    name_zh: str
    definition_en: str
    definition_zh: str
    category: str
    unit: str
    direction: str
    minimum_sample: float
    row_sql: str | None
    is_suppressed: bool
    credit_to: str


@dataclass(frozen=True)
class Verdict:
    """What a gate said about the month: passed when no critical check failed that nobody took on.

    `accepted` names the checks that failed and were taken on, each with who did.
    """

    gate: str
    passed: bool
    checks: int
    warnings: int
    accepted: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Scale:
    """The line through (floor, 0), (target, 100), (stretch, 120); downward when floor > target."""

    floor: float
    target: float
    stretch: float | None

    def score(self, value: float) -> float:
        """Score a value, clipped to 0..120; without a stretch the top is 100."""
        return min(max(self.unclipped(value), 0.0), TOP_SCORE)

    def unclipped(self, value: float) -> float:
        """Score a value without the bottom; tells a value below the floor from one on it."""
        sign = 1.0 if self.target >= self.floor else -1.0
        beyond = (value - self.target) * sign
        if beyond < 0:
            return (value - self.floor) / (self.target - self.floor) * TARGET_SCORE
        if self.stretch is None or self.stretch == self.target:
            return TARGET_SCORE
        gain = (value - self.target) / (self.stretch - self.target)
        return TARGET_SCORE + gain * (TOP_SCORE - TARGET_SCORE)


def read(
    con: duckdb.DuckDBPyConnection,
    table: str,
    columns: Columns,
    where: str = "true",
    parameters: Sequence[object] = (),
) -> list[tuple[Any, ...]]:
    """Read declared columns of `schema.table`, ordered by them; what is absent reads as null.

    `table`, `columns` and `where` are written here, never by a user: values go in `parameters`.
    """
    schema, name = table.split(".")
    present = columns_of(con, schema, name)
    if not present:
        return []
    items = (
        f"cast({_quoted(c) if c in present else 'null'} as {kind}) as {_quoted(c)}"
        for c, kind in columns.items()
    )
    sql = f"select {', '.join(items)} from {table} where {where} order by all nulls last"
    return con.execute(sql, list(parameters)).fetchall()


def columns_of(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> frozenset[str]:
    """Name the columns of a table; none when it does not exist."""
    rows = con.execute(
        "select column_name from duckdb_columns() "
        "where database_name = current_database() and schema_name = ? and table_name = ?",
        [schema, name],
    ).fetchall()
    return frozenset(row[0] for row in rows)


def months(con: duckdb.DuckDBPyConnection) -> list[str]:
    """List the months that have scorecards."""
    found = read(con, "scorecards.scorecard_manager_months", {"month": "date"})
    return sorted({f"{row[0]:%Y-%m}" for row in found})


def totals(con: duckdb.DuckDBPyConnection, month: Month, back: int = 0) -> list[Total]:
    """Read every manager's total of a month and of `back` months before it."""
    rows = read(
        con,
        "scorecards.scorecard_manager_months",
        _TOTAL,
        "month between ? and ?",
        [month.plus(-back).start, month.start],
    )
    return [Total(*row) for row in rows]


def kpi_scores(
    con: duckdb.DuckDBPyConnection, month: Month, manager_id: str | None = None
) -> dict[str, list[KpiScore]]:
    """Read KPI scores by manager, ordered by KPI; of one manager when an id is given."""
    rows = read(
        con,
        "scorecards.scorecard_kpi_months",
        _KPI,
        "month = ? and manager_id = coalesce(?, manager_id)",
        [month.start, manager_id],
    )
    found: dict[str, list[KpiScore]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(KpiScore(*row))
    return dict(found)


def team_parts(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, list[TeamPart]]:
    """Read the parts of managers who answered for people of more than one team, by manager."""
    rows = read(
        con,
        "scorecards.scorecard_team_months",
        _PART,
        "month = ? and exposure_days > 0 and manager_id in (select manager_id "
        "from scorecards.scorecard_team_months where month = ? and exposure_days > 0 "
        "group by manager_id having count(distinct team_id) > 1)",
        [month.start, month.start],
    )
    found: dict[str, list[TeamPart]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(TeamPart(*row))
    return dict(found)


def definitions(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str | None], Definition]:
    """Read KPI definitions by id and version; (id, None) is the newest version."""
    found: dict[tuple[str, str | None], Definition] = {}
    for row in read(con, "kpis.kpi_definitions", _DEFINITION):
        known = Definition(
            kpi_id=row[0],
            version=row[1],
            name_en=row[2] or row[0],
            name_zh=row[3] or row[2] or row[0],
            definition_en=row[4] or "",
            definition_zh=row[5] or row[4] or "",
            category=row[6] or "result",
            unit=row[7] or "rate",
            direction=row[8] or "up",
            minimum_sample=row[9] or 0.0,
            row_sql=row[10],
            is_suppressed=bool(row[11]),
            credit_to=row[12] or "employee",
        )
        found[known.kpi_id, known.version] = found[known.kpi_id, None] = known
    return found


def definition_of(
    known: Mapping[tuple[str, str | None], Definition], kpi_id: str, version: str | None
) -> Definition:
    """Find the definition a score was made with; an undescribed KPI is shown by its id."""
    found = known.get((kpi_id, version)) or known.get((kpi_id, None))
    if found:
        return found
    return Definition(
        kpi_id=kpi_id,
        version=version,
        name_en=kpi_id,
        name_zh=kpi_id,
        definition_en="",
        definition_zh="",
        category="result",
        unit="rate",
        direction="up",
        minimum_sample=0.0,
        row_sql=None,
        is_suppressed=True,
        credit_to="",
    )


def verdicts(con: duckdb.DuckDBPyConnection, month: Month) -> list[Verdict]:
    """Read what the gates said about the month; empty before any gate ran."""
    by_gate: dict[str, list[tuple[str, str, bool, str]]] = defaultdict(list)
    for gate, check, severity, passed, by in read(
        con, "ops.gate_verdicts", _CHECK, "month = ?", [month.start]
    ):
        by_gate[gate].append((check, severity, bool(passed), by or ""))
    order = {"raw": 0, "facts": 1, "scorecards": 2, "exports": 3}
    return [
        Verdict(
            gate=gate,
            passed=not any(kind != "warning" and not (ok or by) for _, kind, ok, by in checks),
            checks=len(checks),
            warnings=sum(kind == "warning" and not (ok or by) for _, kind, ok, by in checks),
            accepted=tuple(sorted((name, by) for name, _, ok, by in checks if by and not ok)),
        )
        for gate, checks in sorted(by_gate.items(), key=lambda i: (order.get(i[0], 9), i[0]))
    ]


def set_weights(scores: Iterable[KpiScore]) -> dict[str, float]:
    """Return the weights as they were set, as shares of 1: companies set 12 or 0.12 alike."""
    weights = {s.kpi_id: s.weight for s in scores if s.weight}
    whole = sum(weights.values())
    return {kpi_id: weight / whole for kpi_id, weight in weights.items()}


def effective_weights(
    scores: Iterable[KpiScore], category_of: Mapping[str, str]
) -> dict[str, float]:
    """Share out the weights of KPIs without a score: inside their category, then across.

    Returns weights that sum to 1 over the scored KPIs, empty when none is scored. The table's
    own `effective_weight` wins where the build provides it.
    """
    rows = [s for s in scores if s.weight]
    scored = [s for s in rows if s.is_scored]
    if scored and all(s.effective_weight is not None for s in scored):
        return {s.kpi_id: s.effective_weight or 0.0 for s in scored}
    of_category: dict[str, float] = defaultdict(float)
    with_data: dict[str, float] = defaultdict(float)
    for row in rows:
        of_category[category_of[row.kpi_id]] += row.weight or 0.0
    for row in scored:
        with_data[category_of[row.kpi_id]] += row.weight or 0.0
    reach = sum(of_category[category] for category in with_data)
    shares = {}
    for row in scored:
        category = category_of[row.kpi_id]
        shares[row.kpi_id] = (
            (row.weight or 0.0) / with_data[category] * of_category[category] / reach
        )
    return shares


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
