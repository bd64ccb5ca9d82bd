with recursive employees as (

    select * from {{ ref('dim_employees') }} where month = {{ month_start() }}

),

roster as (

    select * from {{ ref('stg_employees') }}

),

queues as (

    select * from {{ ref('dim_queues') }} where month = {{ month_start() }}

),

-- Everyone who answers for somebody or for a queue in the month.
answering as (

    select responsible_manager_id as manager_id, management_path
    from employees
    where responsible_manager_id is not null
    union
    select manager_id, management_path from queues

),

-- Who stands above somebody who answers, and so answers through others.
above as (

    select t.ancestor_id as manager_id
    from {{ ref('dim_manager_tree') }} as t
    inner join answering as a
        on t.management_path = a.management_path
    where t.month = {{ month_start() }} and t.distance > 0
    group by t.ancestor_id

),

-- And people managers without a team.
managers as (

    select manager_id from answering
    union
    select manager_id from above
    union
    select r.employee_id from roster as r
    inner join employees as e on r.employee_id = e.employee_id
    where r.is_people_manager or r.job_family = 'cs_manager'

),

own_rows as (

    select
        employee_id,
        display_name,
        job_family,
        position_name,
        row_number() over (
            partition by employee_id
            order by case when valid_from < {{ month_end() }} then 0 else 1 end, valid_from desc
        ) as newest_rank
    from roster

),

own as (

    select * from own_rows where newest_rank = 1

),

exposure as (

    select
        responsible_manager_id as manager_id,
        team_id,
        team_name,
        sum({{ days_between('valid_from', 'valid_to') }}) as employee_days
    from employees
    where responsible_manager_id is not null
        and responsible_manager_id <> employee_id
        and employment_status is distinct from 'leave'
    group by responsible_manager_id, team_id, team_name

),

teams as (

    select
        *,
        row_number() over (
            partition by manager_id order by employee_days desc, team_id nulls last, team_name
        ) as size_rank
    from exposure

),

team_days as (

    select
        e.responsible_manager_id as manager_id,
        count(distinct case when e.employment_status is distinct from 'leave' then d.day end) as exposure_days,
        count(distinct e.employee_id) as agent_count,
        count(distinct case when e.is_leave_cover or e.is_vacancy_cover then d.day end) as cover_days
    from employees as e
    inner join {{ ref('dim_days') }} as d
        on d.day >= e.valid_from and d.day < e.valid_to
    where e.responsible_manager_id <> e.employee_id
    group by e.responsible_manager_id

),

subtrees as (

    select
        t.ancestor_id as manager_id,
        count(distinct e.employee_id) as subtree_count
    from employees as e
    inner join {{ ref('dim_manager_tree') }} as t
        on e.month = t.month and e.management_path = t.management_path
    where t.ancestor_id <> e.employee_id
    group by t.ancestor_id

),

described as (

    select
        m.manager_id,
        coalesce(o.display_name, m.manager_id) as display_name,
        coalesce(o.job_family, 'cs_manager') as job_family,
        o.position_name,
        o.employee_id is not null as is_in_roster,
        t.team_id,
        t.team_name,
        a.manager_id is not null as is_manager_of_managers
    from managers as m
    left join own as o
        on m.manager_id = o.employee_id
    left join teams as t
        on m.manager_id = t.manager_id and t.size_rank = 1
    left join above as a
        on m.manager_id = a.manager_id

),

-- Whom the roster names above whom at the month's end: who stands in for somebody does not rise by it.
lines as (

    select
        e.manager_id,
        e.employee_id as below_id
    from employees as e
    inner join managers as m
        on e.employee_id = m.manager_id
    where e.valid_to = {{ month_end() }} and e.manager_id <> e.employee_id

),

named_above as (

    select manager_id, below_id from lines
    union
    select
        a.manager_id,
        l.below_id
    from named_above as a
    inner join lines as l
        on a.below_id = l.manager_id

),

-- Who stands above managers of the same kind would else be ranked among them.
above_equals as (

    select a.manager_id
    from named_above as a
    inner join described as u
        on a.manager_id = u.manager_id
    inner join described as d
        on a.below_id = d.manager_id
    where u.job_family = d.job_family and a.manager_id <> a.below_id
    group by a.manager_id

),

-- The company's rules, if it has any: the first that fits.
fitting_roles as (

    select
        d.manager_id,
        r.role,
        row_number() over (partition by d.manager_id order by r.position, r.role) as fit_rank
    from described as d
    inner join {{ source('config', 'roles') }} as r
        on r.leads in ('*', case when d.is_manager_of_managers then 'managers' else 'agents' end)
        and r.job_family in ('*', d.job_family)
        and r.team_id in ('*', coalesce(d.team_id, ''))
        and r.position_name in ('*', coalesce(d.position_name, ''))

)

select
    {{ month_start() }} as month,
    m.manager_id,
    m.display_name,
    case
        when r.role is not null then r.role
        when u.manager_id is not null then 'manager_of_managers'
        when m.job_family in ('cs_manager', 'supervisor') then m.job_family
        when m.is_manager_of_managers then 'manager_of_managers'
        else m.job_family
    end as role,
    m.team_id,
    m.team_name,
    coalesce(d.agent_count, 0) as agent_count,
    coalesce(d.exposure_days, 0) as exposure_days,
    coalesce(d.cover_days, 0) as cover_days,
    coalesce(s.subtree_count, 0) as subtree_count,
    m.is_manager_of_managers,
    m.is_in_roster
from described as m
left join fitting_roles as r
    on m.manager_id = r.manager_id and r.fit_rank = 1
left join above_equals as u
    on m.manager_id = u.manager_id
left join team_days as d
    on m.manager_id = d.manager_id
left join subtrees as s
    on m.manager_id = s.manager_id
