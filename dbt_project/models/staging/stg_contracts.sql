with versions as (

    {{ latest_versions(source('raw', 'customers'), ['_source', 'contract_id', 'contract_end']) }}

)

select
    {{ key_of(['_source', 'contract_id', 'contract_end']) }} as term_key,
    _source,
    contract_id,
    customer_key,
    owner_id,
    tier,
    contract_end as contract_ends_on,
    renewed_at,
    churned_at,
    _file,
    _row_number
from versions
where _op <> 'delete'
