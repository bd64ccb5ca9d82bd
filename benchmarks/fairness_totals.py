"""What a total and a rank are worth: managers of four KPIs whose true totals are known.

Totals, their intervals and the spans of ranks are those of the scorecards; the true total is the
points of the true values, by the same targets and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure, scored
from benchmarks.fairness_judge import kpi_of, rows_of, told_apart, wrong_pairs
from benchmarks.fairness_worlds import (
    MONTH,
    NET,
    RATE,
    RATE_MIX,
    SECONDS,
    SEED,
    Company,
    Kind,
    Shape,
    draw_sizes,
)
from benchmarks.measure import say
from benchmarks.results import Table, number


@dataclass(frozen=True)
class Part:
    """One KPI of a total, with its targets and weight."""

    kind: Kind
    floor: float
    target: float
    stretch: float
    weight: float

    def points(self, values: Any) -> Any:
        """Return the points of values."""
        sign = 1 if self.floor < self.target else -1
        knots = [sign * self.floor, sign * self.target, sign * self.stretch]
        return np.interp(sign * values, knots, [0, 100, 120])


PARTS = (
    Part(RATE, 0.70, 0.90, 1.00, 0.3),
    Part(RATE_MIX, 0.60, 0.85, 0.95, 0.3),
    Part(SECONDS, 480.0, 330.0, 240.0, 0.2),
    Part(NET, -0.10, 0.40, 0.70, 0.2),
)
SHAPES = tuple(Shape(managers, 12, (30, 1000)) for managers in (6, 12, 30))
BUCKETS = ((30, 100), (100, 300), (300, 1000))
NOTES = (
    "Totals: a rate, a rate with a mix, seconds and a net score, weighing 30, 30, 20 and 20 %; a "
    "manager has as many cases of each, true values of different KPIs have nothing to do with one "
    "another. Coverage: how often `total_low` to `total_high` holds the points of the true values, "
    "and how often `rank_low` to `rank_high` holds the true rank. Plain: the total of plain "
    "values. Rank off by: the mean distance between rank and true rank.",
)
_COLUMNS = (
    *("managers", "cases", "error, plain", "error, ours", "coverage of the total"),
    *("coverage of the rank", "places a rank may be", "rank off by, plain", "rank off by, ours"),
    *("wrong pairs, plain", "wrong pairs, ours", "told apart", "of them wrong"),
)


def measure_all(companies: int, tmp: Path | None) -> tuple[list[dict[str, Any]], Table]:
    """Measure every shape; return what was found and its table."""
    count = max(companies // 5, 2)
    data = [entry for shape in SHAPES for entry in simulate(shape, count, tmp)]
    say("   totals scored")
    title = f"Totals and ranks, {count} companies of each shape"
    return data, Table(title, _COLUMNS, tuple(_row(entry) for entry in data))


def simulate(
    shape: Shape, companies: int, tmp: Path | None = None, seed: int = SEED
) -> list[dict[str, Any]]:
    """Draw and score companies; return what was found, one entry a bucket of sizes."""
    rng = np.random.default_rng([seed, 200, shape.managers])
    kpis, sums, totals, sizes = [], [], [], []
    roles: dict[str, str] = {}
    for company in range(companies):
        role = f"company_{company:04d}"
        drawn = draw_sizes(rng, shape)
        made = [Company(part.kind, rng, shape, drawn) for part in PARTS]
        for number_, (part, one) in enumerate(zip(PARTS, made, strict=True)):
            kpi_id = f"{role}_{number_}"
            targets = {"floor": part.floor, "target": part.target, "stretch": part.stretch}
            kpis.append(kpi_of(part.kind, kpi_id, **targets, weight=part.weight, role=role))
            sums.extend(rows_of(kpi_id, one, f"{role}:"))
        roles |= {f"{role}:M{manager:02d}": role for manager in range(shape.managers)}
        points = zip(PARTS, made, strict=True)
        totals.append(sum(part.weight * part.points(one.truth) for part, one in points))
        sizes.append(drawn)
    with measure.workspace(tmp, "fairness") as root:
        home = scored.fill(root / "home", kpis, scored.table(sums), roles)
        scored.score(home, MONTH)
        shown = _totals(home, companies)
        plain = _plain(home, companies)
    truth, cases = np.array(totals), np.array(sizes)
    return [_judge(shape, bucket, truth, cases, {**shown, "plain": plain}) for bucket in BUCKETS]


def _totals(home: Any, companies: int) -> dict[str, Any]:
    names = ("total_score", "total_low", "total_high", "rank", "rank_low", "rank_high")
    found = scored.columns(
        home,
        f"select {', '.join(f'{name}::double as {name}' for name in names)} from "
        f"scorecards.scorecard_manager_months where month = date '{MONTH.start}' "
        "order by manager_id",
    )
    return {name: values.reshape(companies, -1) for name, values in found.items()}


def _plain(home: Any, companies: int) -> Any:
    found = scored.columns(
        home,
        "select value::double as value from scorecards.scorecard_kpi_months "
        f"where month = date '{MONTH.start}' order by split_part(kpi_id, '_', 3), manager_id",
    )
    values = found["value"].reshape(len(PARTS), companies, -1)
    return sum(part.weight * part.points(own) for part, own in zip(PARTS, values, strict=True))


def _places(totals: Any) -> Any:
    """Return the place of each manager in a company by the total; the first has 1."""
    return 1 + (totals[:, None, :] > totals[:, :, None]).sum(axis=2)


def _judge(
    shape: Shape, bucket: tuple[int, int], truth: Any, cases: Any, found: dict[str, Any]
) -> dict[str, Any]:
    inside = (cases >= bucket[0]) & (cases < bucket[1])
    fewer = np.minimum(cases[:, :, None], cases[:, None, :])
    chosen = (fewer >= bucket[0]) & (fewer < bucket[1])
    place = _places(truth)
    held = (found["total_low"] <= truth) & (truth <= found["total_high"])
    ranked = (found["rank_low"] <= place) & (place <= found["rank_high"])
    return {
        "total": [shape.managers, shape.months],
        "cases": list(bucket),
        "managers": int(inside.sum()),
        "plain_error": float(((found["plain"] - truth) ** 2)[inside].mean()),
        "our_error": float(((found["total_score"] - truth) ** 2)[inside].mean()),
        "total_coverage": float(held[inside].mean()),
        "rank_coverage": float(ranked[inside].mean()),
        "rank_width": float((found["rank_high"] - found["rank_low"] + 1)[inside].mean()),
        "plain_rank_error": float(np.abs(_places(found["plain"]) - place)[inside].mean()),
        "our_rank_error": float(np.abs(found["rank"] - place)[inside].mean()),
        "wrong_plain": wrong_pairs(truth, found["plain"], chosen),
        "wrong_ours": wrong_pairs(truth, found["total_score"], chosen),
        **told_apart(truth, found["total_low"], found["total_high"], chosen),
    }


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    least, most = entry["cases"]
    return (
        str(entry["total"][0]),
        f"{number(least)} to {number(most)}",
        *(f"{entry[name]:.3g}" for name in ("plain_error", "our_error")),
        *(f"{entry[name]:.1%}" for name in ("total_coverage", "rank_coverage")),
        *(f"{entry[name]:.1f}" for name in ("rank_width", "plain_rank_error", "our_rank_error")),
        *(f"{entry[n]:.1%}" for n in ("wrong_plain", "wrong_ours", "told_apart", "told_wrong")),
    )
