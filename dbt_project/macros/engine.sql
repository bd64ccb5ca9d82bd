{# What the engine may reach while others' expressions run in it. #}

{# Let it read the landed files and its spill folder, and no other file or network. #}
{% macro close_engine() -%}
    {{ return(adapter.dispatch('close_engine', 'perfhouse')()) }}
{%- endmacro %}

{% macro default__close_engine() -%}
{%- endmacro %}

{% macro duckdb__close_engine() -%}
    {%- set listed = [] -%}
    {%- set raw = env_var('PERFHOUSE_HOME', '.') ~ '/raw' -%}
    {#- views name files as patterns in which no letter stands for others -#}
    {%- set plain = raw | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]') -%}
    {%- for folder in [raw, plain, env_var('PERFHOUSE_SPILL', 'tmp')] -%}
        {%- do listed.append("'" ~ folder | replace("'", "''") ~ "'") -%}
    {%- endfor -%}
    set allowed_directories = [{{ listed | join(', ') }}];
    set enable_external_access = false
{%- endmacro %}
