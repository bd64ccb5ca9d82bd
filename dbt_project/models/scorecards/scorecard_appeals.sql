with appeals as (

    select * from {{ ref('fct_appeals') }} where month = {{ month_start() }}

),

managers as (

    select manager_id from {{ ref('dim_managers') }} where month = {{ month_start() }}

),

kpis as (

    select kpi_id, max(case when is_suppressed then 1 else 0 end) as is_confidential
    from {{ ref('kpi_definitions') }}
    where first_month <= '{{ month_key() }}' and last_month > '{{ month_key() }}'
    group by kpi_id

),

touched as (

    select
        appeal_key,
        sum(case when is_applied then row_count else 0 end) as row_count,
        min(finding) as finding
    from {{ ref('kpi_appeal_rows') }}
    where month = {{ month_start() }}
    group by appeal_key

),

judged as (

    select
        a.*,
        coalesce(t.row_count, 0) as applied_row_count,
        k.kpi_id is not null or a.kpi_id = '*' as is_kpi_known,
        case
            when a.state <> 'upheld' then 'none'
            when not a.is_upheld then 'nobody_decided'
            when a.kpi_id <> '*' and k.kpi_id is null then 'unknown_kpi'
            when a.row_id is null and a.effect = 'exclude' and a.kpi_id <> '*' then 'applied'
            when a.row_id is null then 'no_effect'
            when k.is_confidential = 1 then 'confidential'
            when t.row_count > 0 then 'applied'
            else coalesce(t.finding, 'no_row')
        end as outcome
    from appeals as a
    inner join managers as m
        on a.manager_id = m.manager_id
    left join kpis as k
        on a.kpi_id = k.kpi_id
    left join touched as t
        on a.appeal_key = t.appeal_key

)

select
    {{ month_start() }} as month,
    manager_id,
    appeal_key,
    appeal_id,
    -- What names no KPI may be anybody's words.
    case when is_kpi_known then kpi_id end as kpi_id,
    row_id is not null as is_row,
    effect,
    state,
    outcome,
    cast(applied_row_count as integer) as row_count,
    is_late,
    is_admitted,
    raised_on,
    deadline_on,
    decide_by,
    decided_on,
    reason_code,
    decision_code
from judged
