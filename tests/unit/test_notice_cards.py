"""Who is told of cards on which day, in which words; cards are made by hand, nothing is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from perfhouse import notice_cards, notices
from perfhouse.company_notices import Channel
from perfhouse.ledger import Entry
from perfhouse.month import Month
from perfhouse.notice_cards import Cards, News

R1, R2 = News("2026-09.r1", "ready"), News("2026-09.r2", "corrected")
# r2 corrected B's card alone; cards are handed out on the 6th and may be appealed until the 13th.
CARDS = Cards(
    *(Month("2026-09"), "2026-09.r2", {"A": R1, "B": R2}, R2, 3),
    *(date(2026, 10, 6), date(2026, 10, 13)),
)
FIRST = replace(CARDS, release="2026-09.r1", news={"A": R1, "B": R1}, whole=R1)
EACH = Channel("each", "email", "mail", ("cards",), to=("{manager_id}@x",), sender="p@x")
GROUP = Channel("group", "slack", "hook", ("cards",))
EARLY, ON_TIME, LATE = date(2026, 10, 5), date(2026, 10, 13), date(2026, 10, 14)


def told(channel: Channel, cards: Cards, today: date | None) -> list[str]:
    """Return receivers (`-` for a group) and texts."""
    notice = notices.Notice("cards", "2026-09", cards.release, {}, cards)
    return [
        f"{each.to or '-'}: {each.subject}\n{each.body}"
        for each in notices.messages(channel, notice, today)
    ]


def keys(channel: Channel, cards: Cards, today: date | None = ON_TIME) -> set[str]:
    notice = notices.Notice("cards", "2026-09", cards.release, {}, cards)
    return {each.key for each in notices.messages(channel, notice, today)}


def test_a_later_release_is_news_to_whose_card_it_changed_and_to_nobody_else() -> None:
    assert len(keys(EACH, FIRST)) == 2
    assert len(keys(EACH, CARDS) - keys(EACH, FIRST)) == 1
    assert len(keys(GROUP, CARDS) | keys(GROUP, FIRST)) == 2
    (text,) = told(GROUP, CARDS, ON_TIME)
    assert "2026-09 的 1 张绩效卡已更正(版本 2026-09.r2)" in text
    assert "1 scorecard of 2026-09 was corrected (release 2026-09.r2)." in text


def test_a_release_that_changed_nobodys_card_is_told_to_no_group() -> None:
    silent = replace(CARDS, release="2026-09.r3", whole=News("2026-09.r3", "updated"))
    assert told(GROUP, silent, ON_TIME) == []
    assert keys(EACH, silent) == keys(EACH, CARDS)


def test_what_a_person_restated_is_a_correction_and_anything_else_an_update() -> None:
    first = Entry(1, "2026-09", 1, "2026-09", "2026-09/r1", "", "", "")
    ripened = replace(first, number=2)
    restated = replace(first, number=3, reason="A wrong team", by="Head of service")
    chain = [(restated, frozenset({"B"})), (ripened, frozenset({"A", "B"})), (first, None)]
    assert notice_cards._news("B", chain, None) == News("2026-09.r3", "corrected")
    assert notice_cards._news("A", chain, None) == News("2026-09.r2", "updated")
    assert notice_cards._news("C", chain, None) == R1


def test_a_correction_says_that_it_is_one() -> None:
    ready, corrected = told(EACH, CARDS, ON_TIME)
    assert ready.startswith("A@x: 2026-09 绩效卡已发布 · Scorecards of 2026-09 are ready\n")
    assert "您 2026-09 的绩效卡已发布" in ready
    assert corrected.startswith(
        "B@x: 2026-09 绩效卡已更正 · Scorecards of 2026-09 were corrected\n"
    )
    assert "Your scorecard of 2026-09 was corrected (release 2026-09.r2)." in corrected
    assert "The card lists the numbers that changed." in corrected
    assert "numbers that changed" not in ready


@pytest.mark.parametrize("channel", [EACH, GROUP])
def test_questions_are_open_until_the_last_day_of_appeals_and_not_after(channel: Channel) -> None:
    for text in told(channel, CARDS, ON_TIME):
        assert "Questions are open until 2026-10-13." in text
        assert "2026-10-13(含)" in text
    for text in told(channel, CARDS, LATE):
        assert "Questions" not in text
        assert "申诉" not in text
        assert "疑问" not in text


def test_what_may_still_change_is_said() -> None:
    assert all("3 KPIs are marked provisional" in text for text in told(EACH, CARDS, ON_TIME))
    assert all("其中 3 项指标" in text for text in told(EACH, CARDS, ON_TIME))
    ripe = replace(CARDS, waiting=0)
    assert not any("provisional" in text or "暂定" in text for text in told(EACH, ripe, ON_TIME))


def test_before_cards_are_handed_out_only_who_asks_hears_and_of_provisional_cards() -> None:
    assert told(EACH, FIRST, EARLY) == told(GROUP, FIRST, EARLY) == []
    eager = replace(EACH, provisional=True)
    texts = told(eager, FIRST, EARLY)
    assert len(texts) == 2
    assert all("provisionally" in text and "绩效卡(暂定)" in text for text in texts)
    assert all("handed out on 2026-10-06" in text for text in texts)
    assert not any("Questions" in text for text in texts)
    assert not keys(eager, FIRST, EARLY) & keys(eager, FIRST), "handing out is news"


def test_a_backfill_of_old_months_floods_nobody_but_a_correction_of_one_is_told() -> None:
    assert len(told(EACH, FIRST, date(2026, 11, 30))) == 2
    later = date(2026, 12, 1)
    assert told(EACH, FIRST, later) == told(GROUP, FIRST, later) == []
    assert [text[:4] for text in told(EACH, CARDS, later)] == ["B@x:"]
    assert len(told(GROUP, CARDS, later)) == 1
    assert len(told(replace(EACH, newest_months=3), FIRST, later)) == 2
    assert len(told(EACH, FIRST, None)) == 2, "no day is asked"
