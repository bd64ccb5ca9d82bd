-- A suggestion of one month may be decided in another: it has a row for each of its steps.
with suggestions as (

    select * from {{ ref('stg_improvement_suggestions') }}

),

steps as (

    select
        *,
        'submitted' as step,
        submitted_at as step_at
    from suggestions
    where {{ near_month('submitted_at') }}
    union all
    select
        *,
        'decided' as step,
        coalesce(decided_at, implemented_at) as step_at
    from suggestions
    where status in ('accepted', 'rejected', 'implemented') and {{ near_month('coalesce(decided_at, implemented_at)') }}

),

{{ people_ctes() }},

named as (

    select
        s.*,
        {{ person('proposer') }} as proposer_employee_id,
        {{ local_on('s.step_at', 'proposer_at.time_zone') }} as counted_on
    from steps as s
    {{ join_person('proposer', 's._source', 's.proposer_id', 's.submitted_at', dated_at='s.step_at') }}

)

select
    {{ month_start() }} as month,
    {{ key_of(['_source', 'suggestion_id', 'step']) }} as step_key,
    _source,
    suggestion_id,
    step,
    proposer_id,
    proposer_employee_id,
    kind,
    status,
    submitted_at,
    step_at,
    counted_on,
    step = 'submitted' and status <> 'withdrawn' as is_submitted,
    step = 'decided' as is_decided,
    step = 'decided' and status in ('accepted', 'implemented') as is_adopted,
    _file,
    _row_number
from named
where {{ in_month('counted_on') }}
