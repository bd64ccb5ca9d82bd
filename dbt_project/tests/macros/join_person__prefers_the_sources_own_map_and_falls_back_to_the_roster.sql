{{ config(tags=['macro']) }}

with identities as (
    select 'desk' as _source, 'u1' as source_user_id, 'A1' as employee_id,
        date '2026-01-01' as valid_from, date '2026-09-10' as valid_to
    union all select '*', 'u1', 'A9', date '1900-01-01', date '2999-01-01'
),

places as (
    select 'A1' as employee_id, 'Asia/Tokyo' as time_zone, 'jp' as calendar
),

cases as (
    select 'desk' as source, 'u1' as user_id, {{ instant(1788364800) }} as moment, 'A1' as wanted
    union all select 'desk', 'u1', {{ instant(1789401600) }}, 'A9'
    union all select 'phone', 'u1', {{ instant(1788364800) }}, 'A9'
    union all select 'desk', 'u2', {{ instant(1788364800) }}, null
)

select c.*
from cases as c
{{ join_person('who', 'c.source', 'c.user_id', 'c.moment') }}
where {{ person('who') }} is distinct from c.wanted
