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
{{ config(materialized='table') }}

with definitions as (

    {% for entry in kpi_metrics() -%}
    {% set kpi = entry.kpi -%}
    {% set parts = kpi_parts(entry) -%}
    {% set row_sql -%}
        {% for part in parts %}{{ kpi_rows(part, is_delivered(part, qualified=false), qualified=false) }}{{ ' union all ' if not loop.last }}{% endfor %}
    {%- endset -%}
    select
        {{ text_literal(entry.id) }} as kpi_id,
        {{ text_literal(kpi.version) }} as version,
        {{ text_literal(kpi.name_en) }} as name_en,
        {{ text_literal(kpi.name_zh) }} as name_zh,
        {{ text_literal(kpi.definition_en) }} as definition_en,
        {{ text_literal(kpi.definition_zh) }} as definition_zh,
        {{ text_literal(kpi.category) }} as category,
        {{ text_literal(kpi.unit) }} as unit,
        {{ text_literal(kpi_kind(entry)) }} as kind,
        {{ text_literal(kpi.direction) }} as direction,
        {{ kpi.minimum_sample }} as minimum_sample,
        {{ kpi.get('minimum_rows', 1) }} as minimum_rows,
        {{ 'true' if kpi.get('is_signed') else 'false' }} as is_signed,
        {{ 'true' if kpi.get('is_suppressed') else 'false' }} as is_suppressed,
        {{ kpi.get('maturity_days', 0) }} as maturity_days,
        {{ text_literal(kpi.get('first_month', '1970-01')) }} as first_month,
        {{ text_literal(kpi.get('last_month', '9999-12')) }} as last_month,
        {{ text_literal(kpi.credit.to) }} as credit_to,
        {{ text_literal(parts[0].fact) }} as fact,
        {{ text_literal(' '.join(row_sql.split())) }} as row_sql
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    kpi_id,
    version,
    name_en,
    name_zh,
    definition_en,
    definition_zh,
    category,
    unit,
    kind,
    direction,
    cast(minimum_sample as integer) as minimum_sample,
    cast(minimum_rows as integer) as minimum_rows,
    is_signed,
    is_suppressed,
    cast(maturity_days as integer) as maturity_days,
    first_month,
    last_month,
    credit_to,
    fact,
    row_sql
from definitions
