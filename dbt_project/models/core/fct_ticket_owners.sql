-- Who owned a ticket when, up to the as-of instant; what is told of later says who had it until then. A ticket of
-- which no assignment is told leaves its own assignee and queue.
with tickets as (

    select ticket_key, _source, ticket_id, created_at, assignee_id, queue_id
    from {{ ref('fct_tickets') }}
    where month = {{ month_start() }}

),

events as (

    select
        _source,
        ticket_id,
        event_id,
        seq,
        event_type,
        occurred_at,
        coalesce(old_value, '') as old_value,
        coalesce(new_value, '') as new_value
    from {{ ref('stg_ticket_events') }}
    where event_type in ('assigned', 'queue_changed')
        and (new_value is not null or old_value is not null)

),

-- A ticket begins with whatever it had then; '' is nobody, null tells nothing.
steps as (

    select
        ticket_key,
        _source,
        ticket_id,
        assignee_id as own_assignee_id,
        queue_id as own_queue_id,
        created_at as occurred_at,
        -2 as seq,
        '' as event_id,
        cast(null as varchar) as assignee_before,
        cast(null as varchar) as assignee_told,
        cast(null as varchar) as queue_before,
        cast(null as varchar) as queue_told
    from tickets
    union all
    select
        t.ticket_key,
        t._source,
        t.ticket_id,
        t.assignee_id as own_assignee_id,
        t.queue_id as own_queue_id,
        e.occurred_at,
        coalesce(e.seq, -1) as seq,
        e.event_id,
        case when e.event_type = 'assigned' then e.old_value end as assignee_before,
        case when e.event_type = 'assigned' then e.new_value end as assignee_told,
        case when e.event_type = 'queue_changed' then e.old_value end as queue_before,
        case when e.event_type = 'queue_changed' then e.new_value end as queue_told
    from tickets as t
    inner join events as e
        on t._source = e._source and t.ticket_id = e.ticket_id

),

-- Before anything is told holds what the first event says it ended, or the ticket's own where no event tells.
carried as (

    select
        ticket_key,
        _source,
        ticket_id,
        occurred_at,
        seq,
        event_id,
        nullif(coalesce({{ last_told('assignee_told') }} over so_far, {{ first_told('assignee_before') }} over ever, own_assignee_id), '') as assignee_id,
        nullif(coalesce({{ last_told('queue_told') }} over so_far, {{ first_told('queue_before') }} over ever, own_queue_id), '') as queue_id
    from steps
    window
        so_far as (partition by ticket_key order by {{ in_order() }} rows between unbounded preceding and current row),
        ever as (partition by ticket_key order by {{ in_order() }} rows between unbounded preceding and unbounded following)

),

compared as (

    select
        *,
        row_number() over (partition by ticket_key order by {{ in_order() }}) as step_no,
        lag(assignee_id) over (partition by ticket_key order by {{ in_order() }}) as previous_assignee_id,
        lag(queue_id) over (partition by ticket_key order by {{ in_order() }}) as previous_queue_id
    from carried

),

-- A step that changed nothing, such as the copy of an event, begins no stretch.
changes as (

    select
        ticket_key,
        _source,
        ticket_id,
        assignee_id,
        queue_id,
        occurred_at,
        row_number() over so_far as change_no,
        lead(occurred_at) over so_far as to_at,
        first_value(occurred_at) over ever as first_at,
        nth_value(occurred_at, 2) over ever as second_at
    from compared
    where step_no = 1
        or assignee_id is distinct from previous_assignee_id
        or queue_id is distinct from previous_queue_id
    window
        so_far as (partition by ticket_key order by {{ in_order() }}),
        ever as (partition by ticket_key order by {{ in_order() }} rows between unbounded preceding and unbounded following)

),

{{ people_ctes() }},

-- Whoever was named at creation owned it from the beginning: no stretch of nobody before.
owned as (

    select
        ticket_key,
        _source,
        ticket_id,
        assignee_id,
        queue_id,
        occurred_at as from_at,
        to_at,
        change_no - case when second_at = first_at then 1 else 0 end as stretch_no
    from changes
    where change_no > 1 or second_at is distinct from first_at

)

select
    {{ month_start() }} as month,
    o.ticket_key,
    o._source,
    o.ticket_id,
    cast(o.stretch_no as integer) as stretch_no,
    o.assignee_id,
    {{ person('assignee') }} as assignee_employee_id,
    o.queue_id,
    o.from_at,
    {{ local_on('o.from_at', 'assignee_at.time_zone') }} as from_on,
    case when o.to_at < {{ as_of_at() }} then o.to_at end as to_at
from owned as o
{{ join_person('assignee', 'o._source', 'o.assignee_id', 'o.from_at') }}
where o.from_at < {{ as_of_at() }}
