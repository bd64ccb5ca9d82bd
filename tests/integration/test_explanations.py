"""What moved a KPI, beside the two textbook sums, on strata drawn at random."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from perfhouse import build as builder
from perfhouse import settings, warehouse
from perfhouse.settings import Home
from tests.integration import tiny_company as tiny

NOW, BEFORE = tiny.SEPTEMBER, tiny.AUGUST
Sums = dict[str, tuple[float, float]]
MANAGERS = 40


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, list[Sums]]]:
    home = Home(tmp_path_factory.mktemp("explained") / "home").ensure()
    rng = np.random.default_rng(7)
    drawn = {f"M{n}": [_strata(rng), _strata(rng)] for n in range(MANAGERS)}
    drawn |= {"empty now": [_strata(rng), {}], "empty before": [{}, _strata(rng)]}
    _fill(home, drawn)
    extra = {"PERFHOUSE_COMPANY_KPIS": "company_kpis"}
    with settings.dbt_environment(home, NOW, NOW, extra):
        runs, failure = builder.run_dbt(["run", "--select", "scorecard_explanations"])
    assert failure is None
    assert [run.status for run in runs] == ["success"]
    return home, drawn


def _strata(rng: np.random.Generator) -> Sums:
    """Sums of up to five strata; one may be missing, another have no rows above the line."""
    kept = [name for name in "abcde" if rng.random() < 0.8] or ["a"]
    cases = {name: float(rng.integers(1, 300)) for name in kept}
    return {name: (round(float(n * rng.random()), 3), n) for name, n in cases.items()}


def _fill(home: Home, drawn: dict[str, list[Sums]]) -> None:
    con = warehouse.connect(home.warehouse)
    for schema in ("kpis", "scorecards"):
        con.execute(f"create schema {schema}")
    con.execute(
        "create table kpis.kpi_definitions as select 'k' as kpi_id, '1' as version, 'K' as name_en,"
        " '指标' as name_zh, 'rate' as unit, false as is_suppressed"
    )
    con.execute(
        "create table kpis.kpi_manager_strata (month date, kpi_id varchar, kpi_version varchar, "
        "manager_id varchar, is_direct boolean, stratum varchar, numerator decimal(28, 10), "
        "denominator decimal(28, 10))"
    )
    numbers = ("value", "shrunk_value", "sample_size", "floor", "target", "stretch", "score")
    con.execute(
        "create table scorecards.scorecard_kpi_months (month date, manager_id varchar, "
        "kpi_id varchar, kpi_version varchar, status varchar, minimum_sample integer, "
        "row_count integer, minimum_rows integer, "
        f"is_provisional boolean, {', '.join(f'{name} decimal(18, 6)' for name in numbers)})"
    )
    for manager, of_months in drawn.items():
        for month, sums in zip((BEFORE, NOW), of_months, strict=True):
            for stratum, (above, below) in sums.items():
                # A manager's own half and the half of those below add up.
                for direct in (True, False):
                    con.execute(
                        "insert into kpis.kpi_manager_strata "
                        "values (?, 'k', '1', ?, ?, ?, ?::decimal(28, 10) / 2, ? / 2)",
                        [month.start, manager, direct, stratum, above, below],
                    )
            above, below = (sum(each[at] for each in sums.values()) for at in (0, 1))
            con.execute(
                "insert into scorecards.scorecard_kpi_months by name select ?::date as month, "
                "? as manager_id, 'k' as kpi_id, '1' as kpi_version, 'no_target' as status, "
                "1 as minimum_sample, false as is_provisional, ?::double as value, "
                "?::double as sample_size",
                [month.start, manager, above / below if below else None, below],
            )
    con.close()


def textbook(before: Sums, now: Sums) -> tuple[float, float]:
    """Return the rate and the mix effect; a stratum of one month has that month's rate in both."""
    totals = [sum(below for _, below in sums.values()) for sums in (before, now)]
    rate = mix = 0.0
    for stratum in sorted({*before, *now}):
        shares = [sums.get(stratum, (0, 0))[1] / total
                  for sums, total in zip((before, now), totals, strict=True)]  # fmt: skip
        known = [sums[stratum][0] / sums[stratum][1] if stratum in sums else None
                 for sums in (before, now)]  # fmt: skip
        first = known[0] if known[0] is not None else known[1]
        last = known[1] if known[1] is not None else known[0]
        assert first is not None
        assert last is not None
        rate += (last - first) * (shares[0] + shares[1]) / 2
        mix += (shares[1] - shares[0]) * (first + last) / 2
    return rate, mix


def _found(home: Home) -> dict[str, tuple[Any, ...]]:
    con = warehouse.connect(home.warehouse, read_only=True)
    rows = con.execute(
        "select manager_id, value_change, rate_effect, mix_effect, sentence_en "
        "from scorecards.scorecard_explanations"
    ).fetchall()
    con.close()
    return {row[0]: row[1:] for row in rows}


def test_both_effects_are_those_of_the_textbook_and_sum_to_the_change_exactly(
    explained: tuple[Home, dict[str, list[Sums]]],
) -> None:
    home, drawn = explained
    found = _found(home)
    assert len(found) == MANAGERS + 2
    for manager, (before, now) in drawn.items():
        change, rate, mix, _ = found[manager]
        if not before or not now:
            assert (change, rate, mix) == (None, None, None)
            continue
        assert rate + mix == change
        expected = textbook(before, now)
        assert float(rate) == pytest.approx(expected[0], abs=3e-6)
        assert float(mix) == pytest.approx(expected[1], abs=1e-6)
        assert float(change) == pytest.approx(sum(expected), abs=2e-6)


def test_the_parts_sum_to_the_change_as_it_is_said_too(
    explained: tuple[Home, dict[str, list[Sums]]],
) -> None:
    import re

    said = [sentence for *_, sentence in _found(explained[0]).values()]
    pattern = (
        r"^K was ([\d.]+)% .*; last month it was ([\d.]+)% \(([+-]?[\d.]+) percentage points: "
        r"([+-]?[\d.]+) from results within kinds of cases, ([+-]?[\d.]+) from their mix\)\.$"
    )
    matches = [re.match(pattern, sentence) for sentence in said]
    numbers = [[Decimal(part) for part in match.groups()] for match in matches if match]
    assert len(numbers) > MANAGERS / 2
    for now, before, change, rate, mix in numbers:
        assert now - before == change
        assert rate + mix == change
