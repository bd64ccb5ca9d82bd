with versions as (

    select
        *,
        {{ version_rank(['_source', 'record_id', 'learner_id', 'course_id', 'attempt_no']) }} as version_rank
    from {{ source('raw', 'training_records') }}

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
    _file,
    _row_number
from versions
where version_rank = 1 and _op <> 'delete' and not coalesce(voided, false)
