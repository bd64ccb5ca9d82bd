-- A manager answers for what is credited to them and for what is credited to anybody below. The two are
-- kept apart: over all managers only the direct rows add up to the company.
with stratum_months as (

    select *
    from {{ ref('kpi_stratum_months') }}
    where month = {{ month_start() }} and manager_id is not null

),

tree as (

    select * from {{ ref('dim_manager_tree') }} where month = {{ month_start() }} and distance > 0

),

answered as (

    select
        kpi_id,
        kpi_version,
        manager_id,
        true as is_direct,
        stratum,
        numerator,
        denominator,
        numerator_squares,
        products,
        denominator_squares,
        row_count
    from stratum_months
    union all
    select
        s.kpi_id,
        s.kpi_version,
        t.ancestor_id as manager_id,
        false as is_direct,
        s.stratum,
        s.numerator,
        s.denominator,
        s.numerator_squares,
        s.products,
        s.denominator_squares,
        s.row_count
    from stratum_months as s
    inner join tree as t
        on s.management_path = t.management_path

)

select
    {{ month_start() }} as month,
    kpi_id,
    kpi_version,
    manager_id,
    is_direct,
    stratum,
    cast(sum(numerator) as numeric(28, 10)) as numerator,
    cast(sum(denominator) as numeric(28, 10)) as denominator,
    cast(sum(numerator_squares) as numeric(38, 12)) as numerator_squares,
    cast(sum(products) as numeric(38, 12)) as products,
    cast(sum(denominator_squares) as numeric(38, 12)) as denominator_squares,
    cast(sum(row_count) as integer) as row_count
from answered
group by kpi_id, kpi_version, manager_id, is_direct, stratum
