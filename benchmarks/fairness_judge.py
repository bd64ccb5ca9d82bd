"""How near scorecards come to what is true: errors, coverage of intervals, and wrong orders.

Scores drawn companies with the product's own models and compares; draws nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure, scored
from benchmarks.fairness_worlds import MONTH, Company, Kind
from benchmarks.scored import Kpi

_VALUES = (
    *("value", "adjusted_value", "shrunk_value", "shrunk_se", "ci_low", "ci_high"),
    *("denominator", "reliability"),
)


def kpi_of(kind: Kind, kpi_id: str, **changes: Any) -> Kpi:
    """Return the KPI as scorecards know it; targets are anything unless given."""
    targets = {"floor": 1.0, "target": 2.0, "stretch": 3.0} | changes
    return Kpi(
        kpi_id, kind.kind, kind.direction, unit=kind.unit, is_signed=kind.is_signed, **targets
    )


def rows_of(kpi_id: str, company: Company, prefix: str = "") -> list[tuple[Any, ...]]:
    """Return a company's sums as rows of `scored.STRATA`."""
    return [
        (month.start, kpi_id, f"{prefix}M{manager:02d}", stratum, above, below, squares, above,
         below)
        for month, manager, stratum, above, below, squares in company.drawn
    ]  # fmt: skip


Scored = tuple[Any, dict[str, Any]]  # true values, and what was found by the name of its column


def score(kind: Kind, made: Mapping[str, Company], tmp: Path | None) -> list[Scored]:
    """Score companies, each by a KPI of its own id; return arrays by manager, by company's id."""
    sums = [row for kpi_id, company in made.items() for row in rows_of(kpi_id, company)]
    with measure.workspace(tmp, "fairness") as root:
        kpis = [kpi_of(kind, kpi_id) for kpi_id in made]
        home = scored.fill(root / "home", kpis, scored.table(sums))
        scored.score(home, MONTH)
        found = scored.columns(
            home,
            f"select {', '.join(f'{name}::double as {name}' for name in _VALUES)} "
            f"from scorecards.scorecard_kpi_months where month = date '{MONTH.start}' "
            "and denominator > 0 order by kpi_id, manager_id",
        )
    companies = [made[kpi_id] for kpi_id in sorted(made)]
    ends = np.cumsum([len(company.truth) for company in companies])[:-1]
    parts = zip(*(np.split(values, ends) for values in found.values()), strict=True)
    named = [dict(zip(found, part, strict=True)) for part in parts]
    return [(company.truth, one) for company, one in zip(companies, named, strict=True)]


def stacked(results: Sequence[Scored]) -> Scored:
    """Return the results of companies of one size as arrays of the shape (companies, managers)."""
    truth = np.array([truth for truth, _ in results])
    return truth, {name: np.array([one[name] for _, one in results]) for name in _VALUES}


def judge(bucket: tuple[int, int], truth: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Compare the managers who have from `bucket[0]` to less than `bucket[1]` cases."""
    least, most = bucket
    value, adjusted, shrunk = (found[f] for f in ("value", "adjusted_value", "shrunk_value"))
    low, high, cases = (found[name] for name in ("ci_low", "ci_high", "denominator"))
    inside = (cases >= least) & (cases < most)
    held = np.abs(shrunk - truth) <= 1.96 * found["shrunk_se"]
    return {
        "cases": [least, most],
        "managers": int(inside.sum()),
        "plain_error": float(((value - truth) ** 2)[inside].mean()),
        "adjusted_error": float(((adjusted - truth) ** 2)[inside].mean()),
        "our_error": float(((shrunk - truth) ** 2)[inside].mean()),
        "coverage": float(((low <= truth) & (truth <= high))[inside].mean()),
        "shrunk_coverage": float(held[inside].mean()),
        **_pairs(bucket, truth, found),
    }


def _pairs(bucket: tuple[int, int], truth: Any, found: dict[str, Any]) -> dict[str, float]:
    cases = found["denominator"]
    fewer = np.minimum(cases[:, :, None], cases[:, None, :])
    chosen = (fewer >= bucket[0]) & (fewer < bucket[1])
    names = {"plain": "value", "adjusted": "adjusted_value", "ours": "shrunk_value"}
    wrong = {
        f"wrong_{name}": wrong_pairs(truth, found[column], chosen) for name, column in names.items()
    }
    return {**wrong, **told_apart(truth, found["ci_low"], found["ci_high"], chosen)}


def wrong_pairs(truth: Any, shown: Any, chosen: Any) -> float:
    """Return how often, of pairs of a company, the truly worse stands higher; a tie is half."""
    worse = chosen & (truth[:, :, None] < truth[:, None, :])
    apart = (shown[:, :, None] - shown[:, None, :])[worse]
    return float((apart > 0).mean() + (apart == 0).mean() / 2)


def told_apart(truth: Any, low: Any, high: Any, chosen: Any) -> dict[str, float]:
    """Return how many pairs have intervals that do not overlap, and how many of those are wrong."""
    worse = chosen & (truth[:, :, None] < truth[:, None, :])
    above = (low[:, :, None] > high[:, None, :])[worse]
    below = (high[:, :, None] < low[:, None, :])[worse]
    told = int(above.sum() + below.sum())
    return {
        "pairs": int(worse.sum()),
        "told_apart": told / max(int(worse.sum()), 1),
        "told_wrong": float(above.sum()) / max(told, 1),
    }
