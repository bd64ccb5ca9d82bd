"""What fairness buys where there is little to learn from: few managers, few months.

One KPI, drawn and judged as the others are; nothing but the shape of the company changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fairness_judge import judge, score, stacked
from benchmarks.fairness_worlds import RATE, SEED, Company, Shape
from benchmarks.measure import say
from benchmarks.results import Table

CASES = 50
SHAPES = tuple(
    Shape(managers, months, (CASES, CASES)) for managers in (4, 6, 10, 30) for months in (1, 3, 12)
)
NOTES = (
    f"Small companies: the rate without a mix, {CASES} cases of every manager and month. Alike: "
    "companies whose managers all got one and the same shrunk value. Own weight: the median of "
    "`reliability`, and the twentieth below which it seldom lies.",
)
_COLUMNS = (
    *("managers", "months before", "error, plain", "error, ours", "ours / plain"),
    *("coverage of the shrunk value", "wrong pairs, plain", "wrong pairs, ours"),
    *("alike", "own weight", "a twentieth below"),
)


def measure_all(companies: int, tmp: Path | None) -> tuple[list[dict[str, Any]], Table]:
    """Measure every shape; return what was found and its table."""
    data = simulate(SHAPES, companies, tmp)
    say("   small companies scored")
    title = f"{companies} small companies of each shape, {CASES} cases of a manager a month"
    return data, Table(title, _COLUMNS, tuple(_row(entry) for entry in data))


def simulate(
    shapes: Sequence[Shape], companies: int, tmp: Path | None = None, seed: int = SEED
) -> list[dict[str, Any]]:
    """Draw and score companies of each shape; return one entry a shape."""
    made = {
        f"shape_{number:02d}_{company:04d}": drawn
        for number, shape in enumerate(shapes)
        for company, drawn in enumerate(_draw(shape, companies, seed))
    }
    results = score(RATE, made, tmp)
    starts = range(0, len(results), companies)
    return [
        _judge(shape, *stacked(results[start : start + companies]))
        for shape, start in zip(shapes, starts, strict=True)
    ]


def _draw(shape: Shape, companies: int, seed: int) -> list[Company]:
    rng = np.random.default_rng([seed, 100, shape.managers, shape.months])
    return [Company(RATE, rng, shape) for _ in range(companies)]


def _judge(shape: Shape, truth: Any, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "shape": [shape.managers, shape.months],
        **judge((0, CASES + 1), truth, found),
        "alike": float((np.ptp(found["shrunk_value"], axis=1) == 0).mean()),
        "reliability": float(np.median(found["reliability"])),
        "low_reliability": float(np.quantile(found["reliability"], 0.05)),
    }


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    shares = ("shrunk_coverage", "wrong_plain", "wrong_ours", "alike")
    return (
        *map(str, entry["shape"]),
        f"{entry['plain_error']:.3g}",
        f"{entry['our_error']:.3g}",
        f"{entry['our_error'] / entry['plain_error']:.2f}x",
        *(f"{entry[name]:.1%}" for name in shares),
        f"{entry['reliability']:.2f}",
        f"{entry['low_reliability']:.2f}",
    )
