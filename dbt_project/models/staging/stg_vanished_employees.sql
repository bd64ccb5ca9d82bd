-- Who is in no roster of the month any more, though nobody said that they left: the last that was told of
-- them. They left when the month began, for on which of its days nobody knows.
with {{ roster_assignments(
    source('raw', 'hr_roster'), month_key(), as_of_key(), ref('stg_employment_events'), of_vanished=true) }}

select
    _source,
    employee_id,
    coalesce(team_id, department_id) as team_id,
    coalesce(job_family, 'other') as job_family,
    manager_employee_id as manager_id,
    silent_on as left_on,
    _file,
    _row_number
from vanished
