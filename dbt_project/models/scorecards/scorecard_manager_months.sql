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

-- Errors of different KPIs are taken as independent.
errors as (

    select
        manager_id,
        {{ double('sum(' ~ exact(double('effective_weight') ~ ' * ' ~ double('score_se') ~ ' * '
            ~ double('effective_weight') ~ ' * ' ~ double('score_se')) ~ ')') }} as total_variance
    from kpi_months
    where status = 'scored'
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
        {{ measure(root('coalesce(e.total_variance, 0)')) }} as total_se,
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
    left join errors as e
        on m.manager_id = e.manager_id

),

totals as (

    select
        *,
        case when status = 'scored' then total end as total_score,
        {{ z95() }} * {{ double('total_se') }} as margin
    from judged

),

bounded as (

    select
        *,
        {{ measure('case when total_score - margin < 0 then 0 else total_score - margin end') }} as total_low,
        {{ measure('case when total_score + margin > 120 then 120 else total_score + margin end') }} as total_high
    from totals

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

placed as (

    select
        manager_id,
        rank() over (partition by role order by total_score desc) as place
    from bounded
    where total_score is not null

),

-- Who is told apart from whom: totals whose intervals overlap are tied.
ranked as (

    select
        a.manager_id,
        p.place,
        count(*) as peer_count,
        sum(case when b.total_low > a.total_high then 1 else 0 end) as above_count,
        sum(case when b.total_high < a.total_low then 1 else 0 end) as below_count
    from bounded as a
    inner join bounded as b
        on a.role is not distinct from b.role
    inner join placed as p
        on a.manager_id = p.manager_id
    where a.total_score is not null and b.total_score is not null
    group by a.manager_id, p.place

),

-- What this warehouse holds of the month before; nothing when it has not been built.
previous as (

    {% if is_incremental() -%}
    select manager_id, total_score, total_se from {{ this }} where month = {{ month_start(-1) }}
    {%- else -%}
    select
        cast(null as varchar) as manager_id,
        cast(null as numeric(18, 6)) as total_score,
        cast(null as numeric(18, 6)) as total_se
    where 1 = 0
    {%- endif %}

),

changed as (

    select
        t.manager_id,
        p.total_score as previous_total_score,
        t.total_score - p.total_score as change,
        {{ z95() }} * {{ root(double('t.total_se') ~ ' * ' ~ double('t.total_se')
            ~ ' + ' ~ double('coalesce(p.total_se, 0)') ~ ' * ' ~ double('coalesce(p.total_se, 0)')) }} as change_margin
    from bounded as t
    inner join previous as p
        on t.manager_id = p.manager_id

),

compared as (

    select
        *,
        {{ measure('change - change_margin') }} as change_low,
        {{ measure('change + change_margin') }} as change_high
    from changed

)

select
    {{ month_start() }} as month,
    t.manager_id,
    t.role,
    t.team_id,
    t.total_score,
    g.grade,
    cast(r.place as integer) as rank,
    cast(r.above_count + 1 as integer) as rank_low,
    cast(r.peer_count - r.below_count as integer) as rank_high,
    cast(r.peer_count as integer) as peer_count,
    t.coverage_rate,
    {{ measure('c.change') }} as change,
    c.previous_total_score,
    cast(t.agent_count as integer) as agent_count,
    cast(t.exposure_days as integer) as exposure_days,
    cast(t.scored_kpi_count as integer) as scored_kpi_count,
    cast(t.kpi_count as integer) as kpi_count,
    t.status,
    case when t.status = 'scored' then t.total_se end as total_se,
    t.total_low,
    t.total_high,
    c.change_low,
    c.change_high,
    {{ change_status_of('c.change_low', 'c.change_high', '1') }} as change_status
from bounded as t
left join graded as g
    on t.manager_id = g.manager_id and g.grade_rank = 1
left join ranked as r
    on t.manager_id = r.manager_id
left join compared as c
    on t.manager_id = c.manager_id
