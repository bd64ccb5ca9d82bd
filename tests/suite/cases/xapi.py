"""A learning record store as the xAPI specification tells it: since, until, more, voiding."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from suite.kit import SECRET, Case, Exchange, Record, Reply

START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
PAGE = 10


def world(count: int) -> list[Record]:
    return [
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"statement-{n}")),
            "actor": {
                "objectType": "Agent",
                "name": f"Person {n}",
                **(
                    {"mbox": f"mailto:person{n}@corp.example"}
                    if n % 5 == 4
                    else {"account": {"homePage": "https://hr.example", "name": f"E{n:03d}"}}
                ),
            },
            "verb": {
                "id": f"http://adlnet.gov/expapi/verbs/{('assigned', 'passed', 'completed')[n % 3]}"
            },
            "object": {
                "id": f"https://lms.example/courses/{n % 4}",
                "definition": {"name": {"en-US": "Privacy"}, "type": "http://x/course"},
            },
            "result": {"score": {"raw": n % 100, "max": 100}, "duration": "PT1H2M3.5S"},
            "timestamp": _iso(START + timedelta(minutes=n)),
            "stored": _iso(START + timedelta(minutes=n, seconds=5)),
            "version": "1.0.3",
            "authority": {"objectType": "Agent", "mbox": "mailto:lms@corp.example"},
        }
        for n in range(count)
    ]


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    wanted = base64.b64encode(f"reader:{SECRET}".encode()).decode()
    if exchange.headers.get("authorization") != f"Basic {wanted}":
        return Reply({"error": "unauthorized"}, 401)
    if exchange.headers.get("x-experience-api-version") != "1.0.3":
        return Reply({"error": "version"}, 400)
    if exchange.path != "/xAPI/statements":
        return Reply({"error": "no such resource"}, 404)
    query = exchange.query
    found = sorted(
        (
            record
            for record in records
            if query.get("since", "") < record["stored"] <= query.get("until", "9")
        ),
        key=lambda record: str(record["stored"]),
    )
    at = int(query.get("from", 0))
    size = min(PAGE, int(query.get("limit", PAGE)))
    page = found[at : at + size]
    window = f"since={query.get('since', '')}&until={query.get('until', '9')}"
    more = f"/xAPI/statements?{window}&limit={size}&from={at + size}"
    return Reply(
        # the order inside a page is nobody's promise
        {"statements": page[::-1], "more": more if at + size < len(found) else ""},
        headers={"X-Experience-API-Consistent-Through": _iso(exchange.now)},
    )


def moved(record: Record, at: datetime) -> Record:
    return {**record, "stored": _iso(at)}


def without_activity(record: Record) -> Record:
    return {**record, "object": {}}


def key(record: Record) -> list[tuple[str, ...]]:
    return [(record["id"],)]


CASE = Case(
    connector="xapi",
    source="""
[[sources]]
id = "it"
connector = "xapi"
connection = "it"
owner = "Learning <learning@corp.example>"
""",
    connection=f"http://reader:{SECRET}@{{host}}:{{port}}/xAPI",
    stream="training_records",
    world=world,
    answer=answer,
    key=key,
    key_columns=("record_id",),
    main="/statements",
    page_size=PAGE,
    required=without_activity,
    moved=moved,
    watermark=True,
    fuzzed=("id", "stored"),
)
