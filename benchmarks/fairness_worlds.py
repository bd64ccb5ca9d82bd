"""Companies whose managers' true values are known: what is drawn, and what is true of it.

Draws cases and sums them; scores and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfhouse.month import Month

MONTH = Month("2026-09")
SEED = 20260901
# What a stratum multiplies the rate of failure, or the seconds, by.
_DIFFICULTY = {"easy": 0.5, "usual": 1.0, "hard": 1.8}
THIN = [f"channel {first} · issue {second}" for first in range(12) for second in range(20)]
_LOG_SD = 0.5  # of seconds: their standard deviation is 53 % of their mean


@dataclass(frozen=True)
class Kind:
    """How one kind of KPI comes about: `mean` and `spread` are those of managers' true values."""

    name: str
    kind: str
    mix: str | None
    mean: float
    spread: float

    @property
    def unit(self) -> str:
        """Return the unit, which says what bounds values have."""
        return "seconds" if self.kind == "ratio" else "rate"

    @property
    def direction(self) -> str:
        """Return whether more is better."""
        return "down" if self.kind == "ratio" else "up"

    @property
    def is_signed(self) -> bool:
        """Return whether values may be negative."""
        return self.kind == "score"


RATE = Kind("rate", "proportion", None, 0.85, 0.04)
RATE_MIX = Kind("rate, mix", "proportion", "three", 0.80, 0.04)
SECONDS = Kind("seconds", "ratio", None, 360.0, 30.0)
SECONDS_MIX = Kind("seconds, mix", "ratio", "three", 360.0, 30.0)
NET = Kind("net score", "score", None, 0.30, 0.10)
RARE = Kind("rare, thin mix", "proportion", "thin", 0.01, 0.0025)
KINDS = (RATE, RATE_MIX, SECONDS, SECONDS_MIX, NET, RARE)


@dataclass(frozen=True)
class Shape:
    """How many managers a company has, months of history, and cases a manager has in a month."""

    managers: int = 30
    months: int = 12
    cases: tuple[int, int] = (10, 1000)


USUAL = Shape()


def history(months: int) -> tuple[Month, ...]:
    """Return the months before the one that is judged."""
    return tuple(MONTH.plus(-back) for back in range(months, 0, -1))


def draw_sizes(rng: np.random.Generator, shape: Shape) -> Any:
    """Draw how many cases each manager has in a month, log-uniform."""
    least, most = shape.cases
    return np.exp(rng.uniform(np.log(least), np.log(most), shape.managers)).astype(int)


class Company:
    """Managers with true values, and the sums of their cases by month and stratum."""

    def __init__(
        self, kind: Kind, rng: np.random.Generator, shape: Shape = USUAL, sizes: Any = None
    ) -> None:
        self.kind, self.rng, self.months = kind, rng, (*history(shape.months), MONTH)
        self.skill = rng.normal(kind.mean, kind.spread, shape.managers)
        self.sizes = draw_sizes(rng, shape) if sizes is None else sizes
        self.factors = self._factors()
        self.strata = list(self.factors)
        usual = rng.dirichlet([0.3] * len(THIN)) * 10 + 1e-3 if kind.mix == "thin" else None
        chances = [2.0] * len(self.strata) if usual is None else usual
        self.shares = rng.dirichlet(chances, shape.managers)
        self.drawn = [
            (month, manager, *cell)
            for month in self.months
            for manager in range(shape.managers)
            for cell in self._cells(manager)
        ]
        self.truth = self._truth()

    def _factors(self) -> dict[str, float]:
        """Return what each stratum multiplies a rate by."""
        if self.kind.mix == "thin":
            drawn = self.rng.lognormal(-0.25, 0.7, len(THIN))
            return dict(zip(THIN, drawn.tolist(), strict=True))
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
