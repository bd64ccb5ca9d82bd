{{ config(materialized='view') }}

select
    time_zone,
    from_at,
    until_at,
    offset_seconds
from {{ source('config', 'utc_offsets') }}
