"""The appeals of a month as a manager's card tells them: what about, where it stands, why.

Reads a warehouse connection and makes words; it may not judge an appeal, and knows nobody's words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from perfhouse import scorecards

if TYPE_CHECKING:
    import duckdb

    from perfhouse.month import Month

SHOWN = 8
EVERY = "*"
# state -> icon in the template, Chinese word, English word
_STATES = {
    "submitted": ("near", "已提交", "Submitted"),
    "accepted": ("near", "审核中", "Under review"),
    "upheld": ("met", "成立", "Upheld"),
    "rejected": ("low", "驳回", "Rejected"),
    "withdrawn": ("none", "已撤回", "Withdrawn"),
    "late": ("none", "逾期,不适用", "Late, not applied"),
}
_REASONS = {
    "data_error": ("数据有误", "the data is wrong"),
    "wrong_person": ("归属有误", "somebody else's work"),
    "outside_control": ("非本人可控", "outside their control"),
    "duplicate": ("重复记录", "counted twice"),
    "rule_applies": ("符合既定口径", "the rule applies"),
    "no_evidence": ("证据不足", "no evidence"),
    "out_of_scope": ("不属申诉范围", "no matter of appeals"),
    "other": ("其他", "another reason"),
}
# why an upheld appeal changes nothing
_OUTCOMES = {
    "nobody_decided": ("未注明裁定人", "nobody is named who decided"),
    "unknown_kpi": ("没有该指标", "no such KPI"),
    "no_row": ("本月没有该记录", "no such row this month"),
    "not_own_row": ("不是本人的记录", "not a row of this manager"),
    "ambiguous_row": ("记录编号不唯一", "several rows have this id"),
    "confidential": ("保密问卷不逐条更改", "confidential answers are not changed one by one"),
    "not_creditable": ("无法改记给此人", "cannot be credited to that person"),
    "bad_value": ("更正值无效", "no valid value"),
    "no_effect": ("未说明如何更改", "says not what to change"),
    "superseded": ("另一申诉已处理", "another appeal already did"),
}
_COLUMNS: scorecards.Columns = {
    "manager_id": "varchar",
    "raised_on": "date",
    "appeal_id": "varchar",
    "appeal_key": "varchar",
    "kpi_id": "varchar",
    "is_row": "boolean",
    "effect": "varchar",
    "state": "varchar",
    "outcome": "varchar",
    "row_count": "bigint",
    "decide_by": "date",
    "deadline_on": "date",
    "decided_on": "date",
    "reason_code": "varchar",
    "decision_code": "varchar",
}
_ROWS: scorecards.Columns = {
    "appeal_key": "varchar",
    "kpi_id": "varchar",
    "source_row_id": "varchar",
    "row_count": "bigint",
    "is_applied": "boolean",
    "finding": "varchar",
}


@dataclass(frozen=True)
class Appeal:
    """One appeal of a manager; `row_id` only where the warehouse knows that row as theirs.

    `applied`: rows changed by KPI.
    """

    appeal_id: str
    kpi_id: str | None
    is_row: bool
    row_id: str | None
    effect: str | None
    state: str
    outcome: str
    row_count: int
    decide_by: date | None
    deadline_on: date | None
    decided_on: date | None
    reason_code: str | None
    decision_code: str | None
    applied: Mapping[str, int]


def read(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, list[Appeal]]:
    """Read the appeals about a month by manager, in the order they were raised."""
    row_ids: dict[str, str] = {}
    applied: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    of_month = ("month = ?", [month.start])
    for key, kpi, row_id, count, is_applied, finding in scorecards.read(
        con, "kpis.kpi_appeal_rows", _ROWS, *of_month
    ):
        if finding not in ("not_own_row", "ambiguous_row"):
            row_ids[key] = row_id
        if is_applied:
            applied[key][kpi] += count
    found: dict[str, list[Appeal]] = defaultdict(list)
    for manager, _, appeal_id, key, *rest in scorecards.read(
        con, "scorecards.scorecard_appeals", _COLUMNS, *of_month
    ):
        kpi_id, is_row, *others = rest
        of_row = (row_ids.get(key) if is_row else None, *others, dict(applied[key]))
        found[manager].append(Appeal(appeal_id, kpi_id, is_row, *of_row))
    return dict(found)


def deadline(con: duckdb.DuckDBPyConnection, month: Month) -> date | None:
    """Return the last day on which a month may be appealed, if the warehouse was built for it."""
    columns = {"deadline_on": "date"}
    rows = scorecards.read(con, "config.appeal_days", columns, "raised_on = ?", [month.start])
    return rows[0][0] if rows else None


def view(appeals: Sequence[Appeal], names: Mapping[str, tuple[str, str]]) -> dict[str, Any] | None:
    """Describe a manager's appeals; `names` are those of KPIs in Chinese and English."""
    if not appeals:
        return None
    return {
        "rows": [_row(appeal, names) for appeal in appeals[:SHOWN]],
        "more": max(0, len(appeals) - SHOWN),
    }


def changed(appeals: Sequence[Appeal]) -> dict[str, tuple[str, str]]:
    """Say by KPI how many rows upheld appeals left out or mended, in Chinese and English."""
    out: dict[str, int] = defaultdict(int)
    mended: dict[str, int] = defaultdict(int)
    for appeal in appeals:
        for kpi, count in appeal.applied.items():
            (mended if appeal.effect == "correct" else out)[kpi] += count
    return {
        kpi: (
            _joined(
                "、", (f"剔除 {out[kpi]} 行", out[kpi]), (f"更正 {mended[kpi]} 行", mended[kpi])
            ),
            _joined(
                ", ", (f"{out[kpi]} left out", out[kpi]), (f"{mended[kpi]} mended", mended[kpi])
            ),
        )
        for kpi in {*out, *mended}
    }


def _joined(mark: str, *parts: tuple[str, int]) -> str:
    return mark.join(text for text, count in parts if count)


def _row(appeal: Appeal, names: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    icon, zh, en = _STATES[appeal.state]
    kpi = names.get(appeal.kpi_id or "", ("未知指标", "Unknown KPI"))
    if appeal.kpi_id == EVERY:
        kpi = ("全部指标", "Every KPI")
    return {
        "id": appeal.appeal_id,
        "kpi": kpi,
        "is_row": appeal.is_row,
        "row_id": appeal.row_id,
        "icon": icon,
        "zh": zh,
        "en": en,
        "day": _day(appeal),
        "reason": _REASONS.get(appeal.reason_code or ""),
        "decision": _REASONS.get(appeal.decision_code or ""),
        "effect": _effect(appeal),
    }


def _day(appeal: Appeal) -> tuple[str, str] | None:
    """Say the day that matters: of the decision, until when it is due, or which was missed."""
    if appeal.state in ("submitted", "accepted"):
        day, zh, en = appeal.decide_by, "裁定期限", "decision by"
    elif appeal.state == "late":
        day, zh, en = appeal.deadline_on, "申诉截止", "was due by"
    else:
        day, zh, en = appeal.decided_on, "裁定于", "decided on"
    return (f"{zh} {day}", f"{en} {day}") if day else None


def _effect(appeal: Appeal) -> tuple[str, str] | None:
    if appeal.state != "upheld":
        return None
    if appeal.outcome != "applied":
        return _OUTCOMES.get(appeal.outcome)
    if not appeal.is_row:
        return "该指标本月不计", "the KPI is left out"
    rows = f"{appeal.row_count} row{'s' if appeal.row_count != 1 else ''}"
    if appeal.effect == "correct":
        return f"更正 {appeal.row_count} 行", f"{rows} mended"
    return f"剔除 {appeal.row_count} 行", f"{rows} left out"
