with events as (

    select
        *,
        {{ version_rank(['_source', 'event_id']) }} as version_rank
    from {{ ref('stg_ticket_events') }}
    where {{ near_month('occurred_at') }}

),

{{ people_ctes() }},

named as (

    select
        e.*,
        {{ person('actor') }} as actor_employee_id,
        {{ local_on('e.occurred_at', 'actor_at.time_zone') }} as occurred_on
    from events as e
    {{ join_person('actor', 'e._source', 'e.actor_id', 'e.occurred_at') }}
    where e.version_rank = 1

)

select
    {{ month_start() }} as month,
    event_key,
    ticket_key,
    _source,
    event_id,
    ticket_id,
    seq,
    occurred_at,
    occurred_on,
    event_type,
    actor_type,
    actor_id,
    actor_employee_id,
    old_value,
    new_value,
    is_public,
    is_automated,
    _file,
    _row_number
from named
where {{ in_month('occurred_on') }}
