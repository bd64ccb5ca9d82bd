with totals as (

    select * from {{ ref('stg_survey_aggregates') }} where {{ in_month('counted_on') }}

),

-- The source's day is a civil day: it needs no place.
identities as (

    select * from {{ ref('dim_identities') }} where month = {{ month_start() }}

)

select
    {{ month_start() }} as month,
    t.total_key,
    t._source,
    t.subject_id,
    {{ person('subject') }} as subject_employee_id,
    t.counted_on,
    t.invited_count,
    t.responded_count,
    t.satisfied_count,
    t.neutral_count,
    t.dissatisfied_count,
    -- What was rated; some systems count answers that say nothing of it.
    coalesce(t.satisfied_count, 0) + coalesce(t.neutral_count, 0) + coalesce(t.dissatisfied_count, 0) as rated_count,
    t._file,
    t._row_number
from totals as t
left join identities as subject_own
    on t._source = subject_own._source
    and t.subject_id = subject_own.source_user_id
    and t.counted_on >= subject_own.valid_from
    and t.counted_on < subject_own.valid_to
left join identities as subject_any
    on subject_any._source = '*'
    and t.subject_id = subject_any.source_user_id
    and t.counted_on >= subject_any.valid_from
    and t.counted_on < subject_any.valid_to
