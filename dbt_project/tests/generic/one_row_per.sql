{# The month being built has one row per key, and no null in it but where `nullable` allows. #}
{% test one_row_per(model, columns, nullable=[]) %}
    {%- set monthly = 'month' in columns -%}
    select {{ columns | join(', ') }}, count(*) as row_count
    from {{ model }}
    where {{ 'month = ' ~ month_start() if monthly else '1 = 1' }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
    {%- for column in columns if column not in nullable %}
        or {{ column }} is null
    {%- endfor %}
{% endtest %}
