"""The teams of one manager's card: what each part of the month came to.

Pure functions over what `scorecards` read; no database, no file, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfhouse import scorecards
from perfhouse.card_figures import DASH
from perfhouse.card_kpis import STATES, reach
from perfhouse.card_numbers import number, show
from perfhouse.scorecards import Definition, TeamPart

SHOWN_TEAMS = 4
_FEW = ("样本少", "few cases")


def parts_of(
    parts: Sequence[TeamPart], order: Sequence[str], known: Mapping[str, Definition]
) -> dict[str, Any] | None:
    """List a manager's teams, the one of most days first, and the KPIs that have targets there.

    A team of which nothing is scored is counted, not shown: `few`.
    """
    teams = sorted(
        {(p.team_id, p.team_name, p.exposure_days) for p in parts}, key=lambda t: (-t[2], t[0])
    )
    scored = {p.team_id for p in parts if _is_scored(p)}
    known_teams = [team for team in teams if team[0] in scored]
    shown = known_teams[:SHOWN_TEAMS]
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
        "more": len(known_teams) - len(shown),
        "few": len(teams) - len(known_teams),
    }


def _is_scored(part: TeamPart) -> bool:
    return part.status == scorecards.SCORED and part.score is not None


def _part(part: TeamPart | None, unit: str) -> dict[str, Any] | None:
    if part is None:
        return None
    scored = _is_scored(part)
    icon, zh, en = STATES[reach(part.score or 0.0) if scored else part.status]
    if part.status == "insufficient_data":
        zh, en = _FEW
    return {
        "icon": icon,
        "zh": zh,
        "en": en,
        "value": show(part.value, unit) if scored else None,
        "score": f"{part.score:.0f}" if scored else None,
        "target": show(part.target, unit),
        "sample": DASH if part.sample_size is None else number(part.sample_size),
    }
