{# What the anti-gaming monitors share. They look, and nothing that scores reads them. #}

{# One threshold of a monitor, as a scalar subquery of one row. #}
{% macro monitor_setting(monitor, name) -%}
    (select max(value) from {{ source('config', 'monitors') }} where monitor = '{{ monitor }}' and name = '{{ name }}')
{%- endmacro %}

{# Day of the week of a date: 0 is Monday. #}
{% macro weekday_of(day) -%}
    ({{ days_between("date '1970-01-05'", day) }}) % 7
{%- endmacro %}
