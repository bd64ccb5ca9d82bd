"""Genesys Cloud's conversation detail jobs and users, as its SDK declares them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from suite.kit import SECRET, Case, Exchange, Record, Reply

START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
JOBS = "/api/v2/analytics/conversations/details/jobs"
LONGEST = timedelta(days=31)
USERS = [
    {
        "id": f"user-{n}",
        "name": f"Agent {n}",
        "email": f"agent{n}@corp.example",
        "username": f"agent{n}@corp.example",
        "state": "active",
        "version": 3,
        "employerInfo": {"employeeId": f"E{n:03d}"},
    }
    for n in range(3)
]


def _text(at: datetime) -> str:
    at = at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def world(count: int) -> list[Record]:
    return [
        _conversation(f"{n:032x}", n, START + timedelta(minutes=n % 40_000, hours=1))
        for n in range(count)
    ]


def moved(record: Record, at: datetime) -> Record:
    number = int(record["conversationId"], 16)
    return _conversation(record["conversationId"], number, at)


def _conversation(name: str, n: int, end: datetime) -> Record:
    """A call that an agent took, or (every third) one that was given up in the queue."""
    begin, given_up = end - timedelta(minutes=3), n % 3 == 0
    answered = begin + timedelta(seconds=20)
    queue = {"queueId": "queue-1", "conference": False}
    customer = {
        "participantId": f"c-{name}",
        "participantName": "John Doe",
        "purpose": "customer",
        "sessions": [
            {
                "mediaType": "voice",
                "sessionId": f"cs-{name}",
                "ani": f"tel:+1500{n:07d}",
                "dnis": "tel:+15005550006",
                "direction": "inbound",
                "segments": [_segment("interact", begin, end, **queue)],
                "metrics": [_metric("nConnected", 1, begin)],
            }
        ],
    }
    waited = (end if given_up else answered) - begin
    milliseconds = waited // timedelta(milliseconds=1)
    acd = {
        "participantId": f"q-{name}",
        "purpose": "acd",
        "sessions": [
            {
                "mediaType": "voice",
                "sessionId": f"qs-{name}",
                "direction": "inbound",
                "segments": [_segment("interact", begin, begin + waited, **queue)],
                "metrics": [
                    _metric("nOffered", 1, begin),
                    _metric("tAbandon" if given_up else "tAcd", milliseconds, begin + waited),
                ],
            }
        ],
    }
    agent = {
        "participantId": f"a-{name}",
        "userId": f"user-{n % 3}",
        "purpose": "agent",
        "sessions": [
            {
                "mediaType": "voice",
                "sessionId": f"as-{name}",
                "direction": "inbound",
                "segments": [
                    _segment("alert", begin, answered, **queue),
                    _segment("interact", answered, end, disconnectType="peer", **queue),
                    _segment("wrapup", end, end, wrapUpCode="sold", **queue),
                ],
                "metrics": [
                    _metric("tAlert", milliseconds, answered),
                    _metric("tAnswered", milliseconds, answered),
                    _metric("tTalk", 160_000, end),
                    _metric("tAcw", 0, end),
                ],
            }
        ],
    }
    return {
        "conversationId": name,
        "conversationStart": _text(begin),
        "conversationEnd": _text(end),
        "originatingDirection": "inbound",
        "divisionIds": ["division-1"],
        "participants": [customer, acd] if given_up else [customer, acd, agent],
    }


def _segment(kind: str, begin: datetime, end: datetime, **more: Any) -> Record:
    return {"segmentType": kind, "segmentStart": _text(begin), "segmentEnd": _text(end), **more}


def _metric(name: str, value: int, at: datetime) -> Record:
    return {"name": name, "value": value, "emitDate": _text(at)}


def key(record: Record) -> list[tuple[str, ...]]:
    name = record["conversationId"]
    return [(f"{'qs' if int(name, 16) % 3 == 0 else 'as'}-{name}",)]


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    if exchange.path == "/oauth/token":
        wanted = base64.b64encode(f"client:{SECRET}".encode()).decode()
        if exchange.headers.get("authorization") != f"Basic {wanted}":
            return Reply({"error": "invalid_client"}, 400)
        token = {"access_token": f"token-{SECRET}", "token_type": "bearer", "expires_in": 86399}
        return Reply(token)
    if exchange.headers.get("authorization") != f"Bearer token-{SECRET}":
        return Reply({"code": "bad.credentials", "status": 401}, 401)
    if exchange.path == f"{JOBS}/availability":
        return Reply({"dataAvailabilityDate": _text(exchange.now)})
    if exchange.path == "/api/v2/users":
        return Reply(
            {"entities": USERS, "pageSize": 10, "pageNumber": 1, "total": 3, "pageCount": 1}
        )
    if exchange.path.startswith(JOBS):
        return _job(exchange, records)
    return Reply({"code": "not.found", "status": 404}, 404)


def _job(exchange: Exchange, records: Sequence[Record]) -> Reply:
    if exchange.method == "POST":
        interval = exchange.json()["interval"]
        begin, end = map(datetime.fromisoformat, interval.split("/"))
        if end - begin > LONGEST:
            return Reply({"code": "bad.request", "status": 400}, 400)
        return Reply({"jobId": base64.urlsafe_b64encode(interval.encode()).decode()}, 202)
    job, _, results = exchange.path.removeprefix(f"{JOBS}/").partition("/")
    if exchange.method == "DELETE":
        return Reply(b"", 204)
    if not results:
        return Reply({"state": "FULFILLED"})
    begin, end = base64.urlsafe_b64decode(job).decode().split("/")
    started = [r for r in records if r["conversationStart"] < end]
    active = [r for r in started if r.get("conversationEnd", end) >= begin]
    here, size = int(exchange.query.get("cursor", "0")), int(exchange.query["pageSize"])
    page: Record = {"conversations": active[here : here + size]}
    if here + size < len(active):
        page["cursor"] = str(here + size)
    return Reply({**page, "dataAvailabilityDate": _text(exchange.now)})


CASE = Case(
    connector="genesys",
    source="""
[[sources]]
id = "it"
connector = "genesys"
connection = "it"
owner = "Telephony <tel@corp.example>"
page_size = 60
url = "{url}"
""",
    connection=f"https://client:{SECRET}@mypurecloud.de",
    stream="calls",
    world=world,
    answer=answer,
    key=key,
    key_columns=("leg_id",),
    main="/results",
    page_size=60,
    required=lambda record: {k: v for k, v in record.items() if k != "conversationId"},
    moved=moved,
    watermark=True,
    fuzzed=("conversationStart", "conversationEnd"),
)
