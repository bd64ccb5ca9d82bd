-- A source says that a ticket changed its schedule by an event of the field `schedule`.
with changes as (

    select
        ticket_key,
        new_value as calendar,
        occurred_at,
        row_number() over (partition by ticket_key, occurred_at order by coalesce(seq, -1) desc, event_id desc) as change_rank
    from {{ ref('stg_ticket_events') }}
    where event_type = 'field_changed'
        and field = 'schedule'
        and occurred_at < {{ as_of_at() }}

),

-- Before its first schedule a ticket has none, and the calendar is where its people work.
steps as (

    select ticket_key, calendar, occurred_at as from_at
    from changes
    where change_rank = 1
    union all
    select ticket_key, cast(null as varchar) as calendar, timestamptz '1900-01-01 00:00:00+00:00' as from_at
    from changes
    group by ticket_key

),

followed as (

    select
        *,
        lead(from_at) over (partition by ticket_key order by from_at) as next_at
    from steps

)

select
    {{ month_start() }} as month,
    ticket_key,
    calendar,
    from_at,
    coalesce(next_at, timestamptz '2999-01-01 00:00:00+00:00') as until_at
from followed
