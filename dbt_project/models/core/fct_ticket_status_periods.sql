with months as (

    select * from {{ ref('dim_months') }} where month = {{ month_start() }}

),

tickets as (

    select ticket_key, _source, ticket_id, created_at, calendar
    from {{ ref('fct_tickets') }}
    where month = {{ month_start() }}

),

events as (

    select _source, ticket_id, event_id, seq, event_type, occurred_at, old_value, new_value
    from {{ ref('stg_ticket_events') }}
    where event_type in ('created', 'status_changed', 'solved', 'reopened', 'closed', 'merged', 'deleted')
        and occurred_at < {{ as_of_at() }}

),

told as (

    select
        t.ticket_key,
        t._source,
        t.ticket_id,
        t.calendar,
        t.created_at,
        e.event_id,
        e.seq,
        e.event_type,
        e.occurred_at,
        {{ canonical_status('e.old_value') }} as old_status,
        {{ status_after('e.event_type', 'e.new_value') }} as status
    from tickets as t
    inner join events as e
        on t._source = e._source and t.ticket_id = e.ticket_id

),

ranked as (

    select
        *,
        row_number() over (partition by ticket_key order by {{ in_order() }}) as event_rank,
        lag(status) over (partition by ticket_key order by {{ in_order() }}) as status_before
    from told
    where status is not null

),

-- What the events leave untold before the first one is 'new', or what the first one says it ended.
begun as (

    select
        *,
        case
            when event_rank = 1 and event_type <> 'created' and occurred_at > created_at and coalesce(old_status, 'new') <> status
                then coalesce(old_status, 'new')
        end as untold_status
    from ranked

),

-- An event that leaves the status as it was begins no period; copies of an event are such events too.
changes as (

    select
        ticket_key,
        _source,
        ticket_id,
        calendar,
        case when event_rank = 1 and untold_status is null then least(created_at, occurred_at) else occurred_at end as occurred_at,
        seq,
        event_id,
        status,
        coalesce(status_before, untold_status) as previous_status
    from begun
    where event_rank = 1 or status <> status_before
    union all
    select
        ticket_key,
        _source,
        ticket_id,
        calendar,
        created_at as occurred_at,
        -1 as seq,
        '' as event_id,
        untold_status as status,
        cast(null as varchar) as previous_status
    from begun
    where untold_status is not null

),

periods as (

    select
        *,
        row_number() over (partition by ticket_key order by {{ in_order() }}) as period_no,
        lead(occurred_at) over (partition by ticket_key order by {{ in_order() }}) as to_at
    from changes

),

intervals as (

    select
        p.*,
        p.occurred_at as from_at,
        coalesce(p.to_at, m.as_of_at) as until_at
    from periods as p
    cross join months as m

),

{{ open_time_ctes('period_no') }}

select
    {{ month_start() }} as month,
    ticket_key,
    _source,
    ticket_id,
    cast(period_no as integer) as period_no,
    status,
    previous_status,
    from_at,
    to_at,
    to_at is null as is_running,
    {{ minutes_of('(' ~ epoch_s('until_at') ~ ' - ' ~ epoch_s('from_at') ~ ')') }} as calendar_minutes,
    {{ minutes_of('business_seconds') }} as business_minutes
from open_times
