"""Kamailio's accounting tables as calls: one row per dialog of `acc_cdrs`.

Brings query and mapping; which extra columns hold caller, queue and agent is configured.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors import sql
from connectors.base import column
from perfhouse.company import ColumnMapping, Source, StreamMapping

# the tables have no such columns of their own: the operator adds them as `cdr_extra`
_EXTRAS = ("callid", "caller", "queue", "agent")
_QUERY = """
select
    c.id,
    c.{callid} as callid,
    c.{caller} as caller,
    c.{queue} as queue,
    c.{agent} as agent,
    c.start_time,
    c.end_time,
    c.duration,
    m.sip_code,
    m.sip_reason
from acc_cdrs c
left join (
    select callid, max(id) as id
    from missed_calls
    group by callid
) latest on latest.callid = c.{callid}
left join missed_calls m on m.id = latest.id
where c.end_time >= :start and c.end_time < :end
"""
# a call that one agent refused and the next one took has a reason, and talked nevertheless
_ANSWERED = '("sip_code" is null or coalesce(try_cast("duration" as double), 0) > 0)'


def _fill(source: Source, backend: str) -> Mapping[str, str]:
    return {name: sql.name_option(source, f"{name}_column", name) for name in _EXTRAS}


_COLUMNS = {
    "leg_id": column("id"),
    "interaction_id": column("callid"),
    "leg_no": ColumnMapping(value=1),
    "media": ColumnMapping(value="voice"),
    "direction": ColumnMapping(value="inbound"),
    "queue_id": column("queue"),
    # nobody is credited with a call that nobody took
    "agent_id": ColumnMapping(sql=f'case when {_ANSWERED} then "agent" end'),
    "customer_key": ColumnMapping(source="caller", hash=True),
    "ani_hash": ColumnMapping(source="caller", hash=True),
    "started_at": column("start_time"),
    "answered_at": ColumnMapping(sql=f'case when {_ANSWERED} then "start_time" end'),
    "ended_at": column("end_time"),
    "talk_ms": ColumnMapping(
        sql=f"""case when {_ANSWERED}
            then try_cast(round(try_cast("duration" as double) * 1000) as bigint) end"""
    ),
    "disposition": ColumnMapping(
        sql=f"""case when {_ANSWERED} then 'answered'
            when "sip_code" in ('486', '600') then 'busy'
            when "sip_code" = '487' then 'abandoned'
            when "sip_code" in ('408', '480', '603') then 'no_answer'
            else 'failed' end"""
    ),
    "raw_disposition": ColumnMapping(
        sql=f"""case when {_ANSWERED} then '200' else "sip_code" || ' ' || "sip_reason" end"""
    ),
    "source_updated_at": column("end_time"),
    "source_seq": column("id"),
}

CONNECTOR = sql.ready(
    name="kamailio",
    title="Kamailio",
    reads="dialogs of acc_cdrs that ended in the month, with the reasons of missed_calls",
    defaults=(StreamMapping("calls", {"query": _QUERY}, None, _COLUMNS, ()),),
    options=tuple(f"{name}_column" for name in _EXTRAS),
    fill=_fill,
)
