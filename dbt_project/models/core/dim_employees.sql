with employees as (

    select * from {{ ref('stg_employees') }}

),

locations as (

    select * from {{ source('config', 'locations') }}

),

company as (

    select * from locations where location = '*'

),

managers as (

    select distinct manager_id from employees where manager_id is not null

),

in_month as (

    select
        *,
        greatest(valid_from, {{ month_start() }}) as from_on,
        least(valid_to, {{ month_end() }}) as to_on
    from employees
    where valid_from < {{ month_end() }} and valid_to > {{ month_start() }} and valid_from < valid_to

)

select
    {{ month_start() }} as month,
    e.employee_id,
    e.display_name,
    e.team_id,
    e.team_name,
    e.job_family,
    e.manager_id,
    -- A manager whom nobody manages answers for their own work.
    coalesce(e.manager_id, m.manager_id) as responsible_manager_id,
    e.location,
    coalesce(l.time_zone, c.time_zone) as time_zone,
    coalesce(l.calendar, c.calendar) as calendar,
    e.employment_status,
    e.hire_date,
    e.left_on,
    cast(e.from_on as date) as valid_from,
    cast(e.to_on as date) as valid_to,
    e.to_on = max(e.to_on) over (partition by e.employee_id) as is_last_in_month,
    e._source,
    e._file,
    e._row_number
from in_month as e
cross join company as c
left join locations as l
    on e.location = l.location
left join managers as m
    on e.employee_id = m.manager_id
