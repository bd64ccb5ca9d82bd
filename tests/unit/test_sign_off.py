"""Who may sign, as `[sign_off]` says it, and what an answer of Airflow's form comes to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perfhouse import ledger, sign_off, sign_off_answer, sign_off_form, sign_off_task
from perfhouse.company_sign_off import SignOff, read_sign_off
from perfhouse.config_reader import Table
from perfhouse.errors import ConfigError, NotSignedOff
from perfhouse.month import Month
from perfhouse.settings import Home
from perfhouse.sign_off import Content

SEPTEMBER = Month("2026-09")
WHO = SignOff(("hr.lead",), ("hr.deputy",), 72.0, 24.0, {"hr.lead": "7"})
ASKED = {"release": "2026-09.r2", "sha256": "3f0c" * 16, "restated_by": "Head of service"}
AT = datetime(2026, 10, 8, 9, 30, tzinfo=UTC)


def read(said: dict[str, Any] | None) -> tuple[SignOff | None, list[str]]:
    problems: list[str] = []
    top = Table({} if said is None else {"sign_off": said}, "perfhouse.toml: ", problems)
    return read_sign_off(top), problems


def test_without_the_table_nobody_signs() -> None:
    assert read(None) == (None, [])


def test_a_table_names_signers_and_hours() -> None:
    found, problems = read(
        {
            "approvers": ["hr.lead", "李娜"],
            "deputies": ["hr.deputy"],
            "deadline_hours": 48,
            "deputy_after_hours": 12,
            "airflow_ids": {"hr.lead": "7"},
        }
    )
    assert problems == []
    assert found is not None
    assert (found.deadline_hours, found.deputy_after_hours) == (48.0, 12.0)
    assert found.signers == ("hr.lead", "李娜", "hr.deputy")
    assert [found.role_of(each) for each in ("hr.lead", "hr.deputy", "admin")] == [
        *("approver", "deputy"),
        None,
    ]
    assert [found.login_of(each) for each in ("7", "hr.deputy", "hr.lead", "8")] == [
        *("hr.lead", "hr.deputy"),
        *(None, None),
    ]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({}, "sign_off.approvers: expected a list of logins"),
        ({"approvers": ["a b"]}, "sign_off.approvers[0]: expected a login such as"),
        ({"approvers": ["li@acme.com"]}, "approvers[0]: expected a login that is no mail address"),
        ({"approvers": ["a", "a"]}, "sign_off.approvers[1]: expected each login once"),
        ({"approvers": ["a"], "deputies": ["a"]}, "deputies: expected somebody who is no approver"),
        ({"approvers": ["a"], "deadline_hours": 0}, "deadline_hours: expected a number from 0.001"),
        (
            {"approvers": ["a"], "deputies": ["b"], "deadline_hours": 8, "deputy_after_hours": 8},
            "deputy_after_hours: expected less than the deadline, 8 hours",
        ),
        ({"approvers": ["a"], "airflow_ids": {"b": "7"}}, "airflow_ids.b: expected an approver"),
        (
            {"approvers": ["a", "b"], "airflow_ids": {"a": "b"}},
            "airflow_ids.a: expected an id of one signer alone",
        ),
        ({"approvers": ["a"], "deputys": ["b"]}, "deputys: unknown key (did you mean 'deputies'?)"),
    ],
)
def test_a_wrong_table_says_what_was_expected(said: dict[str, Any], problem: str) -> None:
    _, problems = read(said)
    assert any(problem in each for each in problems), problems


def test_a_short_deadline_has_its_deputies_after_half_of_it() -> None:
    found, problems = read({"approvers": ["a"], "deputies": ["b"], "deadline_hours": 8})
    assert (found.deputy_after_hours if found else 0, problems) == (4.0, [])


# ---------------------------------------------------------------- the form of a scheduler


@pytest.fixture
def ws(tmp_path: Path) -> Any:
    return SimpleNamespace(company=SimpleNamespace(sign_off=WHO), home=Home(tmp_path).ensure())


def told(choice: str, user: str | None = "7", reason: str = "Read") -> dict[str, Any]:
    who = {"id": user, "name": "Somebody"} if user else None
    said = {"chosen_options": [choice], "params_input": {"reason": reason}}
    return {**said, "responded_at": AT, "responded_by_user": who}


def kept(ws: Any) -> list[ledger.Record]:
    found = ledger.lines(ledger.ledger_path(ws.home))
    return [line for line in found if isinstance(line, ledger.Record)]


def approval(ws: Any) -> ledger.Record | None:
    content = Content("2026-09", ASKED["release"], ASKED["sha256"], ASKED["restated_by"])
    return sign_off.approval(kept(ws), content)


def test_an_approval_is_a_line_with_who_and_when_and_read_twice_it_is_one(ws: Any) -> None:
    for _ in range(2):  # a task that is retried
        sign_off_task.settle(ws, SEPTEMBER, ASKED, [told("Approve")])
    (line,) = kept(ws)
    assert (line.who, line.at, line.why) == ("hr.lead", "2026-10-08T09:30:00+00:00", "Read")
    assert line.what == {
        "month": "2026-09",
        "release": "2026-09.r2",
        "release_sha256": ASKED["sha256"],
        "restated_by": "Head of service",
        "answer": "approved",
        "as": "approver",
    }
    assert approval(ws) == line


def test_a_form_that_was_handed_over_counts_by_the_deputys_answer(ws: Any) -> None:
    sign_off_task.settle(ws, SEPTEMBER, ASKED, [told("Deputy", None), told("Approve", "hr.deputy")])
    (line,) = kept(ws)
    assert (line.who, line.what["as"]) == ("hr.deputy", "deputy")
    assert sign_off_task.is_for_deputy(told("Deputy", None))
    assert not sign_off_task.is_for_deputy(told("Reject"))


@pytest.mark.parametrize(
    ("said", "words", "line"),
    [
        ([told("Reject", reason="Not yet")], "hr.lead refused: Not yet", ("hr.lead", "approver")),
        ([told("Deputy"), told("Reject", None)], "nobody answered in time", ("nobody", "nobody")),
        ([told("Reject", reason=" ")], "no reason was given", ("hr.lead", "approver")),
    ],
)
def test_a_refusal_and_a_silence_stop_the_month_and_are_on_record(
    ws: Any, said: list[dict[str, Any]], words: str, line: tuple[str, str]
) -> None:
    with pytest.raises(NotSignedOff, match=words):
        sign_off_task.settle(ws, SEPTEMBER, ASKED, said)
    assert [(each.who, each.what["as"]) for each in kept(ws)] == [line]
    assert approval(ws) is None


@pytest.mark.parametrize(
    ("asked", "user", "words"),
    [
        (ASKED, "admin", "expected an answer of one of hr.lead, hr.deputy"),
        (
            ASKED,
            "hr.lead",
            "expected an answer of one of hr.lead, hr.deputy",
        ),  # Airflow knows that one as 7
        ({**ASKED, "restated_by": "HR. Lead"}, "7", "hr.lead decided on this restatement"),
    ],
)
def test_an_answer_of_somebody_who_may_not_counts_for_nothing(
    ws: Any, asked: dict[str, str], user: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        sign_off_task.settle(ws, SEPTEMBER, asked, [told("Approve", user)])
    assert kept(ws) == []


def test_silence_takes_no_signature_back_and_a_later_refusal_does(ws: Any) -> None:
    sign_off_task.settle(ws, SEPTEMBER, ASKED, [told("Approve")])
    sign_off_task.settle(ws, SEPTEMBER, ASKED, [told("Reject", None)])
    assert approval(ws) == kept(ws)[0]
    for said, words in ((told("Reject"), "hr.lead refused"), (told("Reject", None), "nobody")):
        for _ in range(2):
            with pytest.raises(NotSignedOff, match=words):
                sign_off_task.settle(ws, SEPTEMBER, ASKED, [said])
    assert approval(ws) is None
    assert [line.who for line in kept(ws)] == ["hr.lead", "hr.lead", "nobody"]


def test_a_reason_with_an_address_is_withheld(ws: Any) -> None:
    sign_off_task.settle(ws, SEPTEMBER, ASKED, [told("Approve", reason="ask li@acme.com")])
    assert [line.why for line in kept(ws)] == [sign_off_answer.WITHHELD]


def test_what_people_wrote_cannot_break_the_form() -> None:
    assert sign_off_form.plain("a|b\n<i>*x*</i> [y](z)") == (
        "a&#124;b &#60;i&#62;&#42;x&#42;&#60;/i&#62; &#91;y&#93;&#40;z&#41;"
    )
    assert sign_off_form.plain("csat_rate 满意") == "csat_rate 满意"
