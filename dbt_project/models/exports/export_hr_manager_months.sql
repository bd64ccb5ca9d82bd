with managers as (

    select * from {{ ref('dim_managers') }} where month = {{ month_start() }}

),

scorecards as (

    select * from {{ ref('scorecard_manager_months') }} where month = {{ month_start() }}

),

categories as (

    select
        manager_id,
        {% for category in ['result', 'quality', 'efficiency', 'people', 'innovation'] -%}
        sum(case when category = '{{ category }}' and status = 'scored' then {{ double('score') }} * {{ double('weight') }} end)
        / nullif(sum(case when category = '{{ category }}' and status = 'scored' then {{ double('weight') }} end), 0)
        as {{ category }}_score{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('scorecard_kpi_months') }}
    where month = {{ month_start() }}
    group by manager_id

),

appeals as (

    select
        manager_id,
        sum(case when state in ('submitted', 'accepted') then 1 else 0 end) as appeals_open,
        sum(case when state = 'upheld' then 1 else 0 end) as appeals_upheld,
        sum(case when state = 'rejected' then 1 else 0 end) as appeals_rejected,
        sum(case when state = 'late' then 1 else 0 end) as appeals_late
    from {{ ref('scorecard_appeals') }}
    where month = {{ month_start() }}
    group by manager_id

)

select
    {{ month_start() }} as month,
    m.manager_id as employee_number,
    m.display_name,
    m.team_id,
    m.team_name,
    m.role,
    s.total_score,
    s.grade,
    s.rank,
    s.rank_low,
    s.rank_high,
    s.peer_count,
    s.previous_total_score,
    s.change,
    s.coverage_rate,
    s.status,
    {{ measure('c.result_score') }} as result_score,
    {{ measure('c.quality_score') }} as quality_score,
    {{ measure('c.efficiency_score') }} as efficiency_score,
    {{ measure('c.people_score') }} as people_score,
    {{ measure('c.innovation_score') }} as innovation_score,
    s.agent_count,
    s.exposure_days,
    cast(coalesce(a.appeals_open, 0) as integer) as appeals_open,
    cast(coalesce(a.appeals_upheld, 0) as integer) as appeals_upheld,
    cast(coalesce(a.appeals_rejected, 0) as integer) as appeals_rejected,
    cast(coalesce(a.appeals_late, 0) as integer) as appeals_late
from managers as m
inner join scorecards as s
    on m.manager_id = s.manager_id
left join categories as c
    on m.manager_id = c.manager_id
left join appeals as a
    on m.manager_id = a.manager_id
