-- Sources tell a story in statements (assigned, completed, waived); a row here is one assignment
-- with the outcome that the statements about it give.
with records as (

    select * from {{ ref('stg_training_records') }}

),

{{ people_ctes() }},

months as (

    select * from {{ ref('dim_months') }} where month = {{ month_start() }}

),

named as (

    select
        r.*,
        coalesce(r.assigned_at, r.completed_at, r.due_at, r.source_updated_at) is not null as is_dated,
        {{ person('learner') }} as learner_employee_id,
        {{ local_on('r.assigned_at', 'learner_at.time_zone') }} as assigned_on,
        {{ local_on('r.due_at', 'learner_at.time_zone') }} as due_on,
        {{ local_on('r.completed_at', 'learner_at.time_zone') }} as completed_on
    from records as r
    {{ join_person('learner', 'r._source', 'r.learner_id', 'coalesce(r.assigned_at, r.completed_at, r.due_at, r.source_updated_at)', dated_at='coalesce(r.due_at, r.completed_at)') }}

),

assignments as (

    select
        *,
        row_number() over (
            partition by _source, learner_id, course_id, due_on
            order by assigned_at nulls last, record_id nulls last, _row_hash
        ) as statement_rank
    from named
    where due_at is not null and {{ in_month('due_on') }}

),

-- Who has left by the day owes nothing any more; an id that nobody knows stays in and is reported.
owed as (

    select
        a.*,
        a.learner_employee_id is null or e.employee_id is not null as is_owed
    from assignments as a
    left join {{ ref('dim_employees') }} as e
        on e.month = {{ month_start() }}
        and a.learner_employee_id = e.employee_id
        and a.due_on >= e.valid_from
        and a.due_on < e.valid_to
    where a.statement_rank = 1

),

outcomes as (

    select
        a._source,
        a.learner_id,
        a.course_id,
        a.due_on,
        -- By days: many systems tell the day of a completion and the minute of an assignment.
        min(case
            when n.status in ('completed', 'passed') and n.completed_on >= coalesce(a.assigned_on, n.completed_on)
                then n.completed_on
        end) as completed_on,
        max(case
            when n.status in ('waived', 'withdrawn') and coalesce(n.due_on, a.due_on) = a.due_on then 1 else 0
        end) as is_waived
    from assignments as a
    inner join named as n
        on a._source = n._source
        and a.learner_id = n.learner_id
        and a.course_id = n.course_id
        -- An id may be another person's by now: what one completed is not the other's.
        and (a.learner_employee_id is not distinct from n.learner_employee_id or not n.is_dated)
    where a.statement_rank = 1
    group by a._source, a.learner_id, a.course_id, a.due_on

)

select
    {{ month_start() }} as month,
    {{ key_of(['a._source', 'a.learner_id', 'a.course_id', 'a.due_on']) }} as assignment_key,
    a._source,
    a.record_id,
    a.learner_id,
    a.learner_employee_id,
    a.course_id,
    a.course_type,
    coalesce(a.is_mandatory, false) as is_mandatory,
    a.assigned_at,
    a.due_at,
    a.due_on,
    o.completed_on,
    o.is_waived = 1 as is_waived,
    a.is_owed and o.is_waived = 0 and a.due_at < m.as_of_at as is_due,
    a.is_owed and o.is_waived = 0 and a.due_at < m.as_of_at
    and coalesce(o.completed_on <= a.due_on, false) as is_completed_on_time,
    a._file,
    a._row_number
from owed as a
inner join outcomes as o
    on a._source = o._source
    and a.learner_id = o.learner_id
    and a.course_id = o.course_id
    and a.due_on = o.due_on
cross join months as m
