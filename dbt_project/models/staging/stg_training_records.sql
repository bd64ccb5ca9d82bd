with versions as (

    {{ latest_versions(source('raw', 'training_records'), ['_source', 'record_id', 'learner_id', 'course_id', 'attempt_no']) }}

)

select
    _source,
    record_id,
    learner_id,
    course_id,
    course_type,
    is_mandatory,
    assigned_at,
    due_at,
    completed_at,
    status,
    source_updated_at,
    _file,
    _row_number
from versions
where _op <> 'delete' and not coalesce(voided, false)
