select
    {{ month_start() }} as month,
    kpi_id,
    kpi_version,
    manager_id,
    team_id,
    employee_id,
    cast(sum(numerator) as numeric(28, 10)) as numerator,
    cast(sum(denominator) as numeric(28, 10)) as denominator,
    management_path
from {{ ref('kpi_stratum_months') }}
where month = {{ month_start() }}
group by kpi_id, kpi_version, manager_id, team_id, employee_id, management_path
