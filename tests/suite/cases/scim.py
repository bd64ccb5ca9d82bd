"""A SCIM 2.0 service provider as RFC 7643 and RFC 7644 tell it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from suite.kit import SECRET, Case, Exchange, Record, Reply

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
MOST = 200
SPAN = 8  # people who report to one manager


def world(count: int) -> list[Record]:
    return [_user(n) for n in range(count)]


def _id(n: int) -> str:
    return f"{n:032x}"


def _user(n: int) -> Record:
    manager = {"value": _id((n - 1) // SPAN), "displayName": "Boss"} if n else None
    work: dict[str, Any] = {
        "employeeNumber": f"E{n:05d}",
        "costCenter": "4130",
        "organization": "Universal Studios",
        "department": f"Tour Operations {n % 4}",
    }
    return {
        "schemas": [USER, ENTERPRISE],
        "id": _id(n),
        "externalId": f"E{n:05d}",
        "userName": f"u{n:05d}",
        "name": {"familyName": "Jensen", "givenName": f"Barbara {n}"},
        "displayName": f"Babs {n}",
        "title": ("Agent", "Manager", "Tour Guide")[n % 3],
        "active": n % 20 != 19,
        "emails": [
            {"value": f"babs{n}@jensen.org", "type": "home"},
            {"value": f"Bjensen{n}@Example.com", "type": "work", "primary": True},
        ],
        ENTERPRISE: work | ({"manager": manager} if manager else {}),
        "meta": {
            "resourceType": "User",
            "created": f"2025-{1 + n % 12:02d}-{1 + n % 28:02d}T04:56:22Z",
            "lastModified": "2026-09-13T04:42:34Z",
            "location": f"https://example.com/scim/v2/Users/{_id(n)}",
            "version": 'W/"3694e05e9dff591"',
        },
    }


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    if exchange.headers.get("authorization") != f"Bearer {SECRET}":
        return _refuse(401, "Authorization failure")
    if exchange.path != "/scim/v2/Users":
        return _refuse(404, "Resource not found")
    found = sorted(records, key=_created)
    start = max(1, int(exchange.query.get("startIndex", "1")))
    count = min(max(0, int(exchange.query.get("count", "100"))), MOST)
    shown = found[start - 1 : start - 1 + count]
    return Reply(
        {
            "schemas": [LIST],
            "totalResults": len(found),
            "itemsPerPage": len(shown),
            "startIndex": start,
            "Resources": shown,
        },
        headers={"Content-Type": "application/scim+json"},
    )


def _created(record: Record) -> tuple[str, str]:
    meta = record.get("meta")
    return (str(meta.get("created")) if isinstance(meta, dict) else "", json.dumps(record))


def _refuse(status: int, detail: str) -> Reply:
    return Reply({"schemas": [ERROR], "detail": detail, "status": str(status)}, status)


def without_number(record: Record) -> Record:
    work = {k: v for k, v in record[ENTERPRISE].items() if k != "employeeNumber"}
    return {**record, ENTERPRISE: work}


def key(record: Record) -> list[tuple[Any, ...]]:
    return [(record[ENTERPRISE]["employeeNumber"],)]


CASE = Case(
    connector="scim",
    source="""
[[sources]]
id = "it"
connector = "scim"
connection = "it"
owner = "IT desk <it@corp.example>"
backdate = true
page_size = 10
""",
    connection=f"http://:{SECRET}@{{host}}:{{port}}/scim/v2",
    stream="hr_roster",
    world=world,
    answer=answer,
    key=key,
    key_columns=("employee_id",),
    main="/Users",
    page_size=10,
    required=without_number,
)
