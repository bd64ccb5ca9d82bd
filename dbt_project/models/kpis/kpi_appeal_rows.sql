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
{#- Rows of KPIs with confidential answers are not looked for: what changes without one tells what it was. #}
{%- set kpis = kpi_metrics() | rejectattr('kpi.is_suppressed') | list %}

with appeals as (

    select *
    from {{ ref('fct_appeals') }}
    where month = {{ month_start() }} and row_id is not null and manager_id is not null

),

employees as (

    select employee_id
    from {{ ref('dim_employees') }}
    where month = {{ month_start() }}
    group by employee_id

),

counted as (

    {% for entry in kpis if entry.kpi.get('first_month', '1970-01') <= month_key()
        and month_key() < entry.kpi.get('last_month', '9999-12') -%}
    {% set outer_loop = loop -%}
    {% for part in kpi_parts(entry) -%}
    {% set where = 'month = ' ~ month_start() ~ ' and cast(' ~ part.row_id
        ~ " as varchar) in (select row_id from appeals where kpi_id in ('*', " ~ text_literal(entry.id) ~ '))' -%}
    select
        {{ text_literal(entry.id) }} as kpi_id,
        {{ text_literal(entry.kpi.version) }} as kpi_version,
        {{ part.number }} as part,
        {{ text_literal(kpi_kind(entry)) }} as kind,
        {{ text_literal(part.credit.to) }} as credit_to,
        r.*
    from (
    {{ kpi_rows(part, where, is_appealed=false) }}
    ) as r
    {% if not (outer_loop.last and loop.last) %}union all{% endif %}
    {% endfor -%}
    {% else -%}
    select
        cast(null as varchar) as kpi_id, cast(null as varchar) as kpi_version, 1 as part, cast(null as varchar) as kind,
        cast(null as varchar) as credit_to, cast(null as varchar) as manager_id, cast(null as varchar) as management_path,
        cast(null as varchar) as source, cast(null as varchar) as source_row_id, 0.0 as numerator, 0.0 as denominator
    where 1 = 0
    {% endfor %}

),

-- One row of a source may be several of a fact, such as the answers to several questions.
meant as (

    select
        a.appeal_key,
        c.kpi_id,
        c.kpi_version,
        c.part,
        c.kind,
        c.credit_to,
        c.source,
        c.source_row_id,
        min(c.manager_id) as credited_manager_id,
        min(case when c.manager_id = a.manager_id or {{ path_names('c.management_path', 'a.manager_id') }} then 1 else 0 end)
            as is_own,
        sum(c.numerator) as numerator,
        sum(c.denominator) as denominator,
        count(*) as row_count
    from counted as c
    inner join appeals as a
        on c.source_row_id = a.row_id
        and (a.row_source is null or c.source = a.row_source)
        and a.kpi_id in ('*', c.kpi_id)
    group by a.appeal_key, c.kpi_id, c.kpi_version, c.part, c.kind, c.credit_to, c.source, c.source_row_id

),

compared as (

    select
        m.*,
        a.kpi_id as appealed_kpi_id,
        a.is_upheld,
        a.decided_at,
        a.effect,
        a.credited_to,
        a.credited_employee_id,
        e.employee_id is not null as is_credited_known,
        a.corrected_numerator,
        min(m.source) over (partition by m.appeal_key) <> max(m.source) over (partition by m.appeal_key) as is_ambiguous
    from meant as m
    inner join appeals as a
        on m.appeal_key = a.appeal_key
    left join employees as e
        on a.credited_employee_id = e.employee_id
    where m.part = 1 or a.effect = 'exclude' or a.credited_to is not null

),

judged as (

    select
        *,
        case
            when is_ambiguous then 'ambiguous_row'
            when is_own = 0 then 'not_own_row'
            when effect is null or (effect = 'correct' and credited_to is null and corrected_numerator is null)
                then 'no_effect'
            when effect = 'correct' and credited_to is not null and (credit_to <> 'employee' or not is_credited_known)
                then 'not_creditable'
            when effect = 'correct' and corrected_numerator is not null and part = 1 and (
                appealed_kpi_id = '*'
                or row_count > 1
                or denominator = 0
                or (kind = 'proportion' and corrected_numerator not in (0, 1))
                or (kind = 'score' and (corrected_numerator < 0 or corrected_numerator > denominator))
                or corrected_numerator < 0
            )
                then 'bad_value'
        end as finding
    from compared

),

ranked as (

    select
        *,
        row_number() over (
            partition by kpi_id, kpi_version, part, source, source_row_id, case when is_upheld and finding is null then 1 else 0 end
            order by decided_at, appeal_key
        ) as place
    from judged

)

select
    {{ month_start() }} as month,
    appeal_key,
    kpi_id,
    kpi_version,
    part,
    source,
    source_row_id,
    credited_manager_id,
    effect,
    case when effect = 'correct' and is_credited_known then credited_employee_id end as credited_employee_id,
    case when effect = 'correct' then corrected_numerator end as corrected_numerator,
    numerator,
    denominator,
    cast(row_count as integer) as row_count,
    is_upheld and finding is null and place = 1 as is_applied,
    case when is_upheld and finding is null and place > 1 then 'superseded' else finding end as finding
from ranked
