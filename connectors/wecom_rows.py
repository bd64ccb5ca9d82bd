"""Rows of WeCom's answers: members, departments, approvals, form answers, satisfaction counts.

Pure functions and columns; nothing here may speak with a server or know the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from connectors import api, instants, rosters, surveys
from connectors.base import Beside, Unfold, column
from perfhouse.company import ColumnMapping, StreamMapping
from perfhouse.errors import ConfigError

BEIJING = ZoneInfo("Asia/Shanghai")  # days of its statistics


def templates(options: Mapping[str, Any], where: str) -> dict[str, str]:
    """Return stream by template of the approvals that mean something to us."""
    words = {"appeal_template": "appeals", "suggestion_template": "improvement_suggestions"}
    found = {str(options[word]): stream for word, stream in words.items() if word in options}
    if not found:
        raise ConfigError([f"{where}: expected appeal_template or suggestion_template"])
    return found


def _attribute(record: Mapping[str, Any], name: Any) -> str | None:
    """Return an attribute that the company added to its members."""
    for item in (record.get("extattr") or {}).get("attrs") or ():
        if item.get("name") == name:
            value = (item.get("text") or {}).get("value") or item.get("value")
            return str(value).strip() if value else None
    return None


def _number(record: Mapping[str, Any] | None, beside: Beside) -> str | None:
    """Return the employee number: an attribute where one is configured, else the userid."""
    if record is None:
        return None
    name = beside.options.get("employee_no_attribute")
    return str(record["userid"]) if name is None else _attribute(record, name)


def _person(userid: Any, beside: Beside) -> str | None:
    if userid in (None, ""):
        return None
    found = beside.lookup("users", "userid").get(str(userid))
    return _number(found, beside) if found else str(userid)


def _lines(record: Mapping[str, Any], beside: Beside) -> Iterator[Mapping[str, Any]]:
    """Yield the department of a member and those above it, lowest first."""
    known = beside.lookup("departments", "id") or beside.lookup("department_ids", "id")
    at, seen = _department(record), set[str]()
    while at in known and at not in seen:
        seen.add(at)
        yield known[at]
        at = str(known[at].get("parentid"))


def _department(record: Mapping[str, Any]) -> str:
    return str(record.get("main_department") or next(iter(record.get("department") or ()), ""))


def _manager(record: Mapping[str, Any], beside: Beside) -> str | None:
    """Return the direct leader, else the nearest department's leader who is somebody else."""
    heads = (
        head for line in _lines(record, beside) for head in line.get("department_leader") or ()
    )
    leaders = (*(record.get("direct_leader") or ()), *heads)
    return _person(next((who for who in leaders if who != record["userid"]), None), beside)


def _member(record: Any, beside: Beside) -> Iterator[Mapping[str, Any]]:
    number = _number(record, beside)
    hired = rosters.day(_attribute(record, beside.options.get("hire_date_attribute")))
    status = record.get("status", 1)
    names = [str(line.get("name", line["id"])) for line in _lines(record, beside)]
    yield {
        **record,
        "employee_no": number,
        "department_id": _department(record),
        "department_path": "/".join(reversed(names)),
        "manager": _manager(record, beside),
        "leads": 1 in (record.get("is_leader_in_dept") or ()),
        "mail": record.get("biz_mail") or record.get("email"),
        "active": status in (1, 4),
        "in_service": {1: "active", 4: "active", 2: "leave", 5: "left"}[status],
        **rosters.span(beside, hired, status != 5, None),
    }


def _unit(record: Any, beside: Beside) -> Iterator[Mapping[str, Any]]:
    heads = record.get("department_leader") or [None]
    yield {
        **record,
        "parent": record.get("parentid") or None,
        "head": _person(heads[0], beside),
        "SnapshotDay": rosters.days(beside)[1].isoformat(),
    }


def _at(epoch: Any) -> str | None:
    return instants.moment(epoch).isoformat() if epoch else None


def _approval(stream: str, record: Any, beside: Beside) -> Iterator[Mapping[str, Any]]:
    """Yield an approval of the stream's template with its decision and its configured fields."""
    wanted = templates(beside.options, "approvals")
    if "sp_no" not in record or wanted.get(record["template_id"]) != stream:
        return
    decided = [
        detail
        for node in record.get("sp_record") or ()
        for detail in node.get("details") or ()
        if detail.get("sptime")
    ]
    none: dict[str, Any] = {}
    last = max(decided, key=lambda detail: int(detail["sptime"]), default=none)
    open_still = record["sp_status"] == 1
    fields = _fields(record, beside.options.get(f"{_WORDS[stream]}_fields") or {})
    if fields.get("field_credited_to"):
        fields["field_credited_to"] = _person(fields["field_credited_to"], beside)
    yield {
        **{k: v for k, v in record.items() if k not in ("apply_data", "comments", "sp_record")},
        **fields,
        "stage": _stage(stream, record, bool(decided)),
        "verdict": None if open_still else _verdict(last, beside),
        "applicant": _person(record["applyer"]["userid"], beside),
        "sent_at": _at(record["apply_time"]),
        "decided_at": None if open_still else _at(last.get("sptime")),
        "decided_by": None if open_still else (last.get("approver") or {}).get("userid"),
        "changed_at": _at(last.get("sptime") or record["apply_time"]),
    }


def _stage(stream: str, record: Mapping[str, Any], is_seen: bool) -> str:
    """Return where an approval stands; an appeal that somebody passed on is under review."""
    is_reviewed = stream == "appeals" and record["sp_status"] == 1 and is_seen
    return "accepted" if is_reviewed else str(record["sp_status"])


def _verdict(last: Mapping[str, Any], beside: Beside) -> str | None:
    """Return the code of the configured word that an opinion begins with; no other word lands."""
    said = str(last.get("speech") or "").strip()
    words = beside.options.get("appeal_decisions") or {}
    return next((code for word, code in words.items() if said.startswith(word)), None)


_WORDS = {"appeals": "appeal", "improvement_suggestions": "suggestion"}


def _fields(record: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    """Return the configured columns from the form's controls, by the id of each control."""
    held = {c["id"]: c for c in (record.get("apply_data") or {}).get("contents") or ()}
    return {
        f"field_{name}": _control(held[control])
        for name, control in wanted.items()
        if control in held
    }


def _control(content: Mapping[str, Any]) -> Any:
    value = content["value"]
    for step in _VALUES.get(content["control"], ()):
        value = value[step]
    return _at(value) if content["control"] == "Date" else value


_VALUES: Mapping[str, tuple[str | int, ...]] = {
    "Text": ("text",),
    "Textarea": ("text",),
    "Selector": ("selector", "options", 0, "key"),
    "Contact": ("members", 0, "userid"),
    "Date": ("date", "s_timestamp"),
    "Number": ("new_number",),
    "Money": ("new_money",),
}


def _appeal(record: Any, beside: Beside) -> Iterator[Mapping[str, Any]]:
    return _approval("appeals", record, beside)


def _suggestion(record: Any, beside: Beside) -> Iterator[Mapping[str, Any]]:
    return _approval("improvement_suggestions", record, beside)


_ANSWER = ("answer_id", "user_name", "ctime", "mtime", "reply", "answer_status", "userid")


def _answer(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Yield a row for each answered question; who answered anonymously has no key."""
    if "answer_id" not in record:
        return ()
    form, round_id = beside.name.split("/")[1:3]
    made, changed = (instants.moment(record[k]) for k in ("ctime", "mtime"))
    if not _inside(made, beside) and not _inside(changed, beside):
        return ()
    answers = {str(i["question_id"]): _reply(i) for i in record["reply"].get("items") or ()}
    survey = surveys.surveys(beside.options)[form]
    told = {
        "response_id": f"{round_id}:{record['answer_id']}",
        "submitted_at": made.isoformat(),
        "source_updated_at": changed.isoformat(),
        "status": "deleted" if record.get("answer_status") == 3 else "completed",
        "channel": "wecom",
        "rater_key": record.get("userid") or record.get("tmp_external_userid") or None,
        **{name: answers.get(question) for name, question in survey.fields.items()},
    }
    return surveys.rows(survey, record, answers, told, (*_ANSWER, "tmp_external_userid"))


def _inside(at: datetime, beside: Beside) -> bool:
    return (beside.start is None or at >= beside.start) and (beside.end is None or at < beside.end)


def _reply(item: Mapping[str, Any]) -> Any:
    """Return a question's answer: an option's key, a member, or the text."""
    if item.get("option_reply"):
        return ",".join(str(key) for key in item["option_reply"])
    members = (item.get("member_reply") or {}).get("list")
    return members[0]["userid"] if members else item.get("text_reply")


def _statistic(record: Any, beside: Beside) -> Iterator[Mapping[str, Any]]:
    """Turn a day's ratios back into people; what makes no whole people is no count."""
    facts = record.get("statistic") or {}
    invited = facts.get("satisfaction_investgate_cnt")
    if not invited:
        return
    names = ("satisfied", "middling", "dissatisfied")
    rates = {name: facts.get(f"{name}_rate") or 0.0 for name in names}
    taken_part = facts.get("satisfaction_participation_rate") or 0.0
    width = _rounding(taken_part, *rates.values())
    responded = _people(invited, taken_part, width)
    counts = {name: _people(responded, rate, width) for name, rate in rates.items()}
    counts["middling"] += responded - sum(counts.values())  # the one that weighs least takes it
    if abs(counts["middling"] - responded * rates["middling"]) > 2 * responded * width + 0.5:
        raise ValueError("the rates add up to another number of people")
    yield {
        **record,
        **counts,
        "servicer": _servicer(beside),
        "day": _day(record["stat_time"]).isoformat(),
        "invited": invited,
        "responded": responded,
    }


def shelf(userid: str) -> str:
    """Return the folder of a servicer's pages: names of files and manifests name no person."""
    return sha256(userid.encode()).hexdigest()[:16]


def _servicer(beside: Beside) -> str:
    """Return whose pages these are, by the userids that were configured or listed."""
    named = beside.options.get("kf_servicers") or beside.lookup("servicers", "userid")
    userids = [named] if isinstance(named, str) else map(str, named)
    return {shelf(userid): userid for userid in userids}[beside.name.split("/")[1]]


def _rounding(*rates: float) -> float:
    """Return how far a rate may lie from the one it was rounded from, by the decimals told."""
    decimals = max(len(f"{rate}".partition(".")[2]) for rate in rates)
    return 0.5 / float(10 ** min(max(decimals, 2), 9))


def _people(of: int, rate: float, width: float) -> int:
    """Return `rate` of so many people as whole people.

    Raises:
        ValueError: it is no share, or further from a whole number than rounding explains.
    """
    people = round(of * rate)
    if not 0 <= rate <= 1 or abs(of * rate - people) > of * width + 1e-6:
        raise ValueError("a rate that makes no whole people")
    return people


def _day(epoch: Any) -> date:
    return instants.moment(epoch).astimezone(BEIJING).date()


# --- the columns

# words of positions to our families; a company overrides them in its configuration
_FAMILIES = {
    **rosters.FAMILIES,
    **dict.fromkeys(("客服", "客服专员", "在线客服", "电话客服", "坐席"), "agent"),
    **{"客服经理": "cs_manager", "客服总监": "cs_manager", "客服主管": "supervisor"},
    **{"客服组长": "supervisor", "质检": "qa", "质检员": "qa", "培训师": "trainer"},
}
_MAIL = ColumnMapping(sql='lower(trim("mail"))', hash=True)
_ROSTER = {
    **rosters.SPAN,
    "employee_id": column("employee_no"),
    "source_user_id": column("userid"),
    "display_name": column("name"),
    "work_email_hash": _MAIL,
    "department_id": column("department_id"),
    "department_path": column("department_path"),
    "position_name": column("position"),
    "job_family": column("position", values=_FAMILIES, otherwise="other"),
    "manager_employee_id": column("manager"),
    "is_people_manager": column("leads"),
    "employment_status": column("in_service"),
    # contacts know no entry date unless the company keeps one there
    "hire_date": column("Hired", required=False),
}
_ACCOUNTS = {
    "source_user_id": column("userid"),
    "employee_no": column("employee_no"),
    "email_hash": _MAIL,
    "login": column("userid"),
    "role": ColumnMapping(value="agent"),
    "is_active": column("active"),
    "snapshot_date": column("SnapshotDay"),
}
_UNITS = {
    "snapshot_date": column("SnapshotDay"),
    "org_id": column("id"),
    "parent_id": column("parent"),
    "name": column("name"),
    "head_employee_id": column("head"),
    "status": ColumnMapping(value="active"),
}
_DECISIONS = {
    "approval_ref": column("sp_no"),
    "decided_at": column("decided_at"),
    "decided_by": column("decided_by"),
    "source_updated_at": column("changed_at"),
    "_op": column("sp_status", values={"7": "delete"}, otherwise="upsert"),
}


def _states(pending: str, passed: str) -> ColumnMapping:
    values = {"1": pending, "2": passed, "10": passed, "3": "rejected", "accepted": "accepted"}
    return column("stage", values=values | dict.fromkeys(("4", "6", "7"), "withdrawn"))


_APPEALS = {
    **_DECISIONS,
    "appeal_id": column("sp_no"),
    "employee_id": column("applicant"),
    "raised_at": column("sent_at"),
    "status": _states("open", "upheld"),
    "decision_code": column("verdict"),
    **{
        name: column(f"field_{name}")
        for name in (
            *("scorecard_id", "metric_id", "reason_code", "old_value", "new_value"),
            *("effect", "row_id", "row_source", "credited_to", "admitted_by", "admitted_code"),
            "evidence_ref",
        )
    },
}
_SUGGESTIONS = {
    **_DECISIONS,
    "suggestion_id": column("sp_no"),
    "proposer_id": column("applicant"),
    "submitted_at": column("sent_at"),
    "status": _states("submitted", "accepted"),
    **{name: column(f"field_{name}") for name in ("kind", "benefit_amount", "currency")},
}
_AGGREGATES = {
    "subject_id": column("servicer"),
    "stat_date": column("day"),
    "invited_n": column("invited"),
    "responded_n": column("responded"),
    "satisfied_n": column("satisfied"),
    "neutral_n": column("middling"),
    "dissatisfied_n": column("dissatisfied"),
}
_QUIET_MEMBER = (
    *("name", "english_name", "department", "order", "position", "mobile", "gender", "email"),
    *("biz_mail", "is_leader_in_dept", "direct_leader", "avatar", "thumb_avatar", "telephone"),
    *("alias", "status", "address", "open_userid", "main_department", "extattr", "qr_code"),
    *("external_position", "external_profile", "hide_mobile", "isleader", "enable"),
)


def _ready(
    stream: str, columns: Mapping[str, ColumnMapping], *quiet: str
) -> dict[str, StreamMapping]:
    return {stream: StreamMapping(stream, {"format": api.FORMAT}, None, columns, quiet)}


DEFAULTS: dict[str, StreamMapping] = {
    **_ready("hr_roster", _ROSTER, *_QUIET_MEMBER),
    **_ready("source_users", _ACCOUNTS, *_QUIET_MEMBER),
    **_ready("org_units", _UNITS, "name_en", "order", "parentid", "department_leader"),
    **_ready("appeals", _APPEALS, "sp_name", "template_id", "applyer", "notifyer"),
    **_ready("improvement_suggestions", _SUGGESTIONS, "sp_name", "template_id", "applyer"),
    "survey_responses": surveys.mapping(),
    **_ready("survey_aggregates", _AGGREGATES, "stat_time", "statistic"),
}
UNFOLD: dict[str, Unfold] = {
    "hr_roster": _member,
    "source_users": _member,
    "org_units": _unit,
    "appeals": _appeal,
    "improvement_suggestions": _suggestion,
    "survey_responses": _answer,
    "survey_aggregates": _statistic,
}
