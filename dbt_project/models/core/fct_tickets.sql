{%- set scan_start = instant(local_midnight(month_day(month_key())) - 86400) -%}
with months as (

    select * from {{ ref('dim_months') }} where month = {{ month_start() }}

),

tickets as (

    select *
    from {{ ref('stg_tickets') }}
    where created_at < {{ instant(local_midnight(month_day(month_key(), 1)) + 86400) }}
        and (
            resolved_at is null
            or resolved_at >= {{ scan_start }}
            or source_updated_at >= {{ scan_start }}
            or is_complaint
        )

),

events as (

    select
        t.ticket_key,
        t._source,
        t.created_at,
        e.event_id,
        e.seq,
        e.event_type,
        e.occurred_at,
        e.actor_id,
        e.actor_type,
        e.is_public,
        e.is_automated,
        coalesce(nullif(e.old_value, ''), nullif(e.new_value, '')) as named_id
    from {{ ref('stg_ticket_events') }} as e
    inner join tickets as t
        on e._source = t._source and e.ticket_id = t.ticket_id
    where e.event_type in ('public_reply', 'solved', 'reopened', 'assigned')

),

event_times as (

    select
        ticket_key,
        min(case when event_type = 'solved' then occurred_at end) as first_solved_at,
        min(case when event_type = 'reopened' then occurred_at end) as reopened_at,
        max(case when event_type = 'public_reply' then 1 else 0 end) as has_replies,
        -- A delivery may repeat events: each counts once.
        count(distinct case
            when event_type = 'public_reply' and actor_type = 'agent' and not is_automated and occurred_at < {{ as_of_at() }} then event_id
        end) as touch_count
    from events
    group by ticket_key

),

-- Only a person's public answer is a reply: not a bot's, not an automatic receipt, not the words that
-- an agent opened the ticket with.
human_replies as (

    select
        ticket_key,
        occurred_at,
        actor_id,
        row_number() over (partition by ticket_key order by occurred_at, event_id) as reply_rank
    from events
    where event_type = 'public_reply' and actor_type = 'agent' and is_public and not is_automated
        and occurred_at <> created_at

),

-- Who solved it first answers for a reopening, whoever solves it again.
first_solves as (

    select
        ticket_key,
        actor_id,
        row_number() over (partition by ticket_key order by occurred_at, event_id) as solve_rank
    from events
    where event_type = 'solved' and actor_type = 'agent' and actor_id is not null

),

-- Where a source's events tell of reopenings, a ticket's count says nothing more than how often it comes back in the end.
reopen_sources as (

    select _source
    from events
    where event_type = 'reopened'
    group by _source

),

-- Whom it was given to first, by whose hours its promises run: handing it on moves no promise.
first_owners as (

    select
        ticket_key,
        named_id as owner_id,
        row_number() over (partition by ticket_key order by {{ in_order() }}) as owner_rank
    from events
    where event_type = 'assigned' and named_id is not null

),

{{ people_ctes() }},

levels as (

    select
        priority,
        max(case when measure = 'first_reply' then minutes * 60 end) as reply_seconds,
        max(case when measure = 'first_reply' then clock end) as reply_clock,
        max(case when measure = 'resolution' then minutes * 60 end) as resolution_seconds,
        max(case when measure = 'resolution' then clock end) as resolution_clock,
        max(case when measure = 'complaint' then minutes * 60 end) as complaint_seconds,
        max(case when measure = 'complaint' then clock end) as complaint_clock
    from {{ source('config', 'service_levels') }}
    group by priority

),

named as (

    select
        t.*,
        case when e.has_replies = 1 then r.occurred_at else t.first_response_at end as first_reply_at,
        case
            when e.has_replies = 1 then coalesce(r.actor_id, t.first_responder_id)
            else t.first_responder_id
        end as replier_id,
        coalesce(s.actor_id, t.resolver_id) as first_solver_id,
        coalesce(f.owner_id, t.assignee_id, t.resolver_id) as first_owner_id,
        least(coalesce(e.first_solved_at, t.resolved_at), t.resolved_at) as first_solved_at,
        e.reopened_at,
        coalesce(e.touch_count, 0) as touch_count,
        o._source is null and t.reopen_count > 0 as is_counted_reopened
    from tickets as t
    left join reopen_sources as o
        on t._source = o._source
    left join event_times as e
        on t.ticket_key = e.ticket_key
    left join human_replies as r
        on t.ticket_key = r.ticket_key and r.reply_rank = 1
    left join first_solves as s
        on t.ticket_key = s.ticket_key and s.solve_rank = 1
    left join first_owners as f
        on t.ticket_key = f.ticket_key and f.owner_rank = 1

),

-- A ticket names who held it last: the person behind that id when it was solved or last changed.
owned as (

    select
        *,
        coalesce(resolved_at, source_updated_at, created_at) as held_at
    from named

),

people as (

    select
        t.*,
        {{ person('assignee') }} as assignee_employee_id,
        {{ person('resolver') }} as resolver_employee_id,
        {{ person('first_solver') }} as first_solver_employee_id,
        {{ person('replier') }} as replier_employee_id,
        assignee_at.time_zone as assignee_zone,
        first_owner_at.calendar as first_owner_calendar,
        resolver_at.time_zone as resolver_zone,
        first_solver_at.time_zone as first_solver_zone,
        replier_at.time_zone as replier_zone
    from owned as t
    {{ join_person('first_owner', 't._source', 't.first_owner_id', 't.created_at') }}
    {{ join_person('assignee', 't._source', 't.assignee_id', 't.held_at') }}
    {{ join_person('resolver', 't._source', 't.resolver_id', 't.held_at') }}
    {{ join_person('first_solver', 't._source', 't.first_solver_id', 'coalesce(t.first_solved_at, t.held_at)') }}
    {{ join_person('replier', 't._source', 't.replier_id', 't.first_reply_at') }}

),

-- A promise runs by the first schedule a ticket was given: a later one must not move what was promised.
first_schedules as (

    select
        ticket_key,
        calendar,
        row_number() over (partition by ticket_key order by from_at) as schedule_rank
    from {{ ref('fct_ticket_schedules') }}
    where month = {{ month_start() }} and calendar is not null

),

timed as (

    select
        p.*,
        l.reply_seconds,
        coalesce(l.reply_clock, 'calendar') as reply_clock,
        l.resolution_seconds,
        coalesce(l.resolution_clock, 'calendar') as resolution_clock,
        l.complaint_seconds,
        coalesce(l.complaint_clock, 'calendar') as complaint_clock,
        coalesce(p.first_owner_calendar, m.calendar) as calendar,
        coalesce(f.calendar, p.first_owner_calendar, m.calendar) as promise_calendar,
        m.as_of_at
    from people as p
    cross join months as m
    left join levels as l
        on p.priority = l.priority
    left join first_schedules as f
        on p.ticket_key = f.ticket_key and f.schedule_rank = 1

),

hours as (

    select * from {{ ref('dim_business_hours') }}

),

-- Open seconds at which a clock runs out find their hour by this: an hour holds at most 3600 of
-- them and so touches at most two whole thousands-of-3600.
filling_hours as (

    select
        calendar,
        hour_number,
        open_from,
        seconds_before,
        seconds_before + open_until - open_from as seconds_after,
        cast(floor((seconds_before + 1) / 3600.0) as bigint) as bucket
    from hours
    where open_until > open_from
    union all
    select
        calendar,
        hour_number,
        open_from,
        seconds_before,
        seconds_before + open_until - open_from as seconds_after,
        cast(floor((seconds_before + open_until - open_from) / 3600.0) as bigint) as bucket
    from hours
    where open_until > open_from
        and floor((seconds_before + open_until - open_from) / 3600.0) > floor((seconds_before + 1) / 3600.0)

),

elapsed as (

    select
        t.*,
        {{ open_seconds('c', 't.created_at') }} as clock_start,
        {{ open_seconds('r', 't.first_reply_at') }} as reply_clock_stop,
        {{ open_seconds('s', 't.first_solved_at') }} as resolution_clock_stop
    from timed as t
    left join hours as c
        on t.promise_calendar = c.calendar and {{ hour_number('t.created_at') }} = c.hour_number
    left join hours as r
        on t.promise_calendar = r.calendar and {{ hour_number('t.first_reply_at') }} = r.hour_number
    left join hours as s
        on t.promise_calendar = s.calendar and {{ hour_number('t.first_solved_at') }} = s.hour_number

),

{% set measures = ['reply', 'resolution', 'complaint'] -%}
clocks as (

    select
        e.*,
        {% for measure in measures -%}
        case
            when e.{{ measure }}_clock = 'business' then
                {{ instant_of('d_' ~ measure ~ '.hour_number * 3600 + d_' ~ measure ~ '.open_from + e.clock_start + e.' ~ measure ~ '_seconds - d_' ~ measure ~ '.seconds_before') }}
            else {{ instant_of(epoch_s('e.created_at') ~ ' + e.' ~ measure ~ '_seconds') }}
        end as {{ measure }}_level_at{{ ',' if not loop.last }}
        {% endfor %}
    from elapsed as e
    {% for measure in measures -%}
    left join filling_hours as d_{{ measure }}
        on e.promise_calendar = d_{{ measure }}.calendar
        and cast(floor((e.clock_start + e.{{ measure }}_seconds) / 3600.0) as bigint) = d_{{ measure }}.bucket
        and e.clock_start + e.{{ measure }}_seconds > d_{{ measure }}.seconds_before
        and e.clock_start + e.{{ measure }}_seconds <= d_{{ measure }}.seconds_after
    {% endfor %}

),

due as (

    select
        *,
        coalesce(sla_due_first_response_at, reply_level_at) as reply_due_at,
        coalesce(sla_due_resolution_at, resolution_level_at) as resolution_due_at,
        case when is_complaint then coalesce(complaint_level_at, due_at) end as complaint_due_at,
        -- Time of day may be lost: an end before the beginning is unknown, never negative.
        case when first_reply_at >= created_at then reply_clock_stop - clock_start end as reply_business_seconds,
        case when first_solved_at >= created_at then resolution_clock_stop - clock_start end as resolution_business_seconds,
        -- Of a ticket that was solved again the source's flag tells how it ended; the first solve is judged by its due instant.
        case when first_solved_at < resolved_at and sla_due_resolution_at is not null then null else is_sla_breached end as sla_flag
    from clocks

),

-- By the first solve: what happens to a ticket afterwards changes no month that is over.
judged as (

    select
        *,
        case
            when coalesce(first_reply_at < created_at, true) or reply_due_at is null then false
            when sla_due_first_response_at is not null then first_reply_at <= sla_due_first_response_at
            when reply_clock = 'business' then reply_business_seconds <= reply_seconds
            else first_reply_at <= reply_level_at
        end as is_reply_in_time,
        case
            when coalesce(first_solved_at < created_at, true) or resolution_due_at is null then false
            when sla_due_resolution_at is not null then first_solved_at <= sla_due_resolution_at
            when resolution_clock = 'business' then resolution_business_seconds <= resolution_seconds
            else first_solved_at <= resolution_level_at
        end as is_resolution_in_time,
        case
            when first_solved_at is null or complaint_due_at is null then false
            when complaint_clock = 'business' and complaint_level_at is not null and first_solved_at >= created_at
                then resolution_business_seconds <= complaint_seconds
            else first_solved_at <= complaint_due_at
        end as is_complaint_in_time,
        coalesce(not sla_flag, first_solved_at <= sla_due_resolution_at, false) as is_sla_in_time,
        first_solved_at + interval '1 day' * {{ setting('reopen_days') }} as matures_at
    from due

),

-- In time it was decided when it was done, else when it fell due, whenever it was done.
decided as (

    select
        *,
        case
            when first_reply_at < created_at or reply_due_at is null then null
            when is_reply_in_time then least(first_reply_at, reply_due_at)
            -- Solved without an answer before one was due: neither answered nor overdue.
            when first_solved_at <= reply_due_at then null
            when reply_due_at < as_of_at then reply_due_at
        end as reply_decided_at,
        case
            when first_solved_at < created_at or resolution_due_at is null then null
            when is_resolution_in_time then least(first_solved_at, resolution_due_at)
            when resolution_due_at < as_of_at then resolution_due_at
        end as resolution_decided_at,
        case
            when is_sla_in_time then first_solved_at
            when sla_flag then least(first_solved_at, sla_due_resolution_at)
            when sla_due_resolution_at < as_of_at then sla_due_resolution_at
        end as sla_decided_at,
        {{ local_on('created_at', 'assignee_zone') }} as created_on,
        {{ local_on('first_reply_at', 'replier_zone') }} as first_reply_on,
        {{ local_on('first_solved_at', 'first_solver_zone') }} as first_solved_on,
        {{ local_on('resolved_at', 'resolver_zone') }} as resolved_on,
        coalesce(reopened_at <= matures_at, is_counted_reopened) as is_reopened_in_time,
        coalesce(matures_at <= as_of_at, false) as is_matured
    from judged

),

flagged as (

    select
        *,
        coalesce(coalesce(status, 'open') not in ('merged', 'deleted') and {{ in_month('first_solved_on') }}, false) as is_solved
    from decided

)

select
    {{ month_start() }} as month,
    ticket_key,
    _source,
    ticket_id,
    category,
    channel,
    priority,
    status,
    queue_id,
    is_complaint,
    assignee_id,
    resolver_id,
    first_solver_id,
    replier_id,
    assignee_employee_id,
    resolver_employee_id,
    first_solver_employee_id,
    replier_employee_id,
    calendar,
    created_at,
    created_on,
    first_reply_at,
    first_reply_on,
    first_solved_at,
    first_solved_on,
    resolved_at,
    resolved_on,
    reopened_at,
    {{ minutes_of('reply_business_seconds') }} as first_reply_business_minutes,
    {{ minutes_of('resolution_business_seconds') }} as resolution_business_minutes,
    reply_due_at as first_reply_due_at,
    reply_decided_at as first_reply_decided_at,
    is_reply_in_time as is_first_reply_on_time,
    resolution_due_at,
    resolution_decided_at,
    is_resolution_in_time as is_resolution_on_time,
    complaint_due_at,
    is_complaint_in_time as is_complaint_on_time,
    sla_due_resolution_at as sla_due_at,
    sla_decided_at,
    is_sla_in_time as is_sla_met,
    cast(touch_count as integer) as touch_count,
    is_solved,
    is_matured,
    is_solved and is_reopened_in_time as is_reopened,
    _file,
    _row_number
from flagged
-- Whatever was open in the month, or touched since it began: a later build of the month finds no ticket less.
where created_at >= {{ scan_start }}
    or resolved_at >= {{ scan_start }}
    or source_updated_at >= {{ scan_start }}
    or {{ near_month('complaint_due_at') }}
    or (resolved_at is null and coalesce(status, 'open') <> 'deleted')
