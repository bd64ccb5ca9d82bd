"""The KPIs of one manager's card: a row each, their groups by category, their definitions.

Pure functions over what `scorecards` read; no database, no file, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfhouse import card_changes, card_peers, scorecards
from perfhouse.card_figures import DASH, bullet
from perfhouse.card_numbers import number, percent, show, unit_sign
from perfhouse.card_sheet import Sheet
from perfhouse.scorecards import Definition, KpiScore, Total

CATEGORY_NAMES = {
    "result": ("结果", "Results"),
    "quality": ("质量", "Quality"),
    "efficiency": ("效率", "Efficiency"),
    "people": ("团队", "People"),
    "innovation": ("创新", "Innovation"),
}
# state -> icon in the template, Chinese word, English word
STATES = {
    "met": ("met", "达标", "On target"),
    "near": ("near", "接近", "Close"),
    "low": ("low", "偏低", "Low"),
    "insufficient_data": ("none", "样本不足", "Not enough data"),
    "no_target": ("none", "未设目标", "No target"),
    "not_available": ("none", "暂无数据", "No data"),
    "excluded": ("none", "申诉剔除", "Left out by an appeal"),
}
# What there is too little of -> what the state is called, where it is not cases or records.
_LACKING = {
    "months": ("月份不足", "Too few months"),
    "answers": ("不予显示", "Not shown"),
}
NEAR_FROM = 60.0
# Outside the 99.8 % limits of the funnel: worth a look, whichever side.
_REVIEWS = {
    "better_998": ("异常偏好,请复核", "unusually good: review"),
    "worse_998": ("异常偏差,请复核", "unusually poor: review"),
}


def kpi_row(
    sheet: Sheet,
    total: Total,
    score: KpiScore,
    definition: Definition,
    shares: Mapping[str, float],
    intended: Mapping[str, float],
) -> dict[str, Any]:
    """Describe one KPI of a manager.

    Args:
        sheet: the month.
        total: the manager's total.
        score: the manager's score of the KPI.
        definition: the KPI's definition, in the version that was scored.
        shares: the weights that make the total, as shares of 1; as set where there is none.
        intended: the weights as they were set, as shares of 1.
    """
    state = state_of(score)
    median = card_peers.middle(
        sheet.peer_values.get((total.role, score.kpi_id), ()),
        score.value if score.status == scorecards.SCORED else None,
    )
    move = sheet.moves.get(score.manager_id, {}).get(score.kpi_id)
    share, wanted = shares.get(score.kpi_id), intended.get(score.kpi_id)
    contribution = None
    if share is not None and score.score is not None and total.total_score is not None:
        contribution = share * score.score
    basis, interval = _basis(score, definition.unit), _interval(score, definition.unit)
    review = _REVIEWS.get(score.funnel_status or "")
    restated = _restated(sheet, score, definition.unit)
    provisional = ("暂定", "provisional") if score.is_provisional else None
    asides = (basis and f"→ {basis}", interval, review, provisional, restated)
    icon, zh, en = STATES[state]
    zh, en = _LACKING.get(score.lacks(definition) or "", (zh, en))
    return {
        "kpi_id": score.kpi_id,
        "zh": definition.name_zh,
        "en": definition.name_en,
        "category": definition.category,
        "is_scored": score.is_scored,
        "state": state,
        "icon": icon,
        "state_zh": zh,
        "state_en": en,
        "unit": unit_sign(definition.unit),
        "down": definition.direction == "down",
        "value": show(None if state == "not_available" else score.value, definition.unit),
        "interval": interval,
        "basis": basis,
        "review": review,
        "target": show(score.target, definition.unit),
        "scale": [
            show(v, definition.unit, bare=True) for v in (score.floor, score.target, score.stretch)
        ]
        if score.scale
        else None,
        "score": None if not score.is_scored else f"{score.score:.0f}",
        "score_value": score.score if score.is_scored else None,
        "share_value": share,
        "weight_value": score.weight or 0.0,
        "weight": percent(share) if share is not None else DASH,
        "weight_set": percent(wanted),
        "weight_moved": wanted is not None and abs(wanted - (share or 0.0)) >= 0.0005,
        "sample": DASH if score.sample_size is None else number(score.sample_size),
        "lack": _lack(definition, score),
        "lack_is_long": score.lacks(definition) in _LACKING,
        "is_provisional": bool(score.is_provisional),
        "restated": restated,
        "asides": [aside for aside in asides if aside],
        "is_clear": score.change_status in ("better", "worse"),
        "why": None if state == "not_available" else card_changes.why(move, score, definition.unit),
        "median": show(median, definition.unit),
        "contribution_value": contribution,
        "contribution": DASH if contribution is None else f"{contribution:.1f}",
        "bullet": bullet(score, median),
    }


def state_of(score: KpiScore) -> str:
    """Name the state of a KPI; a KPI without a score is never one of the coloured states."""
    if score.status != scorecards.SCORED:
        return score.status if score.status in STATES else "not_available"
    if score.score is None:
        return "no_target" if score.scale is None else "not_available"
    return reach(score.score)


def reach(points: float) -> str:
    """Name the state of so many points out of 100."""
    if points >= scorecards.TARGET_SCORE:
        return "met"
    return "near" if points >= NEAR_FROM else "low"


def grouped(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Group KPIs by category in the house's order; unknown categories come last by name."""
    found = sorted(
        {r["category"] for r in rows},
        key=lambda c: (
            scorecards.CATEGORIES.index(c) if c in scorecards.CATEGORIES else 99,
            c,
        ),
    )
    groups = []
    for category in found:
        members = [r for r in rows if r["category"] == category]
        members.sort(key=lambda r: (-r["weight_value"], r["kpi_id"]))
        weight = sum(r["share_value"] or 0.0 for r in members)
        scored = [r for r in members if r["is_scored"]]
        reach = sum(r["share_value"] or 0.0 for r in scored)
        points = sum((r["share_value"] or 0.0) * r["score_value"] for r in scored)
        zh, en = CATEGORY_NAMES.get(category, (category, category))
        groups.append(
            {
                "zh": zh,
                "en": en,
                "rows": members,
                "weight": percent(weight),
                "score": f"{points / reach:.1f}" if reach else None,
            }
        )
    return groups


def _basis(score: KpiScore, unit: str) -> str | None:
    """Show the value that was scored, where it reads otherwise than the plain one."""
    if not score.is_scored or show(score.basis, unit) == show(score.value, unit):
        return None
    return show(score.basis, unit)


def _restated(sheet: Sheet, score: KpiScore, unit: str) -> tuple[str, str] | None:
    """Say what the release before showed, where that reads otherwise."""
    was = sheet.restated.get(score.manager_id, {}).get(score.kpi_id, {})
    now = {"value": show(score.value, unit), "score": _points(score.score)}
    told = {
        "value": show(_float(was.get("value")), unit),
        "score": _points(_float(was.get("score"))),
    }
    differs = [name for name in ("value", "score") if name in was and told[name] != now[name]]
    if not differs:
        return None
    zh = "、".join(told[name] + (" 分" if name == "score" else "") for name in differs)
    en = ", ".join(told[name] + (" points" if name == "score" else "") for name in differs)
    return f"更正,原 {zh}", f"restated, was {en}"


def _points(score: float | None) -> str:
    return DASH if score is None else f"{score:.0f}"


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)


def _interval(score: KpiScore, unit: str) -> str | None:
    if score.ci_low is None or score.ci_high is None or not score.is_scored:
        return None
    low, high = show(score.ci_low, unit, bare=True), show(score.ci_high, unit, bare=True)
    return f"{low.removesuffix('%')}–{high}"


def _lack(definition: Definition, score: KpiScore) -> tuple[str, str] | None:
    """Say what there is too little of, where that is why there is no score."""
    match score.lacks(definition):
        case "cases":
            have, need = number(score.sample_size or 0.0), number(score.fewest(definition))
            return f"样本 {have},至少需 {need}", f"{have} cases, {need} needed"
        case "rows":
            have, need = number(score.row_count or 0.0), number(score.minimum_rows or 0.0)
            return f"记录 {have} 条,至少需 {need} 条", f"{have} records, {need} needed"
        case "months":
            return "已有数据的月份不足以得出全年数字", "too few months for a figure of a year"
        case "answers":
            return "不予显示,以免推算出答卷", "not shown: answers could be worked out"
    return None


def agents_minimum(definition: Definition, score: KpiScore) -> float:
    """Cases needed of an agent; where rows are needed too, so many as these usually have."""
    rows = (score.minimum_rows or 0.0) * (score.sample_size or 0.0) / (score.row_count or 1.0)
    return max(score.fewest(definition), rows if (score.minimum_rows or 0) > 1 else 0.0)


def definition_row(definition: Definition, score: KpiScore) -> dict[str, Any]:
    """Describe how a KPI is defined, in the versions that were scored."""
    return {
        "kpi_id": definition.kpi_id,
        "zh": definition.name_zh,
        "en": definition.name_en,
        "text_zh": definition.definition_zh,
        "text_en": definition.definition_en,
        "down": definition.direction == "down",
        "version": score.kpi_version or DASH,
        "target_version": score.target_version or DASH,
        "minimum": number(score.fewest(definition)),
        "has_weight": bool(score.weight),
    }
