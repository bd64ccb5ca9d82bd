"""The statistics of the scorecards beside scipy and statsmodels, on rows drawn at random.

The rows are summed by numpy, scored by the project's own models, and judged again from the rows by
other people's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.regression.linear_model import WLS
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.proportion import proportion_confint

from benchmarks import scored
from benchmarks.scored import Kpi
from perfhouse.month import Month

MONTH = Month("2026-09")
HISTORY = [MONTH.plus(-back) for back in (12, 5, 2, 1)]
TOO_OLD, NEXT = MONTH.plus(-13), MONTH.plus(1)
Z95, Z998 = stats.norm.ppf(0.975), stats.norm.ppf(0.999)
EXACT = 1e-6  # published numbers have six decimals
ROWS, EVENTS = 30, 10  # of the overall rate, that stand beside every stratum's own
BORROWED = 10

KPIS = (
    Kpi("plain_rate", target=0.8),
    Kpi("mixed_rate", direction="down", floor=1.0, target=0.3, stretch=0.0, weight=2),
    Kpi("rare_rate", direction="down", floor=0.5, target=0.01, stretch=0.0),
    Kpi("seconds", "ratio", "down", floor=900, target=300, stretch=100),
    Kpi("mixed_seconds", "ratio", "down", floor=900, target=300, stretch=100, weight=3),
    Kpi("per_head", "ratio", floor=0, target=2, stretch=4),
    Kpi("net_score", "score", floor=-1, target=0.5, stretch=1),
    Kpi("alike_rate", target=0.5),
    Kpi("perfect_rate", target=0.5),
    Kpi("confidential_rate", is_suppressed=True, minimum_sample=5),
    Kpi("confidential_score", "score", is_suppressed=True, minimum_sample=5, unit="rate"),
    Kpi("confidential_net", "score", is_suppressed=True, unit="rate", is_signed=True, floor=-1),
    Kpi("mixed_score", "score", unit="rate"),
    Kpi("new_rate"),
    Kpi("lonely_seconds", "ratio", floor=0, target=300, stretch=900),
)
MANAGERS = [f"M{n}" for n in range(9)]


@dataclass(frozen=True)
class Cell:
    """The rows of one KPI, month, manager and stratum."""

    month: Month
    kpi_id: str
    manager_id: str
    stratum: str
    above: np.ndarray
    below: np.ndarray

    def sums(self) -> list[Any]:
        above, below = self.above.round(6), self.below.round(6)
        return [
            *(self.month.start, self.kpi_id, self.manager_id, self.stratum),
            *(round(float(x), 9) for x in (above.sum(), below.sum(), (above**2).sum())),
            *(round(float(x), 9) for x in ((above * below).sum(), (below**2).sum())),
        ]


def draw(seed: int) -> list[Cell]:
    """Draw rows: managers differ, strata differ, mixes differ, and one stratum is thin."""
    rng = np.random.default_rng(seed)
    skill = {m: rng.normal(0, 0.06) for m in MANAGERS}
    cells = []
    for month in (TOO_OLD, *HISTORY, MONTH, NEXT):
        far = 0.3 if month in (TOO_OLD, NEXT) else 0.0  # must not be looked at
        for manager in MANAGERS:
            for kpi_id, stratum, above, *below in draw_rows(rng, manager, skill[manager] + far):
                if kpi_id == "new_rate" and month != MONTH:
                    continue
                values = np.round(np.asarray(above, float), 6)
                cases = np.round(below[0], 6) if below else np.ones(len(values))
                cells.append(Cell(month, kpi_id, manager, stratum, values, cases))
    for manager, seconds in (("M0", [600.0]), ("M1", [100.0, 300.0])):
        rows = np.array(seconds)
        cells.append(Cell(MONTH, "lonely_seconds", manager, "", rows, np.ones(len(rows))))
    return cells


def draw_rows(rng: np.random.Generator, manager: str, push: float) -> list[tuple[Any, ...]]:
    """Draw the rows of one manager and month: KPI, stratum, above and (else ones) below."""
    n = int(rng.integers(5, 90))
    some = [int(rng.integers(4, 80)) for _ in range(2)]
    return [
        ("plain_rate", "", rng.random(n) < 0.7 + push),
        ("mixed_rate", "easy", rng.random(some[0]) < 0.05 + abs(push)),
        ("mixed_rate", "hard", rng.random(some[1]) < 0.55 + abs(push)),
        *([("mixed_rate", "thin", rng.random(2) < 0.5)] if manager == "M3" else []),
        ("rare_rate", "quiet", rng.random(n) < 0.01),
        ("rare_rate", "loud", rng.random(some[0]) < 0.2 + abs(push)),
        ("seconds", "", rng.lognormal(5.5 + push, 0.6, n)),
        ("mixed_seconds", "chat", rng.lognormal(5.0 + push, 0.5, n + 3)),
        ("mixed_seconds", "voice", rng.lognormal(6.2 + push, 0.5, n + 3)),
        ("per_head", "", rng.poisson(1.2, 12), rng.uniform(0.3, 1.0, 12)),
        ("net_score", "x", rng.choice([-1, 0, 1], n, p=[0.3, 0.3, 0.4])),
        ("net_score", "y", rng.choice([-1, 0, 1], n, p=[0.6, 0.3, 0.1])),
        ("alike_rate", "", np.arange(40) < 20),
        ("perfect_rate", "", np.ones(9)),
        ("confidential_rate", "", rng.random(3 if manager == "M1" else 12) < 0.6),
        ("new_rate", "", rng.random(n) < 0.5 + 2 * push),
        *draw_scores(rng, manager, push),
    ]


def draw_scores(rng: np.random.Generator, manager: str, push: float) -> list[tuple[Any, ...]]:
    """Draw points: some answer all alike, and who has the hard cases earns all of theirs."""
    alike, hard = manager == "M0", manager == "M4"
    faces = [0, 1] if manager == "M2" else [0, 0.25, 0.5, 0.75, 1]
    possible = rng.integers(5, 12, 9).astype(float)
    earned = possible * (1.0 if hard else np.clip(rng.normal(0.5 + push, 0.1, 9), 0, 1))
    return [
        ("confidential_score", "", np.ones(5) if alike else rng.choice(faces, 7)),
        ("confidential_net", "", -np.ones(6) if alike else rng.choice([-1, 0, 1], 20)),
        *([] if hard else [("mixed_score", "easy", possible * 0.9, possible)]),
        ("mixed_score", "hard", earned, possible),
    ]


def t95(df: float) -> float:
    """Return the quantile of scipy, but of the expansion where that is right to few digits only."""
    if df >= 10:
        return float(stats.t.ppf(0.975, df))
    terms = (
        Z95,
        (Z95**3 + Z95) / 4,
        (5 * Z95**5 + 16 * Z95**3 + 3 * Z95) / 96,
        (3 * Z95**7 + 19 * Z95**5 + 17 * Z95**3 - 15 * Z95) / 384,
        (79 * Z95**9 + 776 * Z95**7 + 1482 * Z95**5 - 1920 * Z95**3 - 945 * Z95) / 92160,
    )
    found = sum(term / df**power for power, term in enumerate(terms))
    assert df < 4 or found == pytest.approx(stats.t.ppf(0.975, df), rel=1e-3)
    return float(found)


def agresti_coull(answers: np.ndarray, least: float, most: float) -> tuple[float, float]:
    """Return the limits of a mean with z² answers added, half of them at either bound."""
    values = np.concatenate([answers, [least, most]])
    weights = np.concatenate([np.ones(len(answers)), [Z95**2 / 2] * 2])
    centre = np.average(values, weights=weights)
    error = Z95 * np.sqrt(np.average((values - centre) ** 2, weights=weights) / weights.sum())
    if set(answers) <= {0.0, 1.0} and least == 0.0:
        known = proportion_confint(answers.sum(), len(answers), method="agresti_coull")
        assert known == pytest.approx(np.clip([centre - error, centre + error], 0, 1))
    low, high = np.clip([centre - error, centre + error], least, most)
    return float(low), float(high)


def mode_of_variance(count: int, error: float, squares: float) -> float:
    """Return where the likelihood of Chung and others (2013) with their prior is highest.

    Of `count` means whose errors have the variance `error` and whose squared deviations from their
    mean sum to `squares`; the prior is proportional to the standard deviation.
    """

    def slope(variance: float) -> float:
        both = error + variance
        return 1 / variance - (count - 1) / both + squares / both**2

    return float(optimize.brentq(slope, error * 1e-6, 1e6 * (error + squares), xtol=1e-15))


class Oracle:
    """What kpis.md asks for, from the rows, by numpy, scipy and statsmodels."""

    def __init__(self, cells: list[Cell], kpi: Kpi) -> None:
        self.kpi = kpi
        self._relative: dict[str, float] = {}
        own = [c for c in cells if c.kpi_id == kpi.kpi_id]
        self.now = {m: [c for c in own if c.manager_id == m and c.month == MONTH] for m in MANAGERS}
        past = [c for c in own if c.month in HISTORY]
        self.past = past or [c for c in own if c.month == MONTH]
        above = sum(c.above.sum() for c in self.past)
        self.reference = above / sum(c.below.sum() for c in self.past)
        window = [*past, *(c for c in own if c.month == MONTH)]
        self.is_signed = kpi.is_signed or any(c.above.sum() < 0 for c in window)
        groups: dict[tuple[Month, str], list[Cell]] = {}
        for cell in self.past:
            groups.setdefault((cell.month, cell.manager_id), []).append(cell)
        self.of_manager = np.array([manager for _, manager in groups])
        self.managers = len(set(self.of_manager))
        self.sizes = np.array([self.size(g) for g in groups.values()])
        self.effects = np.array([self.adjusted(g) for g in groups.values()])
        left = sum(self.squares(g) for g in groups.values())
        self.within = left / self.sizes.sum()

    @property
    def pull(self) -> float:
        """Return the cases of the overall rate that stand beside every stratum's own."""
        below = np.concatenate([c.below for c in self.past])
        left = np.concatenate([c.above for c in self.past]) - self.reference * below
        rows = ROWS * (below**2).sum()
        return float(max(rows, EVENTS * (left**2).sum() / self.reference**2) / below.sum())

    def pulled(self, stratum: str, levels: dict[str, float]) -> float:
        """Return the rate of a stratum, had its managers all been at the usual level."""
        same = [c for c in self.past if c.stratum == stratum]
        events = sum(c.above.sum() for c in same) + self.pull * self.reference
        cases = sum(c.below.sum() * levels.get(c.manager_id, 1.0) for c in same)
        return float(events / (cases + self.pull))

    def relatives(self, levels: dict[str, float]) -> dict[str, float]:
        """Return the rates of strata over their mean."""
        rates = {s: self.pulled(s, levels) for s in {c.stratum for c in self.past}}
        weights = [c.below.sum() for c in self.past]
        mean = np.average([rates[c.stratum] for c in self.past], weights=weights)
        return {stratum: float(rate / mean) for stratum, rate in rates.items()} | {
            "?": self.reference / float(mean)
        }

    def levels(self) -> dict[str, float]:
        """Return how many times what their mix let expect managers reached."""
        first, found = self.relatives({}), {}
        for manager in set(self.of_manager):
            own = [c for c in self.past if c.manager_id == manager]
            reached = sum(c.above.sum() for c in own) / self.reference
            expected = sum(c.below.sum() * first[c.stratum] for c in own)
            found[manager] = float((reached + self.pull) / (expected + self.pull))
        return found

    def relative(self, cell: Cell) -> float:
        """Return the rate of a cell's stratum over that of all."""
        if self.is_signed or self.reference <= 0 or self.kpi.is_suppressed:
            return 1.0
        if not self._relative:
            self._relative = self.relatives(self.levels())
        found = self._relative.get(cell.stratum, self._relative["?"])
        return min(10.0, max(0.1, found))

    def size(self, cells: list[Cell]) -> float:
        """Return the cases that tell: no more than there are, nor than their mix stands for."""
        standard = sum(self.relative(c) * c.below.sum() for c in cells)
        return float(min(standard, sum(c.below.sum() for c in cells)))

    def squares(self, cells: list[Cell]) -> float:
        """Return what rows lie off the rate of their stratum, on the adjusted scale."""
        left = [c.above - self.reference * self.relative(c) * c.below for c in cells]
        scale = self.size(cells) / sum(self.relative(c) * c.below.sum() for c in cells)
        return sum(float((r**2).sum()) for r in left) * scale**2

    def adjusted(self, cells: list[Cell]) -> float:
        expected = sum(self.reference * self.relative(c) * c.below.sum() for c in cells)
        value = self.reference * sum(c.above.sum() for c in cells) / expected
        return float(np.clip(value, *self.bounds)) if self.bounds else float(value)

    @property
    def bounds(self) -> tuple[float, float] | None:
        if self.kpi.kind == "proportion" or self.kpi.unit == "rate":
            return (-1.0 if self.kpi.is_signed else 0.0, 1.0)
        return None

    @property
    def tau2(self) -> float:
        """Return the variance of months about their manager, and of managers: Chung's mode."""
        sizes, whole, spare = self.sizes, self.sizes.sum(), 0.0
        excess, shared, means, weights = 0.0, 0.0, [], []
        for manager in sorted(set(self.of_manager)):
            own = self.of_manager == manager
            weights.append(sizes[own].sum())
            means.append(np.average(self.effects[own], weights=sizes[own]))
            shared += (sizes[own] ** 2).sum() / weights[-1]
            spare += weights[-1] - (sizes[own] ** 2).sum() / weights[-1]
            if own.sum() > 1:
                with np.errstate(all="ignore"):  # it goes on to divide by Q
                    found = combine_effects(self.effects[own], self.within / sizes[own])
                excess += (found.q - (own.sum() - 1)) * self.within
        months = max(0.0, excess / spare) if len(sizes) > self.managers else 0.0
        count, weights = self.managers, np.array(weights)
        room = whole - (weights**2).sum() / whole
        error = (count - 1) * self.within + months * (shared - (sizes**2).sum() / whole)
        error /= room
        squares = (weights * (means - np.average(means, weights=weights)) ** 2).sum() / room
        squares *= count - 1
        return months + mode_of_variance(count, error, squares)

    def reliability(self, n: float) -> float:
        if self.kpi.is_suppressed or self.managers < 4 or self.within == 0:
            return 1.0
        return self.tau2 / (self.tau2 + self.within / n)

    def interval(self, manager: str) -> tuple[float, float]:
        cells = self.now[manager]
        above = np.concatenate([c.above for c in cells])
        standard = np.concatenate([c.below * self.relative(c) for c in cells])
        n = sum(c.below.sum() for c in cells)
        if self.kpi.kind == "proportion":
            limits = proportion_limits(float(above.sum()), n)
            return tuple(min(1.0, float(x) * n / standard.sum()) for x in limits)  # type: ignore[return-value]
        if self.kpi.kind == "score" and self.bounds and self.kpi.is_suppressed:
            return agresti_coull(above, *self.bounds)
        borrowed = 0 if self.kpi.is_suppressed else BORROWED
        spread, freedom = borrowed * self.within / self.size(cells), float(borrowed)
        if len(above) > 1:
            fit = WLS(above, standard, weights=1 / standard).fit(cov_type="HC0")
            count = standard.sum() ** 2 / (standard**2).sum()
            spread += fit.bse[0] ** 2 * count
            freedom += count - 1
        error = np.sqrt(spread / freedom) * t95(freedom)
        limits = self.adjusted(cells) - error, self.adjusted(cells) + error
        if self.bounds:
            return tuple(np.clip(limits, *self.bounds))
        is_never_negative = self.adjusted(cells) >= 0 and not self.kpi.is_signed
        return (max(0.0, limits[0]) if is_never_negative else limits[0]), limits[1]


def proportion_limits(events: float, n: float) -> tuple[float, float]:
    """Wilson's limits; Jeffreys' of a lone event beside the one of ten cases or more."""
    low, high = proportion_confint(events, n, method="wilson")
    lone = stats.chi2.ppf(0.025, 3) / 2 / n
    if n >= 10 and events == 1:
        low = lone
    if n >= 10 and n - events == 1:
        high = 1 - lone
    return float(low), float(high)


@pytest.fixture(scope="module", params=[11, 12])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    cells = draw(request.param)
    home = scored.fill(
        tmp_path_factory.mktemp("fair"), KPIS, scored.table([c.sums() for c in cells])
    )
    for month in (HISTORY[-1], MONTH):
        scored.score(home, month)
    return cells, home


def rows(home: Any, table: str, kpi_id: str) -> dict[str, dict[str, Any]]:
    found = scored.columns(
        home, f"select * from {table} where month = date '{MONTH.start}' and kpi_id = '{kpi_id}'"
    )
    names = list(found)
    listed = [dict(zip(names, values, strict=True)) for values in zip(*found.values(), strict=True)]
    return {row.get("manager_id", row["kpi_id"]): row for row in listed}


def near(expected: float | None, relative: float = 1e-6) -> Any:
    return None if expected is None else pytest.approx(expected, rel=relative, abs=EXACT)


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.kpi_id)
def test_every_manager_is_judged_as_scipy_and_statsmodels_judge_them(world: Any, kpi: Kpi) -> None:
    cells, home = world
    oracle = Oracle(cells, kpi)
    found = rows(home, "kpis.kpi_manager_months", kpi.kpi_id)
    assert set(found) == {m for m in MANAGERS if oracle.now[m]}
    for manager, row in found.items():
        n = oracle.size(oracle.now[manager])
        adjusted, weight = oracle.adjusted(oracle.now[manager]), oracle.reliability(n)
        assert row["adjusted_value"] == near(adjusted)
        assert row["reliability"] == near(weight)
        shrunk = weight * adjusted + (1 - weight) * oracle.reference
        assert row["shrunk_value"] == near(shrunk)
        low, high = oracle.interval(manager)
        digits = EXACT + 1e-5 * (high - low)  # of t95, see the macro
        assert row["ci_low"] == pytest.approx(low, abs=digits)
        assert row["ci_high"] == pytest.approx(high, abs=digits)
        if not kpi.is_suppressed:
            assert row["reference_value"] == near(oracle.reference)


@pytest.mark.parametrize(
    "kpi", [k for k in KPIS if not k.is_suppressed], ids=lambda kpi: kpi.kpi_id
)
def test_the_variance_of_managers_is_that_of_dersimonian_and_laird_and_of_chung(
    world: Any, kpi: Kpi
) -> None:
    cells, home = world
    oracle = Oracle(cells, kpi)
    row = rows(home, "kpis.kpi_reliabilities", kpi.kpi_id)[kpi.kpi_id]
    assert row["manager_month_count"] == len(oracle.sizes)
    assert row["manager_count"] == oracle.managers
    assert row["within_variance"] == near(oracle.within)
    expected = {"perfect_rate": "no_spread", "lonely_seconds": "too_few"}
    assert row["method"] == expected.get(kpi.kpi_id, "estimated")
    if row["method"] == "estimated":
        assert row["between_variance"] == near(oracle.tau2, 1e-5)
        assert row["shrinkage_constant"] == near(oracle.within / oracle.tau2, 1e-5)


def test_an_interval_without_a_reference_is_never_a_point_nor_leaves_its_bounds(world: Any) -> None:
    _, home = world
    for kpi in KPIS:
        if kpi.unit != "rate":
            continue
        least = -1 if kpi.is_signed else 0
        found = rows(home, "kpis.kpi_manager_months", kpi.kpi_id)
        for row in found.values():
            assert least <= row["ci_low"] < row["ci_high"] <= 1
            assert row["ci_low"] <= row["adjusted_value"] <= row["ci_high"]
            assert row["shrunk_se"] > 0
            assert least <= row["shrunk_value"] <= 1
    hard = rows(home, "kpis.kpi_manager_months", "mixed_score")["M4"]
    assert hard["value"] == hard["adjusted_value"] == 1
    assert hard["expected_value"] < hard["reference_value"]


def test_the_error_of_a_shrunk_value_is_that_of_morris(world: Any) -> None:
    cells, home = world
    for kpi in KPIS[:6]:
        oracle = Oracle(cells, kpi)
        for manager, row in rows(home, "kpis.kpi_manager_months", kpi.kpi_id).items():
            n = oracle.size(oracle.now[manager])
            shrinkage, count = 1 - oracle.reliability(n), oracle.managers
            apart = oracle.adjusted(oracle.now[manager]) - oracle.reference
            variance = oracle.within / n * (1 - (count - 1) / count * shrinkage)
            variance += 2 / (count - 3) * shrinkage**2 * apart**2
            assert row["shrunk_se"] == near(float(np.sqrt(variance)))


def test_the_funnel_has_the_limits_of_spiegelhalter(world: Any) -> None:
    cells, home = world
    outside = 0
    for kpi in KPIS[:6]:
        oracle, sign = Oracle(cells, kpi), -1 if kpi.direction == "down" else 1
        for manager, row in rows(home, "scorecards.scorecard_kpi_months", kpi.kpi_id).items():
            n = oracle.size(oracle.now[manager])
            adjusted = oracle.adjusted(oracle.now[manager])
            status = "inside"
            for name, z in (("95", Z95), ("998", Z998)):
                limit = z * np.sqrt(oracle.within / n + oracle.tau2)
                if abs(adjusted - oracle.reference) > limit:
                    side = "better" if sign * (adjusted - oracle.reference) > 0 else "worse"
                    status = f"{side}_{name}"
            outside += status != "inside"
            assert row["funnel_status"] == status, (kpi.kpi_id, manager)
    assert outside > 0


def points(kpi: Kpi, value: float) -> float:
    if kpi.direction == "up":
        return float(np.interp(value, [kpi.floor, kpi.target, kpi.stretch], [0, 100, 120]))
    return float(np.interp(-value, [-kpi.floor, -kpi.target, -kpi.stretch], [0, 100, 120]))


def test_a_total_its_interval_and_its_ties_follow_from_the_kpis(world: Any) -> None:
    _, home = world
    kpi_of = {kpi.kpi_id: kpi for kpi in KPIS}
    every = scored.columns(
        home,
        "select manager_id, kpi_id, status, shrunk_value::double as shrunk, shrunk_se::double as "
        "se, score::double as score, score_se::double as score_se, effective_weight::double as w "
        f"from scorecards.scorecard_kpi_months where month = date '{MONTH.start}'",
    )
    assert set(every["status"]) == {"scored", "insufficient_data"}
    totals: dict[str, float] = dict.fromkeys(MANAGERS, 0.0)
    variances: dict[str, float] = dict.fromkeys(MANAGERS, 0.0)
    for manager, kpi_id, status, shrunk, se, score, score_se, w in zip(
        *every.values(), strict=True
    ):
        if status != "scored":
            assert np.ma.is_masked(score) or np.isnan(score)
            continue
        kpi = kpi_of[kpi_id]
        assert score == pytest.approx(points(kpi, shrunk), abs=1e-3)
        rise = points(kpi, shrunk + Z95 * se) - points(kpi, shrunk - Z95 * se)
        assert score_se == pytest.approx(abs(rise) / 2 / Z95, abs=1e-3)
        totals[manager] += w * score
        variances[manager] += (w * score_se) ** 2
    found = scored.columns(
        home,
        "select manager_id, total_score::double as total, total_se::double as se, "
        "total_low::double as low, total_high::double as high, rank_low, rank_high, rank "
        f"from scorecards.scorecard_manager_months where month = date '{MONTH.start}'",
    )
    low, high = found["low"], found["high"]
    for n, manager in enumerate(found["manager_id"]):
        assert found["total"][n] == pytest.approx(totals[manager], abs=2e-3)
        margin = Z95 * np.sqrt(variances[manager])
        assert found["se"][n] == pytest.approx(margin / Z95, abs=2e-3)
        assert low[n] == pytest.approx(found["total"][n] - margin, abs=5e-3)
        assert found["rank_low"][n] == 1 + (low > high[n]).sum()
        assert found["rank_high"][n] == len(low) - (high < low[n]).sum()
        assert found["rank_low"][n] <= found["rank"][n] <= found["rank_high"][n]


def test_a_change_is_clear_when_its_interval_leaves_zero(world: Any) -> None:
    _, home = world
    both = scored.query(
        home,
        "select n.kpi_id, n.change::double, n.change_low::double, n.change_high::double, "
        "n.change_status, n.shrunk_value::double, p.shrunk_value::double, n.shrunk_se::double, "
        "p.shrunk_se::double from scorecards.scorecard_kpi_months n left join "
        "scorecards.scorecard_kpi_months p on p.manager_id = n.manager_id and p.kpi_id = n.kpi_id "
        f"and p.month = date '{HISTORY[-1].start}' where n.month = date '{MONTH.start}'",
    )  # fmt: skip
    seen = set()
    for kpi_id, change, low, high, status, now, before, se, se_before in both:
        seen.add(status)
        if before is None or now is None:
            assert (change, low, high, status) == (None,) * 4
            continue
        margin = Z95 * np.hypot(se, se_before)
        assert change == pytest.approx(now - before, abs=2e-6)
        assert (low, high) == (near(change - margin, 1e-5), near(change + margin, 1e-5))
        good = 1 if next(k for k in KPIS if k.kpi_id == kpi_id).direction == "up" else -1
        told = (
            "better"
            if good * change > margin
            else "worse"
            if -good * change > margin
            else "no_clear_change"
        )
        assert status == told
    assert {"no_clear_change", None} <= seen


def test_confidential_answers_lend_themselves_to_no_sum_of_all(world: Any) -> None:
    _, home = world
    for table in ("kpis.kpi_references", "kpis.kpi_reliabilities"):
        assert rows(home, table, "confidential_rate") == {}
    hidden = scored.query(
        home,
        "select numerator, value, adjusted_value, shrunk_value, reliability, ci_low, ci_high, "
        "reference_value, expected_value, shrunk_se, score, score_se, change, change_low, "
        "change_high, change_status, funnel_z, funnel_status from scorecards.scorecard_kpi_months "
        f"where month = date '{MONTH.start}' and kpi_id = 'confidential_rate' "
        "and manager_id = 'M1'",
    )
    assert hidden == [(None,) * len(hidden[0])]


def test_a_second_run_gives_the_same_digits(world: Any) -> None:
    _, home = world
    tables = ("kpis.kpi_references", "kpis.kpi_reliabilities", "kpis.kpi_manager_months",
              "scorecards.scorecard_kpi_months", "scorecards.scorecard_manager_months")  # fmt: skip
    before = [scored.query(home, f"from {table} order by all") for table in tables]
    scored.score(home, MONTH)
    assert [scored.query(home, f"from {table} order by all") for table in tables] == before
    assert date(2026, 9, 1) in {row[0] for row in before[-1]}
