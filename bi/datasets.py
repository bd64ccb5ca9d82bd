"""Data sets of the dashboards: which published columns they show, joined how, with which metrics.

Every column names the published one behind it, or an expression over such; `mart/shape` is what
they are checked against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        f"when d.unit in ('rate', 'ratio', 'net_rate') then round({column} * 100, 1) "
        "|| case d.unit when 'net_rate' then '' else '%' end "
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
_VERSION = ("定义版本", "Version of the definition")
_ROLES = (
    "\nleft join perfhouse.scorecard_manager_months as s\n"
    "    on s.month = k.month and s.manager_id = k.manager_id"
)
_EACH_CASE_ONCE = (
    "先加总分子与分母，再相除；每个个案只计一次。",
    "Sums first, then one division; each case counts once.",
)
_ONE_MANAGER = (
    "一位经理（含下级）的数值，与计分卡一致；多位经理合计时为空，因为上级的行已包含下级的个案，请改用“团队月度指标”。",
    "One manager's value, as on the scorecard, with everybody below; empty for several managers: "
    "a director's row holds the cases below. For totals take the team months.",
)


def _month_text(alias: str) -> Column:
    """Return the month as text: on an axis of time Superset leaves the first one out."""
    return Column("month_text", _MONTH, f"to_char({alias}.month, 'YYYY-MM')", "t")


def _one(column: str) -> str:
    """Return SQL of what a single row has; nothing of several: points are never added."""
    return f"case when count({column}) = 1 then max({column}) end"


def _spread(column: str, name: Words, ones: Sequence[str]) -> tuple[Metric, ...]:
    """Return the median of points and the quarters, where each of `ones` has one value only."""
    kept = " and ".join(f"count(distinct {one}) = 1" for one in ones)
    parts = (
        ("low_quarter", 0.25, ("下四分位", "lower quarter")),
        ("median", 0.5, ("中位数", "median")),
        ("high_quarter", 0.75, ("上四分位", "upper quarter")),
    )
    about = ("得分从不跨岗位汇总，也不取平均。", "Points are never mixed over roles, nor averaged.")
    return tuple(
        Metric(
            f"{key}_{column}",
            (f"{name[0]}{said[0]}", f"{name[1]}, {said[1]}".capitalize()),
            f"case when {kept} then percentile_cont({at}) within group (order by {column}) end",
            description=about,
        )
        for key, at, said in parts
    )


def _kpi_metrics(about: Words, ones: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Return the value of any one KPI, as a number and in its unit, and a metric of each KPI."""
    every = kpis.read()
    pooled = ", ".join(f"'{kpi.id}'" for kpi in every if not kpi.is_of_a_year)
    # Of a company's own KPI nobody says here whether its months may be pooled.
    months = f"(count(distinct month) = 1 or max(kpi_id) in ({pooled}))"
    value = kpis.pooled((*ones, "kpi_id"), also=months)
    one = " and ".join(f"count(distinct {column}) = 1" for column in (*ones, "kpi_id"))
    sample = f"case when {one} then sum(sample_size) end"
    return (
        Metric("kpi_value", ("数值（单项指标）", "Value (of one KPI)"), value, ",.3f", about),
        Metric(
            "kpi_value_text", ("数值", "Value"),
            f"case when max(unit) in ('rate', 'ratio', 'net_rate') then round(100 * {value}, 1) "
            "|| case max(unit) when 'net_rate' then '' else '%' end "
            f"when max(unit) = 'seconds' then round({value}, 0) || ' s' "
            f"else round({value}, 2)::text end",
            "", about,
        ),
        Metric("sample", ("样本量", "Sample"), sample, ",.0f", about),
        *(
            Metric(
                kpi.id, kpi.name, kpi.expression(ones=ones), kpi.d3_format,
                (f"{kpi.definition[0]}（{about[0]}）", f"{kpi.definition[1]} ({about[1]})"),
            )
            for kpi in every
        ),
    )  # fmt: skip


_FLOOR = "(floor(s.total_score / 10) * 10)::integer"
_BAND = f"lpad({_FLOOR}::text, 3, ' ') || '–' || ({_FLOOR} + 10)::text"

MANAGER_MONTHS = Dataset(
    "manager_months",
    ("经理月度总分", "Manager months"),
    {"s": "scorecard_manager_months"},
    (
        Column("month", _MONTH, "s.month", "m"),
        _month_text("s"),
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
                f"case when s.total_score is null then '无总分' else {_BAND} end",
                f"case when s.total_score is null then 'no total' else {_BAND} end",
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
        *_spread("total_score", ("总分", "total"), ("role",)),
        Metric(
            "newest_first", ("排序", "Sort order"),
            "min(lpad((999999 - to_char(month, 'YYYYMM')::integer)::text, 6, '0') || manager_id)"
            " filter (where total_score is not null)",
        ),
        Metric("one_total", ("总分", "Total"), _one("total_score")),
        Metric("one_low", ("95% 下限", "95 % low"), _one("total_low")),
        Metric("one_high", ("95% 上限", "95 % high"), _one("total_high")),
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
        _month_text("k"),
        Column("manager_id", _MANAGER, "k.manager_id", "t"),
        Column("role", ("岗位代码", "Role id"), "s.role", "t"),
        Column("role_name", ("岗位", "Role"), case("s.role", ROLE_NAMES), "t"),
        Column("team_id", ("团队", "Team"), "s.team_id", "t"),
        Column("kpi_id", ("指标代码", "KPI id"), "k.kpi_id", "t"),
        Column("kpi_name", _KPI, _KPI_NAME, "t"),
        Column("kpi_version", _VERSION, "k.kpi_version", "t"),
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
        *_kpi_metrics(_ONE_MANAGER, ("manager_id",)),
        Metric("one_score", ("得分", "Score"), _one("score")),
        *_spread("score", ("得分", "score"), ("role", "kpi_id")),
        Metric(
            "one_weight", ("有效权重", "Weight in force"), _one("effective_weight"), ".0%"
        ),
        Metric("scored_managers", ("有得分的经理", "Managers scored"), "count(score)", ",d"),
        Metric(
            "scored_share", ("已评分占比", "Share scored"),
            "count(*) filter (where status = 'scored')::numeric / nullif(count(*), 0)", ".1%",
        ),
    ),
    joins=_NAMES + _ROLES,
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
    {"k": "scorecard_team_months", "d": "kpi_definitions", "s": "scorecard_manager_months"},
    (
        Column("month", _MONTH, "k.month", "m"),
        _month_text("k"),
        Column("manager_id", ("直接负责的经理", "Direct manager"), "k.manager_id", "t"),
        Column("role_name", ("岗位", "Role"), case("s.role", ROLE_NAMES), "t"),
        Column("team_id", ("团队", "Team"), "k.team_id", "t"),
        Column("team_name", ("团队名称", "Team name"), "k.team_name", "t"),
        Column("kpi_id", ("指标代码", "KPI id"), "k.kpi_id", "t"),
        Column("kpi_name", _KPI, _KPI_NAME, "t"),
        Column("kpi_version", _VERSION, "k.kpi_version", "t"),
        Column("category_name", ("类别", "Category"), case("d.category", CATEGORY_NAMES), "t"),
        Column("unit", ("单位", "Unit"), "d.unit", "t"),
        Column("numerator", ("分子", "Numerator"), "k.numerator", d3_format=",.0f"),
        Column("denominator", ("分母", "Denominator"), "k.denominator", d3_format=",.0f"),
        Column("value_text", ("数值", "Value"), _shown("k.value"), "t"),
        Column("target_text", ("目标", "Target"), _shown("k.target"), "t"),
        Column("score", ("得分", "Score"), "k.score"),
        Column("sample_size", ("样本量", "Sample"), "k.sample_size", d3_format=",.0f"),
        Column("agent_count", ("人数", "Agents"), "k.agent_count", "i"),
        Column("status_name", ("状态", "Status"), case("k.status", KPI_STATES), "t"),
    ),
    _kpi_metrics(_EACH_CASE_ONCE),
    joins=_NAMES + _ROLES,
)
