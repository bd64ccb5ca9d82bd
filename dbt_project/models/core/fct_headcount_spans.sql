-- Heads are counted where people were, day by day: by assignment and by who answered for them.
with months as (

    select * from {{ ref('dim_months') }} where month = {{ month_start() }}

),

stretches as (

    select * from {{ ref('dim_employees') }} where month = {{ month_start() }}

),

-- Somebody whose last day was the last day of the month before leaves in this month, with no days; so
-- does whom the rosters of this month do not name any more, without a word.
gone_at_once as (

    select
        employee_id,
        team_id,
        job_family,
        manager_id,
        left_on,
        false as is_left_inferred,
        _source,
        _file,
        _row_number
    from {{ ref('stg_employees') }}
    where left_on = {{ month_start() }} and valid_to = left_on and valid_from < valid_to
    union all
    select
        employee_id,
        team_id,
        job_family,
        manager_id,
        left_on,
        true as is_left_inferred,
        _source,
        _file,
        _row_number
    from {{ ref('stg_vanished_employees') }}

),

chains as (

    select *
    from {{ ref('dim_management_chains') }}
    where month = {{ month_start() }} and valid_from = {{ month_start() }}

),

-- Why somebody left, as the nearest word about it says; hired and gone again within a month is rare.
departures as (

    select
        employee_id,
        effective_on,
        is_voluntary,
        recorded_at
    from {{ ref('stg_employment_events') }}
    where event_type = 'termination' and is_voluntary is not null

),

counted as (

    select
        s.employee_id,
        -- Nobody is their own head.
        case when s.responsible_manager_id <> s.employee_id then s.responsible_manager_id end as manager_id,
        case when s.responsible_manager_id <> s.employee_id then s.management_path end as management_path,
        s.team_id,
        s.job_family,
        s.valid_from,
        s.valid_to,
        s.left_on,
        {{ days_between('s.valid_from', 's.valid_to') }} as employed_days,
        coalesce(s.employment_status = 'leave', false) as is_on_leave,
        coalesce({{ in_month('s.left_on') }} and s.valid_to = s.left_on, false) as is_leaver,
        false as is_left_inferred,
        s._source,
        s._file,
        s._row_number
    from stretches as s
    union all
    select
        g.employee_id,
        c.responsible_manager_id as manager_id,
        c.management_path,
        g.team_id,
        g.job_family,
        g.left_on as valid_from,
        g.left_on as valid_to,
        g.left_on,
        0 as employed_days,
        false as is_on_leave,
        true as is_leaver,
        g.is_left_inferred,
        g._source,
        g._file,
        g._row_number
    from gone_at_once as g
    left join chains as c
        on g.manager_id = c.manager_id and c.responsible_manager_id <> g.employee_id

),

reasons as (

    select
        c.employee_id,
        c.left_on,
        d.is_voluntary,
        row_number() over (
            partition by c.employee_id, c.left_on
            order by
                abs({{ days_between('c.left_on', 'd.effective_on') }}),
                d.recorded_at desc nulls last,
                d.effective_on desc,
                d.is_voluntary
        ) as nearness
    from counted as c
    inner join departures as d
        on c.employee_id = d.employee_id
        and d.effective_on > c.left_on - interval '31 days'
        and d.effective_on < c.left_on + interval '31 days'
    where c.is_leaver

)

select
    {{ month_start() }} as month,
    {{ key_of(['c.employee_id', 'c.valid_from']) }} as assignment_key,
    c.employee_id,
    c.manager_id,
    c.management_path,
    c.team_id,
    c.job_family,
    c.valid_from,
    c.valid_to,
    c.left_on,
    -- The day of leaving, else the first day.
    case when c.is_leaver then c.left_on else c.valid_from end as counted_on,
    c.employed_days,
    case when c.is_on_leave then 0 else c.employed_days end as exposure_days,
    -- Finer than a published number: it is summed over people before it is rounded.
    cast(cast(c.employed_days as numeric(28, 10)) / m.day_count as numeric(28, 10)) as average_headcount,
    case when c.is_leaver then 1 else 0 end as leaver_count,
    c.is_left_inferred,
    case when c.is_leaver then r.is_voluntary end as is_voluntary,
    (select count(*) from {{ ref('stg_employment_events') }}) > 0 as has_reasons,
    c._source,
    c._file,
    c._row_number
from counted as c
cross join months as m
left join reasons as r
    on c.employee_id = r.employee_id and c.left_on = r.left_on and r.nearness = 1
