with versions as (

    {{ latest_versions(source('raw', 'survey_aggregates'), ['_source', 'subject_id', 'stat_date']) }}

)

select
    {{ key_of(['_source', 'subject_id', 'stat_date']) }} as total_key,
    _source,
    subject_id,
    stat_date as counted_on,
    invited_n as invited_count,
    responded_n as responded_count,
    satisfied_n as satisfied_count,
    neutral_n as neutral_count,
    dissatisfied_n as dissatisfied_count,
    _file,
    _row_number
from versions
where _op <> 'delete'
