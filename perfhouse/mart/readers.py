"""Who may read the mart: logins that exist become members of our groups, or leave them.

It makes no login and keeps no password: how people prove who they are is the server's.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql as words

from perfhouse.errors import ConfigError
from perfhouse.mart import migration, server, shape
from perfhouse.mart.server import Connection

_COLUMNS = {"login", "role", "manager_id"}
_READERS = f"{shape.PRIVATE}.readers"


@dataclass(frozen=True)
class Reader:
    """A login with one of our roles; `managers` are those whose subtree it sees."""

    login: str
    role: str
    managers: tuple[str, ...] = ()


def read(file: Path) -> list[Reader]:
    """Read a CSV with the columns login, role and manager_id, a line per manager of a login.

    Raises:
        ConfigError: it cannot be read, or has other columns (operator).
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle, restval=""))
    except (OSError, UnicodeDecodeError):
        raise ConfigError([f"{file}: expected a CSV file in UTF-8"]) from None
    if any(set(row) != _COLUMNS for row in rows):
        raise ConfigError([f"{file}: expected the columns login, role and manager_id"])
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in rows:
        who = (row["login"].strip(), row["role"].strip())
        found[who] = (*found.get(who, ()), *filter(None, [row["manager_id"].strip()]))
    return [Reader(*who, managers) for who, managers in found.items()]


def grant(connection: str, given: Sequence[Reader]) -> None:
    """Give logins their roles, all of them or none; what they had before they keep.

    Raises:
        ConfigError: every login that cannot be given its role, and why (operator).
    """
    with server.transaction(connection) as con:
        problems = [problem for reader in given for problem in _problems(con, reader)]
        if problems:
            raise ConfigError(problems)
        for reader in given:
            group = words.Identifier(shape.ROLES[reader.role])
            con.execute(words.SQL("grant {} to {}").format(group, words.Identifier(reader.login)))
        with migration.as_owner(con):
            for reader in given:
                for manager in reader.managers:
                    con.execute(
                        f"insert into {_READERS} values (quote_ident(%s)::regrole, %s) "
                        "on conflict do nothing",
                        [reader.login, manager],
                    )


def revoke(connection: str, login: str) -> None:
    """Take every role of ours from a login; a session it has open sees nothing from now on.

    Raises:
        ConfigError: there is no such login (operator).
    """
    with server.transaction(connection) as con:
        if not con.execute("select 1 from pg_roles where rolname = %s", [login]).fetchone():
            raise ConfigError([f"--login: expected a login of the server, got {login!r}"])
        for group in shape.ROLES.values():
            who = words.Identifier(login)
            con.execute(words.SQL("revoke {} from {}").format(words.Identifier(group), who))
        with migration.as_owner(con):
            con.execute(f"delete from {_READERS} where login = quote_ident(%s)::regrole", [login])
            # Logins that were dropped: their identity can never come back.
            con.execute(f"delete from {_READERS} where login not in (select oid from pg_roles)")


def listed(connection: str) -> list[Reader]:
    """Return who has which role, in the order of logins and roles."""
    with server.transaction(connection) as con:
        members = con.execute(
            "select m.rolname::text, g.rolname::text from pg_auth_members as a "
            "join pg_roles as m on m.oid = a.member join pg_roles as g on g.oid = a.roleid "
            "where g.rolname = any(%s) order by 1, 2",
            [list(shape.ROLES.values())],
        ).fetchall()
        with migration.as_owner(con):
            subtrees = con.execute(
                f"select r.rolname::text, o.manager_id from {_READERS} as o "
                "join pg_roles as r on r.oid = o.login order by 2"
            ).fetchall()
    names = {group: role for role, group in shape.ROLES.items()}
    of: dict[str, list[str]] = {}
    for owner, who in subtrees:
        of.setdefault(owner, []).append(who)
    return [
        Reader(login, names[group], tuple(of.get(login, ())) if group == shape.MANAGER else ())
        for login, group in members
    ]


def _problems(con: Connection, reader: Reader) -> list[str]:
    row = con.execute(
        "select rolcanlogin, rolsuper or rolbypassrls from pg_roles where rolname = %s",
        [reader.login],
    ).fetchone()
    found = []
    if row is None or not row[0]:
        found.append(
            f"{reader.login}: expected a login of the server; `create role ... login` first"
        )
    elif row[1]:
        found.append(
            f"{reader.login}: expected a login that row rights bind: no superuser, no bypassrls"
        )
    if reader.role not in shape.ROLES:
        found.append(
            f"{reader.login}: expected a role of {', '.join(shape.ROLES)}, got {reader.role!r}"
        )
    elif bool(reader.managers) != (reader.role == "manager"):
        found.append(f"{reader.login}: expected --manager with the role manager, and only there")
    return found
