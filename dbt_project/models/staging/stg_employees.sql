-- The roster that each source delivered for the month, or its last one before; one row per
-- assignment, half-open, ended by the next assignment or by the day after the last day of work.
with deliveries as (

    select
        *,
        max(_month) over (partition by _source) as newest_month
    from {{ source('raw', 'hr_roster') }}
    where _month <= '{{ month_key() }}' and _op <> 'delete'

),

versions as (

    select
        *,
        coalesce(last_work_date + interval '1 day', termination_date) as left_on,
        row_number() over (
            partition by employee_id, valid_from
            order by snapshot_date desc, {{ latest_first() }}, _source
        ) as version_rank
    from deliveries
    where _month = newest_month

),

assignments as (

    select
        *,
        lead(valid_from) over (partition by employee_id order by valid_from) as next_from
    from versions
    where version_rank = 1

),

units as (

    select
        org_id,
        min(name) as name
    from {{ source('raw', 'org_units') }}
    group by org_id

)

select
    a._source,
    a.employee_id,
    nullif(trim(a.source_user_id), '') as source_user_id,
    nullif(trim(a.work_email_hash), '') as work_email_hash,
    coalesce(a.display_name, a.employee_id) as display_name,
    coalesce(a.team_id, a.department_id) as team_id,
    coalesce(u.name, a.team_id, a.department_id) as team_name,
    coalesce(a.job_family, 'other') as job_family,
    coalesce(a.is_people_manager, false) as is_people_manager,
    a.manager_employee_id as manager_id,
    a.location,
    a.employment_status,
    a.hire_date,
    cast(a.left_on as date) as left_on,
    a.valid_from,
    cast(least(
        coalesce(a.valid_to, date '2999-01-01'),
        coalesce(a.next_from, date '2999-01-01'),
        coalesce(a.left_on, date '2999-01-01')
    ) as date) as valid_to,
    a._file,
    a._row_number
from assignments as a
left join units as u
    on coalesce(a.team_id, a.department_id) = u.org_id
