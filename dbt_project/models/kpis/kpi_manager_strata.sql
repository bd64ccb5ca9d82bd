select
    {{ month_start() }} as month,
    kpi_id,
    kpi_version,
    manager_id,
    stratum,
    cast(sum(numerator) as numeric(28, 10)) as numerator,
    cast(sum(denominator) as numeric(28, 10)) as denominator,
    cast(sum(numerator_squares) as numeric(38, 12)) as numerator_squares,
    cast(sum(products) as numeric(38, 12)) as products,
    cast(sum(denominator_squares) as numeric(38, 12)) as denominator_squares
from {{ ref('kpi_stratum_months') }}
where month = {{ month_start() }} and manager_id is not null
group by kpi_id, kpi_version, manager_id, stratum
