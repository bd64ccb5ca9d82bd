"""The agents of one manager's card, by the KPIs where the manager scores lowest.

Pure functions over what `scorecards` read; who may not be shown alone is left out here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfhouse.card_kpis import agents_minimum, reach
from perfhouse.card_numbers import number, show
from perfhouse.card_sheet import AgentResult, Sheet
from perfhouse.scorecards import Definition, KpiScore, Total

AGENT_KPIS = 4


def agents_of(
    sheet: Sheet,
    total: Total,
    scores: Sequence[KpiScore],
    known: Mapping[str, Definition],
    limit: int,
) -> dict[str, Any] | None:
    """List agents by the KPIs where their manager scores lowest, weakest agents first."""
    results = sheet.agents.get(total.manager_id, ())
    # A KPI on which no agent has enough cases says nothing about any of them.
    needed = {s.kpi_id: agents_minimum(known[s.kpi_id], s) for s in scores}
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
        if result.denominator >= agents_minimum(definition, score):
            points.append(scale.score(value))
            icon = reach(points[-1])
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
