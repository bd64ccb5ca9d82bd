"""Asterisk's `queue_log` and `cdr` tables as calls: queue legs first, then what met no queue.

Brings query and mapping for the tables as Asterisk's own migrations make them.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors import sql
from connectors.base import column
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError

_TAKEN = "('COMPLETEAGENT', 'COMPLETECALLER', 'BLINDTRANSFER', 'ATTENDEDTRANSFER', 'TRANSFER')"
_PASSED = "('BLINDTRANSFER', 'ATTENDEDTRANSFER', 'TRANSFER')"
_LOST = "('ABANDON', 'EXITWITHTIMEOUT', 'EXITEMPTY', 'EXITWITHKEY')"
# A visit to a queue ends with one event; what came before it in the same call and queue is found
# in one pass over the log, which has no index but its id. A call may wait over midnight.
_QUERY = f"""
with log as (
    select
        l.id, l.time, l.callid, l.queuename, l.agent, l.event, l.data1, l.data2, l.data3, l.data4,
        max(case when l.event = 'ENTERQUEUE' then l.id end)
            over (partition by l.callid, l.queuename order by l.id) as enter_id,
        max(case when l.event = 'CONNECT' then l.id end)
            over (partition by l.callid, l.queuename order by l.id) as connect_id,
        max(case when l.event in {_PASSED} then l.id end) over (
            partition by l.callid order by l.id rows between unbounded preceding and 1 preceding
        ) as passed_id
    from {{queue_log}} l
    where l.time >= :start - interval '1' day and l.time < :end
),
linked as (
    select c.uniqueid, min(c.linkedid) as linkedid
    from {{cdr}} c
    where c.start >= :start - interval '1' day and c.start < :end
    group by c.uniqueid
)
select
    concat('q', x.id) as leg_id,
    coalesce(k.linkedid, x.callid) as interaction_id,
    x.id as seq,
    'queue' as kind,
    'inbound' as direction,
    x.queuename as queue,
    case when x.event in {_TAKEN} then x.agent end as agent,
    e.data2 as caller,
    coalesce(e.time, a.time, x.time) as started,
    e.time as queued,
    a.time as answered,
    x.time as ended,
    x.event as event,
    case when a.id is not null then a.data1 when x.event = 'EXITWITHKEY' then x.data4
        when x.event in {_LOST} then x.data3 end as wait_seconds,
    a.data3 as ring_seconds,
    case when x.event in ('COMPLETEAGENT', 'COMPLETECALLER') then x.data2
        when x.event in ('BLINDTRANSFER', 'TRANSFER') then x.data4 end as talk_seconds,
    case when x.event in ('BLINDTRANSFER', 'TRANSFER') then x.data1 end as transferred_to,
    case when x.passed_id is not null then concat('q', x.passed_id) end as transferred_from
from log x
left join log e on e.id = x.enter_id
left join log a on a.id = x.connect_id and a.id > coalesce(x.enter_id, 0)
    and x.event in {_TAKEN}
left join linked k on k.uniqueid = x.callid
where x.event in {_TAKEN[:-1]}, {_LOST[1:]} and x.time >= :start
union all
select
    concat(c.uniqueid, '-', c.sequence),
    c.linkedid,
    c.sequence,
    'direct',
    case when c.dcontext in ({{contexts}}) then 'outbound' else 'inbound' end,
    null,
    case when c.disposition = 'ANSWERED' or c.dcontext in ({{contexts}}) then
        case when c.dcontext in ({{contexts}}) then c.channel else c.dstchannel end end,
    case when c.dcontext in ({{contexts}}) then c.dst else c.src end,
    c.start,
    null,
    c.answer,
    c.end,
    c.disposition,
    null,
    concat(c.duration - c.billsec, ''),
    case when c.disposition = 'ANSWERED' then concat(c.billsec, '') end,
    null,
    null
from {{cdr}} c
where coalesce(c.lastapp, '') not in ('Queue', 'AppQueue')
    and c.end >= :start and c.end < :end
"""


def _fill(source: Source, backend: str) -> Mapping[str, str]:
    contexts = source.options.get("agent_contexts", ["from-internal"])
    if not isinstance(contexts, list) or not contexts:
        raise ConfigError([f"{source.id}.agent_contexts: expected a list, got {contexts!r}"])
    where = f"{source.id}.agent_contexts"
    return {
        "queue_log": sql.name_option(source, "queue_log_table", "queue_log"),
        "cdr": sql.name_option(source, "cdr_table", "cdr"),
        "contexts": ", ".join(sql.text_option(each, where) for each in contexts),
    }


def _milliseconds(name: str) -> ColumnMapping:
    return ColumnMapping(sql=f'try(try_cast("{name}" as bigint) * 1000)')


_COLUMNS = {
    "leg_id": column("leg_id"),
    "interaction_id": column("interaction_id"),
    "leg_no": column("seq"),
    "media": ColumnMapping(value="voice"),
    "direction": column("direction"),
    "queue_id": column("queue"),
    # a channel is a device and what makes it unique: PJSIP/8007-0000002a
    "agent_id": ColumnMapping(
        sql=r"""nullif(case when "kind" = 'direct'
            then regexp_replace("agent", '-[0-9a-fA-F]+(;\d)?$', '') else "agent" end, 'NONE')"""
    ),
    "customer_key": ColumnMapping(source="caller", hash=True),
    "ani_hash": ColumnMapping(source="caller", hash=True),
    "started_at": column("started"),
    "queued_at": column("queued"),
    "answered_at": column("answered"),
    "ended_at": column("ended"),
    "wait_ms": _milliseconds("wait_seconds"),
    "ring_ms": _milliseconds("ring_seconds"),
    # an attended transfer tells no talking time in a fixed place
    "talk_ms": ColumnMapping(
        sql="""coalesce(try(try_cast("talk_seconds" as bigint) * 1000),
            case when "event" = 'ATTENDEDTRANSFER' then date_diff('millisecond',
                try_cast("answered" as timestamp), try_cast("ended" as timestamp)) end)"""
    ),
    "disposition": ColumnMapping(
        source="event",
        values={
            **dict.fromkeys(("COMPLETEAGENT", "COMPLETECALLER", "ANSWERED"), "answered"),
            **dict.fromkeys(("BLINDTRANSFER", "ATTENDEDTRANSFER", "TRANSFER"), "answered"),
            **{"ABANDON": "abandoned", "BUSY": "busy", "FAILED": "failed", "CONGESTION": "failed"},
            **dict.fromkeys(
                ("EXITWITHTIMEOUT", "EXITEMPTY", "EXITWITHKEY", "NO ANSWER"), "no_answer"
            ),
        },
    ),
    "raw_disposition": column("event"),
    "transfer_type": ColumnMapping(
        source="event",
        values={"BLINDTRANSFER": "blind", "TRANSFER": "blind", "ATTENDEDTRANSFER": "attended"},
        otherwise="none",
    ),
    # a call that comes back to a queue was passed on by the leg before
    "transferred_from_leg": column("transferred_from"),
    "transferred_to": column("transferred_to"),
    "hangup_party": ColumnMapping(
        sql="""case "event" when 'COMPLETEAGENT' then 'agent' when 'COMPLETECALLER' then 'customer'
            when 'ABANDON' then 'customer' when 'EXITWITHTIMEOUT' then 'system'
            when 'EXITEMPTY' then 'system' end"""
    ),
    "source_updated_at": column("ended"),
    "source_seq": column("seq"),
}

CONNECTOR = sql.ready(
    name="asterisk",
    title="Asterisk",
    reads="queue visits and calls without a queue that ended in the month, by queue_log and cdr",
    defaults=(StreamMapping("calls", {"query": _QUERY}, None, _COLUMNS, ()),),
    options=("queue_log_table", "cdr_table", "agent_contexts"),
    fill=_fill,
)
