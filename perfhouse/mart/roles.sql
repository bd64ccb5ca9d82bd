-- Groups that logins become members of. They are the cluster's, so another mart may have made them.
do $$
declare
    wanted text;
begin
    foreach wanted in array array[
        'perfhouse_owner', 'perfhouse_publisher', 'perfhouse_hr', 'perfhouse_analyst', 'perfhouse_manager'
    ] loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
            execute pg_catalog.format('create role %I nologin', wanted);
        end if;
    end loop;
end
$$;
