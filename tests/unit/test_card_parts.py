"""What a card tells beside its numbers: why they moved, what was restated, alerts, training."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import largest_card as largest
import pytest
import scorecard_fixture as fixture

from perfhouse import (
    card_changes,
    card_fit,
    card_numbers,
    card_pdf,
    card_roles,
    card_view,
    cards,
    company_monitors,
    erase_releases,
)
from perfhouse.card_alerts import MONITOR_NAMES
from perfhouse.card_changes import Move
from perfhouse.erase_person import EMPLOYEE, Person
from perfhouse.month import Month
from perfhouse.scorecards import KpiScore

if TYPE_CHECKING:
    import duckdb

    from perfhouse.card_sheet import Sheet

MONTH = Month("2026-09")
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def big() -> Iterator[duckdb.DuckDBPyConnection]:
    made = largest.make()
    yield made
    made.close()


@pytest.fixture(scope="module")
def sheet(big: duckdb.DuckDBPyConnection) -> Sheet:
    return cards.read_sheet(big, MONTH, largest.restated(big))


@pytest.fixture(scope="module")
def text(sheet: Sheet) -> str:
    return card_of(sheet)


@pytest.fixture
def small() -> Iterator[duckdb.DuckDBPyConnection]:
    made = fixture.make(managers=4)
    yield made
    made.close()


def card_of(sheet: Sheet, manager: str = largest.MANAGER) -> str:
    total = next(t for t in sheet.totals if t.manager_id == manager)
    return cards.render_card(sheet, total).decode()


def section(text: str, title: str) -> str:
    return next(part for part in text.split("<section") if title in part)


def kpi(value: float, change_status: str | None = None) -> KpiScore:
    nothing = [None] * 2
    score = KpiScore("M", "k", "1", *nothing, 40.0, value, *[None] * 10, "1", None, None)
    return replace(score, change_status=change_status)


# ---------------------------------------------------------------- the limit


def test_the_largest_honest_card_keeps_the_limit_with_all_its_kpis(text: str) -> None:
    assert len(text.encode()) <= cards.SIZE_LIMIT - cards.evidence_room(8)
    assert text.count("<tr class=near><th>") == largest.KPIS
    assert text.count("<rect class=d") == largest.KPIS
    for title in ("Appeals about", "By team", "Coaching", "Recommended", "Please look at"):
        assert "<tbody>" in section(text, title), title
    assert "27 more agents are not listed" in text


def test_even_what_no_company_has_keeps_the_limit(big: duckdb.DuckDBPyConnection) -> None:
    was: Any = {**largest.restated(big)["restated"][largest.MANAGER]}
    kpis = [row[0] for row in big.execute("select kpi_id from chosen").fetchall()]
    was.update({name: {"value": "0.4321", "score": "12.5"} for name in kpis})
    said = {**largest.RELEASE, "restated": {largest.MANAGER: was}}
    read = cards.read_sheet(big, MONTH, said)
    worst = {
        manager: [
            replace(s, is_provisional=True, funnel_status="worse_998", change_status="worse")
            for s in scores
        ]
        for manager, scores in read.scores.items()
    }
    page = card_of(replace(read, scores=worst))
    assert len(page.encode()) <= cards.SIZE_LIMIT - cards.evidence_room(8)
    assert page.count("restated, was 43.2%") > 10
    assert page.count(">provisional<") == largest.KPIS


def test_each_step_down_leaves_a_smaller_card_and_counts_what_it_leaves_out() -> None:
    view: dict[str, Any] = {
        "groups": [{"rows": [{"is_clear": False, "why": ("持平", "as it was")}]}],
        "definitions": [{"kpi_id": "a", "has_weight": True}, {"kpi_id": "b", "has_weight": False}],
        "versions": [("a", "1", "2026"), ("b", "2", None)],
        "agents": {"rows": list(range(40)), "more": 2},
        "appeals": {"rows": list(range(8)), "more": 1},
        "training": None,
        "alerts": {"rows": [1], "more": 0, "warnings": []},
        "parts": {"heads": [1], "rows": [{"cells": [n]} for n in range(3)], "more": 4},
    }
    rich, less, least = (
        card_fit.fitted(view, step)
        for step in (
            card_fit.Fullness(30, card_fit.ALL),
            card_fit.Fullness(5, card_fit.WEIGHTED, 2, 2),
            card_fit.Fullness(0, card_fit.NONE, 1, 1, card_fit.CLEAR),
        )
    )
    assert (len(rich["agents"]["rows"]), rich["agents"]["more"]) == (30, 12)
    assert rich["versions_by_target"] == []
    assert (less["agents"]["more"], less["appeals"]["more"], less["parts"]["more_kpis"]) == (
        37,
        7,
        1,
    )
    assert (less["parts"]["rows"], less["parts"]["more"]) == ([{"cells": [0]}, {"cells": [1]}], 4)
    assert [d["kpi_id"] for d in less["definitions"]] == ["a"]
    assert less["versions_by_target"] == [("—", [("b", "2")])]
    assert least["agents"] is None
    assert least["versions_by_target"] == [("2026", [("a", "1")]), ("—", [("b", "2")])]
    assert least["groups"][0]["rows"][0]["why"] is None
    assert least["alerts"] == view["alerts"]


def test_a_part_is_rendered_again_only_if_it_shows_something_else(sheet: Sheet) -> None:
    total = next(t for t in sheet.totals if t.manager_id == "M02")  # of six agents
    view = card_view.card(sheet, total, 30, True)
    steps = card_fit.RICHEST_FIRST[:6]
    assert len({card_fit.extent(view, step, "agents") for step in steps}) == 1
    assert {card_fit.extent(view, step, "definitions") for step in steps} == {0, largest.KPIS}
    made: dict[tuple[str, Any], bytes] = {}
    fresh = [cards._page(view, step, {}) for step in steps]
    assert [cards._page(view, step, made) for step in steps] == fresh


# ---------------------------------------------------------------- what changed, and why


@pytest.mark.parametrize(
    ("move", "value", "status", "unit", "zh", "en"),
    [
        (
            Move(-0.1, -0.1), 0.6, "worse", "rate",
            "变差,较上月 −10 个百分点:自身表现 0,业务构成 −10",
            "Worse: −10 percentage points, own results 0, mix −10",
        ),
        (
            Move(0.0366, 0.0), 0.75, "better", "rate",
            "改善,较上月 +3.7 个百分点",
            "Better: +3.7 percentage points",
        ),
        (
            Move(8.654321, None), 223.0, "no_clear_change", "seconds",
            "无明显变化,较上月 +8.65 秒",
            "No clear change: +8.65 s",
        ),
        (
            Move(-0.05, -0.02), 0.25, "worse", "net_rate",
            "变差,较上月 −5 点:自身表现 −3,业务构成 −2",
            "Worse: −5 points, own results −3, mix −2",
        ),
        (Move(0.5, None), 2.0, None, "per_head", "较上月 +0.5", "Moved by +0.5"),
        (Move(0.0004, 0.0), 0.6, "no_clear_change", "rate", "与上月持平", "As it was last month"),
    ],
)  # fmt: skip
def test_why_a_kpi_moved_is_one_sentence_whose_parts_sum(
    move: Move, value: float, status: str | None, unit: str, zh: str, en: str
) -> None:
    assert card_changes.why(move, kpi(value, status), unit) == (zh, en)


def test_nothing_is_said_of_a_change_that_nobody_can_know(text: str, sheet: Sheet) -> None:
    assert card_changes.why(None, kpi(0.5), "rate") is None
    assert text.count(" percentage points") > 5
    quiet = card_of(replace(sheet, moves={}))
    assert "percentage points" not in quiet
    assert "As it was" not in quiet


def test_the_sentence_has_the_numbers_of_the_explanations(
    small: duckdb.DuckDBPyConnection,
) -> None:
    small.execute(
        "create table scorecards.scorecard_explanations as select month, manager_id, kpi_id, "
        "cast(0.021 as numeric(18,6)) as value_change, cast(0.008 as numeric(18,6)) as mix_effect "
        "from scorecards.scorecard_kpi_months where kpi_id = 'csat_rate'"
    )
    page = card_of(cards.read_sheet(small, MONTH), "M02")
    assert "较上月 +2.1 个百分点:自身表现 +1.3,业务构成 +0.8" in page
    assert page.count("percentage points") == 1


@pytest.mark.parametrize(
    ("value", "shown"), [("2.10", "+2.1"), ("-0.80", "−0.8"), ("0.00", "0"), ("10", "+10")]
)
def test_a_difference_has_its_sign_and_no_needless_zero(value: str, shown: str) -> None:
    assert card_numbers.signed(Decimal(value)) == shown


def test_what_a_kpi_without_a_source_would_be_is_never_shown_as_zero(
    small: duckdb.DuckDBPyConnection,
) -> None:
    small.execute(
        "update scorecards.scorecard_kpi_months set status = 'not_available', score = null, "
        "value = 0, numerator = 0 where kpi_id = 'kb_contributions'"
    )
    page = card_of(cards.read_sheet(small, MONTH), "M02")
    row = re.search(r"<tr class=none><th><i>知识库贡献量<.*?(?=<tr|</tbody>)", page, re.DOTALL)
    assert row
    assert "<p class=na><i>暂无数据</i>" in row.group()
    assert "<td><small>—</small>" in row.group()
    assert "<td>0" not in row.group()


# ---------------------------------------------------------------- restated and provisional


def test_restated_numbers_are_marked_with_what_they_were(tmp_path: Path) -> None:
    con = fixture.make(managers=4)
    score = con.execute(
        "select cast(value as varchar), cast(score as varchar) from "
        "scorecards.scorecard_kpi_months where month = '2026-09-01' and manager_id = 'M02' "
        "and kpi_id = 'csat_rate'"
    ).fetchone()
    assert score
    rows = [
        ("scorecard_kpi_months", "M02, csat_rate", "M02", "csat_rate", "value", "0.66"),
        ("scorecard_kpi_months", "M02, csat_rate", "M02", "csat_rate", "score", "42.4"),
        ("scorecard_kpi_months", "M02, csat_rate", "M02", "csat_rate", "funnel_z", "1"),
        ("scorecard_kpi_months", "M02, nps", "M02", "nps", "score", None),
        ("scorecard_manager_months", "M02", "M02", None, "total_score", "12.34"),
        ("scorecard_manager_months", "M02", "M02", None, "rank", "4"),
    ]
    con.execute(
        "create table changes (table_name varchar, row_key varchar, manager_id varchar, "
        "kpi_id varchar, column_name varchar, old_value varchar)"
    )
    con.executemany("insert into changes values (?, ?, ?, ?, ?, ?)", rows)
    con.execute(f"copy changes to '{tmp_path / 'changes.parquet'}' (format parquet)")
    said = card_changes.read_restated(con, tmp_path / "changes.parquet")
    read = cards.read_sheet(con, MONTH, {"number": 2, "restated": said})
    page, other = card_of(read, "M02"), card_of(read, "M03")
    assert card_changes.read_restated(con, tmp_path / "nothing.parquet") == {}
    con.close()
    assert "更正,原 66%、42 分" in page
    assert "restated, was 66%, 42 points" in page
    assert "restated, was — points" in page
    assert "Restated, was 12.3<" in page
    assert page.count("estated, was") == 3
    assert "estated" not in other


def test_a_card_says_why_its_month_was_restated_in_the_words_that_were_published(
    small: duckdb.DuckDBPyConnection,
) -> None:
    was = {"M02": {"csat_rate": {"score": "1.5"}}}
    why = "Late answers\n of the <survey> desk"
    read = cards.read_sheet(small, MONTH, {"number": 2, "restated": was, "reason": why})
    mine, other = card_of(read, "M02"), card_of(read, "M03")
    for page in (mine, other):
        assert "本月已更正,原因:" in page
        assert "This month was restated:</i> Late answers of the &lt;survey&gt; desk" in page
    untouched = "no value, score or grade of this card has changed"
    assert (untouched in mine, untouched in other) == (False, True)
    total = next(t for t in read.totals if t.manager_id == "M03")
    paper = card_pdf.describe(read, total)["head"]
    assert (paper["reason"], paper["is_untouched"]) == ("Late answers of the <survey> desk", True)
    long = cards.read_sheet(small, MONTH, {"number": 2, "reason": "x" * 999})
    assert long.reason == "x" * 119 + "…"
    assert "已更正" not in card_of(cards.read_sheet(small, MONTH, {"number": 2}), "M02")


def test_a_change_that_no_reader_could_see_is_not_marked(small: duckdb.DuckDBPyConnection) -> None:
    (value,) = small.execute(
        "select value from scorecards.scorecard_kpi_months where month = '2026-09-01' "
        "and manager_id = 'M02' and kpi_id = 'csat_rate'"
    ).fetchall()[0]
    was = {"M02": {"csat_rate": {"value": str(float(value) + 0.00001)}}}
    page = card_of(cards.read_sheet(small, MONTH, {"number": 2, "restated": was}), "M02")
    assert "restated" not in page


def test_a_total_with_provisional_kpis_says_so(text: str) -> None:
    assert "7 KPIs are provisional: late data may still change them." in text
    assert text.count(">provisional<") == 7


# ---------------------------------------------------------------- people: alerts, training, roles


def test_alerts_have_their_evidence_and_are_no_verdict(text: str) -> None:
    alerts = section(text, "Please look at")
    assert "Tickets given away after a bad rating" in alerts
    assert "<td>9<td>108 / 306 = 35.3%<td>2.1%" in alerts
    assert "Alexandra" not in alerts
    assert "E04100" not in alerts
    assert "perfhouse monitors --month 2026-09" in alerts
    assert "no verdict, and no score reads it" in alerts
    assert "No appeal waits longer than agreed" in alerts
    assert not re.search(r"class=(low|near|met)", alerts)


def test_a_warning_is_told_to_those_it_names_alone(sheet: Sheet) -> None:
    assert set(sheet.alerts) == {largest.MANAGER}
    assert "Please look at" not in card_of(sheet, "M02")


def test_every_monitor_has_a_name_in_both_languages() -> None:
    assert set(MONITOR_NAMES) == set(company_monitors.DEFAULTS)
    assert all(zh and en and zh != en for zh, en in MONITOR_NAMES.values())


def test_overdue_courses_and_missing_certificates_are_recommended(sheet: Sheet) -> None:
    roomy = replace(sheet, parts={}, appeals={}, alerts={}, agents={}, moves={})
    training = section(card_of(roomy), "Recommended training")
    assert "Alexandra Konstantinou A <small>E04100</small>" in training
    assert (
        "<td>COURSE-2026-0 (09-20), COURSE-2026-1 (09-20), COURSE-2026-2 (09-20) +1"
        "<td>CERT-2026-A" in training
    )
    assert "4 more people are not listed" in training


def test_who_answers_for_somebody_at_the_months_end_is_told_what_they_lack() -> None:
    con = largest.make()
    con.execute(
        "update core.dim_employees set valid_to = '2026-09-20' where employee_id = 'E04101'"
    )
    con.execute(
        "update core.fct_training_records set completed_on = '2026-10-02' "
        "where learner_employee_id = 'E04102'"
    )
    con.execute("delete from core.fct_certifications where learner_employee_id = 'E04102'")
    needs = cards.read_sheet(con, MONTH).training[largest.MANAGER]
    con.close()
    lacking = {need.employee_id for need in needs}
    assert "E04100" in lacking
    assert not lacking & {"E04101", "E04102"}


def test_a_role_has_a_name_in_both_languages_and_a_companys_own_its_id(text: str) -> None:
    assert "上级经理</i><i lang=en>Manager of managers" in text
    assert card_roles.role_name("night_lead") == ("night_lead", "night_lead")
    assert card_roles.role_name(None) is None


@pytest.mark.parametrize("pack", sorted(p.parent.name for p in PROJECT.glob("perfhouse/packs/*/*")))
def test_every_role_of_a_pack_has_a_name(pack: str) -> None:
    targets = (PROJECT / "perfhouse" / "packs" / pack / "targets.csv").read_text(encoding="utf-8")
    roles = {line.split(",")[1] for line in targets.splitlines()[1:]}
    assert roles - {"*"} <= set(card_roles.ROLE_NAMES)


def test_whoever_is_erased_leaves_the_tables_of_people(text: str) -> None:
    """An erasure takes out the rows of the person, and nothing else with them."""
    person = Person(EMPLOYEE, "E04100", "erased-1", names=("Alexandra Konstantinou A",))
    kept = erase_releases._without_own_rows(text, person)
    gone = [line for line in text.splitlines() if line not in kept.splitlines()]
    assert len(gone) == 2  # coaching and training; alerts name nobody
    assert all("E04100" in line for line in gone)
    assert "E04100" not in kept
    assert kept.count("<table") == kept.count("</table>") == text.count("</table>")


def test_a_team_without_a_real_sample_is_counted_and_shows_no_zero(
    small: duckdb.DuckDBPyConnection,
) -> None:
    table = "scorecards.scorecard_team_months"
    small.execute(f"create temp table one as from {table} where team_id = 'T99' and kpi_id = 'nps'")
    small.execute(
        f"insert into {table} by name select * exclude (n) replace ('T' || n as team_id, "
        "'小组' || n as team_name, 0 as value, 0.008 as sample_size) from one, range(3) as r(n)"
    )
    page = card_of(cards.read_sheet(small, MONTH), "M03")
    assert "另有 3 个团队样本太少,未列出。" in page
    assert "3 more with too few cases are not listed." in page
    assert "小组" not in page
    small.execute(f"delete from {table} where team_id = 'T99'")
    small.execute(f"update {table} set status = 'insufficient_data', score = null")
    assert "By team" not in card_of(cards.read_sheet(small, MONTH), "M03")


def test_the_share_of_weight_covered_counts_only_kpis_that_have_one(
    small: duckdb.DuckDBPyConnection,
) -> None:
    weights = "update scorecards.scorecard_kpi_months set weight = null, score = null, "
    small.execute(
        weights + "target = null, floor = null, status = 'no_target' where kpi_id = 'nps'"
    )
    page = card_of(cards.read_sheet(small, MONTH), "M02")
    count = len(fixture.KPIS) - 1
    assert f"<small>{count}/{count} <i>项" in page
