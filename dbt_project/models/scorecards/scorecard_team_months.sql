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

    select kpi_id, version, is_suppressed from {{ ref('kpi_definitions') }}

),

confidential as (

    select * from {{ ref('kpi_confidential_cells') }} where month = {{ month_start() }}

),

joined as (

    select
        s.*,
        d.team_name,
        d.agent_count,
        d.exposure_days,
        k.is_suppressed and coalesce(c.is_hidden, true) as is_hidden
    from sums as s
    inner join kpis as k
        on s.kpi_id = k.kpi_id and s.kpi_version = k.version
    left join confidential as c
        on s.kpi_id = c.kpi_id
        and s.kpi_version = c.kpi_version
        and s.manager_id = c.manager_id
        and s.team_id = c.team_id
    left join team_days as d
        on s.team_id = d.team_id and s.manager_id = d.manager_id

)

select
    {{ month_start() }} as month,
    team_id,
    manager_id,
    kpi_id,
    kpi_version,
    coalesce(team_name, team_id) as team_name,
    case when is_hidden then null else {{ measure('numerator') }} end as numerator,
    case when is_hidden then null else {{ measure('denominator') }} end as denominator,
    case when is_hidden then null else {{ measure('denominator') }} end as sample_size,
    case
        when not is_hidden
            then {{ measure(double('numerator') ~ ' / nullif(' ~ double('denominator') ~ ', 0)') }}
    end as value,
    cast(coalesce(agent_count, 0) as integer) as agent_count,
    cast(coalesce(exposure_days, 0) as integer) as exposure_days
from joined
