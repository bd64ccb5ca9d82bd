"""Amazon Connect contact records: JSON objects dropped by the hour, corrected ones sent again.

Brings a ready-made mapping to `calls`; several versions of a contact may land, the newest
LastUpdateTimestamp counts. It may not know where the files lie: that is for `files`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from connectors import files
from connectors.base import Connector, ExtractContext, Extracted, column
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.month import Month

_CONNECTED = '"Agent.ConnectedToAgentTimestamp"'
_QUEUED = '"Queue.EnqueueTimestamp"'


# Of no customer's call: a supervisor listening in, and flows that only run after a hang-up.
_WHERE = (
    "coalesce(\"Channel\", 'VOICE') in ('VOICE', 'CHAT') "
    "and coalesce(\"InitiationMethod\", '') <> 'MONITOR' "
    "and not (coalesce(\"InitiationMethod\", '') = 'DISCONNECT' "
    f"and {_QUEUED} is null and {_CONNECTED} is null)"
)
_SETTLE_MINUTES = 60  # a record is made after the agent's wrap-up, then the stream collects


def extract(source: Source, month: Month, context: ExtractContext) -> Iterator[Extracted]:
    """Yield the files that arrived in the hours (UTC) of the company's local month."""
    return files.extract(_in_utc(source), month, context)


def plan(source: Source, month: Month, context: ExtractContext) -> Iterator[str]:
    """Say which files would be looked for."""
    return files.plan(_in_utc(source), month, context)


def _in_utc(source: Source) -> Source:
    options = {"settle_minutes": _SETTLE_MINUTES, **source.options}
    return replace(source, time_zone="UTC", options=options)


def _milliseconds(field: str) -> ColumnMapping:
    """Turn whole seconds into milliseconds; what is no number stays itself, to be quarantined."""
    number = f'try_cast(round(try_cast("{field}" as double) * 1000) as bigint)'
    return ColumnMapping(sql=f'coalesce(cast({number} as varchar), "{field}")')


_COLUMNS = {
    "leg_id": column("ContactId"),
    "interaction_id": ColumnMapping(sql='coalesce("InitialContactId", "ContactId")'),
    "media": ColumnMapping(
        sql="case when \"InitiationMethod\" = 'CALLBACK' then 'callback' "
        "when \"Channel\" = 'CHAT' then 'chat' else 'voice' end"
    ),
    # a program starts voice contacts outwards and chats on behalf of a customer
    "direction": ColumnMapping(
        sql="case when \"InitiationMethod\" in ('OUTBOUND', 'CALLBACK', 'EXTERNAL_OUTBOUND') "
        "or (\"InitiationMethod\" = 'API' and coalesce(\"Channel\", 'VOICE') = 'VOICE') "
        "then 'outbound' else 'inbound' end"
    ),
    "queue_id": column("Queue.Name"),
    "agent_id": column("Agent.Username"),
    "customer_key": ColumnMapping(source="CustomerEndpoint.Address", hash=True),
    "ani_hash": ColumnMapping(source="CustomerEndpoint.Address", hash=True),
    "started_at": column("InitiationTimestamp"),
    "queued_at": column("Queue.EnqueueTimestamp"),
    "answered_at": column("Agent.ConnectedToAgentTimestamp"),
    "ended_at": column("DisconnectTimestamp"),
    "wait_ms": _milliseconds("Queue.Duration"),
    "talk_ms": _milliseconds("Agent.AgentInteractionDuration"),
    "hold_ms": _milliseconds("Agent.CustomerHoldDuration"),
    "hold_count": column("Agent.NumberOfHolds"),
    "acw_ms": _milliseconds("Agent.AfterContactWorkDuration"),
    # who met no agent gave up in the queue, unless a further leg took over: another queue, or the
    # callback that was asked for
    "disposition": ColumnMapping(
        sql=f"case when {_CONNECTED} is not null then 'answered' when {_QUEUED} is null "
        "then 'failed' when \"NextContactId\" is not null then 'transferred' "
        "else 'abandoned' end"
    ),
    "raw_disposition": column("DisconnectReason"),
    "transfer_type": ColumnMapping(
        sql="case when \"TransferCompletedTimestamp\" is null then 'none' "
        "when \"TransferredToEndpoint.Type\" = 'TELEPHONE_NUMBER' then 'blind' else 'queue' end"
    ),
    "transferred_from_leg": column("PreviousContactId"),
    "transferred_to": column("NextContactId"),
    "hangup_party": ColumnMapping(
        source="DisconnectReason",
        values={"AGENT_DISCONNECT": "agent", "CUSTOMER_DISCONNECT": "customer"},
        otherwise="system",
    ),
    "ticket_id": column("Attributes.ticket_id"),
    "source_updated_at": column("LastUpdateTimestamp"),
}

CONNECTOR = Connector(
    name="amazon_connect",
    title="Amazon Connect",
    reads="contact records dropped hourly as ctr/YYYY/MM/DD/HH/* (UTC), in S3 or a folder",
    extract=extract,
    options=files.OPTIONS,
    stream_options=files.STREAM_OPTIONS,
    plan=plan,
    defaults={
        "calls": StreamMapping(
            stream="calls",
            options={"path": "ctr/{yyyy}/{mm}/{dd}/{hh}/*", "format": "json", "where": _WHERE},
            window=None,
            columns=_COLUMNS,
            ignore=("AWSAccountId", "AWSContactTraceRecordFormatVersion", "InstanceARN"),
        )
    },
)
