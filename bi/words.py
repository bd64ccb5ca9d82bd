"""What ids of the published tables are called in dashboards, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping

from bi.kpis import Words
from perfhouse.card_kpis import STATES
from perfhouse.gate_words import FATES as FATES
from perfhouse.gate_words import GATES as GATES

TOTAL_STATES: Mapping[str, Words] = {
    "scored": ("已评分", "Scored"),
    "insufficient_coverage": ("数据覆盖不足", "Too little data"),
    "no_target": ("未设目标", "No target"),
    "no_team": ("没有团队", "No team"),
}
KPI_STATES: Mapping[str, Words] = {
    "scored": ("已评分", "Scored"),
    **{k: (v[1], v[2]) for k, v in STATES.items() if k not in ("met", "near", "low")},
}
CHANGES: Mapping[str, Words] = {
    "better": ("变好", "Better"),
    "worse": ("变差", "Worse"),
    "no_clear_change": ("无明显变化", "No clear change"),
}
APPEAL_STATES: Mapping[str, Words] = {
    "submitted": ("已提交", "Submitted"),
    "accepted": ("已受理", "Accepted"),
    "upheld": ("成立", "Upheld"),
    "rejected": ("不成立", "Rejected"),
    "withdrawn": ("已撤回", "Withdrawn"),
    "late": ("逾期", "Late"),
}
