with employees as (

    select *
    from {{ ref('stg_employees') }}
    where valid_from < {{ month_end() }} and valid_from < valid_to

),

months as (

    select * from {{ ref('dim_months') }} where month = {{ month_start() }}

),

-- Somebody whose last day was the last day of the month before leaves in this month, with no days.
counted as (

    select
        e.*,
        m.day_count,
        greatest({{ days_between('greatest(e.valid_from, m.month)', 'least(e.valid_to, m.next_month)') }}, 0) as exposure_days,
        coalesce({{ in_month('e.left_on') }} and e.valid_to = e.left_on, false) as is_leaver
    from employees as e
    cross join months as m

)

select
    {{ month_start() }} as month,
    {{ key_of(['employee_id', 'valid_from']) }} as assignment_key,
    employee_id,
    manager_id,
    team_id,
    job_family,
    valid_from,
    valid_to,
    left_on,
    case
        when is_leaver then left_on
        when valid_from > {{ month_start() }} then valid_from
        else {{ month_start() }}
    end as counted_on,
    exposure_days,
    -- Finer than a published number: it is summed over people before it is rounded.
    cast(cast(exposure_days as numeric(28, 10)) / day_count as numeric(28, 10)) as average_headcount,
    case when is_leaver then 1 else 0 end as leaver_count,
    _source,
    _file,
    _row_number
from counted
where exposure_days > 0 or is_leaver
