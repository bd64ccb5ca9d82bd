{{ config(tags=['macro']) }}

with versions as (
    select 'a' as id, true as wanted, timestamp '2026-09-02' as source_updated_at, 1 as source_seq,
        '2026-09' as _month, 'a.csv' as _file, 1 as _row_number, 'x' as _row_hash
    union all select 'a', false, timestamp '2026-09-01', 9, '2026-10', 'a.csv', 9, 'y'
    union all select null, false, null, null, '2026-09', 'a.csv', 1, 'x'
    union all select null, true, null, null, '2026-10', 'a.csv', 1, 'x'
    union all select 'b', true, null, null, '2026-09', 'a.csv', 2, 'z'
),

latest as (
    {{ latest_versions('versions', ['id']) }}
)

select id, wanted from latest where not wanted
union all
select 'kept', count(*) = 3 from latest having count(*) <> 3
