select
    m.month,
    m.next_month,
    m.as_of as as_of_on,
    {{ days_between('m.month', 'm.next_month') }} as day_count,
    l.time_zone,
    l.calendar,
    {{ month_starts_at() }} as starts_at,
    {{ month_ends_at() }} as ends_at,
    {{ as_of_at() }} as as_of_at
from {{ source('config', 'months') }} as m
cross join {{ source('config', 'locations') }} as l
where l.location = '*' and m.month = {{ month_start() }}
