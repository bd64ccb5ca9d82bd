with versions as (

    {{ latest_versions(source('raw', 'coaching_plans'), ['_source', 'plan_id']) }}

)

select
    {{ key_of(['_source', 'plan_id']) }} as plan_key,
    _source,
    plan_id,
    coach_id,
    coachee_id,
    kind,
    planned_at,
    due_at,
    completed_at,
    outcome,
    _file,
    _row_number
from versions
where _op <> 'delete'
