"""Request Tracker's REST2 as version 5.0.3 really answers: pretty-printed, numbers as text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from suite.kit import SECRET, Case, Exchange, Record, Reply

START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
REST = "/rt/REST/2.0"
MOST = 100
AGENTS = ("zhang.wei", "li.na")
STATUSES = ("new", "open", "stalled", "resolved", "rejected")
QUEUES = [{"type": "queue", "id": "3", "Name": "Support"}]
FIELDS = [{"type": "customfield", "id": "2", "Name": "CSAT"}]
GROUPS = [{"type": "group", "id": "4", "Name": "Privileged"}]
USERS = [
    {
        "type": "user", "id": 40 + 2 * n, "Name": name, "EmailAddress": f"{name}@corp.example",
        "LastUpdated": "2026-08-01T00:00:00Z",
    }
    for n, name in enumerate(AGENTS)
]  # fmt: skip
TRANSACTIONS = [
    {
        "type": "transaction", "id": str(75 + n), "ObjectId": "1", "ObjectType": "RT::Ticket",
        "Type": kind, "Field": field, "OldValue": old, "NewValue": new, "TimeTaken": "0",
        "Created": f"2026-09-01T02:0{n}:00Z", "Creator": {"type": "user", "id": 40, "Name": who},
    }
    for n, (kind, field, old, new, who) in enumerate(
        [
            ("Create", "", "", "", "RT_System"),
            ("Set", "Owner", "6", "40", "zhang.wei"),
            ("Correspond", "", "", "", "zhang.wei"),
            ("Status", "Status", "new", "resolved", "zhang.wei"),
            ("CustomField", "2", "", "5", "zhang.wei"),
        ]
    )
]  # fmt: skip


def world(count: int) -> list[Record]:
    return [_ticket(n) for n in range(1, count + 1)]


def _ticket(n: int) -> Record:
    status = STATUSES[n % len(STATUSES)]
    changed = _text(START + timedelta(minutes=n, hours=1))
    return {
        "type": "ticket",
        "id": str(n),
        "_url": f"https://rt.example{REST}/ticket/{n}",
        "EffectiveId": str(n),
        "Status": status,
        "Queue": {"type": "queue", "id": 3, "Name": "Support", "_url": "https://rt.example/q"},
        "Owner": {"type": "user", "id": 40, "Name": AGENTS[0], "_url": "https://rt.example/u"},
        "Requestor": [
            {"type": "user", "id": f"c{n}@mail.example", "EmailAddress": f"c{n}@mail.example"}
        ],
        "Priority": str(n % 3 * 50),
        "SLA": "standard",
        "Created": _text(START + timedelta(minutes=n)),
        "Resolved": changed if status in ("resolved", "rejected") else "1970-01-01T00:00:00Z",
        "Due": "2026-10-02T01:00:00Z",
        "LastUpdated": changed,
        "CustomFields": [{"type": "customfield", "id": "2", "name": "CSAT", "values": ["5"]}],
    }


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    if exchange.headers.get("authorization") != f"token {SECRET}":
        return Reply(b"Authorization required", 401, {"Content-Type": "text/plain"})
    path = exchange.path.removeprefix(REST)
    if path == "/tickets":
        return _page(exchange, _searched(exchange.query["query"], records), total=True)
    if path == "/group/4":
        members = [{"type": "user", "id": name} for name in AGENTS]
        return Reply({**GROUPS[0], "id": 4, "Members": members})
    held = {"/queues": QUEUES, "/customfields": FIELDS, "/groups": GROUPS, "/users": USERS}
    if path == "/transactions":
        return _page(exchange, _limited(exchange.json(), TRANSACTIONS), total=False)
    if path not in held:
        return Reply({"message": "Not Found"}, 404)
    limits = [each for each in exchange.json() if each["field"] in ("Name", "id")]
    return _page(exchange, _limited(limits, held[path]), total=True)


_CONDITION = re.compile(r"(\w+) (>=|<|>|=) '?([^' ]+(?: [\d:]+)?)'?")


def _searched(query: str, records: Sequence[Record]) -> list[Record]:
    """Return what a search in TicketSQL finds; nobody touched a ticket but by its last change."""
    assert " EffectiveId > 0" in query
    conditions = [c for c in _CONDITION.findall(query) if c[0] != "EffectiveId"]
    if any(name == "Updated" for name, _, _ in conditions):
        return []
    return [r for r in records if all(_holds(r, *condition) for condition in conditions)]


def _holds(record: Record, name: str, sign: str, value: str) -> bool:
    mine: Any = record.get(name)
    if name == "LastUpdated":
        mine = str(mine).replace("T", " ").rstrip("Z")
    elif value.isdigit():
        mine, value = int(mine), int(value)  # type: ignore[assignment]
    return {">=": mine >= value, "<": mine < value, ">": mine > value, "=": mine == value}[sign]


def _limited(limits: list[dict[str, Any]], records: Sequence[Record]) -> list[Record]:
    """Return what limits on columns find: those on one field joined as they say, OR by default."""
    found = list(records)
    for field in {limit["field"] for limit in limits}:
        mine = [limit for limit in limits if limit["field"] == field]
        joined = all if mine[0].get("entry_aggregator") == "AND" else any
        found = [
            r
            for r in found
            if joined(_within(r, field, each["operator"], str(each["value"])) for each in mine)
        ]
    return found


def _within(record: Record, field: str, sign: str, value: str) -> bool:
    mine: Any = str(record.get(field, ""))
    if field == "Created":
        mine = mine.replace("T", " ").rstrip("Z")
    if field == "id":
        mine, value = int(mine), int(value)  # type: ignore[assignment]
    return {">=": mine >= value, "<": mine < value, ">": mine > value, "=": mine == value}[sign]


def _page(exchange: Exchange, found: list[Record], total: bool) -> Reply:
    size = min(int(exchange.query.get("per_page", "20")), MOST)
    number = int(exchange.query.get("page", "1"))
    by = exchange.query.get("orderby", "id")
    backwards = exchange.query.get("order") == "DESC"
    found = sorted(found, key=lambda r: int(r["id"]) if by == "id" else r[by], reverse=backwards)
    shown = found[(number - 1) * size : number * size]
    body = {
        "count": len(shown), "page": number, "per_page": size, "items": shown,
        "total": len(found) if total else None,
        "pages": (-(-len(found) // size) or 0.0) if total else None,
    }  # fmt: skip
    return Reply(json.dumps(body, indent=3).encode())


def moved(record: Record, at: datetime) -> Record:
    return {**record, "LastUpdated": _text(at)}


def without_creation(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "Created"}


def key(record: Record) -> list[tuple[Any, ...]]:
    return [(record["id"],)]


CASE = Case(
    connector="request_tracker",
    source="""
[[sources]]
id = "it"
connector = "request_tracker"
connection = "it"
owner = "IT desk <it@corp.example>"
csat_field = "CSAT"
page_size = 10
""",
    connection=f"http://:{SECRET}@{{host}}:{{port}}/rt",
    stream="tickets",
    world=world,
    answer=answer,
    key=key,
    key_columns=("ticket_id",),
    main=f"{REST}/tickets",
    page_size=10,
    required=without_creation,
    moved=moved,
    fuzzed=("id", "LastUpdated"),
)
