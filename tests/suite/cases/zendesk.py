"""Zendesk Support as its API reference tells it: exports by cursor and by time, lists by cursor."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from suite.kit import SECRET, Case, Exchange, Record, Reply

START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
PAGE = 10
AGENTS = [
    {
        "id": 9000 + n,
        "url": f"https://acme.zendesk.com/api/v2/users/{9000 + n}.json",
        "name": f"Agent {n}",
        "email": f"agent{n}@corp.example",
        "external_id": f"E{n:03d}",
        "role": "admin" if n == 0 else "agent",
        "active": True,
        "suspended": False,
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
    for n in range(3)
]
LEFT = {**AGENTS[0], "id": 9009, "role": "end-user", "active": False, "external_id": "E009"}
GROUPS = [{"id": 77, "name": "Desk", "deleted": False}, {"id": 78, "name": "Back", "deleted": True}]


def world(count: int) -> list[Record]:
    return [
        {
            "url": f"https://acme.zendesk.com/api/v2/tickets/{n + 1}.json",
            "id": n + 1,
            "external_id": None,
            "via": {"channel": "web", "source": {"from": {}, "to": {}, "rel": None}},
            "created_at": _iso(START + timedelta(minutes=n)),
            "updated_at": _iso(START + timedelta(minutes=n, hours=1)),
            # system updates make neighbours share a stamp that is later than updated_at
            "generated_timestamp": int((START + timedelta(minutes=n // 2, hours=2)).timestamp()),
            "type": "question",
            "subject": f"printer {n}",
            "raw_subject": f"printer {n}",
            "description": "it does not print",
            "priority": ("low", "normal", "high", "urgent", None)[n % 5],
            "status": ("new", "open", "pending", "hold", "solved", "closed", "deleted")[n % 7],
            "recipient": None,
            "requester_id": 5000 + n,
            "submitter_id": 5000 + n,
            "assignee_id": 9001 if n % 2 else None,
            "organization_id": None,
            "group_id": 77,
            "due_at": None,
            "tags": ["closed_by_merge"] if n % 7 == 5 else ["vip", "zh"],
            "custom_fields": [{"id": 1, "value": "x"}],
            "satisfaction_rating": {"score": "unoffered"},
        }
        for n in range(count)
    ]


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _metrics(ticket: Record) -> Record:
    return {
        "ticket_id": ticket.get("id"),
        "assignee_stations": 2,
        "group_stations": 1,
        "reopens": 0,
        "replies": 1,
        "initially_assigned_at": "2026-09-01T01:00:00Z",
        "solved_at": None,
        "status_updated_at": "2026-09-01T02:00:00Z",
        "reply_time_in_minutes": {"calendar": 5, "business": 0},
        "reply_time_in_seconds": {"calendar": 301},
    }


def _audits() -> list[Record]:
    at = START + timedelta(hours=3)
    return [
        {
            "id": 400 + n,
            "ticket_id": 999_000 + n % 2,
            "timestamp": int((at + timedelta(minutes=n)).timestamp()),
            "created_at": _iso(at + timedelta(minutes=n)),
            "updater_id": 9001,
            "via": "Web form",
            "event_type": "Audit",
            "child_events": [
                {"id": 8000 + n, "event_type": "Comment", "author_id": 9001, "public": True},
                {"id": 9100 + n, "event_type": "Change", "assignee_id": 9009, "via": "Web form"},
            ],
        }
        for n in range(25)
    ]


def _export(exchange: Exchange, records: Sequence[Record]) -> Reply:
    """Answer by cursor: (generated_timestamp, id), as the vendor orders; never past the now."""
    cursor = exchange.query.get("cursor")
    ordered = sorted(records, key=lambda r: (r["generated_timestamp"], r["id"]))
    if cursor is None:
        start = int(exchange.query["start_time"])
        ordered = [r for r in ordered if r["generated_timestamp"] >= start]
        at = 0
    else:
        start, at = (int(part) for part in cursor.split("|"))
        ordered = [r for r in ordered if r["generated_timestamp"] >= start]
    size = min(PAGE, int(exchange.query.get("per_page", PAGE)))
    page = ordered[at : at + size]
    body: dict[str, Any] = {
        "tickets": page,
        "after_cursor": f"{start}|{at + len(page)}",
        "after_url": f"{exchange.url}/api/v2/incremental/tickets/cursor?cursor=x",
        "before_cursor": None,
        "end_of_stream": at + len(page) >= len(ordered),
    }
    if "metric_sets" in exchange.query.get("include", ""):
        body["metric_sets"] = [_metrics(ticket) for ticket in page]
    return Reply(body)


def _by_time(exchange: Exchange) -> Reply:
    """Answer by time: the next page starts at the last record's second and repeats it."""
    start = int(exchange.query["start_time"])
    found = [audit for audit in _audits() if audit["timestamp"] >= start]
    page = found[:PAGE]
    end = page[-1]["timestamp"] if page else None
    return Reply(
        {
            "ticket_events": page,
            "count": len(page),
            "end_time": end,
            "end_of_stream": len(found) <= PAGE,
            "next_page": f"{exchange.url}/api/v2/incremental/ticket_events?start_time={end}",
        }
    )


def _list(exchange: Exchange, name: str, records: Sequence[Record]) -> Reply:
    size = min(2, int(exchange.query["page[size]"]))
    at = int(exchange.query.get("page[after]", 0))
    meta = {"has_more": at + size < len(records), "after_cursor": str(at + size)}
    return Reply({name: list(records[at : at + size]), "meta": meta, "links": {}})


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    wanted = base64.b64encode(f"bot@corp.example/token:{SECRET}".encode()).decode()
    if exchange.headers.get("authorization") != f"Basic {wanted}":
        return Reply({"error": "Couldn't authenticate you"}, 401)
    what = exchange.path.removeprefix("/api/v2/")
    if what == "incremental/tickets/cursor":
        return _export(exchange, records)
    if what == "incremental/ticket_events":
        return _by_time(exchange)
    if what.endswith("/show_many"):
        ids = {int(text) for text in exchange.query["ids"].split(",")}
        assert len(ids) <= 100
        return Reply({what.split("/")[0]: [LEFT] if LEFT["id"] in ids else []})
    lists = {"groups": GROUPS, "users": AGENTS, "satisfaction_ratings": []}
    if what in lists:
        return _list(exchange, what, lists[what])
    return Reply({"error": "RecordNotFound"}, 404)


def moved(record: Record, at: datetime) -> Record:
    return {**record, "generated_timestamp": int(at.timestamp())}


def without_creation(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "created_at"}


def key(record: Record) -> list[tuple[str, ...]]:
    return [(str(record["id"]),)]


CASE = Case(
    connector="zendesk",
    source="""
[[sources]]
id = "it"
connector = "zendesk"
connection = "it"
owner = "Service desk <desk@corp.example>"
exports_per_minute = 60000
""",
    connection=f"http://bot%40corp.example:{SECRET}@{{host}}:{{port}}",
    stream="tickets",
    world=world,
    answer=answer,
    key=key,
    key_columns=("ticket_id",),
    main="/incremental/tickets/",
    page_size=PAGE,
    required=without_creation,
    moved=moved,
    fuzzed=("id", "generated_timestamp"),
)
