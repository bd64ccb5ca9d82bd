with employees as (

    select * from {{ ref('dim_employees') }} where month = {{ month_start() }}

),

chains as (

    select * from {{ ref('dim_management_chains') }} where month = {{ month_start() }}

),

tree as (

    select * from {{ ref('dim_manager_tree') }} where month = {{ month_start() }}

),

managers as (

    select * from {{ ref('dim_managers') }} where month = {{ month_start() }}

),

-- The tree holds paths of earlier months as well: of those who answered then.
paths as (

    select management_path from chains group by management_path

),

-- Everybody on a path answers to those before them on it.
on_paths as (

    select
        b.ancestor_id as manager_id,
        a.ancestor_id,
        a.distance - b.distance as distance
    from tree as b
    inner join tree as a
        on b.management_path = a.management_path and b.distance < a.distance
    inner join paths as p
        on b.management_path = p.management_path

),

-- A manager without a team stands on no path, but has one.
below_paths as (

    select
        e.employee_id as manager_id,
        t.ancestor_id,
        t.distance + 1 as distance
    from employees as e
    inner join tree as t
        on e.management_path = t.management_path
    where e.employee_id <> t.ancestor_id

),

pairs as (

    select manager_id, ancestor_id, distance from on_paths
    union all
    select manager_id, ancestor_id, distance from below_paths
    union all
    select manager_id, manager_id as ancestor_id, 0 as distance from managers

)

select
    {{ month_start() }} as month,
    p.manager_id,
    p.ancestor_id,
    cast(min(p.distance) as integer) as distance
from pairs as p
inner join managers as m
    on p.manager_id = m.manager_id
group by p.manager_id, p.ancestor_id
