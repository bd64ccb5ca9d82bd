"""The scorecards gate: is everybody there, is every number in range, do two roads meet?

Judges one month's scorecards as they stand in the warehouse; it may not change them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations import drift
from expectations.rules import CRITICAL, WARNING, Rule, between, in_set, rows
from perfhouse import warehouse
from perfhouse.hashing import content_sha256, sha256_of
from perfhouse.public_tables import PUBLIC_TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

TOLERANCE = 0.0005
_KPI_STATUS = ("scored", "insufficient_data", "no_target", "not_available", "excluded")
_MANAGER_STATUS = ("scored", "insufficient_coverage", "no_target", "no_team")
_KPI_KEY = ("manager_id", "kpi_id")

# scratch table: what it holds of the month
_SOURCES = {
    "kpi_months": "select * from {w}.scorecards.scorecard_kpi_months where month = {m}",
    "manager_months": "select * from {w}.scorecards.scorecard_manager_months where month = {m}",
    "team_months": "select * from {w}.scorecards.scorecard_team_months where month = {m}",
    "employee_months": "select * from {w}.kpis.kpi_employee_months where month = {m}",
    "definitions": "select * from {w}.kpis.kpi_definitions",
    "managers": "select * from {w}.core.dim_managers where month = {m}",
    "grades": "select * from {w}.config.grades",
    "appeals": "select * from {w}.scorecards.scorecard_appeals where month = {m}",
}
# The points of the value `shown`, written a second time.
_POINTS = (
    "round(greatest(0, least(120, case when (shown - target) * sign(target - floor) < 0 "
    "then 100 * (shown - floor) / nullif(target - floor, 0) "
    "when stretch is null then 100 when stretch = target then 120 "
    "else 100 + 20 * (shown - target) / (stretch - target) end)), 6)"
)
# Everybody on a management path answers for the row once; without a path, its manager alone. The
# pipeline goes by dim_manager_tree, this by the text of the path.
_ANSWERED = (
    "create table answered as select kpi_id, kpi_version, unnest(list_distinct(list_append("
    "list_transform(coalesce(string_split(management_path, '/'), []), "
    "lambda step: replace(replace(step, '%2F', '/'), '%25', '%')), manager_id))) as manager_id, "
    "numerator, denominator from employee_months where manager_id is not null"
)


def subject(case: Case) -> str:
    """Return the hash of the month's published tables as they stand in the warehouse."""
    con = warehouse.connect(case.home.warehouse, read_only=True)
    try:
        return sha256_of(
            {
                t.name: content_sha256(con, t.relation, t.key, t.where(case.month))
                for t in PUBLIC_TABLES
            }
        )
    finally:
        con.close()


def prepare(con: DuckDBPyConnection, case: Case) -> tuple[Rule, ...]:
    """Copy the month out of the warehouse; return the rules over the copies."""
    path = str(case.home.warehouse).replace("'", "''")
    con.execute(f"attach '{path}' as warehouse (read_only)")
    for name, query in _SOURCES.items():
        text = query.format(w="warehouse", m=f"date '{case.month.start}'")
        con.execute(f"create table {name} as {text}")
    drift.prepare(con, case)
    con.execute("detach warehouse")
    con.execute(_ANSWERED)
    share = case.threshold("scorecards", "insufficient_share")
    uncredited = case.threshold("scorecards", "uncredited_share")
    return (
        *_presence_rules(share),
        *_kpi_rules(),
        *_credit_rules(uncredited),
        *_total_rules(),
        *_rank_rules(),
        *_appeal_rules(case),
        *drift.rules(case),
    )


def _presence_rules(share: float) -> list[Rule]:
    return [
        rows(
            "managers_present", CRITICAL, "managers",
            "select m.manager_id from batch m where m.manager_id not in "
            "(select manager_id from manager_months)",
            ("Every active manager has a scorecard", "每位在岗主管都有绩效卡"),
        ),
        rows(
            "managers_known", CRITICAL, "manager_months",
            "select manager_id from batch where manager_id not in "
            "(select manager_id from managers)",
            ("Nobody but an active manager has a scorecard", "只有在岗主管才有绩效卡"),
        ),
        rows(
            "managers_once", CRITICAL, "manager_months",
            "select manager_id, count(*) as cards from batch group by manager_id "
            "having count(*) > 1",
            ("Every manager has one scorecard", "每位主管只有一张绩效卡"),
        ),
        rows(
            "month_not_empty", CRITICAL, "manager_months",
            "select 'no scorecard' as month from (select count(*) as n from batch) where n = 0",
            ("The month has scorecards", "本月有绩效卡"),
        ),
        rows(
            "managers_scored", WARNING, "manager_months",
            "select unscored, managers from (select count(*) filter (where total_score is null) "
            f"as unscored, count(*) as managers from batch) "
            f"where unscored > {share!r} * managers",
            ("Most managers have a total", "多数主管有总分"),
            threshold=f"{share:.0%} without a total",
            limit="insufficient_share",
        ),
        rows(
            "managers_without_team", WARNING, "manager_months",
            "select manager_id from batch where status = 'no_team'",
            ("Every manager has a team", "每位主管都有团队"),
        ),
    ]  # fmt: skip


def _kpi_rules() -> list[Rule]:
    return [
        between(
            "kpi_score_range", CRITICAL, "kpi_months", "score", (0, 120), _KPI_KEY,
            ("KPI scores lie between 0 and 120", "指标得分在 0 至 120 之间"),
        ),
        in_set(
            "kpi_status_known", CRITICAL, "kpi_months", "status", _KPI_STATUS, _KPI_KEY,
            ("Every KPI has a known status", "指标状态取值在列表之内"),
        ),
        rows(
            "kpi_value_range", CRITICAL, "kpi_months",
            "select k.manager_id, k.kpi_id, k.value, k.adjusted_value, k.shrunk_value, k.ci_low, "
            "k.ci_high from batch k join definitions d "
            "on d.kpi_id = k.kpi_id and d.version = k.kpi_version "
            "where (d.unit in ('rate', 'net_rate') or d.kind = 'proportion') "
            "and k.status = 'scored' "
            "and (greatest(k.value, k.adjusted_value, k.shrunk_value, k.ci_low, k.ci_high) > 1 "
            "or least(k.value, k.adjusted_value, k.shrunk_value, k.ci_low, k.ci_high) "
            "< case when d.is_signed then -1 else 0 end)",
            ("Rates and their limits lie between 0 and 1, those that may be negative between -1 "
             "and 1, adjusted ones too",
             "比率及其区间在 0 至 1 之间，可为负的在 -1 至 1 之间，调整后亦然"),
        ),
        rows(
            "kpi_defined", CRITICAL, "kpi_months",
            "select k.manager_id, k.kpi_id, k.kpi_version from batch k left join definitions d "
            "on d.kpi_id = k.kpi_id and d.version = k.kpi_version where d.kpi_id is null",
            ("Every KPI has a definition of its version", "每个指标都有对应版本的定义"),
        ),
        rows(
            "kpi_value_is_a_ratio", CRITICAL, "kpi_months",
            "select manager_id, kpi_id, numerator, denominator, value from batch "
            f"where denominator > 0 and value is not null "
            f"and abs(value - numerator / denominator) > {TOLERANCE} * greatest(1, abs(value))",
            ("Every value is its numerator over its denominator", "指标值等于分子除以分母"),
        ),
        rows(
            "kpi_sample_size", CRITICAL, "kpi_months",
            "select k.manager_id, k.kpi_id, k.sample_size, k.minimum_sample, k.row_count, "
            "k.minimum_rows from batch k "
            "where k.status = 'scored' and (k.score is null or k.value is null "
            "or k.sample_size is null or k.sample_size <= 0 or k.sample_size < k.minimum_sample "
            "or k.row_count is null or k.row_count < k.minimum_rows)",
            ("Every scored KPI has a value, a score and a large enough sample",
             "已评分指标都有数值、得分与足够的样本"),
        ),
        rows(
            "kpi_unscored_has_no_score", CRITICAL, "kpi_months",
            "select manager_id, kpi_id, status, score from batch "
            "where status <> 'scored' and score is not null",
            ("A KPI without enough data has no score", "样本不足的指标没有得分"),
        ),
        rows(
            "kpi_score_follows_target", CRITICAL, "kpi_months",
            f"select manager_id, kpi_id, score, expected from (select *, {_POINTS} "
            "as expected from (select *, coalesce(shrunk_value, adjusted_value, value) as shown "
            "from batch where status = 'scored')) where abs(score - expected) > 0.01",
            ("Every score follows from value, floor, target and stretch, computed again",
             "得分由数值、下限、目标、挑战值推出，重算一致"),
        ),
        rows(
            "part_score_follows_target", CRITICAL, "team_months",
            "select manager_id, team_id, kpi_id, status, score, expected from (select *, "
            f"case when status = 'scored' then {_POINTS} end as expected "
            "from (select *, value as shown from batch)) "
            "where (score is null) <> (expected is null) or abs(score - expected) > 0.01 "
            "or (status = 'scored' and (sample_size < minimum_sample or row_count < minimum_rows))",
            ("Every part of a month is scored by its own value and target, and only on enough data",
             "每段得分由该段数值与目标推出，样本不足不计分"),
        ),
        rows(
            "kpi_adds_up", CRITICAL, "kpi_months",
            "select kpi_id, manager_id, numerator, facts_numerator, denominator, facts_denominator "
            "from (select kpi_id, manager_id, numerator, denominator from batch) k left join "
            "(select kpi_id, manager_id, sum(numerator) as facts_numerator, "
            "sum(denominator) as facts_denominator from answered group by 1, 2) f "
            "using (kpi_id, manager_id) "
            "where abs(numerator - coalesce(facts_numerator, 0)) > 0.001 "
            "or abs(denominator - coalesce(facts_denominator, 0)) > 0.001",
            ("Each manager's sums are the sums over all people below them",
             "主管的分子分母等于其下所有人员之和"),
        ),
    ]  # fmt: skip


def _credit_rules(share: float) -> list[Rule]:
    # The head of the house has no manager to be credited to; nothing of theirs is lost. A KPI
    # without a target judges nobody.
    lost = (
        "select kpi_id, round(uncredited, 4)::double as uncredited from (select kpi_id, "
        "sum(denominator) filter (where manager_id is null) / nullif(sum(denominator), 0) "
        "as uncredited from (select * from batch where manager_id is not null or employee_id "
        "is null or employee_id not in (select manager_id from managers)) group by kpi_id) "
        "where kpi_id in (select kpi_id from kpi_months where target is not null) and uncredited > "
    )
    return [
        rows(
            "uncredited_share", CRITICAL, "employee_months", f"{lost}{share!r}",
            ("Little of any KPI is credited to nobody", "各指标无归属主管的部分在限度之内"),
            threshold=f"{share:.2%} of a KPI's cases",
            limit="uncredited_share",
        ),
        rows(
            "credits_complete", WARNING, "employee_months", f"{lost}0",
            ("All of every KPI is credited to a manager", "各指标全部归属到主管"),
        ),
    ]  # fmt: skip


def _total_rules() -> list[Rule]:
    key = ("manager_id",)
    return [
        between(
            "total_range", CRITICAL, "manager_months", "total_score", (0, 120), key,
            ("Totals lie between 0 and 120", "总分在 0 至 120 之间"),
        ),
        between(
            "coverage_range", CRITICAL, "manager_months", "coverage_rate", (0, 1), key,
            ("Coverage lies between 0 and 1", "覆盖率在 0 至 1 之间"),
        ),
        in_set(
            "manager_status_known", CRITICAL, "manager_months", "status", _MANAGER_STATUS, key,
            ("Every manager has a known status", "主管状态取值在列表之内"),
        ),
        rows(
            "status_fits_total", CRITICAL, "manager_months",
            "select manager_id, status, total_score from batch "
            "where (status = 'scored') <> (total_score is not null)",
            ("A total is there exactly when the manager is scored", "有总分当且仅当状态为已评分"),
        ),
        rows(
            "weights_sum", CRITICAL, "kpi_months",
            "select manager_id, sum(effective_weight) as weights from batch "
            "where status = 'scored' and manager_id in (select manager_id from manager_months "
            "where status = 'scored') group by manager_id "
            "having abs(sum(effective_weight) - 1) > 0.0001",
            ("The weights of a manager's scored KPIs sum to 100 %",
             "主管已评分指标的权重合计为 100%"),
        ),
        rows(
            "weights_in_range", CRITICAL, "kpi_months",
            "select manager_id, kpi_id, weight, effective_weight from batch "
            "where weight < 0 or effective_weight < 0 or effective_weight > 1",
            ("No weight is negative or more than the whole", "权重不为负，也不超过整体"),
        ),
        rows(
            "total_by_two_roads", CRITICAL, "manager_months",
            "select m.manager_id, m.total_score, k.total as recomputed from batch m left join "
            "(select manager_id, sum(score * effective_weight) as total from kpi_months "
            "where status = 'scored' group by manager_id) k using (manager_id) "
            "where m.total_score is not null "
            "and (k.total is null or abs(m.total_score - k.total) > 0.001)",
            ("Every total is the weighted sum of its KPI scores, computed again",
             "总分等于指标得分的加权和，重算一致"),
        ),
        rows(
            "grade_fits_total", CRITICAL, "manager_months",
            "select m.manager_id, m.total_score, m.grade, g.grade as expected from batch m "
            "left join (select grade, from_score, lead(from_score) over (order by from_score) "
            "as until_score from grades) g on m.total_score >= g.from_score "
            "and (g.until_score is null or m.total_score < g.until_score) "
            "where m.grade is distinct from g.grade",
            ("Every grade follows from its total and the announced bands",
             "等级由总分与公布的分档推出"),
        ),
    ]  # fmt: skip


def _rank_rules() -> list[Rule]:
    return [
        rows(
            "rank_follows_total", CRITICAL, "manager_months",
            "select manager_id, total_score, rank, expected from (select *, case when total_score "
            "is not null then rank() over (partition by role, total_score is null "
            "order by total_score desc) end as expected from batch) "
            "where rank is distinct from expected",
            ("Ranks follow from the totals of managers of one role", "排名由同岗主管的总分推出"),
        ),
        rows(
            "peers_counted", CRITICAL, "manager_months",
            "select manager_id, peer_count, expected from (select *, "
            "count(total_score) over (partition by role) as expected from batch) "
            "where rank is not null and peer_count is distinct from expected",
            ("The number of peers is the number of ranked managers of the role",
             "同岗人数等于该岗位参与排名的主管数"),
        ),
    ]  # fmt: skip


def _appeal_rules(case: Case) -> list[Rule]:
    return [
        rows(
            "appeals_overdue", WARNING, "appeals",
            "select appeal_id, decide_by from batch where state in ('submitted', 'accepted') "
            f"and decide_by < date '{case.as_of.end}'",
            ("No appeal about the month waits for longer than was promised",
             "没有超过裁定期限仍未裁定的申诉"),
        ),
        rows(
            "appeals_have_effect", WARNING, "appeals",
            "select appeal_id, outcome from batch where state = 'upheld' and outcome <> 'applied'",
            ("Every appeal that was upheld changes what it asks for", "裁定成立的申诉均已生效"),
        ),
    ]  # fmt: skip
