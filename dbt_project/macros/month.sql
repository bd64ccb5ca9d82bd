{# The month being built, as literals.

   It comes by environment variable: a changed `--vars` would cost a full parse. Nothing is read
   while parsing, so a new month costs no re-parse at all. #}

{% macro month_key() -%}
    {{ env_var('PERFHOUSE_MONTH') if execute else '1970-01' }}
{%- endmacro %}

{% macro as_of_key() -%}
    {{ env_var('PERFHOUSE_AS_OF', env_var('PERFHOUSE_MONTH')) if execute else '1970-01' }}
{%- endmacro %}

{# First day of the month `plus` months away from a key 'YYYY-MM', as ISO text. #}
{% macro month_day(key, plus=0) -%}
    {%- set months = (key[:4] | int) * 12 + (key[5:7] | int) - 1 + plus -%}
    {{ '%04d-%02d-01' | format(months // 12, months % 12 + 1) }}
{%- endmacro %}

{% macro month_start(plus=0) -%}
    date '{{ month_day(month_key(), plus) }}'
{%- endmacro %}

{% macro month_end() -%}
    {{ month_start(1) }}
{%- endmacro %}

{# First day after the as-of window. #}
{% macro as_of_end() -%}
    date '{{ month_day(as_of_key(), 1) }}'
{%- endmacro %}

{% macro in_month(day) -%}
    ({{ day }} >= {{ month_start() }} and {{ day }} < {{ month_end() }})
{%- endmacro %}

{# The same bounds as instants of the company's zone, for scans of raw events. #}
{% macro month_starts_at() -%}
    {{ instant(local_midnight(month_day(month_key()))) }}
{%- endmacro %}

{% macro month_ends_at() -%}
    {{ instant(local_midnight(month_day(month_key(), 1))) }}
{%- endmacro %}

{# Scan of raw events that may fall into the month in some zone: a day more on either side. #}
{% macro near_month(at) -%}
    ({{ at }} >= {{ instant(local_midnight(month_day(month_key())) - 86400) }}
    and {{ at }} < {{ instant(local_midnight(month_day(month_key(), 1)) + 86400) }})
{%- endmacro %}

{# First instant after the as-of window: clocks that still run are read here, or when the company says
   that its sources were read earlier, at that instant. #}
{% macro as_of_at() -%}
    {%- set end = local_midnight(month_day(as_of_key(), 1)) -%}
    {%- set stop = env_var('PERFHOUSE_CLOCKS_STOP_AT', '') if execute else '' -%}
    {{ instant([end, stop | int] | min if stop else end) }}
{%- endmacro %}

{# Replace a month: the delete has the literal month, so an emptied month leaves no old rows. #}
{% macro get_incremental_month_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }} where month = {{ month_start() }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
