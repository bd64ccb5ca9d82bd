"""No rate leaves what a rate may be, not even once the mix of cases is allowed for."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_warehouse as small
from test_gates import KPI, change, failed, land_all

from perfhouse.company_types import Company
from perfhouse.settings import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = small.home(tmp_path / "home")
    land_all(made)
    small.build(made)
    return made


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return small.company(tmp_path / "company", small.source("hr"), small.source("calls"))


@pytest.mark.parametrize("column", ["adjusted_value", "shrunk_value", "ci_low", "ci_high"])
@pytest.mark.parametrize("value", [-0.01, 1.194])
def test_an_adjusted_rate_or_a_limit_outside_the_range_stops_the_month(
    home: Home, company: Company, column: str, value: float
) -> None:
    change(home, f"update {KPI} set {column} = {value} where kpi_id = 'reopen_rate'")
    assert "kpi_value_range" in failed(home, company)


@pytest.mark.parametrize(("value", "passes"), [(-0.4, True), (-1.01, False), (1.01, False)])
def test_a_net_scores_limits_may_be_negative_and_no_less_than_minus_one(
    home: Home, company: Company, value: float, passes: bool
) -> None:
    change(
        home,
        "update kpis.kpi_definitions set kind = 'score', is_signed = true "
        "where kpi_id = 'reopen_rate'",
    )
    change(home, f"update {KPI} set ci_low = {value} where kpi_id = 'reopen_rate'")
    assert ("kpi_value_range" not in failed(home, company)) is passes
