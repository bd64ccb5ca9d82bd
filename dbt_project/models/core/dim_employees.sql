with employees as (

    select * from {{ ref('stg_employees') }}

),

chains as (

    select * from {{ ref('dim_management_chains') }} where month = {{ month_start() }}

),

named as (

    select manager_id from chains group by manager_id

),

-- A manager whom nobody manages stands at the head of their own chain.
in_month as (

    select
        e.*,
        coalesce(e.manager_id, n.manager_id) as chain_manager_id,
        greatest(e.valid_from, {{ month_start() }}) as from_on,
        least(e.valid_to, {{ month_end() }}) as to_on
    from employees as e
    left join named as n
        on e.employee_id = n.manager_id
    where e.valid_from < {{ month_end() }} and e.valid_to > {{ month_start() }} and e.valid_from < e.valid_to

),

-- An assignment is cut where the chain above it changes.
cut as (

    select
        e.*,
        c.responsible_manager_id,
        c.next_manager_id,
        c.management_path,
        c.is_leave_cover,
        c.is_vacancy_cover,
        coalesce(c.responsible_manager_id = e.employee_id and c.next_manager_id is not null, false) as is_own_cover,
        greatest(e.from_on, coalesce(c.valid_from, e.from_on)) as starts_on,
        least(e.to_on, coalesce(c.valid_to, e.to_on)) as stops_on
    from in_month as e
    left join chains as c
        on e.chain_manager_id = c.manager_id
        and e.from_on < c.valid_to
        and e.to_on > c.valid_from

)

select
    {{ month_start() }} as month,
    e.employee_id,
    e.display_name,
    e.team_id,
    e.team_name,
    e.job_family,
    e.manager_id,
    -- Who stands in for their own manager does not answer for themselves: the next one up does.
    case when e.is_own_cover then e.next_manager_id else e.responsible_manager_id end as responsible_manager_id,
    case
        when e.is_own_cover
            then left(e.management_path, length(e.management_path) - length({{ path_step('e.employee_id') }}) - 1)
        else e.management_path
    end as management_path,
    coalesce(e.is_leave_cover, false) as is_leave_cover,
    coalesce(e.is_vacancy_cover, false) as is_vacancy_cover,
    e.location,
    e.employment_status,
    e.hire_date,
    e.left_on,
    cast(e.starts_on as date) as valid_from,
    cast(e.stops_on as date) as valid_to,
    e._source,
    e._file,
    e._row_number
from cut as e
