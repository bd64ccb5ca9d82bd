"""A card never gives a colleague's numbers away: the reader knows the own ones and the rank."""

from __future__ import annotations

import random
from bisect import insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
import scorecard_fixture as fixture

from perfhouse import card_figures, card_pdf, card_peers, card_view, cards
from perfhouse.card_sheet import Sheet
from perfhouse.month import Month

MONTH = Month("2026-09")


@pytest.fixture(scope="module")
def sheet() -> Iterator[Sheet]:
    con = fixture.make(managers=8)
    yield cards.read_sheet(con, MONTH)
    con.close()


def of_others(values: list[float], own: float | None) -> tuple[object, object]:
    ordered = sorted(values)
    return card_peers.band(ordered, own), card_peers.middle(ordered, own)


@pytest.mark.parametrize("others", range(5))
def test_fewer_than_five_others_give_neither_band_nor_median(others: int) -> None:
    values = [81.3 + at for at in range(others)]
    assert of_others([*values, 90.0], 90.0) == (None, None)
    assert of_others(values, None) == (None, None)


def test_five_others_are_enough_also_for_a_reader_without_a_number() -> None:
    values = [81.3, 84.1, 88.8, 90.2, 97.7]
    assert of_others([*values, 95.5], 95.5) == of_others(values, None)
    assert of_others(values, None) == (card_peers.Band(80, 95), pytest.approx(87.7))


def test_what_the_reader_scored_moves_neither_band_nor_median() -> None:
    others = [64.2, 71.9, 80.4, 88.1, 93.3, 101.6]
    seen = {of_others([*others, own], own) for own in (0.0, 71.9, 85.0, 120.0)}
    assert len(seen) == 1


def test_no_band_and_no_median_is_ever_one_persons_own_number() -> None:
    chance = random.Random(7)
    for _ in range(500):
        values = [chance.uniform(40, 120) for _ in range(chance.randint(6, 40))]
        own = chance.choice(values)
        ordered = sorted(values)
        band, middle = card_peers.band(ordered, own), card_peers.middle(ordered, own)
        assert band is not None
        assert band.low % card_peers.BAND_STEP == band.high % card_peers.BAND_STEP == 0
        inside = [v for v in values if v != own and band.low <= v <= band.high]
        assert len(inside) >= (len(values) - 1) / 2
        assert middle is not None
        assert min(abs(middle - v) for v in values) > 1e-9


def test_equal_numbers_of_others_are_not_taken_for_the_readers() -> None:
    assert of_others([80.0] * 5, 80.0) == (None, None)
    assert of_others([80.0] * 6, 80.0) == (card_peers.Band(80, 80), 80.0)


def small(sheet: Sheet, role_of: dict[str, str]) -> Sheet:
    """Put managers into roles of their own."""
    totals = tuple(replace(t, role=role_of[t.manager_id]) for t in sheet.totals)
    history = {t.manager_id: [t] for t in totals}
    peer_totals: dict[tuple[date, str | None], list[float]] = defaultdict(list)
    peer_values: dict[tuple[str | None, str], list[float]] = defaultdict(list)
    for total in totals:
        if total.total_score is not None:
            insort(peer_totals[total.month, total.role], total.total_score)
        for score in sheet.scores[total.manager_id]:
            if score.is_scored and score.value is not None:
                insort(peer_values[total.role, score.kpi_id], score.value)
    return replace(
        sheet, totals=totals, history=history, peer_totals=peer_totals, peer_values=peer_values
    )


def test_a_director_of_three_sees_no_band_and_no_median_on_page_and_paper(sheet: Sheet) -> None:
    roles = {t.manager_id: "front" if at < 5 else "above" for at, t in enumerate(sheet.totals)}
    few = small(sheet, roles)
    for total in few.totals:
        view = card_view.card(few, total, 30, True)
        assert view["trend"]["band"] == ""
        assert {r["median"] for g in view["groups"] for r in g["rows"]} == {"—"}
        page = cards.render_card(few, total).decode()
        assert "class=band" not in page
        assert "class=d " not in page
        assert "Median" in page  # the column stays, its cells are dashes
        assert "median of the others" not in page
        told = "too few others in the role to compare" in page
        assert told == (total.rank is not None), "and the card says why"
        said = card_pdf.describe(few, total)
        assert said["trend"]["band"] == []
        assert not any(r["bullet"]["median"] for g in said["groups"] for r in g["rows"])


def test_with_five_others_the_card_shows_both_and_names_whose_they_are(sheet: Sheet) -> None:
    total = next(t for t in sheet.totals if t.manager_id == "M02")
    page = cards.render_card(sheet, total).decode()
    assert "class=band" in page
    assert "class=d " in page
    assert "同岗其他人的中间一半" in page
    assert "median of the others in the role" in page


def test_the_band_of_each_month_counts_that_months_others(sheet: Sheet) -> None:
    total = sheet.totals[1]
    points = [replace(total, month=date(2026, 8, 1)), total]
    peers = {
        (date(2026, 8, 1), total.role): [1.0, total.total_score or 0.0],
        (total.month, total.role): sheet.peer_totals[total.month, total.role],
    }
    path = card_figures.trend(points, peers)["band"]
    assert path.count("M") == 1
    assert path.startswith("M62.5,")  # it begins with the second month, not before
