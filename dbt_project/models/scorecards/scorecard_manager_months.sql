-- Reads its own month before, so it is dbt's `incremental` with our strategy.
{{ config(materialized='incremental', incremental_strategy='month', on_schema_change='fail') }}

with managers as (

    select * from {{ ref('dim_managers') }} where month = {{ month_start() }}

),

kpi_months as (

    select * from {{ ref('scorecard_kpi_months') }} where month = {{ month_start() }}

),

-- The weight of KPIs without a score stays in their category as long as another of it is scored,
-- else it goes to the other categories in proportion.
categories as (

    select
        manager_id,
        category,
        sum({{ double('weight') }}) as weight,
        sum(case when status = 'scored' then {{ double('weight') }} end) as scored_weight,
        sum(case when status = 'scored' then {{ double('weight') }} * {{ double('score') }} end) as points,
        count(case when status = 'scored' then 1 end) as scored_kpi_count,
        count(weight) as kpi_count
    from kpi_months
    group by manager_id, category

),

weighed as (

    select
        manager_id,
        sum(weight * points / nullif(scored_weight, 0))
        / nullif(sum(case when scored_weight > 0 then weight end), 0) as total,
        sum(scored_weight) / nullif(sum(weight), 0) as coverage,
        sum(scored_kpi_count) as scored_kpi_count,
        sum(kpi_count) as kpi_count
    from categories
    group by manager_id

),

judged as (

    select
        m.manager_id,
        m.role,
        m.team_id,
        m.agent_count,
        m.exposure_days,
        coalesce(w.scored_kpi_count, 0) as scored_kpi_count,
        coalesce(w.kpi_count, 0) as kpi_count,
        {{ measure('coalesce(w.coverage, 0)') }} as coverage_rate,
        {{ measure('w.total') }} as total,
        case
            when {{ measure('coalesce(w.coverage, 0)') }} >= {{ measure(setting('coverage_minimum')) }}
                and w.total is not null then 'scored'
            when m.agent_count = 0 then 'no_team'
            when coalesce(w.kpi_count, 0) = 0 then 'no_target'
            else 'insufficient_coverage'
        end as status
    from managers as m
    left join weighed as w
        on m.manager_id = w.manager_id

),

totals as (

    select
        *,
        case when status = 'scored' then total end as total_score
    from judged

),

graded as (

    select
        t.manager_id,
        g.grade,
        row_number() over (partition by t.manager_id order by g.from_score desc) as grade_rank
    from totals as t
    inner join {{ source('config', 'grades') }} as g
        on t.total_score >= g.from_score

),

ranked as (

    select
        manager_id,
        rank() over (partition by role order by total_score desc) as rank_low,
        count(*) over (partition by role, total_score) as tied_count,
        count(*) over (partition by role) as peer_count
    from totals
    where total_score is not null

),

-- What this warehouse holds of the month before; nothing when it has not been built.
previous as (

    {% if is_incremental() -%}
    select manager_id, total_score from {{ this }} where month = {{ month_start(-1) }}
    {%- else -%}
    select cast(null as varchar) as manager_id, cast(null as numeric(18, 6)) as total_score where 1 = 0
    {%- endif %}

)

select
    {{ month_start() }} as month,
    t.manager_id,
    t.role,
    t.team_id,
    t.total_score,
    g.grade,
    cast(r.rank_low as integer) as rank,
    cast(r.rank_low as integer) as rank_low,
    cast(r.rank_low + r.tied_count - 1 as integer) as rank_high,
    cast(r.peer_count as integer) as peer_count,
    t.coverage_rate,
    {{ measure('t.total_score - p.total_score') }} as change,
    p.total_score as previous_total_score,
    cast(t.agent_count as integer) as agent_count,
    cast(t.exposure_days as integer) as exposure_days,
    cast(t.scored_kpi_count as integer) as scored_kpi_count,
    cast(t.kpi_count as integer) as kpi_count,
    t.status
from totals as t
left join graded as g
    on t.manager_id = g.manager_id and g.grade_rank = 1
left join ranked as r
    on t.manager_id = r.manager_id
left join previous as p
    on t.manager_id = p.manager_id
