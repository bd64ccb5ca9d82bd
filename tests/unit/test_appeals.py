"""Appeals: until when, what the card says of them, and what the list asks people to mend."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from perfhouse import appeal_days, appeals, calendars, card_appeals
from perfhouse.appeals import Appeal
from perfhouse.card_appeals import Appeal as Shown
from perfhouse.company_appeals import read_appeals
from perfhouse.company_types import Appeals, Calendar
from perfhouse.config_reader import Table
from perfhouse.month import Month

SEPTEMBER, OCTOBER = Month("2026-09"), Month("2026-10")
WEEK = {day: ((9 * 3600, 18 * 3600),) for day in range(5)}
CHINA = Calendar("Asia/Shanghai", WEEK, frozenset(date(2026, 10, d) for d in range(1, 8)))


def test_a_working_day_has_opening_hours_and_is_no_holiday() -> None:
    last = date(2026, 9, 30)
    assert calendars.working_day(CHINA, last, 1) == date(2026, 10, 8)
    assert calendars.working_day(CHINA, last, 3) == date(2026, 10, 12)  # over a weekend
    made_up = replace(CHINA, days={date(2026, 10, 8): (), date(2026, 10, 10): WEEK[0]})
    assert calendars.working_day(made_up, last, 1) == date(2026, 10, 9)
    assert calendars.working_day(made_up, last, 2) == date(2026, 10, 10)  # a Saturday
    always = Calendar("Asia/Shanghai", {}, frozenset({date(2026, 10, 1)}))
    assert calendars.working_day(always, last, 1) == date(2026, 10, 1)


class Company:
    """As much of a company as days ask for."""

    close_grace_days = 5
    default_calendar = "cn"
    calendars = {"cn": CHINA}  # noqa: RUF012
    appeals = Appeals()


def test_a_month_may_be_appealed_for_working_days_after_its_cards_were_handed_out() -> None:
    company: Any = Company()
    assert appeal_days.deadline(company, SEPTEMBER) == date(2026, 10, 14)  # closed on the 6th
    company.appeals = Appeals(2, 1, {"2026-09": date(2026, 10, 12)})
    assert appeal_days.deadline(company, SEPTEMBER) == date(2026, 10, 14)
    assert appeal_days.deadline(company, OCTOBER) == date(2026, 11, 10)  # closed on a Friday
    days = appeal_days.days(company, SEPTEMBER)
    assert days[0] == (date(2026, 9, 1), date(2026, 10, 14), date(2026, 9, 2))
    assert (date(2026, 10, 9), date(2026, 10, 14), date(2026, 10, 12)) in days
    assert len(days) > 365


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"raise_within_days": 0}, "appeals.raise_within_days"),
        ({"decide_within_days": 61}, "appeals.decide_within_days: expected at most 60 working"),
        ({"published_on": {"September": "2026-10-09"}}, "published_on.September: expected a month"),
        ({"published_on": {"2026-09": "2026-09-30"}}, "expected a day from 2026-10-01 on"),
        ({"published_on": {"2026-09": "soon"}}, "expected a day such as"),
        ({"deadline": 3}, "appeals.deadline: unknown key"),
    ],
)
def test_what_is_said_wrong_of_appeals_is_named(said: dict[str, Any], problem: str) -> None:
    found: list[str] = []
    read_appeals(Table({"appeals": said}, "", found))
    assert [problem in line for line in found] == [True], found


def test_what_a_company_says_of_appeals_is_read() -> None:
    found: list[str] = []
    said = {"raise_within_days": 3, "published_on": {"2026-09": date(2026, 10, 9)}}
    read = read_appeals(Table({"appeals": said}, "", found))
    assert (read, found) == (Appeals(3, 10, {"2026-09": date(2026, 10, 9)}), [])
    assert read_appeals(Table({}, "", found)) == Appeals()


# --- the card -------------------------------------------------------------------------------

DAY = date(2026, 10, 20)
UPHELD = Shown(
    "A-1", "csat_rate", True, "r7", "exclude", "upheld", "applied", 2, DAY, DAY, DAY,
    "wrong_person", "data_error", {"csat_rate": 2},
)  # fmt: skip
NAMES = {"csat_rate": ("客户满意度", "Customer satisfaction")}


def row(appeal: Shown) -> dict[str, Any]:
    found = card_appeals.view([appeal], NAMES)
    assert found is not None
    return dict(found["rows"][0])


def test_a_card_says_state_day_reasons_and_effect_in_both_languages() -> None:
    told = row(UPHELD)
    assert (told["zh"], told["en"]) == ("成立", "Upheld")
    assert told["kpi"] == NAMES["csat_rate"]
    assert told["day"] == ("裁定于 2026-10-20", "decided on 2026-10-20")
    assert told["reason"] == ("归属有误", "somebody else's work")
    assert told["decision"] == ("数据有误", "the data is wrong")
    assert told["effect"] == ("剔除 2 行", "2 rows left out")
    mended = replace(UPHELD, effect="correct", row_count=1)
    assert row(mended)["effect"] == ("更正 1 行", "1 row mended")
    whole = replace(UPHELD, is_row=False, row_id=None, kpi_id="csat_rate")
    assert row(whole)["effect"] == ("该指标本月不计", "the KPI is left out")
    waiting = replace(UPHELD, state="accepted", outcome="none")
    assert row(waiting)["day"] == ("裁定期限 2026-10-20", "decision by 2026-10-20")
    assert row(waiting)["effect"] is None
    nothing = replace(UPHELD, outcome="not_own_row")
    assert row(nothing)["effect"] == ("不是本人的记录", "not a row of this manager")
    assert row(replace(UPHELD, kpi_id=None))["kpi"] == ("未知指标", "Unknown KPI")


def test_rows_that_were_left_out_and_mended_are_counted_on_the_kpi() -> None:
    mended = replace(UPHELD, effect="correct", applied={"csat_rate": 1, "nps": 3})
    assert card_appeals.changed([UPHELD, mended]) == {
        "csat_rate": ("剔除 2 行、更正 1 行", "2 left out, 1 mended"),
        "nps": ("更正 3 行", "3 mended"),
    }
    assert card_appeals.changed([]) == {}


def test_a_card_lists_so_many_appeals_and_counts_the_others() -> None:
    found = card_appeals.view([UPHELD] * (card_appeals.SHOWN + 2), NAMES)
    assert found is not None
    assert (len(found["rows"]), found["more"]) == (card_appeals.SHOWN, 2)
    assert card_appeals.view([], NAMES) is None


# --- the list -------------------------------------------------------------------------------

LISTED = Appeal(
    "2026-09", "A-1", "M1", "csat_rate", None, "exclude", "upheld", DAY, DAY, DAY, DAY, "HR",
    "data_error", "data_error", False, "2026-09.r1", None, None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"month": None}, "names no month, or several"),
        ({"decided_by": None}, "says not by whom and when"),
        ({"state": "rejected", "decision_code": None}, "rejected without a reason"),
        ({"published": "upheld", "outcome": "no_row"}, "changes nothing: no_row"),
        ({"published": "upheld", "outcome": "applied"}, None),
    ],
)
def test_the_list_says_what_is_to_be_mended(change: dict[str, Any], problem: str | None) -> None:
    found = replace(LISTED, **change).problem
    assert (found is None) if problem is None else (problem in str(found))


def test_the_list_asks_for_a_restatement_of_what_is_decided_and_not_released() -> None:
    text = appeals.as_text([LISTED, replace(LISTED, appeal_id="A-2", published="upheld")], OCTOBER)
    assert '--month 2026-09 --as-of 2026-10 --restate --reason "appeal A-1" --by NAME' in text
    assert "; in 2026-09.r1" in text
    unreleased = replace(LISTED, release=None)
    assert "--restate" not in appeals.as_text([unreleased], OCTOBER)
    assert appeals.as_text([], None) == "no appeals"
