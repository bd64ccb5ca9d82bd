with sums as (

    select
        coalesce(team_id, '-') as team_id,
        manager_id,
        kpi_id,
        kpi_version,
        sum(numerator) as numerator,
        sum(denominator) as denominator,
        sum(row_count) as row_count
    from {{ ref('kpi_stratum_months') }}
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

    {{ kpis_of_company() }}

),

confidential as (

    select * from {{ ref('kpi_confidential_cells') }} where month = {{ month_start() }}

),

available as (

    {{ available_kpis() }}

),

histories as (

    {{ months_told() }}

),

targets as (

    {{ valid_targets() }}

),

excluded as (

    {{ excluded_kpis() }}

),

parts as (

    select distinct
        s.manager_id,
        s.team_id,
        m.role
    from sums as s
    inner join {{ ref('dim_managers') }} as m
        on s.manager_id = m.manager_id and m.month = {{ month_start() }}

),

matched_targets as (

    {{ fitting_targets('parts', 'targets') }}

),

joined as (

    select
        s.*,
        d.team_name,
        d.agent_count,
        d.exposure_days,
        k.needed_sample,
        k.minimum_rows,
        k.is_suppressed and coalesce(c.is_hidden, true) as is_hidden,
        case when k.direction = 'down' then -1 else 1 end as sign,
        {{ double('s.numerator') }} / nullif({{ double('s.denominator') }}, 0) as plain_value,
        a.kpi_id is not null as is_available,
        {{ double('t.floor') }} as floor,
        {{ double('t.target') }} as target,
        {{ double('t.stretch') }} as stretch,
        {{ double('t.weight') }} as weight,
        t.version as target_version,
        t.kpi_id is not null as has_target,
        x.kpi_id is not null as is_excluded,
        coalesce(y.month_count, 0) < {{ minimum_months('s.kpi_id', 's.kpi_version') }} as is_too_new
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
    left join available as a
        on s.kpi_id = a.kpi_id and s.kpi_version = a.kpi_version
    left join histories as y
        on s.manager_id = y.manager_id and s.kpi_id = y.kpi_id
    left join excluded as x
        on s.manager_id = x.manager_id and s.kpi_id = x.kpi_id
    left join matched_targets as t
        on s.manager_id = t.manager_id
        and s.team_id = t.led_team_id
        and s.kpi_id = t.kpi_id
        and t.fit_rank = 1
        and k.is_chosen

),

judged as (

    select
        *,
        {{ status_of_kpi() }} as status
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
    case when is_hidden then null else {{ measure('denominator') }} end as denominator,
    case when is_hidden then null else {{ measure('denominator') }} end as sample_size,
    case when not is_hidden then {{ measure('plain_value') }} end as value,
    cast(coalesce(agent_count, 0) as integer) as agent_count,
    cast(coalesce(exposure_days, 0) as integer) as exposure_days,
    {{ measure('floor') }} as floor,
    {{ measure('target') }} as target,
    {{ measure('stretch') }} as stretch,
    {{ measure('weight') }} as weight,
    -- Of the part's own value: a part has no mix and no error of its own to allow for.
    case
        when status = 'scored'
            then {{ measure(score_of('plain_value', 'floor', 'target', 'stretch', 'sign')) }}
    end as score,
    status,
    cast(needed_sample as integer) as minimum_sample,
    target_version,
    case when is_hidden then null else cast(row_count as integer) end as row_count,
    minimum_rows
from judged
