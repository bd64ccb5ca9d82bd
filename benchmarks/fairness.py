"""What fairness buys: managers whose true values are known, scored by the product's own models.

Rows are drawn, summed and scored by the models that a build runs; plain values are those of the
same scorecards. Nothing of the statistics is written again here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import measure, scored
from benchmarks.measure import say
from benchmarks.results import Report, Table, number
from benchmarks.scored import Kpi
from perfhouse.month import Month

MONTH = Month("2026-09")
HISTORY = tuple(MONTH.plus(-back) for back in range(12, 0, -1))
BUCKETS = ((10, 30), (30, 100), (100, 300), (300, 1000))
MANAGERS = 30
COMPANIES = 200
SEED = 20260901
# What a stratum multiplies the rate of failure, or the seconds, by.
_DIFFICULTY = {"easy": 0.5, "usual": 1.0, "hard": 1.8}
_THIN = [f"channel {first} · issue {second}" for first in range(12) for second in range(20)]
_NOTES = (
    f"Companies of {MANAGERS} managers with 10 to 1,000 cases a month (log-uniform), twelve months "
    "of history and the month that is judged. True values are drawn once for each manager and "
    "stay; cases are drawn anew each month.",
    "Mix: three strata of very different difficulty, in shares of each manager's own; what is true "
    "then is the manager's value on the company's mix. Plain is numerator over denominator.",
    "Thin: 240 strata, most with a few cases a month, of an outcome of 1 in 100; each manager sees "
    "few of them. Rates of strata are log-normal: two in three lie within half and double.",
    "Error: mean squared error against what is true; ours is that of `shrunk_value`.",
    "Coverage: how often `ci_low` to `ci_high` (95 %) holds the true value, and how often "
    "`shrunk_value` ± 1.96 `shrunk_se` does.",
    "Wrong pairs: of two managers of a company (in the line of the one with fewer cases), how "
    "often the truly worse one stands above the better one, by `value`, by `adjusted_value` and by "
    "`shrunk_value`; a tie is half a mistake, and all are tied where none could be told apart. "
    "Told apart: pairs whose intervals do not overlap, and how many of those are wrong.",
)
_COLUMNS = (
    *("KPI", "cases", "error, plain", "error, ours", "ours / plain"),
    *("coverage of the interval", "coverage of the shrunk value"),
    *("wrong pairs, plain", "wrong pairs, mix allowed for", "wrong pairs, ours"),
    *("told apart", "of them wrong"),
)


@dataclass(frozen=True)
class Kind:
    """How one kind of KPI comes about: `draw` gives sums of cases of managers' true values."""

    name: str
    kind: str
    mix: str | None
    mean: float
    spread: float


KINDS = (
    Kind("rate", "proportion", None, 0.85, 0.04),
    Kind("rate, mix", "proportion", "three", 0.80, 0.04),
    Kind("seconds", "ratio", None, 360.0, 30.0),
    Kind("seconds, mix", "ratio", "three", 360.0, 30.0),
    Kind("net score", "score", None, 0.30, 0.10),
    Kind("rare, thin mix", "proportion", "thin", 0.01, 0.0025),
)
_LOG_SD = 0.5  # of seconds: their standard deviation is 53 % of their mean


def run(options: argparse.Namespace) -> Report:
    """Measure every kind."""
    companies = options.repeats or COMPANIES
    data = [entry for kind in KINDS for entry in simulate(kind, companies, options.tmp)]
    title = f"{companies} companies of {MANAGERS} managers for each KPI, by the cases of a manager"
    table = Table(title, _COLUMNS, tuple(row(entry) for entry in data))
    return Report("fairness", {"companies": companies, "seed": SEED}, data, [table], _NOTES)


def simulate(
    kind: Kind, companies: int, tmp: Path | None = None, seed: int = SEED
) -> list[dict[str, Any]]:
    """Draw and score companies; return what was found, one entry a bucket of sizes."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    made = {f"company_{number:04d}": Company(kind, rng) for number in range(companies)}
    direction = "down" if kind.kind == "ratio" else "up"
    kpis = [
        Kpi(kpi_id, kind.kind, direction, floor=1.0, target=2.0, stretch=3.0) for kpi_id in made
    ]
    with measure.workspace(tmp, "fairness") as root:
        home = scored.fill(root / "home", kpis, _table(made))
        scored.score(home, MONTH)
        found = scored.columns(
            home,
            "select value::double as value, adjusted_value::double as adjusted, "
            "shrunk_value::double as shrunk, shrunk_se::double as se, ci_low::double as low, "
            "ci_high::double as high, denominator::double as cases "
            f"from scorecards.scorecard_kpi_months where month = date '{MONTH.start}' "
            "order by kpi_id, manager_id",
        )
    say(f"   {kind.name}: {len(made)} companies scored")
    shaped = {name: values.reshape(len(made), MANAGERS) for name, values in found.items()}
    truth = np.array([company.truth for company in made.values()])
    return [_judge(kind, bucket, truth, shaped) for bucket in BUCKETS]


class Company:
    """Managers with true values, and the sums of their cases by month and stratum."""

    def __init__(self, kind: Kind, rng: np.random.Generator) -> None:
        self.kind, self.rng = kind, rng
        self.skill = rng.normal(kind.mean, kind.spread, MANAGERS)
        least, most = BUCKETS[0][0], BUCKETS[-1][1]
        self.sizes = np.exp(rng.uniform(np.log(least), np.log(most), MANAGERS)).astype(int)
        self.factors = self._factors()
        self.strata = list(self.factors)
        usual = rng.dirichlet([0.3] * len(_THIN)) * 10 + 1e-3 if kind.mix == "thin" else None
        chances = [2.0] * len(self.strata) if usual is None else usual
        self.shares = rng.dirichlet(chances, MANAGERS)
        self.drawn = [
            (month, manager, *cell)
            for month in (*HISTORY, MONTH)
            for manager in range(MANAGERS)
            for cell in self._cells(manager)
        ]
        self.truth = self._truth()

    def _factors(self) -> dict[str, float]:
        """Return what each stratum multiplies a rate by."""
        if self.kind.mix == "thin":
            drawn = self.rng.lognormal(-0.25, 0.7, len(_THIN))
            return dict(zip(_THIN, drawn.tolist(), strict=True))
        return _DIFFICULTY if self.kind.mix else {"": 1.0}

    def _cells(self, manager: int) -> Iterator[tuple[str, float, float, float]]:
        counts = self.rng.multinomial(self.sizes[manager], self.shares[manager])
        for stratum, count in zip(self.strata, counts, strict=True):
            if count:
                rows = self._rows(self._mean(self.skill[manager], stratum), int(count))
                yield stratum, float(rows.sum()), float(count), float((rows**2).sum())

    def _mean(self, skill: float, stratum: str) -> float:
        """Return the true value of a manager in a stratum: mix moves all by the same factor."""
        factor = self.factors[stratum]
        if self.kind.kind == "ratio":
            return skill * factor
        if self.kind.mix == "thin":
            return float(np.clip(skill * factor, 0.0, 1.0))
        if not self.kind.mix:
            return float(np.clip(skill, -0.95, 1.0))
        # Managers differ by a factor; so do strata, whose rates are 0.9, 0.8 and 0.64 on average.
        return float(np.clip(skill / self.kind.mean * (1 - (1 - self.kind.mean) * factor), 0, 1))

    def _rows(self, mean: float, count: int) -> np.ndarray:
        if self.kind.kind == "ratio":
            drawn = self.rng.lognormal(np.log(mean) - _LOG_SD**2 / 2, _LOG_SD, count)
            return np.round(drawn, 3)
        if self.kind.kind == "score":
            promoters, detractors = 0.35 + mean / 2, 0.35 - mean / 2
            drawn = self.rng.random(count)
            return np.where(drawn < promoters, 1.0, np.where(drawn > 1 - detractors, -1.0, 0.0))
        return (self.rng.random(count) < mean).astype(float)

    def _truth(self) -> np.ndarray:
        """Return every manager's true value on the mix of the whole company."""
        whole = dict.fromkeys(self.strata, 0.0)
        for month, _, stratum, _, count, _ in self.drawn:
            whole[stratum] += count if month != MONTH else 0.0
        cases = sum(whole.values())
        means = [[self._mean(skill, stratum) for stratum in self.strata] for skill in self.skill]
        return np.asarray(means) @ (np.asarray([whole[s] for s in self.strata]) / cases)


def _table(made: dict[str, Company]) -> pa.Table:
    rows = [
        (month.start, kpi_id, f"M{manager:02d}", stratum, above, below, squares, above, below)
        for kpi_id, company in made.items()
        for month, manager, stratum, above, below, squares in company.drawn
    ]
    return scored.table(rows)


def _judge(
    kind: Kind, bucket: tuple[int, int], truth: Any, found: dict[str, Any]
) -> dict[str, Any]:
    least, most = bucket
    value, shrunk, low, high = (found[name] for name in ("value", "shrunk", "low", "high"))
    adjusted = found["adjusted"]
    inside = (found["cases"] >= least) & (found["cases"] < most)
    return {
        "kpi": kind.name,
        "cases": [least, most],
        "managers": int(inside.sum()),
        "plain_error": float(((value - truth) ** 2)[inside].mean()),
        "adjusted_error": float(((adjusted - truth) ** 2)[inside].mean()),
        "our_error": float(((shrunk - truth) ** 2)[inside].mean()),
        "coverage": float(((low <= truth) & (truth <= high))[inside].mean()),
        "shrunk_coverage": float((np.abs(shrunk - truth) <= 1.96 * found["se"])[inside].mean()),
        **_pairs(bucket, truth, found),
    }


def _pairs(bucket: tuple[int, int], truth: Any, found: dict[str, Any]) -> dict[str, float]:
    """Compare each two managers of a company; the truly worse is the first axis."""
    fewer = np.minimum(found["cases"][:, :, None], found["cases"][:, None, :])
    chosen = (truth[:, :, None] < truth[:, None, :]) & (fewer >= bucket[0]) & (fewer < bucket[1])
    wrong = {}
    for name in ("value", "adjusted", "shrunk"):
        apart = (found[name][:, :, None] - found[name][:, None, :])[chosen]
        wrong[name] = float((apart > 0).mean() + (apart == 0).mean() / 2)
    above = (found["low"][:, :, None] > found["high"][:, None, :])[chosen]
    below = (found["high"][:, :, None] < found["low"][:, None, :])[chosen]
    told = int(above.sum() + below.sum())
    return {
        "pairs": int(chosen.sum()),
        "wrong_plain": wrong["value"],
        "wrong_adjusted": wrong["adjusted"],
        "wrong_ours": wrong["shrunk"],
        "told_apart": told / int(chosen.sum()),
        "told_wrong": float(above.sum()) / max(told, 1),
    }


def row(entry: dict[str, Any]) -> tuple[str, ...]:
    """Write an entry as a line of the table."""
    shares = (
        "coverage",
        "shrunk_coverage",
        "wrong_plain",
        "wrong_adjusted",
        "wrong_ours",
        "told_apart",
        "told_wrong",
    )
    least, most = entry["cases"]
    return (
        entry["kpi"],
        f"{number(least)} to {number(most)}",
        f"{entry['plain_error']:.3g}",
        f"{entry['our_error']:.3g}",
        f"{entry['our_error'] / entry['plain_error']:.2f}x",
        *(f"{entry[name]:.1%}" for name in shares),
    )
