"""Amazon Connect contact trace records: JSON files dropped every hour, corrected ones sent again.

Brings a ready-made mapping to `calls`; several versions of a contact may land, by
LastUpdateTimestamp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from connectors import files
from connectors.base import Connector, ExtractContext, Extracted
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.month import Month

_CONNECTED = '"Agent.ConnectedToAgentTimestamp"'
_QUEUED = '"Queue.EnqueueTimestamp"'


def extract(source: Source, month: Month, context: ExtractContext) -> Iterator[Extracted]:
    """Yield the hourly files whose UTC hour lies in the company's local month."""
    return files.extract(replace(source, time_zone="UTC"), month, context)


def _milliseconds(field: str) -> ColumnMapping:
    return ColumnMapping(sql=f'cast(round(cast("{field}" as double) * 1000) as bigint)')


def _field(name: str) -> ColumnMapping:
    return ColumnMapping(source=name)


_COLUMNS = {
    "leg_id": _field("ContactId"),
    "interaction_id": ColumnMapping(sql='coalesce("InitialContactId", "ContactId")'),
    "media": ColumnMapping(
        sql="case when \"InitiationMethod\" = 'CALLBACK' then 'callback' "
        "when \"Channel\" = 'CHAT' then 'chat' else 'voice' end"
    ),
    "direction": ColumnMapping(
        source="InitiationMethod",
        values={"OUTBOUND": "outbound", "CALLBACK": "outbound", "EXTERNAL_OUTBOUND": "outbound"},
        otherwise="inbound",
    ),
    "queue_id": _field("Queue.Name"),
    "agent_id": _field("Agent.Username"),
    "customer_key": ColumnMapping(source="CustomerEndpoint.Address", hash=True),
    "ani_hash": ColumnMapping(source="CustomerEndpoint.Address", hash=True),
    "started_at": _field("InitiationTimestamp"),
    "queued_at": _field("Queue.EnqueueTimestamp"),
    "answered_at": _field("Agent.ConnectedToAgentTimestamp"),
    "ended_at": _field("DisconnectTimestamp"),
    "wait_ms": _milliseconds("Queue.Duration"),
    "talk_ms": _milliseconds("Agent.AgentInteractionDuration"),
    "hold_ms": _milliseconds("Agent.CustomerHoldDuration"),
    "hold_count": _field("Agent.NumberOfHolds"),
    "acw_ms": _milliseconds("Agent.AfterContactWorkDuration"),
    # a contact that met no agent was abandoned in its queue, or never reached one
    "disposition": ColumnMapping(
        sql=f"case when {_CONNECTED} is not null then 'answered' "
        f"when {_QUEUED} is not null then 'abandoned' else 'failed' end"
    ),
    "raw_disposition": _field("DisconnectReason"),
    "transfer_type": ColumnMapping(
        sql="case when \"TransferCompletedTimestamp\" is null then 'none' "
        "when \"TransferredToEndpoint.Type\" = 'TELEPHONE_NUMBER' then 'blind' else 'queue' end"
    ),
    "transferred_from_leg": _field("PreviousContactId"),
    "transferred_to": _field("NextContactId"),
    "hangup_party": ColumnMapping(
        source="DisconnectReason",
        values={"AGENT_DISCONNECT": "agent", "CUSTOMER_DISCONNECT": "customer"},
        otherwise="system",
    ),
    "ticket_id": _field("Attributes.ticket_id"),
    "source_updated_at": _field("LastUpdateTimestamp"),
}

CONNECTOR = Connector(
    name="amazon_connect",
    title="Amazon Connect",
    reads="contact trace records dropped hourly as ctr/YYYY/MM/DD/HH/*.json (UTC)",
    extract=extract,
    defaults={
        "calls": StreamMapping(
            stream="calls",
            options={"path": "ctr/{yyyy}/{mm}/{dd}/{hh}/*.json", "format": "json"},
            window=None,
            columns=_COLUMNS,
            ignore=("AWSAccountId", "AWSContactTraceRecordFormatVersion", "InstanceARN"),
        )
    },
)
