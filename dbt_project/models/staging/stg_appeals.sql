with versions as (

    {{ latest_versions(source('raw', 'appeals'), ['_source', 'appeal_id']) }}

)

select
    _source,
    appeal_id,
    scorecard_id,
    coalesce(nullif(trim(metric_id), ''), '*') as kpi_id,
    employee_id,
    raised_at,
    -- A code that is none of ours may be anybody's words: it is told as 'other'.
    case
        when reason_code is null then null
        when reason_code in ('data_error', 'wrong_person', 'outside_control', 'duplicate') then reason_code
        else 'other'
    end as reason_code,
    coalesce(status, 'open') as status,
    decided_at,
    decided_by,
    decision_code,
    effect,
    nullif(trim(row_id), '') as row_id,
    nullif(trim(row_source), '') as row_source,
    nullif(trim(credited_to), '') as credited_to,
    {{ typed_number('new_value') }} as corrected_numerator,
    admitted_by is not null and admitted_code is not null as is_admitted,
    _file,
    _row_number
from versions
where _op <> 'delete'
