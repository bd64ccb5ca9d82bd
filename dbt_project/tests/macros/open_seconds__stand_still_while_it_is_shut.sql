{{ config(tags=['macro']) }}

-- An hour that is open from minute 10 to minute 40, after 100 open seconds.
with hours as (
    select
        {{ hour_number(instant(1788192000)) }} as hour_number,
        100 as seconds_before,
        600 as open_from,
        2400 as open_until
),

cases as (
    select {{ instant(1788192000) }} as moment, 100 as seconds
    union all select {{ instant(1788192000 + 600) }}, 100
    union all select {{ instant(1788192000 + 601) }}, 101
    union all select {{ instant(1788192000 + 2400) }}, 1900
    union all select {{ instant(1788192000 + 3599) }}, 1900
)

select c.*
from cases as c
cross join hours as h
where {{ open_seconds('h', 'c.moment') }} <> c.seconds
