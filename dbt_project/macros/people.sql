{# Who stands above whom, as text: 'director/manager', the one who answers last. #}

{# An employee id as one step of a management path: ids may hold a slash. #}
{% macro path_step(id) -%}
    replace(replace({{ id }}, '%', '%25'), '/', '%2F')
{%- endmacro %}

{# The employee id behind a step. #}
{% macro step_id(step) -%}
    replace(replace({{ step }}, '%2F', '/'), '%25', '%')
{%- endmacro %}

{# How many people a path names. #}
{% macro path_length(path) -%}
    (length({{ path }}) - length(replace({{ path }}, '/', '')) + 1)
{%- endmacro %}

{# Whether a path, or a list of steps between slashes, names an employee. #}
{% macro path_names(path, id) -%}
    (replace('/' || {{ path }} || '/', '/' || {{ path_step(id) }} || '/', '') <> '/' || {{ path }} || '/')
{%- endmacro %}
