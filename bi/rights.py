"""Who may see what in Superset: roles, row-level rules for each manager, users; by its REST API.

Run again it changes only what differs. Beneath it the mart's own row rights hold.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bi.api import Superset, each
from bi.bundle import DATABASES, identity
from bi.datasets import HR, MANAGERS, STAFF
from bi.datasets_operations import DATASETS
from bi.superset import mart_login
from perfhouse.errors import PerfhouseError
from perfhouse.mart.readers import Reader

Progress = Callable[[str], None]
_GROUP = "perfhouse"
# A Gamma may make charts and dashboards of what it may read; a manager only reads.
_STAFF_LIKE = ("Gamma", "sql_lab")
_OF_READERS = frozenset(
    {
        ("can_read", "Chart"), ("can_read", "Dashboard"), ("can_read", "Dataset"),
        ("can_read", "DashboardFilterStateRestApi"), ("can_write", "DashboardFilterStateRestApi"),
        ("can_read", "DashboardPermalinkRestApi"), ("can_write", "DashboardPermalinkRestApi"),
        ("can_read", "CurrentUserRestApi"), ("can_read", "AvailableDomains"),
        ("can_read", "Annotation"), ("can_read", "Theme"), ("can_read", "CssTemplate"),
        ("can_dashboard", "Superset"), ("can_csv", "Superset"), ("can_slice", "Superset"),
        ("can_explore_json", "Superset"), ("can_log", "Superset"), ("can_view_chart_as_table",
        "Dashboard"), ("can_time_range", "Api"), ("can_query", "Api"),
        ("can_query_form_data", "Api"),
        ("can_language_pack", "Superset"), ("can_read", "SecurityRestApi"), ("can_get", "MenuApi"),
        ("can_recent_activity", "Log"), ("can_read", "user"),
        ("can_get_column_values", "Datasource"), ("can_list", "DynamicPlugin"),
        ("can_userinfo", "UserDBModelView"), ("resetmypassword", "UserDBModelView"),
        ("can_this_form_get", "ResetMyPasswordView"), ("can_this_form_post",
        "ResetMyPasswordView"), ("menu_access", "Home"), ("menu_access", "Dashboards"),
    }
)  # fmt: skip


@dataclass(frozen=True)
class Given:
    """A password that was made for a user just now."""

    username: str
    role: str
    password: str


def apply(
    superset: Superset,
    people: Sequence[Reader],
    keep: Callable[[Given], object],
    progress: Progress,
) -> None:
    """Make roles, rules and users as they should be.

    Args:
        superset: a session of the administrator.
        people: users and what they are; `login` is the user's name. A manager may have several
            managers' rows.
        keep: is given the password of each new user as soon as it is there.
        progress: is told what is done.
    """
    managers = sorted({who for person in people for who in person.managers})
    roles = _roles(superset, managers, progress)
    _permissions(superset, roles)
    _rules(superset, roles, managers, progress)
    _users(superset, roles, people, keep, progress)


def role_of(manager: str) -> str:
    """Return the role whose rule shows a manager's rows and those of managers below."""
    return f"perfhouse manager {manager}"


def clause(manager: str) -> str:
    """Return the rule: own rows, and those of who was below in that month."""
    quoted = "'" + manager.replace("'", "''") + "'"
    return (
        "((month, manager_id) in (select t.month, t.manager_id "
        f"from perfhouse.scorecard_manager_tree as t where t.ancestor_id = {quoted}) "
        f"or manager_id = {quoted})"
    )


def _roles(superset: Superset, managers: Iterable[str], progress: Progress) -> dict[str, int]:
    known = {row["name"]: int(row["id"]) for row in superset.listed("security/roles/")}
    fixed = (mart_login.HR_ROLE, mart_login.ANALYST_ROLE, mart_login.MANAGER_ROLE)
    wanted = [*fixed, *map(role_of, managers)]
    missing = [name for name in wanted if name not in known]

    def make(name: str) -> int:
        return int(superset.post("security/roles/", {"name": name})["id"])

    made = each(missing, make, lambda count: progress(f"roles: {count} of {len(missing)}"))
    return known | dict(zip(missing, made, strict=True))


def _permissions(superset: Superset, roles: Mapping[str, int]) -> None:
    """Give the three roles what they may do; a role of one manager carries its rule only."""
    every = {
        (row["permission"]["name"], row["view_menu"]["name"]): int(row["id"])
        for row in superset.listed("security/permissions-resources/")
    }
    unknown = sorted(_OF_READERS - every.keys())
    if unknown:
        raise PerfhouseError(f"this version of Superset has no permission {unknown[0]}")
    staff = {
        int(row["id"])
        for name in _STAFF_LIKE
        for row in superset.get(f"security/roles/{roles[name]}/permissions/")["result"]
        if row["view_menu_name"] != "UserRegistrationsRestAPI"
    }
    circles = {circle: _data_of(every, circle) for circle in (MANAGERS, STAFF, HR)}
    databases = _named(every, "database_access")
    wanted = {
        mart_login.MANAGER_ROLE: {every[p] for p in _OF_READERS} | circles[MANAGERS],
        mart_login.ANALYST_ROLE: staff | circles[MANAGERS] | circles[STAFF]
        | databases["perfhouse"],
        mart_login.HR_ROLE: staff | circles[MANAGERS] | circles[STAFF] | circles[HR]
        | databases["perfhouse"] | databases["perfhouse_hr"],
    }  # fmt: skip
    for name, ids in wanted.items():
        path = f"security/roles/{roles[name]}/permissions"
        has = {int(row["id"]) for row in superset.get(path + "/")["result"]}
        if has != ids:
            superset.post(path, {"permission_view_menu_ids": sorted(ids)})


def _named(every: Mapping[tuple[str, str], int], permission: str) -> dict[str, set[int]]:
    """Return permissions on databases by the database's name: Superset writes [name].(id:1)."""
    return {
        name: {
            number
            for (kind, thing), number in every.items()
            if kind == permission and thing.startswith(f"[{name}].(id:")
        }
        for name in DATABASES
    }


def _data_of(every: Mapping[tuple[str, str], int], circle: str) -> set[int]:
    """Return the permissions on data sets whose smallest circle of readers this is."""
    titles = {title for data in DATASETS if data.circle == circle for title in data.title}
    found = {
        number
        for (kind, thing), number in every.items()
        if kind == "datasource_access"
        and any(f"].[{title}](id:" in thing for title in titles)
        and any(thing.startswith(f"[{name}].[") for name in DATABASES)
    }
    if not found:
        raise PerfhouseError("Superset has none of the bundle's data sets; import it first")
    return found


def _rules(
    superset: Superset, roles: Mapping[str, int], managers: Sequence[str], progress: Progress
) -> None:
    """Show nobody a row, but staff all and managers theirs: rules of one group are joined by OR."""
    tables = sorted(
        int(row["id"])
        for row in superset.listed("dataset/", "table_name")
        if row.get("uuid") in _managed_uuids()
    )
    staff = sorted(roles[name] for name in (mart_login.HR_ROLE, mart_login.ANALYST_ROLE, "Admin"))
    wanted = {
        "perfhouse: nobody else": {
            "filter_type": "Base", "roles": staff, "clause": "1 = 0", "tables": tables,
        },
        **{
            f"perfhouse: {manager}": {
                "filter_type": "Regular", "roles": [roles[role_of(manager)]],
                "clause": clause(manager), "tables": tables,
            }
            for manager in managers
        },
    }  # fmt: skip
    known = {row["name"]: row for row in superset.listed("rowlevelsecurity/", "name")}
    changed = [name for name, rule in wanted.items() if not _same(known.get(name), rule)]

    def make(name: str) -> None:
        body = {"name": name, "group_key": _GROUP, **wanted[name]}
        if name in known:
            superset.put(f"rowlevelsecurity/{known[name]['id']}", body)
        else:
            superset.post("rowlevelsecurity/", body)

    # The rule that shows nobody a row stands before any other.
    for name in changed[:1]:
        make(name)
    each(changed[1:], make, lambda count: progress(f"row-level rules: {count} of {len(changed)}"))
    for name, row in known.items():
        if name.startswith("perfhouse: ") and name not in wanted:
            superset.delete(f"rowlevelsecurity/{row['id']}")


def _managed_uuids() -> set[str]:
    return {identity("dataset", data.key) for data in DATASETS if data.circle == MANAGERS}


def _same(row: Mapping[str, Any] | None, rule: Mapping[str, Any]) -> bool:
    return row is not None and (
        row["filter_type"], row["clause"], row["group_key"],
        sorted(int(each["id"]) for each in row["roles"]),
        sorted(int(each["id"]) for each in row["tables"]),
    ) == (rule["filter_type"], rule["clause"], _GROUP, rule["roles"], rule["tables"])  # fmt: skip


def _users(
    superset: Superset,
    roles: Mapping[str, int],
    people: Sequence[Reader],
    keep: Callable[[Given], object],
    progress: Progress,
) -> None:
    """Make users, give those who are there their roles; roles of ours are taken from all others."""
    known = {row["username"]: row for row in superset.listed("security/users/")}
    kinds = {"hr": mart_login.HR_ROLE, "analyst": mart_login.ANALYST_ROLE,
             "manager": mart_login.MANAGER_ROLE}  # fmt: skip
    ours = {number for name, number in roles.items() if name.startswith("perfhouse ")}

    def make(person: Reader) -> None:
        wanted = {roles[n] for n in (kinds[person.role], *map(role_of, person.managers))}
        row = known.get(person.login)
        if row is None:
            keep(_new(superset, person, wanted))
            return
        has = {int(role["id"]) for role in row["roles"]}
        if has & ours != wanted or not row["active"]:
            body = {"roles": sorted(has - ours | wanted), "active": True}
            superset.put(f"security/users/{row['id']}", body)

    each(people, make, lambda count: progress(f"users: {count} of {len(people)}"))
    _take_away(superset, ours, {person.login for person in people}, known)


def _new(superset: Superset, person: Reader, roles: set[int]) -> Given:
    password = secrets.token_urlsafe(12) + "a1!"
    superset.post(
        "security/users/",
        {
            "username": person.login, "first_name": person.login, "last_name": person.role,
            "email": f"{person.login}@localhost", "active": True, "password": password,
            "roles": sorted(roles),
        },
    )  # fmt: skip
    return Given(person.login, person.role, password)


def _take_away(
    superset: Superset, ours: set[int], kept: set[str], known: Mapping[str, Mapping[str, Any]]
) -> None:
    """Let users who are not listed any more see nothing; a user must have some role: Public."""
    for name, row in known.items():
        has = {int(role["id"]) for role in row["roles"]}
        if name not in kept and has & ours:
            left = sorted(has - ours)
            body: dict[str, Any] = {"roles": left} if left else {"active": False}
            superset.put(f"security/users/{row['id']}", body)
