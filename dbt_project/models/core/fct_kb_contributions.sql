with contributions as (

    select
        *,
        coalesce(published_at, submitted_at) as counted_at
    from {{ ref('stg_kb_contributions') }}

),

{{ people_ctes() }},

named as (

    select
        c.*,
        {{ person('author') }} as author_employee_id,
        {{ local_on('c.counted_at', 'author_at.time_zone') }} as counted_on
    from contributions as c
    {{ join_person('author', 'c._source', 'c.author_id', 'coalesce(c.submitted_at, c.counted_at)', dated_at='c.counted_at') }}
    where {{ near_month('c.counted_at') }}

)

select
    {{ month_start() }} as month,
    contribution_key,
    _source,
    contribution_id,
    author_id,
    author_employee_id,
    article_id,
    action,
    status,
    submitted_at,
    published_at,
    counted_on,
    coalesce(
        published_at is not null and action in ('create', 'update')
        and coalesce(status, 'published') = 'published'
        -- A source that does not tell what an update is worth is believed.
        and (action = 'create' or coalesce(is_substantive, true)),
        false
    ) as is_published,
    views_30d as view_count,
    _file,
    _row_number
from named
where {{ in_month('counted_on') }}
