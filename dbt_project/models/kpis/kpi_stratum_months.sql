-- depends_on: {{ ref('fct_tickets') }}
-- depends_on: {{ ref('fct_ticket_promises') }}
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
-- depends_on: {{ ref('dim_delivered_streams') }}
-- depends_on: {{ ref('kpi_appeal_rows') }}
{%- set kpis = kpi_metrics() %}
{%- set is_appealed = has_appealed_rows() %}

with sums as (

    {% for entry in kpis if entry.kpi.get('first_month', '1970-01') <= month_key()
        and month_key() < entry.kpi.get('last_month', '9999-12') -%}
    {% set outer_loop = loop -%}
    {% for part in kpi_parts(entry) -%}
    select
        '{{ entry.id }}' as kpi_id,
        '{{ entry.kpi.version }}' as kpi_version,
        *
    from (
    {{ kpi_sums(part, is_appealed) }}
    ) as part_sums
    {% if not (outer_loop.last and loop.last) %}union all{% endif %}
    {% endfor -%}
    {% else -%}
    select
        cast(null as varchar) as kpi_id, cast(null as varchar) as kpi_version, cast(null as varchar) as manager_id,
        cast(null as varchar) as management_path,
        cast(null as varchar) as team_id, cast(null as varchar) as employee_id, cast(null as varchar) as stratum,
        0.0 as numerator, 0.0 as denominator, 0.0 as numerator_squares, 0.0 as products, 0.0 as denominator_squares,
        0 as row_count
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
    cast(sum(numerator) as numeric(28, 10)) as numerator,
    cast(sum(denominator) as numeric(28, 10)) as denominator,
    cast(sum(numerator_squares) as numeric(38, 12)) as numerator_squares,
    cast(sum(products) as numeric(38, 12)) as products,
    cast(sum(denominator_squares) as numeric(38, 12)) as denominator_squares,
    cast(sum(row_count) as integer) as row_count
from sums
group by kpi_id, kpi_version, manager_id, management_path, team_id, employee_id, stratum
