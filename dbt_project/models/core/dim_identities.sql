with employees as (

    select
        employee_id,
        source_user_id,
        valid_from
    from {{ ref('stg_employees') }}

),

-- What the roster itself says wins over a user id that happens to equal an employee number.
candidates as (

    select source_user_id, employee_id, 1 as preference, valid_from
    from employees
    where source_user_id is not null
    union all
    select employee_id as source_user_id, employee_id, 2 as preference, valid_from
    from employees

),

ranked as (

    select
        *,
        row_number() over (
            partition by source_user_id
            order by preference, valid_from desc, employee_id
        ) as preference_rank
    from candidates

),

mapped as (

    select
        *,
        coalesce(mapped_source, _source) as map_source,
        row_number() over (
            partition by coalesce(mapped_source, _source), source_user_id, valid_from
            order by {{ latest_first() }}, employee_id
        ) as version_rank
    from {{ source('raw', 'identity_map') }}
    where _op <> 'delete'

),

intervals as (

    select
        map_source as _source,
        source_user_id,
        employee_id,
        valid_from,
        valid_to,
        lead(valid_from) over (
            partition by map_source, source_user_id order by valid_from nulls first
        ) as next_from
    from mapped
    where version_rank = 1

)

select
    {{ month_start() }} as month,
    '*' as _source,
    source_user_id,
    employee_id,
    date '1900-01-01' as valid_from,
    date '2999-01-01' as valid_to
from ranked
where preference_rank = 1
union all
select
    {{ month_start() }} as month,
    _source,
    source_user_id,
    employee_id,
    coalesce(valid_from, date '1900-01-01') as valid_from,
    least(coalesce(valid_to, date '2999-01-01'), coalesce(next_from, date '2999-01-01')) as valid_to
from intervals
