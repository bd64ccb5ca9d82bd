"""i人事 (iHR360): people with effective-dated jobs, hires, transfers, departures, departments.

Answers are cut down to the fields named here before they are archived: the vendor sends identity
cards, phones and salaries along, and nothing of that may lie anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import msgspec

from connectors import api
from connectors.base import Beside, column
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Answer, Client, Later, Policy, StaleToken, basic, leased
from connectors.paging import Page, Request, number
from connectors.rosters import check_age, day, days
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError, SourceChanged, TransientError
from perfhouse.settings import Connection

API = "/openapi/thirdparty/api"
MOST_PAGES = 10_000
_MANY = 100  # departments a page
AGAIN = timedelta(days=92)  # how far back a hire or a departure may be entered late


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BASIC = _words(
    "staffId staffNo staffName workEmail staffStatus staffType departmentId departmentName "
    "positionId positionName companySiteName enrollInDate leaveDate probationEndDate createdDate "
    "lastUpdateDate"
)
_DETAIL = _words("id staffNo leaveDate lastWorkDay quitType quitReasonType")
_SUPERIOR = _words("staffId superiorId reportToType")
_JOB = _words(
    "staffId departmentId positionId positionName positionGradeName employBeginDate "
    "employEndDate employType"
)
_POSITIVE = _words("staffId staffNo positiveDate actualPositiveDate positiveStatus")
_TRANSFER = _words(
    "staffId staffNo transferMode effectiveAt transferDetailList transferReasonDetails"
)
_ORGANIZATION = _words("id name parentId departmentStatus principalStaffId")
# what the vendor is known to send and nobody may keep; any other field is kept by its name alone
_KNOWN = _words(
    "englishName nickName mobileNo email workPhone idCardType idCardNo sex staffImageId "
    "marryStatus highestEducation workPlace companySiteId birthday contractBeginDate "
    "contractEndDate"
)

Json = Mapping[str, Any]


def _client(source: Source, connection: Connection) -> Client:
    pace = source.options.get("per_second", 8)  # the vendor allows ten
    if isinstance(pace, bool) or not isinstance(pace, int | float) or pace <= 0:
        raise ConfigError([f"{source.id}.per_second: expected a number above 0"])
    return Client(
        api.base_url(source, connection, "https://openapi.ihr360.com"),
        headers={"Content-Type": "application/json;charset=UTF-8"},
        policy=Policy(per_second=float(pace), burst=5),
        credentials=leased(partial(_lease, connection)),
    )


def _lease(connection: Connection, bare: Client) -> tuple[str, float]:
    """Fetch a token: at the top of the answer, or within `data`, as tenants differ."""
    who = basic(connection.login, connection.password)
    answer = bare.fetch(
        "POST",
        "/openapi/oauth/token",
        params={"grant_type": "client_credentials", "scope": "client"},
        headers={who.name: f"{who.prefix}{who.value}"},
        judge=_whole,
    )
    page = Page(answer.body, Request("/openapi/oauth/token"))
    token = page.at("access_token") or page.at("data.access_token")
    if not isinstance(token, str):
        raise ConfigError(["/openapi/oauth/token: the application's credentials are refused"])
    seconds = number(page.at("expires_in") or page.at("data.expires_in")) or 0
    return token, float(seconds)


def _whole(answer: Answer) -> None:
    try:
        msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise Later("/openapi/oauth/token: the answer is no complete JSON") from None


class _Envelope(msgspec.Struct, rename={"failed": "errorResult"}):
    code: int | str | None = None
    error: Any = None
    failed: Any = None


def _judge(answer: Answer) -> None:
    """Take `code` 0, in copies of the manual 200, as success; the rest came with HTTP 200 too."""
    try:
        said = msgspec.json.decode(answer.body, type=_Envelope)
    except msgspec.ValidationError:
        raise Later("the answer is no envelope with a code") from None
    if said.error == "invalid_token":
        raise StaleToken("invalid_token")
    code = number(said.code)
    if code in (429, 500, 502, 503, 504):
        raise Later(f"the answer's code is {code}")
    if code not in (0, 200) or said.failed is True or said.error is not None:
        told = code if code is not None else "missing"
        raise ConfigError([f"refused, the answer's code is {told}: look at the app's permissions"])


# --- what is fetched, and how little of it is kept ----------------------------------------


def _reduced(page: Page, fields: Collection[str]) -> Page:
    """Return the page with its list at `data` and only these fields of each record.

    A field that nobody knows keeps its name and loses its value, so that drift can be seen.
    """
    kept = [
        {k: v if k in fields else None for k, v in record.items() if k not in _KNOWN}
        if isinstance(record, Mapping)
        else None
        for record in _list(page)
    ]
    return _page(kept, page.request)


def _list(page: Page) -> list[Any]:
    """Return the records of an answer: a list, a page of one, one object, or null for none."""
    found: Any = page.at("data", page)
    if isinstance(found, Mapping):
        found = found.get("dataList", found.get("content", found))
    if found is None or isinstance(found, list):
        return found or []
    if isinstance(found, Mapping) and "pageInfo" not in found and "totalPages" not in found:
        return [found]
    raise SourceChanged(f"{page.request.path}: the answer has no list of records at 'data'")


def _page(records: Sequence[Any], request: Request) -> Page:
    return Page(msgspec.json.encode({"code": 0, "data": records}), request)


def _counted(call: Call, request: Request) -> Iterator[Page]:
    """Yield pages by `pageNo` from 1 until the told number of pages; the vendor sets their size."""
    for here in range(1, MOST_PAGES):
        page = call.send(request.but(pageNo=here))
        yield page
        last = number(page.at("data.pageInfo.totalPages"))
        if last is None and isinstance(page.at("data"), Mapping) and _list(page):
            raise SourceChanged(f"{request.path}: the answer does not tell 'totalPages'")
        if last is None or here >= last:
            return
    raise TransientError(f"{call.source.id}: {request.path}: more than {MOST_PAGES:,} pages")


def _ids(call: Call) -> Iterator[Page]:
    for status in ("IN_SERVICE", "QUIT"):
        request = Request(f"{API}/staff/v1/staffs/ids", {"staffStatus": status})
        for page in _counted(call, request):
            yield _page(_list(page), page.request)


def _batches(call: Call, ids: Iterable[Any], most: int) -> Iterator[list[str]]:
    size = min(most, call.whole("batch", most))
    wanted = list(dict.fromkeys(map(str, ids)))
    for at in range(0, len(wanted), size):
        yield wanted[at : at + size]


def _people(call: Call) -> Iterator[Page]:
    """Yield everybody's basic facts; who is missing in an answer was lost, not forgotten."""
    path = f"{API}/staff/v1/staffs/basic"
    some = False
    for batch in _batches(call, call.records("ids"), 500):
        page = _reduced(call.send(Request(path, body=batch, method="POST")), _BASIC)
        told = {str(r.get("staffId")) for r in page.at("data") if isinstance(r, Mapping)}
        if told != set(batch):
            raise TransientError(
                f"{call.source.id}: {path}: asked for {len(batch)} people, got {len(told)} of "
                "them or others: it changed while it was read; nothing was landed"
            )
        some = True
        yield page
    if not some and not call.planning:  # a company without anybody: said by an empty page
        yield _page([], Request(path))


def _by_people(path: str, fields: Collection[str], body: Json, call: Call) -> Iterator[Page]:
    first, until = call.window.month.start, call.window.month.end
    ids = (p["staffId"] for p in call.records("people") if _is_here(p, first, until))
    for batch in _batches(call, ids, 100):
        request = Request(f"{API}/staff/v1/{path}", body={"staffIds": batch, **body}, method="POST")
        page = call.send(request)
        taken = Answer(200, page.headers, b"").date
        if path == "superiors" and taken is not None:  # only they have no history
            check_age(call.source, call.window.month, call.window.end, taken)
        yield _reduced(page, fields)


def _superiors(call: Call) -> Iterator[Page]:
    kind = call.option("report_to", "Enum.Administration")
    return _by_people("superiors", _SUPERIOR, {"reportToType": kind}, call)


def _leavers(call: Call) -> Iterator[Page]:
    """Yield the details of who left lately: only there stand the reason and the last day."""
    since, until = call.window.month.start - AGAIN, call.window.month.end
    some = False
    for person in call.records("people"):
        if _within(person.get("leaveDate"), since, until):
            path = f"{API}/staff/v1/staffs/{person['staffId']}/detail"
            some = True
            yield _reduced(call.send(Request(path)), _DETAIL)
    if not some and not call.planning:
        yield _page([], Request(f"{API}/staff/v1/staffs/detail"))


def _positives(call: Call) -> Iterator[Page]:
    at = call.window.month.start
    while at < call.window.month.end:
        request = Request(f"{API}/staff/v1/positiveForms/positive", {"date": at.isoformat()})
        yield _reduced(call.send(request), _POSITIVE)
        at += timedelta(days=1)


def _transfers(call: Call) -> Iterator[Page]:
    """Yield what was entered in the month, whenever it took or takes effect."""
    last = call.window.month.end - timedelta(days=1)
    query = {
        "startDate": call.window.month.start.isoformat(),
        "endDate": last.isoformat(),
        "isByOperatingTime": "true",
    }
    request = Request(f"{API}/staff/v1/transferWithinInterval", query)
    for page in _counted(call, request):
        yield _without_pay(_reduced(page, _TRANSFER))


_MOVED = {
    "department": ("departmentId", "department"),
    "position": ("positionId", "position"),
    "manager": ("reportTo", "reportToStaffId", "superiorId", "superior"),
}


def _without_pay(page: Page) -> Page:
    """Keep of each change its kind and ids, and of changes nobody asked for not even that."""
    records = page.at("data")
    for record in records:
        if isinstance(record, dict):
            record["transferDetailList"] = [
                {"kind": kind, "beforeId": c.get("beforeId"), "afterId": c.get("afterId")}
                for c in record.get("transferDetailList") or []
                if isinstance(c, Mapping) and (kind := _kind(c)) is not None
            ]
            reasons = record.get("transferReasonDetails") or []
            record["transferReasonDetails"] = [
                r.get("codeValue") for r in reasons if isinstance(r, Mapping)
            ]
    return _page(records, page.request)


def _kind(change: Json) -> str | None:
    names = (change.get("fieldId"), change.get("metaDataCode"))
    return next((kind for kind, words in _MOVED.items() if set(words) & set(names)), None)


def _rejoined(call: Call) -> Iterator[Page]:
    query = {"date": (call.window.month.start - AGAIN).isoformat()}
    page = call.send(Request(f"{API}/staff/v1/staffs/reinstatedAdditions", query))
    yield _page([{"staffId": str(staff)} for staff in _list(page)], page.request)


def _organizations(call: Call) -> Iterator[Page]:
    """Yield departments; the list lies in `data.content` or, on some tenants, in `data`."""
    path = f"{API}/org/v1/organizations/search"
    for here in range(MOST_PAGES):
        page = call.send(Request(path, body={"page": here, "size": _MANY}, method="POST"))
        yield _reduced(page, _ORGANIZATION)
        last = number(page.at("data.totalPages")) or number(page.at("totalPages"))
        if last is None and len(_list(page)) >= _MANY:
            raise SourceChanged(f"{path}: the answer does not tell 'totalPages'")
        if here + 1 >= (last or 0):
            return
    raise TransientError(f"{call.source.id}: {path}: more than {MOST_PAGES:,} pages")


# --- records to rows ----------------------------------------------------------------------


def roster(person: Json, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Return a row for each main job of who was here in the month or left shortly before it.

    A job's manager is today's superior; a former job's in another department is its head, for
    the vendor tells no history of superiors.
    """
    first, last = days(beside)
    if not _is_here(person, first, last + timedelta(days=1)):
        return
    left = day(person.get("leaveDate"))
    staff = str(person["staffId"])
    detail = beside.lookup("leavers", "id").get(staff) or {}
    row = {
        **{k: v for k, v in person.items() if k not in _BASIC},
        **{k: person.get(k) for k in ("staffNo", "staffName", "workEmail", "staffType")},
        **{k: person.get(k) for k in ("companySiteName", "enrollInDate", "leaveDate")},
        "staffId": staff,
        "changed": person.get("lastUpdateDate") or person.get("createdDate"),
        "SnapshotDay": last.isoformat(),
        "status": _status(person, left, last),
        "lastWorkDay": detail.get("lastWorkDay") or person.get("leaveDate"),
        "leads": staff in beside.lookup("superiors", "superiorId"),
    }
    jobs = [j for j in beside.group("jobs", "staffId").get(staff, []) if _is_main(j)]
    jobs.sort(key=lambda job: str(job["employBeginDate"]))
    jobs = [j for j in jobs if str(j["employBeginDate"])[:10] <= last.isoformat()] or jobs
    if not jobs:
        jobs = [{**person, "employBeginDate": person["enrollInDate"]}]
    for job in jobs:
        ended = day(job.get("employEndDate"))
        manager = _superior(staff, beside)
        if job is not jobs[-1] and str(job["departmentId"]) != str(person["departmentId"]):
            manager = _head(job["departmentId"], staff, beside)
        yield {
            **row,
            **{k: job.get(k) for k in ("departmentId", "positionId", "positionName")},
            "grade": job.get("positionGradeName"),
            "ValidFrom": job["employBeginDate"],
            "ValidTo": (ended + timedelta(days=1)).isoformat() if ended else None,
            "manager": manager,
        }


def _is_here(person: Json, first: date, until: date) -> bool:
    """Tell whether somebody belongs to a month's roster; what is no date is for landing to say."""
    gone = person.get("staffStatus") == "QUIT"
    if gone and _within(person.get("leaveDate"), date.min, first - AGAIN):
        return False
    return not _within(person.get("enrollInDate"), until, date.max)


def _is_main(job: Json) -> bool:
    return job.get("employType") in (1, "1", None) and bool(job.get("employBeginDate"))


def _status(person: Json, left: date | None, last: date) -> str:
    if person["staffStatus"] == "QUIT" and (left is None or left <= last):
        return "left"
    if left is not None:
        return "notice"
    ends = day(person.get("probationEndDate"))
    return "probation" if ends is not None and ends > last else "active"


def _superior(staff: str, beside: Beside) -> Any:
    found = beside.lookup("superiors", "staffId").get(staff) or {}
    return _number_of(found.get("superiorId"), beside)


def _head(department: Any, staff: str, beside: Beside) -> Any:
    unit = beside.lookup("organizations", "id").get(str(department)) or {}
    head = unit.get("principalStaffId")
    return None if str(head) == staff else _number_of(head, beside)


def _number_of(staff: Any, beside: Beside) -> Any:
    """Return the employee number (工号) behind the vendor's own id."""
    if staff in (None, ""):
        return None
    return (beside.lookup("people", "staffId").get(str(staff)) or {}).get("staffNo")


def _within(text: Any, since: date, until: date) -> bool:
    try:
        at = day(text)
    except ValueError:
        return False
    return at is not None and since <= at < until


def events(record: Json, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Return the employment events that a record of one of the folders tells."""
    folder = beside.name.split("/")[0]
    first, last = days(beside)
    until = last + timedelta(days=1)
    if folder == "people":
        if _within(record.get("enrollInDate"), first - AGAIN, until):
            again = str(record["staffId"]) in beside.lookup("rejoined", "staffId")
            yield _event("rehire" if again else "hire", record, record["enrollInDate"])
    elif folder == "leavers":
        voluntary = {"ACTIVE": "true", "PASSIVE": "false"}.get(str(record.get("quitType")))
        reason = record.get("quitReasonType")
        reason = ",".join(map(str, reason)) if isinstance(reason, list) else reason
        more = {"voluntary": voluntary, "reason": reason}
        yield _event("termination", record, record["leaveDate"], **more)
    elif folder == "positives":
        if record["positiveStatus"] == "COMPLETED":
            at = record.get("actualPositiveDate") or record["positiveDate"]
            yield _event("regularize", record, at)
    elif folder == "transfers":
        yield _transfer(record, beside)


def _event(kind: str, record: Json, at: Any, **more: Any) -> dict[str, Any]:
    who = record["staffNo"]
    return {"event": f"{kind}:{who}:{at}", "who": who, "kind": kind, "at": at, **more}


def _transfer(record: Json, beside: Beside) -> dict[str, Any]:
    changes = {c["kind"]: (c["beforeId"], c["afterId"]) for c in record["transferDetailList"]}
    kind = "manager_change" if set(changes) == {"manager"} else "transfer"
    kind = "promotion" if record.get("transferMode") == "PROMOTION" else kind
    row = _event(kind, record, record["effectiveAt"])
    for what in ("department", "position", "manager"):
        before, after = changes.get(what, (None, None))
        if what == "manager":
            before, after = _number_of(before, beside), _number_of(after, beside)
        row |= {f"from_{what}": before, f"to_{what}": after}
    # one person may move twice on one day: the target tells them apart
    target = f"{row['to_department']}:{row['to_position']}:{row['to_manager']}"
    reasons = record.get("transferReasonDetails") or []
    return {
        **row,
        "event": f"{row['event']}:{target}",
        "reason": ",".join(map(str, reasons)) or None,
    }


def units(unit: Json, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Return a department with its head as an employee number; -1 is the vendor's word for none."""
    parent = unit.get("parentId")
    yield {
        **unit,
        "parent": None if str(parent) == "-1" else parent,
        "head": _number_of(unit.get("principalStaffId"), beside),
        "SnapshotDay": days(beside)[1].isoformat(),
    }


# --- mappings -----------------------------------------------------------------------------


def _at(name: str) -> ColumnMapping:
    return ColumnMapping(source=name, time_zone="Asia/Shanghai")


_ROSTER = {
    "snapshot_date": column("SnapshotDay"),
    "employee_id": column("staffNo"),
    "source_user_id": column("staffId"),
    "display_name": column("staffName"),
    "work_email_hash": ColumnMapping(sql='lower(trim("workEmail"))', hash=True),
    "department_id": column("departmentId"),
    "position_id": column("positionId"),
    "position_name": column("positionName"),
    "grade": column("grade"),
    "manager_employee_id": column("manager"),
    "is_people_manager": column("leads"),
    "employment_type": column(
        "staffType",
        values={
            **{"FULLTIME": "full", "PARTTIME": "part", "INTERSHIP": "intern"},
            **{"TEMPORARY": "temp", "EXPATRIATE": "expat", "REHIRE_RETIREMENT": "rehired"},
        },
    ),
    "employment_status": column("status"),
    "hire_date": column("enrollInDate"),
    "last_work_date": column("lastWorkDay"),
    "termination_date": column("leaveDate"),
    "location": column("companySiteName"),
    "valid_from": column("ValidFrom"),
    "valid_to": column("ValidTo"),
    "source_updated_at": _at("changed"),
}
_EVENTS = {
    "event_id": column("event"),
    "employee_id": column("who"),
    "event_type": column("kind"),
    "effective_date": column("at"),
    "from_department": column("from_department"),
    "to_department": column("to_department"),
    "from_position": column("from_position"),
    "to_position": column("to_position"),
    "from_manager": column("from_manager"),
    "to_manager": column("to_manager"),
    "is_voluntary": column("voluntary"),
    "reason_code": column("reason"),
}
_UNITS = {
    "snapshot_date": column("SnapshotDay"),
    "org_id": column("id"),
    "parent_id": column("parent"),
    "name": column("name"),
    "head_employee_id": column("head"),
    "status": column("departmentStatus"),
}


def _mapping(stream: str, columns: dict[str, ColumnMapping], *ignore: str) -> StreamMapping:
    return StreamMapping(stream, {"format": api.FORMAT}, None, columns, ignore)


_HR, _MOVES, _ORG = "hr_roster", "employment_events", "org_units"
_JOBS = partial(_by_people, "employmentRecords", _JOB, {})
SYSTEM = System(
    client=_client,
    judge=_judge,
    endpoints=(
        Endpoint("ids", _ids, "data", beside=(_HR, _MOVES, _ORG)),
        Endpoint("people", _people, "data", streams=(_HR, _MOVES), beside=(_ORG,)),
        Endpoint("superiors", _superiors, "data", beside=(_HR,)),
        Endpoint("jobs", _JOBS, "data", beside=(_HR,)),
        Endpoint("leavers", _leavers, "data", streams=(_MOVES,), beside=(_HR,)),
        Endpoint("positives", _positives, "data", streams=(_MOVES,)),
        Endpoint("transfers", _transfers, "data", streams=(_MOVES,)),
        Endpoint("rejoined", _rejoined, "data", beside=(_MOVES,)),
        Endpoint("organizations", _organizations, "data", streams=(_ORG,), beside=(_HR,)),
    ),
)
CONNECTOR = api.connector(
    name="ihr360",
    title="i人事 (iHR360)",
    reads="everybody's jobs, what was entered in the month about hires and moves, departments",
    system=SYSTEM,
    defaults={
        _HR: _mapping(_HR, _ROSTER),
        _MOVES: _mapping(_MOVES, _EVENTS),
        _ORG: _mapping(_ORG, _UNITS, "parentId", "principalStaffId"),
    },
    unfold={_HR: roster, _MOVES: events, _ORG: units},
    snapshots=(_HR, _ORG),
    options=("backdate", "batch", "per_second", "report_to", "url"),
)
