"""WeCom (企业微信): contacts, approvals, forms and customer-service satisfaction.

One source speaks with one app's secret and fetches what its streams need; it writes nothing. The
vendor has no simulator: what is known comes from its documentation and published examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

import msgspec

from connectors import api, rosters, surveys, wecom_rows
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Answer, Client, Later, Policy, StaleToken, leased
from connectors.paging import Page, Request, by_cursor
from connectors.wecom_rows import BEIJING, templates
from perfhouse.company import Source
from perfhouse.errors import ConfigError, SourceChanged
from perfhouse.settings import Connection

HOST = "https://qyapi.weixin.qq.com"
MANY = 100
LONGEST = timedelta(days=31)  # of one question for approvals
# an approval is decided later than it was sent, and can only be asked for by when it was sent
APPROVAL_LOOKBACK = timedelta(days=62)

_STALE = (40014, 42001)
_BLOCKED = {"minute": 60.0, "hour": 3_600.0, "day": 86_400.0}  # how long a limit blocks
_REFUSALS = {
    40001: "the app's secret is wrong; the connection's password is the secret of this app",
    40013: "the corpid is wrong; the connection's login is the corpid",
    48002: "the app may not call this interface; grant it in the admin console, or use the secret "
    "of an app that may (审批, 文档 and 微信客服 each list the apps that may call them)",
    48009: "the address-book secret (通讯录同步) does not serve new IPs; use the secret of an app "
    "that sees the whole company",
    60011: "a person or department lies outside what the app sees; widen the app's visible range",
    60020: "this IP is not trusted; add it to the app's trusted IPs (企业可信IP)",
    60111: "a configured userid does not exist",
    60123: "a department does not exist any more; try again",
    81013: "none of the receivers can be reached",
    301002: "the app may not see this; add it to the apps that may call the interface",
}
_IP = re.compile(r"from ip:\s*([0-9a-fA-F.:]+)")
_SPAN = re.compile(r"\b(hour|day)\b")


def _client(source: Source, connection: Connection) -> Client:
    def lease(bare: Client) -> tuple[str, float]:
        secret = {"corpid": connection.login, "corpsecret": connection.password}
        answer = bare.fetch("GET", "/cgi-bin/gettoken", params=secret, judge=judge)
        told = msgspec.json.decode(answer.body)
        return str(told["access_token"]), float(told.get("expires_in", 7200))

    return Client(
        api.base_url(source, connection, HOST),
        policy=Policy(per_second=10, burst=10, paced="/oa/"),
        credentials=leased(lease, "access_token", "query", ""),
    )


def judge(answer: Answer) -> None:
    """Read the errcode: WeCom answers HTTP 200 whatever happened.

    Raises:
        Later: busy or too often; the wait is the vendor's.
        StaleToken: the token was revoked or is too old.
        ConfigError: refused for good; says what to change where (operator).
    """
    try:
        told = msgspec.json.decode(answer.body, type=_Envelope)
    except msgspec.DecodeError:
        raise Later("WeCom: the answer is none of WeCom's") from None
    if told.errcode in _STALE:
        raise StaleToken(f"WeCom: errcode {told.errcode}")
    if told.errcode in (-1, 45033):
        raise Later(f"WeCom is busy (errcode {told.errcode})")
    if told.errcode == 45009:
        found = _SPAN.search(told.errmsg)
        seconds = _BLOCKED[found.group(1) if found else "minute"]
        raise Later(f"WeCom: called too often, asks to wait {seconds:.0f} s", seconds)
    if told.errcode:
        what = _REFUSALS.get(told.errcode, "see developer.work.weixin.qq.com/devtool/query")
        ip = _IP.search(told.errmsg) if told.errcode == 60020 else None
        which = f": {ip.group(1)}" if ip else ""
        raise ConfigError([f"WeCom errcode {told.errcode}: {what}{which}"])


class _Envelope(msgspec.Struct):
    errcode: int = 0
    errmsg: str = ""


# --- what is fetched


def _get(path: str, **params: Any) -> Request:
    return Request(f"/cgi-bin/{path}", params)


def _post(path: str, label: str = "", **body: Any) -> Request:
    return Request(f"/cgi-bin/{path}", body=body, method="POST", label=label)


def _named(call: Call) -> bool:
    return call.option("department_names", "true").lower() == "true"


def _departments(call: Call) -> Iterator[Page]:
    return _of_today(call, _get("department/list")) if _named(call) else iter(())


def _department_ids(call: Call) -> Iterator[Page]:
    return iter(()) if _named(call) else _of_today(call, _get("department/simplelist"))


def _users(call: Call) -> Iterator[Page]:
    """Yield each department's members; who is in several comes several times, once is kept."""
    for endpoint in ("departments", "department_ids"):
        for department in call.records(endpoint):
            yield from _of_today(call, _get("user/list", department_id=department["id"]))


def _of_today(call: Call, request: Request) -> Iterator[Page]:
    """Yield an answer if today's people may stand for the month, by the server's clock."""
    for page in call.pages(request):
        taken = Answer(200, page.headers, b"").date
        if taken is not None:
            rosters.check_age(call.source, call.window.month, call.window.end, taken)
        yield page


def _approvals(call: Call) -> Iterator[Page]:
    """Yield the numbers of the templates' approvals that were sent in the window."""
    for template in templates(call.source.options, call.source.id):
        begin = call.window.start
        while begin < call.window.end:
            end = min(begin + LONGEST, call.window.end)
            first = _post(
                "oa/getapprovalinfo",
                starttime=str(int(begin.timestamp())),
                endtime=str(int(end.timestamp()) - 1),
                new_cursor="",
                size=MANY,
                filters=[{"key": "template_id", "value": template}],
            )
            yield from call.pages(first, by_cursor("new_next_cursor", "new_cursor", body=True))
            begin = end


def _approval_details(call: Call) -> Iterator[Page]:
    numbers = (n for page in call.records("approvals") for n in page.get("sp_no_list") or ())
    for number in dict.fromkeys(numbers):
        yield from call.pages(_post("oa/getapprovaldetail", sp_no=number))


def _forms(call: Call) -> Iterator[Page]:
    for form in surveys.surveys(call.source.options):
        yield from call.pages(_post("wedoc/get_form_info", form, formid=form))


def _form_submissions(call: Call) -> Iterator[Page]:
    """Yield who answered in the month's days; every round of a form has an id of its own."""
    start, end = (int(at.timestamp()) for at in (call.window.start, call.window.end))
    for form in call.records("forms"):
        for round_id in form.get("repeated_id") or ():
            first = _post(
                "wedoc/get_form_statistic",
                f"{form['formid']}/{round_id}",
                repeated_id=round_id,
                req_type=2,
                start_time=start,
                end_time=end - 1,
                limit=10_000,
            )
            yield from call.pages(first, _more_submissions)


def _more_submissions(request: Request, page: Page) -> Request | None:
    more, cursor = page.at("has_more"), page.at("cursor")
    if not isinstance(more, bool) or (more and cursor is None):
        raise SourceChanged(f"{request.path}: the answer does not tell 'has_more' and 'cursor'")
    return request.saying(cursor=cursor) if more else None


def _form_answers(call: Call) -> Iterator[Page]:
    for path in call.kept.get("form_submissions", []):
        page = msgspec.json.decode(path.read_bytes())
        ids = [user["answer_id"] for user in page.get("submit_users") or ()]
        form, round_id = path.parts[-3:-1]
        for at in range(0, len(ids), MANY):
            yield from call.pages(
                _post(
                    "wedoc/get_form_answer",
                    f"{form}/{round_id}",
                    repeated_id=round_id,
                    answer_ids=ids[at : at + MANY],
                )
            )


def _servicers(call: Call) -> Iterator[Page]:
    if not call.options("kf_servicers"):
        yield from call.pages(_get("kf/servicer/list", open_kfid=call.option("kf_account")))


def _kf_statistics(call: Call) -> Iterator[Page]:
    """Yield each servicer's days of the month; several servicers at once would be one sum."""
    first, last = (
        int(datetime.combine(day, time(), BEIJING).timestamp())
        for day in (call.window.month.start, call.window.month.end - timedelta(days=1))
    )
    named = call.options("kf_servicers")
    for userid in named or tuple(_listed(call)):
        yield from call.pages(
            _post(
                "kf/get_servicer_statistic",
                wecom_rows.shelf(userid),
                open_kfid=call.option("kf_account"),
                servicer_userid=userid,
                start_time=first,
                end_time=last,
            )
        )


def _listed(call: Call) -> Iterator[str]:
    for servicer in call.records("servicers"):
        if "userid" not in servicer:
            raise ConfigError(
                [
                    f"{call.source.id}.kf_servicers: the account is served by whole "
                    "departments; list the userids"
                ]
            )
        yield str(servicer["userid"])


_PEOPLE = ("hr_roster", "source_users")
_APPROVED = ("appeals", "improvement_suggestions")
_SURVEYS = ("survey_responses",)
_COUNTED = ("survey_aggregates",)
SYSTEM = System(
    client=_client,
    endpoints=(
        Endpoint("departments", _departments, "department", ("org_units",), beside=_PEOPLE),
        Endpoint("department_ids", _department_ids, "department_id", ("org_units",), _PEOPLE),
        Endpoint("users", _users, "userlist", _PEOPLE, beside=("org_units",)),
        Endpoint("approvals", _approvals, "", _APPROVED, lookback=APPROVAL_LOOKBACK),
        Endpoint("approval_details", _approval_details, "info", _APPROVED),
        Endpoint("forms", _forms, "form_info", beside=_SURVEYS),
        Endpoint("form_submissions", _form_submissions, "", _SURVEYS),
        Endpoint("form_answers", _form_answers, "answer.answer_list", _SURVEYS),
        Endpoint("servicers", _servicers, "servicer_list", beside=_COUNTED),
        Endpoint("kf_statistics", _kf_statistics, "statistic_list", _COUNTED),
    ),
    settle=timedelta(hours=6, minutes=5),  # a day's statistics are ready at six the next morning
    judge=judge,
)

CONNECTOR = api.connector(
    name="wecom",
    title="WeCom 企业微信",
    reads="contacts as they stand; the month's approvals, form answers and 客服 satisfaction",
    system=SYSTEM,
    defaults=wecom_rows.DEFAULTS,
    unfold=wecom_rows.UNFOLD,
    options=(
        *("employee_no_attribute", "hire_date_attribute", "department_names", "backdate"),
        *("appeal_template", "appeal_fields", "appeal_decisions"),
        *("suggestion_template", "suggestion_fields"),
        *("surveys", "kf_account", "kf_servicers"),
    ),
    snapshots=("hr_roster", "source_users", "org_units"),
    version=2,
)
