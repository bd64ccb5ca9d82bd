select
    {{ month_start() }} as month,
    f.finding_key,
    f.monitor,
    c.stream,
    c.source,
    c.source_row_id,
    c.file,
    c.row_number,
    c.occurred_on,
    c.subject_id,
    c.related_row_id
from {{ ref('monitor_findings') }} as f
inner join {{ ref('monitor_cases') }} as c
    on f.monitor = c.monitor
    and f.manager_id is not distinct from c.manager_id
    and f.employee_id = c.employee_id
    and f.period_from = c.period_from
where f.month = {{ month_start() }} and c.month = {{ month_start() }}
