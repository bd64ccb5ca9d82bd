with versions as (

    {{ latest_versions(source('raw', 'qa_reviews'), ['_source', 'review_id']) }}

),

standing as (

    select * from versions where _op <> 'delete' and not coalesce(deleted, false)

),

-- A new score of the same contact on the same form takes the place of the older ones.
ranked as (

    select
        *,
        max(case when rescored then 1 else 0 end) over (
            partition by _source, agent_id, form_id, coalesce(interaction_id, ticket_id, review_id)
        ) as is_rescored,
        row_number() over (
            partition by _source, agent_id, form_id, coalesce(interaction_id, ticket_id, review_id)
            order by reviewed_at desc, review_id desc
        ) as newest_rank
    from standing
    where calibration_id is null

)

select
    {{ key_of(['_source', 'review_id']) }} as review_key,
    _source,
    review_id,
    interaction_id,
    ticket_id,
    agent_id,
    evaluator_id,
    form_id,
    reviewed_at,
    score,
    scale_max,
    coalesce(critical_fail, false) as is_critical_fail,
    coalesce(disputed, false) as is_disputed,
    _file,
    _row_number
from ranked
where is_rescored = 0 or newest_rank = 1
