"""What one manager's card shows: words, numbers and positions, ready for the template.

Pure functions over what `scorecards` read; no database, no file, no clock.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from perfhouse import (
    card_agents,
    card_alerts,
    card_appeals,
    card_kpis,
    card_movers,
    card_teams,
    card_training,
    scorecards,
)
from perfhouse.card_figures import DASH, position, trend
from perfhouse.card_numbers import number, percent
from perfhouse.card_roles import role_name
from perfhouse.card_sheet import Person, Sheet
from perfhouse.scorecards import Total


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
    rows = [card_kpis.kpi_row(sheet, total, s, known[s.kpi_id], shares, intended) for s in scores]
    groups = card_kpis.grouped(rows)
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
        "role_name": role_name(total.role),
        "team": person.team,
        "head": _head(sheet, total, rows),
        "movers": card_movers.of_manager(
            *(total, scores, sheet.before.get(total.manager_id, ())),
            *(shares, sheet.definitions),
        ),
        "trend": trend(sheet.history.get(total.manager_id, ()), sheet.peer_totals),
        "groups": groups,
        "contribution": _sum(r["contribution_value"] for r in rows),
        "has_median": any(r["bullet"]["median"] for r in rows),
        "has_interval": any(r["bullet"]["ci"] for r in rows),
        "is_shrunk": any(r["basis"] for r in rows),
        "parts": card_teams.parts_of(sheet.parts.get(total.manager_id, ()), order, known),
        "appeals": card_appeals.view(appeals, _names(sheet)),
        "appeal_by": sheet.appeal_by,
        "agents": card_agents.agents_of(sheet, total, scores, known, agent_limit),
        "training": card_training.view(sheet.training.get(total.manager_id, ()), sheet.names),
        "alerts": card_alerts.view(sheet.alerts.get(total.manager_id)),
        "definitions": [card_kpis.definition_row(known[s.kpi_id], s) for s in ordered]
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


def _head(sheet: Sheet, total: Total, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    weighted = [r for r in rows if r["weight_value"]]
    spread = tied_ranks(total)
    return {
        "total": None if total.total_score is None else f"{total.total_score:.1f}",
        "grade": total.grade,
        "has_targets": bool(weighted),
        "grades": [f"{g} ≥ {number(at)}" for g, at in sheet.grades],
        "status": total.status,
        "rank": total.rank,
        "tied": spread is not None,
        "spread": spread,
        "peer_count": total.peer_count,
        "coverage": percent(total.coverage_rate),
        "coverage_width": position((total.coverage_rate or 0.0) * 100, 100),
        "coverage_minimum": percent(sheet.coverage_minimum),
        "scored": sum(bool(r["is_scored"]) for r in weighted),
        "kpis": len(weighted),
        "change": None if total.change is None else f"{total.change:+.1f}".replace("-", "−"),
        "direction": _direction(total),
        "is_clear": total.change_status in ("better", "worse"),
        "change_known": total.change_status is not None,
        "interval": total_interval(total),
        "restated": _restated_total(sheet, total),
        "reason": sheet.reason,
        "is_untouched": not sheet.restated.get(total.manager_id),
        "provisional": sum(r["is_provisional"] for r in weighted),
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


def tied_ranks(total: Total) -> str | None:
    """Write the ranks that cannot be told apart by their intervals; None: the rank is alone."""
    if total.rank_low is None or total.rank_high is None or total.rank_low == total.rank_high:
        return None
    low, high = sorted((total.rank_low, total.rank_high))
    return f"{low}–{high}"


def total_interval(total: Total) -> str | None:
    """Write the 95 % interval of a total."""
    if total.total_low is None or total.total_high is None or total.total_score is None:
        return None
    return f"{total.total_low:.1f}–{total.total_high:.1f}"


def _restated_total(sheet: Sheet, total: Total) -> tuple[str, str] | None:
    """Say what total and grade the release before showed, where they read otherwise."""
    was = sheet.restated.get(total.manager_id, {}).get(None, {})
    score, grade = was.get("total_score"), was.get("grade")
    old = _one_digit(None if score is None else float(score))
    zh, en = [], []
    if "total_score" in was and old != _one_digit(total.total_score):
        zh, en = [f"总分 {old}"], [old]
    if "grade" in was and grade != total.grade:
        zh, en = [*zh, f"等级 {grade or DASH}"], [*en, f"grade {grade or DASH}"]
    return (f"更正,上一版为{'、'.join(zh)}", f"Restated, was {', '.join(en)}") if zh else None


def _one_digit(score: float | None) -> str:
    return DASH if score is None else f"{score:.1f}"


def _sum(values: Any) -> str | None:
    known = [v for v in values if v is not None]
    return f"{sum(known):.1f}" if known else None
