with versions as (

    {{ latest_versions(source('raw', 'employment_events'), ['_source', 'event_id']) }}

)

select
    _source,
    event_id,
    employee_id,
    event_type,
    effective_date as effective_on,
    recorded_at,
    is_voluntary,
    reason_code,
    _file,
    _row_number
from versions
where _op <> 'delete' and event_type <> 'deleted'
