-- What the company promised and the month decided. In time it answers to who did it; late or not at all to
-- whoever owned the ticket when it fell due.
with tickets as (

    select *
    from {{ ref('fct_tickets') }}
    where month = {{ month_start() }} and coalesce(status, 'open') not in ('merged', 'deleted')

),

promised as (

    select
        *,
        'first_reply' as promise,
        first_reply_due_at as due_at,
        first_reply_decided_at as decided_at,
        case when is_first_reply_on_time then first_reply_at end as done_at,
        case when is_first_reply_on_time then replier_id end as doer_id,
        is_first_reply_on_time as is_met
    from tickets
    union all
    select
        *,
        'resolution' as promise,
        resolution_due_at as due_at,
        resolution_decided_at as decided_at,
        case when is_resolution_on_time then first_solved_at end as done_at,
        case when is_resolution_on_time then first_solver_id end as doer_id,
        is_resolution_on_time as is_met
    from tickets
    union all
    select
        *,
        'complaint' as promise,
        complaint_due_at as due_at,
        complaint_due_at as decided_at,
        case when is_complaint_on_time then first_solved_at end as done_at,
        case when is_complaint_on_time then first_solver_id end as doer_id,
        is_complaint_on_time as is_met
    from tickets
    where complaint_due_at < {{ as_of_at() }}
    union all
    select
        *,
        'closure' as promise,
        resolution_due_at as due_at,
        first_solved_at as decided_at,
        first_solved_at as done_at,
        first_solver_id as doer_id,
        not is_reopened as is_met
    from tickets
    where is_solved
    union all
    select
        *,
        'closure' as promise,
        resolution_due_at as due_at,
        resolution_due_at as decided_at,
        null as done_at,
        null as doer_id,
        false as is_met
    from tickets
    where resolution_due_at < {{ as_of_at() }}
        and (first_solved_on is null or first_solved_on >= {{ month_end() }})

),

decided as (

    select
        _source,
        ticket_id,
        channel,
        category,
        priority,
        _file,
        _row_number,
        ticket_key,
        promise,
        due_at,
        decided_at,
        coalesce(done_at, decided_at) as acted_at,
        doer_id,
        is_met
    from promised
    where {{ near_month('decided_at') }}

),

{{ owner_ctes() }}

select
    {{ month_start() }} as month,
    ticket_key,
    _source,
    ticket_id,
    promise,
    channel,
    category,
    priority,
    owner_id,
    owner_employee_id,
    queue_id,
    due_at,
    decided_at,
    decided_on,
    is_met,
    _file,
    _row_number
from owned
where {{ in_month('decided_on') }}
