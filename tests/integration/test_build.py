from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from connectors import streams
from perfhouse import build as builder
from perfhouse import lake, warehouse
from perfhouse.company import Company
from perfhouse.settings import Home
from tests.integration import tiny_company as tiny


@dataclass(frozen=True)
class Built:
    company: Company
    home: Home

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        con = warehouse.connect(self.home.warehouse, read_only=True)
        try:
            return con.execute(sql).fetchall()
        finally:
            con.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    root = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "create_raw_views", tiny.raw_tables)
        made = Built(tiny.company(root / "company"), Home(root / "home"))
        for month in (tiny.AUGUST, tiny.SEPTEMBER):
            builder.build(made.company, made.home, month, month, streams.declarations(), print)
        yield made


def test_every_kpi_sum_of_every_manager_is_what_a_hand_counts(built: Built) -> None:
    found = built.query(
        "select kpi_id, manager_id, sum(numerator)::double, sum(denominator)::double "
        "from kpis.kpi_employee_months where month = date '2026-09-01' and manager_id is not null "
        "group by all"
    )
    assert {(kpi, manager): (a, b) for kpi, manager, a, b in found} == tiny.SEPTEMBER_SUMS
