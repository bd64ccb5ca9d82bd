"""The demo company through the pipeline, against the truth that its generator planted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfhouse import demo, lake, stages, warehouse
from perfhouse.month import Month

JUNE, JULY = Month("2026-06"), Month("2026-07")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoResult:
    folder = tmp_path_factory.mktemp("demo") / "company"
    return demo.generate(
        folder, managers=6, agents=40, months=2, seed=11, tickets=3_000, calls=3_000
    )


@pytest.fixture(scope="module")
def ws(made: demo.DemoResult, tmp_path_factory: pytest.TempPathFactory) -> stages.Workspace:
    workspace = stages.open_workspace(made.company, made.sources, tmp_path_factory.mktemp("home"))
    for month in made.months:
        for source in workspace.company.sources:
            stages.ingest(workspace, source.id, month)
    return workspace


@pytest.fixture(scope="module")
def built(ws: stages.Workspace) -> stages.Workspace:
    stages.build(ws, JULY)
    return ws


def test_what_landed_is_what_was_planted_to_the_row(
    made: demo.DemoResult, ws: stages.Workspace
) -> None:
    expected = json.loads((made.truth / "landing.json").read_text(encoding="utf-8"))
    assert len(expected) == 2 * 8
    for row in expected:
        manifest = lake.read_manifest(ws.home, row["source"], Month(row["month"]))
        assert manifest is not None
        found = manifest.streams[row["stream"]]
        counts = (found.rows_in, found.landed, found.duplicates, found.quarantined)
        wanted = (row["rows_in"], row["landed"], row["duplicates"], row["quarantined"])
        assert counts == wanted, row


def test_lost_times_of_day_are_unknown_and_comments_never_land(ws: stages.Workspace) -> None:
    manifest = lake.read_manifest(ws.home, "surveys", JUNE)
    assert manifest is not None
    found = manifest.streams["survey_responses"]
    assert sum(found.unknown["started_at"].values()) > 0
    assert list(found.undeclared_fields) == ["Legacy Ref"]


def test_every_kpi_of_every_manager_is_the_planted_truth(
    made: demo.DemoResult, built: stages.Workspace
) -> None:
    assert differences(made, built, "delivered") == []


def test_a_redelivery_restates_its_month_to_the_redelivered_truth(
    made: demo.DemoResult, built: stages.Workspace
) -> None:
    june = lake.read_manifest(built.home, "surveys", JUNE)
    demo.redeliver(made.company.parent, JULY.key)
    stages.ingest(built, "surveys", JULY)
    stages.build(built, JULY)
    assert differences(made, built, "redelivered") == []
    assert differences(made, built, "delivered") != []
    assert lake.read_manifest(built.home, "surveys", JUNE) == june


def differences(
    made: demo.DemoResult, ws: stages.Workspace, scenario: str
) -> list[tuple[object, ...]]:
    con = warehouse.connect(ws.home.warehouse, read_only=True)
    try:
        return con.execute(
            """
            with ours as (
                select manager_id, kpi_id, sum(numerator) as n, sum(denominator) as d
                from kpis.kpi_employee_months
                where month = ? and manager_id is not null
                group by all
                having n <> 0 or d <> 0
            ),
            planted as (
                select manager_id, kpi_id, numerator as n, denominator as d
                from read_parquet(?)
                where month = ? and as_of = month and scenario = ?
            )
            select coalesce(o.manager_id, p.manager_id), coalesce(o.kpi_id, p.kpi_id),
                o.n, p.n, o.d, p.d
            from ours o
            full join planted p using (manager_id, kpi_id)
            where not coalesce(abs(o.n - p.n) < 0.001 and abs(o.d - p.d) < 0.001, false)
            """,
            [JULY.start, str(made.truth / "kpi_months.parquet"), JULY.key, scenario],
        ).fetchall()
    finally:
        con.close()


def test_the_free_text_of_customers_is_nowhere_in_the_lake(
    made: demo.DemoResult, ws: stages.Workspace
) -> None:
    con = warehouse.connect()
    files = [str(p) for p in Path(ws.home.raw, "survey_responses").rglob("*.parquet")]
    assert files
    for file in files:
        row = con.execute(
            "select count(*) from (select cast(columns(*) as varchar) from read_parquet(?)) t "
            "where cast(t as varchar) like '%please call%'",
            [file],
        ).fetchone()
        assert row == (0,)
    con.close()
