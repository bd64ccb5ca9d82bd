with versions as (

    {{ latest_versions(source('raw', 'kb_contributions'), ['_source', 'contribution_id']) }}

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
    views_30d,
    helpful_n,
    unhelpful_n,
    is_substantive,
    _file,
    _row_number
from versions
where _op <> 'delete'
