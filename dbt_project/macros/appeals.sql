{# Appeals: where one stands, and the rows that upheld ones take out of a KPI or mend in it. #}

{# Where an appeal stands; `late` is shown and not applied until somebody lets it in by name and reason.
   The command line renders this macro, too. #}
{% macro appeal_state(status, is_late, is_admitted) -%}
    case
        when {{ status }} in ('withdrawn', 'rejected') then {{ status }}
        when {{ is_late }} and not {{ is_admitted }} then 'late'
        when {{ status }} in ('upheld', 'partly_upheld') then 'upheld'
        when {{ status }} = 'accepted' then 'accepted'
        else 'submitted'
    end
{%- endmacro %}

{# The month that a text is about, as 2026-09, or null: that of a release as cards print it, else the only one in
   the text. `perfhouse/appeal_month.py` says the same. #}
{% macro appeal_month(text) -%}
    {%- set month = '(20[0-9][0-9]-(0[1-9]|1[0-2]))' -%}
    {%- set release = month ~ '[.]r[1-9]' -%}
    case when {{ month_in(text, release) }} is not null then {{ only_month_in(text, release) }}
    else {{ only_month_in(text, month) }} end
{%- endmacro %}

{% macro month_in(text, pattern) -%}
    nullif(regexp_extract({{ text }}, '{{ pattern }}', 1), '')
{%- endmacro %}

{% macro only_month_in(text, pattern) -%}
    {%- set rest = 'replace(' ~ text ~ ', ' ~ month_in(text, pattern) ~ ", ' ')" -%}
    case when {{ month_in(rest, pattern) }} is null then {{ month_in(text, pattern) }} end
{%- endmacro %}

{# A number that somebody typed, or null. #}
{% macro typed_number(text) -%}
    {{ return(adapter.dispatch('typed_number', 'perfhouse')(text)) }}
{%- endmacro %}

{% macro default__typed_number(text) -%}
    try_cast({{ text }} as numeric(28, 10))
{%- endmacro %}

{# Whether an upheld appeal changes any row of the month. Nearly always none does, and the join that it takes
   costs a quarter of the sums; unit tests have no tables to ask, but common table expressions. #}
{% macro has_appealed_rows() %}
    {%- set rows = ref('kpi_appeal_rows') -%}
    {%- if not execute or '__dbt__cte__' in (rows | string) -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set query = 'select count(*) from ' ~ rows ~ ' where is_applied and month = ' ~ month_start() -%}
    {{ return(run_query(query).columns[0].values()[0] > 0) }}
{% endmacro %}

{# Join of a fact with what upheld appeals change in one part of a KPI, in the month or in every month. #}
{% macro appealed_join(part, qualified=true, is_month=qualified) -%}
    {%- set rows = ref('kpi_appeal_rows') if qualified else ref('kpi_appeal_rows').include(database=false) -%}
    left join (
        select
            month as appealed_month,
            source as appealed_source,
            source_row_id as appealed_row_id,
            effect as appeal_effect,
            credited_employee_id as appealed_employee_id,
            corrected_numerator as appealed_numerator
        from {{ rows }}
        where is_applied
            and kpi_id = {{ text_literal(part.kpi_id) }}
            and kpi_version = {{ text_literal(part.kpi_version) }}
            and part = {{ part.number }}
            {%- if is_month %}
            and month = {{ month_start() }}
            {%- endif %}
    ) as appealed
        on month = appealed_month and _source = appealed_source
        and cast({{ part.row_id }} as varchar) = appealed_row_id
{%- endmacro %}

{# What a row counts above the line, as `type`, or what an appeal says it counts: of the rows of a fact that one row
   of a source became, such as the promises about a ticket, the one that the KPI counts. #}
{% macro counted_numerator(part, type, is_appealed) -%}
    {%- set plain = 'cast(coalesce(' ~ part.numerator ~ ', 0) as ' ~ type ~ ')' -%}
    {%- if is_appealed and part.number == 1 -%}
        case when appealed_numerator is not null and coalesce({{ part.denominator }}, 0) <> 0
            then cast(appealed_numerator as {{ type }}) else {{ plain }} end
    {%- else -%}
        {{ plain }}
    {%- endif -%}
{%- endmacro %}
