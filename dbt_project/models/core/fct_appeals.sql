-- Appeals about the month being built, whenever they were raised. No text of theirs is kept, only codes.
with days as (

    select * from {{ source('config', 'appeal_days') }}

),

last_days as (

    select max(deadline_on) as deadline_on from days

),

appeals as (

    select
        *,
        {{ local_on('raised_at') }} as raised_on,
        {{ local_on('decided_at') }} as decided_on
    from {{ ref('stg_appeals') }}
    where {{ appeal_month('scorecard_id') }} = '{{ month_key() }}'

),

-- Who they were on the last day of the month.
identities as (

    select *
    from {{ ref('dim_identities') }}
    where month = {{ month_start() }} and valid_from < {{ month_end() }} and valid_to >= {{ month_end() }}

),

named as (

    select
        a.*,
        {{ person('appellant', 'true') }} as manager_id,
        {{ person('credited', 'true') }} as credited_employee_id
    from appeals as a
    {%- for name, column in (('appellant', 'employee_id'), ('credited', 'credited_to')) %}
    left join identities as {{ name }}_own
        on a._source = {{ name }}_own._source and a.{{ column }} = {{ name }}_own.source_user_id
    left join identities as {{ name }}_any
        on {{ name }}_any._source = '*' and a.{{ column }} = {{ name }}_any.source_user_id
    {%- endfor %}

),

dated as (

    select
        n.*,
        l.deadline_on,
        d.decide_by,
        n.raised_on > l.deadline_on as is_late
    from named as n
    cross join last_days as l
    left join days as d
        on n.raised_on = d.raised_on

),

judged as (

    select
        *,
        {{ appeal_state('status', 'is_late', 'is_admitted') }} as state
    from dated

)

select
    {{ month_start() }} as month,
    {{ key_of(['_source', 'appeal_id']) }} as appeal_key,
    _source,
    appeal_id,
    employee_id,
    manager_id,
    kpi_id,
    row_source,
    row_id,
    effect,
    credited_to,
    credited_employee_id,
    corrected_numerator,
    raised_on,
    deadline_on,
    decide_by,
    is_late,
    is_admitted,
    state,
    reason_code,
    decided_at,
    decided_on,
    decided_by,
    decision_code,
    state = 'upheld' and decided_by is not null and decided_at is not null as is_upheld,
    _file,
    _row_number
from judged
