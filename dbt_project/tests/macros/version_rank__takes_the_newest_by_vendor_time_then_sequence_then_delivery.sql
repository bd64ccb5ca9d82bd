{{ config(tags=['macro']) }}

with versions as (
    select 'a' as id, 1 as wanted, timestamp '2026-09-02' as source_updated_at, 1 as source_seq,
        '2026-09' as _month, 'a.csv' as _file, 1 as _row_number, 'x' as _row_hash
    union all select 'a', 2, timestamp '2026-09-01', 9, '2026-10', 'a.csv', 9, 'x'
    union all select 'b', 1, timestamp '2026-09-01', 2, '2026-09', 'a.csv', 1, 'x'
    union all select 'b', 2, timestamp '2026-09-01', 1, '2026-10', 'a.csv', 9, 'x'
    union all select 'c', 1, null, null, '2026-10', 'a.csv', 1, 'x'
    union all select 'c', 2, null, null, '2026-09', 'a.csv', 9, 'x'
    union all select 'd', 1, null, null, '2026-09', 'a.csv', 2, 'x'
    union all select 'd', 2, null, null, '2026-09', 'a.csv', 1, 'x'
    union all select 'e', 1, null, null, '2026-09', 'a.parquet', 1, 'y'
    union all select 'e', 2, null, null, '2026-09', 'a.parquet', 2, 'x'
),

ranked as (
    select *, {{ version_rank(['id']) }} as version_rank from versions
)

select * from ranked where version_rank <> wanted
