{{ config(tags=['macro']) }}

with versions as (
    select 'a' as id, 1 as wanted, timestamp '2026-09-02' as source_updated_at, 1 as source_seq,
        '2026-09' as _month, 1 as _row_number, 'x' as _row_hash
    union all select 'a', 2, timestamp '2026-09-01', 9, '2026-10', 9, 'x'
    union all select 'b', 1, timestamp '2026-09-01', 2, '2026-09', 1, 'x'
    union all select 'b', 2, timestamp '2026-09-01', 1, '2026-10', 9, 'x'
    union all select 'c', 1, null, null, '2026-10', 1, 'x'
    union all select 'c', 2, null, null, '2026-09', 9, 'x'
    union all select 'd', 1, null, null, '2026-09', 2, 'x'
    union all select 'd', 2, null, null, '2026-09', 1, 'x'
),

ranked as (
    select *, {{ version_rank(['id']) }} as version_rank from versions
)

select * from ranked where version_rank <> wanted
