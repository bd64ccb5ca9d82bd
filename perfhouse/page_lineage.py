"""The picture of where a month's numbers come from: sources, streams, facts, KPIs.

Pure geometry over names; it may not read a file or a database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMNS = (
    ("数据源", "Sources"),
    ("数据流", "Streams"),
    ("事实表", "Facts"),
    ("指标", "KPIs"),
    ("绩效", "Scorecards"),
)
_WIDE, _HIGH, _GAP, _BETWEEN, _HEAD = 190, 22, 6, 60, 26
Edge = tuple[str, str]


@dataclass(frozen=True)
class Lineage:
    """Names by layer from the left, and what feeds what, by layer, name and name."""

    layers: Sequence[Sequence[str]]
    edges: Sequence[Sequence[Edge]]


def trace(
    streams_of: Mapping[str, Collection[str]],
    parents: Mapping[str, Sequence[str]],
    fact_of: Mapping[str, str],
) -> Lineage:
    """Find what feeds what.

    Args:
        streams_of: the streams that each source delivered.
        parents: dbt's own map of a node's parents, by unique id.
        fact_of: the fact of each KPI that was scored.
    """
    delivered = sorted({name for names in streams_of.values() for name in names})
    facts = sorted(set(fact_of.values()))
    into_facts = [
        (stream, fact)
        for fact in facts
        for stream in sorted(_streams_behind(fact, parents, set(facts)) & set(delivered))
    ]
    into_kpis = [(fact, kpi) for kpi, fact in fact_of.items()]
    into_kpis.sort(key=lambda edge: (facts.index(edge[0]), edge[1]))
    used = {stream for stream, _ in into_facts}
    streams = [name for name in delivered if name in used]
    streams += [name for name in delivered if name not in used]
    landed = [(source, name) for source in sorted(streams_of) for name in streams_of[source]]
    kpis = [kpi for _, kpi in into_kpis]
    scored = [(kpi, "scorecard_kpi_months") for kpi in kpis]
    layers = (sorted(streams_of), streams, facts, kpis, ["scorecard_kpi_months"] if kpis else [])
    return Lineage(layers, (sorted(landed), into_facts, into_kpis, scored))


def _streams_behind(
    fact: str, parents: Mapping[str, Sequence[str]], facts: Collection[str]
) -> set[str]:
    """Follow a fact to the streams it reads, but not through who-is-who or another fact."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [f"model.perfhouse.{fact}"]
    while waiting:
        for parent in parents.get(waiting.pop(), ()):
            kind, _, name = parent.split(".", 2)
            if parent in seen or name.startswith("dim_") or name in facts:
                continue
            seen.add(parent)
            if kind == "source" and name.startswith("raw."):
                found.add(name.removeprefix("raw."))
            else:
                waiting.append(parent)
    return found


def picture(lineage: Lineage) -> dict[str, Any]:
    """Place every name in a box of its layer's column, and every edge as a curve between two."""
    rows = max((len(names) for names in lineage.layers), default=0)
    height = _HEAD + max(rows, 1) * (_HIGH + _GAP) + 4
    places: list[dict[str, tuple[int, int]]] = []
    columns = []
    for at, (names, (zh, en)) in enumerate(zip(lineage.layers, COLUMNS, strict=True)):
        left = at * (_WIDE + _BETWEEN)
        top = _HEAD + (height - _HEAD - len(names) * (_HIGH + _GAP)) // 2
        spots = {name: (left, top + row * (_HIGH + _GAP)) for row, name in enumerate(names)}
        places.append(spots)
        boxes = [{"x": x, "y": y, "text": name} for name, (x, y) in spots.items()]
        columns.append({"x": left, "zh": zh, "en": en, "boxes": boxes})
    return {
        "width": len(COLUMNS) * (_WIDE + _BETWEEN) - _BETWEEN,
        "height": height,
        "box": (_WIDE, _HIGH),
        "columns": columns,
        "paths": list(_curves(lineage.edges, places)),
    }


def _curves(
    edges: Sequence[Sequence[Edge]], places: Sequence[Mapping[str, tuple[int, int]]]
) -> Iterable[str]:
    for at, layer in enumerate(edges):
        for before, after in layer:
            (x1, y1), (x2, y2) = places[at][before], places[at + 1][after]
            start, end = x1 + _WIDE, x2
            middle = (start + end) // 2
            high, low = y1 + _HIGH // 2, y2 + _HIGH // 2
            yield f"M{start} {high}C{middle} {high} {middle} {low} {end} {low}"


def rows(lineage: Lineage) -> list[tuple[str, str, str, str]]:
    """Tell the same in words: each KPI with its fact, the fact's streams and their sources."""
    landed, into_facts, into_kpis, _ = lineage.edges
    found = []
    for fact, kpi in into_kpis:
        streams = [stream for stream, of in into_facts if of == fact]
        sources = sorted({source for source, stream in landed if stream in streams})
        found.append((kpi, fact, ", ".join(streams), ", ".join(sources)))
    return found
