"""Logins of the mart that Superset asks with, one for each person whose rows are their own.

Makes them and gives them rights as `perfhouse mart grant` does; it may not read a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg import sql

from bi.superset import mart_login
from perfhouse.errors import ConfigError
from perfhouse.mart import readers, server
from perfhouse.mart.readers import Reader

_FIXED = {mart_login.ANALYST: "analyst", mart_login.HR: "hr"}
_GROUPS = ("hr", "analyst", "manager")


def make(admin: str, key: str, people: Sequence[Reader]) -> None:
    """Make the login of every manager, and those of analysts and of HR, with their rights.

    A login of ours that nobody needs any more loses its rights and can no longer log in.

    Args:
        admin: the connection of the mart's administrator.
        key: what passwords are made from.
        people: Superset's users; `login` is the user's name.

    Raises:
        ConfigError: a user's name cannot be a login (operator); nothing was changed.
    """
    wanted = _wanted(people)
    _create(admin, key, list(wanted))
    for known in readers.listed(admin):
        if known.login.startswith("perfhouse_bi_") and not _is_part(known, wanted):
            readers.revoke(admin, known.login)
    readers.grant(admin, list(wanted.values()))
    _close(admin, list(wanted))


def _wanted(people: Sequence[Reader]) -> dict[str, Reader]:
    wanted = {login: Reader(login, role) for login, role in _FIXED.items()}
    problems = []
    for person in people:
        if person.role not in _GROUPS:
            problems.append(f"{person.login}: expected a role of {', '.join(_GROUPS)}")
        elif person.role == "manager":
            try:
                login = mart_login.of_manager(person.login)
            except mart_login.NobodyError as error:
                problems.append(f"{person.login}: {error}")
            else:
                wanted[login] = replace(person, login=login)
    if problems:
        raise ConfigError(problems)
    return wanted


def _is_part(known: Reader, wanted: Mapping[str, Reader]) -> bool:
    person = wanted.get(known.login)
    return (
        person is not None
        and known.role == person.role
        and set(known.managers) <= set(person.managers)
    )


def _create(admin: str, key: str, logins: Sequence[str]) -> None:
    with server.transaction(admin) as con:
        known = {name for (name,) in con.execute("select rolname::text from pg_roles").fetchall()}
        for login in logins:
            verb = "alter" if login in known else "create"
            statement = sql.SQL(f"{verb} role {{}} login inherit connection limit 50 password {{}}")
            con.execute(
                statement.format(
                    sql.Identifier(login), sql.Literal(mart_login.password(key, login))
                )
            )


def _close(admin: str, wanted: Sequence[str]) -> None:
    with server.transaction(admin) as con:
        gone = con.execute(
            "select rolname::text from pg_roles where rolname like 'perfhouse\\_bi\\_is\\_%%' "
            "and rolcanlogin and not rolname = any(%s)",
            [list(wanted)],
        ).fetchall()
        for (login,) in gone:
            con.execute(sql.SQL("alter role {} nologin").format(sql.Identifier(login)))
