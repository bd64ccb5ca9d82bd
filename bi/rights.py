"""Who may see what in Superset: roles, row-level rules for each manager, users.

Says what should be; `bi/superset/give_rights.py` makes it so, inside Superset, and changes only
what differs. Beneath it the mart's own row rights hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bi import superset_server
from bi.bundle import DATABASES, identity
from bi.datasets import HR, MANAGERS, STAFF
from bi.datasets_operations import DATASETS
from bi.superset import mart_login
from bi.superset_server import Instance
from perfhouse.mart.readers import Reader

_GROUP, _OURS, _RULES_OF_OURS = "perfhouse", "perfhouse ", "perfhouse: "
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
_KINDS = {
    "hr": mart_login.HR_ROLE,
    "analyst": mart_login.ANALYST_ROLE,
    "manager": mart_login.MANAGER_ROLE,
}


@dataclass(frozen=True)
class Given:
    """A password that was made for a user just now."""

    username: str
    role: str
    password: str


def apply(
    instance: Instance, people: Sequence[Reader], keep: Callable[[Sequence[Given]], object]
) -> list[Given]:
    """Make roles, rules and users as they should be, all of it or nothing.

    Args:
        instance: a Superset that has the bundle.
        people: users and what they are; `login` is the user's name. A manager may have several
            managers' rows.
        keep: is given the passwords of new users, also when this is stopped in the middle.

    Raises:
        PerfhouseError: Superset refuses; nothing was changed.
    """
    told = instance.folder / "given.jsonl"
    try:
        superset_server.run(instance, "give_rights.py", json.dumps(plan(people)), told)
    finally:
        given = _take(told)
        keep(given)
    return given


def _take(told: Path) -> list[Given]:
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    given = [Given(*json.loads(line)) for line in lines]
    told.unlink(missing_ok=True)
    return given


def role_of(manager: str) -> str:
    """Return the role whose rule shows a manager's rows and those of managers below."""
    return f"{_OURS}manager {manager}"


def clause(manager: str) -> str:
    """Return the rule: own rows, and those of who was below in that month."""
    quoted = "'" + manager.replace("'", "''") + "'"
    return (
        "((month, manager_id) in (select t.month, t.manager_id "
        f"from perfhouse.scorecard_manager_tree as t where t.ancestor_id = {quoted}) "
        f"or manager_id = {quoted})"
    )


def plan(people: Sequence[Reader]) -> dict[str, Any]:
    """Return what should be, in the words of `give_rights.py`."""
    managers = sorted({who for person in people for who in person.managers})
    return {
        "ours": _OURS,
        "rules_of_ours": _RULES_OF_OURS,
        "group": _GROUP,
        "tables": _tables(MANAGERS),
        "roles": [*_KINDS.values(), *map(role_of, managers)],
        "permissions": _permissions(),
        "rules": [_nobody_else(), *map(_own_rows, managers)],
        "users": [
            {
                "name": person.login,
                "kind": person.role,
                "roles": [_KINDS[person.role], *map(role_of, person.managers)],
            }
            for person in people
        ],
    }


def _permissions() -> dict[str, dict[str, Any]]:
    """Say what the three roles may do; a role of one manager carries its rule only."""
    staff = {"may": [], "like": _STAFF_LIKE, "not_on": ["UserRegistrationsRestAPI"]}
    names = {name: identity("database", name) for name in DATABASES}
    return {
        mart_login.MANAGER_ROLE: {
            "may": sorted(_OF_READERS), "like": [], "not_on": [],
            "tables": _tables(MANAGERS), "databases": [],
        },
        mart_login.ANALYST_ROLE: {
            **staff, "tables": _tables(MANAGERS, STAFF), "databases": [names["perfhouse"]],
        },
        mart_login.HR_ROLE: {
            **staff, "tables": _tables(MANAGERS, STAFF, HR), "databases": sorted(names.values()),
        },
    }  # fmt: skip


def _tables(*circles: str) -> list[str]:
    """Return the data sets whose smallest circle of readers is one of these."""
    return [identity("dataset", data.key) for data in DATASETS if data.circle in circles]


def _nobody_else() -> dict[str, Any]:
    """Show nobody a row, but staff all; rules of one group are joined by OR."""
    staff = [mart_login.HR_ROLE, mart_login.ANALYST_ROLE, mart_login.ADMIN_ROLE]
    return {
        "name": f"{_RULES_OF_OURS}nobody else", "type": "Base", "clause": "1 = 0", "roles": staff,
    }  # fmt: skip


def _own_rows(manager: str) -> dict[str, Any]:
    return {
        "name": f"{_RULES_OF_OURS}{manager}", "type": "Regular", "clause": clause(manager),
        "roles": [role_of(manager)],
    }  # fmt: skip
