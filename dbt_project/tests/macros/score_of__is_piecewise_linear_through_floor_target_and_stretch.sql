{{ config(tags=['macro']) }}

-- value, floor, target, stretch, sign, points
with cases as (
    select 0.5 as v, 0.6 as f, 0.8 as t, 0.9 as s, 1 as sign, 0.0 as points
    union all select 0.6, 0.6, 0.8, 0.9, 1, 0.0
    union all select 0.7, 0.6, 0.8, 0.9, 1, 50.0
    union all select 0.8, 0.6, 0.8, 0.9, 1, 100.0
    union all select 0.85, 0.6, 0.8, 0.9, 1, 110.0
    union all select 0.99, 0.6, 0.8, 0.9, 1, 120.0
    union all select 400, 300, 100, 50, -1, 0.0
    union all select 200, 300, 100, 50, -1, 50.0
    union all select 75, 300, 100, 50, -1, 110.0
    union all select 10, 300, 100, 50, -1, 120.0
    union all select 0.95, 0.6, 0.8, null, 1, 100.0
    union all select null, 0.6, 0.8, 0.9, 1, null
)

select *
from cases
where {{ measure(score_of(double('v'), double('f'), double('t'), double('s'), 'sign')) }}
    is distinct from {{ measure('points') }}
