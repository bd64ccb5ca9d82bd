with versions as (

    select
        *,
        {{ version_rank(['_source', 'contribution_id']) }} as version_rank
    from {{ source('raw', 'kb_contributions') }}

)

select
    {{ key_of(['_source', 'contribution_id']) }} as contribution_key,
    _source,
    contribution_id,
    author_id,
    article_id,
    action,
    status,
    submitted_at,
    published_at,
    _file,
    _row_number
from versions
where version_rank = 1 and _op <> 'delete'
