"""Makes roles, row-level rules and users as a plan says; runs in Superset, by its own models.

Reads the plan (JSON, bi/rights.py writes it) and changes what differs in one transaction: all of it
or nothing. Prints a line of JSON for each user that is new, before any of it is kept.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Found = dict[str, Any]
# A first password is 96 random bits, which no guessing reaches: its hash need not be slow, and that
# of 5,000 would take minutes. One that somebody chooses gets Superset's own hash.
_HASH = "pbkdf2:sha256:1000"


def main() -> None:
    """Do what standard input says."""
    out, sys.stdout = sys.stdout, sys.stderr  # what Superset prints is no line of ours
    from superset.app import create_app

    with create_app().app_context():
        from superset import db

        new = _apply(json.load(sys.stdin), db.session)
        out.writelines(json.dumps(user) + "\n" for user in new)
        out.flush()
        db.session.commit()


def _apply(plan: Mapping[str, Any], session: Any) -> list[list[str]]:
    from superset.connectors.sqla.models import SqlaTable

    tables = _by(session.query(SqlaTable), lambda table: str(table.uuid))
    roles = _roles(plan, session)
    for name, wanted in plan["permissions"].items():
        _permissions(session, roles, tables, roles[name], wanted)
    _rules(plan, session, roles, [tables[one] for one in plan["tables"]])
    return _users(plan, session, roles)


def _by(things: Iterable[Any], key: Callable[[Any], str]) -> Found:
    return {key(thing): thing for thing in things}


def _roles(plan: Mapping[str, Any], session: Any) -> Found:
    from superset import security_manager

    model = security_manager.role_model
    known = _by(session.query(model), lambda role: str(role.name))
    made = [model(name=name) for name in plan["roles"] if name not in known]
    session.add_all(made)
    session.flush()
    return known | {role.name: role for role in made}


def _permissions(
    session: Any, roles: Found, tables: Found, role: Any, wanted: Mapping[str, Any]
) -> None:
    """Give a role what it may do: by name, like other roles, on data sets and on databases."""
    from superset import security_manager
    from superset.models.core import Database

    pairs = [tuple(pair) for pair in wanted["may"]]
    pairs += [("datasource_access", tables[one].perm) for one in wanted["tables"]]
    databases = _by(session.query(Database), lambda database: str(database.uuid))
    pairs += [("database_access", databases[one].perm) for one in wanted["databases"]]
    found = {
        each
        for like in wanted["like"]
        for each in roles[like].permissions
        if each.view_menu.name not in wanted["not_on"]
    }
    for permission, thing in pairs:
        each = security_manager.find_permission_view_menu(permission, thing)
        if each is None:
            raise SystemExit(f"this version of Superset has no permission {permission} on {thing}")
        found.add(each)
    if set(role.permissions) != found:
        role.permissions = sorted(found, key=lambda each: int(each.id))


def _rules(plan: Mapping[str, Any], session: Any, roles: Found, tables: list[Any]) -> None:
    from sqlalchemy.orm import selectinload
    from superset.connectors.sqla.models import RowLevelSecurityFilter as Rule

    loaded = session.query(Rule).options(selectinload(Rule.roles), selectinload(Rule.tables))
    known = _by(loaded, lambda rule: str(rule.name))
    for wanted in plan["rules"]:
        rule = known.get(wanted["name"])
        if rule is None:
            rule = Rule(name=wanted["name"])
            session.add(rule)
        _set(rule, filter_type=wanted["type"], clause=wanted["clause"], group_key=plan["group"])
        _set_all(rule, roles=[roles[name] for name in wanted["roles"]], tables=tables)
    kept = {wanted["name"] for wanted in plan["rules"]}
    for name, rule in known.items():
        if name.startswith(plan["rules_of_ours"]) and name not in kept:
            session.delete(rule)


def _users(plan: Mapping[str, Any], session: Any, roles: Found) -> list[list[str]]:
    """Make users, give those who are there their roles; roles of ours are taken from all others.

    Returns name, kind and first password of each new one.
    """
    from sqlalchemy.orm import selectinload
    from superset import security_manager

    model = security_manager.user_model
    known = _by(session.query(model).options(selectinload(model.roles)), lambda u: str(u.username))
    new = []
    for person in plan["users"]:
        wanted = [roles[name] for name in person["roles"]]
        user = known.get(person["name"])
        if user is None:
            new.append(_new(person, wanted))
        else:
            others = [role for role in user.roles if not role.name.startswith(plan["ours"])]
            _set_all(user, roles=[*others, *wanted])
            _set(user, active=True)
    kept = {person["name"] for person in plan["users"]}
    for name, user in known.items():
        left = [role for role in user.roles if not role.name.startswith(plan["ours"])]
        if name not in kept and len(left) < len(user.roles):
            user.roles = left
            if not left:
                user.active = False
    return new


def _new(person: Mapping[str, Any], wanted: list[Any]) -> list[str]:
    from superset import security_manager
    from werkzeug.security import generate_password_hash

    name, kind = person["name"], person["kind"]
    password = secrets.token_urlsafe(12) + "a1!"
    made = security_manager.add_user(
        name, name, kind, f"{name}@localhost", wanted,
        hashed_password=generate_password_hash(password, method=_HASH), commit=False,
    )  # fmt: skip
    if not made:
        raise SystemExit(f"Superset refuses the user {name}")
    return [name, kind, password]


def _set(thing: Any, **values: Any) -> None:
    """Set what differs: what is set to itself would count as changed, and be written."""
    for name, value in values.items():
        if getattr(thing, name) != value:
            setattr(thing, name, value)


def _set_all(thing: Any, **lists: list[Any]) -> None:
    for name, values in lists.items():
        if {each.id for each in getattr(thing, name)} != {each.id for each in values}:
            setattr(thing, name, values)


if __name__ == "__main__":
    main()
