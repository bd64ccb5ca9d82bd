{# Whom a survey asks. #}

{# Whether a survey of that kind asks a company's own people: no answer of it is a customer's, whatever its
   questions measure. A kind that nobody told is a customer's. #}
{% macro asks_employees(kind) -%}
    coalesce({{ kind }}, '') in ('employee_satisfaction', 'peer_360', 'training_feedback')
{%- endmacro %}

{# Who answers a survey that does not tell. #}
{% macro usual_rater(kind) -%}
    case
        when {{ kind }} = 'employee_satisfaction' then 'subordinate'
        when {{ asks_employees(kind) }} then 'peer'
        else 'customer'
    end
{%- endmacro %}
