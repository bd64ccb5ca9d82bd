-- A renewal that is signed, and a customer who leaves, within 30 days after the term still decide it.
with terms as (

    select
        *,
        contract_ends_on + interval '31 days' as settled_on
    from {{ ref('stg_contracts') }}
    where {{ in_month('contract_ends_on') }}

),

{{ people_ctes() }},

named as (

    select
        t.*,
        {{ person('owner') }} as owner_employee_id,
        {{ local_on('t.renewed_at', 'owner_at.time_zone') }} as renewed_on,
        {{ local_on('t.churned_at', 'owner_at.time_zone') }} as churned_on
    from terms as t
    {{ join_person('owner', 't._source', 't.owner_id', noon_of('t.contract_ends_on')) }}

)

select
    {{ month_start() }} as month,
    term_key,
    _source,
    contract_id,
    customer_key,
    owner_id,
    owner_employee_id,
    tier,
    contract_ends_on as due_on,
    renewed_on,
    churned_on,
    coalesce(renewed_on < settled_on, false) and not coalesce(churned_on < settled_on, false) as is_retained,
    _file,
    _row_number
from named
