-- Who answers often counts once in 90 days, reckoned from the last answer that counted.
with recursive answers as (

    select
        _source,
        response_key,
        rater_key,
        submitted_at,
        row_number() over (partition by _source, rater_key order by submitted_at, response_key) as answer_number
    from {{ ref('stg_survey_responses') }}
    where metric = 'nps' and rater_type = 'customer' and not {{ asks_employees('survey_kind') }}
        and status in ('completed', 'partial') and score is not null
        and scale_min = 0 and scale_max = 10

),

-- The first answer of the same person that may count again after this one has.
followed as (

    select
        *,
        min(answer_number) over (
            partition by _source, rater_key
            order by submitted_at
            range between interval '90 days' following and unbounded following
        ) as next_number
    from answers
    where rater_key is not null

),

counted as (

    select
        _source,
        response_key,
        rater_key,
        next_number
    from followed
    where answer_number = 1
    union all
    select
        f._source,
        f.response_key,
        f.rater_key,
        f.next_number
    from counted as c
    inner join followed as f
        on c._source = f._source
        and c.rater_key = f.rater_key
        and c.next_number = f.answer_number

)

select response_key from counted
union all
select response_key from answers where rater_key is null
