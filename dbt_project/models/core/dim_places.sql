-- The clock and calendar that somebody works by, on any day: the first place reaches back, each to the next.
with companies as (

    select * from {{ source('config', 'locations') }} where location = '*'

),

places as (

    select
        p.employee_id,
        p.valid_from,
        coalesce(l.time_zone, c.time_zone) as time_zone,
        coalesce(l.calendar, c.calendar) as calendar
    from {{ ref('stg_places') }} as p
    cross join companies as c
    left join {{ source('config', 'locations') }} as l
        on p.location = l.location

),

compared as (

    select
        *,
        lag(valid_from) over (partition by employee_id order by valid_from) as previous_from,
        lag(time_zone) over (partition by employee_id order by valid_from) as previous_zone,
        lag(calendar) over (partition by employee_id order by valid_from) as previous_calendar
    from places

),

moves as (

    select *
    from compared
    where previous_from is null
        or time_zone <> previous_zone
        or calendar is distinct from previous_calendar

)

select
    {{ month_start() }} as month,
    employee_id,
    time_zone,
    calendar,
    case when previous_from is null then date '1900-01-01' else valid_from end as valid_from,
    lead(valid_from, 1, date '2999-01-01') over (partition by employee_id order by valid_from) as valid_to
from moves
