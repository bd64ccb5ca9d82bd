"""What one manager's card shows: words, numbers and positions, ready for the template.

Pure functions over what `scorecards` read; no database, no file, no clock.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from perfhouse import card_appeals, scorecards
from perfhouse.card_appeals import Appeal
from perfhouse.card_figures import DASH, Bands, bullet, position, trend
from perfhouse.scorecards import Definition, KpiScore, TeamPart, Total

AGENT_KPIS = 4
SHOWN_TEAMS = 4
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
NEAR_FROM = 60.0


@dataclass(frozen=True)
class AgentResult:
    """One agent's two sums of one KPI."""

    employee_id: str
    name: str
    kpi_id: str
    numerator: float
    denominator: float


@dataclass(frozen=True)
class Person:
    """How a manager is called on the card."""

    name: str | None = None
    team: str | None = None


@dataclass(frozen=True)
class Sheet:
    """Everything known about one month that cards draw on."""

    month: date
    totals: tuple[Total, ...]
    history: Mapping[str, Sequence[Total]]
    bands: Bands
    scores: Mapping[str, Sequence[KpiScore]]
    medians: Mapping[tuple[str | None, str], float]
    definitions: Mapping[tuple[str, str | None], Definition]
    people: Mapping[str, Person] = field(default_factory=dict)
    agents: Mapping[str, Sequence[AgentResult]] = field(default_factory=dict)
    parts: Mapping[str, Sequence[TeamPart]] = field(default_factory=dict)
    appeals: Mapping[str, Sequence[Appeal]] = field(default_factory=dict)
    appeal_by: date | None = None
    grades: tuple[tuple[str, float], ...] = ()
    coverage_minimum: float | None = None
    verdicts: tuple[scorecards.Verdict, ...] = ()
    release: str | None = None


def card(sheet: Sheet, total: Total, agent_limit: int, with_definitions: bool) -> dict[str, Any]:
    """Describe one manager's card."""
    scores = sheet.scores.get(total.manager_id, ())
    known = {
        s.kpi_id: scorecards.definition_of(sheet.definitions, s.kpi_id, s.kpi_version)
        for s in scores
    }
    intended = scorecards.set_weights(scores)
    shares = intended
    if total.total_score is not None:
        shares = scorecards.effective_weights(scores, {k: d.category for k, d in known.items()})
    rows = [_kpi_row(sheet, total, s, known[s.kpi_id], shares, intended) for s in scores]
    groups = _groups(rows)
    order = [r["kpi_id"] for g in groups for r in g["rows"]]
    ordered = sorted(scores, key=lambda s: order.index(s.kpi_id))
    person = sheet.people.get(total.manager_id, Person())
    appeals = sheet.appeals.get(total.manager_id, ())
    appealed = card_appeals.changed(appeals)
    for row in rows:
        row["appealed"] = appealed.get(row["kpi_id"])
    return {
        "month": f"{sheet.month:%Y-%m}",
        "title_zh": f"{sheet.month.year}年{sheet.month.month}月",
        "title_en": f"{sheet.month:%B %Y}",
        "manager_id": total.manager_id,
        "name": person.name,
        "role": total.role,
        "team": person.team,
        "head": _head(sheet, total, rows),
        "trend": trend(sheet.history.get(total.manager_id, ()), sheet.bands),
        "groups": groups,
        "contribution": _sum(r["contribution_value"] for r in rows),
        "has_interval": any(r["bullet"]["ci"] for r in rows),
        "is_shrunk": any(r["basis"] for r in rows),
        "parts": _parts(sheet.parts.get(total.manager_id, ()), order, known),
        "appeals": card_appeals.view(appeals, _names(sheet)),
        "appeal_by": sheet.appeal_by,
        "agents": _agents(sheet, total, scores, known, agent_limit),
        "definitions": [_definition(known[s.kpi_id], s) for s in ordered]
        if with_definitions
        else [],
        "versions": [(s.kpi_id, s.kpi_version, s.target_version) for s in ordered],
        "verdicts": sheet.verdicts,
        "release": sheet.release,
        "command": f"perfhouse explain --month {sheet.month:%Y-%m} "
        f"--manager {shlex.quote(total.manager_id)} --kpi KPI",
    }


def _names(sheet: Sheet) -> dict[str, tuple[str, str]]:
    """Return the names of every KPI, in Chinese and English."""
    return {kpi: (d.name_zh, d.name_en) for (kpi, _), d in sheet.definitions.items()}


# ---------------------------------------------------------------- the head


def _head(sheet: Sheet, total: Total, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    spread = None
    if total.rank_low is not None and total.rank_high is not None:
        low, high = sorted((total.rank_low, total.rank_high))
        spread = f"{low}–{high}" if low != high else None
    return {
        "total": None if total.total_score is None else f"{total.total_score:.1f}",
        "grade": total.grade,
        "has_targets": any(r["weight_value"] for r in rows),
        "grades": [f"{g} ≥ {number(at)}" for g, at in sheet.grades],
        "status": total.status,
        "rank": total.rank,
        "tied": spread is not None,
        "spread": spread,
        "peer_count": total.peer_count,
        "coverage": percent(total.coverage_rate),
        "coverage_width": position((total.coverage_rate or 0.0) * 100, 100),
        "coverage_minimum": percent(sheet.coverage_minimum),
        "scored": sum(bool(r["is_scored"]) for r in rows),
        "kpis": len(rows),
        "change": None if total.change is None else f"{total.change:+.1f}".replace("-", "−"),
        "direction": _direction(total),
        "is_clear": total.change_status in ("better", "worse"),
        "change_known": total.change_status is not None,
        "interval": _total_interval(total),
        "previous": None
        if total.previous_total_score is None
        else f"{total.previous_total_score:.1f}",
        "agents": total.agent_count,
        "exposure_days": None if total.exposure_days is None else number(total.exposure_days),
    }


def _direction(total: Total) -> str:
    """Tell where a total went: nowhere, when the change is within its own error."""
    if total.change is None or abs(total.change) < 0.05 or total.change_status == "no_clear_change":
        return "same"
    return "up" if total.change > 0 else "down"


def _total_interval(total: Total) -> str | None:
    if total.total_low is None or total.total_high is None or total.total_score is None:
        return None
    return f"{total.total_low:.1f}–{total.total_high:.1f}"


# ---------------------------------------------------------------- the KPIs


def _kpi_row(
    sheet: Sheet,
    total: Total,
    score: KpiScore,
    definition: Definition,
    shares: Mapping[str, float],
    intended: Mapping[str, float],
) -> dict[str, Any]:
    state = state_of(score)
    median = sheet.medians.get((total.role, score.kpi_id))
    share, wanted = shares.get(score.kpi_id), intended.get(score.kpi_id)
    contribution = None
    if share is not None and score.score is not None and total.total_score is not None:
        contribution = share * score.score
    icon, zh, en = STATES[state]
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
        "unit": _unit_sign(definition.unit),
        "down": definition.direction == "down",
        "value": show(score.value, definition.unit),
        "interval": _interval(score, definition.unit),
        "basis": _basis(score, definition.unit),
        "review": _REVIEWS.get(score.funnel_status or ""),
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
        "short": [number(x) for x in _short(definition, score)],
        "is_provisional": bool(score.is_provisional),
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
    return _reach(score.score)


def _reach(points: float) -> str:
    if points >= scorecards.TARGET_SCORE:
        return "met"
    return "near" if points >= NEAR_FROM else "low"


def _groups(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
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


# Outside the 99.8 % limits of the funnel: worth a look, whichever side.
_REVIEWS = {
    "better_998": ("异常偏好,请复核", "unusually good: review"),
    "worse_998": ("异常偏差,请复核", "unusually poor: review"),
}


def _basis(score: KpiScore, unit: str) -> str | None:
    """Show the value that was scored, where it reads otherwise than the plain one."""
    if not score.is_scored or show(score.basis, unit) == show(score.value, unit):
        return None
    return show(score.basis, unit)


def _interval(score: KpiScore, unit: str) -> str | None:
    if score.ci_low is None or score.ci_high is None or not score.is_scored:
        return None
    low, high = show(score.ci_low, unit, bare=True), show(score.ci_high, unit, bare=True)
    return f"{low.removesuffix('%')}–{high}"


def _minimum(definition: Definition, score: KpiScore) -> float:
    """Cases needed: the company's choice where it made one, else the KPI's own."""
    return definition.minimum_sample if score.minimum_sample is None else score.minimum_sample


def _short(definition: Definition, score: KpiScore) -> tuple[float, ...]:
    """Return what there is and what is needed: cases, else rows; nothing if both suffice."""
    have, need = score.sample_size or 0.0, _minimum(definition, score)
    if have >= need and score.row_count is not None and score.minimum_rows is not None:
        have, need = score.row_count, score.minimum_rows
    return (have, need) if have < need else ()


def _agents_minimum(definition: Definition, score: KpiScore) -> float:
    """Cases needed of an agent; where rows are needed too, so many as these usually have."""
    rows = (score.minimum_rows or 0.0) * (score.sample_size or 0.0) / (score.row_count or 1.0)
    return max(_minimum(definition, score), rows if (score.minimum_rows or 0) > 1 else 0.0)


def _definition(definition: Definition, score: KpiScore) -> dict[str, Any]:
    return {
        "kpi_id": definition.kpi_id,
        "zh": definition.name_zh,
        "en": definition.name_en,
        "text_zh": definition.definition_zh,
        "text_en": definition.definition_en,
        "down": definition.direction == "down",
        "version": score.kpi_version or DASH,
        "target_version": score.target_version or DASH,
        "minimum": number(_minimum(definition, score)),
    }


# ---------------------------------------------------------------- the parts of a month


def _parts(
    parts: Sequence[TeamPart], order: Sequence[str], known: Mapping[str, Definition]
) -> dict[str, Any] | None:
    """List a manager's teams, the one of most days first, and the KPIs that have targets there."""
    teams = sorted(
        {(p.team_id, p.team_name, p.exposure_days) for p in parts}, key=lambda t: (-t[2], t[0])
    )
    shown = teams[:SHOWN_TEAMS]
    cells = {(p.kpi_id, p.team_id): p for p in parts if p.target is not None}
    rows = [
        {
            "zh": known[kpi].name_zh,
            "en": known[kpi].name_en,
            "cells": [_part(cells.get((kpi, team)), known[kpi].unit) for team, _, _ in shown],
        }
        for kpi in order
    ]
    rows = [row for row in rows if any(row["cells"])]
    if not rows:
        return None
    return {
        "heads": [(name, days) for _, name, days in shown],
        "rows": rows,
        "more": len(teams) - len(shown),
    }


def _part(part: TeamPart | None, unit: str) -> dict[str, Any] | None:
    if part is None:
        return None
    scored = part.status == scorecards.SCORED and part.score is not None
    icon, zh, en = STATES[_reach(part.score or 0.0) if scored else part.status]
    return {
        "icon": icon,
        "zh": zh,
        "en": en,
        "value": show(part.value, unit),
        "score": f"{part.score:.0f}" if scored else None,
        "target": show(part.target, unit),
        "sample": DASH if part.sample_size is None else number(part.sample_size),
    }


# ---------------------------------------------------------------- the agents


def _agents(
    sheet: Sheet,
    total: Total,
    scores: Sequence[KpiScore],
    known: Mapping[str, Definition],
    limit: int,
) -> dict[str, Any] | None:
    """List agents by the KPIs where their manager scores lowest, weakest agents first."""
    results = sheet.agents.get(total.manager_id, ())
    # A KPI on which no agent has enough cases says nothing about any of them.
    needed = {s.kpi_id: _agents_minimum(known[s.kpi_id], s) for s in scores}
    credited = {r.kpi_id for r in results if 0 < r.denominator >= needed.get(r.kpi_id, 0.0)}
    chosen = sorted(
        (
            s
            for s in scores
            if s.is_scored and s.scale and s.kpi_id in credited and _is_for_agents(known[s.kpi_id])
        ),
        key=lambda s: (s.score or 0.0, s.kpi_id),
    )[:AGENT_KPIS]
    if not chosen or limit == 0:
        return None
    by_agent: dict[str, dict[str, AgentResult]] = {}
    for result in results:
        by_agent.setdefault(result.employee_id, {})[result.kpi_id] = result
    listed = [_agent_row(cells, chosen, known) for _, cells in sorted(by_agent.items())]
    listed = [row for row in listed if any(cell for cell in row["cells"])]
    listed.sort(key=lambda row: (row["order"], -row["cases"], row["employee_id"]))
    return {
        "heads": [(known[s.kpi_id].name_zh, known[s.kpi_id].name_en) for s in chosen],
        "rows": listed[:limit],
        "more": max(0, len(listed) - limit),
    }


def _is_for_agents(definition: Definition) -> bool:
    """Whether single agents may be shown: their own work, and no confidential answers."""
    return definition.credit_to == "employee" and not definition.is_suppressed


def _agent_row(
    cells: Mapping[str, AgentResult], chosen: Sequence[KpiScore], known: Mapping[str, Definition]
) -> dict[str, Any]:
    shown: list[dict[str, Any] | None] = []
    points: list[float] = []
    cases = 0.0
    for score in chosen:
        result, scale = cells.get(score.kpi_id), score.scale
        if result is None or result.denominator <= 0 or scale is None:
            shown.append(None)
            continue
        definition = known[score.kpi_id]
        cases += result.denominator
        value = result.numerator / result.denominator
        icon = "none"
        if result.denominator >= _agents_minimum(definition, score):
            points.append(scale.score(value))
            icon = _reach(points[-1])
        shown.append(
            {
                "value": show(value, definition.unit),
                "sample": number(result.denominator),
                "icon": icon,
                "zh": {"met": "达标", "near": "接近", "low": "偏低"}.get(icon, "样本少"),
                "en": {"met": "on target", "near": "close", "low": "low"}.get(icon, "few"),
            }
        )
    first = next(iter(cells.values()))
    return {
        "employee_id": first.employee_id,
        "name": first.name,
        "cells": shown,
        "cases": cases,
        "order": sum(points) / len(points) if points else float("inf"),
    }


# ---------------------------------------------------------------- numbers


_PERCENTAGES = frozenset({"rate", "ratio"})  # a ratio may pass 100 %, a rate may not


def show(value: float | None, unit: str, bare: bool = False) -> str:
    """Write a value in its unit; signs and symbols read the same in both languages."""
    if value is None:
        return DASH
    if unit in _PERCENTAGES:
        return f"{_trim(value * 100, 1)}%"
    sign = "" if bare else _unit_sign(unit)
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{_trim(value, digits)}{sign}"


def _unit_sign(unit: str) -> str:
    return {"minutes": " min", "seconds": " s"}.get(unit, "")


def percent(share: float | None) -> str:
    """Write a share as a percentage with at most one digit."""
    return DASH if share is None else f"{_trim(share * 100, 1)}%"


def number(value: float) -> str:
    """Write a count; halves and the like keep one digit."""
    return _trim(value, 1, ",")


def _trim(value: float, digits: int, comma: str = "") -> str:
    text = f"{value:{comma}.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text and digits and not comma else text
    text = text.removesuffix(".0")
    return ("0" if text in {"-0", "-0.0"} else text).replace("-", "−")


def _sum(values: Any) -> str | None:
    known = [v for v in values if v is not None]
    return f"{sum(known):.1f}" if known else None
