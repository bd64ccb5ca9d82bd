with assignments as (

    select
        *,
        row_number() over (partition by event_key order by _file, _row_number) as copy_rank
    from {{ ref('stg_ticket_events') }}
    where event_type = 'assigned' and new_value is not null and {{ near_month('occurred_at') }}

),

-- Who held the ticket until then, and since when, as far as the month tells.
in_order as (

    select
        *,
        lag(new_value) over (
            partition by ticket_key order by occurred_at, seq nulls last, event_id
        ) as earlier_value,
        lag(occurred_at) over (
            partition by ticket_key order by occurred_at, seq nulls last, event_id
        ) as earlier_at
    from assignments
    where copy_rank = 1

),

handoffs as (

    select
        *,
        coalesce(old_value, earlier_value) as holder_id,
        case when old_value is null or old_value = earlier_value then earlier_at end as received_at
    from in_order

),

touches as (

    select ticket_key, actor_id, occurred_at
    from {{ ref('stg_ticket_events') }}
    where event_type in ('public_reply', 'internal_note') and actor_type = 'agent'
        and not is_automated and {{ near_month('occurred_at') }}

),

touched as (

    select distinct h.event_key
    from handoffs as h
    inner join touches as t
        on h.ticket_key = t.ticket_key
        and h.holder_id = t.actor_id
    where t.occurred_at >= h.received_at and t.occurred_at <= h.occurred_at

),

bad_ratings as (

    select
        _source,
        ticket_id,
        response_id,
        submitted_at
    from {{ ref('stg_survey_responses') }}
    where metric = 'csat' and rater_type = 'customer' and status in ('completed', 'partial')
        and ticket_id is not null
        and submitted_at >= {{ instant(local_midnight(month_day(month_key(), -2))) }}
        and submitted_at < {{ month_ends_at() }}
        and (score - scale_min) / nullif(scale_max - scale_min, 0) < {{ monitor_setting('reassigned_after_bad_rating', 'bad_share') }}

),

-- The answer of the ticket's own source, or the only source of that id: another's ticket says nothing.
rated_badly as (

    select
        h.event_key,
        max(b.response_id) as response_id
    from handoffs as h
    inner join bad_ratings as b
        on h.ticket_id = b.ticket_id
    where h.occurred_at > b.submitted_at
        and {{ epoch_s('h.occurred_at') }} - {{ epoch_s('b.submitted_at') }}
        <= 86400 * {{ monitor_setting('reassigned_after_bad_rating', 'within_days') }}
    group by h.event_key
    having min(case when h._source = b._source then 0 else 1 end) = 0 or min(b._source) = max(b._source)

),

{{ people_ctes() }},

named as (

    select
        h.*,
        {{ person('holder') }} as holder_employee_id,
        {{ person('receiver') }} as receiver_employee_id,
        {{ local_on('h.occurred_at', 'coalesce(holder_at.time_zone, receiver_at.time_zone)') }} as occurred_on
    from handoffs as h
    {{ join_person('holder', 'h._source', 'h.holder_id', 'h.occurred_at') }}
    {{ join_person('receiver', 'h._source', 'h.new_value', 'h.occurred_at') }}

)

select
    {{ month_start() }} as month,
    n.event_key,
    n._source,
    n.event_id,
    n.ticket_id,
    n.occurred_at,
    n.occurred_on,
    n.holder_employee_id,
    n.receiver_employee_id,
    coalesce(n.holder_id <> n.new_value, false) as is_given_away,
    -- By the holder, soon after it came, and without a word to anybody.
    coalesce(
        n.holder_id <> n.new_value and n.actor_id = n.holder_id and not n.is_automated
        and {{ epoch_s('n.occurred_at') }} - {{ epoch_s('n.received_at') }}
        <= 60 * {{ monitor_setting('transfer_dumping_tickets', 'within_minutes') }}
        and t.event_key is null,
        false
    ) as is_passed_on_untouched,
    r.response_id as bad_response_id,
    n._file,
    n._row_number
from named as n
left join touched as t
    on n.event_key = t.event_key
left join rated_badly as r
    on n.event_key = r.event_key
where {{ in_month('n.occurred_on') }}
