"""What a message of a queue may say; brokers are in test_queues.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors import queues

SAID = {"source": "desk", "month": "2026-09"}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(SAID),
        json.dumps(SAID).encode(),
        memoryview(json.dumps(SAID).encode()),
        json.dumps({**SAID, "who": "li.na@example.com", "path": "/x", "nested": {"a": [1]}}),
    ],
)
def test_a_message_names_a_source_and_a_month_and_nothing_else_of_it_is_kept(body: Any) -> None:
    assert queues.read(body) == SAID


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"\xff\xfe", b"[1]", b"null", b'"desk"', "{", b"x" * 100_000, None, 7,
     b"\x80\x04\x95\x00\x00\x00\x00"],
)  # fmt: skip
def test_what_cannot_be_read_only_says_to_look(body: Any) -> None:
    assert queues.read(body) == {}


def test_long_words_are_cut_before_they_go_anywhere() -> None:
    found = queues.read(json.dumps({"source": "x" * 10_000, "month": 202609}))
    assert len(found["source"]) == 60
    assert found["month"] == "202609"
