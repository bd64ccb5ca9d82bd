with versions as (

    {{ latest_versions(source('raw', 'survey_responses'), ['_source', 'response_id', 'question_id', 'rater_key']) }}

),

-- The waves of surveys that ask employees, and what comes after the last.
waves as (

    select * from {{ source('config', 'survey_waves') }}

)

select
    {{ key_of(['v._source', 'v.response_id', 'v.question_id', 'v.rater_key']) }} as response_key,
    v._source,
    v.response_id,
    v.question_id,
    v.survey_id,
    v.survey_kind,
    v.metric,
    coalesce(v.status, 'completed') as status,
    v.sent_at,
    v.submitted_at,
    v.score,
    v.scale_min,
    v.scale_max,
    v.subject_employee_id,
    v.agent_id,
    v.team_id,
    v.ticket_id,
    v.channel,
    coalesce(v.rater_type, {{ usual_rater('v.survey_kind') }}) as rater_type,
    v.rater_key,
    w.closes_on as wave_closes_on,
    w.survey_id is not null and w.closes_on is null as is_after_waves,
    v._file,
    v._row_number
from versions as v
left join waves as w
    on v.survey_id = w.survey_id
    and {{ asks_employees('v.survey_kind') }}
    and v.submitted_at >= w.from_at
    and (v.submitted_at < w.until_at or w.until_at is null)
where v._op <> 'delete' and not coalesce(v.is_test, false)
