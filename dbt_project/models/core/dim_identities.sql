with employees as (

    select
        employee_id,
        source_user_id,
        work_email_hash,
        valid_from,
        valid_to
    from {{ ref('stg_employees') }}

),

source_users as (

    select * from {{ ref('stg_source_users') }}

),

claims as (

    select * from {{ ref('stg_identity_claims') }}

),

{{ resolved_identities('employees', 'source_users', 'claims') }}

select
    {{ month_start() }} as month,
    _source,
    source_user_id,
    employee_id,
    match_rule,
    status,
    candidate_employee_id,
    contested_employee_id,
    valid_from,
    valid_to
from resolved
