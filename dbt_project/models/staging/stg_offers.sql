with versions as (

    {{ latest_versions(source('raw', 'offers'), ['_source', 'offer_id']) }}

)

select
    _source,
    offer_id,
    customer_key,
    agent_id,
    product_id,
    offered_at,
    accepted_at,
    cancelled_at,
    _file,
    _row_number
from versions
where _op <> 'delete'
