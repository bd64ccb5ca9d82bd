"""A help desk's own table in an SQLite file, read by a query of the operator's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from suite.deliveries import Delivery, Row, table
from suite.kit import SECRET, Record

START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
COLUMNS = ("id", "state", "customer", "replies", "created_at", "updated_at")
SOURCE = """
[[sources]]
id = "it"
connector = "sql"
url = "sqlite:///{data}/desk.db"
owner = "Desk <desk@corp.example>"
time_zone = "UTC"
[[sources.streams]]
stream = "tickets"
query = "select * from tickets where updated_at >= :start and updated_at < :end"
[sources.streams.columns]
ticket_id = "id"
status = {from = "state", values = {o = "open", s = "solved"}}
requester_key = {from = "customer", hash = true}
reply_count = "replies"
created_at = "created_at"
source_updated_at = "updated_at"
"""


def world(count: int) -> list[Record]:
    return [
        {
            "id": f"t{n:05d}",
            "state": "os"[n % 2],
            "customer": f"{SECRET}-{n}@customer.example",
            "replies": n % 4,
            "created_at": "2026-08-01 00:00:00",
            "updated_at": _text(START + timedelta(minutes=n, hours=1)),
        }
        for n in range(count)
    ]


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def put(folder: Path, world: Sequence[Row]) -> None:
    table(folder / "desk.db", "tickets", cast(Sequence[Record], world), COLUMNS)


DELIVERIES = (
    Delivery(
        id="sql",
        connector="sql",
        source=SOURCE,
        stream="tickets",
        world=world,
        put=put,
        key=lambda record: (record["id"],),
        key_columns=("ticket_id",),
        required=lambda record: {k: v for k, v in record.items() if k != "id"},
        moved=lambda record, at: {**record, "updated_at": _text(at)},
        files=("desk.db",),
        fuzzed=("updated_at",),
        unreachable=f"postgresql://reader:{SECRET}@127.0.0.1:{{port}}/desk",
        reached=SOURCE.replace('url = "sqlite:///{data}/desk.db"', 'connection = "it"'),
    ),
)
