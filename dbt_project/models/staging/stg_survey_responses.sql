with versions as (

    {{ latest_versions(source('raw', 'survey_responses'), ['_source', 'response_id', 'question_id', 'rater_key']) }}

)

select
    {{ key_of(['_source', 'response_id', 'question_id', 'rater_key']) }} as response_key,
    _source,
    response_id,
    question_id,
    survey_id,
    survey_kind,
    metric,
    coalesce(status, 'completed') as status,
    sent_at,
    submitted_at,
    score,
    scale_min,
    scale_max,
    subject_employee_id,
    agent_id,
    team_id,
    ticket_id,
    channel,
    coalesce(rater_type, 'customer') as rater_type,
    rater_key,
    _file,
    _row_number
from versions
where _op <> 'delete' and not coalesce(is_test, false)
