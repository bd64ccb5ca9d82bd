-- Who owned a ticket when, up to the as-of instant; what is told of later says who had it until then. A ticket of
-- which no assignment is told leaves its own assignee and queue.
with tickets as (

    select ticket_key, _source, ticket_id, created_at, assignee_id, queue_id
    from {{ ref('fct_tickets') }}
    where month = {{ month_start() }}

),

events as (

    select _source, ticket_id, event_id, seq, event_type, occurred_at, nullif(old_value, '') as old_value, nullif(new_value, '') as new_value
    from {{ ref('stg_ticket_events') }}
    where event_type in ('assigned', 'queue_changed')
        and (new_value is not null or old_value is not null)

),

told as (

    select
        t.ticket_key,
        t.created_at,
        e.event_id,
        e.seq,
        e.event_type,
        e.occurred_at,
        e.old_value,
        e.new_value,
        row_number() over (partition by t.ticket_key, e.event_type order by {{ in_order('e.') }}) as event_rank
    from tickets as t
    inner join events as e
        on t._source = e._source and t.ticket_id = e.ticket_id

),

-- What holds from the beginning: what the first event says it ended, or the ticket's own where no event tells.
beginnings as (

    select
        t.ticket_key,
        t.created_at,
        case when a.ticket_key is null then t.assignee_id else a.old_value end as assignee_id,
        case when q.ticket_key is null then t.queue_id else q.old_value end as queue_id
    from tickets as t
    left join told as a
        on t.ticket_key = a.ticket_key and a.event_type = 'assigned' and a.event_rank = 1
    left join told as q
        on t.ticket_key = q.ticket_key and q.event_type = 'queue_changed' and q.event_rank = 1

),

steps as (

    select
        ticket_key,
        created_at as occurred_at,
        -2 as seq,
        '' as event_id,
        true as tells_assignee,
        true as tells_queue,
        assignee_id,
        queue_id
    from beginnings
    union all
    select
        ticket_key,
        occurred_at,
        coalesce(seq, -1) as seq,
        event_id,
        event_type = 'assigned' as tells_assignee,
        event_type = 'queue_changed' as tells_queue,
        case when event_type = 'assigned' then new_value end as assignee_id,
        case when event_type = 'queue_changed' then new_value end as queue_id
    from told

),

numbered as (

    select
        *,
        sum(case when tells_assignee then 1 else 0 end) over (
            partition by ticket_key order by {{ in_order() }} rows between unbounded preceding and current row
        ) as assignee_no,
        sum(case when tells_queue then 1 else 0 end) over (
            partition by ticket_key order by {{ in_order() }} rows between unbounded preceding and current row
        ) as queue_no
    from steps

),

carried as (

    select
        ticket_key,
        occurred_at,
        seq,
        event_id,
        max(assignee_id) over (partition by ticket_key, assignee_no) as assignee_id,
        max(queue_id) over (partition by ticket_key, queue_no) as queue_id
    from numbered

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
        *,
        lead(occurred_at) over (partition by ticket_key order by {{ in_order() }}) as to_at
    from compared
    where step_no = 1
        or assignee_id is distinct from previous_assignee_id
        or queue_id is distinct from previous_queue_id

),

{{ people_ctes() }},

-- Whoever was named at creation owned it from the beginning: no stretch of nobody before.
owned as (

    select
        t._source,
        t.ticket_id,
        c.ticket_key,
        c.assignee_id,
        c.queue_id,
        c.occurred_at as from_at,
        c.to_at,
        row_number() over (partition by c.ticket_key order by {{ in_order('c.') }}) as stretch_no
    from changes as c
    inner join tickets as t
        on c.ticket_key = t.ticket_key
    where c.step_no > 1 or c.to_at is null or c.to_at > c.occurred_at

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
