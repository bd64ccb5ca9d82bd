with versions as (

    {{ latest_versions(source('raw', 'tickets'), ['_source', 'ticket_id']) }}

)

select
    {{ key_of(['_source', 'ticket_id']) }} as ticket_key,
    _source,
    ticket_id,
    category,
    coalesce(is_complaint, false) as is_complaint,
    channel,
    coalesce(priority, 'normal') as priority,
    status,
    queue_id,
    assignee_id,
    requester_key,
    coalesce(resolved_by_id, assignee_id) as resolver_id,
    first_responder_id,
    sla_due_first_response_at,
    sla_due_resolution_at,
    due_at,
    sla_breached as is_sla_breached,
    created_at,
    first_response_at,
    coalesce(resolved_at, closed_at) as resolved_at,
    closed_at,
    coalesce(reopen_count, 0) as reopen_count,
    source_updated_at,
    _file,
    _row_number
from versions
where _op <> 'delete'
