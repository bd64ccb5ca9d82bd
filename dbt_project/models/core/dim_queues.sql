-- Who answers for a queue on a day: its configured owner, else the manager of the team it is named
-- after. The queue '*' stands for every queue that has no row of its own.
with days as (

    select day from {{ ref('dim_days') }} where month = {{ month_start() }}

),

chains as (

    select * from {{ ref('dim_management_chains') }} where month = {{ month_start() }}

),

owner_days as (

    select
        o.queue_id,
        d.day as owned_on,
        o.manager_id,
        row_number() over (
            partition by o.queue_id, d.day order by o.valid_from desc, o.manager_id
        ) as owner_rank
    from {{ source('config', 'queue_owners') }} as o
    inner join days as d
        on d.day >= o.valid_from and d.day < coalesce(o.valid_to, date '2999-01-01')

),

head_counts as (

    select
        e.team_id,
        d.day as owned_on,
        e.manager_id,
        sum(case when e.job_family = 'agent' then 1 else 0 end) as agent_count,
        count(*) as head_count
    from {{ ref('dim_employees') }} as e
    inner join days as d
        on d.day >= e.valid_from and d.day < e.valid_to
    where e.month = {{ month_start() }} and e.team_id is not null and e.manager_id is not null
    group by e.team_id, d.day, e.manager_id

),

team_days as (

    select
        team_id as queue_id,
        owned_on,
        manager_id,
        row_number() over (
            partition by team_id, owned_on order by agent_count desc, head_count desc, manager_id
        ) as owner_rank
    from head_counts

),

owned as (

    select queue_id, owned_on, manager_id, true as is_configured
    from owner_days
    where owner_rank = 1
    union all
    select t.queue_id, t.owned_on, t.manager_id, false as is_configured
    from team_days as t
    left join owner_days as o
        on t.queue_id = o.queue_id and t.owned_on = o.owned_on
    where t.owner_rank = 1 and o.queue_id is null

)

select
    {{ month_start() }} as month,
    o.queue_id,
    o.owned_on,
    coalesce(c.responsible_manager_id, o.manager_id) as manager_id,
    c.management_path,
    o.is_configured
from owned as o
left join chains as c
    on o.manager_id = c.manager_id
    and o.owned_on >= c.valid_from
    and o.owned_on < c.valid_to
