"""What the columns of exports mean, in English and Chinese, and which values they may hold.

Words only: a dbt model fills them, a gate says whether they may leave. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column's titles and meaning; `constraints` are those of a Table Schema."""

    title_en: str
    title_zh: str
    meaning_en: str
    meaning_zh: str
    constraints: Mapping[str, Any] = field(default_factory=dict)


TOTAL = "total_score"
ROW_CHANGE = "row_change"
ADDED, CHANGED, REMOVED = "added", "changed", "removed"
WITHDRAWN_FILE = "withdrawn.csv"
# What tells whose result of which month it is, and nothing of the result.
IDENTITY = ("month", "employee_number", "month_end", "release")
EXPORTS = {
    "hr": (
        *("month", "employee_number", "display_name", "team_id", "team_name", "role", TOTAL),
        *("grade", "rank", "rank_low", "rank_high", "peer_count", "previous_total_score"),
        *("change", "coverage_rate", "status", "result_score", "quality_score"),
        *("efficiency_score", "people_score", "innovation_score", "agent_count", "exposure_days"),
        *("appeals_open", "appeals_upheld", "appeals_rejected", "appeals_late"),
    ),
    "payroll": ("month", "employee_number", "points", "multiplier", "band_version"),
}
_OF_A_DELIVERY = ("month_end", "release")
_DAYS = ("month", "month_end")
_WHOLE = (
    *("rank", "rank_low", "rank_high", "peer_count", "agent_count", "exposure_days"),
    *("appeals_open", "appeals_upheld", "appeals_rejected", "appeals_late"),
)
_NUMBERS = ("change", "points", "multiplier")
_ALWAYS = {"required": True}
_SCORE = {"minimum": 0, "maximum": 120}
_SHARE = {"required": True, "minimum": 0, "maximum": 1}
_PLACE = {"minimum": 1}
_COUNT = {"required": True, "minimum": 0}
_STATUSES = ["scored", "insufficient_coverage", "no_target", "no_team"]


def _category(english: str, chinese: str) -> Column:
    return Column(
        english,
        f"{chinese}得分",
        f"Weighted mean of the scored KPIs of this category ({english.lower()}), 0 to 120",
        f"{chinese}类已计分指标的加权平均，0 至 120",
        _SCORE,
    )


COLUMNS = {
    "month": Column("Month", "月份", "First day of the month", "该月第一天", _ALWAYS),
    "employee_number": Column(
        "Employee number", "工号", "Employee number of the manager", "主管工号", _ALWAYS
    ),
    "display_name": Column("Name", "姓名", "Name as HR's roster has it", "人事花名册中的姓名"),
    "role": Column(
        "Role", "岗位", "Managers of one role are compared with each other", "同岗位主管相互比较"
    ),
    "team_id": Column("Team ID", "团队编号", "Team of most of the people", "多数下属所在团队"),
    "team_name": Column("Team", "团队", "Name of that team", "团队名称"),
    "total_score": Column(
        "Total score",
        "总分",
        "Weighted mean of the KPI scores, 0 to 120; empty when too little could be scored",
        "各指标得分的加权平均，0 至 120；可计分权重不足时为空",
        _SCORE,
    ),
    "grade": Column("Grade", "等级", "Band that the total falls in", "总分所在等级"),
    "rank": Column(
        "Rank", "排名", "Place in the role; ties share the best place", "同岗排名，并列取最好名次",
        _PLACE,
    ),
    "rank_low": Column(
        "Best possible rank", "最高可能名次", "Best place that a tie allows",
        "并列时可能的最好名次", _PLACE,
    ),
    "rank_high": Column(
        "Worst possible rank", "最低可能名次", "Worst place that a tie allows",
        "并列时可能的最差名次", _PLACE,
    ),
    "peer_count": Column(
        "Peers", "同岗人数", "Managers of the role who have a total", "同岗位有总分的主管人数",
        {"minimum": 0},
    ),
    "coverage_rate": Column(
        "Coverage", "数据覆盖率", "Share of the KPI weight that could be scored, 0 to 1",
        "可计分权重占比，0 至 1", _SHARE,
    ),
    "change": Column(
        "Change", "较上月变化", "Total minus the total of the month before", "总分减上月总分"
    ),
    "previous_total_score": Column(
        "Previous total", "上月总分", "Total of the month before", "上月总分", _SCORE
    ),
    "agent_count": Column(
        "Agents", "下属人数", "People the manager answered for", "主管当月负责的人数", _COUNT
    ),
    "exposure_days": Column(
        "Days responsible", "在岗天数", "Days on which the manager answered for somebody",
        "主管当月有下属的天数", _COUNT,
    ),
    "appeals_open": Column(
        "Appeals open", "未决申诉", "Appeals about the month that are not decided",
        "关于该月尚未裁定的申诉数", _COUNT,
    ),
    "appeals_upheld": Column(
        "Appeals upheld", "成立申诉", "Appeals about the month that were upheld",
        "关于该月裁定成立的申诉数", _COUNT,
    ),
    "appeals_rejected": Column(
        "Appeals rejected", "驳回申诉", "Appeals about the month that were rejected",
        "关于该月被驳回的申诉数", _COUNT,
    ),
    "appeals_late": Column(
        "Appeals late", "逾期申诉", "Appeals raised after the deadline and not let in",
        "逾期提出且未被受理的申诉数", _COUNT,
    ),
    "status": Column(
        "Status", "状态",
        "scored; or why there is no total: insufficient_coverage, no_target, no_team",
        "scored 表示已计分；否则为无总分的原因",
        {"required": True, "enum": _STATUSES},
    ),
    "result_score": _category("Results", "结果"),
    "quality_score": _category("Quality", "质量"),
    "efficiency_score": _category("Efficiency", "效率"),
    "people_score": _category("People", "团队"),
    "innovation_score": _category("Innovation", "创新"),
    "row_change": Column(
        "Since the last delivery", "较上次交付", "added, changed or removed",
        "added 新增、changed 变更或 removed 撤回",
        {"required": True, "enum": ["added", "changed", "removed"]},
    ),
    "points": Column(
        "Points", "积分", "Points of the band that the result falls in", "结果所在档位的积分",
        _ALWAYS,
    ),
    "multiplier": Column(
        "Bonus multiplier", "奖金系数", "The bonus is multiplied by this", "奖金乘以该系数",
        {"required": True, "minimum": 0},
    ),
    "band_version": Column(
        "Version of the bands", "档位版本", "Which approved bands were in force",
        "当月生效的已批准档位版本", _ALWAYS,
    ),
}  # fmt: skip


def column(name: str) -> Column:
    """Return what a column means; one nobody described has its name for a title."""
    words = name.replace("_", " ").capitalize()
    return COLUMNS.get(name) or Column(words, name, words, name)


def mappable(export: str) -> tuple[str, ...]:
    """Return what a mapping may read: columns of its export, `row_change`, the delivery's words."""
    return (*EXPORTS.get(export, ()), ROW_CHANGE, *_OF_A_DELIVERY)


def kind(name: str) -> str:
    """Return what a column holds: date, integer, number or text."""
    if name in _DAYS:
        return "date"
    if name in _WHOLE:
        return "integer"
    return "number" if name in _NUMBERS or name.endswith(("_score", "_rate")) else "text"
