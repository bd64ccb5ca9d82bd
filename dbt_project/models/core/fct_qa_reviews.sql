with reviews as (

    select * from {{ ref('stg_qa_reviews') }} where {{ near_month('reviewed_at') }}

),

{{ people_ctes() }},

named as (

    select
        r.*,
        {{ person('agent') }} as agent_employee_id,
        {{ local_on('r.reviewed_at', 'agent_at.time_zone') }} as reviewed_on,
        coalesce(r.scale_max > 0 and (r.score is not null or r.is_critical_fail), false) as is_scored
    from reviews as r
    {{ join_person('agent', 'r._source', 'r.agent_id', 'r.reviewed_at') }}

)

select
    {{ month_start() }} as month,
    review_key,
    _source,
    review_id,
    interaction_id,
    ticket_id,
    agent_id,
    agent_employee_id,
    evaluator_id,
    form_id,
    reviewed_at,
    reviewed_on,
    is_critical_fail,
    is_disputed,
    is_scored,
    -- One critical failure and no point of the review is earned.
    case when is_scored then {{ measure('case when is_critical_fail then 0 else score end') }} end as points,
    case when is_scored then {{ measure('scale_max') }} end as possible_points,
    _file,
    _row_number
from named
where {{ in_month('reviewed_on') }}
