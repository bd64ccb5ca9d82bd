"""What moved a total since the month before: parts that sum, and what is nobody's KPI's doing."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import largest_card as largest
import pytest
import scorecard_fixture as fixture

from perfhouse import card_movers, card_pdf, card_view, cards
from perfhouse.month import Month
from perfhouse.scorecards import KpiScore, Total

MONTH = Month("2026-09")
FLOOR, TARGET, STRETCH = 0.5, 0.9, 1.0
NOTHING = {"rows": [], "others": None, "terms": None, "weights": None, "is_all_unclear": False}
NAMES = {kpi: (f"指标{kpi}", f"KPI {kpi}") for kpi in "abcdefghi"}


def kpi(name: str, value: float, target: float = TARGET, version: str = "1") -> KpiScore:
    """Make a score of 0 at the floor and 100 at the target."""
    score = (value - FLOOR) / (target - FLOOR) * 100
    ends = (FLOOR, target, STRETCH, 1.0, score, "scored", "2026", None, None)
    return KpiScore("M", name, version, *[None] * 2, 40.0, value, *[None] * 3, *ends)


def total(change: float) -> Total:
    names = (1, 1, 1, 9, 1.0, change, 80.0 - change, 5, 30.0, "scored")
    return Total(MONTH.start, "M", "lead", 80.0, "B", *names)


def told(change: float, now, before, weights, weights_before):
    found = card_movers.split(now, before, weights, weights_before)
    assert change == pytest.approx(
        sum(weights[s.kpi_id] * s.score for s in now if s.score is not None)
        - sum(weights_before[s.kpi_id] * s.score for s in before if s.score is not None)
    )
    return card_movers.view(total(change), found, NAMES)


def test_a_kpi_moves_the_total_by_its_weight_times_the_change_of_its_score():
    half = {"a": 0.5, "b": 0.5}
    said = told(5.0, [kpi("a", 0.82), kpi("b", 0.7)], [kpi("a", 0.7), kpi("b", 0.78)], half, half)
    assert said is not None
    assert [(r["points"], r["was"], r["now"]) for r in said["rows"]] == [
        ("+15.0", "50", "80"),
        ("−10.0", "70", "50"),
    ]
    assert (said["others"], said["terms"], said["weights"]) == (None, None, None)


def test_what_came_went_or_weighed_otherwise_is_no_kpis_doing():
    now = [kpi("a", 0.82), kpi("c", 0.86)]
    before = [kpi("a", 0.82), kpi("b", 0.7)]
    said = told(21.0, now, before, {"a": 0.4, "c": 0.6}, {"a": 0.5, "b": 0.5})
    assert said == {
        "rows": [],
        "others": None,
        "terms": None,
        "weights": "+21.0",
        "is_all_unclear": False,
    }


def test_a_new_target_is_told_apart_from_the_work():
    one = {"a": 1.0}
    said = told(-20.0, [kpi("a", 0.7, target=1.0)], [kpi("a", 0.74)], one, one)
    assert said is not None
    assert said["terms"] == "−12.0", "the month before is worth 48 by the new target, not 60"
    assert [(r["points"], r["was"], r["now"]) for r in said["rows"]] == [("−8.0", "48", "40")]


def test_another_definition_is_not_compared():
    one = {"a": 1.0}
    said = told(-10.0, [kpi("a", 0.7, version="2")], [kpi("a", 0.74)], one, one)
    assert said == {
        "rows": [],
        "others": None,
        "terms": "−10.0",
        "weights": None,
        "is_all_unclear": False,
    }


def test_a_kpi_without_a_real_sample_is_never_a_mover():
    thin = replace(kpi("b", 0.9), status="insufficient_data", score=None)
    said = told(-15.0, [kpi("a", 0.7), thin], [kpi("a", 0.7), kpi("b", 0.82)],
                {"a": 1.0}, {"a": 0.5, "b": 0.5})  # fmt: skip
    assert said == {
        "rows": [],
        "others": None,
        "terms": None,
        "weights": "−15.0",
        "is_all_unclear": False,
    }


def test_the_three_that_moved_most_each_way_are_named_and_the_others_summed():
    values = {"a": 0.9, "b": 0.85, "c": 0.8, "d": 0.75, "e": 0.65, "f": 0.6, "g": 0.55, "h": 0.5}
    eighth = dict.fromkeys(values, 0.125)
    now = [kpi(name, value) for name, value in values.items()]
    before = [kpi(name, 0.7) for name in values]
    said = told(0.0, now, before, eighth, eighth)
    assert said is not None
    assert [r["zh"] for r in said["rows"]] == [f"指标{n}" for n in "abchgf"]
    assert said["others"] is None, "two others, which cancel out"
    shown = sum(Decimal(r["points"].replace("−", "-")) for r in said["rows"])
    assert shown == 0


def test_that_all_is_within_its_error_is_said_once():
    half = {"a": 0.5, "b": 0.5}
    now, before = [kpi("a", 0.82), kpi("b", 0.7)], [kpi("a", 0.7), kpi("b", 0.78)]
    found = card_movers.split(now, before, half, half)
    for unclear, marked, is_all in (("", [False, False], False), ("b", [False, True], False),
                                    ("ab", [False, False], True)):  # fmt: skip
        said = card_movers.view(total(5.0), found, NAMES, frozenset(unclear))
        assert said is not None
        assert [r["is_unclear"] for r in said["rows"]] == marked
        assert said["is_all_unclear"] is is_all


def test_nothing_is_told_where_the_change_was_of_other_numbers():
    one = {"a": 1.0}
    found = card_movers.split([kpi("a", 0.82)], [kpi("a", 0.7)], one, one)
    assert card_movers.view(total(30.0), found, NAMES)
    assert card_movers.view(total(29.9), found, NAMES) is None


@pytest.mark.parametrize(
    ("parts", "whole", "shown"),
    [
        ([0.04, 0.04, 0.04], 0.12, "0.1 0 0"),
        ([1.25, -0.33, 0.0], 0.92, "1.2 -0.3 0"),
        ([-0.06, -0.06, -0.06], -0.18, "0 -0.1 -0.1"),
        ([2.0, 3.0], 5.0, "2 3"),
        ([], 0.0, ""),
    ],
)
def test_rounded_parts_sum_to_the_rounded_whole(parts, whole: float, shown: str):
    found = card_movers.rounded(parts, whole)
    assert sum(found) == Decimal(f"{whole:.1f}")
    assert all(abs(float(r) - p) < 0.1 for r, p in zip(found, parts, strict=True))
    assert sorted(f"{r.normalize():f}" for r in found) == sorted(shown.split())


# ---------------------------------------------------------------- on page and paper


def shown_points(page: str) -> list[Decimal]:
    (listed,) = re.findall(r"<ul class=mv>.*?</ul>", page, re.DOTALL)
    return [Decimal(p.replace("−", "-")) for p in re.findall(r"<b>([+−][\d.]+)</b>", listed)]


def test_every_card_says_what_moved_its_total_and_the_parts_add_up():
    con = fixture.make()
    sheet = cards.read_sheet(con, MONTH)
    first = cards.read_sheet(con, Month(fixture.MONTHS[0]))
    con.close()
    found = 0
    for each in sheet.totals:
        page = cards.render_card(sheet, each).decode()
        if each.total_score is None:
            assert "class=mv" not in page
            continue
        change = card_view.card(sheet, each, 0, False)["head"]["change"]
        assert f"What moved the total by {change}<" in page
        assert sum(shown_points(page)) == Decimal(change.replace("−", "-"))
        found += 1
    assert found == 7
    assert "class=mv" not in cards.render_card(first, first.totals[0]).decode()


def test_paper_says_the_same_as_the_page():
    con = largest.make()
    sheet = cards.read_sheet(con, MONTH)
    con.close()
    each = next(t for t in sheet.totals if t.manager_id == largest.MANAGER)
    page = cards.render_card(sheet, each).decode()
    said = card_pdf.describe(sheet, each)["movers"]
    assert len(said["rows"]) == 2 * card_movers.SHOWN
    assert all(said[name] for name in ("others", "terms", "weights"))
    parts = [r["points"] for r in said["rows"]] + [
        said["others"][1],
        said["terms"],
        said["weights"],
    ]
    assert shown_points(page) == [Decimal(p.replace("−", "-")) for p in parts]
    assert page.count("within error") == sum(r["is_unclear"] for r in said["rows"]) > 0
