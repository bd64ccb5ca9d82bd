with plans as (

    select * from {{ ref('stg_coaching_plans') }} where {{ near_month('due_at') }}

),

{{ people_ctes() }},

months as (

    select * from {{ ref('dim_months') }} where month = {{ month_start() }}

),

named as (

    select
        p.*,
        {{ person('coachee') }} as coachee_employee_id,
        {{ local_on('p.due_at', 'coachee_at.time_zone') }} as due_on,
        {{ local_on('p.completed_at', 'coachee_at.time_zone') }} as held_on
    from plans as p
    {{ join_person('coachee', 'p._source', 'p.coachee_id', 'coalesce(p.planned_at, p.due_at)', dated_at='p.due_at') }}

),

-- Who has left by the day owes nothing any more; an id that nobody knows stays in and is reported.
judged as (

    select
        n.*,
        n.due_at < m.as_of_at
        and coalesce(n.outcome, 'held') <> 'cancelled'
        and (n.coachee_employee_id is null or e.employee_id is not null) as is_due
    from named as n
    cross join months as m
    left join {{ ref('dim_employees') }} as e
        on e.month = {{ month_start() }}
        and n.coachee_employee_id = e.employee_id
        and n.due_on >= e.valid_from
        and n.due_on < e.valid_to

)

select
    {{ month_start() }} as month,
    plan_key,
    _source,
    plan_id,
    coach_id,
    coachee_id,
    coachee_employee_id,
    kind,
    planned_at,
    due_at,
    due_on,
    held_on,
    outcome,
    is_due and coalesce(kind, 'onboarding') = 'onboarding' as is_onboarding_due,
    is_due and coalesce(kind, 'onboarding') = 'onboarding'
    and coalesce(outcome, 'held') = 'held' and coalesce(held_on <= due_on, false) as is_onboarding_on_time,
    _file,
    _row_number
from judged
where {{ in_month('due_on') }}
