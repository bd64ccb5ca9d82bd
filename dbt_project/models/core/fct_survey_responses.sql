with responses as (

    select * from {{ ref('stg_survey_responses') }}

),

-- One answer per person in 90 days counts for the recommendation question.
sequenced as (

    select
        *,
        lag(submitted_at) over (
            partition by _source, metric, rater_key order by submitted_at, response_key
        ) as previous_at
    from responses

),

near_month as (

    select * from sequenced where {{ near_month('submitted_at') }}

),

{{ people_ctes() }},

asked as (

    select distinct ticket_id from near_month where ticket_id is not null

),

tickets as (

    select
        t.ticket_id,
        t._source as ticket_source,
        t.resolver_id,
        t.resolved_at,
        count(*) over (partition by t.ticket_id) as source_count
    from {{ ref('stg_tickets') }} as t
    inner join asked as a
        on t.ticket_id = a.ticket_id

),

-- The ticket of the survey's own source, or the only one of that id: a guess would credit strangers.
matched as (

    select
        r.response_key,
        r.submitted_at,
        t.ticket_id,
        t.ticket_source,
        t.resolver_id,
        t.resolved_at
    from near_month as r
    inner join tickets as t
        on r.ticket_id = t.ticket_id
    where t.ticket_source = r._source or t.source_count = 1

),

-- Who had solved the ticket when the customer answered, the last of them first.
solves as (

    select
        m.response_key,
        e.actor_id,
        e.occurred_at,
        row_number() over (partition by m.response_key order by e.occurred_at desc, e.event_id desc) as solve_rank
    from matched as m
    inner join {{ ref('stg_ticket_events') }} as e
        on m.ticket_source = e._source and m.ticket_id = e.ticket_id
    where e.event_type = 'solved' and e.actor_type = 'agent' and e.actor_id is not null
        and e.occurred_at <= m.submitted_at

),

solvers as (

    select
        m.response_key,
        m.ticket_source,
        coalesce(s.actor_id, m.resolver_id) as solver_id,
        coalesce(s.occurred_at, least(m.resolved_at, m.submitted_at)) as solved_at
    from matched as m
    left join solves as s
        on m.response_key = s.response_key and s.solve_rank = 1

),

-- Whom the answer is about: the person named as rated, else who solved the ticket, else the agent.
credited as (

    select
        r.*,
        coalesce(r.subject_employee_id, t.solver_id, r.agent_id) as credited_id,
        case
            when r.subject_employee_id is null and t.solver_id is not null then t.ticket_source
            else r._source
        end as credited_source,
        -- An id is the person who had it at work, not who has it when the customer answers.
        coalesce(
            case when r.subject_employee_id is null and t.solver_id is not null then t.solved_at end,
            least(r.sent_at, r.submitted_at)
        ) as worked_at
    from near_month as r
    left join solvers as t
        on r.response_key = t.response_key

),

scaled as (

    select
        *,
        status in ('completed', 'partial') and score is not null as is_answered,
        (score - scale_min) / nullif(scale_max - scale_min, 0) as share,
        coalesce(
            status in ('completed', 'partial') and score is not null
            and survey_kind = 'employee_satisfaction' and coalesce(metric, 'item') <> 'comment',
            false
        ) as is_employee_item,
        coalesce(
            rater_key is not null and previous_at > submitted_at - interval '90 days', false
        ) as is_repeat
    from credited

),

named as (

    select
        s.*,
        {{ person('credited', 's.subject_employee_id is not null') }} as credited_employee_id,
        {{ local_on('s.submitted_at', 'credited_at.time_zone') }} as submitted_on
    from scaled as s
    {{ join_person('credited', 's.credited_source', 's.credited_id', 's.worked_at', 's.subject_employee_id is not null') }}

),

-- An employee is one answer however many questions were asked: the first row of a response counts.
people as (

    select
        *,
        row_number() over (
            partition by _source, response_id, credited_employee_id, is_employee_item
            order by submitted_at, response_key
        ) as item_rank,
        avg(case when share >= 0.75 then 1.0 else 0.0 end) over (
            partition by _source, response_id, credited_employee_id, is_employee_item
        ) as satisfied_share
    from named
    where {{ in_month('submitted_on') }}

)

select
    {{ month_start() }} as month,
    response_key,
    _source,
    response_id,
    question_id,
    survey_kind,
    metric,
    status,
    submitted_at,
    submitted_on,
    score,
    scale_min,
    scale_max,
    {{ measure('share') }} as score_share,
    ticket_id,
    team_id,
    channel,
    rater_type,
    credited_source,
    credited_id,
    credited_employee_id,
    coalesce(is_answered and metric = 'csat' and rater_type = 'customer', false) as is_csat_rated,
    -- The top two of five, or the same upper quarter of another scale.
    coalesce(is_answered and metric = 'csat' and rater_type = 'customer' and share >= 0.75, false) as is_satisfied,
    coalesce(
        is_answered and metric = 'nps' and rater_type = 'customer'
        and scale_min = 0 and scale_max = 10 and not is_repeat,
        false
    ) as is_nps_answered,
    case when score >= 9 then 1 when score <= 6 then -1 else 0 end as nps_points,
    coalesce(is_answered and survey_kind = 'attitude' and rater_type = 'customer', false) as is_attitude_rated,
    is_employee_item and item_rank = 1 as is_employee_answer,
    case when is_employee_item and item_rank = 1 then {{ measure('satisfied_share') }} end as employee_satisfied_share,
    _file,
    _row_number
from people
