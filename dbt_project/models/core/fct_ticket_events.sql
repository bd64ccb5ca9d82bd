with events as (

    {{ latest_versions(ref('stg_ticket_events'), ['_source', 'event_id'], near_month('occurred_at')) }}

),

{{ people_ctes() }},

named as (

    select
        e.*,
        {{ person('actor') }} as actor_employee_id,
        {{ local_on('e.occurred_at', 'actor_at.time_zone') }} as occurred_on
    from events as e
    {{ join_person('actor', 'e._source', 'e.actor_id', 'e.occurred_at') }}

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
