"""The telephone system's truth, and its contact trace records as hourly JSON files.

A contact is one agent leg or one caller who gave up; a transfer starts a second contact.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse.demo.plan import SHORT_ABANDON_SECONDS, Plan

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Share of contacts that another contact follows; the number asked for counts both.
_TRANSFERS = 0.08


def build(con: DuckDBPyConnection, plan: Plan) -> None:
    """Create true_calls: one row per contact, as it finally is."""
    primary = max(1, round(plan.calls / (1 + _TRANSFERS)))
    con.execute(_PLACED.replace("@N", str(primary)))
    con.execute(_FIRST_LEGS.replace("@SHORT", str(SHORT_ABANDON_SECONDS)))
    con.execute(_CALLS)
    con.execute("drop table placed")
    con.execute("drop table first_legs")


# Calls come in while the site is open; a person who is not employed that day is replaced.
_PLACED = """
create table placed as
with span as (
    select m.calendar, min(m.n) as low, count(*) as width
    from open_minutes m
    where m.minute_at >= (select min(start_at) + interval 1 day from months)
        and m.minute_at < (select max(end_at) from months)
    group by m.calendar
),

drawn as (
    select
        c.i, a.employee_id, a.partner_id, a.hire, a.leave, a.time_zone, a.site,
        a.calendar, s.low + cast(floor(u(c.i, 'call-minute') * s.width) as bigint) as n
    from range(1, @N + 1) as c(i)
    join agents a
        on a.idx = cast(floor(u(c.i, 'call-agent') * (select count(*) from agents)) as bigint)
    join span s on s.calendar = a.calendar
),

timed as (
    select
        d.* exclude (calendar, n),
        m.minute_at + to_seconds(cast(floor(u(d.i, 'call-second') * 60) as bigint)) as started_at,
        local_day(d.time_zone, m.minute_at) as day
    from drawn d
    join open_minutes m on m.calendar = d.calendar and m.n = d.n
)

select
    i, site, time_zone, started_at, day,
    if(hire <= day and (leave is null or leave > day), employee_id, partner_id) as agent_id
from timed
"""

_FIRST_LEGS = """
create table first_legs as
with skilled as (
    select p.*, d.team_id, s.talk, s.wait, s.abandon, s.transfer
    from placed p
    join agent_days d on d.employee_id = p.agent_id and d.day = p.day
    join skills s on s.manager_id = d.manager_id
),

fated as (
    select
        *,
        started_at + to_seconds(6 + cast(floor(u(i, 'menu') * 40) as bigint)) as queued_at,
        u(i, 'abandon') < 0.035 + 0.085 * (1 - abandon) as is_abandoned,
        u(i, 'transfer') < 0.03 + 0.1 * (1 - transfer) as wants_transfer
    from skilled
)

select
    *,
    case
        when is_abandoned and u(i, 'short') < 0.2
            then 1 + cast(floor(u(i, 'patience') * @SHORT) as bigint)
        when is_abandoned then @SHORT + 1 + cast(floor(u(i, 'patience') * 170) as bigint)
        else 1 + cast(floor(-ln(1 - u(i, 'wait')) * (9 + 26 * (1 - wait))) as bigint)
    end as wait_seconds,
    if(is_abandoned, 0,
        30 + cast(floor(-ln(1 - u(i, 'talk')) * (110 + 130 * (1 - talk))) as bigint))
        as talk_seconds,
    if(is_abandoned or u(i, 'hold') < 0.7, 0, 10 + cast(floor(u(i, 'hold-s') * 90) as bigint))
        as hold_seconds,
    if(is_abandoned, 0, 8 + cast(floor(u(i, 'acw') * (40 + 60 * (1 - talk))) as bigint))
        as acw_seconds
from fated
"""

# The second contact of a transfer is taken by another team of the site and always answered.
_CALLS = """
create table true_calls as
with takers as (
    select
        f.i, f.site, f.time_zone, f.day, f.team_id as from_team,
        f.queued_at + to_seconds(f.wait_seconds + f.talk_seconds + f.hold_seconds) as started_at,
        t.employee_id as person
    from first_legs f
    join agents a on a.idx = cast(floor(u(f.i, 'taker') * (select count(*) from agents)) as bigint)
    join agents t on t.employee_id = if(
        a.site = f.site and a.hire <= f.day and (a.leave is null or a.leave > f.day),
        a.employee_id,
        (select min(g.partner_id) from agents g where g.site = f.site)
    )
    where not f.is_abandoned and f.wants_transfer
),

seconds as (
    select
        1000000000 + k.i as leg, k.i as root, true as is_second, k.site, k.time_zone, k.person,
        k.day, d.team_id, false as is_abandoned, false as is_transferred, k.started_at,
        k.started_at as queued_at,
        1 + cast(floor(-ln(1 - u(k.i, 'wait2')) * 20) as bigint) as wait_seconds,
        30 + cast(floor(-ln(1 - u(k.i, 'talk2')) * 150) as bigint) as talk_seconds,
        0 as hold_seconds,
        8 + cast(floor(u(k.i, 'acw2') * 60) as bigint) as acw_seconds
    from takers k
    join agent_days d on d.employee_id = k.person and d.day = k.day and d.team_id <> k.from_team
),

legs as (
    select
        f.i as leg, f.i as root, false as is_second, f.site, f.time_zone,
        f.agent_id as person, f.day, f.team_id, f.is_abandoned,
        s.root is not null as is_transferred, f.started_at, f.queued_at,
        f.wait_seconds, f.talk_seconds, f.hold_seconds, f.acw_seconds
    from first_legs f
    left join seconds s on s.root = f.i
),

every as (
    select * from legs union all select * from seconds
)

select
    leg, root, is_second, is_transferred, is_abandoned, site, time_zone, team_id,
    case
        when is_abandoned then null
        when u(leg, 'unknown-agent') < 0.003 then 'TEMP-7'
        else person
    end as agent_id,
    started_at, queued_at, wait_seconds, talk_seconds, hold_seconds, acw_seconds,
    queued_at + to_seconds(wait_seconds) as dequeued_at,
    queued_at + to_seconds(wait_seconds + talk_seconds + hold_seconds) as ended_at
from every
"""


def write(con: DuckDBPyConnection, folder: Path) -> int:
    """Write call_versions (delivered_at decides the file) as ctr/YYYY/MM/DD/HH/*.json.

    Some files hold one object a line, some hold objects glued together, as the stream's delivery
    leaves them.
    """
    cursor = con.cursor()
    cursor.execute(_JSON)
    files: dict[str, list[str]] = {}
    while rows := cursor.fetchmany(20_000):
        for name, body in rows:
            files.setdefault(name, []).append(body)
    for number, (name, bodies) in enumerate(files.items()):
        path = folder / "ctr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(("" if number % 3 == 0 else "\n").join(bodies).encode())
    return len(files)


_JSON = """
with ids as (
    select
        *,
        contact_uuid(leg) as contact_id,
        if(is_second, '"' || contact_uuid(root) || '"', 'null') as previous_id,
        if(is_transferred, '"' || contact_uuid(1000000000 + root) || '"', 'null') as next_id,
        zulu(ended_at) as ended_text,
        zulu(dequeued_at) as dequeued_text
    from call_versions
)

select
    strftime(delivered_at, '%Y/%m/%d/%H/ctr-1-%Y-%m-%d-%H-00-00.json') as name,
    '{"AWSContactTraceRecordFormatVersion":"2017-03-10","Agent":'
    || if(
        username is null, 'null',
        '{"AfterContactWorkDuration":' || acw_seconds
        || ',"AgentInteractionDuration":' || talk_seconds
        || ',"ConnectedToAgentTimestamp":"' || dequeued_text
        || '","CustomerHoldDuration":' || hold_seconds
        || ',"HierarchyGroups":null,"LongestHoldDuration":' || hold_seconds
        || ',"NumberOfHolds":' || if(hold_seconds > 0, 1, 0)
        || ',"RoutingProfile":{"Name":"' || site || '"},"Username":"' || username || '"}'
    )
    || ',"AgentConnectionAttempts":' || if(username is null, 0, 1)
    || ',"Attributes":{},"Channel":"VOICE","ConnectedToSystemTimestamp":"'
    || zulu(started_at)
    || '","ContactId":"' || contact_id
    || '","CustomerEndpoint":{"Address":"+1555' || lpad(cast(root % 10000000 as varchar), 7, '0')
    || '","Type":"TELEPHONE_NUMBER"},"DisconnectReason":"'
    || if(is_transferred, 'CONTACT_FLOW_DISCONNECT', 'CUSTOMER_DISCONNECT')
    || '","DisconnectTimestamp":"' || coalesce(bad_end, ended_text)
    || '","InitialContactId":' || previous_id
    || ',"InitiationMethod":"' || if(is_second, 'TRANSFER', 'INBOUND')
    || '","InitiationTimestamp":"' || zulu(started_at)
    || '","LastUpdateTimestamp":"'
    || zulu(updated_at)
    || '","NextContactId":' || next_id
    || ',"PreviousContactId":' || previous_id
    || ',"Queue":{"DequeueTimestamp":"' || dequeued_text
    || '","Duration":' || wait_seconds
    || ',"EnqueueTimestamp":"' || zulu(queued_at)
    || '","Name":"' || team_id
    || '"},"Recording":null,"SystemEndpoint":{"Address":"+15550100002","Type":"TELEPHONE_NUMBER"}'
    || ',"TransferCompletedTimestamp":' || if(is_transferred, '"' || ended_text || '"', 'null')
    || ',"TransferredToEndpoint":null}' as body
from ids
order by date_trunc('hour', delivered_at), delivered_at, leg, version, copy
"""
