-- Everybody on a management path, by how many steps they stand above the one who answers directly. Paths of
-- the eleven months before are there too: heads of a year are counted under those who answered then.
with recursive paths as (

    select
        management_path,
        {{ path_length('management_path') }} as step_count
    from {{ ref('dim_management_chains') }}
    where month > {{ month_start(-12) }} and month <= {{ month_start() }}
    group by management_path

),

steps as (

    select management_path, step_count, 1 as step
    from paths
    union all
    select management_path, step_count, step + 1 as step
    from steps
    where step < step_count

)

select
    {{ month_start() }} as month,
    management_path,
    {{ step_id("split_part(management_path, '/', step)") }} as ancestor_id,
    cast(step_count - step as integer) as distance
from steps
