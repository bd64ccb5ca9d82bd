with versions as (

    {{ latest_versions(source('raw', 'training_records'), ['_source', 'record_id', 'learner_id', 'course_id', 'attempt_no']) }}

),

-- A record is voided by whoever may, and that names neither its learner nor its course.
voided as (

    select distinct _source, record_id
    from {{ source('raw', 'training_records') }}
    where voided and record_id is not null and _op <> 'delete'

)

select
    v._source,
    v.record_id,
    v.learner_id,
    v.course_id,
    v.course_type,
    v.is_mandatory,
    v.assigned_at,
    v.due_at,
    v.completed_at,
    v.status,
    v.cert_issued_at,
    v.cert_expires_at,
    v.source_updated_at,
    v._file,
    v._row_number,
    v._row_hash
from versions as v
left join voided as w
    on v._source = w._source and v.record_id = w.record_id
where v._op <> 'delete' and not coalesce(v.voided, false) and w.record_id is null
