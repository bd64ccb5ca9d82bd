"""WeCom: what its documented answers become, what its error codes mean, what is asked."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import stamina
from suite.cases import wecom as case
from suite.kit import Bench, Exchange, Record, Reply, Vendor, balances, mangled

from connectors import wecom, wecom_rows
from connectors.base import Beside
from connectors.http import Answer, Later, StaleToken
from perfhouse.errors import ConfigError, TransientError
from perfhouse.lake import Manifest

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "wecom_samples"
START, END = datetime(2026, 8, 31, 16, tzinfo=UTC), datetime(2026, 9, 30, 16, tzinfo=UTC)
HEAD = """
[[sources]]
id = "it"
connector = "wecom"
connection = "it"
owner = "HR <hr@corp.example>"
"""


def published(name: str) -> Record:
    path = SHARED / f"{name}.json"
    if not path.is_file():
        pytest.skip("the sample data is not here")
    found: Record = json.loads(path.read_text(encoding="utf-8"))
    return found


class Desk:
    """A WeCom that answers each path with what a test gives it; bodies are what it was asked."""

    def __init__(self, tmp_path: Path, patch: pytest.MonkeyPatch, url: str, vendor: Vendor) -> None:
        self.root, self.patch, self.url, self.vendor = tmp_path, patch, url, vendor
        self.answers: dict[str, Any] = {}

    def asked(self, path: str) -> list[Any]:
        seen = [e for e in self.vendor.seen if e.path == f"/cgi-bin/{path}"]
        return [e.json() if e.body else dict(e.query) for e in seen]

    def answer(self, exchange: Exchange, _: Sequence[Record]) -> Reply:
        path = exchange.path.removeprefix("/cgi-bin/")
        if path not in self.answers:
            return case.answer(exchange, [])
        told = self.answers[path]
        body = (
            told(exchange.json() if exchange.body else exchange.query) if callable(told) else told
        )
        return Reply({"errcode": 0, "errmsg": "ok", **body})

    def ingest(self, source: str, month: str = "2026-09") -> tuple[Bench, Manifest]:
        chosen = replace(case.CASE, source=HEAD + source, answer=self.answer, month=month)
        self.vendor.case = chosen
        it = Bench(chosen, self.url, self.root)
        self.patch.setenv(*it.connection)
        return it, it.ingest()

    def rows(self, landed: tuple[Bench, Manifest], stream: str, what: str) -> list[Any]:
        it, manifest = landed
        files = [str(it.home.root / f.path) for f in manifest.streams[stream].files]
        if not files:
            return []
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            query = f"select {what} from read_parquet(?) order by all"
            return con.execute(query, [files]).fetchall()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    vendor = Vendor(case.CASE)
    with vendor.serving() as url, stamina.set_testing(True, attempts=3):
        yield Desk(tmp_path, monkeypatch, url, vendor)


def streams(*names: str) -> str:
    return "".join(f'[[sources.streams]]\nstream = "{name}"\n' for name in names)


# --- contacts ------------------------------------------------------------------------------


def test_published_contacts_become_a_roster_and_departments(desk: Desk) -> None:
    members = published("user_list")["userlist"]
    lead = {k: v for k, v in published("user_get").items() if k not in ("errcode", "errmsg")}
    at = {"2": [*members, lead], "1": [lead]}
    desk.answers = {
        "department/list": published("department_list"),
        "user/list": lambda query: {"userlist": at[query["department_id"]]},
    }
    landed = desk.ingest("backdate = true\n" + streams("hr_roster", "source_users", "org_units"))
    assert all(s.quarantined == 0 for s in landed[1].streams.values()), landed[1].streams
    assert landed[1].streams["hr_roster"].duplicates == 1, "a member of two departments"
    what = (
        "employee_id, source_user_id, display_name, department_id, department_path, "
        "position_name, job_family, manager_employee_id, is_people_manager, employment_status, "
        "cast(hire_date as varchar), cast(snapshot_date as varchar), cast(valid_from as varchar)"
    )
    assert desk.rows(landed, "hr_roster", what) == [
        ("fake-userid", "fake-userid", "fake-name", "1", "Go部门队列总部", "后台工程师", "other",
         "lisi", True, "active", None, "2026-09-30", "2026-09-01"),
        ("go-department-list-user", "go-department-list-user", "Go部门队列员工", "2",
         "Go部门队列总部/Go部门队列销售部", "队列同步", "other", None, False, "active", None,
         "2026-09-30", "2026-09-01"),
    ]  # fmt: skip
    assert desk.rows(landed, "org_units", "org_id, parent_id, name, status") == [
        ("1", None, "Go部门队列总部", "active"),
        ("2", "1", "Go部门队列销售部", "active"),
    ]
    assert desk.rows(landed, "source_users", "source_user_id, login, length(email_hash)") == [
        ("fake-userid", "fake-userid", None),
        ("go-department-list-user", "go-department-list-user", 64),
    ]
    reported = {f for s in landed[1].streams.values() for f in s.undeclared_fields}
    assert reported == set()


def _member(userid: str, **more: Any) -> Record:
    return {"userid": userid, "name": userid, "department": [3], "main_department": 3,
            "status": 1, **more}  # fmt: skip


UNITS = {
    "1": {"id": 1, "name": "总部", "parentid": 0, "department_leader": ["boss"]},
    "3": {"id": 3, "name": "客服", "parentid": 1, "department_leader": ["lead"]},
}


def _unfold(record: Record, **options: Any) -> Any:
    users = {m["userid"]: m for m in options.pop("members", [record])}
    known = {"departments": UNITS, "users": users}
    beside = Beside(
        {}, "users/000001.json", lambda name, _: known.get(name, {}), START, END, options
    )
    (row,) = wecom_rows.UNFOLD["hr_roster"](record, beside)
    return row


@pytest.mark.parametrize(
    ("member", "manager"),
    [
        (_member("ann", direct_leader=["lisi"]), "lisi"),
        (_member("ann", direct_leader=[]), "lead"),
        (_member("ann"), "lead"),
        (_member("lead"), "boss"),
        (_member("boss", main_department=1), None),
        (_member("ann", main_department=None, department=[]), None),
    ],
)
def test_a_manager_is_the_direct_leader_else_the_nearest_other_head(
    member: Record, manager: str | None
) -> None:
    assert _unfold(member)["manager"] == manager


def test_departments_in_a_circle_end(monkeypatch: pytest.MonkeyPatch) -> None:
    circle = {**UNITS["3"], "parentid": 3, "department_leader": ["ann"]}
    monkeypatch.setitem(UNITS, "3", circle)
    assert _unfold(_member("ann"))["manager"] is None


def test_numbers_and_entry_days_come_from_the_companys_own_attributes() -> None:
    def known_as(number: str) -> Record:
        attrs = [
            {"type": 0, "name": "工号", "text": {"value": f" {number} "}},
            {"name": "入职日期", "value": "2021-03-05"},
        ]
        return {"extattr": {"attrs": attrs}}

    ann = _member("ann", direct_leader=["bob"], **known_as("E1"))
    bob = _member("bob", **known_as("E2"))
    row = _unfold(
        ann, members=[ann, bob], employee_no_attribute="工号", hire_date_attribute="入职日期"
    )
    assert (row["employee_no"], row["manager"], row["Hired"]) == ("E1", "E2", "2021-03-05")
    assert _unfold(_member("ann"), employee_no_attribute="工号")["employee_no"] is None


@pytest.mark.parametrize(
    ("status", "told", "ends"),
    [(1, "active", None), (4, "active", None), (2, "leave", None), (5, "left", "2026-09-01")],
)
def test_an_accounts_state_is_a_persons(status: int, told: str, ends: str | None) -> None:
    row = _unfold(_member("ann", status=status))
    assert (row["in_service"], row["ValidTo"]) == (told, ends)


def test_an_unknown_state_is_quarantined_not_guessed() -> None:
    with pytest.raises(KeyError):
        _unfold(_member("ann", status=9))


def test_departments_may_be_had_without_names(desk: Desk) -> None:
    desk.answers = {
        "department/simplelist": {"department_id": [{"id": 1, "parentid": 0, "order": 1}]},
        "user/list": {"userlist": [_member("ann")]},
    }
    source = "backdate = true\ndepartment_names = false\n" + streams("hr_roster", "org_units")
    landed = desk.ingest(source)
    assert desk.rows(landed, "org_units", "org_id, name") == [("1", None)]
    assert desk.rows(landed, "hr_roster", "employee_id") == [("ann",)]
    assert desk.asked("department/list") == []


def test_todays_people_do_not_stand_for_a_month_long_past(desk: Desk) -> None:
    desk.answers = {"department/list": {"department": []}}
    with pytest.raises(ConfigError, match="backdate = true"):
        desk.ingest(streams("org_units"))


# --- approvals -----------------------------------------------------------------------------

APPROVED = """
appeal_template = "T-APPEAL"
suggestion_template = "T-IDEA"
[sources.appeal_fields]
scorecard_id = "Text-1"
metric_id = "Selector-2"
old_value = "Number-3"
[sources.suggestion_fields]
kind = "Selector-2"
benefit_amount = "Money-4"
"""


def _text(words: str) -> list[Record]:
    return [{"text": words, "lang": "zh_CN"}]


def approval(number: str, template: str, status: int, *details: tuple[str, int]) -> Record:
    """An approval in the shape of 获取审批申请详情."""
    empty = {"tips": [], "members": [], "departments": [], "files": [], "children": []}
    option = {"key": "option-1", "value": _text("流程")}
    return {
        "sp_no": number,
        "sp_name": "申诉",
        "sp_status": status,
        "template_id": template,
        "apply_time": int(START.timestamp()) + 3600,
        "applyer": {"userid": "ann", "partyid": "3"},
        "sp_record": [
            {
                "sp_status": 2,
                "approverattr": 1,
                "details": [
                    {"approver": {"userid": who}, "speech": "私下", "sp_status": 2, "sptime": at}
                    for who, at in details
                ],
            }
        ],
        "notifyer": [{"userid": "carl"}],
        "apply_data": {
            "contents": [
                {"control": "Text", "id": "Text-1", "title": _text("编号"),
                 "value": {**empty, "text": "M0001-2026-08"}},
                {"control": "Selector", "id": "Selector-2", "title": _text("类型"),
                 "value": {**empty, "selector": {"type": "single", "options": [option]}}},
                {"control": "Number", "id": "Number-3", "title": _text("原值"),
                 "value": {**empty, "new_number": "0.71"}},
                {"control": "Money", "id": "Money-4", "title": _text("收益"),
                 "value": {**empty, "new_money": "1200.50"}},
                {"control": "Textarea", "id": "Textarea-5", "title": _text("理由"),
                 "value": {**empty, "text": "我不同意"}},
            ]
        },
        "comments": [{"commentcontent": "私下"}],
    }  # fmt: skip


def test_approvals_become_appeals_and_suggestions(desk: Desk) -> None:
    t = int(START.timestamp())
    all_of_them = {
        "1": approval("1", "T-APPEAL", 1, ("lead", 0)),
        "2": approval("2", "T-APPEAL", 2, ("lead", t + 7200), ("boss", t + 9000)),
        "3": approval("3", "T-APPEAL", 7, ("lead", t + 7200)),
        "4": approval("4", "T-IDEA", 3, ("lead", t + 7200)),
    }
    pages = {"": (["1", "2"], "next"), "next": (["3"], "more"), "more": (["4"], "")}

    def listed(body: Record) -> Record:
        template = body["filters"][0]["value"]
        numbers, cursor = pages[body["new_cursor"]]
        mine = [n for n in numbers if all_of_them[n]["template_id"] == template]
        return {"sp_no_list": mine, "new_next_cursor": cursor}

    desk.answers = {
        "oa/getapprovalinfo": listed,
        "oa/getapprovaldetail": lambda body: {"info": all_of_them[body["sp_no"]]},
    }
    landed = desk.ingest(APPROVED + streams("appeals", "improvement_suggestions"))
    what = (
        "appeal_id, scorecard_id, metric_id, employee_id, cast(raised_at as varchar), status, "
        "cast(decided_at as varchar), decided_by, old_value, approval_ref, _op"
    )
    sent = "2026-08-31 17:00:00+00"
    assert desk.rows(landed, "appeals", what) == [
        ("1", "M0001-2026-08", "option-1", "ann", sent, "open", None, None, "0.71", "1", "upsert"),
        ("2", "M0001-2026-08", "option-1", "ann", sent, "upheld", "2026-08-31 18:30:00+00", "boss",
         "0.71", "2", "upsert"),
        ("3", "M0001-2026-08", "option-1", "ann", sent, "withdrawn", "2026-08-31 18:00:00+00",
         "lead", "0.71", "3", "delete"),
    ]  # fmt: skip
    suggestions = landed[1].streams["improvement_suggestions"]
    assert suggestions.quarantined == 1, "option-1 is the form's word; the company maps it"
    assert all(
        "私下".encode() not in path.read_bytes() and "我不同意".encode() not in path.read_bytes()
        for path in landed[0].home.raw.rglob("*.parquet")
        if "_quarantine" not in path.parts
    )


def test_of_an_opinion_only_the_code_of_a_configured_word_lands(desk: Desk) -> None:
    t = int(START.timestamp())
    made = {
        "1": approval("1", "T-APPEAL", 1, ("lead", t + 7200)),
        "2": approval("2", "T-APPEAL", 3, ("lead", t + 7200)),
        "3": approval("3", "T-APPEAL", 3, ("lead", t + 7200)),
    }
    for number, words in (("1", "转交"), ("2", " 证据不足:录音私下已听"), ("3", "私下")):
        made[number]["sp_record"][0]["details"][0]["speech"] = words
    contact = {"control": "Contact", "id": "Contact-9", "title": _text("改记"),
               "value": {"members": [{"userid": "carl", "name": "卡尔"}]}}  # fmt: skip
    made["2"]["apply_data"]["contents"].append(contact)
    desk.answers = {
        "oa/getapprovalinfo": {"sp_no_list": list(made), "new_next_cursor": ""},
        "oa/getapprovaldetail": lambda body: {"info": made[body["sp_no"]]},
    }
    words = '[sources.appeal_decisions]\n"证据不足" = "no_evidence"\n'
    fields = APPROVED.replace('old_value = "Number-3"', 'credited_to = "Contact-9"')
    fields = fields.replace('suggestion_template = "T-IDEA"\n', "")
    landed = desk.ingest(fields.partition("[sources.suggestion_fields]")[0] + words
                         + streams("appeals"))  # fmt: skip
    what = "appeal_id, status, decision_code, credited_to"
    assert desk.rows(landed, "appeals", what) == [
        ("1", "accepted", None, None),  # looked at and passed on
        ("2", "rejected", "no_evidence", "carl"),
        ("3", "rejected", None, None),
    ]
    assert all(
        "私下".encode() not in path.read_bytes() for path in landed[0].home.raw.rglob("*.parquet")
    )


def test_approvals_are_asked_for_in_spans_of_31_days_and_62_days_back(desk: Desk) -> None:
    desk.answers = {"oa/getapprovalinfo": {"sp_no_list": [], "new_next_cursor": ""}}
    source = 'appeal_template = "T"\n' + streams("appeals")
    landed = desk.ingest(source)
    assert landed[1].streams["appeals"].rows_in == 0
    asked = [(int(b["starttime"]), int(b["endtime"])) for b in desk.asked("oa/getapprovalinfo")]
    assert asked[0][0] == int(START.timestamp()) - 62 * 86_400
    assert asked[-1][1] == int(END.timestamp()) - 1
    assert all(end - start < 31 * 86_400 for start, end in asked)
    assert [end + 1 for _, end in asked[:-1]] == [start for start, _ in asked[1:]], "no gap"


def test_a_words_of_a_form_are_mapped_by_the_company(desk: Desk) -> None:
    desk.answers = {
        "oa/getapprovalinfo": {"sp_no_list": ["4"], "new_next_cursor": ""},
        "oa/getapprovaldetail": {"info": approval("4", "T-IDEA", 2)},
    }
    mapped = (
        streams("improvement_suggestions")
        + '[sources.streams.columns.kind]\nfrom = "field_kind"\nvalues = { option-1 = "process" }\n'
    )
    only = APPROVED.replace('appeal_template = "T-APPEAL"\n', "")
    landed = desk.ingest(only + mapped)
    what = "suggestion_id, proposer_id, kind, status, cast(benefit_amount as varchar)"
    assert desk.rows(landed, "improvement_suggestions", what) == [
        ("4", "ann", "process", "accepted", "1200.50")
    ]


def test_an_approval_stream_needs_a_template(desk: Desk) -> None:
    with pytest.raises(ConfigError, match="expected appeal_template or suggestion_template"):
        desk.ingest(streams("appeals"))


# --- forms ---------------------------------------------------------------------------------

SURVEYS = """
[[sources.surveys]]
id = "FORMID1"
kind = "peer_360"
rater_type = "peer"
questions = [
    { id = "2", metric = "item", scale = [1, 5], scores = { 1 = 5, 2 = 3, 3 = 1 } },
    { id = "1", metric = "comment", scale = [0, 0] },
]
fields = { subject_employee_id = "13" }
"""


def _documented_answer(number: int, **more: Any) -> Record:
    """An answer in the shape of 读取收集表答案; question 13 names a member."""
    at = int(START.timestamp()) + 3600
    return {
        "answer_id": number,
        "user_name": "USER_NAME1",
        "ctime": at,
        "mtime": at,
        "reply": {
            "items": [
                {"question_id": 1, "text_reply": "很好的同事"},
                {"question_id": 2, "option_reply": [2]},
                {"question_id": 3, "text_reply": "20:53"},
                {"question_id": 13, "member_reply": {"list": [{"userid": "zhangsan"}]}},
            ]
        },
        "answer_status": 1,
        "userid": "ann",
        **more,
    }


def _forms(*answers: Record) -> dict[str, Any]:
    known = {a["answer_id"]: a for a in answers}

    def statistic(body: Record) -> Record:
        ids = sorted(known)[int(body.get("cursor", 0)) :][:2]
        submitted = [{"submit_time": known[i]["ctime"], "answer_id": i} for i in ids]
        reached = int(body.get("cursor", 0)) + len(ids)
        return {"fill_cnt": len(known), "submit_users": submitted, "cursor": reached,
                "has_more": reached < len(known)}  # fmt: skip

    return {
        "wedoc/get_form_info": {
            "form_info": {"formid": "FORMID1", "form_title": "360", "repeated_id": ["REPEAT_ID1"]}
        },
        "wedoc/get_form_statistic": statistic,
        "wedoc/get_form_answer": lambda body: {
            "answer": {"answer_list": [known[i] for i in body["answer_ids"]]}
        },
    }


def test_answers_of_a_form_become_responses_question_by_question(desk: Desk) -> None:
    before, after = int(START.timestamp()) - 1, int(END.timestamp())
    anonymous = _documented_answer(2)
    del anonymous["userid"], anonymous["user_name"]
    desk.answers = _forms(
        _documented_answer(1),
        anonymous,
        _documented_answer(3, answer_status=3),
        _documented_answer(4, ctime=before, mtime=before),
        _documented_answer(5, ctime=after, mtime=after),
        _documented_answer(6, ctime=before),
    )
    landed = desk.ingest(SURVEYS + streams("survey_responses"))
    what = (
        "response_id, question_id, metric, score, score_choice, has_comment, survey_kind, "
        "rater_type, subject_employee_id, status, length(rater_key)"
    )
    one = ("peer_360", "peer", "zhangsan")
    assert desk.rows(landed, "survey_responses", what) == [
        ("REPEAT_ID1:1", "1", "comment", None, None, True, *one, "completed", 64),
        ("REPEAT_ID1:1", "2", "item", 3, "2", None, *one, "completed", 64),
        ("REPEAT_ID1:2", "1", "comment", None, None, True, *one, "completed", None),
        ("REPEAT_ID1:2", "2", "item", 3, "2", None, *one, "completed", None),
        ("REPEAT_ID1:3", "1", "comment", None, None, True, *one, "deleted", 64),
        ("REPEAT_ID1:3", "2", "item", 3, "2", None, *one, "deleted", 64),
        ("REPEAT_ID1:6", "1", "comment", None, None, True, *one, "completed", 64),
        ("REPEAT_ID1:6", "2", "item", 3, "2", None, *one, "completed", 64),
    ]
    assert landed[1].streams["survey_responses"].undeclared_fields == ()
    asked = desk.asked("wedoc/get_form_statistic")
    assert [body.get("cursor") for body in asked] == [None, 2, 4]
    assert (asked[0]["start_time"], asked[0]["end_time"]) == (
        int(START.timestamp()),
        int(END.timestamp()) - 1,
    )


def test_a_form_nobody_answered_lands_empty(desk: Desk) -> None:
    desk.answers = _forms()
    landed = desk.ingest(SURVEYS + streams("survey_responses"))
    assert landed[1].streams["survey_responses"].rows_in == 0


# --- satisfaction --------------------------------------------------------------------------

KF = 'kf_account = "wk1"\n' + streams("survey_aggregates")


def _day(day: int, **facts: Any) -> Record:
    at = datetime(2026, 9, day, tzinfo=wecom_rows.BEIJING)
    return {"stat_time": int(at.timestamp()), "statistic": {"session_cnt": 50, **facts}}


def test_ratios_become_whole_people(desk: Desk) -> None:
    told = _day(
        3,
        satisfaction_investgate_cnt=45,
        satisfaction_participation_rate=0.3111,  # 14 of 45
        satisfied_rate=0.7143,
        middling_rate=0.1429,
        dissatisfied_rate=0.1429,
    )
    none_asked = _day(4)
    none_answered = _day(5, satisfaction_investgate_cnt=3, satisfaction_participation_rate=0)
    desk.answers = {
        "kf/servicer/list": {"servicer_list": [{"userid": "ann", "status": 0}]},
        "kf/get_servicer_statistic": {"statistic_list": [told, none_asked, none_answered]},
    }
    landed = desk.ingest(KF)
    what = (
        "subject_id, cast(stat_date as varchar), invited_n, responded_n, satisfied_n, neutral_n, "
        "dissatisfied_n"
    )
    assert desk.rows(landed, "survey_aggregates", what) == [
        ("ann", "2026-09-03", 45, 14, 10, 2, 2),
        ("ann", "2026-09-05", 3, 0, 0, 0, 0),
    ]
    archived = [file.name for file in landed[1].archive]
    assert any("kf_statistics/" in name for name in archived)
    assert not any("ann" in name for name in archived), "a manifest names no person"
    (asked,) = desk.asked("kf/get_servicer_statistic")
    days = [
        datetime.fromtimestamp(asked[k], wecom_rows.BEIJING) for k in ("start_time", "end_time")
    ]
    assert [f"{day:%Y-%m-%d %H:%M}" for day in days] == ["2026-09-01 00:00", "2026-09-30 00:00"]


@pytest.mark.parametrize(
    "facts",
    [
        {"satisfied_rate": 0.5, "middling_rate": 0.25, "dissatisfied_rate": 0.0},
        {"satisfied_rate": 0.6, "middling_rate": 0.4, "dissatisfied_rate": 0.0},
        {"satisfied_rate": 1.5, "middling_rate": 0.0, "dissatisfied_rate": 0.0},
        {"satisfied_rate": -0.5, "middling_rate": 1.5, "dissatisfied_rate": 0.0},
    ],
)
def test_ratios_that_make_no_whole_people_are_quarantined(desk: Desk, facts: Record) -> None:
    asked = {"satisfaction_investgate_cnt": 4, "satisfaction_participation_rate": 1, **facts}
    desk.answers = {"kf/get_servicer_statistic": {"statistic_list": [_day(3, **asked)]}}
    landed = desk.ingest('kf_servicers = ["ann"]\n' + KF)
    stream = landed[1].streams["survey_aggregates"]
    assert (stream.landed, stream.quarantined) == (0, 1)


@pytest.mark.parametrize(
    ("rates", "people"),
    [
        ((0.31, 0.71, 0.15, 0.15), (62, 44, 9, 9)),  # 44.02, 9.3 and 9.3 of 62
        ((0.4, 0.5, 0.26, 0.24), (80, 40, 21, 19)),
        ((0.38, 0.34, 0.33, 0.33), (76, 26, 25, 25)),  # 25.84, 25.08 and 25.08
        ((0.5, 0.67, 0.17, 0.17), (100, 67, 16, 17)),  # add up to 101 people: rounding took one
    ],
)
def test_a_busy_days_rounded_ratios_are_people_as_near_as_rounding_allows(
    rates: tuple[float, ...], people: tuple[int, ...]
) -> None:
    names = ("satisfaction_participation_rate", "satisfied_rate", "middling_rate")
    facts = dict(zip((*names, "dissatisfied_rate"), rates, strict=True))
    record = _day(3, satisfaction_investgate_cnt=200, **facts)
    shelf = wecom_rows.shelf("ann")
    beside = Beside(
        record, f"kf_statistics/{shelf}/1.json", lambda _, __: {}, options={"kf_servicers": ["ann"]}
    )
    (row,) = wecom_rows._statistic(record, beside)
    counts = (row["responded"], row["satisfied"], row["middling"], row["dissatisfied"])
    assert counts == people


def test_departments_that_serve_an_account_must_be_named(desk: Desk) -> None:
    desk.answers = {"kf/servicer/list": {"servicer_list": [{"department_id": 2}]}}
    with pytest.raises(ConfigError, match="kf_servicers: the account is served by whole"):
        desk.ingest(KF)


# --- errors and tokens ---------------------------------------------------------------------


def said(errcode: Any, errmsg: str = "") -> Answer:
    body = json.dumps({"errcode": errcode, "errmsg": errmsg}, ensure_ascii=False)
    return Answer(200, {}, body.encode())


@pytest.mark.parametrize("code", [40014, 42001])
def test_an_old_token_is_renewed(code: int) -> None:
    with pytest.raises(StaleToken):
        wecom.judge(said(code))


@pytest.mark.parametrize(
    ("code", "words", "seconds"),
    [
        (-1, "system busy", None),
        (45033, "api concurrent out of limit", None),
        (45009, "reach max api minute frequence limit, today", 60),
        (45009, "api freq out of limit", 60),
        (45009, "reach max api hour frequence limit", 3_600),
        (45009, "reach max api day frequence limit", 86_400),
    ],
)
def test_what_passes_is_waited_for_as_long_as_it_blocks(
    code: int, words: str, seconds: float | None
) -> None:
    with pytest.raises(Later) as later:
        wecom.judge(said(code, words))
    assert later.value.seconds == seconds


@pytest.mark.parametrize(
    ("code", "words", "told"),
    [
        (40001, "invalid credential", "the app's secret is wrong"),
        (40013, "invalid corpid", "the connection's login is the corpid"),
        (48002, "api forbidden", "the app may not call this interface"),
        (48009, "api forbidden for contact-sync", "通讯录同步"),
        (60011, "no privilege to access/modify contact", "visible range"),
        (60020, "not allow to access from your ip, from ip: 203.0.113.9, more info",
         "企业可信IP.*203.0.113.9"),
        (60111, "userid not found", "userid does not exist"),
        (301002, "no approval auth", "add it to the apps"),
        (99999, "anything", "errcode 99999: see developer.work.weixin.qq.com/devtool/query"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_change_where(code: int, words: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        wecom.judge(said(code, words))
    assert "more info" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"errcode": "x"}', b"<html>"])
def test_what_is_no_answer_of_wecom_is_asked_again(body: bytes) -> None:
    with pytest.raises(Later):
        wecom.judge(Answer(200, {}, body))


def test_a_token_that_was_revoked_is_fetched_once_more(desk: Desk) -> None:
    revoked = iter([True])

    def members(query: Any) -> Record:
        return {"errcode": 42001} if next(revoked, False) else {"userlist": [_member("ann")]}

    desk.answers = {
        "department/list": {"department": [{"id": 3, "name": "客服", "parentid": 0}]},
        "user/list": members,
    }
    landed = desk.ingest("backdate = true\n" + streams("hr_roster"))
    assert desk.rows(landed, "hr_roster", "employee_id") == [("ann",)]
    assert len(desk.asked("gettoken")) == 2


def test_a_limit_that_blocks_for_an_hour_is_left_to_the_next_try(desk: Desk) -> None:
    words = "reach max api hour frequence limit"
    desk.answers = {"department/list": {"errcode": 45009, "errmsg": words}}
    with pytest.raises(TransientError, match="asks to wait 3600 s"):
        desk.ingest("backdate = true\n" + streams("org_units"))
    assert len(desk.asked("department/list")) == 1


def test_mangled_approvals_answers_and_counts_land_or_are_quarantined(desk: Desk) -> None:
    chance, many = random.Random(7), 250
    numbers = [str(n) for n in range(many)]
    whole = approval("0", "T-APPEAL", 2, ("lead", int(START.timestamp()) + 7200))
    approvals = {
        n: mangled({**whole, "sp_no": n}, chance, ("sp_no", "template_id")) for n in numbers
    }
    facts = {"satisfaction_investgate_cnt": 4, "satisfaction_participation_rate": 0.5,
             "satisfied_rate": 1, "middling_rate": 0, "dissatisfied_rate": 0}  # fmt: skip
    days = [mangled(_day(1 + n % 28, **facts), chance, ()) for n in range(many)]
    known = {n: mangled(_documented_answer(n), chance, ("answer_id",)) for n in range(many)}
    desk.answers = {
        **_forms(*[_documented_answer(n) for n in range(many)]),
        "oa/getapprovalinfo": {"sp_no_list": numbers, "new_next_cursor": ""},
        "oa/getapprovaldetail": lambda body: {"info": approvals[body["sp_no"]]},
        "wedoc/get_form_statistic": {
            "submit_users": [{"answer_id": n} for n in range(many)], "has_more": False, "cursor": 1
        },
        "wedoc/get_form_answer": lambda body: {
            "answer": {"answer_list": [known[i] for i in body["answer_ids"]]}
        },
        "kf/get_servicer_statistic": {"statistic_list": days},
    }  # fmt: skip
    names = ("appeals", "survey_responses", "survey_aggregates")
    source = APPROVED.replace("[sources.appeal_fields]", 'kf_account = "wk"\n'
        'kf_servicers = ["ann"]\n[sources.appeal_fields]')  # fmt: skip
    pace = wecom.Policy(per_second=None)
    desk.patch.setattr(wecom, "Policy", lambda **_: pace)
    landed = desk.ingest(source + SURVEYS + streams(*names))[1]
    assert balances(landed)
    for name in names:
        assert landed.streams[name].landed > 25, landed.streams[name]
        assert landed.streams[name].quarantined > 15, landed.streams[name]
