{# Numbers that every engine rounds alike. #}

{# A published number: six decimals, so that float noise changes neither a rank nor a hash. #}
{% macro measure(x) -%}
    cast(round(cast({{ x }} as numeric(28, 10)), 6) as numeric(18, 6))
{%- endmacro %}

{% macro double(x) -%}
    {{ return(adapter.dispatch('double', 'perfhouse')(x)) }}
{%- endmacro %}

{% macro default__double(x) -%}
    cast({{ x }} as double precision)
{%- endmacro %}

{% macro duckdb__double(x) -%}
    cast({{ x }} as double)
{%- endmacro %}

{% macro spark__double(x) -%}
    cast({{ x }} as double)
{%- endmacro %}

{# Surrogate key over columns; a null and an empty text give the same key. #}
{% macro key_of(columns) -%}
    md5({% for column in columns %}coalesce(cast({{ column }} as varchar), ''){% if not loop.last %} || '|' || {% endif %}{% endfor %})
{%- endmacro %}

{# Points of a value: piecewise linear through (floor, 0), (target, 100), (stretch, 120), clipped.
   `sign` is 1 when more is better, -1 when less is. Without a stretch the target is the top. #}
{% macro score_of(value, floor, target, stretch, sign) -%}
    case
        when {{ value }} is null or {{ floor }} is null or {{ target }} is null then null
        when {{ sign }} * {{ value }} >= {{ sign }} * coalesce({{ stretch }}, {{ target }})
            then case when {{ stretch }} is null then 100.0 else 120.0 end
        when {{ sign }} * {{ value }} >= {{ sign }} * {{ target }}
            then 100.0 + 20.0 * ({{ value }} - {{ target }}) / nullif({{ stretch }} - {{ target }}, 0)
        when {{ sign }} * {{ value }} <= {{ sign }} * {{ floor }} then 0.0
        else 100.0 * ({{ value }} - {{ floor }}) / nullif({{ target }} - {{ floor }}, 0)
    end
{%- endmacro %}

{# One number of the company's settings, as a scalar subquery of one row. #}
{% macro setting(name) -%}
    (select max(value) from {{ source('config', 'settings') }} where name = '{{ name }}')
{%- endmacro %}
