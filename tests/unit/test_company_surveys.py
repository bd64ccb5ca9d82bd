from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from perfhouse.company_surveys import (
    read_certification_grace,
    read_routing_codes,
    read_surveys,
)
from perfhouse.company_types import Survey
from perfhouse.config_reader import Table


def read(said: dict[str, Any]) -> tuple[tuple[Survey, ...], list[str]]:
    problems: list[str] = []
    return read_surveys(Table(said, "perfhouse.toml: ", problems)), problems


def test_surveys_come_in_the_order_of_their_ids_and_say_only_what_was_said() -> None:
    said = {"surveys": {"b": {"satisfied_from": 4}, "a": {"easy_is": "low", "easy_from": 2}}}
    assert read(said) == ((Survey("a", "low", 2), Survey("b", satisfied_from=4)), [])
    assert read({}) == ((), [])


def test_what_is_wrong_with_a_survey_is_named_with_its_place() -> None:
    said = {"surveys": {"a": {"easy_is": "left"}, "b": {"easy_from": 4}, "c": {"easy": "low"}}}
    text = "\n".join(read(said)[1])
    assert "surveys.a.easy_is: expected one of high, low" in text
    assert "surveys.b.easy_is: expected one of low, high beside easy_from" in text
    assert "surveys.c.easy" in text


def test_a_survey_names_the_last_day_of_its_wave_or_of_each_of_its_waves() -> None:
    days = date(2026, 6, 30), date(2026, 10, 8)
    said = {"surveys": {"a": {"closes_on": days[1]}, "b": {"closes_on": [str(days[0]), days[1]]}}}
    assert read(said) == ((Survey("a", closes_on=days[1:]), Survey("b", closes_on=days)), [])


@pytest.mark.parametrize(
    ("closes_on", "problem"),
    [
        ("soon", "closes_on: expected a day such as 2026-10-08, or a list of days, got 'soon'"),
        (["2026-10-08", 9], "closes_on[1]: expected a day such as 2026-10-08"),
        (["2026-10-08", "2026-10-08"], "closes_on[1]: expected a day after 2026-10-08"),
    ],
)
def test_a_wrong_end_of_a_wave_is_named(closes_on: object, problem: str) -> None:
    (found,) = read({"surveys": {"a": {"closes_on": closes_on}}})[1]
    assert found.startswith(f"perfhouse.toml: surveys.a.{problem}")


def test_new_hires_have_ninety_days_unless_the_company_says_otherwise() -> None:
    problems: list[str] = []
    assert read_certification_grace(Table({}, "t: ", problems)) == 90
    said = {"training": {"certification_grace_days": 30}}
    assert read_certification_grace(Table(said, "t: ", problems)) == 30
    assert problems == []


def test_routing_codes_are_texts_each_once() -> None:
    problems: list[str] = []
    said = {"calls": {"routing_codes": ["sales", "billing", "sales"]}}
    assert read_routing_codes(Table(said, "t: ", problems)) == ("billing", "sales")
    assert problems == []
    read_routing_codes(Table({"calls": {"routing_codes": "sales"}}, "t: ", problems))
    assert problems == ["t: calls.routing_codes: expected a list of text, got 'sales'"]
