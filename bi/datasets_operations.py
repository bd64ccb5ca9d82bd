"""Data sets that only staff read: gates, rows and appeals; and those of HR alone, with names.

Declarations only, like `datasets`.
"""

from __future__ import annotations

from bi.datasets import (
    EXPLANATIONS,
    HR,
    KPI_MONTHS,
    MANAGER_MONTHS,
    STAFF,
    TEAM_MONTHS,
    Column,
    Dataset,
    Metric,
    case,
)
from bi.words import APPEAL_STATES, FATES, GATES

_MONTH = ("月份", "Month")
RELEASES = Dataset(
    "releases",
    ("发布版本", "Releases"),
    {"r": "releases"},
    (
        Column("month", _MONTH, "r.month", "m"),
        Column("release", ("版本", "Release"), "r.release", "t"),
        Column("number", ("第几版", "Number"), "r.number", "i"),
        Column("as_of_month", ("数据截至", "Deliveries up to"), "r.as_of_month", "m"),
        Column("change_count", ("改动的数值", "Values changed"), "r.change_count", "i"),
        Column(
            "reason", ("重新发布的原因", "Why restated"), "coalesce(r.restatement_reason, '')", "t"
        ),
        Column("release_sha256", ("指纹", "SHA-256"), "left(r.release_sha256, 16)", "t"),
    ),
    (
        Metric("months", ("已发布月份", "Months published"), "count(distinct month)", ",d"),
        Metric(
            "restated", ("更正过的月份", "Months restated"),
            "count(*) filter (where number > 1)", ",d",
        ),
    ),
    circle=STAFF,
)  # fmt: skip

VERDICTS = Dataset(
    "gate_verdicts",
    ("关卡结论", "Gate verdicts"),
    {"v": "gate_verdicts"},
    (
        Column("month", _MONTH, "v.month", "m"),
        Column("gate", ("关卡代码", "Gate id"), "v.gate", "t"),
        Column("gate_name", ("关卡", "Gate"), case("v.gate", GATES), "t"),
        Column("check_id", ("检查代码", "Check id"), "v.check_id", "t"),
        Column("title", ("检查", "Check"), ("v.title_zh", "v.title_en"), "t"),
        Column(
            "severity", ("级别", "Severity"),
            (
                "case v.severity when 'critical' then '严重' else '警告' end",
                "v.severity",
            ),
            "t",
        ),
        Column("passed", ("是否通过", "Passed"), "v.passed", "b"),
        Column(
            "verdict", ("结论", "Verdict"),
            (
                "case when v.passed then '通过' when nullif(v.accepted_by, '') is not null then"
                " '未通过，已接受' else '未通过' end",
                "case when v.passed then 'passed' when nullif(v.accepted_by, '') is not null then"
                " 'failed, accepted' else 'failed' end",
            ),
            "t",
        ),
        Column("observed", ("实际", "Observed"), "v.observed", "t"),
        Column("threshold", ("要求", "Threshold"), "v.threshold", "t"),
        Column("accepted_reason", ("接受的原因", "Why accepted"), "v.accepted_reason", "t"),
    ),
    (
        Metric("checks", ("检查数", "Checks"), "count(*)", ",d"),
        Metric(
            "failed", ("未通过的检查", "Checks failed"),
            "count(*) filter (where not passed)", ",d",
        ),
    ),
    circle=STAFF,
)  # fmt: skip

RECONCILIATION = Dataset(
    "reconciliation",
    ("数据行去向", "Where rows went"),
    {"r": "reconciliation"},
    (
        Column("month", _MONTH, "r.month", "m"),
        Column("stream", ("数据流", "Stream"), "r.stream", "t"),
        Column("source", ("来源", "Source"), "r.source", "t"),
        Column("delivered", ("交付月份", "Delivered for"), "r.delivered", "t"),
        Column("reason", ("去向代码", "Fate id"), "r.reason", "t"),
        Column("reason_name", ("去向", "Fate"), case("r.reason", FATES), "t"),
        Column(
            "fate", ("是否计入", "Counted"),
            (
                "case when r.in_facts then '进入事实表' else '未进入' end",
                "case when r.in_facts then 'in facts' else 'left out' end",
            ),
            "t",
        ),
        Column(
            "delivery", ("交付", "Delivery"),
            (
                "case when r.delivered = to_char(r.month, 'YYYY-MM') then '当月交付'"
                " when r.delivered > to_char(r.month, 'YYYY-MM') then '后来的交付'"
                " else '以前的交付' end",
                "case when r.delivered = to_char(r.month, 'YYYY-MM') then 'of the month'"
                " when r.delivered > to_char(r.month, 'YYYY-MM') then 'later'"
                " else 'earlier' end",
            ),
            "t",
        ),
        Column(
            "is_other_month", ("不是当月交付", "Not delivered for the month"),
            "r.delivered <> to_char(r.month, 'YYYY-MM')", "b",
        ),
        Column("in_facts", ("进入事实表", "In facts"), "r.in_facts", "b"),
        Column("row_count", ("行数", "Rows"), "r.rows", "i"),
    ),
    (
        Metric("landed_rows", ("行数", "Rows"), "sum(row_count)", ",d"),
        Metric(
            "left_out_share", ("未计入的占比", "Share left out"),
            "coalesce(sum(row_count) filter (where not in_facts), 0)"
            " / nullif(sum(row_count), 0)", ".2%",
        ),
    ),
    circle=STAFF,
)  # fmt: skip

APPEALS = Dataset(
    "appeals",
    ("申诉", "Appeals"),
    {"a": "scorecard_appeals"},
    (
        Column("month", _MONTH, "a.month", "m"),
        Column("manager_id", ("经理", "Manager"), "a.manager_id", "t"),
        Column("appeal_id", ("申诉编号", "Appeal"), "a.appeal_id", "t"),
        Column("kpi_id", ("指标", "KPI"), "a.kpi_id", "t"),
        Column("state_name", ("状态", "State"), case("a.state", APPEAL_STATES), "t"),
        Column("outcome", ("结果", "Outcome"), "a.outcome", "t"),
        Column("raised_on", ("提出日", "Raised on"), "a.raised_on", "m"),
        Column("decide_by", ("应决定于", "Decide by"), "a.decide_by", "m"),
        Column("decided_on", ("决定日", "Decided on"), "a.decided_on", "m"),
        Column("row_count", ("涉及行数", "Rows"), "a.row_count", "i"),
    ),
    (Metric("appeals", ("申诉数", "Appeals"), "count(*)", ",d"),),
)

HR_NAMES = Dataset(
    "hr_names",
    ("人事名单", "HR list with names"),
    {"e": "export_hr_manager_months", "n": "hr_manager_names"},
    (
        Column("month", _MONTH, "e.month", "m"),
        Column("manager_id", ("工号", "Employee number"), "e.employee_number", "t"),
        Column("display_name", ("姓名", "Name"), "n.display_name", "t"),
        Column("team_name", ("团队", "Team"), "e.team_name", "t"),
        Column("total_score", ("总分", "Total"), "e.total_score"),
        Column("grade", ("等级", "Grade"), "e.grade", "t"),
        Column("rank", ("名次", "Rank"), "e.rank", "i"),
        Column("peer_count", ("同岗位人数", "Peers"), "e.peer_count", "i"),
        Column("change", ("较上月", "Change"), "e.change"),
        Column("coverage_rate", ("覆盖率", "Coverage"), "e.coverage_rate", d3_format=".0%"),
        Column("appeals_open", ("未决申诉", "Appeals open"), "e.appeals_open", "i"),
    ),
    (Metric("managers", ("经理数", "Managers"), "count(distinct manager_id)", ",d"),),
    joins="\nleft join perfhouse.hr_manager_names as n\n"
    "    on n.month = e.month and n.manager_id = e.employee_number",
    circle=HR,
)

DATASETS = (
    MANAGER_MONTHS, KPI_MONTHS, EXPLANATIONS, TEAM_MONTHS, APPEALS, RELEASES, VERDICTS,
    RECONCILIATION, HR_NAMES,
)  # fmt: skip
