"""What the three roles of a deployment hold; test_celery.py asks a real server."""

from __future__ import annotations

import pytest

from perfhouse.roles import APPROVER, ENGINEER, ROLES, VIEWER

SECRET = {"Connections", "Variables", "Configurations", "Users", "Roles", "Passwords", "Plugins"}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_no_role_reads_or_changes_what_holds_secrets_or_rights(role: str) -> None:
    assert not {resource for _, resource in ROLES[role]} & SECRET


def test_every_right_is_one_that_airflow_knows() -> None:
    """Airflow would make up a right with a wrong name, and give it."""
    from airflow.providers.fab.www.security import permissions

    known = {value for value in vars(permissions).values() if isinstance(value, str)}
    given = {word for pairs in ROLES.values() for pair in pairs for word in pair}
    assert given - known == {"DAG:publish"}


def test_only_an_approver_answers_forms_and_nobody_writes_an_answer_by_another_way() -> None:
    """A form's answer is an XCom of its task."""
    assert [r for r in ROLES if ("can_edit", "HITL Detail") in ROLES[r]] == [APPROVER]
    writers = {(a, r) for pairs in ROLES.values() for a, r in pairs if r == "XComs"}
    assert writers == {("can_read", "XComs"), ("menu_access", "XComs")}


def test_an_approver_sees_one_dag_without_its_logs_and_starts_nothing() -> None:
    pairs = ROLES[APPROVER]
    assert {r for _, r in pairs if r.startswith("DAG:")} == {"DAG:publish"}
    assert ("can_read", "DAGs") not in pairs
    assert not {r for _, r in pairs} & {"Task Logs", "XComs", "DAG Code"}
    assert {r for a, r in pairs if a in ("can_create", "can_edit", "can_delete")} == {
        "HITL Detail",
        "My Password",
    }


def test_a_viewer_changes_nothing_but_its_password_and_nobody_deletes() -> None:
    changing = {"can_create", "can_edit", "can_delete"}
    assert {r for a, r in ROLES[VIEWER] if a in changing} == {"My Password"}
    assert ROLES[VIEWER] < ROLES[ENGINEER]
    assert not [p for pairs in ROLES.values() for p in pairs if p[0] == "can_delete"]
