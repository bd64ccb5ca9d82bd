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

tickets as (

    select
        ticket_id,
        _source as ticket_source,
        resolver_id,
        row_number() over (partition by ticket_id order by _source) as source_rank
    from {{ ref('stg_tickets') }}
    where resolver_id is not null

),

-- Whom the answer is about: the person named as rated, else who solved the ticket, else the agent.
credited as (

    select
        r.*,
        coalesce(r.subject_employee_id, t.resolver_id, r.agent_id) as credited_id,
        case
            when r.subject_employee_id is null and t.resolver_id is not null then t.ticket_source
            else r._source
        end as credited_source
    from near_month as r
    left join tickets as t
        on r.ticket_id = t.ticket_id and t.source_rank = 1

),

scaled as (

    select
        *,
        status in ('completed', 'partial') and score is not null as is_answered,
        (score - scale_min) / nullif(scale_max - scale_min, 0) as share,
        coalesce(
            rater_key is not null and previous_at > submitted_at - interval '90 days', false
        ) as is_repeat
    from credited

),

named as (

    select
        s.*,
        {{ person('credited') }} as credited_employee_id,
        {{ local_on('s.submitted_at', 'credited_at.time_zone') }} as submitted_on
    from scaled as s
    {{ join_person('credited', 's.credited_source', 's.credited_id', 's.submitted_at') }}

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
    coalesce(
        is_answered and survey_kind = 'employee_satisfaction' and coalesce(metric, 'item') <> 'comment', false
    ) as is_employee_answer,
    coalesce(is_answered and survey_kind = 'employee_satisfaction' and share >= 0.75, false) as is_employee_satisfied,
    _file,
    _row_number
from named
where {{ in_month('submitted_on') }}
