-- Who answers in fact where the roster names a manager, and who stands above them. A manager who is
-- away is answered for by their deputy, else by the next one up. The month is cut wherever something
-- changes for any manager; within a stretch the whole chain is the same.
with recursive employees as (

    select * from {{ ref('stg_employees') }}

),

owners as (

    select manager_id
    from {{ source('config', 'queue_owners') }}
    where valid_from < {{ month_end() }} and coalesce(valid_to, date '2999-01-01') > {{ month_start() }}

),

named as (

    select manager_id from employees where manager_id is not null
    union
    select manager_id from owners

),

leaders as (

    select manager_id as employee_id from named
    union
    select deputy_id as employee_id from employees where deputy_id is not null

),

leader_rows as (

    select e.*
    from employees as e
    inner join leaders as l
        on e.employee_id = l.employee_id

),

edges as (

    select {{ month_start() }} as edge_on
    union
    select valid_from as edge_on from leader_rows where {{ in_month('valid_from') }}
    union
    select valid_to as edge_on from leader_rows where {{ in_month('valid_to') }}

),

stretches as (

    select
        edge_on as valid_from,
        lead(edge_on, 1, {{ month_end() }}) over (order by edge_on) as valid_to
    from edges

),

-- The row that holds in the stretch; of somebody who is gone the last before, of somebody who is yet
-- to come the first: they tell whom to ask instead.
nearest as (

    select
        s.valid_from as starts_on,
        r.employee_id,
        r.manager_id,
        r.deputy_id,
        r.valid_from <= s.valid_from and r.valid_to > s.valid_from as is_employed,
        coalesce(r.employment_status = 'leave', false) as is_on_leave,
        row_number() over (
            partition by s.valid_from, r.employee_id
            order by
                case when r.valid_from <= s.valid_from and r.valid_to > s.valid_from then 0 else 1 end,
                case when r.valid_from <= s.valid_from then r.valid_from end desc nulls last,
                r.valid_from
        ) as nearness
    from stretches as s
    cross join leader_rows as r

),

places as (

    select
        starts_on,
        employee_id,
        manager_id,
        deputy_id,
        is_employed and not is_on_leave as is_here,
        is_employed and is_on_leave as is_on_leave
    from nearest
    where nearness = 1

),

-- Whom the roster does not know is taken to be there: nobody else can be named.
standing as (

    select
        s.valid_from as starts_on,
        l.employee_id,
        p.manager_id as above_id,
        case
            when p.employee_id is null or p.is_here then l.employee_id
            when p.is_on_leave and d.is_here then p.deputy_id
        end as answering_id,
        coalesce(p.is_on_leave, false) as is_on_leave,
        p.employee_id is not null and not p.is_here and not p.is_on_leave as is_vacant
    from stretches as s
    cross join leaders as l
    left join places as p
        on s.valid_from = p.starts_on and l.employee_id = p.employee_id
    left join places as d
        on s.valid_from = d.starts_on and p.deputy_id = d.employee_id

),

-- One step up at a time. `visited` stops at a cycle.
walk as (

    select
        s.starts_on,
        s.employee_id as manager_id,
        s.employee_id as reached_id,
        s.above_id,
        1 as step,
        s.answering_id as first_id,
        cast(null as varchar) as second_id,
        case when s.answering_id is not null then {{ path_step('s.answering_id') }} end as management_path,
        {{ path_step('s.employee_id') }} as visited,
        s.is_on_leave,
        s.is_vacant
    from standing as s
    inner join named as n
        on s.employee_id = n.manager_id
    union all
    select
        w.starts_on,
        w.manager_id,
        s.employee_id as reached_id,
        s.above_id,
        w.step + 1 as step,
        coalesce(w.first_id, s.answering_id) as first_id,
        case
            when w.second_id is not null then w.second_id
            when s.answering_id <> w.first_id then s.answering_id
        end as second_id,
        case
            when s.answering_id is null then w.management_path
            when w.management_path is null then {{ path_step('s.answering_id') }}
            when {{ path_names('w.management_path', 's.answering_id') }} then w.management_path
            else {{ path_step('s.answering_id') }} || '/' || w.management_path
        end as management_path,
        w.visited || '/' || {{ path_step('s.employee_id') }} as visited,
        w.is_on_leave,
        w.is_vacant
    from walk as w
    inner join standing as s
        on w.starts_on = s.starts_on and w.above_id = s.employee_id
    where not {{ path_names('w.visited', 'w.above_id') }}

),

-- Somebody who is above themselves: the roster's mistake, which the raw gate reports. Each of a circle
-- keeps those who answer to them directly, and nobody of it is above another.
circles as (

    select starts_on, manager_id as employee_id
    from walk
    where above_id = manager_id
    group by starts_on, manager_id

),

ends as (

    select
        w.*,
        row_number() over (
            partition by w.starts_on, w.manager_id
            order by case when c.employee_id is not null then w.step end nulls last, w.step desc
        ) as end_rank
    from walk as w
    left join circles as c
        on w.starts_on = c.starts_on and w.reached_id = c.employee_id

),

-- When nobody at all is there, it stays with the one whom the roster names.
chains as (

    select
        e.manager_id,
        e.starts_on as valid_from,
        s.valid_to,
        coalesce(e.first_id, e.manager_id) as responsible_manager_id,
        e.second_id as next_manager_id,
        coalesce(e.management_path, {{ path_step('e.manager_id') }}) as management_path,
        e.is_on_leave and e.first_id is not null as is_leave_cover,
        e.is_vacant and e.first_id is not null as is_vacancy_cover
    from ends as e
    inner join stretches as s
        on e.starts_on = s.valid_from
    where e.end_rank = 1

),

-- Stretches that say the same are one: they follow each other without a gap.
compared as (

    select
        *,
        lag(management_path) over (partition by manager_id order by valid_from) as previous_path,
        lag(is_leave_cover) over (partition by manager_id order by valid_from) as previous_leave,
        lag(is_vacancy_cover) over (partition by manager_id order by valid_from) as previous_vacancy
    from chains

),

numbered as (

    select
        *,
        sum(
            case
                when previous_path = management_path
                    and previous_leave = is_leave_cover
                    and previous_vacancy = is_vacancy_cover then 0
                else 1
            end
        ) over (
            partition by manager_id order by valid_from rows between unbounded preceding and current row
        ) as stretch
    from compared

)

select
    {{ month_start() }} as month,
    manager_id,
    min(valid_from) as valid_from,
    max(valid_to) as valid_to,
    responsible_manager_id,
    next_manager_id,
    management_path,
    is_leave_cover,
    is_vacancy_cover
from numbered
group by
    manager_id, stretch, responsible_manager_id, next_manager_id, management_path,
    is_leave_cover, is_vacancy_cover
