with responses as (

    select * from {{ ref('stg_survey_responses') }}

),

near_month as (

    -- Who answers after a wave has closed counts nowhere: the answer would stand alone in its month.
    select *
    from responses
    where ({{ near_month('submitted_at') }} or {{ in_month('wave_closes_on') }})
        and not coalesce(is_after_waves, false)

),

{{ people_ctes() }},

asked as (

    select distinct ticket_id from near_month where ticket_id is not null

),

tickets as (

    select
        t.ticket_id,
        t._source as ticket_source,
        t.assignee_id,
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
        t.assignee_id,
        t.resolver_id,
        t.resolved_at
    from near_month as r
    inner join tickets as t
        on r.ticket_id = t.ticket_id
    where t.ticket_source = r._source or t.source_count = 1

),

events as (

    select
        m.response_key,
        e.event_type,
        e.event_id,
        coalesce(e.seq, -1) as seq,
        e.occurred_at,
        case when e.actor_type = 'agent' then e.actor_id end as actor_id,
        coalesce(e.old_value, '') as owner_before,
        coalesce(e.new_value, '') as owner_after
    from matched as m
    inner join {{ ref('stg_ticket_events') }} as e
        on m.ticket_source = e._source and m.ticket_id = e.ticket_id
    where (e.event_type = 'solved' and e.occurred_at <= m.submitted_at)
        or (e.event_type = 'assigned' and (e.old_value is not null or e.new_value is not null))

),

-- The last solve before the customer answered.
solves as (

    select
        response_key,
        actor_id,
        occurred_at,
        row_number() over (partition by response_key order by occurred_at desc, event_id desc) as solve_rank
    from events
    where event_type = 'solved'

),

solved as (

    select
        m.response_key,
        m.ticket_source,
        m.assignee_id,
        coalesce(s.actor_id, m.resolver_id) as solver_id,
        coalesce(s.occurred_at, least(m.resolved_at, m.submitted_at)) as solved_at
    from matched as m
    left join solves as s
        on m.response_key = s.response_key and s.solve_rank = 1

),

-- What was told last of the owner by then, else what the next assignment ended; '' is nobody. Many answers are
-- about tickets that were settled before the month, which fct_ticket_owners no longer has: the rule is its own.
told as (

    select
        s.response_key,
        case when e.occurred_at <= s.solved_at then e.owner_after else e.owner_before end as owner_id,
        row_number() over (
            partition by s.response_key
            order by
                case when e.occurred_at <= s.solved_at then 0 else 1 end,
                case when e.occurred_at <= s.solved_at then e.occurred_at end desc,
                case when e.occurred_at <= s.solved_at then e.seq end desc,
                case when e.occurred_at <= s.solved_at then e.event_id end desc,
                e.occurred_at,
                e.seq,
                e.event_id
        ) as told_rank
    from solved as s
    inner join events as e
        on s.response_key = e.response_key
    where e.event_type = 'assigned'

),

-- Who owned the ticket when it was solved; who solved it where nobody did.
owners as (

    select
        s.response_key,
        s.ticket_source,
        s.solved_at,
        coalesce(nullif(coalesce(t.owner_id, s.assignee_id), ''), s.solver_id) as owner_id
    from solved as s
    left join told as t
        on s.response_key = t.response_key and t.told_rank = 1

),

-- Whom the answer is about: the person named as rated, else who owned the ticket, else the agent.
credited as (

    select
        r.*,
        coalesce(r.subject_employee_id, t.owner_id, r.agent_id) as credited_id,
        case
            when r.subject_employee_id is null and t.owner_id is not null then t.ticket_source
            else r._source
        end as credited_source,
        -- An id is the person who had it at work, not who has it when the customer answers.
        coalesce(
            case when r.subject_employee_id is null and t.owner_id is not null then t.solved_at end,
            least(r.sent_at, r.submitted_at)
        ) as worked_at
    from near_month as r
    left join owners as t
        on r.response_key = t.response_key

),

-- How the company reads each survey's scale.
surveys as (

    select * from {{ source('config', 'surveys') }}

),

scaled as (

    select
        c.*,
        c.status in ('completed', 'partial') and c.score is not null as is_answered,
        (c.score - c.scale_min) / nullif(c.scale_max - c.scale_min, 0) as share,
        c.rater_type = 'customer' and not {{ asks_employees('c.survey_kind') }} as is_of_customer,
        s.easy_is,
        s.easy_from,
        s.satisfied_from,
        n.response_key is not null as is_nps_counted
    from credited as c
    left join surveys as s
        on c.survey_id = s.survey_id
    left join {{ ref('stg_nps_answers') }} as n
        on c.response_key = n.response_key

),

judged as (

    select
        *,
        -- The top two of five, or the same upper quarter of another scale.
        case when satisfied_from is null then share >= 0.75 else score >= satisfied_from end as is_good,
        -- On the easy side of the middle of the scale; which side that is, only the survey knows.
        case
            when easy_is = 'low' and easy_from is null then share < 0.5
            when easy_is = 'low' then score <= easy_from
            when easy_is = 'high' and easy_from is null then share > 0.5
            when easy_is = 'high' then score >= easy_from
        end as is_effortless,
        case
            when not is_answered or survey_kind <> 'employee_satisfaction' then null
            when metric = 'enps' and scale_min = 0 and scale_max = 10 then 'enps'
            when coalesce(metric, 'item') not in ('comment', 'enps') then 'item'
        end as employee_metric,
        is_of_customer and status in ('sent', 'partial', 'completed') as is_customer_row
    from scaled

),

named as (

    select
        s.*,
        {{ person('credited', 's.subject_employee_id is not null') }} as credited_employee_id,
        coalesce({{ person('credited', 's.subject_employee_id is not null') }}, s.credited_id) as subject_id,
        -- Without a key of the rater each response is somebody's.
        coalesce(s.rater_key, s.response_id) as rater,
        case when s.rater_key is null then s._source end as rater_source,
        {{ local_on('s.submitted_at', 'credited_at.time_zone') }} as submitted_on,
        coalesce(s.wave_closes_on, {{ local_on('s.submitted_at', 'credited_at.time_zone') }}) as counted_on
    from judged as s
    {{ join_person('credited', 's.credited_source', 's.credited_id', 's.worked_at', 's.subject_employee_id is not null', 's.submitted_at') }}

),

-- An employee is one however often they answered about somebody: the newest answer to a question counts.
newest as (

    select
        *,
        employee_metric is not null and row_number() over (
            partition by
                rater,
                rater_source,
                subject_id,
                employee_metric,
                case when employee_metric = 'item' then survey_id end,
                case when employee_metric = 'item' then question_id end
            order by submitted_at desc, response_key desc
        ) = 1 as is_newest
    from named
    where {{ in_month('counted_on') }}

),

-- Of a survey that tells what it sent, who answered was asked as well.
sendings as (

    select
        _source,
        survey_id,
        is_customer_row,
        max(case when status = 'sent' or sent_at is not null then 1 else 0 end) as is_sending_told
    from newest
    group by _source, survey_id, is_customer_row

),

-- Of an employee's answers and of a customer's response one row counts, however many questions were asked.
people as (

    select
        n.*,
        s.is_sending_told,
        row_number() over (
            partition by n.rater, n.rater_source, n.subject_id, n.employee_metric, n.is_newest
            order by n.submitted_at desc, n.response_key desc
        ) as person_rank,
        avg(case when n.is_good then 1.0 else 0.0 end) over (
            partition by n.rater, n.rater_source, n.subject_id, n.employee_metric, n.is_newest
        ) as satisfied_share,
        row_number() over (
            partition by n._source, n.response_id, n.is_customer_row order by n.submitted_at, n.response_key
        ) as row_rank,
        max(case when n.is_answered then 1 else 0 end) over (
            partition by n._source, n.response_id, n.is_customer_row
        ) as is_replied
    from newest as n
    inner join sendings as s
        on n._source = s._source
        and n.survey_id is not distinct from s.survey_id
        and n.is_customer_row is not distinct from s.is_customer_row

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
    counted_on,
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
    is_customer_row and row_rank = 1 and is_sending_told = 1 as is_invitation,
    is_customer_row and row_rank = 1 and is_sending_told = 1 and is_replied = 1 as is_invitation_answered,
    coalesce(is_answered and metric = 'csat' and is_of_customer, false) as is_csat_rated,
    coalesce(is_answered and metric = 'csat' and is_of_customer and is_good, false) as is_satisfied,
    is_nps_counted as is_nps_answered,
    case when score >= 9 then 1 when score <= 6 then -1 else 0 end as nps_points,
    coalesce(is_answered and metric = 'ces' and is_of_customer and easy_is is not null, false) as is_ces_answered,
    coalesce(is_answered and metric = 'ces' and is_of_customer and is_effortless, false) as is_easy,
    coalesce(is_answered and metric = 'attitude' and is_of_customer, false) as is_attitude_rated,
    is_newest and employee_metric = 'enps' as is_enps_answered,
    is_newest and employee_metric = 'item' and person_rank = 1 as is_employee_answer,
    case
        when is_newest and employee_metric = 'item' and person_rank = 1 then {{ measure('satisfied_share') }}
    end as employee_satisfied_share,
    _file,
    _row_number
from people
