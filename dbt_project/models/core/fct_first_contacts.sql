-- A customer's first contact about an issue: no ticket of the same customer and category at the same source
-- within the window before it. Deleted tickets are no contacts; merged ones are, though never a first one.
with months as (

    select * from {{ ref('dim_months') }} where month = {{ month_start() }}

),

tickets as (

    select * from {{ ref('fct_tickets') }} where month = {{ month_start() }}

),

-- A source that tells of no solution at all says nothing about the first contact either.
sources as (

    select _source
    from tickets
    where first_solved_at is not null
    group by _source

),

contacts as (

    select
        ticket_key,
        created_at,
        lag(created_at) over (partition by _source, requester_key, category order by created_at, ticket_id) as previous_at,
        lead(created_at) over (partition by _source, requester_key, category order by created_at, ticket_id) as next_at
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

),

-- It answers to who replied within the window, else to who solved it, else to who owned it at the end.
decided as (

    select
        t.ticket_key,
        t._source,
        t.ticket_id,
        t.category,
        t.channel,
        t.priority,
        t._file,
        t._row_number,
        t.created_at as decided_at,
        case
            when t.first_reply_at between w.created_at and w.ends_at then t.first_reply_at
            when t.first_solved_at between w.created_at and w.ends_at then t.first_solved_at
            else least(w.ends_at, m.as_of_at)
        end as acted_at,
        case
            when t.first_reply_at between w.created_at and w.ends_at then t.replier_id
            when t.first_solved_at between w.created_at and w.ends_at then t.first_solver_id
        end as doer_id,
        w.next_at,
        coalesce(t.first_solved_at <= w.ends_at, false) as is_solved,
        coalesce(t.reopened_at <= w.ends_at, t.is_reopened) as is_reopened,
        w.ends_at <= m.as_of_at as is_matured,
        w.ends_at
    from tickets as t
    inner join sources as s
        on t._source = s._source
    inner join windows as w
        on t.ticket_key = w.ticket_key
    cross join months as m
    where coalesce(t.status, 'open') not in ('merged', 'deleted')
        and {{ near_month('t.created_at') }}
        and (w.previous_at is null or w.previous_at < w.begins_at)

),

{{ owner_ctes() }}

select
    {{ month_start() }} as month,
    ticket_key,
    _source,
    ticket_id,
    category,
    channel,
    priority,
    owner_id,
    owner_employee_id,
    queue_id,
    decided_at as contacted_at,
    decided_on as contacted_on,
    next_at as next_contact_at,
    is_reopened,
    is_solved and not is_reopened and coalesce(next_at > ends_at, true) as is_resolved,
    is_matured,
    _file,
    _row_number
from owned
where {{ in_month('decided_on') }}
