-- Who has to hold which certificate on the last day of the month, and who holds it.
with statements as (

    select * from {{ ref('stg_training_records') }} where course_type = 'certification'

),

{{ people_ctes() }},

settings as (

    select cast(max(value) as integer) as grace_days
    from {{ source('config', 'settings') }}
    where name = 'certification_grace_days'

),

named as (

    select
        s.*,
        {{ person('learner') }} as learner_employee_id,
        coalesce(s.completed_at, s.cert_issued_at, s.source_updated_at, s.assigned_at) as stated_at,
        {{ local_on('s.due_at', 'learner_at.time_zone') }} as due_on,
        {{ local_on('coalesce(s.cert_issued_at, s.completed_at)', 'learner_at.time_zone') }} as issued_on,
        {{ local_on('s.cert_expires_at', 'learner_at.time_zone') }} as expires_on,
        {{ local_on('coalesce(s.cert_expires_at, s.source_updated_at)', 'learner_at.time_zone') }} as expired_on
    from statements as s
    {{ join_person('learner', 's._source', 's.learner_id', 'coalesce(s.assigned_at, s.completed_at, s.cert_issued_at, s.due_at, s.source_updated_at)', dated_at='coalesce(s.cert_issued_at, s.completed_at, s.due_at, s.source_updated_at)') }}

),

-- What was said by the last day; a certificate that expires without another is no longer held.
said as (

    select
        *,
        status in ('completed', 'passed') and coalesce(issued_on < {{ month_end() }}, false) as is_issue,
        status = 'expired' and coalesce(expired_on < {{ month_end() }}, false) as is_expiry,
        row_number() over (
            partition by _source, learner_id, learner_employee_id, course_id
            order by stated_at desc nulls last, record_id nulls last, _row_hash
        ) as statement_rank
    from named
    where coalesce({{ local_on('assigned_at') }}, issued_on, expired_on, due_on, {{ month_start() }}) < {{ month_end() }}

),

-- A waiver holds until the certificate is asked for again.
courses as (

    select
        _source,
        learner_id,
        learner_employee_id,
        course_id,
        min(due_on) as first_due_on,
        max(case when coalesce(is_mandatory, true) then 1 else 0 end) as is_mandatory,
        max(case when status in ('waived', 'withdrawn') then coalesce(stated_at, due_at) end) as waived_at,
        max(case when status not in ('waived', 'withdrawn') then coalesce(assigned_at, stated_at) end) as asked_at,
        max(case when status in ('waived', 'withdrawn') then 1 else 0 end) as is_ever_waived,
        max(case when is_issue then issued_on end) as issued_on,
        max(case when is_issue and expires_on is null then issued_on end) as open_issued_on,
        max(case when is_issue and expires_on >= {{ month_end() }} - interval '1 day' then 1 else 0 end) as is_dated_beyond,
        max(case when is_expiry then expired_on end) as expired_on,
        max(case when statement_rank = 1 then record_id end) as record_id,
        max(case when statement_rank = 1 then _file end) as _file,
        max(case when statement_rank = 1 then _row_number end) as _row_number
    from said
    group by _source, learner_id, learner_employee_id, course_id

),

-- New hires have time; who is not employed on the last day is not asked.
required as (

    select c.*
    from courses as c
    cross join settings as s
    inner join {{ ref('dim_employees') }} as e
        on e.month = {{ month_start() }}
        and c.learner_employee_id = e.employee_id
        and e.valid_to = {{ month_end() }}
    where c.is_mandatory = 1
        and coalesce(c.first_due_on < {{ month_end() }}, true)
        and (c.is_ever_waived = 0 or coalesce(c.asked_at > c.waived_at, false))
        and coalesce(e.hire_date + s.grace_days * interval '1 day' < {{ month_end() }}, true)

)

select
    {{ month_start() }} as month,
    {{ key_of(['_source', 'learner_id', 'learner_employee_id', 'course_id']) }} as certification_key,
    _source,
    record_id,
    learner_id,
    learner_employee_id,
    course_id,
    cast({{ month_end() }} - interval '1 day' as date) as counted_on,
    issued_on,
    is_dated_beyond = 1
    or coalesce(open_issued_on > coalesce(expired_on, date '1900-01-01'), false) as is_valid,
    _file,
    _row_number
from required
