"""The demo company through every stage to its releases, held against the planted truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import ready_sql

from perfhouse import demo, release, stages, warehouse
from perfhouse.errors import MonthClosed
from perfhouse.month import Month
from perfhouse.restatement import Reason

FIRST, SECOND = Month("2026-06"), Month("2026-07")


@dataclass(frozen=True)
class Company:
    made: demo.DemoResult
    folder: Path
    ws: stages.Workspace
    runs: dict[Month, stages.RunResult]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    folder = tmp_path_factory.mktemp("demo")
    made = demo.generate(
        folder / "demo", managers=6, agents=60, months=2, seed=7, tickets=4_000, calls=5_000
    )
    ws = stages.open_workspace(made.company, made.sources, folder / "home")
    runs = {month: stages.run(ws, month) for month in made.months}
    return Company(made, folder / "demo", ws, runs)


def planted(company: Company, month: Month, scenario: str) -> dict[tuple[str, str], tuple]:
    with warehouse.connect() as con:
        rows = con.execute(
            "select manager_id, kpi_id, round(numerator, 6), round(denominator, 6) "
            "from read_parquet(?) where month = ? and as_of = ? and scenario = ?",
            [str(company.made.truth / "kpi_months.parquet"), month.key, month.key, scenario],
        ).fetchall()
    return {(manager, kpi): (n, d) for manager, kpi, n, d in rows}


def published(company: Company, month: Month) -> dict[tuple[str, str], tuple]:
    newest = release.latest(company.ws.home, month)
    assert newest is not None
    with warehouse.connect(newest.path / "scorecards.duckdb", read_only=True) as con:
        rows = con.execute(
            "select manager_id, kpi_id, cast(numerator as double), cast(denominator as double) "
            "from scorecard_kpi_months where month = ? and denominator is not null "
            "and denominator <> 0",
            [month.start],
        ).fetchall()
    return {(manager, kpi): (round(n, 6), round(d, 6)) for manager, kpi, n, d in rows}


def differences(company: Company, month: Month, scenario: str) -> list[str]:
    """Compare the KPIs that the generator tells of whoever answers in the month.

    The year's turnover knows who answered in earlier months, too.
    """
    truth = planted(company, month, scenario)
    told = {kpi for _, kpi in truth}
    ours = {key: sums for key, sums in published(company, month).items() if key[1] in told}
    managers = {manager for manager, kpi in truth if kpi != "turnover_rate"}
    expected = {k: v for k, v in truth.items() if k[0] in managers and v[1] != 0}
    return [
        f"{key}: published {ours.get(key)}, planted {expected.get(key)}"
        for key in sorted(expected.keys() | ours.keys())
        if ours.get(key) != pytest.approx(expected.get(key), abs=2e-6)
    ]


@pytest.mark.e2e
@pytest.mark.parametrize("month", [FIRST, SECOND], ids=str)
def test_every_kpi_of_every_manager_equals_the_planted_truth(
    company: Company, month: Month
) -> None:
    assert len(published(company, month)) > 50
    assert not differences(company, month, "delivered")


@pytest.mark.e2e
def test_every_release_has_its_operations_page(company: Company) -> None:
    for month, run in company.runs.items():
        page = company.ws.home.operations / f"{run.release.name}.html"
        landed = sum(s.landed for m in run.manifests for s in m.streams.values())
        assert f">{landed:,}</div>" in page.read_text(encoding="utf-8"), month


@pytest.mark.e2e
def test_all_five_categories_of_kpis_are_scored(company: Company) -> None:
    newest = release.latest(company.ws.home, SECOND)
    assert newest is not None
    with warehouse.connect(newest.path / "scorecards.duckdb", read_only=True) as con:
        rows = con.execute(
            "select d.category, count(*) from scorecard_kpi_months as s "
            "join kpi_definitions as d on d.kpi_id = s.kpi_id "
            "where s.status = 'scored' group by d.category"
        ).fetchall()
    assert {c for c, _ in rows} == {"result", "quality", "efficiency", "people", "innovation"}


@pytest.mark.nightly
@pytest.mark.e2e
def test_the_same_month_again_is_unchanged(company: Company) -> None:
    again = stages.run(company.ws, SECOND)
    assert again.release.unchanged
    assert again.release.sha256 == company.runs[SECOND].release.sha256
    assert all(manifest.unchanged for manifest in again.manifests)


@pytest.mark.nightly
@pytest.mark.e2e
def test_a_second_home_makes_the_same_release(company: Company, tmp_path: Path) -> None:
    ws = stages.open_workspace(company.made.company, company.made.sources, tmp_path / "other")
    assert stages.run(ws, FIRST).release.sha256 == company.runs[FIRST].release.sha256


@pytest.mark.e2e
def test_a_corrected_delivery_restates_its_month_and_no_other(company: Company) -> None:
    before = {r.name: r.sha256 for r in release.releases(company.ws.home)}
    demo.redeliver(company.folder, FIRST.key)
    with pytest.raises(MonthClosed, match="2026-06 is closed"):
        stages.run(company.ws, FIRST)
    restated = stages.run(company.ws, FIRST, reason=Reason("corrected surveys", "HR")).release
    assert restated.name == f"{FIRST}.r2"
    assert not differences(company, FIRST, "redelivered")
    after = {r.name: r.sha256 for r in release.releases(company.ws.home)}
    assert after == {**before, restated.name: restated.sha256}


# The newest month of the docs' queries, and of this company; FineBI puts in who is signed in.
SAID = {"2026-09": SECOND.key, "${fine_username}": "D0001"}


@pytest.mark.e2e
@pytest.mark.parametrize("query", ready_sql.queries(), ids=str)
def test_the_ready_sql_of_the_docs_has_rows_of_a_real_release(
    company: Company, query: ready_sql.Query
) -> None:
    rows = asked(company, query.about(SAID))
    assert rows or query.may_be_empty


def asked(company: Company, sql: str) -> list[tuple]:
    path = company.ws.home.published / "scorecards.duckdb"
    with warehouse.connect(path, read_only=True) as con:
        return con.execute(sql).fetchall()


def titled(title: str) -> str:
    found = [query for query in ready_sql.queries("bi.md") if query.title.startswith(title)]
    assert len(found) == 1, title
    return found[0].about(SAID)


@pytest.mark.e2e
def test_the_company_by_kpi_counts_each_case_once(company: Company) -> None:
    """Who stands above all has every case in the own row: the same, by another road."""
    pooled = {kpi: (value, cases) for kpi, _, value, cases in asked(company, titled("the company"))}
    above = asked(company, titled("everybody below D0001"))
    compared = {kpi: (value, cases) for kpi, value, cases in above if cases}
    assert len(compared) > 15
    for kpi, (value, cases) in compared.items():
        found = tuple(float(number) for number in pooled[kpi])
        # Published numbers have six digits behind the point; heads of each team are rounded apart.
        assert found == pytest.approx((float(value), float(cases)), rel=1e-6, abs=1e-5), kpi
    twice = "select sum(denominator) from scorecard_kpi_months where kpi_id = 'csat_rate' "
    (added,) = asked(company, f"{twice} and month = date '{SECOND.start}'")[0]
    assert added > 1.5 * float(compared["csat_rate"][1])  # what the page warns of


@pytest.mark.e2e
def test_the_points_of_a_total_add_up_to_it(company: Company) -> None:
    rows = asked(company, titled("what a total is made of"))
    for manager, total, points in rows:
        assert float(points) == pytest.approx(float(total), abs=1e-4), manager
