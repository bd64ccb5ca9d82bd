{# What MetricFlow asks: each KPI's rows as its facts hold them, with whom they count for. `perfhouse metrics`
   writes it down for `mf query`; MetricFlow itself adds the rows up and divides, by the measures of the KPI's YAML. #}

{# Every KPI: its metric, and for each semantic model the rows it is counted from, its measures and dimensions. #}
{% macro semantic_layer() %}
    {%- set found = [] -%}
    {%- for entry in kpi_metrics() -%}
        {%- do found.append({
            'kpi_id': entry.id,
            'version': entry.kpi.version | string,
            'is_suppressed': entry.kpi.get('is_suppressed', false),
            'metric': entry.metric.name,
            'label': entry.kpi.name_en ~ ' · ' ~ entry.kpi.name_zh,
            'description': entry.metric.description,
            'numerator': entry.metric.type_params.numerator.name,
            'denominator': entry.metric.type_params.denominator.name,
            'models': semantic_models_of(entry),
        }) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{# One model for both sums, or two where they count other rows or lie in two semantic models. #}
{% macro semantic_models_of(entry) %}
    {%- set params = entry.metric.type_params -%}
    {%- set parts = kpi_parts(entry) -%}
    {%- set above = measured_by(params.numerator.name) -%}
    {%- set below = measured_by(params.denominator.name) -%}
    {%- set numerator = {'name': above.measure, 'expr': counted_numerator(parts[0], 'numeric(28, 10)', true)} -%}
    {%- set denominator = {
        'name': below.measure,
        'expr': 'cast(coalesce(' ~ parts[-1].denominator ~ ', 0) as numeric(28, 10))',
    } -%}
    {%- if parts | length == 1 and above.model.name == below.model.name -%}
        {{ return([semantic_model_of(entry, parts[0], above, [numerator, denominator], '')]) }}
    {%- endif -%}
    {{ return([
        semantic_model_of(entry, parts[0], above, [numerator], '_above'),
        semantic_model_of(entry, parts[-1], below, [denominator], '_below'),
    ]) }}
{% endmacro %}

{% macro semantic_model_of(entry, part, measured, measures, suffix) %}
    {{ return({
        'name': entry.metric.name ~ suffix,
        'description': measured.model.description,
        'fact': part.fact,
        'day': part.credit.day,
        'dimensions': dimensions_of(measured.model),
        'measures': measures,
        'sql': shown_answers(entry, credited_rows(entry, part)) if entry.kpi.get('is_suppressed') else credited_rows(entry, part),
    }) }}
{% endmacro %}

{# A simple metric's measure and the semantic model that holds it. #}
{% macro measured_by(metric_name) %}
    {%- set metric = (graph.metrics.values() | selectattr('name', 'equalto', metric_name) | list)[0] -%}
    {%- for model in graph.semantic_models.values() if metric.type_params.measure.name in model.measures | map(attribute='name') -%}
        {{ return({'model': model, 'measure': metric.type_params.measure.name}) }}
    {%- endfor -%}
{% endmacro %}

{# A semantic model's dimensions besides its day. #}
{% macro dimensions_of(model) %}
    {%- set found = [] -%}
    {%- for dimension in model.dimensions if dimension.type | lower | replace('dimensiontype.', '') == 'categorical' -%}
        {%- do found.append({'name': dimension.name, 'expr': dimension.expr}) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{# Rows of a fact in every built month that count anything, as upheld appeals leave them: its columns, `kpi_day`,
   whom they are credited to, and `kpi_chain`, by which `management_chains` tells who else answers for them. #}
{% macro credited_rows(entry, part) -%}
    {%- set credit = part.credit -%}
    {%- set employee = 'coalesce(f.appealed_employee_id, f.' ~ credit.id ~ ')' if credit.to == 'employee' else none -%}
    select
        *,
        kpi_manager_id || '|' || coalesce(kpi_management_path, '') as kpi_chain
    from (
        select
            f.*,
            f.{{ credit.day }} as kpi_day,
            {{ stratum_of(part.strata) }} as kpi_stratum,
            {{- credited_columns(credit, employee, 'kpi_') }}
        from (
            select *
            from {{ ref(part.fact) }}
            {{ appealed_join(part, is_month=false) }}
            where month >= date '{{ entry.kpi.get('first_month', '1970-01') }}-01'
                and month < date '{{ entry.kpi.get('last_month', '9999-12') }}-01'
                and coalesce(appeal_effect, '') <> 'exclude'
                and {{ is_delivered(part) }}
        ) as f
        {{- credited_joins(credit, employee=employee) }}
        where f.{{ credit.day }} >= f.month
            and f.{{ credit.day }} < f.month + interval '1 month'
    ) as credited
    where {{ counted_numerator(part, 'numeric(28, 10)', true) }} <> 0
        or coalesce({{ part.denominator }}, 0) <> 0
{%- endmacro %}

{# Of confidential answers only what scorecards show: rows once for each manager whose cell is shown, by month. #}
{% macro shown_answers(entry, rows) -%}
    select
        r.* exclude (kpi_day, kpi_chain),
        r.month as kpi_day,
        '=' || c.manager_id as kpi_chain
    from (
    {{ rows }}
    ) as r
    inner join chains as c
        on r.kpi_chain = c.chain and r.month = c.valid_from
    inner join {{ ref('kpi_confidential_cells') }} as h
        on r.month = h.month and c.manager_id = h.manager_id
    where h.kpi_id = {{ text_literal(entry.id) }}
        and h.kpi_version = {{ text_literal(entry.kpi.version) }}
        and h.team_id = '*'
        and not h.is_hidden
{%- endmacro %}

{# Who answers for what, by the month: whom a row is credited to, and everybody above. It tells several people
   of one chain on one day on purpose: a row counts for each of them. #}
{% macro management_chains() -%}
    with credited as (

        select distinct month, manager_id, management_path
        from {{ ref('kpi_employee_months') }}
        where manager_id is not null

    ),

    answering as (

        select
            month,
            manager_id || '|' || coalesce(management_path, '') as chain,
            manager_id,
            true as is_direct
        from credited
        union all
        select
            c.month,
            c.manager_id || '|' || c.management_path as chain,
            t.ancestor_id as manager_id,
            false as is_direct
        from credited as c
        inner join {{ ref('dim_manager_tree') }} as t
            on c.month = t.month and c.management_path = t.management_path and t.distance > 0
        union all
        select distinct
            month,
            '=' || manager_id as chain,
            manager_id,
            true as is_direct
        from {{ ref('kpi_confidential_cells') }}
        where not is_hidden and team_id = '*'

    )

    select
        chain,
        cast(month as date) as valid_from,
        cast(month + interval '1 month' as date) as valid_to,
        manager_id,
        is_direct
    from answering
{%- endmacro %}
