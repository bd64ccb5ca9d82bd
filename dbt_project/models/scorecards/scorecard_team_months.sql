with sums as (

    select
        coalesce(team_id, '-') as team_id,
        manager_id,
        kpi_id,
        kpi_version,
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from {{ ref('kpi_employee_months') }}
    where month = {{ month_start() }} and manager_id is not null
    group by coalesce(team_id, '-'), manager_id, kpi_id, kpi_version

),

team_days as (

    select
        coalesce(e.team_id, '-') as team_id,
        e.responsible_manager_id as manager_id,
        min(e.team_name) as team_name,
        count(distinct e.employee_id) as agent_count,
        count(distinct d.day) as exposure_days
    from {{ ref('dim_employees') }} as e
    inner join {{ ref('dim_days') }} as d
        on d.day >= e.valid_from and d.day < e.valid_to
    where e.month = {{ month_start() }} and e.responsible_manager_id <> e.employee_id
    group by coalesce(e.team_id, '-'), e.responsible_manager_id

),

kpis as (

    select
        kpi_id,
        version,
        is_suppressed,
        minimum_sample
    from {{ ref('kpi_definitions') }}

),

joined as (

    select
        s.*,
        d.team_name,
        d.agent_count,
        d.exposure_days,
        k.is_suppressed and s.denominator < coalesce(o.minimum_sample, k.minimum_sample) as is_small
    from sums as s
    inner join kpis as k
        on s.kpi_id = k.kpi_id and s.kpi_version = k.version
    left join {{ source('config', 'kpis') }} as o
        on s.kpi_id = o.kpi_id
    left join team_days as d
        on s.team_id = d.team_id and s.manager_id = d.manager_id

),

-- One hidden team hides all of a manager's: the manager's sum less the others would give it away.
hidden as (

    select
        *,
        max(case when is_small then 1 else 0 end) over (partition by manager_id, kpi_id) = 1 as is_hidden
    from joined

)

select
    {{ month_start() }} as month,
    team_id,
    manager_id,
    kpi_id,
    kpi_version,
    coalesce(team_name, team_id) as team_name,
    case when is_hidden then null else {{ measure('numerator') }} end as numerator,
    {{ measure('denominator') }} as denominator,
    {{ measure('denominator') }} as sample_size,
    case
        when not is_hidden
            then {{ measure(double('numerator') ~ ' / nullif(' ~ double('denominator') ~ ', 0)') }}
    end as value,
    cast(coalesce(agent_count, 0) as integer) as agent_count,
    cast(coalesce(exposure_days, 0) as integer) as exposure_days
from hidden
