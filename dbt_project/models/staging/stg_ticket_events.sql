-- Events never change, so copies of one are equal; they are dropped where a month is picked.
select
    {{ key_of(['_source', 'event_id']) }} as event_key,
    {{ key_of(['_source', 'ticket_id']) }} as ticket_key,
    _source,
    event_id,
    ticket_id,
    seq,
    occurred_at,
    actor_id,
    actor_type,
    event_type,
    field,
    old_value,
    new_value,
    coalesce(is_public, event_type = 'public_reply') as is_public,
    coalesce(via_automation, false) as is_automated,
    source_updated_at,
    source_seq,
    _month,
    _file,
    _row_number,
    _row_hash
from {{ source('raw', 'ticket_events') }}
where _op <> 'delete'
