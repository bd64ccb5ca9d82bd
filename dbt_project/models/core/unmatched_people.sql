with employees as (

    select distinct employee_id from {{ ref('stg_employees') }}

),

{{ people_ctes() }},

-- Who answered or solved, once per person and day of the company: the day decides who that was.
actions as (

    select
        _source,
        actor_id,
        {{ local_on('occurred_at') }} as acted_on,
        min(occurred_at) as acted_at,
        count(distinct event_id) as event_count
    from {{ ref('stg_ticket_events') }}
    where event_type in ('public_reply', 'solved')
        and actor_type = 'agent'
        and actor_id is not null
        and {{ near_month('occurred_at') }}
    group by _source, actor_id, {{ local_on('occurred_at') }}

),

actors as (

    select
        a._source,
        a.actor_id as source_user_id,
        {{ person('actor') }} as employee_id,
        a.event_count,
        {{ local_on('a.acted_at', 'actor_at.time_zone') }} as acted_on
    from actions as a
    {{ join_person('actor', 'a._source', 'a.actor_id', 'a.acted_at') }}

),

-- Who answers for late work and is named on the ticket no more.
owners as (

    select
        p.ticket_key,
        p._source,
        p.owner_id,
        p.owner_employee_id,
        min(p.decided_on) as decided_on
    from {{ ref('fct_ticket_promises') }} as p
    inner join {{ ref('fct_tickets') }} as t
        on p.month = t.month and p.ticket_key = t.ticket_key
    where p.month = {{ month_start() }}
        and p.owner_id not in (
            coalesce(t.assignee_id, ''), coalesce(t.resolver_id, ''), coalesce(t.first_solver_id, ''), coalesce(t.replier_id, '')
        )
    group by p.ticket_key, p._source, p.owner_id, p.owner_employee_id

),

people as (

    {# A ticket counts once for an id that it names in several places. -#}
    {% set roles = [
        ('fct_tickets', 'tickets', '_source', 'assignee_id', 'assignee_employee_id', 'coalesce(resolved_on, created_on)', 'true'),
        ('fct_tickets', 'tickets', '_source', 'resolver_id', 'resolver_employee_id', 'coalesce(resolved_on, created_on)', "(resolver_id <> coalesce(assignee_id, '') or assignee_employee_id is not null)"),
        ('fct_tickets', 'tickets', '_source', 'first_solver_id', 'first_solver_employee_id', 'coalesce(first_solved_on, created_on)', "(first_solver_id <> coalesce(assignee_id, '') or assignee_employee_id is not null) and (first_solver_id <> coalesce(resolver_id, '') or resolver_employee_id is not null)"),
        ('fct_tickets', 'tickets', '_source', 'replier_id', 'replier_employee_id', 'coalesce(first_reply_on, created_on)', "(replier_id <> coalesce(assignee_id, '') or assignee_employee_id is not null) and (replier_id <> coalesce(resolver_id, '') or resolver_employee_id is not null) and (replier_id <> coalesce(first_solver_id, '') or first_solver_employee_id is not null)"),
        ('fct_calls', 'calls', '_source', 'agent_id', 'agent_employee_id', 'ended_on', 'true'),
        ('fct_survey_responses', 'survey_responses', 'credited_source', 'credited_id', 'credited_employee_id', 'submitted_on', 'true'),
        ('fct_training_records', 'training_records', '_source', 'learner_id', 'learner_employee_id', 'due_on', 'true'),
        ('fct_kb_contributions', 'kb_contributions', '_source', 'author_id', 'author_employee_id', 'counted_on', 'true'),
        ('fct_qa_reviews', 'qa_reviews', '_source', 'agent_id', 'agent_employee_id', 'reviewed_on', 'true'),
        ('fct_improvement_suggestions', 'improvement_suggestions', '_source', 'proposer_id', 'proposer_employee_id', 'counted_on', 'true'),
        ('fct_peer_reviews', 'peer_reviews', '_source', 'ratee_id', 'ratee_employee_id', 'counted_on', 'true'),
        ('fct_coaching_plans', 'coaching_plans', '_source', 'coachee_id', 'coachee_employee_id', 'due_on', 'true'),
        ('fct_renewals', 'customers', '_source', 'owner_id', 'owner_employee_id', 'due_on', 'true'),
        ('fct_offers', 'offers', '_source', 'agent_id', 'agent_employee_id', 'counted_on', 'true'),
    ] -%}
    {% for fact, stream, source_column, id, employee, day, condition in roles -%}
    select
        '{{ stream }}' as stream,
        {{ source_column }} as _source,
        {{ id }} as source_user_id,
        {{ employee }} as employee_id,
        count(*) as event_count,
        min({{ day }}) as first_on,
        max({{ day }}) as last_on
    from {{ ref(fact) }}
    where month = {{ month_start() }} and {{ id }} is not null and {{ condition }}
    group by {{ source_column }}, {{ id }}, {{ employee }}
    union all
    {% endfor -%}
    select
        'tickets' as stream,
        _source,
        owner_id as source_user_id,
        owner_employee_id as employee_id,
        count(*) as event_count,
        min(decided_on) as first_on,
        max(decided_on) as last_on
    from owners
    group by _source, owner_id, owner_employee_id
    union all
    select
        'ticket_events' as stream,
        _source,
        source_user_id,
        employee_id,
        sum(event_count) as event_count,
        min(acted_on) as first_on,
        max(acted_on) as last_on
    from actors
    where {{ in_month('acted_on') }}
    group by _source, source_user_id, employee_id

),

strangers as (

    select
        p.stream,
        p._source,
        p.source_user_id,
        sum(p.event_count) as event_count,
        min(p.first_on) as first_on,
        max(p.last_on) as last_on
    from people as p
    left join employees as e
        on p.employee_id = e.employee_id
    where e.employee_id is null
    group by p.stream, p._source, p.source_user_id

),

-- What is said about the id, for its own source before any, on the days nearest to the last event.
statuses as (

    select
        s.stream,
        s._source,
        s.source_user_id,
        i.status,
        row_number() over (
            partition by s.stream, s._source, s.source_user_id
            order by case when i._source = '*' then 1 else 0 end, i.valid_from desc
        ) as status_rank
    from strangers as s
    inner join {{ ref('dim_identities') }} as i
        on s.source_user_id = i.source_user_id
        and i._source in (s._source, '*')
        and i.month = {{ month_start() }}
        and i.valid_from <= s.last_on
        and i.valid_to > s.first_on
    where i.status <> 'matched'

)

select
    {{ month_start() }} as month,
    p.stream,
    p._source,
    p.source_user_id,
    coalesce(s.status, 'unmatched') as reason,
    cast(p.event_count as bigint) as event_count,
    p.first_on,
    p.last_on
from strangers as p
left join statuses as s
    on p.stream = s.stream
    and p._source = s._source
    and p.source_user_id = s.source_user_id
    and s.status_rank = 1
