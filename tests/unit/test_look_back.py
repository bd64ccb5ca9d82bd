"""How far back a company's builds read a stream."""

from __future__ import annotations

import pytest

from perfhouse.company_look_back import farthest, months_back, read_look_back
from perfhouse.config_reader import Table

STREAMS = ("tickets", "calls", "training_records")


def read(text: dict[str, object]) -> tuple[dict[str, int], list[str]]:
    problems: list[str] = []
    top = Table({"look_back": text}, "perfhouse.toml", problems)
    return dict(read_look_back(top, STREAMS)), problems


def test_a_stream_that_is_not_named_is_read_as_far_back_as_its_kind_needs() -> None:
    chosen, problems = read({"tickets": 24})
    assert (chosen, problems) == ({"tickets": 24}, [])
    assert months_back("tickets", chosen) == 24
    assert (months_back("tickets", {}), months_back("calls", chosen)) == (12, 3)
    assert (farthest({}), farthest({"tickets": 72})) == (60, 72)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ({"ticket": 24}, "ticket: expected a stream (did you mean 'tickets'?), got 'ticket'"),
        ({"tickets": 6}, "tickets: expected a whole number from 12, got 6"),
        ({"calls": "6"}, "calls: expected a whole number from 3, got '6'"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(text: dict[str, object], told: str) -> None:
    assert any(told in problem for problem in read(text)[1])
