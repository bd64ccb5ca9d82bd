with tickets as (

    select *
    from {{ ref('fct_tickets') }}
    where month = {{ month_start() }}

),

-- A delivery may repeat events: one row per event. Numbers are compared faster than words.
happened as (

    select
        _source,
        ticket_id,
        event_id,
        min(case when actor_type = 'agent' then actor_id end) as agent_id,
        min(case when event_type in ('public_reply', 'internal_note', 'customer_reply') then 1 else 0 end) as is_comment,
        min(case when event_type in ('public_reply', 'customer_reply') then 1 else 0 end) as is_public,
        min(case when event_type = 'customer_reply' then 1 else 0 end) as is_by_customer,
        min(case when event_type = 'assigned' then 1 else 0 end) as is_assignment,
        min(case when event_type = 'queue_changed' then 1 else 0 end) as is_queue_change,
        min(case when actor_type = 'agent' then 1 else 0 end) as is_by_agent,
        min(case when event_type = 'public_reply' and actor_type = 'agent' and not is_automated then 1 else 0 end) as is_touch,
        min(occurred_at) as occurred_at
    from {{ ref('stg_ticket_events') }}
    where (
        event_type in ('public_reply', 'internal_note', 'customer_reply')
        or (event_type in ('assigned', 'queue_changed') and nullif(new_value, '') is not null)
    )
    and occurred_at < {{ as_of_at() }}
    group by _source, ticket_id, event_id

),

event_counts as (

    select
        t.ticket_key,
        sum(e.is_comment) as comment_count,
        sum(e.is_public) as public_comment_count,
        sum(e.is_by_customer) as customer_comment_count,
        sum(e.is_comment * e.is_by_agent) as agent_comment_count,
        sum(case when e.occurred_at <> t.created_at then e.is_touch else 0 end) as reply_count,
        count(distinct case when e.is_comment = 1 and e.is_by_customer = 0 then e.agent_id end) as handoff_count,
        sum(e.is_assignment) as assignment_count,
        sum(e.is_queue_change) as queue_change_count
    from happened as e
    inner join tickets as t
        on e._source = t._source and e.ticket_id = t.ticket_id
    group by t.ticket_key

),

owner_counts as (

    select
        ticket_key,
        count(distinct assignee_id) as assignee_count,
        max(case when queue_id is not null then 1 else 0 end) as has_queue,
        min(case when assignee_id is not null then stretch_no end) as first_stretch_no,
        max(case when assignee_id is not null then stretch_no end) as last_stretch_no
    from {{ ref('fct_ticket_owners') }}
    where month = {{ month_start() }}
    group by ticket_key

),

stretches as (

    select
        ticket_key,
        stretch_no,
        assignee_id
    from {{ ref('fct_ticket_owners') }}
    where month = {{ month_start() }}

),

periods as (

    select
        ticket_key,
        status,
        previous_status,
        from_at,
        is_running,
        calendar_minutes,
        business_minutes
    from {{ ref('fct_ticket_status_periods') }}
    where month = {{ month_start() }}

),

{%- set waits = [
    ('requester_wait', "'new', 'open', 'hold'"),
    ('agent_work', "'new', 'open'"),
    ('agent_wait', "'pending'"),
    ('on_hold', "'hold'"),
] %}

status_times as (

    select
        ticket_key,
        min(case when status = 'solved' then from_at end) as first_solved_at,
        max(case when status = 'solved' then from_at end) as last_solved_at,
        sum(case when status = 'solved' then 1 else 0 end) as resolution_count,
        sum(case when previous_status in ('solved', 'closed') and status in ('new', 'open', 'pending', 'hold') then 1 else 0 end) as reopen_count,
        max(case when is_running then status end) as last_status,
        {% for name, statuses in waits -%}
        sum(case when status in ({{ statuses }}) then calendar_minutes else 0 end) as {{ name }}_calendar_minutes,
        case
            when sum(case when status in ({{ statuses }}) and business_minutes is null then 1 else 0 end) = 0
                then sum(case when status in ({{ statuses }}) then business_minutes else 0 end)
        end as {{ name }}_business_minutes{{ ',' if not loop.last }}
        {% endfor %}
    from periods
    group by ticket_key

),

named as (

    select
        t.month,
        t.ticket_key,
        t._source,
        t.ticket_id,
        t.created_at,
        t.first_reply_at,
        coalesce(s.first_solved_at, t.first_solved_at) as first_solved_at,
        coalesce(s.last_solved_at, t.resolved_at) as last_solved_at,
        t.touch_count,
        t.calendar,
        coalesce(s.last_status, t.status) as status,
        t._file,
        t._row_number
    from tickets as t
    left join status_times as s
        on t.ticket_key = s.ticket_key

),

intervals as (

    select ticket_key, 'first_reply' as measure, calendar, created_at as from_at, first_reply_at as until_at
    from named
    where first_reply_at >= created_at
    union all
    select ticket_key, 'first_resolution' as measure, calendar, created_at as from_at, first_solved_at as until_at
    from named
    where first_solved_at >= created_at
    union all
    select ticket_key, 'full_resolution' as measure, calendar, created_at as from_at, last_solved_at as until_at
    from named
    where last_solved_at >= created_at

),

{{ open_time_ctes('measure') }},

interval_minutes as (

    select
        ticket_key,
        {% for name in ['first_reply', 'first_resolution', 'full_resolution'] -%}
        max(case when measure = '{{ name }}' then {{ epoch_s('until_at') }} - {{ epoch_s('from_at') }} end) as {{ name }}_calendar_seconds,
        max(case when measure = '{{ name }}' then business_seconds end) as {{ name }}_business_seconds{{ ',' if not loop.last }}
        {% endfor %}
    from open_times
    group by ticket_key

)

select
    n.month,
    n.ticket_key,
    n._source,
    n.ticket_id,
    n.status,
    n.created_at,
    n.first_reply_at,
    n.first_solved_at,
    n.last_solved_at,
    f.assignee_id as first_assignee_id,
    l.assignee_id as last_assignee_id,
    cast(coalesce(c.comment_count, 0) as integer) as comment_count,
    cast(coalesce(c.public_comment_count, 0) as integer) as public_comment_count,
    cast(coalesce(c.comment_count, 0) - coalesce(c.public_comment_count, 0) as integer) as internal_comment_count,
    cast(coalesce(c.customer_comment_count, 0) as integer) as customer_comment_count,
    cast(coalesce(c.agent_comment_count, 0) as integer) as agent_comment_count,
    n.touch_count,
    cast(coalesce(c.reply_count, 0) as integer) as reply_count,
    cast(coalesce(c.handoff_count, 0) as integer) as handoff_count,
    cast(coalesce(o.assignee_count, 0) as integer) as assignee_count,
    cast(case when c.assignment_count > 0 then c.assignment_count when o.assignee_count > 0 then 1 else 0 end as integer) as assignee_station_count,
    cast(case when c.queue_change_count > 0 then c.queue_change_count else coalesce(o.has_queue, 0) end as integer) as queue_station_count,
    cast(coalesce(s.resolution_count, 0) as integer) as resolution_count,
    cast(coalesce(s.reopen_count, 0) as integer) as reopen_count,
    n.status in ('solved', 'closed') and n.touch_count = 1 as is_one_touch,
    n.status in ('solved', 'closed') and n.touch_count = 2 as is_two_touch,
    n.status in ('solved', 'closed') and n.touch_count > 2 as is_multi_touch,
    {% for name in ['first_reply', 'first_resolution', 'full_resolution'] -%}
    {{ minutes_of('i.' ~ name ~ '_calendar_seconds') }} as {{ name }}_calendar_minutes,
    {{ minutes_of('i.' ~ name ~ '_business_seconds') }} as {{ name }}_business_minutes,
    {% endfor -%}
    {% for name, statuses in waits -%}
    {# Periods hold whole seconds as rounded minutes: their sum is brought back to whole seconds. -#}
    {{ minutes_of('round(' ~ double('s.' ~ name ~ '_calendar_minutes') ~ ' * 60)') }} as {{ name }}_calendar_minutes,
    {{ minutes_of('round(' ~ double('s.' ~ name ~ '_business_minutes') ~ ' * 60)') }} as {{ name }}_business_minutes,
    {% endfor -%}
    n._file,
    n._row_number
from named as n
left join event_counts as c
    on n.ticket_key = c.ticket_key
left join owner_counts as o
    on n.ticket_key = o.ticket_key
left join stretches as f
    on o.ticket_key = f.ticket_key and o.first_stretch_no = f.stretch_no
left join stretches as l
    on o.ticket_key = l.ticket_key and o.last_stretch_no = l.stretch_no
left join status_times as s
    on n.ticket_key = s.ticket_key
left join interval_minutes as i
    on n.ticket_key = i.ticket_key
