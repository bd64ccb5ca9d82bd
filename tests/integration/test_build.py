from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import parsed_once
import played_back
import pytest

from connectors import streams
from perfhouse import build as builder
from perfhouse import lake, provenance, settings, warehouse
from perfhouse.company import Company
from perfhouse.errors import BuildFailed
from perfhouse.month import Month
from perfhouse.settings import Home
from tests.integration import dbt_unit_tests
from tests.integration import tiny_company as tiny
from tests.own_kpi import TOP_SCORE_RATE

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Built:
    company: Company
    home: Home

    def build(self, month: Month) -> builder.BuildResult:
        return builder.build(self.company, self.home, month, month, streams.declarations(), print)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        con = warehouse.connect(self.home.warehouse, read_only=True)
        try:
            return con.execute(sql).fetchall()
        finally:
            con.close()

    def published(self) -> list[list[tuple[Any, ...]]]:
        """Return every row that a release would hold of September."""
        tables = ["scorecard_kpi_months", "scorecard_manager_months", "scorecard_team_months"]
        where = "where month = date '2026-09-01' order by all"
        return [self.query(f"from scorecards.{table} {where}") for table in tables]

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row that dbt made."""
        tables = self.query(
            "select format('{}.{}', table_schema, table_name) from information_schema.tables "
            "where table_schema in ('core', 'kpis', 'scorecards', 'monitors', 'exports')"
        )
        return {table: self.query(f"from {table} order by all") for (table,) in tables}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    root = tmp_path_factory.mktemp("tiny")
    (root / "company" / "kpis").mkdir(parents=True)
    (root / "company" / "kpis" / "top_score_rate.yml").write_text(TOP_SCORE_RATE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "create_raw_views", tiny.raw_tables)
        made = Built(tiny.company(root / "company"), Home(root / "home"))
        for month in (tiny.AUGUST, tiny.SEPTEMBER):
            made.build(month)
        yield made


@pytest.fixture
def spoilt(built: Built, tmp_path: Path) -> Iterator[Built]:
    """The built home, for a test that spoils it: afterwards it is as it was."""
    shutil.copytree(built.home.root, tmp_path / "kept")
    yield built
    shutil.rmtree(built.home.root)
    shutil.copytree(tmp_path / "kept", built.home.root)


def test_every_kpi_sum_of_every_manager_is_what_a_hand_counts(built: Built) -> None:
    found = built.query(
        "select kpi_id, manager_id, sum(numerator)::double, sum(denominator)::double "
        "from kpis.kpi_employee_months where month = date '2026-09-01' "
        "and manager_id is not null and kpi_id <> 'top_score_rate' group by all"
    )
    rounded = {(kpi, manager): (round(a, 6), round(b, 6)) for kpi, manager, a, b in found}
    assert rounded == tiny.SEPTEMBER_SUMS


@pytest.mark.nightly
def test_the_compiled_sql_keeps_the_house_style(built: Built) -> None:
    compiled = built.home.dbt / "target" / "compiled" / "perfhouse" / "models"
    assert len(list(compiled.rglob("*.sql"))) > 25
    found = subprocess.run(
        [sys.executable, "-m", "sqlfluff", "lint", "--config", str(ROOT / ".sqlfluff"),
         "--disable-progress-bar", "--processes", "2", str(compiled)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_company_adds_a_kpi_by_one_file_and_one_target(built: Built) -> None:
    found = built.query(
        "select numerator::double, denominator::double, score::double, status "
        "from scorecards.scorecard_kpi_months where month = date '2026-09-01' "
        "and kpi_id = 'top_score_rate' and manager_id = 'M1'"
    )
    assert found == [(2, 4, 50, "scored")]  # r1 r6 of r1 r2 r3 r6, half way from 0.25 to 0.75


def test_a_score_is_what_kpis_md_says_by_hand(built: Built) -> None:
    found = built.query(
        "select manager_id, kpi_id, score::double, status, effective_weight::double "
        "from scorecards.scorecard_kpi_months where month = date '2026-09-01' "
        "and weight is not null and manager_id in ('M1', 'M2') order by all"
    )
    seventh, two = pytest.approx(1 / 7, abs=1e-6), pytest.approx(2 / 7, abs=1e-6)
    assert [row for row in found if row[0] == "M1" and row[1] != "top_score_rate"] == [
        ("M1", "average_handle_time", 75, "scored", two),  # 150 s between 300 and 100
        ("M1", "csat_rate", 87.5, "scored", two),  # 0.75 between 0.4 and 0.8
        ("M1", "nps", 50, "scored", seventh),
        ("M1", "service_level", 62.5, "scored", seventh),
    ]
    assert {row[1]: row[2:4] for row in found if row[0] == "M2"} == {
        "average_handle_time": (116, "scored"),  # 60 s, between target and stretch
        "csat_rate": (None, "insufficient_data"),  # two answers of three needed
        "nps": (None, "insufficient_data"),
        "service_level": (None, "insufficient_data"),
        "top_score_rate": (50, "scored"),
    }


def test_a_total_weighs_scores_and_too_little_coverage_gives_none(built: Built) -> None:
    found = built.query(
        "select manager_id, total_score::double, grade, rank, peer_count, coverage_rate::double, "
        "status, agent_count, exposure_days from scorecards.scorecard_manager_months "
        "where month = date '2026-09-01' order by 1"
    )
    some = pytest.approx(3 / 7, abs=1e-6)
    total = (75 * 2 + 87.5 * 2 + 50 + 50 + 62.5) / 7
    # The director answers for M1 and M2 together: 4 of 6 satisfied, 510 s in 4 calls, 3 of 5 in
    # time, nps 1 of 4.
    above = (200 / 3 * 2 + 86.25 * 2 + 50 + 75 + 75) / 7
    assert found == [
        ("D1", pytest.approx(above, abs=1e-4), "B", 1, 1, 1, "scored", 3, 30),
        ("M1", pytest.approx(total, abs=1e-6), "B", 1, 1, 1, "scored", 4, 30),
        ("M2", None, None, None, None, some, "insufficient_coverage", 2, 30),
        ("M3", None, None, None, None, 0, "no_team", 0, 0),
    ]  # fmt: skip


def test_small_groups_of_employees_are_not_shown(built: Built) -> None:
    found = built.query(
        "select numerator, denominator, sample_size, value from scorecards.scorecard_kpi_months "
        "where month = date '2026-09-01' and kpi_id = 'employee_satisfaction'"
    )
    assert found == [(None, None, None, None)]


def test_what_late_events_may_change_is_said_to_be_provisional(built: Built) -> None:
    found = built.query(
        "select kpi_id from scorecards.scorecard_kpi_months where month = date '2026-09-01' "
        "and is_provisional group by all order by 1"
    )
    assert found == [
        ("customer_retention_rate",),
        ("first_contact_resolution_rate",),
        ("kb_views_per_contribution",),
        ("one_touch_resolution_rate",),
        ("reopen_rate",),
        ("ticket_closure_rate",),
    ]


def test_unknown_people_are_counted_and_credited_to_nobody(built: Built) -> None:
    found = built.query(
        "select stream, source_user_id, event_count from core.unmatched_people "
        "where month = date '2026-09-01' order by 1"
    )
    assert found == [("survey_responses", "ghost", 1), ("tickets", "ghost", 1)]


def test_the_rows_behind_a_kpi_add_up_to_its_sums(built: Built) -> None:
    for kpi_id, sql in built.query("select kpi_id, row_sql from kpis.kpi_definitions"):
        rows = built.query(
            f"select manager_id, sum(numerator)::double, sum(denominator)::double from ({sql}) "
            "where month = date '2026-09-01' and manager_id is not null group by all order by 1"
        )
        sums = built.query(
            "select manager_id, sum(numerator)::double, sum(denominator)::double "
            "from kpis.kpi_employee_months where month = date '2026-09-01' "
            f"and manager_id is not null and kpi_id = '{kpi_id}' group by all order by 1"
        )
        assert rows == [
            (m, pytest.approx(a, abs=1e-5), pytest.approx(b, abs=1e-5)) for m, a, b in sums
        ]
        behind = built.query(f"select file, row_number, source_row_id, event_on from ({sql})")
        assert all(None not in row for row in behind)


def test_a_second_build_changes_nothing(built: Built) -> None:
    before = built.published()
    result = built.build(tiny.SEPTEMBER)
    assert built.published() == before
    assert "fct_tickets" in result.models
    assert result.run_results.is_file()
    now = provenance.origin(built.company, built.home, tiny.SEPTEMBER, tiny.SEPTEMBER)
    assert provenance.read(built.home, tiny.SEPTEMBER) == now


def test_what_the_tests_play_back_is_what_dbt_builds(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = []
    play = played_back.play
    monkeypatch.setattr(played_back, "play", lambda *of: answers.append(play(*of)) or answers[-1])
    built.build(tiny.SEPTEMBER)  # of a kind that the test before has built
    assert len(answers) == 1, "nothing was played back"
    assert answers[0], "dbt had to look itself"
    played = built.everything()
    monkeypatch.setattr(builder, "run_dbt", parsed_once.run_dbt)
    built.build(tiny.SEPTEMBER)
    assert len(answers) == 1
    assert built.everything() == played
    assert len(played) > 50


def test_a_month_that_became_empty_keeps_no_old_rows(
    spoilt: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_august = "from kpis.kpi_employee_months where month = date '2026-08-01' order by all"
    august = spoilt.query(of_august)
    with monkeypatch.context() as patch:
        patch.setattr(tiny, "rows", lambda: {"hr_roster": tiny.rows_of_roster()})
        spoilt.build(tiny.SEPTEMBER)
    for table in ("fct_tickets", "fct_calls", "fct_survey_responses", "unmatched_people"):
        assert spoilt.query(f"from core.{table} where month = date '2026-09-01'") == []
    assert spoilt.query(of_august) == august
    statuses = spoilt.query(
        "select distinct status from scorecards.scorecard_kpi_months "
        "where month = date '2026-09-01' and kpi_id = 'csat_rate'"
    )
    assert statuses == [("not_available",)]


def test_a_failing_test_names_the_model_and_what_it_means(
    spoilt: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(con: Any, *rest: Any) -> None:
        tiny.raw_tables(con, *rest)
        con.execute("create or replace table config.locations as from config.locations "
                    "union all from config.locations")  # fmt: skip

    with monkeypatch.context() as patch:
        patch.setattr(lake, "create_raw_views", twice)
        with pytest.raises(BuildFailed, match=r"dim_months__one_row.*same key") as failed:
            spoilt.build(tiny.SEPTEMBER)
    assert "nothing was published" in str(failed.value)
    assert provenance.read(spoilt.home, tiny.SEPTEMBER) is None


def test_a_warehouse_of_another_version_is_said_to_be_one(spoilt: Built) -> None:
    con = warehouse.connect(spoilt.home.warehouse)
    con.execute("alter table core.fct_kb_contributions drop column action")
    con.close()
    with pytest.raises(BuildFailed, match="move warehouse"):
        spoilt.build(tiny.SEPTEMBER)


def test_every_column_from_core_on_is_described_and_in_its_place(built: Built) -> None:
    import yaml

    tables = built.query(
        "select schema_name, table_name, list(column_name order by column_index) "
        "from duckdb_columns() where schema_name in "
        "('core', 'kpis', 'scorecards', 'exports', 'monitors') "
        "and database_name = 'warehouse' group by all"
    )
    assert len(tables) >= 20
    for schema, table, columns in tables:
        file = settings.project_dir() / "models" / schema / f"{table}.yml"
        model = yaml.safe_load(file.read_text(encoding="utf-8"))["models"][0]
        assert [column["name"] for column in model["columns"]] == columns, table
        assert all(column["description"] for column in model["columns"]), table
        assert model["description"].startswith("One row per "), table


def test_a_month_of_which_a_stream_was_not_delivered_is_compared_with_nothing(
    built: Built,
) -> None:
    """Nobody delivered articles in August; suggestions came in both months, M2's only in August."""
    counted = built.query(
        "select month, kpi_id, manager_id, value from scorecards.scorecard_kpi_months "
        "where kpi_id in ('kb_contributions', 'improvement_suggestions') "
        "and (month = date '2026-08-01' or value = 0) order by all"
    )
    august, september = tiny.AUGUST.start, tiny.SEPTEMBER.start
    assert {kpi for month, kpi, *_ in counted if month == august} == {"improvement_suggestions"}
    zeros = {(kpi, manager) for month, kpi, manager, _ in counted if month == september}
    assert ("improvement_suggestions", "M2") in zeros
    assert ("kb_contributions", "M2") in zeros
    known = built.query(
        "select kpi_id, reference_month_count from kpis.kpi_references "
        "where month = date '2026-09-01' "
        "and kpi_id in ('kb_contributions', 'improvement_suggestions') order by all"
    )
    assert known == [("improvement_suggestions", 1), ("kb_contributions", 0)]


def test_the_sentences_of_the_unit_tests_hold(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the company's own KPI, which would count the rows of the tests as well.
    extra = builder.environment(built.company, built.home)
    extra["PERFHOUSE_COMPANY_KPIS"] = "company_kpis"
    chosen = ["--select", "test_type:unit", f"tag:{builder.MACRO_TESTS}"]
    with settings.dbt_environment(built.home, tiny.SEPTEMBER, tiny.SEPTEMBER, extra):
        runs = dbt_unit_tests.run(monkeypatch, *chosen)
    assert [run.name + ": " + run.message for run in runs if run.status != "pass"] == []
    kpis = {kpi for (kpi,) in built.query("select kpi_id from kpis.kpi_definitions")}
    tested = {run.name.split("__")[0] for run in runs}
    assert kpis - tested == {"top_score_rate"}, "every KPI has a unit test named after it"


def test_the_company_kpi_folder_is_found_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "kpis").mkdir()
    found = settings.project_dir() / builder.company_kpis(tmp_path)
    assert found.resolve() == (tmp_path / "kpis").resolve()
