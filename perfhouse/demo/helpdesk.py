"""The help desk's SQLite database, in its own dialect, with the defects of a replicated export.

Rows are written in a fixed order into a fresh file: equal plans give equal bytes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse.demo.plan import SETTLE_DAYS, write_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILE = "helpdesk.db"
_BATCH = 50_000
UNKNOWN_USER = 9001

_TABLES = {
    "users": "user_id integer, employee_no text, login text, kind text",
    "tickets": "ticket_no integer, kind text, channel text, priority text, state text, queue text, "
    "assignee integer, customer_ref text, created text, first_assigned text, first_reply text, "
    "solved text, closed text, sla_reply_due text, sla_solve_due text, sla_breached integer, "
    "reopens integer, reassigned integer, replies integer, merged_into integer, updated text",
    "ticket_events": "event_no integer, ticket_no integer, occurred text, actor integer, "
    "actor_role text, what text, old_owner integer, new_owner integer, seconds_spent integer",
    "kb_articles": "revision_no integer, article_no integer, author integer, action text, "
    "state text, submitted text, decided text, changed text",
}


def write(con: DuckDBPyConnection, folder: Path) -> Path:
    """Write the database and return its path; tables desk_* stay behind for the truth."""
    con.execute(_USERS.replace("@UNKNOWN", str(UNKNOWN_USER)))
    con.execute(_TICKETS)
    con.execute(_EVENTS.replace("@UNKNOWN", str(UNKNOWN_USER)))
    con.execute(_ARTICLES)
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as desk:
        for pragma in ("page_size = 8192", "journal_mode = off", "synchronous = off"):
            desk.execute(f"pragma {pragma}")
        for table, columns in _TABLES.items():
            desk.execute(f"create table {table} ({columns})")
            _copy(con, desk, table, columns)
        desk.commit()
    write_text(folder / "helpdesk.README.txt", _README)
    return path


def _copy(con: DuckDBPyConnection, desk: sqlite3.Connection, table: str, columns: str) -> None:
    names = [column.split()[0] for column in columns.split(",")]
    listed = ", ".join(names)
    marks = ", ".join("?" for _ in names)
    cursor = con.cursor()
    cursor.execute(f"select {listed} from desk_{table} order by {names[0]}, copy")
    while rows := cursor.fetchmany(_BATCH):
        desk.executemany(f"insert into {table} ({listed}) values ({marks})", rows)


_USERS = """
create table desk_users as
select
    99 + row_number() over (order by employee_id) as user_id,
    employee_id as employee_no,
    lower(employee_id) as login,
    if(role = 'agent', 'agent', 'lead') as kind,
    0 as copy
from persons
union all
select @UNKNOWN, null, 'former.temp', 'agent', 0
"""

# A reply of the last days may still lack its day's time; broken rows are extra rows.
_TICKETS = """
create table desk_tickets as
with known as (
    select
        t.*, u.user_id,
        greatest(
            t.created_at, t.assigned_at, t.dropped_at, t.reassigned_at, t.first_reply_at,
            t.solved_at, t.reopened_at, t.again_at, t.solved_again_at, t.closed_at, t.merged_at
        ) as updated_at,
        u(t.ticket_id, 'lost-time') < 0.03 and extract(hour from t.created_at) > 0 as has_lost_time
    from true_tickets t
    left join desk_users u on u.employee_no = coalesce(t.again_id, t.agent_id)
),

rows as (
    select
        ticket_id as ticket_no, created_at, updated_at, true_state(
            merged_at, closed_at, solved_again_at, reopened_at, solved_at, first_reply_at
        ) as state,
        case category when 'complaint' then 'Complaint' when 'technical' then 'Technical'
            when 'delivery' then 'Delivery' else 'Billing' end as kind,
        case channel when 'web' then 'Web form' when 'email' then 'E-mail' when 'chat' then
            'Live chat' when 'wecom' then 'WeCom' else 'Phone' end as channel,
        case priority when 'urgent' then 'P1' when 'high' then 'P2' when 'normal' then 'P3'
            else 'P4' end as priority,
        team_id as queue, coalesce(user_id, 9001) as assignee, 'C' || customer_no as customer_ref,
        if(has_lost_time, date_trunc('day', created_at), assigned_at) as first_assigned_at,
        first_reply_at, resolved_at, closed_at, reply_due_at, solve_due_at,
        cast(
            resolved_at > solve_due_at or (resolved_at is null and solve_due_at < read_at)
            as integer
        ) as sla_breached,
        cast(reopened_at is not null as integer) as reopens,
        cast(reassigned_at is not null as integer) as reassigned,
        if(first_reply_at is null, 0, 1 + more_replies // 2) as replies, merged_into,
        has_lost_time, user_id is null as is_unknown
    from known
)

select
    ticket_no, kind, channel, priority, state, queue, assignee, customer_ref,
    stamp(created_at) as created, stamp(first_assigned_at) as first_assigned,
    stamp(first_reply_at) as first_reply, stamp(resolved_at) as solved, stamp(closed_at) as closed,
    stamp(reply_due_at) as sla_reply_due, stamp(solve_due_at) as sla_solve_due,
    coalesce(sla_breached, 0) as sla_breached, reopens, reassigned, replies, merged_into,
    stamp(updated_at) as updated, 0 as copy,
    case when is_unknown then 'unknown person' when has_lost_time then 'lost time of day' end
        as defect,
    'landed' as fate
from rows
union all
select
    ticket_no, kind, channel, priority, state, queue, assignee, customer_ref, stamp(created_at),
    stamp(first_assigned_at), stamp(first_reply_at), stamp(resolved_at), stamp(closed_at),
    stamp(reply_due_at), stamp(solve_due_at), coalesce(sla_breached, 0), reopens, reassigned,
    replies, merged_into, stamp(updated_at), 1, 'exact duplicate', 'duplicate'
from rows
where u(ticket_no, 'copied') < 0.001
union all
select
    900000000 + ticket_no, kind, channel, priority, 'Open', queue, assignee, customer_ref,
    strftime(m.first_day, '%Y-%m-15 27:61:00'),
    null, null, null, null, null, null, 0, 0, 0, 0, null,
    strftime(m.first_day, '%Y-%m-') || '15 12:00:00', 0, 'unparsable date', 'quarantined'
from rows
join months m on ticket_no % 1000 = m.position + 1 and ticket_no < 4000
"""

_EVENTS = """
create table desk_ticket_events as
with rows as (
    select
        e.event_id as event_no, e.ticket_id as ticket_no, e.at_time, e.role as actor_role,
        e.kind as what,
        case when e.role = 'agent' then coalesce(u.user_id, @UNKNOWN) end as actor,
        case when e.old_id is not null then coalesce(o.user_id, @UNKNOWN) end as old_owner,
        case when e.new_id is not null then coalesce(n.user_id, @UNKNOWN) end as new_owner,
        if(e.role = 'agent', 20 + e.event_id % 500, null) as seconds_spent
    from true_events e
    left join desk_users u on u.employee_no = e.actor_id
    left join desk_users o on o.employee_no = e.old_id
    left join desk_users n on n.employee_no = e.new_id
),

broken as (
    select
        r.*, m.first_day,
        row_number() over (partition by m.month order by u(r.event_no, 'broken'), r.event_no) as nth
    from rows r
    join months m on r.at_time >= m.start_at and r.at_time < m.end_at
    where r.what = 'PublicReply' and u(r.event_no, 'broken') < 0.05
)

select
    event_no, ticket_no, stamp(at_time) as occurred, actor, actor_role, what, old_owner, new_owner,
    seconds_spent, 0 as copy,
    if(actor = @UNKNOWN, 'unknown person', null) as defect, 'landed' as fate
from rows
union all
select
    event_no, ticket_no, stamp(at_time), actor, actor_role, what, old_owner, new_owner,
    seconds_spent, 1, 'exact duplicate', 'duplicate'
from rows
where u(event_no, 'copied') < 0.003
union all
select
    2000000000 + event_no, ticket_no,
    case
        when nth <= 10 then strftime(first_day, '%Y-%m-')
            || lpad(cast(1 + day(last_day(first_day)) as varchar), 2, '0') || ' 10:00:00'
        when nth <= 20 then strftime(first_day, '%Y-%m-15') || ' 25:10:00'
        else stamp(at_time)
    end,
    actor, actor_role, 'Note', null, null, if(nth <= 20, 0, -seconds_spent), 0,
    case when nth <= 10 then 'impossible date' when nth <= 20 then 'unparsable date'
        else 'negative duration' end,
    'quarantined'
from broken
where nth <= 28
"""

_ARTICLES = """
create table desk_kb_articles as
select
    a.revision_id as revision_no, a.article_id as article_no, u.user_id as author, a.action,
    a.state,
    stamp(a.submitted_at) as submitted,
    if(a.state = 'published', stamp(a.decided_at), null) as decided,
    stamp(if(a.state = 'draft', a.submitted_at, a.decided_at)) as changed,
    0 as copy, cast(null as varchar) as defect, 'landed' as fate
from true_articles a
join desk_users u on u.employee_no = a.author_id
"""

# What the queries of perfhouse.toml take for a month, restated here to count it for the truth.
DELIVERED = f"""
create table desk_delivered as
select 'tickets' as stream, m.month, t.defect, t.fate
from desk_tickets t
join months m on t.updated >= stamp(m.start_at) and t.created < stamp(m.end_at)
union all
select 'ticket_events', m.month, e.defect, e.fate
from desk_ticket_events e
join months m
    on e.occurred >= stamp(m.start_at)
    and e.occurred < stamp(m.end_at + interval {SETTLE_DAYS} day)
union all
select 'kb_contributions', m.month, a.defect, a.fate
from desk_kb_articles a
join months m on a.changed >= stamp(m.start_at) and a.changed < stamp(m.end_at)
"""

_README = """Help desk export (SQLite). All times are UTC without a zone, 'YYYY-MM-DD HH:MM:SS'.
The replication delivers at least once: ids are not unique. users.employee_no links to HR.
"""
