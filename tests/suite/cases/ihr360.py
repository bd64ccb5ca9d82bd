"""i人事's open platform as public copies of its manual tell it: envelopes, pages, batches."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from suite.kit import SECRET, Case, Exchange, Record, Reply

API = "/openapi/thirdparty/api"
PAGE = 50  # ids in one answer


def world(count: int) -> list[Record]:
    return [_person(n) for n in range(count)]


def _person(n: int) -> Record:
    """A person in the shape of the manual's example, private matters included."""
    gone = n % 10 == 9
    return {
        "staffId": f"{n:08d}-cd8f-40d1-ae73-7cb4edac6018",
        "staffNo": f"FN{n:06d}",
        "staffName": f"刘云{n}",
        "nickName": None,
        "englishName": None,
        "mobileNo": f"1335555{n:04d}",
        "email": f"cloud{n}@private.example",
        "workEmail": f"liu.{n}@corp.example",
        "workPhone": None,
        "staffStatus": "QUIT" if gone else "IN_SERVICE",
        "idCardType": "OTHER",
        "idCardNo": "PRIVATE-35044266668888",
        "departmentId": n % 3,
        "departmentName": "客服部",
        "positionId": None,
        "positionName": "客服专员",
        "sex": "MALE",
        "staffImageId": "e9093f9c-890e-48a7-912e-2e61641d36e3",
        "staffType": "FULLTIME",
        "marryStatus": "UNMARRIED",
        "highestEducation": "UNDER_GRADUATE",
        "workPlace": "上海",
        "birthday": "1990-07-01",
        "contractBeginDate": "2015-07-01",
        "contractEndDate": "2018-06-30",
        "enrollInDate": f"2025-07-{1 + n % 28:02d}",
        "leaveDate": "2026-09-20" if gone else None,
        "probationEndDate": "2025-09-30",
        "createdDate": "2025-07-01 19:22:00",
        "lastUpdateDate": None,
    }


def job(person: Record) -> Record:
    return {
        "staffId": person["staffId"],
        "staffName": "x",
        "departmentId": str(person.get("departmentId")),
        "departmentName": "客服部",
        "positionId": "pos-1",
        "positionName": "客服专员",
        "jobTitleId": None,
        "jobTitleName": None,
        "positionGradeId": "g",
        "positionGradeName": "P5",
        "employBeginDate": "2025-07-01",
        "employEndDate": None,
        "employType": 1,
        "source": 2,
        "operatorId": "op",
        "operatorName": "系统",
    }


UNITS = [
    {
        "uuid": f"unit-{n}",
        "id": n,
        "name": f"部门{n}",
        "parentId": n - 1,
        "type": "DEPARTMENT",
        "principalStaffId": None,
        "departmentStatus": "ENABLE",
        "lastUpdate": None,
        "createdDate": 1733108100000,
    }
    for n in range(3)
]


def _ok(data: Any) -> Reply:
    return Reply({"code": 0, "message": "OK", "data": data, "errorResult": False})


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    if exchange.path == "/openapi/oauth/token":
        wanted = base64.b64encode(f"app:{SECRET}".encode()).decode()
        if exchange.headers.get("authorization") != f"Basic {wanted}":
            return Reply({"error": "unauthorized", "error_description": "bad credentials"}, 401)
        return Reply(
            {"access_token": f"token-{SECRET}", "token_type": "bearer", "expires_in": 7199}
        )
    if exchange.headers.get("authorization") != f"Bearer token-{SECRET}":
        return Reply({"error": "invalid_token", "error_description": "Access token expired"}, 401)
    path = exchange.path.removeprefix(f"{API}/")
    if path == "staff/v1/staffs/ids":
        return _ok(_ids(exchange, records))
    if path.endswith("/detail"):
        return _ok(_detail(path.split("/")[3], records))
    return _lists(path, exchange, records)


def _ids(exchange: Exchange, records: Sequence[Record]) -> Record:
    status, here = exchange.query["staffStatus"], int(exchange.query["pageNo"]) - 1
    ids = [r["staffId"] for r in records if (r.get("staffStatus") == "QUIT") == (status == "QUIT")]
    pages = max(1, -(-len(ids) // PAGE))
    info = {"pageNo": here + 1, "pageSize": PAGE, "totalCount": len(ids), "totalPages": pages}
    return {"pageInfo": info, "dataList": ids[here * PAGE : (here + 1) * PAGE]}


def _detail(staff: str, records: Sequence[Record]) -> Record:
    person = next(r for r in records if r["staffId"] == staff)
    return {
        "id": staff,
        "staffNo": person.get("staffNo"),
        "idCardNo": "PRIVATE-35044266668888",
        "leaveDate": person.get("leaveDate"),
        "lastWorkDay": person.get("leaveDate"),
        "quitType": "ACTIVE",
        "quitReason": "PRIVATE words",
        "quitReasonType": "FAMILY",
    }


def _lists(path: str, exchange: Exchange, records: Sequence[Record]) -> Reply:
    wanted = exchange.json()
    if path == "staff/v1/staffs/basic":
        return _ok([r for r in records if r["staffId"] in wanted])
    if path in ("staff/v1/superiors", "staff/v1/employmentRecords"):
        if len(wanted["staffIds"]) > 100:
            return Reply({"code": -1, "message": "too many", "errorResult": True})
        chosen = {r["staffId"]: r for r in records if r["staffId"] in wanted["staffIds"]}
        return _ok([job(r) for r in chosen.values()] if path.endswith("Records") else [])
    if path in ("staff/v1/positiveForms/positive", "staff/v1/staffs/reinstatedAdditions"):
        return _ok([])
    if path == "staff/v1/transferWithinInterval":
        return _ok({"pageInfo": {"pageNo": 1, "totalPages": 1}, "dataList": []})
    if path == "org/v1/organizations/search":
        return _ok({"totalPages": 1, "totalElements": 3, "end": True, "content": UNITS})
    return Reply({"code": 404}, 404)


CASE = Case(
    connector="ihr360",
    source="""
[[sources]]
id = "it"
connector = "ihr360"
connection = "it"
owner = "HR <hr@corp.example>"
batch = 40
per_second = 1000
backdate = true
""",
    connection=f"http://app:{SECRET}@{{host}}:{{port}}",
    stream="hr_roster",
    world=world,
    answer=answer,
    key=lambda person: [(person["staffNo"],)],
    key_columns=("employee_id",),
    main="/staffs/basic",
    page_size=40,
    required=lambda person: {k: v for k, v in person.items() if k != "staffNo"},
    fuzzed=("staffId",),
)
