"""The scorecards gate's look back: is a KPI, or the share of a grade, far from the year before?

Compares the company as a whole with its own months by median and median absolute deviation; what
drifts may be true, so it is a warning unless a company says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.rules import CRITICAL, WARNING, Rule, rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

_MONTHS = 12
# of a normal distribution, the deviation that a median absolute deviation stands for
_MAD = 1.4826


def prepare(con: DuckDBPyConnection, case: Case) -> None:
    """Make `company_rates` and `grade_shares` of the month and the twelve before it.

    The warehouse is attached as `warehouse`. Rates are sums over all people, by version of the
    KPI: another definition has another past.
    """
    span = (
        f"month > date '{case.month.plus(-_MONTHS - 1).start}' "
        f"and month <= date '{case.month.start}'"
    )
    con.execute(
        "create table company_rates as select month, k.kpi_id, kpi_version, "
        "sum(numerator)::double / nullif(sum(denominator), 0)::double as rate, "
        "sum(denominator)::double as cases, coalesce(bool_or(d.kind = 'proportion'), false) "
        "as is_share from warehouse.kpis.kpi_employee_months k left join definitions d "
        "on d.kpi_id = k.kpi_id and d.version = k.kpi_version "
        f"where {span} group by month, k.kpi_id, kpi_version"
    )
    con.execute(
        "create table grade_shares as with held as (select month, grade, count(*) as managers "
        "from warehouse.scorecards.scorecard_manager_months "
        f"where {span} and grade is not null group by month, grade), "
        "all_of as (select month, sum(managers) as graded from held group by month), "
        "names as (select distinct grade from held) "
        "select month, grade, coalesce(managers, 0)::double / graded as rate, "
        "graded::double as cases, true as is_share "
        "from all_of cross join names left join held using (month, grade)"
    )


def rules(case: Case) -> list[Rule]:
    """Return the rules over `company_rates` and `grade_shares`."""
    severity = CRITICAL if case.threshold("scorecards", "drift_critical") else WARNING
    deviations = case.threshold("scorecards", "drift_deviations")
    allowed = f"{deviations:g} deviations from the median of at most {_MONTHS} months before"
    judged = "kpi_id in (select kpi_id from kpi_months where target is not null)"
    return [
        rows(
            "kpi_drift", severity, "company_rates",
            _far(case, ("kpi_id", "kpi_version"), "abs(median)", judged),
            ("No KPI of the whole company is far from where it was in the last twelve months",
             "全公司各指标与近十二个月相比没有异常偏移"),
            threshold=allowed, limit="drift_deviations",
        ),
        rows(
            "grade_drift", severity, "grade_shares",
            _far(case, ("grade",), "1", "true"),
            ("No grade is given far more or less often than in the last twelve months",
             "各等级占比与近十二个月相比没有异常偏移"),
            threshold=allowed, limit="drift_deviations",
        ),
    ]  # fmt: skip


def _far(case: Case, names: tuple[str, ...], whole: str, condition: str) -> str:
    """Return SQL for what lies further from its past's median than the threshold allows.

    A deviation is the largest of what the months themselves say, of what chance does to a share
    of so many cases, and of a floor: a company that never moved may move a little.
    """
    deviations = case.threshold("scorecards", "drift_deviations")
    floor = case.threshold("scorecards", "drift_floor")
    months = case.threshold("scorecards", "drift_months")
    by = ", ".join(names)
    month = f"date '{case.month.start}'"
    return (
        f"select {by}, round(rate, 4) as now, round(median, 4) as median, months, "
        "round(deviation, 4) as deviation from (select *, greatest("
        f"{_MAD} * spread, {floor!r} * {whole}, "
        "case when is_share then sqrt(greatest(chance * (1 - chance), 0) / cases) end) "
        "as deviation from (select *, (median * cases + 1) / (cases + 2) as chance "
        f"from (select * from batch where month = {month} and rate is not null) "
        f"join (select {by}, median(rate) as median, mad(rate) as spread, count(*) as months "
        f"from batch where month < {month} and rate is not null group by {by}) using ({by}))) "
        f"where months >= {months!r} and deviation > 0 "
        f"and abs(rate - median) > {deviations!r} * deviation and {condition}"
    )
