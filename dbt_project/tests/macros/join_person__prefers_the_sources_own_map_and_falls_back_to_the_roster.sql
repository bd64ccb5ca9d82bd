{{ config(tags=['macro']) }}

with identities as (
    select 'desk' as _source, 'u1' as source_user_id, 'A1' as employee_id,
        date '2026-01-01' as valid_from, date '2026-09-10' as valid_to
    union all select '*', 'u1', 'A8', date '1900-01-01', date '2026-09-15'
    union all select '*', 'u1', 'A9', date '2026-09-15', date '2999-01-01'
    -- Two people claim it: nobody's, although the number is somebody's elsewhere.
    union all select 'desk', 'u3', null, date '1900-01-01', date '2999-01-01'
    union all select '*', 'u3', 'A3', date '1900-01-01', date '2999-01-01'
),

places as (
    select 'A1' as employee_id, 'Asia/Tokyo' as time_zone, 'jp' as calendar,
        date '1900-01-01' as valid_from, date '2999-01-01' as valid_to
),

cases as (
    -- 3 September, then 15 and 14 September in Shanghai.
    select 'desk' as source, 'u1' as user_id, false as is_numbered, {{ instant(1788364800) }} as moment, 'A1' as wanted
    union all select 'desk', 'u1', false, {{ instant(1789401600) }}, 'A9'
    union all select 'phone', 'u1', false, {{ instant(1789315200) }}, 'A8'
    union all select 'phone', 'u1', false, {{ instant(1788364800) }}, 'A8'
    union all select 'phone', 'u1', false, null, 'A8'
    union all select 'desk', 'u2', false, {{ instant(1788364800) }}, null
    union all select 'desk', 'u3', false, {{ instant(1788364800) }}, null
    union all select 'desk', 'u3', true, {{ instant(1788364800) }}, 'A3'
)

select c.*
from cases as c
{{ join_person('who', 'c.source', 'c.user_id', 'c.moment', 'c.is_numbered') }}
where {{ person('who', 'c.is_numbered') }} is distinct from c.wanted
