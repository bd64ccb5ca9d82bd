"""What the metrics of the data sets say of a world whose numbers are known by hand.

D stands over A and B; A's two cases of ten and B's thirty of forty are D's as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from bi.datasets import KPI_MONTHS, MANAGER_MONTHS, TEAM_MONTHS, Dataset
from perfhouse import warehouse

MAY, JUNE = "2026-05-01", "2026-06-01"
TEAMS = [  # month, team, manager, KPI, version, numerator, denominator
    (MAY, "T1", "A", "csat_rate", "1", 8, 10),
    (MAY, "T2", "B", "csat_rate", "1", 10, 40),
    (JUNE, "T1", "A", "csat_rate", "1", 1, 10),
    (MAY, "T1", "A", "turnover_rate", "2", 1, 4),
    (JUNE, "T1", "A", "turnover_rate", "2", 3, 4),
    (MAY, "T1", "A", "enps", "1", 3, 6),
    (MAY, "T2", "B", "enps", "1", None, None),
    (MAY, "T1", "A", "nps", "1", 1, 6),
    (JUNE, "T1", "A", "nps", "2", 2, 6),
    (MAY, "T1", "A", "of_our_own", "1", 1, 2),
    (JUNE, "T1", "A", "of_our_own", "1", 1, 8),
]
OWN = [*((month, who, *rest) for month, _, who, *rest in TEAMS),
       (MAY, "D", "csat_rate", "1", 18, 50)]  # fmt: skip
UNITS = {"csat_rate": "rate", "turnover_rate": "ratio", "enps": "net_rate", "nps": "net_rate",
         "of_our_own": "seconds"}  # fmt: skip
TOTALS = [(MAY, "A", "cs_manager", 60), (MAY, "B", "cs_manager", 90), (MAY, "C", "cs_manager", 96),
          (MAY, "D", "manager_of_managers", 20)]  # fmt: skip


def made(con: duckdb.DuckDBPyConnection, dataset: Dataset, rows: list[dict[str, Any]]) -> None:
    """Make the table of a data set; columns without a value are null."""
    table = next(iter(dataset.tables.values()))
    kinds = {"m": "date", "i": "integer", "t": "varchar", "n": "decimal(18, 6)", "b": "boolean"}
    columns = ", ".join(f"{c.name} {kinds[c.kind]}" for c in dataset.columns)
    con.execute(f"create table {table} ({columns})")
    for row in rows:
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        con.execute(f"insert into {table} ({names}) values ({marks})", list(row.values()))


@pytest.fixture(scope="module")
def world() -> Iterator[duckdb.DuckDBPyConnection]:
    names = ("month", "manager_id", "kpi_id", "kpi_version", "numerator", "denominator")
    with warehouse.connect() as con:
        rows = [dict(zip(names, row, strict=True)) for row in OWN]
        for row in rows:
            row |= {"unit": UNITS[row["kpi_id"]], "sample_size": row["denominator"]}
            row |= {"role": "cs_manager", "score": 50}
        made(con, KPI_MONTHS, rows)
        teams = [dict(zip(("month", "team_id", *names[1:]), row, strict=True)) for row in TEAMS]
        for row in teams:
            row |= {"unit": UNITS[row["kpi_id"]], "sample_size": row["denominator"]}
        made(con, TEAM_MONTHS, teams)
        columns = ("month", "manager_id", "role", "total_score")
        made(con, MANAGER_MONTHS, [dict(zip(columns, row, strict=True)) for row in TOTALS])
        yield con


def value(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, metric: str, where: str = "true"
) -> Any:
    expression = {each.name: each.expression for each in dataset.metrics}[metric]
    table = next(iter(dataset.tables.values()))
    row = con.execute(f"select {expression} from {table} where {where}").fetchone()
    assert row is not None
    return float(row[0]) if isinstance(row[0], (int, float)) else row[0]


OF_CSAT = f"kpi_id = 'csat_rate' and month = '{MAY}'"


def test_a_total_over_teams_counts_each_case_once(world: duckdb.DuckDBPyConnection) -> None:
    assert value(world, TEAM_MONTHS, "csat_rate", f"month = '{MAY}'") == 18 / 50
    assert value(world, TEAM_MONTHS, "kpi_value", OF_CSAT) == 18 / 50
    assert value(world, TEAM_MONTHS, "kpi_value_text", OF_CSAT) == "36.0%"
    assert float(value(world, TEAM_MONTHS, "sample", OF_CSAT)) == 50


def test_months_are_pooled_by_their_sums(world: duckdb.DuckDBPyConnection) -> None:
    assert value(world, TEAM_MONTHS, "csat_rate") == round(19 / 60, 6)
    assert value(world, KPI_MONTHS, "csat_rate", "manager_id = 'A'") == 9 / 20


def test_one_manager_has_the_scorecards_number_and_several_have_none(
    world: duckdb.DuckDBPyConnection,
) -> None:
    for metric in ("csat_rate", "kpi_value"):
        assert value(world, KPI_MONTHS, metric, f"{OF_CSAT} and manager_id = 'D'") == 18 / 50
        assert value(world, KPI_MONTHS, metric, f"{OF_CSAT} and manager_id = 'A'") == 8 / 10
        assert value(world, KPI_MONTHS, metric, OF_CSAT) is None, "36 of 100 cases: each twice"
    assert value(world, KPI_MONTHS, "sample", OF_CSAT) is None


def test_what_tells_a_year_is_of_one_month_only(world: duckdb.DuckDBPyConnection) -> None:
    for dataset in (TEAM_MONTHS, KPI_MONTHS):
        for metric, where in (("turnover_rate", ""), ("kpi_value", "kpi_id = 'turnover_rate'")):
            one = " and ".join(filter(None, (where, f"month = '{JUNE}' and manager_id = 'A'")))
            assert value(world, dataset, metric, one) == 3 / 4
            assert value(world, dataset, metric, where or "true") is None
    one, both = "kpi_id = 'of_our_own' and month = '2026-06-01'", "kpi_id = 'of_our_own'"
    assert value(world, TEAM_MONTHS, "kpi_value", one) == 1 / 8
    assert value(world, TEAM_MONTHS, "kpi_value_text", one) == "0.0 s"
    assert value(world, TEAM_MONTHS, "kpi_value", both) is None, "nobody says it may be pooled"


def test_there_is_no_total_of_a_part_nor_of_two_definitions_or_kpis(
    world: duckdb.DuckDBPyConnection,
) -> None:
    assert value(world, TEAM_MONTHS, "enps", "team_id = 'T1'") == 3 / 6
    assert value(world, TEAM_MONTHS, "enps") is None, "B's answers are hidden"
    assert value(world, TEAM_MONTHS, "nps", f"month = '{MAY}'") == round(1 / 6, 6)
    assert value(world, TEAM_MONTHS, "nps") is None, "two definitions"
    one = f"month = '{MAY}' and kpi_id = 'nps'"
    assert value(world, TEAM_MONTHS, "kpi_value_text", one) == "16.7", "points, no per cent"
    assert value(world, TEAM_MONTHS, "kpi_value", f"month = '{MAY}'") is None
    assert value(world, TEAM_MONTHS, "kpi_value_text", f"month = '{MAY}'") is None
    assert value(world, TEAM_MONTHS, "sample", f"month = '{MAY}'") is None
    assert value(world, TEAM_MONTHS, "csat_rate", "kpi_id = 'nps'") is None, "no row is no zero"


def test_totals_are_told_by_their_spread_within_a_role_and_never_over_roles(
    world: duckdb.DuckDBPyConnection,
) -> None:
    role = "role = 'cs_manager'"
    assert value(world, MANAGER_MONTHS, "median_total_score", role) == 90
    assert value(world, MANAGER_MONTHS, "low_quarter_total_score", role) == 75
    assert value(world, MANAGER_MONTHS, "high_quarter_total_score", role) == 93
    assert value(world, MANAGER_MONTHS, "median_total_score") is None
    assert value(world, MANAGER_MONTHS, "one_total", "manager_id = 'B'") == 90
    assert value(world, MANAGER_MONTHS, "one_total") is None
    assert value(world, KPI_MONTHS, "one_score", f"{OF_CSAT} and manager_id = 'A'") == 50
    assert value(world, KPI_MONTHS, "one_score", OF_CSAT) is None
