{# Of every row of the month being built a statement is true; where it is null it is not. #}
{% test always(model, statement) %}
    select *
    from {{ model }}
    where month = {{ month_start() }} and not coalesce({{ statement }}, false)
{% endtest %}
