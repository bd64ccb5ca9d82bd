"""Qualtrics' response export as its documentation tells it: a job, its progress, its file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from suite.kit import SECRET, Case, Exchange, Record, Reply

START = datetime(2026, 8, 31, 16, tzinfo=UTC)
FORM = "%Y-%m-%dT%H:%M:%SZ"
EXPORTS = "/API/v3/surveys/SV_1/export-responses"


def world(count: int) -> list[Record]:
    return [
        {
            "responseId": f"R_{n:06d}",
            "values": {
                "startDate": (START + timedelta(minutes=n)).strftime(FORM),
                "endDate": (START + timedelta(minutes=n + 1)).strftime(FORM),
                "status": 0,
                "ipAddress": "192.0.2.9",
                "progress": 100,
                "duration": 60,
                "finished": 1,
                "recordedDate": (START + timedelta(minutes=n + 1)).strftime(FORM),
                "distributionChannel": "anonymous",
                "userLanguage": "ZH-S",
                "agent": f"a{n % 7}",
                "QID1": n % 11,
                "QID2_TEXT": "never to land",
            },
            "labels": {"QID1": str(n % 11)},
            "displayedFields": ["QID1", "QID2_TEXT"],
            "displayedValues": {},
        }
        for n in range(count)
    ]


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    if exchange.headers.get("x-api-token") != SECRET:
        return Reply({"meta": {"httpStatus": "401 - Unauthorized"}}, 401)
    if (exchange.method, exchange.path) == ("POST", EXPORTS):
        asked = exchange.json()
        job = f"ES_{asked['startDate']}_{asked['endDate']}"
        result = {"progressId": job, "percentComplete": 0.0, "status": "inProgress"}
        return Reply({"result": result, "meta": {"httpStatus": "200 - OK"}})
    step = exchange.path.removeprefix(f"{EXPORTS}/")
    if step.startswith("ES_"):
        result = {"fileId": f"F{step}", "percentComplete": 100.0, "status": "complete"}
        return Reply({"result": result, "meta": {"httpStatus": "200 - OK"}})
    if step.endswith("/file"):
        _, first, last = step.removesuffix("/file").split("_")
        return Reply({"responses": [r for r in records if _inside(r, first, last)]})
    return Reply({"meta": {"httpStatus": "404 - Not Found"}}, 404)


def _inside(record: Record, first: str, last: str) -> bool:
    values = record.get("values")
    recorded = values.get("recordedDate") if isinstance(values, dict) else None
    return not isinstance(recorded, str) or first <= recorded <= last


def moved(record: Record, at: datetime) -> Record:
    return {**record, "values": {**record["values"], "recordedDate": at.strftime(FORM)}}


def key(record: Record) -> list[tuple[str, ...]]:
    return [(record["responseId"], "QID1"), (record["responseId"], "QID2_TEXT")]


def required(record: Record) -> Record:
    return {k: v for k, v in record.items() if k != "responseId"}


SOURCE = """
[[sources]]
id = "it"
connector = "qualtrics"
connection = "it"
owner = "Survey desk <surveys@corp.example>"
[[sources.surveys]]
id = "SV_1"
kind = "nps"
fields = { agent_id = "agent" }
questions = [
    { id = "QID1", metric = "nps", scale = [0, 10] },
    { id = "QID2_TEXT", metric = "comment", scale = [0, 0] },
]
"""
CASE = Case(
    connector="qualtrics",
    source=SOURCE,
    connection=f"http://:{SECRET}@{{host}}:{{port}}",
    stream="survey_responses",
    world=world,
    answer=answer,
    key=key,
    key_columns=("response_id", "question_id"),
    main="/file",
    page_size=10,
    required=required,
    moved=moved,
    paged=False,
    repeats=False,
)
