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
{#- Only facts of which two confidential KPIs count: elsewhere no answer is shared. -#}
{%- set parts = [] -%}
{%- for entry in kpi_metrics() if entry.kpi.get('is_suppressed') and entry.kpi.get('first_month', '1970-01') <= month_key()
    and month_key() < entry.kpi.get('last_month', '9999-12') -%}
    {%- do parts.extend(kpi_parts(entry)) -%}
{%- endfor -%}
{%- set facts = [] -%}
{%- for part in parts if parts | selectattr('fact', 'equalto', part.fact) | map(attribute='kpi_id') | unique | list | length > 1 -%}
    {%- do facts.append(part.fact) -%}
{%- endfor -%}
{%- set found = parts | selectattr('fact', 'in', facts) | list -%}
{%- set marks = {} -%}
{%- for part in found if part.kpi_id not in marks -%}
    {%- do marks.update({part.kpi_id: 2 ** (marks | length)}) -%}
{%- endfor %}

with least_counts as (

    select d.kpi_id, greatest(d.minimum_sample, coalesce(o.minimum_sample, 0)) as least_count
    from {{ ref('kpi_definitions') }} as d
    left join {{ source('config', 'kpis') }} as o
        on d.kpi_id = o.kpi_id
    where d.is_suppressed

),

counted as (

    {% for part in found -%}
    select
        {{ text_literal(part.kpi_id) }} as kpi_id,
        {{ text_literal(part.kpi_version) }} as kpi_version,
        {{ marks[part.kpi_id] }} as mark,
        {{ text_literal(part.fact) }} as fact,
        r.manager_id,
        coalesce(r.management_path, '-') as management_path,
        coalesce(r.team_id, '-') as team_id,
        r.row_key
    from (
    {{ kpi_rows(part, 'month = ' ~ month_start(), is_appealed=false, is_keyed=true) }}
    ) as r
    where r.manager_id is not null
    {% if not loop.last %}union all{% endif %}
    {% else -%}
    select
        cast(null as varchar) as kpi_id, cast(null as varchar) as kpi_version, 1 as mark, cast(null as varchar) as fact,
        cast(null as varchar) as manager_id, cast(null as varchar) as management_path, cast(null as varchar) as team_id,
        cast(null as varchar) as row_key
    where 1 = 0
    {% endfor %}

),

-- Which KPIs count an answer; answers that the same KPIs count cannot be told apart by subtracting one from another.
answers as (

    select
        fact,
        row_key,
        manager_id,
        management_path,
        team_id,
        sum(distinct mark) as counted_by
    from counted
    group by fact, row_key, manager_id, management_path, team_id

),

groups as (

    select
        c.kpi_id,
        c.manager_id,
        c.management_path,
        c.team_id,
        a.counted_by,
        count(*) as answer_count
    from counted as c
    inner join answers as a
        on c.fact = a.fact
        and c.row_key = a.row_key
        and c.manager_id = a.manager_id
        and c.management_path = a.management_path
        and c.team_id = a.team_id
    group by c.kpi_id, c.manager_id, c.management_path, c.team_id, a.counted_by

),

managers as (

    select
        kpi_id,
        manager_id,
        min(answer_count) as smallest_count,
        min(counted_by) <> max(counted_by) as is_divided
    from groups
    group by kpi_id, manager_id

),

sizes as (

    select kpi_id, count(*) as answer_count
    from counted
    group by kpi_id

),

pairs as (

    select c.kpi_id, c.kpi_version, c.manager_id, c.management_path, o.kpi_id as other_id
    from counted as c
    inner join counted as o
        on c.fact = o.fact
        and c.row_key = o.row_key
        and c.manager_id = o.manager_id
        and c.kpi_id <> o.kpi_id
    group by c.kpi_id, c.kpi_version, c.manager_id, c.management_path, o.kpi_id

)

-- The KPI with the most answers stays, everywhere the same one: those above are sums of both.
select
    {{ month_start() }} as month,
    p.kpi_id,
    p.kpi_version,
    p.manager_id,
    p.management_path
from pairs as p
inner join managers as m
    on p.kpi_id = m.kpi_id and p.manager_id = m.manager_id
inner join managers as n
    on p.other_id = n.kpi_id and p.manager_id = n.manager_id
inner join sizes as s
    on p.kpi_id = s.kpi_id
inner join sizes as t
    on p.other_id = t.kpi_id
inner join least_counts as k
    on p.kpi_id = k.kpi_id
inner join least_counts as l
    on p.other_id = l.kpi_id
where (m.is_divided or n.is_divided)
    and least(m.smallest_count, n.smallest_count) < greatest(k.least_count, l.least_count)
    and (s.answer_count < t.answer_count or (s.answer_count = t.answer_count and p.kpi_id > p.other_id))
group by p.kpi_id, p.kpi_version, p.manager_id, p.management_path
