-- A customer's first contact about an issue: no ticket of the same customer and category at the same source
-- within the window before it. Deleted tickets are no contacts; merged ones are, though never a first one.
with months as (

    select * from {{ ref('dim_months') }} where month = {{ month_start() }}

),

tickets as (

    select *
    from {{ ref('fct_tickets') }}
    where month = {{ month_start() }} and coalesce(status, 'open') not in ('merged', 'deleted')
        and {{ in_month('created_on') }}

),

contacts as (

    select
        ticket_key,
        created_at,
        lag(created_at) over (partition by _source, requester_key, category order by created_at, ticket_key) as previous_at,
        lead(created_at) over (partition by _source, requester_key, category order by created_at, ticket_key) as next_at
    from {{ ref('stg_tickets') }}
    where requester_key is not null
        and coalesce(status, 'open') <> 'deleted'
        and created_at >= {{ instant(local_midnight(month_day(month_key())) - 86400) }} - interval '1 day' * {{ setting('reopen_days') }}
        and created_at < {{ instant(local_midnight(month_day(month_key(), 1)) + 86400) }} + interval '1 day' * {{ setting('reopen_days') }}

),

windows as (

    select
        *,
        created_at - interval '1 day' * {{ setting('reopen_days') }} as begins_at,
        created_at + interval '1 day' * {{ setting('reopen_days') }} as ends_at
    from contacts

)

select
    t.month,
    t.ticket_key,
    t._source,
    t.ticket_id,
    t.category,
    t.channel,
    t.priority,
    t.replier_employee_id,
    t.created_at as contacted_at,
    t.created_on as contacted_on,
    w.next_at as next_contact_at,
    coalesce(t.reopened_at <= w.ends_at, t.is_reopened) as is_reopened,
    coalesce(w.next_at > w.ends_at, true) and not coalesce(t.reopened_at <= w.ends_at, t.is_reopened) as is_resolved,
    w.ends_at <= m.as_of_at as is_matured,
    t._file,
    t._row_number
from tickets as t
inner join windows as w
    on t.ticket_key = w.ticket_key
cross join months as m
where w.previous_at is null or w.previous_at < w.begins_at
