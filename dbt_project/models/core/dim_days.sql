{{ config(materialized='table') }}

with digits as (

    select 0 as d
    {% for digit in range(1, 10) %}
    union all select {{ digit }}
    {% endfor %}

),

numbers as (

    select a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d as n
    from digits as a
    cross join digits as b
    cross join digits as c
    cross join digits as e
    cross join (select 0 as d union all select 1) as f

)

select
    cast(date '1990-01-01' + n * interval '1 day' as date) as day,
    cast(date_trunc('month', date '1990-01-01' + n * interval '1 day') as date) as month
from numbers
