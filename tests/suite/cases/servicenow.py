"""ServiceNow's Table API as its documentation tells it: encoded queries, fields, limits."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from suite.kit import SECRET, Case, Exchange, Record, Reply

START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
FORM = "%Y-%m-%d %H:%M:%S"
USERS = [
    {
        "sys_id": f"user{n:028d}",
        "user_name": f"agent{n}",
        "employee_number": f"E{n:03d}",
        "email": f"agent{n}@corp.example",
        "active": "true",
        "sys_created_on": "2020-01-01 00:00:00",
        "sys_updated_on": "2026-01-01 00:00:00",
    }
    for n in range(3)
]


def world(count: int) -> list[Record]:
    return [
        {
            "sys_id": f"{n:032x}",
            "number": f"INC{n:07d}",
            "sys_created_on": f"{START + timedelta(minutes=n):%Y-%m-%d %H:%M:%S}",
            # two neighbours share their time, so that the keyset needs its second half
            "sys_updated_on": f"{START + timedelta(minutes=n // 2 * 2, hours=1):%Y-%m-%d %H:%M:%S}",
            "sys_mod_count": str(n % 5),
            "category": "network",
            "priority": str(1 + n % 5),
            "incident_state": str((1, 2, 3, 6, 7, 8)[n % 6]),
            "assignment_group": "desk",
            "assigned_to": USERS[n % 3]["sys_id"],
            "resolved_by": USERS[n % 3]["sys_id"] if n % 6 > 2 else "",
            "resolved_at": "",
            "closed_at": "",
            "caller_id": f"caller{n}",
            "contact_type": "phone",
            "reopen_count": "0",
            "reassignment_count": "1",
            "made_sla": "true",
            "sla_due": "",
            "due_date": "",
        }
        for n in range(count)
    ]


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    wanted = base64.b64encode(f"perf:{SECRET}".encode()).decode()
    if exchange.headers.get("authorization") != f"Basic {wanted}":
        return Reply({"error": {"message": "User Not Authenticated"}}, 401)
    table = exchange.path.removeprefix("/api/now/table/")
    if exchange.query["sysparm_fields"] == "sys_id,time_zone":
        return Reply({"result": [{"sys_id": "perf", "time_zone": "UTC"}]})
    found = {"incident": list(records), "sys_audit": [], "sys_user": USERS}.get(table)
    if found is None:
        return Reply({"error": {"message": "Invalid table"}}, 404)
    query, _, orders = exchange.query["sysparm_query"].partition("^ORDERBY")
    clock = orders.split("^ORDERBY")[0]
    chosen = [r for r in found if any(_holds(r, part) for part in query.split("^NQ"))]
    chosen.sort(key=lambda r: (str(r.get(clock)), str(r.get("sys_id"))))
    told = {"X-Total-Count": str(len(chosen))}
    return Reply({"result": chosen[: int(exchange.query["sysparm_limit"])]}, headers=told)


def _holds(record: Record, query: str) -> bool:
    return all(_condition(record, text) for text in query.split("^"))


def _condition(record: Record, text: str) -> bool:
    for sign in (">=", "<", ">", "="):
        name, found, value = text.partition(sign)
        if found:
            mine = str(record.get(name))
            return {">=": mine >= value, "<": mine < value, ">": mine > value}.get(
                sign, mine == value
            )
    return True


def moved(record: Record, at: datetime) -> Record:
    text = at.strftime(FORM)
    return {**record, "sys_created_on": text, "sys_updated_on": text}


def without_id(record: Record) -> Record:
    return {k: v for k, v in record.items() if k != "sys_created_on"}


def key(record: Record) -> list[tuple[Any, ...]]:
    return [(record["sys_id"],)]


CASE = Case(
    connector="servicenow",
    source="""
[[sources]]
id = "it"
connector = "servicenow"
connection = "it"
owner = "IT desk <it@corp.example>"
page_size = 10
""",
    connection=f"http://perf:{SECRET}@{{host}}:{{port}}",
    stream="tickets",
    world=world,
    answer=answer,
    key=key,
    key_columns=("ticket_id",),
    main="/table/incident",
    page_size=10,
    required=without_id,
    moved=moved,
    fuzzed=("sys_id", "sys_updated_on"),
)
