-- depends_on: {{ ref('fct_tickets') }}
-- depends_on: {{ ref('fct_ticket_lifecycles') }}
-- depends_on: {{ ref('fct_first_contacts') }}
-- depends_on: {{ ref('fct_sla_instances') }}
-- depends_on: {{ ref('fct_calls') }}
-- depends_on: {{ ref('fct_survey_responses') }}
-- depends_on: {{ ref('fct_training_records') }}
-- depends_on: {{ ref('fct_kb_contributions') }}
-- depends_on: {{ ref('fct_qa_reviews') }}
-- depends_on: {{ ref('fct_improvement_suggestions') }}
-- depends_on: {{ ref('fct_peer_reviews') }}
-- depends_on: {{ ref('fct_coaching_plans') }}
-- depends_on: {{ ref('fct_renewals') }}
-- depends_on: {{ ref('fct_offers') }}
-- depends_on: {{ ref('fct_certifications') }}
-- depends_on: {{ ref('fct_headcount_months') }}
-- depends_on: {{ ref('dim_employees') }}
-- depends_on: {{ ref('dim_queues') }}
{%- set kpis = kpi_metrics() %}

with rows_behind as (

    {% for entry in kpis if entry.kpi.get('first_month', '1970-01') <= month_key()
        and month_key() < entry.kpi.get('last_month', '9999-12') -%}
    {% set outer_loop = loop -%}
    {% for part in kpi_parts(entry) -%}
    select
        '{{ entry.id }}' as kpi_id,
        '{{ entry.kpi.version }}' as kpi_version,
        manager_id,
        management_path,
        team_id,
        employee_id,
        stratum,
        cast(numerator as numeric(19, 6)) as numerator,
        cast(denominator as numeric(19, 6)) as denominator,
        numerator as fine_numerator,
        denominator as fine_denominator
    from (
    {{ kpi_rows(part, where='month = ' ~ month_start()) }}
    ) as part_rows
    {% if not (outer_loop.last and loop.last) %}union all{% endif %}
    {% endfor -%}
    {% else -%}
    select
        cast(null as varchar) as kpi_id, cast(null as varchar) as kpi_version, cast(null as varchar) as manager_id,
        cast(null as varchar) as management_path,
        cast(null as varchar) as team_id, cast(null as varchar) as employee_id, cast(null as varchar) as stratum,
        0.0 as numerator, 0.0 as denominator, 0.0 as fine_numerator, 0.0 as fine_denominator
    where 1 = 0
    {% endfor %}

)

select
    {{ month_start() }} as month,
    kpi_id,
    kpi_version,
    manager_id,
    management_path,
    team_id,
    employee_id,
    stratum,
    -- Finer than a published number: teams and managers sum these before they are rounded.
    cast(sum(fine_numerator) as numeric(28, 10)) as numerator,
    cast(sum(fine_denominator) as numeric(28, 10)) as denominator,
    -- Exact, so that the order in which rows are added changes no digit of an interval; of 19 digits, for
    -- DuckDB does not widen the product of two numbers of 18.
    cast(sum(numerator * numerator) as numeric(38, 12)) as numerator_squares,
    cast(sum(numerator * denominator) as numeric(38, 12)) as products,
    cast(sum(denominator * denominator) as numeric(38, 12)) as denominator_squares
from rows_behind
group by kpi_id, kpi_version, manager_id, management_path, team_id, employee_id, stratum
