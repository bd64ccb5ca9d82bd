"""`mart migrate`: roles, schemas, tables, comments, indexes and rights, made or mended.

Everything is asserted each time, in one transaction, so a run over a mart that is as it should be
changes nothing. It may not touch a published row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import sql as words
from psycopg.sql import Composed

from perfhouse.errors import ConfigError
from perfhouse.mart import server, shape

if TYPE_CHECKING:
    from perfhouse.mart.server import Connection
    from perfhouse.mart.shape import Table

# Less than it takes to be called a deadlock (1 s): so it is never a reader who is sent away.
_PATIENCE = "900ms"


def migrate(connection: str) -> bool:
    """Make the mart what this version loads into; True if its shape is new.

    Needs an administrator: a superuser, or who may create roles and, in this database, schemas.

    Raises:
        ConfigError: the administrator may not do something of it (operator); nothing was changed.
        TransientError: a reader holds a table just now; try again, nothing was changed.
    """
    with server.transaction(connection) as con:
        server.only_one(con, lock_timeout=_PATIENCE)
        _may(con)
        con.execute(text("roles.sql"))
        with as_owner(con, schemas=True):
            con.execute(text("schemas.sql"))
            _make(con)
            return _record(con)


@contextmanager
def as_owner(con: Connection, *, schemas: bool = False) -> Iterator[None]:
    """Act as the owner of the mart for a block; an administrator is its member for that long."""
    row = con.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
    needs_membership = row != (True,)
    if needs_membership:
        con.execute(f"grant {shape.OWNER} to current_user")
    if schemas:
        for name in (shape.SCHEMA, shape.NEXT, shape.PRIVATE):
            con.execute(f"create schema if not exists {name} authorization {shape.OWNER}")
    con.execute(f"set local role {shape.OWNER}")
    yield
    con.execute("reset role")
    if needs_membership:
        con.execute(f"revoke {shape.OWNER} from current_user")


def is_as_left(con: Connection) -> bool:
    """Say whether the mart is of this version, with the rights that `migrate` gave it."""
    row = con.execute(
        f"select shape_sha256, as_left_sha256 from {shape.PRIVATE}.versions "
        "order by number desc limit 1"
    ).fetchone()
    return row is not None and row == (shape.version(), _as_it_stands(con))


def _may(con: Connection) -> None:
    row = con.execute(
        "select rolsuper or rolcreaterole, has_database_privilege(current_database(), 'create'), "
        "current_setting('server_version_num')::integer from pg_roles where rolname = current_user"
    ).fetchone()
    roles, schemas, version = row or (False, False, 0)
    problems = []
    if not roles:
        problems.append("the mart's administrator: expected a login that may create roles")
    if not schemas:
        problems.append("the mart's administrator: expected the right to create in the database")
    if version < 130_000:
        problems.append("the mart: expected PostgreSQL 13 or later")
    if problems:
        raise ConfigError(problems)


def _make(con: Connection) -> None:
    """Make every table with what belongs to it, or change what differs.

    Policies go first and come last: they name columns, and tables other than their own.
    """
    tables = shape.tables()
    parts = (
        *(_forget_policies(con, table) for table in tables),
        *(part for t in tables for part in (_columns(con, t), _key(con, t), _index(t))),
        *(part for t in tables for part in (_comments(t), _next(t), _rights(t))),
    )
    statements: Iterator[str | Composed] = itertools.chain.from_iterable(parts)
    for statement in statements:
        con.execute(statement)


def _columns(con: Connection, table: Table) -> Iterator[str]:
    known: dict[str, str] = dict(
        con.execute(
            "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute as a "
            "where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped",
            [f"{shape.SCHEMA}.{table.name}"],
        ).fetchall()
    )
    name = f"{shape.SCHEMA}.{table.name}"
    if not known:
        listed = ", ".join(f'"{c.name}" {c.postgres_type}' for c in table.columns)
        yield f"create table {name} ({listed})"
        return
    for column in table.columns:
        if column.name not in known:
            yield f'alter table {name} add column "{column.name}" {column.postgres_type}'
        elif known[column.name] != column.postgres_type:
            yield (
                f'alter table {name} alter column "{column.name}" type {column.postgres_type} '
                f'using "{column.name}"::{column.postgres_type}'
            )
    for gone in sorted(set(known) - {column.name for column in table.columns}):
        yield f'alter table {name} drop column "{gone}"'


def _key(con: Connection, table: Table) -> Iterator[str]:
    """Make the primary key, after the columns: so it is asked for when they are there."""
    name, listed = f"{shape.SCHEMA}.{table.name}", ", ".join(f'"{c}"' for c in table.key)
    row = con.execute(
        "select array_agg(a.attname::text order by k.place) from pg_constraint as c "
        "cross join unnest(c.conkey) with ordinality as k(number, place) "
        "join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.number "
        "where c.conrelid = %s::regclass and c.contype = 'p'",
        [name],
    ).fetchone()
    known = tuple(row[0] or ()) if row else ()
    if known and known != table.key:
        yield f"alter table {name} drop constraint {table.name}_key"
    if known != table.key:
        yield f"alter table {name} add constraint {table.name}_key primary key ({listed})"


def _index(table: Table) -> Iterator[str]:
    if table.manager_column and table.by_month:
        yield (
            f"create index if not exists {table.name}_of_managers "
            f"on {shape.SCHEMA}.{table.name} ({table.manager_column}, month)"
        )
    if table.name == "scorecard_manager_tree":
        yield (
            f"create index if not exists {table.name}_of_ancestors "
            f"on {shape.SCHEMA}.{table.name} (ancestor_id, month)"
        )


def _comments(table: Table) -> Iterator[Composed]:
    name = words.Identifier(shape.SCHEMA, table.name)
    text = words.SQL("comment on {} {} is {}")
    yield text.format(words.SQL("table"), name, words.Literal(table.description))
    for column in table.columns:
        place = words.Identifier(shape.SCHEMA, table.name, column.name)
        yield text.format(words.SQL("column"), place, words.Literal(column.description))


def _forget_policies(con: Connection, table: Table) -> Iterator[str]:
    known = con.execute(
        "select quote_ident(policyname) from pg_policies where schemaname = %s and tablename = %s",
        [shape.SCHEMA, table.name],
    ).fetchall()
    for (policy,) in known:
        yield f"drop policy {policy} on {shape.SCHEMA}.{table.name}"


def _rights(table: Table) -> Iterator[str]:
    name = f"{shape.SCHEMA}.{table.name}"
    yield f"alter table {name} enable row level security"
    yield f"alter table {name} force row level security"
    for group, rows in table.policies.items():
        if group == shape.PUBLISHER:
            yield f"create policy {group} on {name} to {group} using ({rows}) with check ({rows})"
            yield f"grant select, insert, delete on {name} to {group}"
        else:
            yield f"create policy {group} on {name} for select to {group} using ({rows})"
            yield f"grant select on {name} to {group}"


def _next(table: Table) -> Iterator[str]:
    """Make the table that rows are copied into: COPY cannot write where rows have rights."""
    name = f"{shape.NEXT}.{table.name}"
    yield f"drop table if exists {name}"
    yield f"create unlogged table {name} (like {shape.SCHEMA}.{table.name})"
    yield f"grant select, insert, truncate on {name} to {shape.PUBLISHER}"


def _record(con: Connection) -> bool:
    """Note what the mart is now; True if that is new."""
    versions = f"{shape.PRIVATE}.versions"
    row = con.execute(
        f"select number, shape_sha256 from {versions} order by number desc limit 1"
    ).fetchone()
    stands = _as_it_stands(con)
    if row is not None and row[1] == shape.version():
        con.execute(
            f"update {versions} set as_left_sha256 = %s where number = %s", [stands, row[0]]
        )
        return False
    number = row[0] + 1 if row else 1
    con.execute(f"insert into {versions} values (%s, %s, %s)", [number, shape.version(), stands])
    return True


def _as_it_stands(con: Connection) -> str:
    names = [table.name for table in shape.tables()]
    row = con.execute(text("as_it_stands.sql"), {"tables": names}).fetchone()
    return str(row[0]) if row else ""


def text(name: str) -> str:
    """Return one of the SQL files that come with this package."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
