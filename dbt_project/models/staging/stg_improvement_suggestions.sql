with versions as (

    {{ latest_versions(source('raw', 'improvement_suggestions'), ['_source', 'suggestion_id']) }}

)

select
    _source,
    suggestion_id,
    proposer_id,
    kind,
    submitted_at,
    coalesce(status, 'submitted') as status,
    decided_at,
    implemented_at,
    _file,
    _row_number
from versions
where _op <> 'delete'
