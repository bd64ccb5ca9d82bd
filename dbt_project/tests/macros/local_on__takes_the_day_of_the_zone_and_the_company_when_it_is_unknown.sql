{{ config(tags=['macro']) }}

-- The tiny company of the tests: Shanghai (UTC+8), one place in Tokyo (UTC+9).
with cases as (
    select {{ instant(1788190200) }} as moment, 'Asia/Tokyo' as zone, date '2026-09-01' as day
    union all select {{ instant(1788190200) }}, 'Asia/Shanghai', date '2026-08-31'
    union all select {{ instant(1788190200) }}, null, date '2026-08-31'
    union all select {{ instant(1788192000) }}, 'Asia/Shanghai', date '2026-09-01'
)

select *
from cases
where {{ local_on('moment', 'zone') }} is distinct from day
    or {{ local_on('moment') }} is distinct from {{ local_on('moment', "'Asia/Shanghai'") }}
