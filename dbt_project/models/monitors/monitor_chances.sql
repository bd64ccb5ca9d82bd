{#- Monitor, whose days, what a day counts as chances, and what it is compared with: the closes of a day count
    beside days on which anything was closed. -#}
{%- set chances = [
    ('reassigned_after_bad_rating', 'handoffs', 'given_count', '0'),
    ('transfer_dumping_tickets', 'receipts', 'received_count', '0'),
    ('closed_early_and_reopened', 'tickets', 'solved_count', '0'),
    ('survey_not_offered', 'tickets', 'solved_count', '0'),
    ('survey_not_answered', 'responses', 'invited_count', '0'),
    ('very_short_calls', 'calls', 'handled_count', '0'),
    ('transfer_dumping_calls', 'calls', 'handled_count', '0'),
    ('weekend_bulk_closes', 'tickets', '1', 'solved_count'),
] -%}

with tickets as (

    select
        first_solver_employee_id as employee_id,
        first_solved_on as day,
        count(*) as solved_count
    from {{ ref('fct_tickets') }}
    where month = {{ month_start() }} and is_solved
    group by first_solver_employee_id, first_solved_on

),

handoffs as (

    select
        holder_employee_id as employee_id,
        occurred_on as day,
        count(*) as given_count
    from {{ ref('monitor_handoffs') }}
    where month = {{ month_start() }} and is_given_away
    group by holder_employee_id, occurred_on

),

receipts as (

    select
        receiver_employee_id as employee_id,
        occurred_on as day,
        count(*) as received_count
    from {{ ref('monitor_handoffs') }}
    where month = {{ month_start() }}
    group by receiver_employee_id, occurred_on

),

calls as (

    select
        agent_employee_id as employee_id,
        ended_on as day,
        count(*) as handled_count
    from {{ ref('fct_calls') }}
    where month = {{ month_start() }} and is_handled
    group by agent_employee_id, ended_on

),

responses as (

    select
        credited_employee_id as employee_id,
        submitted_on as day,
        count(distinct {{ key_of(['_source', 'response_id']) }}) as invited_count
    from {{ ref('fct_survey_responses') }}
    where month = {{ month_start() }} and rater_type = 'customer' and not {{ asks_employees('survey_kind') }}
    group by credited_employee_id, submitted_on

),

days as (

    {% for monitor, events, chance, usual in chances -%}
    select '{{ monitor }}' as monitor, employee_id, day, {{ chance }} as chance_count, {{ usual }} as usual_count
    from {{ events }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    {{ month_start() }} as month,
    d.monitor,
    e.responsible_manager_id as manager_id,
    d.employee_id,
    cast(sum(d.chance_count) as bigint) as chance_count,
    cast(sum(d.usual_count) as bigint) as usual_count
from days as d
inner join {{ ref('dim_employees') }} as e
    on e.month = {{ month_start() }}
    and d.employee_id = e.employee_id
    and d.day >= e.valid_from
    and d.day < e.valid_to
group by d.monitor, e.responsible_manager_id, d.employee_id
