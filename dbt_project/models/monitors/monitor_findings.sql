with cases as (

    select
        monitor,
        manager_id,
        employee_id,
        period_from,
        period_to,
        count(*) as case_count
    from {{ ref('monitor_cases') }}
    where month = {{ month_start() }}
    group by monitor, manager_id, employee_id, period_from, period_to

),

chances as (

    select * from {{ ref('monitor_chances') }} where month = {{ month_start() }}

),

everybody as (

    select
        n.monitor,
        sum(n.chance_count) as chance_count,
        sum(n.usual_count) as usual_count
    from chances as n
    group by n.monitor

),

all_cases as (

    select monitor, sum(case_count) as case_count from cases group by monitor

),

-- One person is compared with all the others together, never with a mean of their shares.
own as (

    select
        c.monitor,
        c.employee_id,
        coalesce(n.chance_count, 0) as chance_count,
        coalesce(n.usual_count, 0) as usual_count,
        c.case_count
    from (
        select monitor, employee_id, sum(case_count) as case_count
        from cases
        group by monitor, employee_id
    ) as c
    left join (
        select monitor, employee_id, sum(chance_count) as chance_count, sum(usual_count) as usual_count
        from chances
        group by monitor, employee_id
    ) as n
        on c.monitor = n.monitor and c.employee_id = n.employee_id

),

thresholds as (

    select
        monitor,
        max(case when name = 'least_cases' then value end) as least_cases,
        max(case when name = 'least_share' then value end) as least_share,
        max(case when name = 'times_peers' then value end) as times_peers
    from {{ source('config', 'monitors') }}
    group by monitor

),

measured as (

    select
        c.*,
        coalesce(n.chance_count, 0) as chance_count,
        case
            when c.monitor = 'weekend_bulk_closes' then {{ double('c.case_count') }}
            else {{ double('c.case_count') }} / nullif({{ double('greatest(coalesce(n.chance_count, 0), c.case_count)') }}, 0)
        end as value,
        case
            when c.monitor = 'weekend_bulk_closes'
                then {{ double('e.usual_count - o.usual_count') }} / nullif({{ double('e.chance_count - o.chance_count') }}, 0)
            else {{ double('a.case_count - o.case_count') }} / nullif({{ double('e.chance_count - o.chance_count') }}, 0)
        end as peer_value,
        t.least_cases,
        case when c.monitor = 'weekend_bulk_closes' then t.least_cases else t.least_share end as least_value,
        t.times_peers
    from cases as c
    inner join thresholds as t
        on c.monitor = t.monitor
    inner join all_cases as a
        on c.monitor = a.monitor
    inner join own as o
        on c.monitor = o.monitor and c.employee_id = o.employee_id
    left join everybody as e
        on c.monitor = e.monitor
    left join chances as n
        on c.monitor = n.monitor
        and c.employee_id = n.employee_id
        and c.manager_id is not distinct from n.manager_id

),

judged as (

    select
        *,
        greatest(least_value, coalesce(times_peers * peer_value, 0)) as threshold
    from measured

)

select
    {{ month_start() }} as month,
    {{ key_of(['monitor', 'manager_id', 'employee_id', 'period_from']) }} as finding_key,
    monitor,
    manager_id,
    employee_id,
    period_from,
    period_to,
    cast(case_count as integer) as evidence_count,
    cast(chance_count as integer) as chance_count,
    {{ measure('value') }} as value,
    {{ measure('peer_value') }} as peer_value,
    {{ measure('threshold') }} as threshold
from judged
where case_count >= least_cases and {{ measure('value') }} >= {{ measure('threshold') }}
