-- Reads its own month before, so it is dbt's `incremental` with our strategy.
{{ config(materialized='incremental', incremental_strategy='month', on_schema_change='fail') }}

with managers as (

    select * from {{ ref('dim_managers') }} where month = {{ month_start() }}

),

known_kpis as (

    {{ kpis_of_company() }}

),

kpis as (

    select *
    from known_kpis
    where is_chosen and first_month <= '{{ month_key() }}' and last_month > '{{ month_key() }}'

),

measured as (

    select * from {{ ref('kpi_manager_months') }} where month = {{ month_start() }}

),

-- Confidential answers of too few people, or of so many that others' could be worked out.
confidential as (

    select *
    from {{ ref('kpi_confidential_cells') }}
    where month = {{ month_start() }} and team_id = '*'

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

matched_targets as (

    {{ fitting_targets('managers', 'targets') }}

),

joined as (

    select
        m.manager_id,
        k.kpi_id,
        k.version as kpi_version,
        k.category,
        k.needed_sample,
        k.minimum_rows,
        k.is_suppressed and coalesce(h.is_hidden, true) as is_hidden,
        {{ month_end() }} + interval '1 day' * k.maturity_days > {{ as_of_end() }} as is_provisional,
        case when k.direction = 'down' then -1 else 1 end as sign,
        coalesce(s.numerator, 0) as numerator,
        coalesce(s.denominator, 0) as denominator,
        coalesce(s.row_count, 0) as row_count,
        s.value,
        s.reference_value,
        s.expected_value,
        s.adjusted_value,
        s.reliability,
        s.shrunk_value,
        s.shrunk_se,
        s.ci_low,
        s.ci_high,
        s.funnel_z,
        a.kpi_id is not null as is_available,
        {{ double('t.floor') }} as floor,
        {{ double('t.target') }} as target,
        {{ double('t.stretch') }} as stretch,
        {{ double('t.weight') }} as weight,
        t.version as target_version,
        t.kpi_id is not null as has_target,
        x.kpi_id is not null as is_excluded,
        coalesce(y.month_count, 0) < {{ minimum_months('k.kpi_id', 'k.version') }} as is_too_new
    from managers as m
    cross join kpis as k
    left join measured as s
        on m.manager_id = s.manager_id and k.kpi_id = s.kpi_id and k.version = s.kpi_version
    left join histories as y
        on m.manager_id = y.manager_id and k.kpi_id = y.kpi_id
    left join confidential as h
        on m.manager_id = h.manager_id and k.kpi_id = h.kpi_id and k.version = h.kpi_version
    left join available as a
        on k.kpi_id = a.kpi_id and k.version = a.kpi_version
    left join matched_targets as t
        on m.manager_id = t.manager_id and k.kpi_id = t.kpi_id and t.fit_rank = 1
    left join excluded as x
        on m.manager_id = x.manager_id and k.kpi_id = x.kpi_id
    where t.kpi_id is not null or s.denominator > 0

),

judged as (

    select
        *,
        {{ status_of_kpi() }} as status,
        {{ double('shrunk_value') }} as basis,
        {{ double('shrunk_se') }} as basis_se
    from joined

),

scored as (

    select
        *,
        case
            when status = 'scored'
                then {{ measure(score_of('basis', 'floor', 'target', 'stretch', 'sign')) }}
        end as score,
        -- How far the score would move by the error of its value: zero where it is clipped at both ends.
        case
            when status = 'scored'
                then {{ measure('abs(' ~ score_of('(basis + ' ~ z95() ~ ' * basis_se)', 'floor', 'target', 'stretch', 'sign')
                    ~ ' - ' ~ score_of('(basis - ' ~ z95() ~ ' * basis_se)', 'floor', 'target', 'stretch', 'sign')
                    ~ ') / (2 * ' ~ z95() ~ ')') }}
        end as score_se
    from judged

),

-- The weight of a KPI that cannot be scored goes to its category, then to the other categories.
category_weights as (

    select
        *,
        sum(weight) over (partition by manager_id, category) as category_weight,
        sum(case when status = 'scored' then weight else 0 end)
            over (partition by manager_id, category) as scored_category_weight
    from scored

),

shared_weights as (

    select
        *,
        case
            when status = 'scored' then weight * category_weight / nullif(scored_category_weight, 0)
        end as shared_weight
    from category_weights

),

-- What this warehouse holds of the month before; nothing when it has not been built.
previous as (

    {% if is_incremental() -%}
    select
        manager_id,
        kpi_id,
        kpi_version,
        shrunk_value,
        shrunk_se
    from {{ this }}
    where month = {{ month_start(-1) }}
    {%- else -%}
    select
        cast(null as varchar) as manager_id,
        cast(null as varchar) as kpi_id,
        cast(null as varchar) as kpi_version,
        cast(null as numeric(18, 6)) as shrunk_value,
        cast(null as numeric(18, 6)) as shrunk_se
    where 1 = 0
    {%- endif %}

),

changed as (

    select
        s.*,
        case when not s.is_hidden then s.shrunk_value - p.shrunk_value end as change,
        {{ z95() }} * {{ root(double('s.shrunk_se') ~ ' * ' ~ double('s.shrunk_se')
            ~ ' + ' ~ double('p.shrunk_se') ~ ' * ' ~ double('p.shrunk_se')) }} as change_margin
    from shared_weights as s
    left join previous as p
        on s.manager_id = p.manager_id and s.kpi_id = p.kpi_id and s.kpi_version = p.kpi_version

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
    manager_id,
    kpi_id,
    kpi_version,
    case when is_hidden then null else {{ measure('numerator') }} end as numerator,
    case when is_hidden then null else {{ measure('denominator') }} end as denominator,
    case when is_hidden then null else {{ measure('denominator') }} end as sample_size,
    case when is_hidden then null else value end as value,
    case when is_hidden then null else adjusted_value end as adjusted_value,
    case when is_hidden then null else shrunk_value end as shrunk_value,
    case when is_hidden then null else reliability end as reliability,
    case when is_hidden then null else ci_low end as ci_low,
    case when is_hidden then null else ci_high end as ci_high,
    {{ measure('floor') }} as floor,
    {{ measure('target') }} as target,
    {{ measure('stretch') }} as stretch,
    {{ measure('weight') }} as weight,
    score,
    status,
    category,
    {{ measure('shared_weight / nullif(sum(shared_weight) over (partition by manager_id), 0)') }} as effective_weight,
    cast(needed_sample as integer) as minimum_sample,
    target_version,
    is_provisional,
    case when is_hidden then null else reference_value end as reference_value,
    case when is_hidden then null else expected_value end as expected_value,
    case when is_hidden then null else shrunk_se end as shrunk_se,
    score_se,
    {{ measure('change') }} as change,
    change_low,
    change_high,
    {{ change_status_of('change_low', 'change_high', 'sign') }} as change_status,
    case when is_hidden then null else funnel_z end as funnel_z,
    case when is_hidden then null else {{ funnel_status_of('funnel_z', 'sign') }} end as funnel_status,
    case when is_hidden then null else cast(row_count as integer) end as row_count,
    minimum_rows
from compared
