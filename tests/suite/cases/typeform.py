"""Typeform's Responses API as its documentation tells it: newest first, `before` a token."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from suite.kit import SECRET, Case, Exchange, Record, Reply

START = datetime(2026, 8, 31, 16, tzinfo=UTC)
FORM = "%Y-%m-%dT%H:%M:%SZ"


def world(count: int) -> list[Record]:
    return [
        {
            "landing_id": f"l{n:06d}",
            "token": f"t{n:06d}",
            "response_id": f"t{n:06d}",
            "landed_at": (START + timedelta(minutes=n)).strftime(FORM),
            "submitted_at": (START + timedelta(minutes=n, seconds=40)).strftime(FORM),
            "metadata": {"platform": "mobile", "network_id": f"net{n}"},
            "hidden": {"agent": f"a{n % 7}", "ticket": f"k{n}"},
            "calculated": {"score": 0},
            "answers": [
                {"field": {"id": "Q1", "type": "rating", "ref": "stars"}, "type": "number",
                 "number": 1 + n % 5},
                {"field": {"id": "Q2", "type": "multiple_choice", "ref": "tone"}, "type": "choice",
                 "choice": {"id": "c", "label": ("kind", "rude")[n % 2]}},
                {"field": {"id": "Q3", "type": "long_text", "ref": "words"}, "type": "text",
                 "text": "never to land"},
            ],
        }
        for n in range(count)
    ]  # fmt: skip


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    if exchange.headers.get("authorization") != f"Bearer {SECRET}":
        return Reply({"code": "AUTHENTICATION_FAILED"}, 401)
    if exchange.path != "/forms/lT4Z3j/responses":
        return Reply({"code": "FORM_NOT_FOUND"}, 404)
    query = exchange.query
    inside = [r for r in records if query["since"] <= r["submitted_at"] <= query["until"]]
    inside.sort(key=lambda r: (r["submitted_at"], r["token"]), reverse=True)
    total = len(inside)
    if "before" in query:
        tokens = [r["token"] for r in inside]
        inside = inside[len(tokens) - tokens[::-1].index(query["before"]) :]
    size = int(query["page_size"])
    body = {"total_items": total, "page_count": -(-total // size), "items": inside[:size]}
    return Reply(body)


def moved(record: Record, at: datetime) -> Record:
    return {**record, "submitted_at": at.strftime(FORM)}


def key(record: Record) -> list[tuple[str, ...]]:
    return [(record["response_id"], question) for question in ("Q1", "Q2", "Q3")]


def required(record: Record) -> Record:
    return {k: v for k, v in record.items() if k != "response_id"}


SOURCE = """
[[sources]]
id = "it"
connector = "typeform"
connection = "it"
url = "{url}"
owner = "Survey desk <surveys@corp.example>"
page_size = 10
[[sources.surveys]]
id = "lT4Z3j"
kind = "csat"
fields = { agent_id = "agent", ticket_id = "ticket" }
questions = [
    { id = "Q1", metric = "csat", scale = [1, 5] },
    { id = "Q2", metric = "attitude", scale = [0, 1], scores = { kind = 1, rude = 0 } },
    { id = "Q3", metric = "comment", scale = [0, 0] },
]
"""
CASE = Case(
    connector="typeform",
    source=SOURCE,
    connection=f"https://:{SECRET}@",
    stream="survey_responses",
    world=world,
    answer=answer,
    key=key,
    key_columns=("response_id", "question_id"),
    main="/responses",
    page_size=10,
    required=required,
    moved=moved,
    fuzzed=("token", "submitted_at"),
)
