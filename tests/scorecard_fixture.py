"""A small warehouse made by hand: the tables that cards and explanations read, with known sums."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from perfhouse import warehouse

if TYPE_CHECKING:
    import duckdb

HOSTILE = """<script>alert(1)</script>"'&{{ 7*7 }}"""
MONTHS = ("2026-06", "2026-07", "2026-08", "2026-09")
GRADES = (("A", 100.0), ("B", 80.0), ("C", 60.0), ("D", 0.0))


@dataclass(frozen=True)
class Kpi:
    kpi_id: str
    zh: str
    en: str
    category: str
    unit: str
    minimum: int
    floor: float
    target: float
    stretch: float
    weight: float

    @classmethod
    def of(cls, line: str) -> Kpi:
        kpi_id, zh, en, category, unit, minimum, *numbers = (x.strip() for x in line.split("|"))
        return cls(kpi_id, zh, en, category, unit, int(minimum), *map(float, numbers))

    def score(self, value: float) -> float:
        """Score by the definition in words, written a second time on purpose."""
        if (value - self.target) * (1 if self.target > self.floor else -1) < 0:
            return max(0.0, 100 * (value - self.floor) / (self.target - self.floor))
        return min(120.0, 100 + 20 * (value - self.target) / (self.stretch - self.target))


# id | zh | en | category | unit | minimum | floor | target | stretch | weight
KPIS = [
    Kpi.of(line)
    for line in """
csat_rate|客户满意度|Customer satisfaction|result|rate|10|.7|.9|.96|.15
complaint_on_time_rate|投诉处理及时率|Complaints handled on time|result|rate|10|.8|.95|1|.1
ticket_closure_rate|问题闭环率|Tickets closed for good|result|rate|30|.8|.93|.98|.1
nps|净推荐值|Net promoter score|quality|net_rate|10|0|.4|.6|.05
reopen_rate|重开率|Reopened tickets|quality|rate|30|.15|.06|.03|.08
first_reply_on_time_rate|平均响应时间|First replies on time|efficiency|rate|30|.7|.9|.96|.1
resolution_on_time_rate|工单处理时效|Resolutions on time|efficiency|rate|30|.7|.88|.95|.08
average_handle_time|平均处理时长|Average handle time|efficiency|seconds|30|480|360|300|.08
speed_of_answer|平均接听速度|Speed of answer|efficiency|seconds|30|60|25|12|.06
abandonment_rate|放弃率|Calls abandoned|efficiency|rate|30|.12|.05|.02|.05
training_completion_rate|培训完成率|Training completed on time|people|rate|5|.6|.95|1|.05
turnover_rate|团队流失率|Team turnover|people|rate|5|.35|.15|.05|.05
kb_contributions|知识库贡献量|Knowledge articles per head|innovation|per_head|3|0|1|2|.05
""".strip().splitlines()
]

_TABLES = """
create table kpis.kpi_definitions (kpi_id varchar, version varchar, name_en varchar,
    name_zh varchar, definition_en varchar, definition_zh varchar, category varchar, unit varchar,
    direction varchar, minimum_sample bigint, fact varchar, row_sql varchar);
create table scorecards.scorecard_kpi_months (month date, manager_id varchar, kpi_id varchar,
    kpi_version varchar, numerator numeric(18,6), denominator numeric(18,6), sample_size bigint,
    value numeric(18,6), adjusted_value numeric(18,6), shrunk_value numeric(18,6),
    reliability numeric(18,6), ci_low numeric(18,6), ci_high numeric(18,6), floor numeric(18,6),
    target numeric(18,6), stretch numeric(18,6), weight numeric(18,6), score numeric(18,6),
    status varchar, target_version varchar);
create table scorecards.scorecard_manager_months (month date, manager_id varchar, role varchar,
    total_score numeric(18,6), grade varchar, rank bigint, rank_low bigint, rank_high bigint,
    peer_count bigint, coverage_rate numeric(18,6), change numeric(18,6),
    previous_total_score numeric(18,6), agent_count bigint, exposure_days bigint, status varchar);
create table scorecards.scorecard_team_months (month date, team_id varchar, manager_id varchar,
    kpi_id varchar, kpi_version varchar, team_name varchar, sample_size numeric(18,6),
    value numeric(18,6), exposure_days integer, target numeric(18,6), score numeric(18,6),
    status varchar);
create table core.dim_managers (month date, manager_id varchar, display_name varchar,
    team_id varchar, team_name varchar);
create table core.dim_employees (month date, employee_id varchar, display_name varchar,
    valid_from date);
create table kpis.kpi_employee_months (month date, kpi_id varchar, kpi_version varchar,
    manager_id varchar, team_id varchar, employee_id varchar, numerator double,
    denominator double);
create table core.fct_rows (month date, kpi_id varchar, manager_id varchar, employee_id varchar,
    source varchar, source_row_id varchar, file varchar, row_number bigint, event_on date,
    numerator double, denominator double);
create table config.grades (grade varchar, from_score double);
create table config.settings (name varchar, value double);
insert into config.settings values ('coverage_minimum', 0.6);
create table ops.gate_verdicts (month date, gate varchar, check_id varchar, severity varchar,
    passed boolean, observed varchar);
insert into ops.gate_verdicts values
    ('2026-09-01', 'raw', 'volume', 'warning', false, ''),
    ('2026-09-01', 'raw', 'quarantine', 'critical', true, ''),
    ('2026-09-01', 'scorecards', 'keys', 'critical', true, ''),
    ('2026-09-01', 'exports', 'rows', 'critical', true, '');
"""
# M03 led another team until the 10th: fewer cases, half the value, and half the target.
_PARTS = """
insert into scorecards.scorecard_team_months
select month, t.team_id, manager_id, kpi_id, kpi_version, t.team_name,
    round(sample_size * days / 30), value * share, days,
    target * share, case when days > 15 or kpi_id <> 'nps' then score end,
    case when days > 15 or kpi_id <> 'nps' then status else 'insufficient_data' end
from scorecards.scorecard_kpi_months,
    (values ('T03', '华东3组', 20, 1.0), ('T99', '华北9组', 10, 0.5))
        as t(team_id, team_name, days, share)
where manager_id = 'M03'
"""
# M04 appealed about everything there is: ten appeals of every state, some of long reasons.
_APPEALS = """
create table config.appeal_days as select date '2026-09-01' as raised_on,
    date '2026-10-13' as deadline_on, date '2026-09-15' as decide_by;
create table scorecards.scorecard_appeals as
select date '2026-09-01' as month, 'M04' as manager_id, 'k' || i as appeal_key,
    'HR-2026-00' || i as appeal_id, kpi_id, is_row, effect, state, outcome, 2 as row_count,
    date '2026-10-09' as raised_on, date '2026-10-13' as deadline_on,
    date '2026-10-23' as decide_by, date '2026-10-20' as decided_on, reason as reason_code,
    decision as decision_code
from (values
    (0, 'csat_rate', true, 'exclude', 'upheld', 'applied', 'wrong_person', 'data_error'),
    (1, 'nps', true, 'correct', 'upheld', 'applied', 'data_error', 'data_error'),
    (2, 'reopen_rate', false, 'exclude', 'upheld', 'applied', 'outside_control', 'other'),
    (3, '*', true, 'exclude', 'upheld', 'ambiguous_row', 'duplicate', 'duplicate'),
    (4, null, false, null, 'submitted', 'none', null, null),
    (5, 'csat_rate', true, 'exclude', 'accepted', 'none', 'other', null),
    (6, 'csat_rate', true, 'exclude', 'rejected', 'none', 'outside_control', 'rule_applies'),
    (7, 'csat_rate', true, 'exclude', 'late', 'none', 'data_error', null),
    (8, 'nps', false, 'exclude', 'withdrawn', 'none', null, null),
    (9, 'first_reply_on_time_rate', true, 'exclude', 'upheld', 'confidential', null, 'other')
) t(i, kpi_id, is_row, effect, state, outcome, reason, decision);
create table kpis.kpi_appeal_rows as
select month, appeal_key, kpi_id, 'CASE-2026-09-00000000' || row_count as source_row_id, row_count,
    outcome = 'applied' as is_applied, nullif(outcome, 'applied') as finding
from scorecards.scorecard_appeals where is_row and kpi_id is not null;
"""
# Source rows that add up to csat_rate and reopen_rate of every manager.
_ROWS = """
insert into core.fct_rows
select month, kpi_id, manager_id, 'E' || manager_id[2:] || (i % 6 + 1), 'helpdesk',
    kpi_id || '-' || manager_id || '-' || i, 'tickets.csv', i + 2,
    month + cast(i % 28 as integer), case when i < numerator then 1 else 0 end, 1
from scorecards.scorecard_kpi_months, range(400) as r(i)
where i < denominator and kpi_id in ('csat_rate', 'reopen_rate')
"""


def make(
    path: Path | str = ":memory:", managers: int = 8, names: dict[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """Make the warehouse; M01 lacks two KPIs, the last manager lacks most and has no total."""
    con = warehouse.connect(path)
    for schema in ("scorecards", "kpis", "core", "ops", "config"):
        con.execute(f"create schema {schema}")
    con.execute(_TABLES)
    _insert(con, "config.grades", [list(g) for g in GRADES])
    _insert(con, "kpis.kpi_definitions", [_definition(k) for k in KPIS])
    before: dict[str, float | None] = {}
    for at, month in enumerate(MONTHS):
        before = _month(con, at, date(int(month[:4]), int(month[5:]), 1), managers, before)
    for person, name in (names or {}).items():
        con.execute(
            "update core.dim_managers set display_name = ? where manager_id = ?", [name, person]
        )
        con.execute(
            "update core.dim_employees set display_name = ? where employee_id = ?", [name, person]
        )
    con.execute(_PARTS)
    con.execute(_APPEALS)
    con.execute(_ROWS)
    return con


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[list[Any]]) -> None:
    if rows:
        columns = {f"c{at}": list(values) for at, values in enumerate(zip(*rows, strict=True))}
        con.register("new_rows", pa.table(columns))
        con.execute(f"insert into {table} select * from new_rows")
        con.unregister("new_rows")


def _definition(kpi: Kpi) -> list[Any]:
    return [
        kpi.kpi_id,
        "1",
        kpi.en,
        kpi.zh,
        f"{kpi.en}: the sum over the month divided by the cases that were due in it.",
        f"{kpi.zh}:当月发生数除以当月应计数,按事件当时的归属计入经理。",
        kpi.category,
        kpi.unit,
        "up" if kpi.target > kpi.floor else "down",
        kpi.minimum,
        "fct_rows",
        f"select * exclude (kpi_id) from core.fct_rows where kpi_id = '{kpi.kpi_id}'",
    ]


def _month(
    con: duckdb.DuckDBPyConnection,
    at: int,
    start: date,
    managers: int,
    before: dict[str, float | None],
) -> dict[str, float | None]:
    kpi_rows: list[list[Any]] = []
    totals: dict[str, tuple[float | None, float]] = {}
    for m in range(1, managers + 1):
        rows = [_kpi(start, m, n, at, kpi, m == managers) for n, kpi in enumerate(KPIS)]
        kpi_rows += rows
        totals[f"M{m:02d}"] = _total(rows)
    _insert(con, "scorecards.scorecard_kpi_months", kpi_rows)
    _insert(con, "kpis.kpi_employee_months", [a for row in kpi_rows for a in _agents(row)])
    ranked = sorted((t for t, _ in totals.values() if t is not None), reverse=True)
    for m, (manager, (total, covered)) in enumerate(totals.items(), 1):
        rank = None if total is None else ranked.index(total) + 1
        grade = None if total is None else next(g for g, low in GRADES if total >= low)
        last = before.get(manager)
        change = None if total is None or last is None else total - last
        status = "insufficient_coverage" if total is None else "scored"
        row = [start, manager, "front_line", total, grade, rank, rank, rank, len(ranked), covered]
        row += [change, last, 6, 180, status]
        _insert(con, "scorecards.scorecard_manager_months", [row])
        person = [start, manager, f"经理{m}", f"T{m:02d}", f"华东{m}组"]
        _insert(con, "core.dim_managers", [person])
        agents = [[start, f"E{m:02d}{a}", f"员工{m}-{a}", start] for a in range(1, 7)]
        _insert(con, "core.dim_employees", agents)
    return {manager: total for manager, (total, _) in totals.items()}


def _kpi(start: date, m: int, n: int, at: int, kpi: Kpi, last: bool) -> list[Any]:
    thin = (m == 1 and kpi.kpi_id in ("nps", "kb_contributions")) or (last and n > 2)
    cases = max(kpi.minimum - 3, 2) if thin else 40 * (n % 4 + 1) + 20
    reach = 0.45 + ((m * 7 + n * 5 + at * 3) % 17) / 17
    wish = cases * (kpi.floor + (kpi.target - kpi.floor) * reach)
    numerator = min(round(wish), cases) if kpi.unit.endswith("rate") else wish
    value = numerator / cases
    score = None if thin else round(kpi.score(value), 6)
    status = "insufficient_data" if thin else "scored"
    row = [start, f"M{m:02d}", kpi.kpi_id, "1", numerator, cases, cases, value, value]
    row += [None, None, None, None, kpi.floor, kpi.target, kpi.stretch, kpi.weight, score]
    return [*row, status, "2026-Q3"]


def _total(rows: list[list[Any]]) -> tuple[float | None, float]:
    """Share weights inside the category, then across; no total below 60 % of weight."""
    category = {k.kpi_id: k.category for k in KPIS}
    of_all: dict[str, float] = defaultdict(float)
    scored: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        of_all[category[row[2]]] += row[16]
        if row[17] is not None:
            scored[category[row[2]]].append((row[16], row[17]))
    covered = sum(w for pairs in scored.values() for w, _ in pairs)
    reach = sum(of_all[c] for c in scored)
    total = 0.0
    for name, pairs in scored.items():
        own = sum(w for w, _ in pairs)
        total += sum(w * s for w, s in pairs) / own * of_all[name] / reach
    return (round(total, 6) if covered >= 0.6 else None), covered


def _agents(row: list[Any]) -> list[list[Any]]:
    start, manager, kpi_id = row[:3]
    if kpi_id in ("training_completion_rate", "turnover_rate", "kb_contributions"):
        return []
    value, number = row[7], manager[1:]
    rows = []
    for a in range(1, 7):
        share = round(row[5] / 6 * (0.16 + a * 0.24))
        own = share * value * (0.87 + a * 0.04)
        rows.append([start, kpi_id, "1", manager, f"T{number}", f"E{number}{a}", own, share])
    return rows
