-- Run as perfhouse_owner, whom every table belongs to and whom row rights bind as well.
create table if not exists perfhouse_private.versions (
    number integer primary key,
    shape_sha256 text not null,
    as_left_sha256 text not null
);
-- A login that is dropped and made again is another one: rights go by its identity, not its name.
create table if not exists perfhouse_private.readers (
    login regrole not null,
    manager_id text not null,
    primary key (login, manager_id)
);
alter table perfhouse_private.readers enable row level security;
alter table perfhouse_private.readers force row level security;
drop policy if exists owner on perfhouse_private.readers;
create policy owner on perfhouse_private.readers to perfhouse_owner using (true) with check (true);
drop policy if exists own on perfhouse_private.readers;
create policy own on perfhouse_private.readers for select to perfhouse_manager
    using (login = pg_catalog.quote_ident(current_user)::pg_catalog.regrole);

grant usage on schema perfhouse
    to perfhouse_publisher, perfhouse_hr, perfhouse_analyst, perfhouse_manager;
grant usage on schema perfhouse_next to perfhouse_publisher;
grant usage on schema perfhouse_private to perfhouse_publisher, perfhouse_manager;
revoke all on all tables in schema perfhouse, perfhouse_next, perfhouse_private
    from public, perfhouse_publisher, perfhouse_hr, perfhouse_analyst, perfhouse_manager;
grant select on perfhouse_private.versions to perfhouse_publisher;
grant select on perfhouse_private.readers to perfhouse_manager;

comment on schema perfhouse is 'Published scorecards: the newest release of every month.';
comment on schema perfhouse_next is 'Rows on their way in; empty between loads.';
comment on schema perfhouse_private is 'Which version of the mart this is, and which manager a login is.';
comment on table perfhouse_private.versions is 'One row per shape that perfhouse mart migrate gave the mart.';
comment on table perfhouse_private.readers is 'One row per login and manager whose subtree it sees.';
