{# Time without time-zone SQL: offsets and open hours come from tables that Python wrote. #}

{# Offsets of the zones in use: {zone: [[until (epoch second), offset seconds], ...]}; the company's
   own zone is also under '*'. #}
{% macro zone_offsets() %}
    {%- if not execute -%}
        {{ return({'*': [[none, 0]]}) }}
    {%- endif -%}
    {#- `perfhouse build` hands them in; dbt by hand asks the table -#}
    {%- set told = env_var('PERFHOUSE_UTC_OFFSETS', '') -%}
    {%- if told -%}
        {{ return(fromjson(told)) }}
    {%- endif -%}
    {%- set query -%}
        select
            l.location = '*' as is_company,
            o.time_zone,
            {{ epoch_s('o.until_at') }} as until_s,
            o.offset_seconds
        from {{ config_table('utc_offsets') }} as o
        inner join {{ config_table('locations') }} as l
            on o.time_zone = l.time_zone
        group by l.location = '*', o.time_zone, o.until_at, o.offset_seconds
        order by is_company, o.time_zone, o.until_at
    {%- endset -%}
    {%- set offsets = {'*': []} -%}
    {%- for row in run_query(query).rows -%}
        {%- set zone = '*' if row[0] else row[1] -%}
        {%- do offsets.setdefault(zone, []).append([row[2] | int, row[3] | int]) -%}
    {%- endfor -%}
    {%- if not offsets['*'] -%}
        {{ exceptions.raise_compiler_error("config.utc_offsets has no row for the company's zone") }}
    {%- endif -%}
    {{ return(offsets) }}
{% endmacro %}

{# A configuration table that is read while compiling: no input of the model, no mock in its tests. #}
{% macro config_table(name) -%}
    {{ return(api.Relation.create(database=target.database, schema='config', identifier=name)) }}
{%- endmacro %}

{# Epoch second at which a civil day (ISO text) begins in the company's zone. #}
{% macro local_midnight(day) %}
    {%- if not execute -%}
        {{ return(0) }}
    {%- endif -%}
    {%- set begin = modules.datetime.datetime(day[:4] | int, day[5:7] | int, day[8:10] | int) -%}
    {%- set local = (begin - modules.datetime.datetime(1970, 1, 1)).days * 86400 -%}
    {%- set found = namespace(second=none) -%}
    {%- for until, offset in zone_offsets()['*'] -%}
        {%- if found.second is none and (loop.last or local - offset < until) -%}
            {%- set found.second = local - offset -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found.second) }}
{% endmacro %}

{# Seconds to add to an instant to get a wall clock; `zone` is a column of zone names, and a zone
   that is null or in no use is the company's. #}
{% macro zone_offset(at, zone=none) -%}
    {%- set offsets = zone_offsets() -%}
    {%- if zone is none or offsets | length == 1 -%}
        {{ offset_at(at, offsets['*']) }}
    {%- else -%}
        case
            {%- for name, steps in offsets.items() if name != '*' %}
            when {{ zone }} = '{{ name }}' then {{ offset_at(at, steps) }}
            {%- endfor %}
            else {{ offset_at(at, offsets['*']) }}
        end
    {%- endif -%}
{%- endmacro %}

{% macro offset_at(at, steps) -%}
    {%- if steps | map(attribute=1) | unique | list | length == 1 -%}
        {{ steps[0][1] }}
    {%- else -%}
        case
            {%- for until, offset in steps %}
            {% if not loop.last %}when {{ at }} < {{ instant(until) }} then{% else %}else{% endif %} {{ offset }}
            {%- endfor %}
        end
    {%- endif -%}
{%- endmacro %}

{# Civil day of an instant in a zone, the company's when none is given. #}
{% macro local_on(at, zone=none) -%}
    {{ return(adapter.dispatch('local_on', 'perfhouse')(at, zone)) }}
{%- endmacro %}

{% macro default__local_on(at, zone) -%}
    cast({{ at }} + ({{ zone_offset(at, zone) }}) * interval '1 second' as date)
{%- endmacro %}

{% macro duckdb__local_on(at, zone) -%}
    cast(make_timestamp(epoch_us({{ at }}) + cast({{ zone_offset(at, zone) }} as bigint) * 1000000) as date)
{%- endmacro %}

{# Whole seconds since 1970, rounded down. #}
{% macro epoch_s(at) -%}
    {{ return(adapter.dispatch('epoch_s', 'perfhouse')(at)) }}
{%- endmacro %}

{% macro default__epoch_s(at) -%}
    cast(floor(extract(epoch from {{ at }})) as bigint)
{%- endmacro %}

{% macro duckdb__epoch_s(at) -%}
    (epoch_us({{ at }}) // 1000000)
{%- endmacro %}

{% macro spark__epoch_s(at) -%}
    unix_timestamp({{ at }})
{%- endmacro %}

{# Instant of an epoch second given as SQL. #}
{% macro instant_of(second) -%}
    {{ return(adapter.dispatch('instant_of', 'perfhouse')(second)) }}
{%- endmacro %}

{% macro default__instant_of(second) -%}
    to_timestamp({{ second }})
{%- endmacro %}

{% macro spark__instant_of(second) -%}
    timestamp_seconds({{ second }})
{%- endmacro %}

{# Noon of a civil day by universal time: the same day in nearly every zone. #}
{% macro noon_of(day) -%}
    {{ instant_of('86400 * ' ~ days_between("date '1970-01-01'", day) ~ ' + 43200') }}
{%- endmacro %}

{# Instant of an epoch second known while compiling. #}
{% macro instant(second) -%}
    {{ return(adapter.dispatch('instant', 'perfhouse')(second)) }}
{%- endmacro %}

{% macro default__instant(second) -%}
    timestamptz '{{ utc_text(second) }}+00:00'
{%- endmacro %}

{% macro spark__instant(second) -%}
    timestamp '{{ utc_text(second) }}Z'
{%- endmacro %}

{% macro utc_text(second) -%}
    {{- modules.datetime.datetime(1970, 1, 1) + modules.datetime.timedelta(seconds=second) -}}
{%- endmacro %}

{# Whole days from one date to a later one. #}
{% macro days_between(first, last) -%}
    {{ return(adapter.dispatch('days_between', 'perfhouse')(first, last)) }}
{%- endmacro %}

{% macro default__days_between(first, last) -%}
    ({{ last }} - {{ first }})
{%- endmacro %}

{% macro spark__days_between(first, last) -%}
    datediff({{ last }}, {{ first }})
{%- endmacro %}

{# Hour number of an instant: the key of dim_business_hours. #}
{% macro hour_number(at) -%}
    cast(floor({{ epoch_s(at) }} / 3600.0) as bigint)
{%- endmacro %}

{# Open seconds from the calendar's beginning to an instant; `hours` is dim_business_hours joined on
   the calendar and hour_number(at). The difference of two is the business time between them. #}
{% macro open_seconds(hours, at) -%}
    ({{ hours }}.seconds_before - {{ hours }}.open_from + least(greatest(
        {{ epoch_s(at) }} - {{ hours }}.hour_number * 3600, {{ hours }}.open_from
    ), {{ hours }}.open_until))
{%- endmacro %}

{# Minutes of whole seconds, as `measure` rounds them; a third of a millionth is never a tie, so a plain
   cast agrees on every engine, and costs a tenth. #}
{% macro minutes_of(seconds) -%}
    cast({{ seconds }} / 60.0 as numeric(18, 6))
{%- endmacro %}

{# Seconds of whole milliseconds: three decimals are exact, so a plain cast agrees with `measure`. #}
{% macro seconds_of(milliseconds) -%}
    cast({{ milliseconds }} / 1000.0 as numeric(18, 6))
{%- endmacro %}
