-- Columns, row security and policies as one hash, whatever the order in which they were made.
with said as (
    select concat_ws(' ', c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) as line
    from pg_class as c
    inner join pg_attribute as a on c.oid = a.attrelid
    where c.relnamespace = 'perfhouse'::regnamespace and c.relkind = 'r'
        and c.relname = any(%(tables)s) and a.attnum > 0 and not a.attisdropped
    union all
    select concat_ws(' ', c.relname, c.relrowsecurity, c.relforcerowsecurity)
    from pg_class as c
    where c.relnamespace = 'perfhouse'::regnamespace and c.relname = any(%(tables)s)
        or c.relnamespace = 'perfhouse_private'::regnamespace and c.relname = 'readers'
    union all
    select concat_ws(' ', tablename, policyname, roles, cmd, qual, with_check)
    from pg_policies
    where schemaname in ('perfhouse', 'perfhouse_private')
)

select encode(sha256(convert_to(string_agg(line, E'\n' order by line collate "C"), 'UTF8')), 'hex')
from said
