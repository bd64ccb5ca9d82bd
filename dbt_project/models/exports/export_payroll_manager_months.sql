with scorecards as (

    select * from {{ ref('scorecard_manager_months') }} where month = {{ month_start() }}

),

kpi_months as (

    select * from {{ ref('scorecard_kpi_months') }} where month = {{ month_start() }}

),

bands as (

    select *
    from {{ source('config', 'payroll_bands') }}
    where valid_from <= {{ month_start() }} and (valid_to is null or valid_to > {{ month_start() }})

),

-- A total that later events may still change is not paid for.
unripe as (

    select distinct manager_id from kpi_months where is_provisional and weight is not null

),

final as (

    select s.manager_id, s.role, s.grade, s.total_score
    from scorecards as s
    left join unripe as u
        on s.manager_id = u.manager_id
    where s.status = 'scored' and u.manager_id is null

),

-- The bands of the role come before those of any role, the highest that is reached before others.
fitting as (

    select
        f.manager_id,
        b.points,
        b.multiplier,
        b.version,
        row_number() over (
            partition by f.manager_id
            order by case when b.role = '*' then 1 else 0 end, coalesce(b.from_score, 0) desc
        ) as place
    from final as f
    inner join bands as b
        on (b.role = f.role or b.role = '*')
        and (b.grade = f.grade or {{ measure('b.from_score') }} <= f.total_score)

)

select
    {{ month_start() }} as month,
    manager_id as employee_number,
    {{ measure('points') }} as points,
    {{ measure('multiplier') }} as multiplier,
    version as band_version
from fitting
where place = 1
