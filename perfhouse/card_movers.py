"""What moved a manager's total since the month before: which KPIs, and by how many points.

Pure arithmetic over the scores of two months; no database, no file, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from perfhouse import scorecards
from perfhouse.scorecards import KpiScore, Total

SHOWN = 3  # KPIs up, and as many down; the others are summed
# More than this between the parts and the change: it was told of other numbers than these.
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Mover:
    """A KPI that was scored in both months, and what of the total's change is its own.

    `points`: the mean of its two weights times its score's change; `was`: the score of the month
    before by this month's target; `terms`: what a new target makes of the score before, as points.
    """

    kpi_id: str
    points: float
    terms: float
    was: float
    now: float


@dataclass(frozen=True)
class Split:
    """A total's change in parts that sum to it.

    `terms`: new targets and definitions; `weights`: KPIs that came or went, and weights that moved.
    """

    movers: Sequence[Mover]
    terms: float
    weights: float


def split(
    now: Sequence[KpiScore],
    before: Sequence[KpiScore],
    weights: Mapping[str, float],
    weights_before: Mapping[str, float],
) -> Split:
    """Split a total's change over its KPIs; weights are shares of 1 of those that were scored.

    Of weight w and score s, before (0) and now (1), w1 s1 - w0 s0 is
    (w0 + w1) / 2 * (s1 - s0) + (w1 - w0) * (s0 + s1) / 2: its own part, and that of the weights.
    The weights' parts make sense as their sum alone, for what one KPI loses others gain.
    """
    new, old = (
        {s.kpi_id: s for s in scores if s.is_scored and s.kpi_id in shares}
        for scores, shares in ((now, weights), (before, weights_before))
    )
    movers, terms, moved = [], 0.0, 0.0
    for kpi in sorted({*new, *old}):
        w1 = weights[kpi] if kpi in new else 0.0
        w0 = weights_before[kpi] if kpi in old else 0.0
        s1 = _points(new[kpi] if kpi in new else old[kpi])
        s0 = _points(old[kpi] if kpi in old else new[kpi])
        moved += (w1 - w0) * (s0 + s1) / 2
        if kpi not in new or kpi not in old:
            continue
        share = (w0 + w1) / 2
        was = _by_terms_of(new[kpi], old[kpi])
        if was is None:
            terms += share * (s1 - s0)
            continue
        mover = Mover(kpi, share * (s1 - was), share * (was - s0), was, s1)
        terms += mover.terms
        movers.append(mover)
    return Split(movers, terms, moved)


def _points(score: KpiScore) -> float:
    return score.score or 0.0


def _by_terms_of(now: KpiScore, before: KpiScore) -> float | None:
    """Score the month before by this month's target; None: it was of another definition."""
    if now.kpi_version != before.kpi_version:
        return None
    if now.scale == before.scale:
        return before.score
    if now.scale is None or before.basis is None:
        return None
    return now.scale.score(before.basis)


def view(
    total: Total,
    found: Split,
    names: Mapping[str, tuple[str, str]],
    unclear: frozenset[str] = frozenset(),
) -> dict[str, Any] | None:
    """Describe what moved a total; the parts sum to its change as it is shown.

    None where there is no change to tell of, or the month before has other numbers by now.

    Args:
        total: of the month.
        found: its parts.
        names: of KPIs, in Chinese and English.
        unclear: KPIs whose change is within its error: told once if it is so of all.
    """
    if total.total_score is None or total.change is None:
        return None
    ordered = sorted(found.movers, key=lambda m: (-m.points, m.kpi_id))
    up = [m for m in ordered if m.points > 0][:SHOWN]
    down = [m for m in reversed(ordered) if m.points < 0][:SHOWN]
    told = [*up, *down]
    others = [m for m in found.movers if m not in told and m.points]
    parts = [*(m.points for m in told), sum(m.points for m in others), found.terms, found.weights]
    if abs(sum(parts) - total.change) > _TOLERANCE:
        return None
    *shown, rest, terms, weights = (_signed(p) for p in rounded(parts, total.change))
    is_all_unclear = bool(told) and all(m.kpi_id in unclear for m in told)
    rows = [
        {
            "zh": names[m.kpi_id][0],
            "en": names[m.kpi_id][1],
            "points": points,
            "is_up": m.points > 0,
            "was": f"{m.was:.0f}",
            "now": f"{m.now:.0f}",
            "is_unclear": m.kpi_id in unclear and not is_all_unclear,
        }
        for m, points in zip(told, shown, strict=True)
        if points
    ]
    said = {
        "rows": rows,
        "others": (len(others), rest) if rest else None,
        "terms": terms,
        "weights": weights,
    }
    return {**said, "is_all_unclear": is_all_unclear} if any(said.values()) else None


def _signed(points: Decimal) -> str | None:
    return f"{points:+.1f}".replace("-", "−") if points else None


def rounded(parts: Sequence[float], whole: float) -> list[Decimal]:
    """Round parts to a tenth so that they sum to the whole as it is rounded.

    Each is rounded down or up, never further: those nearest to the next tenth go up.
    """
    floors = [math.floor(part * 10) for part in parts]
    missing = int(Decimal(f"{whole:.1f}") * 10) - sum(floors)
    nearest = sorted(range(len(parts)), key=lambda at: floors[at] - parts[at] * 10)
    up = {*nearest[:missing]} if missing > 0 else set()
    return [Decimal(floor + (at in up)) / 10 for at, floor in enumerate(floors)]


def of_manager(
    total: Total,
    now: Sequence[KpiScore],
    before: Sequence[KpiScore],
    shares: Mapping[str, float],
    known: Mapping[tuple[str, str | None], scorecards.Definition],
) -> dict[str, Any] | None:
    """Describe what moved a manager's total; `shares` are the weights of this month's."""
    if total.change is None or not before:
        return None
    defined = {
        s.kpi_id: scorecards.definition_of(known, s.kpi_id, s.kpi_version) for s in [*before, *now]
    }
    categories = {kpi: each.category for kpi, each in defined.items()}
    found = split(now, before, shares, scorecards.effective_weights(before, categories))
    names = {kpi: (each.name_zh, each.name_en) for kpi, each in defined.items()}
    unclear = frozenset(s.kpi_id for s in now if s.change_status == "no_clear_change")
    return view(total, found, names, unclear)
