-- Where the rosters say that somebody works, from which day on. What every delivery up to the as-of month
-- tells is there, whichever month is built: a day must have one answer for the months on both sides of it.
with {{ roster_assignments(source('raw', 'hr_roster'), as_of_key(), of_all_months=true) }}

select
    employee_id,
    location,
    valid_from
from held
