-- The roster that each source delivered for the month, or its last one before, with what was corrected
-- since; one row per assignment, half-open, ended by the next assignment or by the day after the last day
-- of work. `valid_from` is when it took effect, `recorded_on` when HR told of it.
with {{ roster_assignments(source('raw', 'hr_roster'), month_key(), as_of_key()) }},

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
    a.user_id as source_user_id,
    a.email_hash as work_email_hash,
    coalesce(a.display_name, a.employee_id) as display_name,
    coalesce(a.team_id, a.department_id) as team_id,
    coalesce(u.name, a.team_id, a.department_id) as team_name,
    coalesce(a.job_family, 'other') as job_family,
    coalesce(a.is_people_manager, false) as is_people_manager,
    a.manager_employee_id as manager_id,
    nullif(trim(a.deputy_employee_id), '') as deputy_id,
    a.location,
    a.employment_status,
    a.hire_date,
    cast(a.left_on as date) as left_on,
    a.valid_from,
    a.ends_on as valid_to,
    a.recorded_on,
    a._file,
    a._row_number
from held as a
left join units as u
    on coalesce(a.team_id, a.department_id) = u.org_id
