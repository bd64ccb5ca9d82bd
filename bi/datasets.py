"""Data sets of the dashboards: which published columns they show, joined how, with which metrics.

Every column names the published one behind it, or an expression over such; `mart/shape` is what
they are checked against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bi import kpis
from bi.kpis import Words
from bi.words import CHANGES, KPI_STATES, TOTAL_STATES
from perfhouse.card_kpis import CATEGORY_NAMES
from perfhouse.card_roles import ROLE_NAMES

MANAGERS, STAFF, HR = "managers", "staff", "hr"  # the smallest circle that reads a data set
_KINDS = {"m": "date", "t": "text", "n": "numeric", "i": "integer", "b": "boolean"}


@dataclass(frozen=True)
class Column:
    """A column: `sql` is `alias.column` of a published table, or an expression in SQL of such.

    An expression may be one for each language.
    """

    name: str
    label: Words
    sql: str | Words
    kind: str = "n"
    d3_format: str = ",.1f"  # how tables write it, where it is a number

    @property
    def type(self) -> str:
        """Return the type in PostgreSQL."""
        return _KINDS[self.kind]

    def text(self, language: int) -> str:
        """Return the SQL in a language (0 Chinese, 1 English)."""
        return self.sql if isinstance(self.sql, str) else self.sql[language]


@dataclass(frozen=True)
class Metric:
    """A number over any rows of a data set; a rate is always a sum over a sum."""

    name: str
    label: Words
    expression: str
    d3_format: str = ",.1f"
    description: Words = ("", "")


@dataclass(frozen=True)
class Dataset:
    """Rows for charts; `tables` are the published ones by alias, `joins` what follows the first."""

    key: str
    title: Words
    tables: Mapping[str, str]
    columns: tuple[Column, ...]
    metrics: tuple[Metric, ...]
    joins: str = ""
    circle: str = MANAGERS
    where: str = ""
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(c.name for c in self.columns))

    def sql(self, language: int) -> str:
        """Return the query behind it."""
        alias, table = next(iter(self.tables.items()))
        listed = ",\n    ".join(f"{c.text(language)} as {c.name}" for c in self.columns)
        where = f"\nwhere {self.where}" if self.where else ""
        return f"select\n    {listed}\nfrom perfhouse.{table} as {alias}{self.joins}{where}"


def case(column: str, words: Mapping[str, Words], missing: Words | None = None) -> Words:
    """Return SQL that says ids in words, in both languages; an unknown id stays as it is."""
    made = []
    for language in (0, 1):
        cases = " ".join(
            f"when '{key}' then '{said[language].replace(chr(39), chr(39) * 2)}'"
            for key, said in words.items()
        )
        other = column if missing is None else f"coalesce({column}, '{missing[language]}')"
        made.append(f"case {column} {cases} else {other} end")
    return made[0], made[1]


def _shown(column: str) -> str:
    """Return SQL that writes a value in its KPI's unit; what is missing is a dash, never 0."""
    return (
        f"case when {column} is null then '—' "
        f"when d.unit in ('rate', 'ratio') then round({column} * 100, 1) || '%' "
        f"when d.unit = 'seconds' then round({column}, 0) || ' s' "
        f"else round({column}, 2)::text end"
    )


_MONTH = ("月份", "Month")
_MANAGER = ("经理", "Manager")
_KPI = ("指标", "KPI")
_NAMES = (
    "\nleft join perfhouse.kpi_definitions as d\n"
    "    on d.kpi_id = k.kpi_id and d.version = k.kpi_version"
)
_KPI_NAME = ("coalesce(d.name_zh, k.kpi_id)", "coalesce(d.name_en, k.kpi_id)")

MANAGER_MONTHS = Dataset(
    "manager_months",
    ("经理月度总分", "Manager months"),
    {"s": "scorecard_manager_months"},
    (
        Column("month", _MONTH, "s.month", "m"),
        Column("manager_id", _MANAGER, "s.manager_id", "t"),
        Column("role", ("岗位代码", "Role id"), "s.role", "t"),
        Column("role_name", ("岗位", "Role"), case("s.role", ROLE_NAMES), "t"),
        Column("team_id", ("团队", "Team"), "s.team_id", "t"),
        Column("total_score", ("总分", "Total"), "s.total_score"),
        Column("total_low", ("总分下限", "Total, low"), "s.total_low"),
        Column("total_high", ("总分上限", "Total, high"), "s.total_high"),
        Column(
            "grade", ("等级", "Grade"),
            ("coalesce(s.grade, '无总分')", "coalesce(s.grade, 'no total')"), "t",
        ),
        Column(
            "score_band", ("总分区间", "Total between"),
            (
                "case when s.total_score is null then '无总分' else lpad((floor(s.total_score / 10)"
                " * 10)::integer::text, 3, ' ') || '–' end",
                "case when s.total_score is null then 'no total' else lpad((floor(s.total_score"
                " / 10) * 10)::integer::text, 3, ' ') || '–' end",
            ),
            "t",
        ),
        Column("rank", ("名次", "Rank"), "s.rank", "i"),
        Column(
            "rank_text", ("名次（可能范围）", "Rank (may be)"),
            "case when s.rank is null then '—' else s.rank || ' / ' || s.peer_count"
            " || ' (' || s.rank_low || '–' || s.rank_high || ')' end",
            "t",
        ),
        Column("peer_count", ("同岗位人数", "Peers"), "s.peer_count", "i"),
        Column("coverage_rate", ("覆盖率", "Coverage"), "s.coverage_rate", d3_format=".0%"),
        Column("change", ("较上月", "Change"), "s.change"),
        Column("change_low", ("变化下限", "Change, low"), "s.change_low"),
        Column("change_high", ("变化上限", "Change, high"), "s.change_high"),
        Column("change_name", ("变化判断", "Change is"), case("s.change_status", CHANGES), "t"),
        Column("agent_count", ("带领人数", "Agents"), "s.agent_count", "i"),
        Column("scored_kpi_count", ("已评指标数", "KPIs scored"), "s.scored_kpi_count", "i"),
        Column("kpi_count", ("指标数", "KPIs"), "s.kpi_count", "i"),
        Column("status", ("状态代码", "Status id"), "s.status", "t"),
        Column("status_name", ("状态", "Status"), case("s.status", TOTAL_STATES), "t"),
    ),
    (
        Metric("managers", ("经理数", "Managers"), "count(distinct manager_id)", ",d"),
        Metric(
            "scored_managers", ("有总分的经理", "Managers with a total"),
            "count(distinct manager_id) filter (where total_score is not null)", ",d",
        ),
        Metric(
            "unscored_managers", ("没有总分的经理", "Managers without a total"),
            "count(distinct manager_id) filter (where total_score is null)", ",d",
        ),
        Metric("mean_total", ("平均总分", "Mean total"), "avg(total_score)"),
        Metric(
            "newest_first", ("排序", "Sort order"),
            "min(lpad((999999 - to_char(month, 'YYYYMM')::integer)::text, 6, '0') || manager_id)"
            " filter (where total_score is not null)",
        ),
        Metric("one_total", ("总分", "Total"), "max(total_score)"),
        Metric("one_low", ("95% 下限", "95 % low"), "max(total_low)"),
        Metric("one_high", ("95% 上限", "95 % high"), "max(total_high)"),
        Metric(
            "kpi_coverage", ("已评指标占比", "KPIs scored of those due"),
            "sum(scored_kpi_count)::numeric / nullif(sum(kpi_count), 0)", ".1%",
        ),
    ),
)  # fmt: skip

KPI_MONTHS = Dataset(
    "kpi_months",
    ("经理月度指标", "KPI months"),
    {"k": "scorecard_kpi_months", "d": "kpi_definitions", "s": "scorecard_manager_months"},
    (
        Column("month", _MONTH, "k.month", "m"),
        Column("manager_id", _MANAGER, "k.manager_id", "t"),
        Column("role_name", ("岗位", "Role"), case("s.role", ROLE_NAMES), "t"),
        Column("team_id", ("团队", "Team"), "s.team_id", "t"),
        Column("kpi_id", ("指标代码", "KPI id"), "k.kpi_id", "t"),
        Column("kpi_name", _KPI, _KPI_NAME, "t"),
        Column("category_name", ("类别", "Category"), case("k.category", CATEGORY_NAMES), "t"),
        Column("unit", ("单位", "Unit"), "d.unit", "t"),
        Column("numerator", ("分子", "Numerator"), "k.numerator", d3_format=",.0f"),
        Column("denominator", ("分母", "Denominator"), "k.denominator", d3_format=",.0f"),
        Column("sample_size", ("样本量", "Sample"), "k.sample_size", d3_format=",.0f"),
        Column("value", ("数值（原值）", "Value (raw)"), "k.value"),
        Column("value_text", ("数值", "Value"), _shown("k.value"), "t"),
        Column("target_text", ("目标", "Target"), _shown("k.target"), "t"),
        Column(
            "interval_text", ("95% 区间", "95 % interval"),
            f"case when k.ci_low is null then '—' else {_shown('k.ci_low')} || ' – ' || "
            f"{_shown('k.ci_high')} end",
            "t",
        ),
        Column("score", ("得分", "Score"), "k.score"),
        Column(
            "effective_weight", ("有效权重", "Weight in force"), "k.effective_weight",
            d3_format=".0%",
        ),
        Column("status", ("状态代码", "Status id"), "k.status", "t"),
        Column("status_name", ("状态", "Status"), case("k.status", KPI_STATES), "t"),
        Column("change_name", ("变化判断", "Change is"), case("k.change_status", CHANGES), "t"),
        Column(
            "provisional_name", ("可能变动", "May still change"),
            (
                "case when k.is_provisional then '暂定' else '' end",
                "case when k.is_provisional then 'provisional' else '' end",
            ),
            "t",
        ),
    ),
    (
        Metric(
            "kpi_value", ("数值（单项指标）", "Value (of one KPI)"),
            "sum(numerator) filter (where denominator is not null) / "
            "nullif(sum(denominator) filter (where numerator is not null), 0)", ",.3f",
            ("先加总分子与分母，再相除；请先选定一项指标。",
             "Sums first, then one division; choose one KPI."),
        ),
        Metric("mean_score", ("平均得分", "Mean score"), "avg(score)"),
        Metric("sample", ("样本量", "Sample"), "sum(sample_size)", ",.0f"),
        Metric(
            "scored_share", ("已评分占比", "Share scored"),
            "count(*) filter (where status = 'scored')::numeric / nullif(count(*), 0)", ".1%",
        ),
        *(
            Metric(kpi.id, kpi.name, kpi.expression, kpi.d3_format, kpi.definition)
            for kpi in kpis.read()
        ),
    ),
    joins=_NAMES
    + "\nleft join perfhouse.scorecard_manager_months as s\n"
    "    on s.month = k.month and s.manager_id = k.manager_id",
)  # fmt: skip

EXPLANATIONS = Dataset(
    "explanations",
    ("得分说明", "Explanations"),
    {"k": "scorecard_explanations", "d": "kpi_definitions"},
    (
        Column("month", _MONTH, "k.month", "m"),
        Column("manager_id", _MANAGER, "k.manager_id", "t"),
        Column("kpi_name", _KPI, _KPI_NAME, "t"),
        Column("sentence", ("说明", "Why"), ("k.sentence_zh", "k.sentence_en"), "t"),
        Column("value_change", ("数值变化", "Value change"), "k.value_change", d3_format=",.4f"),
        Column("rate_effect", ("结果影响", "By results"), "k.rate_effect", d3_format=",.4f"),
        Column("mix_effect", ("结构影响", "By mix"), "k.mix_effect", d3_format=",.4f"),
    ),
    (Metric("sentences", ("说明条数", "Sentences"), "count(*)", ",d"),),
    joins=_NAMES,
)

TEAM_MONTHS = Dataset(
    "team_months",
    ("团队月度指标", "Team months"),
    {"k": "scorecard_team_months", "d": "kpi_definitions"},
    (
        Column("month", _MONTH, "k.month", "m"),
        Column("manager_id", _MANAGER, "k.manager_id", "t"),
        Column("team_id", ("团队", "Team"), "k.team_id", "t"),
        Column("team_name", ("团队名称", "Team name"), "k.team_name", "t"),
        Column("kpi_name", _KPI, _KPI_NAME, "t"),
        Column("numerator", ("分子", "Numerator"), "k.numerator", d3_format=",.0f"),
        Column("denominator", ("分母", "Denominator"), "k.denominator", d3_format=",.0f"),
        Column("value_text", ("数值", "Value"), _shown("k.value"), "t"),
        Column("target_text", ("目标", "Target"), _shown("k.target"), "t"),
        Column("score", ("得分", "Score"), "k.score"),
        Column("sample_size", ("样本量", "Sample"), "k.sample_size", d3_format=",.0f"),
        Column("agent_count", ("人数", "Agents"), "k.agent_count", "i"),
        Column("status_name", ("状态", "Status"), case("k.status", KPI_STATES), "t"),
    ),
    (Metric("sample", ("样本量", "Sample"), "sum(sample_size)", ",.0f"),),
    joins=_NAMES,
)
