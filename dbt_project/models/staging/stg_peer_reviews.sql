-- Answers of a 360 come from a tool of its own or from a survey of that kind.
with versions as (

    {{ latest_versions(source('raw', 'peer_reviews'), ['_source', 'review_id', 'dimension']) }}

),

surveys as (

    select * from {{ ref('stg_survey_responses') }} where survey_kind = 'peer_360'

)

select
    {{ key_of(['_source', 'review_id', 'dimension']) }} as answer_key,
    _source,
    review_id,
    cycle_id,
    dimension,
    ratee_id,
    false as is_employee_number,
    rater_key,
    rater_type,
    submitted_at,
    cycle_closed_on,
    score,
    scale_min,
    scale_max,
    _file,
    _row_number
from versions
where _op <> 'delete'
union all
select
    response_key as answer_key,
    _source,
    response_id as review_id,
    survey_id as cycle_id,
    question_id as dimension,
    coalesce(subject_employee_id, agent_id) as ratee_id,
    subject_employee_id is not null as is_employee_number,
    rater_key,
    rater_type,
    submitted_at,
    wave_closes_on as cycle_closed_on,
    score,
    scale_min,
    scale_max,
    _file,
    _row_number
from surveys
where status in ('completed', 'partial')
    and coalesce(metric, 'item') <> 'comment'
    and not coalesce(is_after_waves, false)
