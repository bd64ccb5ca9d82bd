{{ config(materialized='view') }}

select
    calendar,
    {{ hour_number('hour_at') }} as hour_number,
    hour_at,
    seconds_before,
    open_from,
    open_until
from {{ source('config', 'business_hours') }}
