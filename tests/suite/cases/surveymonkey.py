"""SurveyMonkey's v3 API as its documentation tells it: counted pages, details for weights."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from suite.kit import SECRET, Case, Exchange, Record, Reply

START = datetime(2026, 8, 31, 16, tzinfo=UTC)
FORM = "%Y-%m-%dT%H:%M:%S+00:00"
DETAILS = {
    "id": "901",
    "title": "After contact",
    "pages": [
        {
            "id": "1",
            "questions": [
                {
                    "id": "11",
                    "family": "matrix",
                    "subtype": "rating",
                    "answers": {
                        "choices": [
                            {"id": f"c{n}", "weight": n, "text": f"{n} stars"} for n in range(1, 6)
                        ]
                    },
                },
                {"id": "12", "family": "open_ended", "subtype": "essay"},
            ],
        }
    ],
}


def world(count: int) -> list[Record]:
    return [
        {
            "id": str(10_000 + n),
            "survey_id": "901",
            "collector_id": "5",
            "recipient_id": "",
            "total_time": 30,
            "response_status": "completed",
            "collection_mode": "default",
            "ip_address": "192.0.2.7",
            "custom_variables": {"agent": f"a{n % 7}", "ticket": f"k{n}"},
            "date_created": (START + timedelta(minutes=n)).strftime(FORM),
            "date_modified": (START + timedelta(minutes=n, seconds=30)).strftime(FORM),
            "pages": [
                {
                    "id": "1",
                    "questions": [
                        {"id": "11", "answers": [{"choice_id": f"c{1 + n % 5}", "row_id": "r"}]},
                        {"id": "12", "answers": [{"text": "never to land"}]},
                    ],
                }
            ],
        }
        for n in range(count)
    ]


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    if exchange.headers.get("authorization") != f"Bearer {SECRET}":
        return Reply({"error": {"id": "1011", "name": "Authorization Error"}}, 401)
    if exchange.path == "/v3/surveys/901/details":
        return Reply(DETAILS)
    if exchange.path != "/v3/surveys/901/responses/bulk":
        return Reply({"error": {"id": "1020", "name": "Resource Not Found"}}, 404)
    query = exchange.query
    first, last = query["start_modified_at"], query["end_modified_at"]  # both included
    inside = [r for r in records if first <= str(r["date_modified"])[:19] <= last]
    inside.sort(key=lambda r: str(r["date_modified"]))
    size, page = int(query["per_page"]), int(query["page"])
    body = {
        "data": inside[(page - 1) * size : page * size],
        "per_page": size,
        "page": page,
        "total": len(inside),
        "links": {"self": exchange.url + exchange.path},
    }
    return Reply(body, headers={"X-Ratelimit-App-Global-Day-Remaining": "499"})


def moved(record: Record, at: datetime) -> Record:
    return {**record, "date_modified": at.strftime(FORM)}


def key(record: Record) -> list[tuple[str, ...]]:
    return [(record["id"], "11"), (record["id"], "12")]


def required(record: Record) -> Record:
    return {k: v for k, v in record.items() if k != "id"}


SOURCE = """
[[sources]]
id = "it"
connector = "surveymonkey"
connection = "it"
url = "{url}"
owner = "Survey desk <surveys@corp.example>"
page_size = 10
[[sources.surveys]]
id = "901"
kind = "csat"
fields = { agent_id = "agent", ticket_id = "ticket" }
questions = [
    { id = "11", metric = "csat", scale = [1, 5] },
    { id = "12", metric = "comment", scale = [0, 0] },
]
"""
CASE = Case(
    connector="surveymonkey",
    source=SOURCE,
    connection=f"https://:{SECRET}@",
    stream="survey_responses",
    world=world,
    answer=answer,
    key=key,
    key_columns=("response_id", "question_id"),
    main="/responses/bulk",
    page_size=10,
    required=required,
    moved=moved,
    fuzzed=("date_modified",),
)
