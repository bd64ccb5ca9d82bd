"""The help desk's truth: tickets, their events and knowledge articles, before any defect.

Set-based SQL over range() and hash(); instants are UTC timestamps, whole seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfhouse.demo.plan import SETTLE_DAYS, Plan

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Event ids leave room for every step of a ticket's life.
STEPS = 16


def build(con: DuckDBPyConnection, plan: Plan) -> None:
    """Create true_tickets, true_events and true_articles."""
    days = (plan.last.end - plan.first.start).days
    con.execute(
        _ARRIVALS.replace("@N", str(plan.tickets))
        .replace("@DAYS", str(days))
        .replace("@FIRST", plan.first.start.isoformat())
    )
    con.execute(_OWNED)
    con.execute(_POSITIONS)
    con.execute(_REPLIED)
    con.execute(_SOLVED)
    con.execute(_HANDED)
    con.execute(_TICKETS.replace("@SETTLE", str(SETTLE_DAYS)))
    con.execute(_EVENTS.replace("@STEPS", str(STEPS)))
    con.execute(
        _ARTICLES.replace("@N", str(max(plan.agents, plan.agents * len(plan.months) * 6 // 10)))
        .replace("@DAYS", str(days))
        .replace("@FIRST", plan.first.start.isoformat())
    )
    for table in ("arrivals", "owned", "positions", "replied", "solved", "handed"):
        con.execute(f"drop table {table}")


# Who would get the ticket, and when it comes in: mostly by day, fewer at weekends, some by night.
_ARRIVALS = """
create table arrivals as
with drawn as (
    select
        i,
        cast(floor(u(i, 'agent') * (select count(*) from agents)) as bigint) as idx,
        date '@FIRST' + cast(floor(u(i, 'day') * @DAYS) as integer) as day,
        case
            when u(i, 'night') < 0.07 then cast(floor(u(i, 'second') * 86400) as bigint)
            else 28800 + cast(floor(bell(i, 'second') * 43200) as bigint)
        end as second
    from range(1, @N + 1) as ids(i)
),

shifted as (
    select
        * exclude (day),
        case
            when isodow(day) >= 6 and u(i, 'weekend') < 0.6 and day - 3 >= date '@FIRST'
                then day - 3
            else day
        end as day
    from drawn
)

select
    s.i, a.employee_id, a.partner_id, a.site, a.time_zone, a.calendar, a.hire, a.leave,
    s.day,
    greatest(
        utc(a.time_zone, s.day + to_seconds(s.second)),
        (select min(start_at) from months)
            + to_seconds(cast(floor(u(s.i, 'second') * 3600) as bigint))
    ) as created_at
from shifted s
join agents a using (idx)
"""

# A person who is not employed for the whole life of a ticket does not get it; a partner does.
_OWNED = """
create table owned as
with picked as (
    select
        i, site, time_zone, calendar, created_at,
        local_day(time_zone, created_at) as created_on,
        case
            when hire <= local_day(time_zone, created_at)
                and (leave is null or leave > local_day(time_zone, created_at) + 40)
                then employee_id
            else partner_id
        end as agent_id
    from arrivals
),

mixed as (
    select
        p.*, d.team_id, d.manager_id, s.* exclude (manager_id),
        u(p.i, 'category') as draw_category,
        0.04 + 0.12 * u(t.team_index, 'mix-complaint') as complaint_share,
        0.6 * u(t.team_index, 'mix-technical') as technical_share,
        u(p.i, 'priority') - 0.15 * u(t.team_index, 'mix-priority') as draw_priority
    from picked p
    join agent_days d on d.employee_id = p.agent_id and d.day = p.created_on
    join teams t using (team_id)
    join skills s on s.manager_id = d.manager_id
)

select
    * exclude (draw_category, complaint_share, technical_share, draw_priority)
        replace (
            if(draw_category < complaint_share, by_day(time_zone, created_at), created_at)
                as created_at
        ),
    case
        when draw_category < complaint_share then 'complaint'
        when draw_category < complaint_share + 0.8 * technical_share then 'technical'
        when draw_category < 0.75 then 'delivery'
        else 'billing'
    end as category,
    case
        when draw_priority < 0.06 then 'urgent'
        when draw_priority < 0.25 then 'high'
        when draw_priority < 0.80 then 'normal'
        else 'low'
    end as priority,
    case
        when u(i, 'channel') < 0.34 then 'web'
        when u(i, 'channel') < 0.60 then 'email'
        when u(i, 'channel') < 0.80 then if(site = 'London', 'chat', 'wecom')
        else 'phone'
    end as channel,
    i > 50 and u(i, 'merged') < 0.01 as is_merged,
    u(i, 'unreplied') < 0.008 as is_unreplied,
    u(i, 'unsolved') < 0.02 as is_unsolved
from mixed
"""

# Seconds of opening time before the ticket came in, on its calendar.
_POSITIONS = """
create table positions as
select
    o.*,
    case
        when o.created_at < m.minute_at + interval 1 minute
            then m.n * 60 + date_diff('second', m.minute_at, o.created_at)
        else (m.n + 1) * 60
    end as position,
    60 * r.minutes as reply_limit,
    60 * f.minutes as solve_limit,
    60 * c.minutes as complaint_limit
from owned o
asof join open_minutes m on o.calendar = m.calendar and o.created_at >= m.minute_at
join limits r on r.measure = 'first_reply' and r.priority = o.priority
join limits f on f.measure = 'resolution' and f.priority = o.priority
join limits c on c.measure = 'complaint' and c.priority = o.priority
"""

_REPLIED = """
create table replied as
with drawn as (
    select
        *,
        case
            when u(i, 'reply-ok') < 0.66 + 0.31 * reply
                then 60 + floor((reply_limit - 120) * (0.03 + 0.92 * power(u(i, 'reply'), 1.6)))
            else floor(reply_limit * (1.03 + 1.4 * u(i, 'reply')))
        end as reply_seconds
    from positions
)

select
    d.*,
    d.position + cast(d.reply_seconds as bigint) as reply_position,
    at_reply.minute_at
        + to_seconds((d.position + cast(d.reply_seconds as bigint)) % 60) as reply_at
from drawn d
join open_minutes at_reply
    on at_reply.calendar = d.calendar
    and at_reply.n = (d.position + cast(d.reply_seconds as bigint)) // 60
"""

# Complaints run on the wall clock: their end is moved into the next opening, as people would.
_SOLVED = """
create table solved as
with drawn as (
    select
        *,
        case
            when u(i, 'solve-ok') < 0.58 + 0.37 * resolve
                then floor(solve_limit * (0.06 + 0.9 * u(i, 'solve')))
            else floor(solve_limit * (1.04 + 1.1 * u(i, 'solve')))
        end as solve_seconds,
        case
            when u(i, 'complaint-ok') < 0.52 + 0.45 * complaint
                then floor(complaint_limit * (0.04 + 0.7 * u(i, 'complaint')))
            else floor(complaint_limit * (1.02 + 0.8 * u(i, 'complaint')))
        end as complaint_seconds
    from replied
),

placed as (
    select
        d.*,
        greatest(
            d.reply_position + 240 + cast(floor(u(d.i, 'gap') * 1200) as bigint),
            case
                when d.category <> 'complaint' then d.position + cast(d.solve_seconds as bigint)
                when d.created_at + to_seconds(cast(d.complaint_seconds as bigint))
                    < m.minute_at + interval 1 minute
                    then m.n * 60 + date_diff(
                        'second', m.minute_at,
                        d.created_at + to_seconds(cast(d.complaint_seconds as bigint))
                    )
                else (m.n + 1) * 60
            end
        ) as solve_position
    from drawn d
    asof join open_minutes m
        on d.calendar = m.calendar
        and d.created_at + to_seconds(cast(d.complaint_seconds as bigint)) >= m.minute_at
)

select
    p.*,
    at_solve.minute_at + to_seconds(p.solve_position % 60) as solve_at,
    due_reply.minute_at + to_seconds((p.position + p.reply_limit - 1) % 60 + 1) as reply_due_at,
    due_solve.minute_at + to_seconds((p.position + p.solve_limit - 1) % 60 + 1) as solve_due_at
from placed p
join open_minutes at_solve
    on at_solve.calendar = p.calendar and at_solve.n = p.solve_position // 60
join open_minutes due_reply
    on due_reply.calendar = p.calendar
    and due_reply.n = (p.position + p.reply_limit - 1) // 60
join open_minutes due_solve
    on due_solve.calendar = p.calendar
    and due_solve.n = (p.position + p.solve_limit - 1) // 60
"""

# Some tickets come to somebody of another team first: passed on by hand, or given back to the queue
# of that team, or lying there from the beginning. Whoever replies and solves has them in the end.
# A few are back weeks after they were solved, and then somebody else has them.
_HANDED = """
create table handed as
with drawn as (
    select
        *,
        if(
            u(i, 'reassign') < 0.2 and not is_merged,
            cast(floor(u(i, 'other') * (select count(*) from agents)) as bigint), null
        ) as other_idx,
        if(
            u(i, 'much-later') < 0.06,
            cast(floor(u(i, 'again-other') * (select count(*) from agents)) as bigint), null
        ) as again_idx
    from solved
),

others as (
    select
        s.*,
        g.employee_id as other_id,
        d.team_id as other_team,
        u(s.i, 'hand') as draw_hand,
        s.created_at + to_seconds(400 + cast(floor(
            (0.05 + 0.95 * u(s.i, 'handed'))
            * greatest(0, least(date_diff('second', s.created_at, s.solve_at), 6 * 86400) - 460)
        ) as bigint)) as taken_at
    from drawn s
    left join agents g
        on g.idx = s.other_idx and g.site = s.site and g.employee_id <> s.agent_id
        and g.hire <= s.created_on and (g.leave is null or g.leave > s.created_on + 40)
    left join agent_days d on d.employee_id = g.employee_id and d.day = s.created_on
),

again as (
    select o.*, a.employee_id as again_id
    from others o
    left join agents a
        on a.idx = o.again_idx and a.site = o.site and a.hire <= o.created_on
        and a.leave is null
)

select
    * exclude (other_idx, again_idx, other_id, other_team, draw_hand, taken_at, team_id),
    if(other_id is not null and draw_hand >= 0.5, other_team, team_id) as team_id,
    if(draw_hand < 0.75, other_id, null) as giver_id,
    if(
        other_id is not null and draw_hand >= 0.75, taken_at,
        created_at + to_seconds(40 + cast(floor(u(i, 'assign') * 200) as bigint))
    ) as assigned_at,
    if(
        other_id is not null and draw_hand >= 0.5 and draw_hand < 0.75,
        created_at + to_seconds(300 + cast(floor(
            u(i, 'dropped') * (date_diff('second', created_at, taken_at) - 360)
        ) as bigint)),
        null
    ) as dropped_at,
    if(other_id is not null and draw_hand < 0.75, taken_at, null) as reassigned_at
from again
"""

# What the help desk knows on the day it is read: nothing later than `read_at` has happened yet.
_TICKETS = """
create table true_tickets as
with clock as (select max(end_at) + interval @SETTLE day as read_at from months),

happened as (
    select
        s.*, c.read_at,
        if(is_merged or is_unreplied or reply_at >= c.read_at, null, reply_at) as first_reply_at,
        if(is_merged or is_unreplied or is_unsolved or solve_at >= c.read_at, null, solve_at)
            as solved_at
    from handed s, clock c
),

again as (
    select
        *,
        case
            when solved_at is null or category = 'complaint' then null
            when again_id is not null
                then solved_at
                    + to_seconds(cast(floor((15 + 25 * u(i, 'reopen-when')) * 86400) as bigint))
            when u(i, 'reopen') < 0.03 + 0.13 * (1 - reopen) then solved_at + to_seconds(
                if(
                    u(i, 'reopen-late') < 0.08,
                    cast(floor((7.1 + 0.8 * u(i, 'reopen-when')) * 86400) as bigint),
                    cast(floor((0.15 + 6.7 * u(i, 'reopen-when')) * 86400) as bigint)
                )
            )
        end as wanted
    from happened
),

back as (
    select
        a.* exclude (wanted),
        if(a.wanted < a.read_at, a.wanted, null) as reopened_at,
        if(a.wanted < a.read_at, m.n + 30 + cast(floor(u(a.i, 'again') * 300) as bigint), null)
            as again_minute
    from again a
    asof left join open_minutes m on a.calendar = m.calendar and a.wanted >= m.minute_at
),

ended as (
    select
        b.* exclude (again_minute),
        if(
            m.minute_at + to_seconds(17) < b.read_at, m.minute_at + to_seconds(17), null
        ) as solved_again_at
    from back b
    left join open_minutes m on m.calendar = b.calendar and m.n = b.again_minute
),

closing as (
    select
        *,
        coalesce(solved_again_at, if(reopened_at is null, solved_at, null)) as final_solve_at,
        coalesce(solved_again_at, solved_at) as resolved_at
    from ended
)

select
    i as ticket_id,
    if(u(i, 'unknown') < 0.003, 'user:9001', agent_id) as agent_id, time_zone, calendar, site,
    team_id, category, channel, priority,
    created_at, giver_id, assigned_at, dropped_at, reassigned_at,
    if(reopened_at is null, null, again_id) as again_id,
    if(again_id is null, null, reopened_at + to_seconds(60)) as again_at,
    first_reply_at, solved_at, reopened_at, solved_again_at, resolved_at,
    case
        when category = 'complaint' then final_solve_at
        when final_solve_at + interval 72 hour < read_at then final_solve_at + interval 72 hour
    end as closed_at,
    if(is_merged, created_at + to_seconds(360 + i % 300), null) as merged_at,
    if(is_merged, greatest(1, i - 1 - i % 40), null) as merged_into,
    reply_due_at, solve_due_at,
    created_at + to_seconds(complaint_limit) as complaint_due_at,
    1 + cast(floor(u(i, 'customer') * greatest(10, (select count(*) from solved) * 0.7)) as bigint)
        as customer_no,
    if(first_reply_at is null, 0, cast(floor(u(i, 'replies') * 3) as bigint)) as more_replies,
    csat, nps, attitude, manager_id as skill_of, read_at
from closing
"""

# One row per step; the step number is the order within the ticket and part of the id. `actor_id`
# did it; an assignment takes the ticket from `old_id` to `new_id`.
_EVENTS = """
create table true_events as
with steps as (
    select ticket_id, 0 as step, created_at as at_time, 'TicketCreated' as kind, 'customer' as role,
        null as old_id, null as new_id
    from true_tickets
    union all
    select ticket_id, 1, created_at + to_seconds(2), 'AutoReply', 'bot', null, null
    from true_tickets
    union all
    select ticket_id, 2, assigned_at, 'Assigned', 'system', null, coalesce(giver_id, agent_id)
    from true_tickets
    union all
    select ticket_id, 3, reassigned_at, 'Reassigned', 'system',
        if(dropped_at is null, giver_id, null), agent_id
    from true_tickets where reassigned_at is not null
    union all
    select ticket_id, 4, first_reply_at, 'PublicReply', 'agent', null, null from true_tickets
    where first_reply_at is not null
    union all
    select t.ticket_id, 5 + n, first_reply_at + to_seconds(60 + 55 * n),
        if(n % 2 = 0, 'Note', 'PublicReply'), 'agent', null, null
    from true_tickets t, range(0, 2) as more(n)
    where n < t.more_replies
    union all
    select ticket_id, 7, dropped_at, 'Unassigned', 'agent', giver_id, null
    from true_tickets where dropped_at is not null
    union all
    select ticket_id, 8, solved_at - to_seconds(30), 'CustomerReply', 'customer', null, null
    from true_tickets where solved_at is not null and ticket_id % 3 = 0
    union all
    select ticket_id, 9, solved_at, 'Solved', 'agent', null, null
    from true_tickets where solved_at is not null
    union all
    select ticket_id, 10, reopened_at, 'Reopened', 'customer', null, null from true_tickets
    where reopened_at is not null
    union all
    select ticket_id, 11, solved_again_at, 'Solved', 'agent', null, null
    from true_tickets where solved_again_at is not null
    union all
    select ticket_id, 12, closed_at, 'Closed', if(category = 'complaint', 'agent', 'system'),
        null, null
    from true_tickets where closed_at is not null
    union all
    select ticket_id, 13, merged_at, 'Merged', 'agent', null, null from true_tickets
    where merged_at is not null
    union all
    select ticket_id, 14, again_at, 'Reassigned', 'system', agent_id, again_id
    from true_tickets where again_at is not null
)

select
    s.ticket_id * @STEPS + s.step as event_id, s.*, t.customer_no,
    case
        when s.step = 7 then t.giver_id
        when s.step in (11, 12) then coalesce(t.again_id, t.agent_id)
        else t.agent_id
    end as actor_id
from steps s
join true_tickets t using (ticket_id)
where s.at_time < t.read_at
"""

_ARTICLES = """
create table true_articles as
with drawn as (
    select
        i,
        cast(floor(u(i, 'kb-agent') * (select count(*) from agents)) as bigint) as idx,
        date '@FIRST' + cast(floor(u(i, 'kb-day') * @DAYS) as integer) as day
    from range(1, @N + 1) as ids(i)
),

written as (
    select
        d.i, d.day, a.time_zone, a.partner_id,
        if(
            a.hire <= d.day and (a.leave is null or a.leave > d.day + 12),
            a.employee_id, a.partner_id
        ) as author_id,
        utc(a.time_zone, d.day + to_seconds(36000 + cast(floor(u(d.i, 'kb-s') * 21600) as bigint)))
            as submitted_at
    from drawn d
    join agents a using (idx)
)

select
    w.i as revision_id, 1 + (w.i * 7) % greatest(1, @N // 2) as article_id, w.author_id,
    w.time_zone,
    case when u(w.i, 'kb-kind') < 0.45 then 'create' when u(w.i, 'kb-kind') < 0.85 then 'update'
        else 'review' end as action,
    case
        when u(w.i, 'kb-state') < 0.45 + 0.5 * s.knowledge then 'published'
        when u(w.i, 'kb-state') < 0.97 then 'rejected'
        else 'draft'
    end as state,
    w.submitted_at,
    by_day(
        w.time_zone,
        w.submitted_at + to_seconds(3600 + cast(floor(u(w.i, 'kb-wait') * 500000) as bigint))
    ) as decided_at
from written w
join agent_days d on d.employee_id = w.author_id and d.day = w.day
join skills s on s.manager_id = d.manager_id
"""
