"""Three roles for an Airflow that several people use, by the FAB auth manager's names.

What each may do and no more; it may not know Airflow, which `access` gives them to.
"""

from __future__ import annotations

ENGINEER, APPROVER, VIEWER = "perfhouse_engineer", "perfhouse_approver", "perfhouse_viewer"

Pair = tuple[str, str]
_READ, _EDIT, _CREATE, _MENU = "can_read", "can_edit", "can_create", "menu_access"
_FORMS = "HITL Detail"


def _each(action: str, *resources: str) -> set[Pair]:
    return {(action, resource) for resource in resources}


_ONESELF = {
    *_each(_READ, "Website", "My Profile", "My Password"),
    *_each(_EDIT, "My Password"),
}
_RUNS = _each(_READ, "DAG Runs", "Task Instances", "DAG Versions", _FORMS)
_VIEWER = {
    *(_ONESELF | _RUNS),
    *_each(_READ, "DAGs", "DAG Dependencies", "DAG Warnings", "Task Logs"),
    *_each(_READ, "Assets", "Asset Aliases"),
    *_each(_MENU, "DAGs", "Assets", _FORMS),
}
ROLES: dict[str, set[Pair]] = {
    VIEWER: _VIEWER,
    # Reads the form of a release and answers it: the one DAG that has forms, without its logs.
    APPROVER: {
        *(_ONESELF | _RUNS),
        *_each(_READ, "DAG:publish"),
        *_each(_EDIT, _FORMS),
        *_each(_MENU, "DAGs", _FORMS),
    },
    # Runs, clears and backfills. Answers no form, and writes no XCom: a form's answer is one.
    ENGINEER: {
        *_VIEWER,
        *_each(_READ, "DAG Code", "XComs", "Jobs", "ImportError", "Pools"),
        *_each(_READ, "Cluster Activity", "Audit Logs"),
        *_each(_EDIT, "DAGs", "DAG Runs", "Task Instances"),
        *_each(_CREATE, "DAG Runs", "Assets"),
        *_each(_MENU, "Browse", "XComs", "Audit Logs"),
    },
}
