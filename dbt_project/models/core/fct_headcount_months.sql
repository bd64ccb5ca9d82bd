-- The heads of the month, and those of the eleven months before as far as this warehouse holds them: people
-- leave too seldom to judge a team by one month. What lies behind is counted on the first of the month.
with spans as (

    select
        *,
        month = {{ month_start() }} as is_own_month
    from {{ ref('fct_headcount_spans') }}
    where month > {{ month_start(-12) }} and month <= {{ month_start() }}

)

select
    {{ month_start() }} as month,
    {{ key_of(['month', 'assignment_key']) }} as assignment_key,
    month as head_month,
    employee_id,
    manager_id,
    management_path,
    team_id,
    job_family,
    valid_from,
    valid_to,
    left_on,
    case when is_own_month then counted_on else {{ month_start() }} end as counted_on,
    case when is_own_month then employed_days else 0 end as employed_days,
    case when is_own_month then exposure_days else 0 end as exposure_days,
    case when is_own_month then average_headcount else 0 end as average_headcount,
    case when is_own_month then leaver_count else 0 end as leaver_count,
    -- A twelfth of a month's headcount: twelve months make the year's average.
    cast(average_headcount / 12 as numeric(28, 10)) as yearly_headcount,
    leaver_count as yearly_leaver_count,
    cast(case when has_reasons then average_headcount / 12 else 0 end as numeric(28, 10)) as yearly_reasoned_headcount,
    case when has_reasons and is_voluntary then leaver_count else 0 end as yearly_voluntary_leaver_count,
    _source,
    _file,
    _row_number
from spans
where is_own_month or manager_id is not null
