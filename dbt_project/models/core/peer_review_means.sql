-- Sums of answers that count. A question stands alone only where each question of the group has three raters:
-- else the group less the others would tell of it.
with answers as (

    select *
    from {{ ref('fct_peer_reviews') }}
    where month = {{ month_start() }} and is_counted

),

questions as (

    select
        _source,
        cycle_id,
        ratee_id,
        ratee_employee_id,
        rater_type,
        dimension,
        max(counted_on) as counted_on,
        count(*) as rater_count,
        max(rater_count) as group_rater_count,
        count(*) as answer_count,
        sum(score) as score_sum,
        sum(score_share) as share_sum,
        min(scale_min) as scale_min,
        max(scale_max) as scale_max,
        case when min(scale_min) = max(scale_min) and min(scale_max) = max(scale_max) then 1 else 0 end as is_one_scale
    from answers
    group by _source, cycle_id, ratee_id, ratee_employee_id, rater_type, dimension

),

groups as (

    select
        _source,
        cycle_id,
        ratee_id,
        ratee_employee_id,
        rater_type,
        max(counted_on) as counted_on,
        max(group_rater_count) as rater_count,
        sum(answer_count) as answer_count,
        sum(score_sum) as score_sum,
        sum(share_sum) as share_sum,
        min(scale_min) as scale_min,
        max(scale_max) as scale_max,
        case
            when min(scale_min) = max(scale_min) and min(scale_max) = max(scale_max) then min(is_one_scale)
            else 0
        end as is_one_scale,
        min(rater_count) as fewest_raters
    from questions
    group by _source, cycle_id, ratee_id, ratee_employee_id, rater_type

),

rows_shown as (

    select
        _source,
        cycle_id,
        ratee_id,
        ratee_employee_id,
        rater_type,
        '*' as dimension,
        counted_on,
        rater_count,
        answer_count,
        score_sum,
        share_sum,
        is_one_scale
    from groups
    union all
    select
        q._source,
        q.cycle_id,
        q.ratee_id,
        q.ratee_employee_id,
        q.rater_type,
        q.dimension,
        q.counted_on,
        q.rater_count,
        q.answer_count,
        q.score_sum,
        q.share_sum,
        q.is_one_scale
    from questions as q
    inner join groups as g
        on q._source = g._source
        and q.cycle_id = g.cycle_id
        and q.ratee_id = g.ratee_id
        and q.ratee_employee_id is not distinct from g.ratee_employee_id
        and q.rater_type is not distinct from g.rater_type
    where g.fewest_raters >= 3

)

select
    {{ month_start() }} as month,
    r._source,
    r.cycle_id,
    r.ratee_id,
    r.ratee_employee_id,
    e.team_id,
    r.rater_type,
    r.dimension,
    cast(r.rater_count as bigint) as rater_count,
    cast(r.answer_count as bigint) as answer_count,
    {{ measure('r.share_sum') }} as share_sum,
    {{ measure('r.share_sum / r.answer_count') }} as mean_share,
    case when r.is_one_scale = 1 then {{ measure('r.score_sum / r.answer_count') }} end as mean_score
from rows_shown as r
left join {{ ref('dim_employees') }} as e
    on e.month = {{ month_start() }}
    and r.ratee_employee_id = e.employee_id
    and r.counted_on >= e.valid_from
    and r.counted_on < e.valid_to
