with employees as (

    select * from {{ ref('dim_employees') }} where month = {{ month_start() }}

),

roster as (

    select * from {{ ref('stg_employees') }}

),

owners as (

    select manager_id from {{ source('config', 'queue_owners') }}
    where valid_from < {{ month_end() }} and coalesce(valid_to, date '2999-01-01') > {{ month_start() }}

),

-- Everyone who answers for somebody or for a queue in the month, and people managers without a team.
managers as (

    select responsible_manager_id as manager_id from employees where responsible_manager_id is not null
    union
    select manager_id from owners
    union
    select r.employee_id from roster as r
    inner join employees as e on r.employee_id = e.employee_id
    where r.is_people_manager or r.job_family = 'cs_manager'

),

own_rows as (

    select
        employee_id,
        display_name,
        job_family,
        row_number() over (
            partition by employee_id
            order by case when valid_from < {{ month_end() }} then 0 else 1 end, valid_from desc
        ) as newest_rank
    from roster

),

own as (

    select * from own_rows where newest_rank = 1

),

exposure as (

    select
        responsible_manager_id as manager_id,
        team_id,
        team_name,
        sum({{ days_between('valid_from', 'valid_to') }}) as employee_days
    from employees
    where responsible_manager_id is not null and responsible_manager_id <> employee_id
    group by responsible_manager_id, team_id, team_name

),

teams as (

    select
        *,
        row_number() over (
            partition by manager_id order by employee_days desc, team_id nulls last, team_name
        ) as size_rank
    from exposure

),

team_days as (

    select
        e.responsible_manager_id as manager_id,
        count(distinct d.day) as exposure_days,
        count(distinct e.employee_id) as agent_count
    from employees as e
    inner join {{ ref('dim_days') }} as d
        on d.day >= e.valid_from and d.day < e.valid_to
    where e.responsible_manager_id <> e.employee_id
    group by e.responsible_manager_id

)

select
    {{ month_start() }} as month,
    m.manager_id,
    coalesce(o.display_name, m.manager_id) as display_name,
    coalesce(o.job_family, 'cs_manager') as role,
    t.team_id,
    t.team_name,
    coalesce(d.agent_count, 0) as agent_count,
    coalesce(d.exposure_days, 0) as exposure_days,
    o.employee_id is not null as is_in_roster
from managers as m
left join own as o
    on m.manager_id = o.employee_id
left join teams as t
    on m.manager_id = t.manager_id and t.size_rank = 1
left join team_days as d
    on m.manager_id = d.manager_id
