-- The roster that each source delivered for the month, or its last one before, with what was corrected
-- since; one row per assignment, half-open, ended by the next assignment or by the day after the last day
-- of work, and cut where leave begins or ends. `valid_from` is when it took effect, `recorded_on` when HR told of it.
with {{ roster_assignments(source('raw', 'hr_roster'), month_key(), as_of_key(), ref('stg_employment_events')) }},

units as (

    select
        org_id,
        min(name) as name
    from {{ source('raw', 'org_units') }}
    group by org_id

),

events as (

    select
        employee_id,
        event_type,
        effective_on,
        min(case when event_type = 'leave_end' then effective_on end) over (
            partition by employee_id order by effective_on, event_type
            rows between 1 following and unbounded following
        ) as next_end_on,
        max(case when event_type = 'leave_start' then effective_on end) over (
            partition by employee_id order by effective_on, event_type
            rows between unbounded preceding and 1 preceding
        ) as last_start_on
    from (
        select employee_id, event_type, effective_on
        from {{ ref('stg_employment_events') }}
        where event_type in ('leave_start', 'leave_end')
        group by employee_id, event_type, effective_on
    ) as days

),

-- Leave of which events tell: from its first day to the day of return. The start of a long one may lie in
-- a delivery that is no longer read.
leaves as (

    select employee_id, effective_on as leave_from, coalesce(next_end_on, date '2999-01-01') as leave_to
    from events
    where event_type = 'leave_start'
    union
    select employee_id, date '1900-01-01' as leave_from, effective_on as leave_to
    from events
    where event_type = 'leave_end' and last_start_on is null

),

edges as (

    select employee_id, valid_from, valid_from as edge_on from held
    union
    select a.employee_id, a.valid_from, l.leave_from as edge_on
    from held as a
    inner join leaves as l
        on a.employee_id = l.employee_id and l.leave_from > a.valid_from and l.leave_from < a.ends_on
    union
    select a.employee_id, a.valid_from, l.leave_to as edge_on
    from held as a
    inner join leaves as l
        on a.employee_id = l.employee_id and l.leave_to > a.valid_from and l.leave_to < a.ends_on

),

stretches as (

    select
        employee_id,
        valid_from,
        edge_on,
        lead(edge_on) over (partition by employee_id, valid_from order by edge_on) as next_edge_on
    from edges

),

away as (

    select s.employee_id, s.valid_from, s.edge_on
    from stretches as s
    inner join leaves as l
        on s.employee_id = l.employee_id and s.edge_on >= l.leave_from and s.edge_on < l.leave_to
    group by s.employee_id, s.valid_from, s.edge_on

)

select
    a._source,
    a.employee_id,
    a.user_id as source_user_id,
    a.email_hash as work_email_hash,
    coalesce(a.display_name, a.employee_id) as display_name,
    coalesce(a.team_id, a.department_id) as team_id,
    coalesce(u.name, a.team_id, a.department_id) as team_name,
    coalesce(a.job_family, 'other') as job_family,
    a.position_name,
    coalesce(a.is_people_manager, false) as is_people_manager,
    a.manager_employee_id as manager_id,
    nullif(trim(a.deputy_employee_id), '') as deputy_id,
    a.location,
    case when w.employee_id is not null then 'leave' else a.employment_status end as employment_status,
    a.hire_date,
    cast(a.left_on as date) as left_on,
    cast(s.edge_on as date) as valid_from,
    cast(coalesce(s.next_edge_on, a.ends_on) as date) as valid_to,
    a.recorded_on,
    a._file,
    a._row_number
from held as a
inner join stretches as s
    on a.employee_id = s.employee_id and a.valid_from = s.valid_from
left join away as w
    on s.employee_id = w.employee_id and s.valid_from = w.valid_from and s.edge_on = w.edge_on
left join units as u
    on coalesce(a.team_id, a.department_id) = u.org_id
