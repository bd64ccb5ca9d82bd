select
    {{ month_start() }} as month,
    stream
from {{ source('raw', 'deliveries') }}
where month = {{ month_start() }}
