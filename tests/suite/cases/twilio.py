"""Twilio's Calls list as its specification tells it: filters, pages by token, RFC 2822 dates."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import urlencode

from suite.kit import SECRET, Case, Exchange, Record, Reply

ACCOUNT = "AC" + "0" * 31 + "1"
START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"


def world(count: int) -> list[Record]:
    return [_call(n) for n in range(count)]


def _call(n: int) -> Record:
    """An agent's leg, a notice to a customer, or a caller who gave up."""
    kind = n % 3
    seconds = 30 + n % 600 if kind < 2 else 0
    record = {
        "sid": f"CA{n:032x}",
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "annotation": None,
        "answered_by": None,
        "caller_name": "",
        "direction": ("outbound-api", "outbound-api", "inbound")[kind],
        "duration": str(seconds),
        "forwarded_from": None,
        "from": "+15005550006" if kind < 2 else f"+1500{n:07d}",
        "from_formatted": "(500) 555-0006",
        "group_sid": None,
        "parent_call_sid": None,
        "phone_number_sid": "PN" + "0" * 32,
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "status": ("completed", "completed", "canceled")[kind],
        "subresource_uris": {"recordings": f"{PATH[:-5]}/CA{n:032x}/Recordings.json"},
        "to": (f"client:agent{n % 5}", f"+1501{n:07d}", "+15005550006")[kind],
        "to_formatted": "",
        "trunk_sid": None,
        "uri": f"{PATH[:-5]}/CA{n:032x}.json",
    }
    return moved(record, START + timedelta(minutes=n % 40_000, hours=1))


def moved(record: Record, at: datetime) -> Record:
    begun = at - timedelta(seconds=int(record["duration"]))
    return {
        **record,
        "date_created": format_datetime(begun),
        "date_updated": format_datetime(at + timedelta(minutes=1)),
        "start_time": format_datetime(begun),
        "end_time": format_datetime(at),
    }


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    wanted = base64.b64encode(f"{ACCOUNT}:{SECRET}".encode()).decode()
    if exchange.headers.get("authorization") != f"Basic {wanted}":
        return Reply({"code": 20003, "message": "Authenticate", "status": 401}, 401)
    if exchange.path != PATH:
        return Reply({"code": 20404, "message": "not found", "status": 404}, 404)
    query = dict(exchange.query)
    size, page = int(query["PageSize"]), int(query.get("Page", "0"))
    if size > 1000:
        return Reply({"code": 20006, "message": "Page size too large", "status": 400}, 400)
    after, before = (datetime.fromisoformat(query[name]) for name in ("StartTime>", "StartTime<"))
    found = [r for r in records if after <= parsedate_to_datetime(r["start_time"]) <= before]
    chosen = found[page * size : (page + 1) * size]
    more = (page + 1) * size < len(found)
    following = {**query, "Page": page + 1, "PageToken": f"PA{page + 1}"}
    return Reply(
        {
            "calls": chosen,
            "end": page * size + len(chosen) - 1,
            "first_page_uri": f"{PATH}?{urlencode({**query, 'Page': 0})}",
            "next_page_uri": f"{PATH}?{urlencode(following)}" if more else None,
            "page": page,
            "page_size": size,
            "previous_page_uri": None,
            "start": page * size,
            "uri": f"{PATH}?{urlencode(query)}",
        }
    )


CASE = Case(
    connector="twilio",
    source="""
[[sources]]
id = "it"
connector = "twilio"
connection = "it"
owner = "Telephony <tel@corp.example>"
page_size = 40
""",
    connection=f"http://{ACCOUNT}:{SECRET}@{{host}}:{{port}}",
    stream="calls",
    world=world,
    answer=answer,
    key=lambda record: [(record["sid"],)],
    key_columns=("leg_id",),
    main="/Calls.json",
    page_size=40,
    required=lambda record: {k: v for k, v in record.items() if k != "sid"},
    moved=moved,
    fuzzed=("start_time",),
)
