"""Contact records as a stream to S3 drops them: JSON in the folder of their hour, in UTC."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from suite.deliveries import Delivery, Row
from suite.kit import SECRET, Record

START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
SOURCE = """
[[sources]]
id = "it"
connector = "amazon_connect"
owner = "Telephony <tel@corp.example>"
"""


def world(count: int) -> list[Record]:
    return [_contact(n, START + timedelta(seconds=30 * n, hours=1)) for n in range(count)]


def _contact(n: int, end: datetime) -> Record:
    begin, lost = end - timedelta(minutes=3), n % 4 == 3
    agent = {
        "ARN": f"arn:aws:connect:eu-central-1:1:agent/{n % 7}",
        "Username": f"agent{n % 7}",
        "ConnectedToAgentTimestamp": _iso(begin + timedelta(seconds=20)),
        "AgentInteractionDuration": 160,
        "CustomerHoldDuration": 0,
        "NumberOfHolds": 0,
        "AfterContactWorkDuration": 5,
    }
    return {
        "AWSAccountId": "1",
        "AWSContactTraceRecordFormatVersion": "2017-03-10",
        "ContactId": f"{n:08d}-0f3c-4c39-95c7-8a4e5b6f7a10",
        "InitialContactId": None,
        "PreviousContactId": None,
        "NextContactId": None,
        "Agent": None if lost else agent,
        "Attributes": {},
        "Channel": "VOICE",
        "CustomerEndpoint": {"Address": f"{SECRET}-{n}", "Type": "TELEPHONE_NUMBER"},
        "DisconnectReason": "CUSTOMER_DISCONNECT",
        "DisconnectTimestamp": _iso(end),
        "InitiationMethod": "INBOUND",
        "InitiationTimestamp": _iso(begin),
        "LastUpdateTimestamp": _iso(end),
        "Queue": {"Name": "Support", "Duration": 20, "EnqueueTimestamp": _iso(begin)},
        "TransferCompletedTimestamp": None,
        "TransferredToEndpoint": None,
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def put(folder: Path, world: Sequence[Row]) -> None:
    """Write one object an hour, records one after the other as they arrive."""
    hours: dict[str, list[str]] = defaultdict(list)
    for row in world:
        assert isinstance(row, dict)
        at = datetime.fromisoformat(row["LastUpdateTimestamp"])
        hours[f"{at:%Y/%m/%d/%H}"].append(json.dumps(row))
    for hour, records in hours.items():
        path = folder / "ctr" / hour / f"connect-1-{hour.replace('/', '-')}-00-07-9a2c"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(records), encoding="utf-8")


DELIVERIES = (
    Delivery(
        id="amazon_connect",
        connector="amazon_connect",
        source=SOURCE,
        stream="calls",
        world=world,
        put=put,
        key=lambda record: (record["ContactId"],),
        key_columns=("leg_id",),
        required=lambda record: {k: v for k, v in record.items() if k != "ContactId"},
        moved=lambda record, at: {**record, "LastUpdateTimestamp": _iso(at)},
        files=("ctr/**/connect-*",),
        fuzzed=("LastUpdateTimestamp",),
        unheard="an hour without a contact drops no object, so a month of them is no delivery",
        unreachable=f"sftp://drop:{SECRET}@127.0.0.1:{{port}}/out?host_key=SHA256:nothing",
        reached=SOURCE.replace('id = "it"', 'id = "it"\nconnection = "it"'),
    ),
)
