"""What gates say, in Chinese, for the pages that people read: their names, fates of rows, numbers.

A verdict is written once, in English, and accepted by its hash: here it is only said again. It may
not judge, and what it does not know it leaves as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Words = tuple[str, str]  # Chinese, English

GATES: Mapping[str, Words] = {
    "raw": ("原始数据", "Raw"),
    "facts": ("事实表", "Facts"),
    "scorecards": ("计分卡", "Scorecards"),
    "exports": ("导出", "Exports"),
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
_SHARE = r"(-?[\d.]+%)"
# What a gate writes of what it saw and of what is allowed -> the same in Chinese.
_SAID: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (r"(\d+) rows?", r"\1 行"),
        (r"(\d+) events?", r"\1 个事件"),
        (r"nothing to measure", "无可测量的数据"),
        (
            r"(\d+) landed = (\d+) in facts \+ (\d+) left out",
            r"入湖 \1 = 进入事实表 \2 + 未计入 \3",
        ),
        (_SHARE + r" at most \((\S+) of (\S+)\)", r"最高 \1(\3 的 \2)"),
        (_SHARE + r" at most \((\S+)\)", r"最高 \1(\2)"),
        (_SHARE + r" \((\d+) people\)", r"\1(\2 人)"),
        (_SHARE + r" unknown", r"\1 未知"),
        (_SHARE + r" of rows", r"行数的 \1"),
        (_SHARE + r" of a stream's rows", r"单个数据流行数的 \1"),
        (_SHARE + r" of a fact's rows", r"单个事实表行数的 \1"),
        (_SHARE + r" of a KPI's cases", r"单项指标样本的 \1"),
        (_SHARE + r" of the people of the month before", r"上月人数的 \1"),
        (_SHARE + r" without a total", r"无总分者 \1"),
        (r"at least " + _SHARE + r" of the month before", r"不少于上月的 \1"),
        (r"at most (\S+) times the month before", r"不超过上月的 \1 倍"),
        (
            r"at most " + _SHARE + r" of a stream's rows of earlier months",
            r"早前月份的行不超过单个数据流的 \1",
        ),
        (r"busiest at the same hours as the month before", "繁忙时段与上月相同"),
        (
            r"(\S+) deviations from the median of at most (\S+) months before",
            r"距此前最多 \2 个月中位数 \1 个偏差",
        ),
        (r"(\S+) to (\S+)", r"\1 至 \2"),
        (r"default of perfhouse (\S+)", r"perfhouse \1 默认值"),
        (r"perfhouse\.toml, nobody named", "perfhouse.toml,未注明商定人"),
    )
)


def chinese(said: str) -> str:
    """Say in Chinese what a gate wrote in English; numbers, names and the unknown stay."""
    for pattern, words in _SAID:
        if found := pattern.fullmatch(said):
            return found.expand(words)
    return said
