with versions as (

    {{ latest_versions(source('raw', 'calls'), ['_source', 'leg_id']) }}

)

select
    _source,
    leg_id,
    interaction_id,
    leg_no,
    coalesce(media, 'voice') as media,
    coalesce(direction, 'inbound') as direction,
    queue_id,
    agent_id,
    started_at,
    answered_at,
    ended_at,
    wait_ms,
    talk_ms,
    hold_ms,
    acw_ms,
    disposition,
    transferred_from_leg,
    transferred_to,
    wrapup_code,
    sla_threshold_ms,
    _file,
    _row_number
from versions
where _op <> 'delete'
