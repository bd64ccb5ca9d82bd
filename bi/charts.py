"""Charts of the dashboards: what each shows, and the query behind it.

A chart names columns and metrics of its data set only; a test looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bi.datasets import (
    EXPLANATIONS,
    KPI_MONTHS,
    MANAGER_MONTHS,
    TEAM_MONTHS,
    Dataset,
)
from bi.datasets_operations import APPEALS, HR_NAMES, RECONCILIATION, RELEASES, VERDICTS
from bi.kpis import Words

Filter = tuple[str, str, Any]  # column, operator, value
_SCORE = [0, 120]


@dataclass(frozen=True)
class Chart:
    """A chart; `look` is what its kind needs besides columns, metrics and filters."""

    key: str
    title: Words
    dataset: Dataset
    kind: str
    columns: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()  # column or metric, ascending
    filters: tuple[Filter, ...] = ()
    limit: int = 1000
    of_month: bool = True  # False: shows all months, whatever month is chosen
    about: Words = ("", "")
    look: dict[str, Any] = field(default_factory=dict)


def _table(key: str, title: Words, dataset: Dataset, columns: Sequence[str], **more: Any) -> Chart:
    look = {
        "query_mode": "raw", "table_timestamp_format": "%Y-%m", "show_cell_bars": False,
        "color_pn": False, "include_search": False, "page_length": 0, "server_pagination": False,
        "allow_rearrange_columns": False, **more.pop("look", {}),
    }  # fmt: skip
    return Chart(key, title, dataset, "table", tuple(columns), look=look, **more)


def _sums(
    key: str,
    title: Words,
    dataset: Dataset,
    groups: Sequence[str],
    metrics: Sequence[str],
    **more: Any,
) -> Chart:
    """Return a table of metrics by groups; values of KPIs come from metrics alone."""
    made = _table(key, title, dataset, groups, **more)
    look = {**made.look, "query_mode": "aggregate", "order_desc": False}
    return replace(made, metrics=tuple(metrics), look=look)


def _number(key: str, title: Words, dataset: Dataset, metric: str, **more: Any) -> Chart:
    look = {"header_font_size": 0.4, "subheader_font_size": 0.15, **more.pop("look", {})}
    return Chart(key, title, dataset, "big_number_total", metrics=(metric,), look=look, **more)


def _lines(key: str, title: Words, dataset: Dataset, metrics: Sequence[str], **more: Any) -> Chart:
    look = {
        "rich_tooltip": True, "x_axis_sort": "month_text", "x_axis_sort_asc": True,
        "markerEnabled": True, "xAxisLabelInterval": "0",
        "markerSize": 6, "show_legend": True, "legendType": "scroll",
        "legendOrientation": "top", "truncateYAxis": True, "y_axis_bounds": _SCORE,
        "y_axis_format": ",.1f", "xAxisLabelRotation": 0,
        "seriesType": "line", "opacity": 0.2, "sort_series_type": "name", **more.pop("look", {}),
    }  # fmt: skip
    return Chart(
        key, title, dataset, "echarts_timeseries_line", ("month_text",), tuple(metrics),
        look=look, of_month=False, **more,
    )  # fmt: skip


def _bars(
    key: str, title: Words, dataset: Dataset, column: str, metrics: Sequence[str], **more: Any
) -> Chart:
    look = {
        "x_axis_force_categorical": True, "show_legend": bool(more.get("groups")),
        "legendType": "scroll", "legendOrientation": "top", "show_value": True,
        "rich_tooltip": True, "y_axis_format": ",.2~f", "truncateXAxis": False,
        "orientation": "vertical", "x_axis_sort_asc": True, "x_axis_sort": column,
        "xAxisLabelRotation": 0, "xAxisLabelInterval": "0", "only_total": True,
        **more.pop("look", {}),
    }  # fmt: skip
    return Chart(
        key, title, dataset, "echarts_timeseries_bar", (column,), tuple(metrics),
        look=look, **more,
    )  # fmt: skip


_SIDEWAYS = {
    "orientation": "horizontal", "y_axis_format": ",.0f", "truncateYAxis": True,
    "y_axis_bounds": _SCORE,
}  # fmt: skip
_QUARTERS_OF_TOTALS = (
    "low_quarter_total_score", "median_total_score", "high_quarter_total_score",
)  # fmt: skip
_MOVED = ("manager_id", "role_name", "change", "change_low", "change_high", "change_name")

OVERVIEW = (
    _sums(
        "role_totals", ("总分（按岗位）", "Totals by role"), MANAGER_MONTHS, ("role_name",),
        ("scored_managers", *_QUARTERS_OF_TOTALS), order=(("role_name", True),),
        about=("总分只在同岗位内比较，因此看中位数与四分位数，不看平均数。",
               "Totals are compared within a role; so the median and the quarters, no mean."),
    ),
    _number("scored", ("有总分的经理", "Managers with a total"), MANAGER_MONTHS, "scored_managers"),
    _number(
        "unscored", ("没有总分的经理", "Managers without a total"),
        MANAGER_MONTHS, "unscored_managers",
    ),
    _number(
        "coverage", ("已评指标占比", "KPIs scored of those due"), MANAGER_MONTHS, "kpi_coverage"
    ),
    _bars(
        "grades", ("等级分布", "Grades"), MANAGER_MONTHS, "grade", ("managers",),
        about=("没有总分的经理单独列出，不算 0 分。",
               "Managers without a total stand apart; they are no zeros."),
    ),
    _bars(
        "bands", ("总分分布", "Totals, by ten points"), MANAGER_MONTHS, "score_band",
        ("managers",),
        about=("每段含下限，不含上限。", "A bar holds its lower end, not its upper one."),
    ),
    _sums(
        "kpi_totals", ("各指标数值（每个个案只计一次）", "KPIs, each case once"), TEAM_MONTHS,
        ("category_name", "kpi_name"), ("kpi_value_text", "sample"),
        order=(("category_name", True), ("kpi_name", True)),
        about=("先加总所见团队的分子与分母，再相除；“—”表示没有数值或已隐藏。",
               "Sums of the teams that you see, then one division; a dash: no value, or hidden."),
    ),
    _lines(
        "kpi_trend", ("主要比率指标趋势", "Rates by month"), TEAM_MONTHS,
        ("csat_rate", "first_contact_resolution_rate", "resolution_on_time_rate", "service_level"),
        look={"y_axis_format": ".0%", "y_axis_bounds": [0, 1]},
    ),
    _sums(
        "team_values", ("各团队指标数值", "KPIs by team"), TEAM_MONTHS,
        ("team_id", "team_name", "kpi_name"), ("kpi_value_text", "sample"),
        order=(("team_id", True), ("kpi_name", True)), limit=20000,
        look={"page_length": 20, "include_search": True},
    ),
    Chart(
        "heatmap", ("经理 × 指标得分", "Scores by manager and KPI"), KPI_MONTHS, "heatmap_v2",
        ("kpi_name", "manager_id"), ("one_score",), limit=20000,
        filters=(("status", "!=", "no_target"),),
        about=("空白表示没有得分（样本不足、未设目标等），不是 0 分；颜色固定在 0–120 分。",
               "A blank has no score (too little data, no target, ...): it is no zero. "
               "Colours stand for 0 to 120 points in every month."),
        look={
            "linear_color_scheme": "schemeRdYlBu", "value_bounds": _SCORE,
            "normalize_across": "heatmap", "legend_type": "continuous", "show_legend": True,
            "show_values": True, "show_percentage": False, "y_axis_format": ",.0f",
            "xscale_interval": 1, "yscale_interval": 1, "left_margin": "auto",
            "bottom_margin": "auto", "sort_x_axis": "alpha_asc", "sort_y_axis": "alpha_asc",
            "x_axis_label_rotation": 45, "border_color": {"r": 255, "g": 255, "b": 255, "a": 1},
            "border_width": 1,
        },
    ),
    _table(
        "risers", ("进步最大", "Moved up most"), MANAGER_MONTHS, _MOVED,
        order=(("change", False),), filters=(("change", ">", 0),), look={"page_length": 10},
    ),
    _table(
        "fallers", ("退步最大", "Moved down most"), MANAGER_MONTHS, _MOVED,
        order=(("change", True),), filters=(("change", "<", 0),), look={"page_length": 10},
    ),
    _sums(
        "score_spread", ("各指标得分分布（按岗位）", "Scores by KPI and role"), KPI_MONTHS,
        ("category_name", "kpi_name", "role_name"),
        ("scored_managers", "low_quarter_score", "median_score", "high_quarter_score"),
        order=(("category_name", True), ("kpi_name", True), ("role_name", True)),
        filters=(("score", "IS NOT NULL", None),),
        look={"page_length": 20, "include_search": True},
    ),
    _lines(
        "trend", ("总分中位数趋势（按岗位）", "Median total by role"), MANAGER_MONTHS,
        ("median_total_score",),
        groups=("role_name",), filters=(("total_score", "IS NOT NULL", None),),
    ),
    _table(
        "ranking", ("名次表", "Ranking"), MANAGER_MONTHS,
        ("manager_id", "role_name", "team_id", "total_score", "grade", "rank_text", "change",
         "change_name", "coverage_rate", "status_name"),
        order=(("total_score", False), ("manager_id", True)), limit=5000,
        look={"page_length": 20, "include_search": True},
    ),
)  # fmt: skip

MANAGER = (
    _number("own_total", ("总分", "Total"), MANAGER_MONTHS, "one_total"),
    _table(
        "own_place", ("等级与名次", "Grade and rank"), MANAGER_MONTHS,
        ("manager_id", "role_name", "grade", "total_low", "total_high", "rank_text", "change",
         "change_name", "coverage_rate", "agent_count", "status_name"),
        order=(("manager_id", True),),
    ),
    _sums(
        "own_kpis", ("各指标与目标", "KPIs against targets"), KPI_MONTHS,
        ("category_name", "kpi_name", "target_text", "interval_text", "status_name",
         "change_name", "provisional_name"),
        ("kpi_value_text", "sample", "one_score", "one_weight"),
        order=(("category_name", True), ("kpi_name", True)),
        about=("“—”表示没有数值，不是 0；样本不足的指标不计分。",
               "A dash is no value, not 0; a KPI with too little data is not scored."),
    ),
    _bars(
        "own_scores", ("各指标得分（100 分为达标）", "Scores (100: on target)"), KPI_MONTHS,
        "kpi_name", ("one_score",), filters=(("score", "IS NOT NULL", None),), look=_SIDEWAYS,
    ),
    _lines(
        "own_trend", ("总分趋势与 95% 区间", "Total with its 95 % interval"), MANAGER_MONTHS,
        ("one_total", "one_low", "one_high"),
    ),
    _lines(
        "own_kpi_trend", ("各指标得分趋势", "Scores by month"), KPI_MONTHS, ("one_score",),
        groups=("kpi_name",), filters=(("score", "IS NOT NULL", None),),
    ),
    _table(
        "own_reasons", ("得分说明", "Why"), EXPLANATIONS, ("kpi_name", "sentence"),
        order=(("kpi_name", True),),
    ),
    _sums(
        "own_teams", ("各团队指标", "By team"), TEAM_MONTHS,
        ("team_name", "kpi_name", "target_text", "agent_count", "status_name"),
        ("kpi_value_text", "sample"),
        order=(("team_name", True), ("kpi_name", True)), look={"page_length": 20},
    ),
    _table(
        "own_appeals", ("申诉", "Appeals"), APPEALS,
        ("appeal_id", "kpi_id", "state_name", "outcome", "raised_on", "decide_by", "decided_on"),
        order=(("raised_on", True),), look={"table_timestamp_format": "%Y-%m-%d"},
    ),
)  # fmt: skip

_OF_MONTH = (("is_other_month", "IS FALSE", None),)

OPERATIONS = (
    _number("months", ("已发布月份", "Months published"), RELEASES, "months", of_month=False),
    _number("failed", ("未通过的检查", "Checks failed"), VERDICTS, "failed"),
    _number(
        "landed", ("当月交付的数据行", "Rows delivered for the month"), RECONCILIATION,
        "landed_rows", filters=_OF_MONTH,
    ),
    _number(
        "left_out", ("其中未计入的占比", "Share of them left out"), RECONCILIATION,
        "left_out_share", filters=_OF_MONTH,
    ),
    _table(
        "releases", ("发布版本", "Releases"), RELEASES,
        ("month", "release", "as_of_month", "change_count", "reason", "release_sha256"),
        order=(("month", False),), of_month=False,
    ),
    _bars(
        "gates", ("各关卡检查结论", "Verdicts by gate"), VERDICTS, "gate_name", ("checks",),
        groups=("verdict",), look={"stack": "Stack", "show_legend": True},
    ),
    _table(
        "failures", ("未通过的检查", "Checks that failed"), VERDICTS,
        ("gate_name", "title", "severity", "verdict", "observed", "threshold",
         "accepted_reason"),
        order=(("gate_name", True), ("title", True)), filters=(("passed", "IS FALSE", None),),
    ),
    _bars(
        "streams", ("当月交付的行，按数据流", "Rows delivered for the month, by stream"),
        RECONCILIATION, "stream", ("landed_rows",), groups=("fate",), filters=_OF_MONTH,
        look={"stack": "Stack", "orientation": "horizontal", "show_legend": True,
              "logAxis": False, "y_axis_format": ".2s"},
    ),
    _table(
        "fates", ("当月交付中未计入的行及原因", "Rows of the month left out, and why"),
        RECONCILIATION, ("stream", "source", "delivered", "reason_name", "row_count"),
        order=(("row_count", False), ("stream", True)),
        filters=(("in_facts", "IS FALSE", None), *_OF_MONTH), look={"page_length": 20},
    ),
    _bars(
        "late", ("其他月份交付、计入本月的行", "Counted rows that other deliveries brought"),
        RECONCILIATION, "stream", ("landed_rows",), groups=("delivery",),
        filters=(("is_other_month", "IS TRUE", None), ("in_facts", "IS TRUE", None)),
        look={"stack": "Stack", "orientation": "horizontal", "show_legend": True,
              "y_axis_format": ".2s"},
    ),
)  # fmt: skip

NAMES = (
    _table(
        "names", ("人事名单", "HR list"), HR_NAMES,
        ("manager_id", "display_name", "team_name", "total_score", "grade", "rank",
         "peer_count", "change", "coverage_rate", "appeals_open"),
        order=(("manager_id", True),), limit=10000, look={"page_length": 50,
                                                            "include_search": True},
    ),
)  # fmt: skip

CHARTS = (*OVERVIEW, *MANAGER, *OPERATIONS, *NAMES)
