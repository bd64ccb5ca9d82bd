"""Products' own databases: Kamailio's tables in SQLite, the answers to the queries of the others.

What those three ask runs in PostgreSQL and MySQL alone, and is proved there; what their answers
become is proved here too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from suite.deliveries import Delivery, Row, parquet, table
from suite.kit import SECRET, Record

START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
PROVED = (
    "its query is one for PostgreSQL and MySQL: asked there by tests/integration/test_sql_ready.py "
    "and test_sql_rt_database.py"
)
NAMED = "its query names the columns it reads, so a new one is never seen"


def _source(connector: str, stream: str, where: str) -> str:
    return f"""
[[sources]]
id = "it"
connector = "{connector}"
{where}
owner = "Systems <systems@corp.example>"
time_zone = "UTC"
[[sources.streams]]
stream = "{stream}"
"""


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _database(connector: str, stream: str, url: str, **more: Any) -> Delivery:
    return Delivery(
        id=connector,
        connector=connector,
        source=_source(connector, stream, f'url = "{url}"'),
        stream=stream,
        fixed=NAMED,
        unreachable=f"postgresql://reader:{SECRET}@127.0.0.1:{{port}}/it",
        reached=_source(connector, stream, 'connection = "it"'),
        **more,
    )


def _answers(
    connector: str, stream: str, world: Callable[[int], list[Record]], field: str, column: str
) -> Delivery:
    """Return what a query answers, replayed from its archive; `field` is the landed `column`."""

    def put(folder: Path, rows: Sequence[Row]) -> None:
        parquet(folder / f"{stream}.parquet", cast(Sequence[Record], rows), list(world(1)[0]))

    return _database(
        connector,
        stream,
        "postgresql://reader@db.example/it",
        world=world,
        put=put,
        key=lambda record: (str(record[field]),),
        key_columns=(column,),
        required=lambda record: {k: v for k, v in record.items() if k != field},
        replayed=PROVED,
    )


# ---------------------------------------------------------------- Kamailio

_MISSED = ("id", "callid", "sip_code", "sip_reason")


def dialogs(count: int) -> list[Record]:
    return [
        {
            "id": n,
            "callid": f"call-{n}",
            "caller": f"{SECRET}-{n}",
            "queue": "support",
            "agent": f"80{n % 7:02d}",
            "start_time": _text(_ended(n) - timedelta(minutes=1)),
            "end_time": _text(_ended(n)),
            "duration": 60.25,
        }
        for n in range(1, count + 1)
    ]


def _ended(n: int) -> datetime:
    return START + timedelta(minutes=n, hours=1)


def put_kamailio(folder: Path, world: Sequence[Row]) -> None:
    """Write both tables: every fourth call was refused."""
    rows = cast(Sequence[Record], world)
    missed = [
        {"id": at, "callid": row.get("callid"), "sip_code": "486", "sip_reason": "Busy Here"}
        for at, row in enumerate(rows)
        if at % 4 == 3
    ]
    missed = list({str(row["callid"]): row for row in missed}.values())
    path = folder / "kamailio.db"
    table(path, "acc_cdrs", rows, list(dialogs(1)[0]))
    table(path, "missed_calls", missed, _MISSED)


KAMAILIO = _database(
    "kamailio",
    "calls",
    "sqlite:///{data}/kamailio.db",
    world=dialogs,
    put=put_kamailio,
    key=lambda record: (str(record["id"]),),
    key_columns=("leg_id",),
    required=lambda record: {k: v for k, v in record.items() if k != "callid"},
    moved=lambda record, at: {**record, "end_time": _text(at)},
    files=("kamailio.db",),
    fuzzed=("end_time",),
)

# ---------------------------------------------------------------- Asterisk, Moodle, RT


def legs(count: int) -> list[Record]:
    return [
        {
            "leg_id": f"q{n}",
            "interaction_id": f"1788.{n}",
            "seq": n,
            "kind": "queue",
            "direction": "inbound",
            "queue": "support",
            "agent": None if n % 4 == 3 else f"PJSIP/80{n % 7:02d}",
            "caller": f"{SECRET}-{n}",
            "started": _text(_ended(n) - timedelta(minutes=1)),
            "queued": _text(_ended(n) - timedelta(minutes=1)),
            "answered": None if n % 4 == 3 else _text(_ended(n) - timedelta(seconds=40)),
            "ended": _text(_ended(n)),
            "event": "ABANDON" if n % 4 == 3 else ("COMPLETECALLER", "COMPLETEAGENT")[n % 2],
            "wait_seconds": "20",
            "ring_seconds": None if n % 4 == 3 else "4",
            "talk_seconds": None if n % 4 == 3 else "40",
            "transferred_to": None,
            "transferred_from": None,
        }
        for n in range(1, count + 1)
    ]


def records(count: int) -> list[Record]:
    at = int(START.timestamp())
    return [
        {
            "record_id": f"{n}-10",
            "learner_id": n,
            "course_id": "10",
            "course_name": "投诉处理",
            "course_type": "course",
            "assigned": at - 86_400,
            "due": at + 86_400,
            "started": at + n,
            "completed": at + n + 60 if n % 3 else None,
            "suspended": 0,
            "score": f"{n % 100}.50000",
            "scale_max": "100.00000",
            "pass_mark": "60.00000",
            "cert_id": None,
            "issued": 0,
            "expires": 0,
            "modified": at + n + 60,
        }
        for n in range(1, count + 1)
    ]


def tickets(count: int) -> list[Record]:
    return [
        {
            "id": n,
            "state": ("open", "resolved")[n % 2],
            "status": ("open", "resolved")[n % 2],
            "merged_into": None,
            "queue_id": 1,
            "queue_name": "General",
            "owner_id": 12 + n % 3,
            "requestor": f"{SECRET}-{n}@customer.example",
            "priority": 50,
            "sla": None,
            "created": "2026-08-20 08:00:00",
            "due": None,
            "resolved": _text(_ended(n)) if n % 2 else None,
            "closed": None,
            "last_updated": _text(_ended(n)),
            "last_id": 100 + n,
            "first_reply": "2026-08-20 08:10:00",
            "first_replier": 12,
            "resolver": 12 if n % 2 else None,
            "first_assigned": "2026-08-20 08:01:00",
            "replies": n % 5,
            "reopened": 0,
            "reassigned": 1,
            "moved": 0,
            "rating": None,
        }
        for n in range(1, count + 1)
    ]


DELIVERIES = (
    KAMAILIO,
    _answers("asterisk", "calls", legs, "leg_id", "leg_id"),
    _answers("moodle", "training_records", records, "record_id", "record_id"),
    _answers("rt_database", "tickets", tickets, "id", "ticket_id"),
)
