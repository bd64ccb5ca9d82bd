"""Thresholds of gates are data: what a company allows, who agreed to it, when and why."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from expectations import THRESHOLDS
from expectations.thresholds import DEFAULTS, origin
from perfhouse.company_gates import read_gates
from perfhouse.company_types import Agreement
from perfhouse.config_reader import Table

AGREED: dict[str, Any] = {
    "gate": "raw",
    "name": "quarantine_share",
    "value": 0.03,
    "agreed_by": "Data board",
    "agreed_on": date(2026, 8, 1),
    "reason": "the old exchange sends broken times until it is replaced",
}


def read(gates: dict[str, Any]) -> tuple[Any, Any, list[str]]:
    problems: list[str] = []
    values, agreed = read_gates(Table({"gates": gates}, "perfhouse.toml: ", problems), THRESHOLDS)
    return values, agreed, problems


def test_a_number_alone_still_sets_a_threshold() -> None:
    values, agreed, problems = read({"raw": {"volume_drop": 0.4}})
    assert (values["raw"], agreed, problems) == ({"volume_drop": 0.4}, {}, [])


def test_an_agreement_sets_a_threshold_and_says_who_when_and_why() -> None:
    values, agreed, problems = read({"thresholds": [AGREED], "facts": {"reversed_share": 0.02}})
    assert problems == []
    assert values["raw"] == {"quarantine_share": 0.03}
    assert values["facts"] == {"reversed_share": 0.02}
    found = agreed["raw"]["quarantine_share"]
    assert found == Agreement("Data board", date(2026, 8, 1), AGREED["reason"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gate": "row"}, "thresholds[0].gate: expected one of exports, facts, raw, scorecards"),
        ({"name": "quarantine"}, "(did you mean 'quarantine_share'?)"),
        ({"value": None}, "thresholds[0].value: expected a number from 0, got nothing"),
        ({"value": -1}, "thresholds[0].value: expected a number from 0, got -1"),
        ({"agreed_by": None}, "thresholds[0].agreed_by"),
        ({"agreed_by": "li@example.com"}, "a role or a body such as 'Data board'"),
        ({"agreed_on": None}, "the day of the agreement such as 2026-09-01, got nothing"),
        ({"agreed_on": "in summer"}, "thresholds[0].agreed_on: expected a day"),
        ({"reason": None}, "thresholds[0].reason"),
        ({"until": 3}, "thresholds[0].until: unknown key"),
    ],
)
def test_an_agreement_that_says_too_little_or_too_much_is_refused(
    change: dict[str, Any], said: str
) -> None:
    entry = {key: value for key, value in {**AGREED, **change}.items() if value is not None}
    assert any(said in problem for problem in read({"thresholds": [entry]})[2])


def test_a_threshold_is_set_once() -> None:
    problems = read({"thresholds": [AGREED, AGREED]})[2]
    assert problems == [
        "perfhouse.toml: gates.thresholds[1].name: expected each threshold of gate raw once, "
        "got 'quarantine_share'"
    ]
    assert read({"raw": {"quarantine_share": 0.1}, "thresholds": [AGREED]})[2] != []


def test_whoever_set_a_threshold_is_told() -> None:
    agreed = {"raw": {"volume_drop": Agreement("Data board", date(2026, 8, 1), "spring")}}
    assert origin("raw", "volume_drop", agreed, own=True) == ("Data board", "2026-08-01", "spring")
    assert origin("raw", "volume_rise", agreed, own=True)[0] == "perfhouse.toml, nobody named"
    since = DEFAULTS["raw"]["volume_rise"].since
    assert origin("raw", "volume_rise", {}, own=False) == (f"default of perfhouse {since}", "", "")


def test_the_page_lists_every_threshold_with_its_default() -> None:
    from pathlib import Path

    page = (Path(__file__).resolve().parents[2] / "docs" / "gates.md").read_text("utf-8")
    for gate, thresholds in DEFAULTS.items():
        for name, found in thresholds.items():
            assert f"| `{gate}` | `{name}` | {found.value:g} | {found.meaning} |" in page
