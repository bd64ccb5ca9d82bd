"""What fairness buys: managers whose true values are known, scored by the product's own models.

Rows are drawn, summed and scored by the models that a build runs; plain values are those of the
same scorecards. Nothing of the statistics is written again here.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import fairness_small, fairness_totals
from benchmarks.fairness_judge import judge, score, stacked
from benchmarks.fairness_worlds import KINDS, SEED, USUAL, Company, Kind
from benchmarks.measure import say
from benchmarks.results import Report, Table, number

BUCKETS = ((10, 30), (30, 100), (100, 300), (300, 1000))
COMPANIES = 200
_NOTES = (
    f"Companies of {USUAL.managers} managers with 10 to 1,000 cases a month (log-uniform), twelve "
    "months of history and the month that is judged. True values are drawn once for each manager "
    "and stay; cases are drawn anew each month.",
    "Mix: three strata of very different difficulty, in shares of each manager's own; what is true "
    "then is the manager's value on the company's mix. Plain is numerator over denominator.",
    "Thin: 240 strata, most with a few cases a month, of an outcome of 1 in 100; each manager sees "
    "few of them. Rates of strata are log-normal: two in three lie within half and double.",
    "Error: mean squared error against what is true; ours is that of `shrunk_value`.",
    "Coverage: how often `ci_low` to `ci_high` (95 %) holds the true value, and how often "
    "`shrunk_value` ± 1.96 `shrunk_se` does.",
    "Wrong pairs: of two managers of a company (in the line of the one with fewer cases), how "
    "often the truly worse one stands above the better one, by `value`, by `adjusted_value` and by "
    "`shrunk_value`; a tie is half a mistake. "
    "Told apart: pairs whose intervals do not overlap, and how many of those are wrong.",
    *fairness_small.NOTES,
    *fairness_totals.NOTES,
)
_COLUMNS = (
    *("KPI", "cases", "error, plain", "error, ours", "ours / plain"),
    *("coverage of the interval", "coverage of the shrunk value"),
    *("wrong pairs, plain", "wrong pairs, mix allowed for", "wrong pairs, ours"),
    *("told apart", "of them wrong"),
)


def run(options: argparse.Namespace) -> Report:
    """Measure every kind, small companies, and totals."""
    companies = options.repeats or COMPANIES
    data = [entry for kind in KINDS for entry in simulate(kind, companies, options.tmp)]
    title = f"{companies} companies of {USUAL.managers} managers for each KPI, by a manager's cases"
    tables = [Table(title, _COLUMNS, tuple(row(entry) for entry in data))]
    for part in (fairness_small, fairness_totals):
        found, table = part.measure_all(companies, options.tmp)
        data.extend(found)
        tables.append(table)
    return Report("fairness", {"companies": companies, "seed": SEED}, data, tables, _NOTES)


def simulate(
    kind: Kind, companies: int, tmp: Path | None = None, seed: int = SEED
) -> list[dict[str, Any]]:
    """Draw and score companies; return what was found, one entry a bucket of sizes."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    made = {f"company_{number:04d}": Company(kind, rng) for number in range(companies)}
    truth, found = stacked(score(kind, made, tmp))
    say(f"   {kind.name}: {companies} companies scored")
    return [{"kpi": kind.name, **judge(bucket, truth, found)} for bucket in BUCKETS]


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
