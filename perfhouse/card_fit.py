"""How much a card shows when it would grow too large: which rows and definitions go first.

Works on the plain view of a card; it may not render one, and no number of the manager's goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfhouse.card_figures import DASH

ALL, WEIGHTED, CLEAR, NONE = "all", "weighted", "clear", "none"


@dataclass(frozen=True)
class Fullness:
    """How much is listed: agents, definitions of which KPIs, KPIs by team, rows of other lists.

    `changes`: of which KPIs it is told what moved them: all, those with a clear change, none.
    """

    agents: int
    definitions: str
    by_team: int = 30
    others: int = 8
    changes: str = ALL


# Each part of a card, in order, and what of the fullness it depends on.
PARTS = {
    "head": "",
    "kpis": "changes",
    "appeals": "others",
    "parts": "by_team",
    "agents": "agents",
    "people": "others",
    "definitions": "definitions",
    "foot": "",
}
RICHEST_FIRST = (
    Fullness(30, ALL),
    Fullness(12, ALL),
    Fullness(30, WEIGHTED),
    Fullness(12, WEIGHTED),
    Fullness(8, WEIGHTED),
    Fullness(20, NONE),
    Fullness(12, NONE),
    Fullness(8, NONE),
    Fullness(8, NONE, 12),
    Fullness(8, NONE, 8),
    Fullness(8, NONE, 8, 8, CLEAR),
    Fullness(8, NONE, 8, 4, CLEAR),
    Fullness(5, NONE, 4, 3, CLEAR),
    Fullness(5, NONE, 3, 2, CLEAR),
    Fullness(3, NONE, 3, 1, CLEAR),
    Fullness(0, NONE, 1, 1, NONE),
)


def fitted(view: Mapping[str, Any], fullness: Fullness) -> dict[str, Any]:
    """Return a card's view with no more than that; what is left out is counted or named.

    The versions of KPIs whose definition is left out are listed beside it.
    """
    told = [d for d in view["definitions"] if _is_told(d, fullness.definitions)]
    ids = {d["kpi_id"] for d in told}
    others = {name: _first(view[name], fullness.others) for name in ("appeals", "training")}
    return {
        **view,
        **others,
        "groups": _told(view["groups"], fullness.changes),
        "parts": _by_team(view["parts"], fullness.by_team),
        "agents": _first(view["agents"], fullness.agents) if fullness.agents else None,
        "definitions": told,
        "versions_by_target": by_target([v for v in view["versions"] if v[0] not in ids]),
    }


def extent(view: Mapping[str, Any], fullness: Fullness, name: str) -> object:
    """Say how much of what a part depends on is shown: of what is the same the part is, too."""
    if name == "agents":
        return min(fullness.agents, len(view["agents"]["rows"]) if view["agents"] else 0)
    if name == "definitions":
        return sum(_is_told(each, fullness.definitions) for each in view["definitions"])
    return getattr(fullness, name, None)


def by_target(
    versions: Sequence[tuple[str, str | None, str | None]],
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Gather KPIs and their versions under the version of their target."""
    found: dict[str, list[tuple[str, str]]] = {}
    for kpi, version, target in versions:
        found.setdefault(target or DASH, []).append((kpi, version or DASH))
    return list(found.items())


def _is_told(definition: Mapping[str, Any], which: str) -> bool:
    return which == ALL or (which == WEIGHTED and bool(definition["has_weight"]))


def _told(groups: Sequence[Mapping[str, Any]], which: str) -> Sequence[Mapping[str, Any]]:
    """Leave out what moved a KPI, or do so where that is no clear change."""
    if which == ALL:
        return groups
    return [
        {
            **g,
            "rows": [
                r if which == CLEAR and r["is_clear"] else {**r, "why": None} for r in g["rows"]
            ],
        }
        for g in groups
    ]


def _by_team(parts: Mapping[str, Any] | None, limit: int) -> dict[str, Any] | None:
    if parts is None:
        return None
    rows = parts["rows"]
    return {**parts, "rows": rows[:limit], "more_kpis": max(0, len(rows) - limit)}


def _first(listed: Mapping[str, Any] | None, limit: int) -> dict[str, Any] | None:
    if listed is None:
        return None
    more = listed["more"] + max(0, len(listed["rows"]) - limit)
    return {**listed, "rows": listed["rows"][:limit], "more": more}
