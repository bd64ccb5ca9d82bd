with answers as (

    select *
    from {{ ref('stg_peer_reviews') }}
    where {{ near_month('submitted_at') }} or {{ in_month('cycle_closed_on') }}

),

{{ people_ctes() }},

named as (

    select
        a.*,
        {{ person('ratee', 'a.is_employee_number') }} as ratee_employee_id,
        coalesce(a.cycle_closed_on, {{ local_on('a.submitted_at', 'ratee_at.time_zone') }}) as counted_on,
        coalesce(a.rater_type, '-') as rater_group,
        (a.score - a.scale_min) / nullif(a.scale_max - a.scale_min, 0) as share
    from answers as a
    {{ join_person('ratee', 'a._source', 'a.ratee_id', 'a.submitted_at', 'a.is_employee_number') }}

),

-- Who answers again corrects the answer: the newest that has a score counts.
closed as (

    select
        *,
        share is not null and row_number() over (
            partition by _source, cycle_id, ratee_id, rater_group, coalesce(rater_key, review_id), dimension
            order by case when share is null then 1 else 0 end, submitted_at desc, answer_key desc
        ) = 1 as is_newest,
        -- Of anonymous raters it is only sure that there are as many as answered the same question.
        coalesce(rater_key, cast(row_number() over (
            partition by _source, cycle_id, ratee_id, rater_group, rater_key, dimension
            order by case when share is null then 1 else 0 end, answer_key
        ) as varchar)) as rater
    from named
    where {{ in_month('counted_on') }}

),

raters as (

    select
        _source,
        cycle_id,
        ratee_id,
        rater_group,
        count(distinct rater) as rater_count
    from closed
    where is_newest
    group by _source, cycle_id, ratee_id, rater_group

)

select
    {{ month_start() }} as month,
    c.answer_key,
    c._source,
    c.review_id,
    c.cycle_id,
    c.dimension,
    c.ratee_id,
    c.ratee_employee_id,
    c.rater_key,
    c.rater_type,
    c.submitted_at,
    c.counted_on,
    cast(coalesce(r.rater_count, 0) as bigint) as rater_count,
    c.score,
    c.scale_min,
    c.scale_max,
    {{ measure('c.share') }} as score_share,
    -- What one thinks of oneself is shown and never counted; two raters of a kind would know each other.
    coalesce(c.is_newest and c.rater_group <> 'self' and r.rater_count >= 3, false) as is_counted,
    c._file,
    c._row_number
from closed as c
left join raters as r
    on c._source = r._source
    and c.cycle_id = r.cycle_id
    and c.ratee_id = r.ratee_id
    and c.rater_group = r.rater_group
