with employees as (

    select distinct employee_id from {{ ref('stg_employees') }}

),

people as (

    {% set roles = [
        ('fct_tickets', 'tickets', '_source', 'assignee_id', 'assignee_employee_id'),
        ('fct_tickets', 'tickets', '_source', 'resolver_id', 'resolver_employee_id'),
        ('fct_tickets', 'tickets', '_source', 'first_solver_id', 'first_solver_employee_id'),
        ('fct_calls', 'calls', '_source', 'agent_id', 'agent_employee_id'),
        ('fct_survey_responses', 'survey_responses', 'credited_source', 'credited_id', 'credited_employee_id'),
        ('fct_training_records', 'training_records', '_source', 'learner_id', 'learner_employee_id'),
        ('fct_kb_contributions', 'kb_contributions', '_source', 'author_id', 'author_employee_id'),
    ] -%}
    {% for fact, stream, source_column, id, employee in roles -%}
    select
        '{{ stream }}' as stream,
        {{ source_column }} as _source,
        {{ id }} as source_user_id,
        {{ employee }} as employee_id,
        count(*) as event_count
    from {{ ref(fact) }}
    where month = {{ month_start() }} and {{ id }} is not null
    {%- if id == 'resolver_id' %} and resolver_id <> coalesce(assignee_id, ''){% endif %}
    {%- if id == 'first_solver_id' %} and first_solver_id <> coalesce(assignee_id, '') and first_solver_id <> coalesce(resolver_id, ''){% endif %}
    group by {{ source_column }}, {{ id }}, {{ employee }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    {{ month_start() }} as month,
    p.stream,
    p._source,
    p.source_user_id,
    cast(sum(p.event_count) as bigint) as event_count
from people as p
left join employees as e
    on p.employee_id = e.employee_id
where e.employee_id is null
group by p.stream, p._source, p.source_user_id
