-- An offer of one month may be ordered in another: it has a row for each of its steps.
with offers as (

    select * from {{ ref('stg_offers') }}

),

steps as (

    select
        *,
        'offered' as step,
        offered_at as step_at
    from offers
    where {{ near_month('offered_at') }}
    union all
    select
        *,
        'ordered' as step,
        accepted_at as step_at
    from offers
    where {{ near_month('accepted_at') }}

),

{{ people_ctes() }},

named as (

    select
        s.*,
        {{ person('agent') }} as agent_employee_id,
        {{ local_on('s.step_at', 'agent_at.time_zone') }} as counted_on
    from steps as s
    {{ join_person('agent', 's._source', 's.agent_id', 's.offered_at', dated_at='s.step_at') }}

)

select
    {{ month_start() }} as month,
    {{ key_of(['_source', 'offer_id', 'step']) }} as step_key,
    _source,
    offer_id,
    customer_key,
    agent_id,
    agent_employee_id,
    product_id,
    step,
    step_at,
    counted_on,
    cancelled_at,
    step = 'offered' as is_offered,
    step = 'ordered' and cancelled_at is null as is_ordered,
    _file,
    _row_number
from named
where {{ in_month('counted_on') }}
