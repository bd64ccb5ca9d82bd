"""As whom Superset asks the mart: nobody becomes somebody else, and no role means nothing."""

from __future__ import annotations

import pytest

from bi import rights
from bi.superset import mart_login as login


def test_people_ask_as_what_they_are() -> None:
    assert login.choose(login.ANALYST, "hr", ["perfhouse HR"]) == login.ANALYST
    assert login.choose(login.ANALYST, "a", ["perfhouse analyst"]) == login.ANALYST
    assert login.choose(login.ANALYST, "root", ["Admin"]) == login.ANALYST
    assert login.choose(login.HR, "hr", ["perfhouse HR"]) == login.HR
    manager = login.choose(login.ANALYST, "M1", ["perfhouse manager", "perfhouse manager M1"])
    assert manager == "perfhouse_bi_is_M1"


@pytest.mark.parametrize(
    ("asked", "name", "roles"),
    [
        (login.ANALYST, None, ["Admin"]),
        (login.ANALYST, "x", []),
        (login.ANALYST, "x", ["Gamma", "Public"]),
        (login.ANALYST, "x", ["perfhouse manager M1"]),
        (login.HR, "x", ["Admin"]),
        (login.HR, "x", ["perfhouse analyst", "perfhouse manager"]),
    ],
)
def test_who_has_no_role_asks_as_nobody(asked: str, name: str | None, roles: list[str]) -> None:
    with pytest.raises(login.NobodyError):
        login.choose(asked, name, roles)


@pytest.mark.parametrize("name", ["", "-x", "a b", "张三", "x" * 47, 'a"b', "a'b", "a;b", "a/b"])
def test_a_name_that_could_become_another_login_is_refused(name: str) -> None:
    with pytest.raises(login.NobodyError):
        login.of_manager(name)


def test_no_manager_can_be_called_like_the_logins_of_staff() -> None:
    for name in ("analyst", "hr", "perfhouse_bi_hr", "x" * 46):
        made = login.of_manager(name)
        assert made not in (login.ANALYST, login.HR)
        assert len(made.encode()) <= 63


def test_a_password_belongs_to_one_key_and_one_login() -> None:
    assert login.password("k", "a") == login.password("k", "a")
    assert len({login.password(key, who) for key in ("k", "l") for who in ("a", "b")}) == 4


def test_a_rule_cannot_be_left_by_a_manager_s_id() -> None:
    assert "ancestor_id = 'M1'' or ''1''=''1')" in rights.clause("M1' or '1'='1")
