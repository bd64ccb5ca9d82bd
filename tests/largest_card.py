"""The largest honest card: everything there can be on one, in the KPIs' own names and definitions.

M04 of the small warehouse becomes a director of four teams: 20 KPIs, ten appeals, 30 agents with
long names, a year behind them, alerts, overdue training; a third of the KPIs are provisional,
a quarter restated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import scorecard_fixture as fixture
import yaml

from perfhouse.settings import project_dir

if TYPE_CHECKING:
    import duckdb

MANAGER = "M04"
KPIS = 20
AGENTS = 30
RELEASE: dict[str, Any] = {"number": 12}

# The columns that the hand-made tables of the small warehouse leave out.
_COLUMNS = """
alter table scorecards.scorecard_kpi_months add column change_status varchar;
alter table scorecards.scorecard_kpi_months add column funnel_status varchar;
alter table scorecards.scorecard_kpi_months add column is_provisional boolean;
alter table scorecards.scorecard_manager_months add column total_low double;
alter table scorecards.scorecard_manager_months add column total_high double;
alter table scorecards.scorecard_manager_months add column change_status varchar;
alter table kpis.kpi_definitions add column credit_to varchar;
alter table kpis.kpi_definitions add column is_suppressed boolean;
alter table core.dim_employees add column responsible_manager_id varchar;
alter table core.dim_employees add column valid_to date;
"""
_TWENTY = """
create temp table old as from scorecards.scorecard_kpi_months
    where month = date '2026-09-01' and kpi_id in
        (select kpi_id from scorecards.scorecard_kpi_months group by all having max(weight) >= .05);
delete from scorecards.scorecard_kpi_months where month = date '2026-09-01';
insert into scorecards.scorecard_kpi_months by name
select o.* exclude (n, change_status, funnel_status, is_provisional) replace (
        c.kpi_id as kpi_id, 0.05 as weight, 12345 as sample_size,
        case when c.unit like '%rat%' then 0.7654 else o.value end as value,
        case when c.unit like '%rat%' then 0.7543 else o.value * 1.01 end as shrunk_value,
        case when c.unit like '%rat%' then 0.7123 else o.value * .95 end as ci_low,
        case when c.unit like '%rat%' then 0.7987 else o.value * 1.05 end as ci_high,
        case when c.unit like '%rat%' then 0.655 else o.floor end as floor,
        case when c.unit like '%rat%' then 0.885 else o.target end as target,
        case when c.unit like '%rat%' then 0.955 else o.stretch end as stretch,
        87.5 as score, 'scored' as status),
    ['better', 'worse', 'no_clear_change', 'no_clear_change'][c.position % 4 + 1] as change_status,
    case when c.position % 5 = 0 then 'worse_998' end as funnel_status,
    c.position % 3 = 0 as is_provisional
from (select *, row_number() over (partition by manager_id order by kpi_id) as n from old) as o
join chosen as c on o.n = c.position % 8 + 1;
update scorecards.scorecard_manager_months set role = 'manager_of_managers', total_low = 80.11,
    total_high = 99.99, rank_low = 1, rank_high = 8, change_status = 'no_clear_change';
-- A month before of other scores: two KPIs came, one had another target, the others shared more.
delete from scorecards.scorecard_kpi_months where month = date '2026-08-01';
insert into scorecards.scorecard_kpi_months by name
select k.* replace (date '2026-08-01' as month, 40 + 4 * c.position as score,
    case when c.position = 5 then 0.9 * k.floor else k.floor end as floor)
from scorecards.scorecard_kpi_months as k join chosen as c using (kpi_id)
where k.month = date '2026-09-01' and c.position < 18;
update scorecards.scorecard_manager_months as m set total_score = 87.5,
    previous_total_score = t.was, change = 87.5 - t.was
from (select manager_id, sum(score * s.share) as was from (select *, weight / sum(weight) over
        (partition by manager_id) as share from scorecards.scorecard_kpi_months
    where month = date '2026-08-01') as s group by all) as t
where m.manager_id = t.manager_id and m.manager_id = 'M04' and m.month = date '2026-09-01';
update scorecards.scorecard_appeals set kpi_id =
    (select kpi_id from chosen where position = raised_on - date '2026-10-09')
    where kpi_id is not null and kpi_id <> '*';
insert into scorecards.scorecard_manager_months
    select * exclude (n) replace (cast(month - to_months(cast(4 * n as integer)) as date) as month)
    from scorecards.scorecard_manager_months, range(1, 3) as r(n);
create table scorecards.scorecard_explanations as
    select month, manager_id, kpi_id, -0.1234 as value_change, 0.0567 as mix_effect
    from scorecards.scorecard_kpi_months where month = date '2026-09-01';
delete from scorecards.scorecard_team_months;
insert into scorecards.scorecard_team_months
    select month, 'T' || n, manager_id, kpi_id, kpi_version, '华东区第' || n || '客服中心夜班组',
        345, value, 10 + n, target, 92.4, 'scored'
    from scorecards.scorecard_kpi_months, range(6) as r(n)
    where manager_id = 'M04' and month = date '2026-09-01';
"""
_PEOPLE = """
delete from kpis.kpi_employee_months where manager_id = 'M04';
delete from core.dim_employees where employee_id like 'E04%';
insert into core.dim_employees by name
    select date '2026-09-01' as month, 'E04' || (100 + n) as employee_id,
        'Alexandra Konstantinou ' || chr(cast(65 + n % 26 as integer)) as display_name,
        date '2026-09-01' as valid_from, date '2026-10-01' as valid_to,
        'M04' as responsible_manager_id
    from range(30) as r(n);
insert into kpis.kpi_employee_months
    select date '2026-09-01', kpi_id, '1', 'M04', 'T1', 'E04' || (100 + n), 300 + n, 400
    from chosen, range(30) as r(n);
create schema monitors;
create table monitors.monitor_findings as
    select date '2026-09-01' as month, 'M04' as manager_id, 'E04' || (100 + n) as employee_id,
        'reassigned_after_bad_rating' as monitor, date '2026-09-01' as period_from,
        date '2026-10-01' as period_to, 12 as evidence_count, 34 as chance_count,
        0.353 as value, 0.021 as peer_value
    from range(9) as r(n);
alter table ops.gate_verdicts add column failing_keys varchar;
alter table ops.gate_verdicts add column title_zh varchar;
alter table ops.gate_verdicts add column title_en varchar;
insert into ops.gate_verdicts by name
    select date '2026-09-01' as month, 'scorecards' as gate, 'appeals_overdue' as check_id,
        'warning' as severity, false as passed, 'manager_id=M04, appeals=2' as failing_keys,
        '没有逾期未裁定的申诉' as title_zh, 'No appeal waits longer than agreed' as title_en;
create table core.fct_training_records as
    select date '2026-09-01' as month, 'E04' || (100 + n) as learner_employee_id,
        'https://learning.example.com/course/COURSE-2026-' || c as course_id,
        date '2026-09-20' as due_on, true as is_due,
        null::date as completed_on
    from range(12) as r(n), range(4) as s(c);
create table core.fct_certifications as
    select date '2026-09-01' as month, 'E04' || (100 + n) as learner_employee_id,
        'CERT-2026-A' as course_id, false as is_valid
    from range(12) as r(n);
"""


def make() -> duckdb.DuckDBPyConnection:
    """Make a warehouse in which M04 has the largest card of September."""
    con = fixture.make()
    con.execute(_COLUMNS)
    kpis = sorted(catalogue(), key=_words, reverse=True)[:KPIS]
    con.execute("delete from kpis.kpi_definitions")
    con.execute("create temp table chosen (kpi_id varchar, unit varchar, position integer)")
    for position, kpi in enumerate(kpis):
        con.execute("insert into chosen values (?, ?, ?)", [kpi["id"], kpi["unit"], position])
        con.execute(
            "insert into kpis.kpi_definitions values (?, '1', ?, ?, ?, ?, ?, ?, ?, 30, "
            "'fct_rows', null, 'employee', false)",
            [
                kpi["id"],
                *(
                    kpi[f"{what}_{lang}"]
                    for what in ("name", "definition")
                    for lang in ("en", "zh")
                ),
                *(kpi[name] for name in ("category", "unit", "direction")),
            ],
        )
    con.execute(_TWENTY)
    con.execute(_PEOPLE)
    return con


def restated(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return what it is published as: the release before had numbers of M04 otherwise."""
    asked = "select kpi_id from chosen where position % 4 = 1 order by position"
    kpis = [row[0] for row in con.execute(asked).fetchall()]
    was: dict[str | None, dict[str, str]] = {kpi: {"value": "0.5", "score": "12"} for kpi in kpis}
    was[None] = {"total_score": "12.3456", "grade": "D"}
    reason = "九月问卷组补交的答卷与更正后的排班一并计入,工单归属按新名单重算;" * 7
    return {**RELEASE, "restated": {MANAGER: was}, "reason": reason}


def catalogue() -> list[dict[str, Any]]:
    """Read every KPI of the project: its id and what its file says of it."""
    found = []
    for file in sorted((project_dir() / "models" / "kpis").glob("*.yml")):
        for metric in yaml.safe_load(file.read_text(encoding="utf-8")).get("metrics", ()):
            kpi = metric.get("config", {}).get("meta", {}).get("kpi")
            if kpi:
                found.append({"id": metric["name"], **kpi})
    return found


def _words(kpi: dict[str, Any]) -> int:
    return len(kpi["definition_zh"].encode()) + len(kpi["definition_en"])
