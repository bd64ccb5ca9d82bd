with months as (

    select * from {{ ref('dim_months') }} where month = {{ month_start() }}

),

tickets as (

    select *
    from {{ ref('stg_tickets') }}
    where created_at < {{ instant(local_midnight(month_day(month_key(), 1)) + 86400) }}
        and (
            resolved_at is null
            or resolved_at >= {{ instant(local_midnight(month_day(month_key())) - 86400) }}
            or source_updated_at >= {{ instant(local_midnight(month_day(month_key())) - 86400) }}
            or is_complaint
        )

),

events as (

    select
        t.ticket_key,
        t.created_at,
        e.event_id,
        e.event_type,
        e.occurred_at,
        e.actor_id,
        e.actor_type,
        e.is_public,
        e.is_automated
    from {{ ref('stg_ticket_events') }} as e
    inner join tickets as t
        on e._source = t._source and e.ticket_id = t.ticket_id
    where e.event_type in ('public_reply', 'solved', 'reopened')

),

event_times as (

    select
        ticket_key,
        min(case when event_type = 'solved' then occurred_at end) as first_solved_at,
        min(case when event_type = 'reopened' then occurred_at end) as reopened_at,
        max(case when event_type = 'public_reply' then 1 else 0 end) as has_replies
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
        least(coalesce(e.first_solved_at, t.resolved_at), t.resolved_at) as first_solved_at,
        e.reopened_at
    from tickets as t
    left join event_times as e
        on t.ticket_key = e.ticket_key
    left join human_replies as r
        on t.ticket_key = r.ticket_key and r.reply_rank = 1
    left join first_solves as s
        on t.ticket_key = s.ticket_key and s.solve_rank = 1

),

-- A ticket names who held it last: the person behind that id when it was solved or last changed.
owned as (

    select
        *,
        coalesce(replier_id, assignee_id) as reply_owner_id,
        coalesce(resolved_at, source_updated_at, created_at) as held_at
    from named

),

people as (

    select
        t.*,
        {{ person('assignee') }} as assignee_employee_id,
        {{ person('resolver') }} as resolver_employee_id,
        {{ person('first_solver') }} as first_solver_employee_id,
        {{ person('reply_owner') }} as replier_employee_id,
        assignee_at.time_zone as assignee_zone,
        resolver_at.time_zone as resolver_zone,
        resolver_at.calendar as resolver_calendar,
        first_solver_at.time_zone as first_solver_zone,
        reply_owner_at.time_zone as replier_zone,
        reply_owner_at.calendar as replier_calendar
    from owned as t
    {{ join_person('assignee', 't._source', 't.assignee_id', 't.held_at') }}
    {{ join_person('resolver', 't._source', 't.resolver_id', 't.held_at') }}
    {{ join_person('first_solver', 't._source', 't.first_solver_id', 'coalesce(t.first_solved_at, t.held_at)') }}
    {{ join_person('reply_owner', 't._source', 't.reply_owner_id', 'coalesce(t.first_reply_at, t.held_at)') }}

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
        coalesce(p.replier_calendar, m.calendar) as reply_own_calendar,
        coalesce(p.resolver_calendar, m.calendar) as resolution_own_calendar,
        coalesce(f.calendar, p.replier_calendar, m.calendar) as reply_calendar,
        coalesce(f.calendar, p.resolver_calendar, m.calendar) as resolution_calendar,
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
        {{ open_seconds('rc', 't.created_at') }} as reply_clock_start,
        {{ open_seconds('rr', 't.first_reply_at') }} as reply_clock_stop,
        {{ open_seconds('sc', 't.created_at') }} as resolution_clock_start,
        {{ open_seconds('ss', 't.resolved_at') }} as resolution_clock_stop
    from timed as t
    left join hours as rc
        on t.reply_calendar = rc.calendar and {{ hour_number('t.created_at') }} = rc.hour_number
    left join hours as rr
        on t.reply_calendar = rr.calendar and {{ hour_number('t.first_reply_at') }} = rr.hour_number
    left join hours as sc
        on t.resolution_calendar = sc.calendar and {{ hour_number('t.created_at') }} = sc.hour_number
    left join hours as ss
        on t.resolution_calendar = ss.calendar and {{ hour_number('t.resolved_at') }} = ss.hour_number

),

clocks as (

    select
        e.*,
        {% for clock, start in [('reply', 'reply'), ('resolution', 'resolution'), ('complaint', 'resolution')] -%}
        case
            when e.{{ clock }}_clock = 'business' then
                {{ instant_of('d_' ~ clock ~ '.hour_number * 3600 + d_' ~ clock ~ '.open_from + e.' ~ start ~ '_clock_start + e.' ~ clock ~ '_seconds - d_' ~ clock ~ '.seconds_before') }}
            else {{ instant_of(epoch_s('e.created_at') ~ ' + e.' ~ clock ~ '_seconds') }}
        end as {{ clock }}_level_at{{ ',' if not loop.last }}
        {% endfor %}
    from elapsed as e
    {% for clock, start in [('reply', 'reply'), ('resolution', 'resolution'), ('complaint', 'resolution')] -%}
    left join filling_hours as d_{{ clock }}
        on e.{{ start }}_calendar = d_{{ clock }}.calendar
        and cast(floor((e.{{ start }}_clock_start + e.{{ clock }}_seconds) / 3600.0) as bigint) = d_{{ clock }}.bucket
        and e.{{ start }}_clock_start + e.{{ clock }}_seconds > d_{{ clock }}.seconds_before
        and e.{{ start }}_clock_start + e.{{ clock }}_seconds <= d_{{ clock }}.seconds_after
    {% endfor %}

),

due as (

    select
        *,
        coalesce(sla_due_first_response_at, reply_level_at) as reply_due_at,
        coalesce(sla_due_resolution_at, resolution_level_at) as resolution_due_at,
        case when is_complaint then coalesce(complaint_level_at, due_at) end as complaint_due_at,
        -- Time of day may be lost: an end before the beginning is unknown, never negative.
        case when first_reply_at >= created_at then reply_clock_stop - reply_clock_start end as reply_business_seconds,
        case when resolved_at >= created_at then resolution_clock_stop - resolution_clock_start end as resolution_business_seconds,
        coalesce(status, 'open') not in ('merged', 'deleted') as is_counted
    from clocks

),

judged as (

    select
        *,
        case
            when first_reply_at < created_at then null
            when first_reply_at is null and (resolved_at <= reply_due_at or reply_due_at >= as_of_at) then null
            else least(first_reply_at, reply_due_at)
        end as reply_decided_at,
        case
            when first_reply_at is null then false
            when sla_due_first_response_at is not null then first_reply_at <= sla_due_first_response_at
            when reply_clock = 'business' then reply_business_seconds <= reply_seconds
            else first_reply_at <= reply_level_at
        end as is_reply_in_time,
        case
            when resolved_at < created_at then null
            when resolved_at is null and resolution_due_at >= as_of_at then null
            else least(resolved_at, resolution_due_at)
        end as resolution_decided_at,
        case
            when resolved_at is null then false
            when sla_due_resolution_at is not null then resolved_at <= sla_due_resolution_at
            when resolution_clock = 'business' then resolution_business_seconds <= resolution_seconds
            else resolved_at <= resolution_level_at
        end as is_resolution_in_time,
        case
            when resolved_at is null then false
            when complaint_level_at is null then resolved_at <= complaint_due_at
            when complaint_clock = 'business' then resolution_business_seconds <= complaint_seconds
            else resolved_at <= complaint_due_at
        end as is_complaint_in_time,
        case
            when is_sla_breached then least(resolved_at, sla_due_resolution_at)
            when is_sla_breached is not null then resolved_at
            when sla_due_resolution_at is null then null
            when resolved_at is null and sla_due_resolution_at >= as_of_at then null
            else least(resolved_at, sla_due_resolution_at)
        end as sla_decided_at,
        coalesce(not is_sla_breached, resolved_at <= sla_due_resolution_at, false) as is_sla_held,
        first_solved_at + interval '1 day' * {{ setting('reopen_days') }} as matures_at
    from due

),

days as (

    select
        *,
        {{ local_on('created_at', 'assignee_zone') }} as created_on,
        {{ local_on('first_reply_at', 'replier_zone') }} as first_reply_on,
        {{ local_on('reply_decided_at', 'replier_zone') }} as reply_decided_on,
        {{ local_on('first_solved_at', 'first_solver_zone') }} as first_solved_on,
        {{ local_on('resolved_at', 'resolver_zone') }} as resolved_on,
        {{ local_on('resolution_decided_at', 'resolver_zone') }} as resolution_decided_on,
        {{ local_on('resolution_due_at', 'first_solver_zone') }} as resolution_due_on,
        {{ local_on('complaint_due_at', 'resolver_zone') }} as complaint_due_on,
        {{ local_on('sla_decided_at', 'resolver_zone') }} as sla_decided_on,
        {{ local_on('source_updated_at') }} as updated_on,
        coalesce(reopened_at <= matures_at, reopen_count > 0) as is_reopened_in_time,
        matures_at <= as_of_at as is_matured
    from judged

),

flagged as (

    select
        *,
        coalesce(is_counted and reply_due_at is not null and {{ in_month('reply_decided_on') }}, false) as is_first_reply_due,
        coalesce(is_counted and resolution_due_at is not null and {{ in_month('resolution_decided_on') }}, false) as is_resolution_due,
        coalesce(is_counted and complaint_due_at < as_of_at and {{ in_month('complaint_due_on') }}, false) as is_complaint_due,
        coalesce(is_counted and {{ in_month('sla_decided_on') }}, false) as is_sla_due,
        coalesce(is_counted and {{ in_month('first_solved_on') }}, false) as is_solved,
        coalesce(
            is_counted and {{ in_month('resolution_due_on') }}
            and (first_solved_on is null or first_solved_on >= {{ month_end() }}),
            false
        ) as is_unsolved_when_due
    from days

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
    reply_owner_id as replier_id,
    assignee_employee_id,
    resolver_employee_id,
    first_solver_employee_id,
    replier_employee_id,
    created_at,
    created_on,
    first_reply_at,
    first_reply_on,
    first_solved_at,
    first_solved_on,
    resolved_at,
    resolved_on,
    reopened_at,
    reply_due_at as first_reply_due_at,
    resolution_due_at,
    complaint_due_at,
    reply_own_calendar as first_reply_calendar,
    resolution_own_calendar as resolution_calendar,
    {{ minutes_of('reply_business_seconds') }} as first_reply_business_minutes,
    {{ minutes_of('resolution_business_seconds') }} as resolution_business_minutes,
    case when is_first_reply_due then reply_decided_on end as first_reply_decided_on,
    is_first_reply_due,
    is_first_reply_due and coalesce(is_reply_in_time, false) as is_first_reply_on_time,
    case when is_resolution_due then resolution_decided_on end as resolution_decided_on,
    is_resolution_due,
    is_resolution_due and coalesce(is_resolution_in_time, false) as is_resolution_on_time,
    complaint_due_on,
    is_complaint_due,
    is_complaint_due and coalesce(is_complaint_in_time, false) as is_complaint_on_time,
    case when is_sla_due then sla_decided_on end as sla_decided_on,
    is_sla_due,
    is_sla_due and is_sla_held as is_sla_met,
    is_solved,
    coalesce(is_matured, false) as is_matured,
    is_solved and is_reopened_in_time as is_reopened,
    is_solved or is_unsolved_when_due as is_closure_due,
    is_solved and not is_reopened_in_time as is_closed_for_good,
    case
        when is_solved then first_solved_on
        when is_unsolved_when_due then resolution_due_on
    end as closure_on,
    _file,
    _row_number
from flagged
where (resolved_at is null and coalesce(status, 'open') <> 'deleted')
    or {{ in_month('created_on') }}
    or {{ in_month('resolved_on') }}
    or {{ in_month('updated_on') }}
    or {{ in_month('first_solved_on') }}
    or is_first_reply_due
    or is_resolution_due
    or is_complaint_due
    or is_sla_due
    or is_unsolved_when_due
