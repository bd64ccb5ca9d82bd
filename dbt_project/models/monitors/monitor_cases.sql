with tickets as (

    select
        *,
        count(*) over (partition by first_solver_employee_id, first_solved_on) as solved_that_day
    from {{ ref('fct_tickets') }}
    where month = {{ month_start() }} and is_solved

),

handoffs as (

    select * from {{ ref('monitor_handoffs') }} where month = {{ month_start() }} and is_given_away

),

calls as (

    select
        *,
        coalesce({{ epoch_s('ended_at') }} - {{ epoch_s('answered_at') }}, handle_seconds) as spoken_seconds
    from {{ ref('fct_calls') }}
    where month = {{ month_start() }} and is_handled

),

responses as (

    select
        _source,
        response_id,
        credited_employee_id,
        min(submitted_on) as submitted_on,
        min(ticket_id) as ticket_id,
        min(_file) as _file,
        min(_row_number) as _row_number
    from {{ ref('fct_survey_responses') }}
    where month = {{ month_start() }} and rater_type = 'customer' and not {{ asks_employees('survey_kind') }}
    group by _source, response_id, credited_employee_id
    having max(case when status = 'sent' then 0 else 1 end) = 0

),

-- Tickets that customers were asked about; none at all where no survey tells of tickets.
invited as (

    select distinct ticket_id
    from {{ ref('stg_survey_responses') }}
    where ticket_id is not null and rater_type = 'customer' and submitted_at >= {{ month_starts_at() }}

),

weekend as (

    select
        cast(substring(name, 5) as integer) as weekday,
        {{ monitor_setting('weekend_bulk_closes', 'least_cases') }} as least_cases
    from {{ source('config', 'monitors') }} as days
    where monitor = 'weekend_bulk_closes' and name like 'day_%' and value = 1

),

cases as (

    select
        'reassigned_after_bad_rating' as monitor,
        holder_employee_id as employee_id,
        occurred_on,
        'ticket_events' as stream,
        _source as source,
        event_id as source_row_id,
        _file as file,
        _row_number as row_number,
        ticket_id as subject_id,
        bad_response_id as related_row_id
    from handoffs
    where bad_response_id is not null
    union all
    select
        'transfer_dumping_tickets' as monitor,
        holder_employee_id as employee_id,
        occurred_on,
        'ticket_events' as stream,
        _source as source,
        event_id as source_row_id,
        _file as file,
        _row_number as row_number,
        ticket_id as subject_id,
        cast(null as varchar) as related_row_id
    from handoffs
    where is_passed_on_untouched
    union all
    select
        'closed_early_and_reopened' as monitor,
        first_solver_employee_id as employee_id,
        first_solved_on as occurred_on,
        'tickets' as stream,
        _source as source,
        ticket_id as source_row_id,
        _file as file,
        _row_number as row_number,
        ticket_id as subject_id,
        cast(null as varchar) as related_row_id
    from tickets
    where reopened_at >= first_solved_at
        and {{ epoch_s('reopened_at') }} - {{ epoch_s('first_solved_at') }}
        <= 3600 * {{ monitor_setting('closed_early_and_reopened', 'within_hours') }}
        and (resolution_due_at is null or first_solved_at < resolution_due_at)
    union all
    select
        'weekend_bulk_closes' as monitor,
        t.first_solver_employee_id as employee_id,
        t.first_solved_on as occurred_on,
        'tickets' as stream,
        t._source as source,
        t.ticket_id as source_row_id,
        t._file as file,
        t._row_number as row_number,
        t.ticket_id as subject_id,
        cast(null as varchar) as related_row_id
    from tickets as t
    inner join weekend as w
        on {{ weekday_of('t.first_solved_on') }} = w.weekday
    where t.solved_that_day >= w.least_cases
    union all
    select
        'survey_not_offered' as monitor,
        t.first_solver_employee_id as employee_id,
        t.first_solved_on as occurred_on,
        'tickets' as stream,
        t._source as source,
        t.ticket_id as source_row_id,
        t._file as file,
        t._row_number as row_number,
        t.ticket_id as subject_id,
        cast(null as varchar) as related_row_id
    from tickets as t
    left join invited as i
        on t.ticket_id = i.ticket_id
    where i.ticket_id is null and (select count(*) from invited) > 0
    union all
    select
        'survey_not_answered' as monitor,
        credited_employee_id as employee_id,
        submitted_on as occurred_on,
        'survey_responses' as stream,
        _source as source,
        response_id as source_row_id,
        _file as file,
        _row_number as row_number,
        ticket_id as subject_id,
        cast(null as varchar) as related_row_id
    from responses
    union all
    select
        'very_short_calls' as monitor,
        agent_employee_id as employee_id,
        ended_on as occurred_on,
        'calls' as stream,
        _source as source,
        leg_id as source_row_id,
        _file as file,
        _row_number as row_number,
        interaction_id as subject_id,
        cast(null as varchar) as related_row_id
    from calls
    where not is_transferred and spoken_seconds < {{ monitor_setting('very_short_calls', 'short_seconds') }}
    union all
    select
        'transfer_dumping_calls' as monitor,
        agent_employee_id as employee_id,
        ended_on as occurred_on,
        'calls' as stream,
        _source as source,
        leg_id as source_row_id,
        _file as file,
        _row_number as row_number,
        interaction_id as subject_id,
        cast(null as varchar) as related_row_id
    from calls
    where is_transferred and spoken_seconds < {{ monitor_setting('transfer_dumping_calls', 'short_seconds') }}

)

select
    {{ month_start() }} as month,
    c.monitor,
    e.responsible_manager_id as manager_id,
    c.employee_id,
    -- A bulk is one of a day, a habit one of the month.
    case when c.monitor = 'weekend_bulk_closes' then c.occurred_on else {{ month_start() }} end as period_from,
    cast(
        case when c.monitor = 'weekend_bulk_closes' then c.occurred_on + interval '1 day' else {{ month_end() }} end as date
    ) as period_to,
    c.occurred_on,
    c.stream,
    c.source,
    c.source_row_id,
    c.file,
    c.row_number,
    c.subject_id,
    c.related_row_id
from cases as c
inner join {{ ref('dim_employees') }} as e
    on e.month = {{ month_start() }}
    and c.employee_id = e.employee_id
    and c.occurred_on >= e.valid_from
    and c.occurred_on < e.valid_to
