"""What ids of the published tables are called in dashboards, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping

from bi.kpis import Words
from perfhouse.card_kpis import STATES

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
GATES: Mapping[str, Words] = {
    "raw": ("原始数据", "Raw"),
    "facts": ("事实表", "Facts"),
    "scorecards": ("计分卡", "Scorecards"),
    "exports": ("导出", "Exports"),
}
APPEAL_STATES: Mapping[str, Words] = {
    "submitted": ("已提交", "Submitted"),
    "accepted": ("已受理", "Accepted"),
    "upheld": ("成立", "Upheld"),
    "rejected": ("不成立", "Rejected"),
    "withdrawn": ("已撤回", "Withdrawn"),
    "late": ("逾期", "Late"),
}
# What becomes of a landed row, as docs/gates.md explains it.
FATES: Mapping[str, Words] = {
    "in_facts": ("进入事实表", "In facts"),
    "superseded": ("已有更新版本", "A newer version came"),
    "deleted": ("来源已删除", "Deleted by the source"),
    "undated": ("没有时间", "Undated"),
    "outside_month": ("属于其他月份", "Of another month"),
    "outside_month_by_place": ("按当地时间属于其他月份", "Of another month there"),
    "read_by_no_fact": ("人员资料，不计数", "Who people are: not counted"),
    "settled_before": ("本月之前已了结", "Settled before the month"),
    "created_after": ("本月之后创建", "Created after the month"),
    "deleted_ticket": ("工单已删除", "Ticket deleted before"),
    "other_kind": ("不计数的事件", "Of a kind not counted"),
    "after_clocks": ("晚于截止时间", "After the last instant"),
    "ticket_elsewhere": ("工单不属于本月", "Ticket of another month"),
    "ticket_not_delivered": ("工单未交付", "Ticket not delivered"),
    "test_answer": ("测试答卷", "Test answer"),
    "voided": ("已作废", "Voided"),
    "calibration": ("校准评审", "Calibration"),
    "rescored": ("已重新评分", "Scored again"),
    "other_month": ("关于其他月份的申诉", "Appeal about another month"),
    "no_month": ("申诉未指明月份", "Appeal names no month"),
    "ended_before": ("本月之前已结束", "Ended before the month"),
    "begins_after": ("本月之后开始", "Begins after the month"),
    "no_days": ("没有任何一天", "Without a day"),
    "left_before": ("本月之前已离职", "Left before the month"),
    "other_assignment": ("以另一任职为准", "Another assignment stands"),
    "not_in_newest_roster": ("不在最新花名册中", "Not in the newest roster"),
    "unexplained": ("原因不明", "Unexplained"),
}
