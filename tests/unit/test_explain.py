"""Explanations: every number follows from the one before it, down to the source rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import scorecard_fixture as fixture

from perfhouse import warehouse
from perfhouse.errors import BuildFailed, ConfigError
from perfhouse.explain import as_json, as_text, explain
from perfhouse.month import Month
from perfhouse.settings import Home

MONTH = Month("2026-09")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    made = Home(tmp_path_factory.mktemp("home"))
    fixture.make(made.warehouse).close()
    return made


@pytest.fixture
def own(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    fixture.make(made.warehouse, managers=3).close()
    return made


def change(home: Home, sql: str) -> None:
    con = warehouse.connect(home.warehouse)
    con.execute(sql)
    con.close()


def test_the_contributions_add_up_to_the_total(home):
    found = explain(home, MONTH, "M01")
    assert found.total.total_score is not None
    assert sum(k.contribution or 0 for k in found.kpis) == pytest.approx(found.total.total_score)
    assert sum(k.effective_weight or 0 for k in found.kpis) == pytest.approx(1)


def test_the_arithmetic_is_spelled_out(home):
    kpis = {k.score.kpi_id: k for k in explain(home, MONTH, "M01").kpis}
    assert kpis["ticket_closure_rate"].arithmetic == (
        "(0.928571 - 0.8) / (0.93 - 0.8) x 100 = 98.90"
    )
    assert kpis["csat_rate"].arithmetic == (
        "100 + (0.983333 - 0.9) / (0.96 - 0.9) x 20 = 127.78, clipped = 120.00"
    )
    assert kpis["nps"].arithmetic == ""


def test_who_approved_a_target_is_told_and_when_it_was_announced(own):
    change(
        own,
        """
        create table config.targets as
        select t.*, null::date as valid_to, s.target_version as version, s.floor, s.stretch
        from (values
            ('csat_rate', '*', date '2026-01-01', date '2025-12-01', 'Old head', null, 0.8),
            ('csat_rate', 'a', date '2026-08-01', date '2026-07-15', 'Head', '2026-07-10', 0.9),
            ('csat_rate', 'b', date '2026-08-01', date '2026-07-15', 'Head', '2026-07-10', 0.9),
            ('csat_rate', 'c', date '2026-10-01', date '2026-09-15', 'Next', null, 0.9)
        ) as t(kpi_id, role, valid_from, announced_on, approved_by, approved_on, target)
        inner join scorecards.scorecard_kpi_months as s
            on t.kpi_id = s.kpi_id and s.manager_id = 'M01'
        """,
    )
    found = explain(own, MONTH, "M01", "csat_rate")
    assert [(str(a.announced_on), a.approved_by) for a in found.kpis[0].approvals] == [
        ("2026-07-15", "Head")
    ]
    assert "  targets      announced 2026-07-15, approved by Head on 2026-07-10" in as_text(found)
    assert "2026-07-15 公布,2026-07-10 批准:Head" in as_text(found, lang="zh")
    assert json.loads(as_json(found))["kpis"][0]["approvals"][0]["approved_by"] == "Head"


def test_a_kpi_goes_down_to_its_source_rows(home):
    found = explain(home, MONTH, "M01", "csat_rate", limit=5)
    assert found.source_rows is not None
    assert found.source_rows.count == 60
    assert (found.source_rows.numerator, found.source_rows.denominator) == (59, 60)
    assert len(found.source_rows.rows) == 5
    first = found.source_rows.rows[0]
    assert (first.file, first.row_number, first.source_row_id) == (
        "tickets.csv",
        2,
        "csat_rate-M01-0",
    )
    text = as_text(found)
    assert "60 source rows add up to 59 / 60, as published; first 5:" in text
    assert "csat_rate-M01-0" in text


def test_rows_that_do_not_add_up_are_an_error_and_not_a_footnote(own):
    change(
        own, "delete from core.fct_rows where manager_id = 'M02' and source_row_id like '%-M02-1'"
    )
    with pytest.raises(BuildFailed, match=r"M02 csat_rate: the source rows add up to a"):
        explain(own, MONTH, "M02", "csat_rate")


def test_a_score_that_does_not_follow_from_its_value_is_an_error(own):
    change(own, "update scorecards.scorecard_kpi_months set score = 55 where kpi_id = 'csat_rate'")
    with pytest.raises(BuildFailed, match=r"the scorecard says 55\.0000"):
        explain(own, MONTH, "M02")


def test_a_total_that_is_not_its_parts_is_an_error(own):
    change(own, "update scorecards.scorecard_manager_months set total_score = 99")
    with pytest.raises(BuildFailed, match=r"the total says 99\.0000"):
        explain(own, MONTH, "M02")


@pytest.mark.parametrize(
    ("month", "manager", "kpi", "message"),
    [
        ("2026-09", "M9", None, "--manager: expected one of M"),
        ("2026-12", "M01", None, "--month: expected one of 2026-0"),
        ("2026-09", "M01", "csat", "--kpi: expected one of csat_rate"),
        ("2026-09", "x'; drop table y; --", None, "--manager: expected one of M01"),
    ],
)
def test_what_is_unknown_is_answered_with_what_is_near(home, month, manager, kpi, message):
    with pytest.raises(ConfigError) as error:
        explain(home, Month(month), manager, kpi)
    assert message in str(error.value)


def test_a_home_without_a_warehouse_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="build a month first"):
        explain(Home(tmp_path), MONTH, "M01")


def test_a_manager_without_a_total_is_explained_all_the_same(home):
    found = explain(home, MONTH, "M08")
    assert all(k.contribution is None for k in found.kpis)
    text = as_text(found)
    assert "no total (too little of the weight has enough data)" in text
    assert "not enough data: the sample is below the minimum" in text
    assert "sum of contributions" not in text


def test_a_manager_without_kpis_is_an_empty_answer_and_not_an_error(own):
    change(own, "delete from scorecards.scorecard_kpi_months where manager_id = 'M01'")
    change(
        own,
        "update scorecards.scorecard_manager_months set total_score = null, status = 'no_team' "
        "where manager_id = 'M01'",
    )
    text = as_text(explain(own, MONTH, "M01"))
    assert "no team this month" in text
    assert "no KPI is measured" in text


def test_a_kpi_without_rows_in_the_month_says_so(own):
    change(own, "delete from core.fct_rows where manager_id = 'M02'")
    change(
        own,
        "update scorecards.scorecard_kpi_months set numerator = 0, denominator = 0, "
        "sample_size = 0, status = 'insufficient_data', score = null where kpi_id = 'csat_rate'",
    )
    change(own, "update scorecards.scorecard_manager_months set total_score = null")
    assert "no source row lies behind" in as_text(explain(own, MONTH, "M02", "csat_rate"))


def test_a_kpi_that_declares_no_rows_says_so(own):
    change(own, "update kpis.kpi_definitions set row_sql = null")
    found = explain(own, MONTH, "M02", "csat_rate")
    assert found.source_rows is None
    assert "declares no source rows" in as_text(found)


def test_confidential_answers_are_counted_and_never_listed(own):
    change(own, "alter table kpis.kpi_definitions add column is_suppressed boolean")
    change(own, "update kpis.kpi_definitions set is_suppressed = kpi_id = 'csat_rate'")
    found = explain(own, MONTH, "M02", "csat_rate")
    assert found.source_rows is not None
    assert found.source_rows.rows == ()
    text = as_text(found)
    assert "60 answers lie behind this; they are confidential" in text
    assert "tickets.csv" not in text + as_json(found)


def test_what_the_scorecard_hides_the_explanation_hides_too(own):
    change(own, "alter table kpis.kpi_definitions add column is_suppressed boolean")
    change(own, "update kpis.kpi_definitions set is_suppressed = kpi_id = 'csat_rate'")
    change(
        own,
        "update scorecards.scorecard_kpi_months set numerator = null, denominator = null, "
        "sample_size = null, value = null, status = 'insufficient_data', score = null "
        "where kpi_id = 'csat_rate'",
    )
    change(own, "update scorecards.scorecard_manager_months set total_score = null")
    found = explain(own, MONTH, "M02", "csat_rate")
    assert found.source_rows is not None
    assert found.source_rows.numerator is None
    assert found.source_rows.denominator is None
    assert found.source_rows.count is None
    text = as_text(found)
    assert "- / - = -   (sample -, " in text
    assert "the answers behind this are not shown" in text
    assert "60" not in text + as_json(found)


def test_the_published_sentence_stands_before_its_numbers(own):
    change(
        own,
        "create table scorecards.scorecard_explanations (month date, manager_id varchar, "
        "kpi_id varchar, value_change double, rate_effect double, mix_effect double, "
        "sentence_en varchar, sentence_zh varchar)",
    )
    change(
        own,
        "insert into scorecards.scorecard_explanations values ('2026-09-01', 'M02', 'csat_rate', "
        "-0.1, -0.03, -0.07, 'It was so.', '就是这样。')",
    )
    found = explain(own, MONTH, "M02", "csat_rate")
    assert found.kpis[0].rate_effect + found.kpis[0].mix_effect == pytest.approx(-0.1)
    assert "\n  It was so.\n  value " in as_text(found)
    assert "\n  就是这样。\n" in as_text(found, lang="zh")
    assert json.loads(as_json(found))["kpis"][0]["sentence_zh"] == "就是这样。"


def test_who_stands_above_is_shown_the_rows_of_everybody_below(own):
    change(own, "alter table core.fct_rows add column management_path varchar")
    change(own, "update core.fct_rows set management_path = 'M01/' || manager_id")
    change(
        own,
        "create table core.dim_manager_tree as select distinct month, management_path, "
        "unnest(['M01', manager_id]) as ancestor_id from core.fct_rows",
    )
    rows = "kpi_id = 'csat_rate' and month = '2026-09-01'"
    change(
        own,
        "update scorecards.scorecard_kpi_months set numerator = (select sum(numerator) from "
        f"core.fct_rows where {rows}), denominator = (select sum(denominator) from core.fct_rows "
        f"where {rows}) where {rows} and manager_id = 'M01'",
    )
    found = explain(own, MONTH, "M01", "csat_rate")
    assert found.source_rows is not None
    assert found.source_rows.count == found.kpis[0].score.denominator
    assert explain(own, MONTH, "M02", "csat_rate").source_rows.count == 60


def test_the_same_is_said_in_chinese(home):
    text = as_text(explain(home, MONTH, "M01"), lang="zh")
    assert "客户满意度" in text
    assert "贡献合计 = 85.43 = 总分" in text


def test_json_holds_everything(home):
    said = json.loads(as_json(explain(home, MONTH, "M01", "csat_rate", limit=1)))
    assert said["total"]["grade"] == "B"
    assert said["kpis"][0]["score"]["target_version"] == "2026-Q3"
    assert said["source_rows"]["rows"][0]["event_on"] == "2026-09-01"
    assert said["release"] is None


def test_gates_are_named_with_their_verdicts(home):
    text = as_text(explain(home, MONTH, "M01"))
    assert "gates: raw passed, 1 warning; scorecards passed" in text


def test_too_few_months_or_records_are_told_from_too_few_cases(own):
    table = "scorecards.scorecard_kpi_months"
    for column, value in (("row_count", 3), ("minimum_rows", 1)):
        change(own, f"alter table {table} add column {column} integer default {value}")
    assert "the sample is below the minimum" in as_text(explain(own, MONTH, "M01"))
    change(own, f"update {table} set sample_size = 88 where kpi_id = 'nps'")
    months = explain(own, MONTH, "M01")
    assert "too few months are known for a figure of a year" in as_text(months)
    assert "已有数据的月份不足以得出全年数字" in as_text(months, "zh")
    change(own, f"update {table} set minimum_rows = 5 where kpi_id = 'nps'")
    assert "3 of the 5 records needed" in as_text(explain(own, MONTH, "M01"))
