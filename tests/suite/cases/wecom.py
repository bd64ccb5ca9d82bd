"""WeCom as its documentation tells it: HTTP 200 with an errcode, a token in the query, contacts."""

from __future__ import annotations

from collections.abc import Sequence

from suite.kit import SECRET, Case, Exchange, Record, Reply

PAGE = 10  # members of one department
TOKEN = f"tok-{SECRET}"


def world(count: int) -> list[Record]:
    return [
        {
            "userid": f"user{n:05d}",
            "name": f"张{n}",
            "department": [2 + n // PAGE],
            "order": [n],
            "position": ("客服专员", "Team Lead")[n % PAGE == 0],
            "is_leader_in_dept": [int(n % PAGE == 0)],
            "direct_leader": [f"user{n // PAGE * PAGE:05d}"] if n % PAGE else [],
            "main_department": 2 + n // PAGE,
            "status": 1,
            "alias": "",
            "extattr": {"attrs": [{"type": 0, "name": "工号", "text": {"value": f"E{n:05d}"}}]},
        }
        for n in range(count)
    ]


def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
    path, query = exchange.path.removeprefix("/cgi-bin/"), exchange.query
    if path == "gettoken":
        if query.get("corpid") != "ww1" or query.get("corpsecret") != SECRET:
            return _said(40001, "invalid credential")
        return _said(0, "ok", access_token=TOKEN, expires_in=7200)
    if query.get("access_token") != TOKEN:
        return _said(40014, "invalid access_token")
    numbers = range(1, 2 + (len(records) + PAGE - 1) // PAGE)
    if path == "department/list":
        units = [
            {
                "id": n,
                "name": f"部门{n}",
                "parentid": int(n > 1),
                "order": n,
                "department_leader": [],
            }
            for n in numbers
        ]
        return _said(0, "ok", department=units)
    if path == "user/list":
        at = (int(query["department_id"]) - 2) * PAGE
        return _said(0, "ok", userlist=list(records[at : at + PAGE]) if at >= 0 else [])
    return Reply({"error": "no such path"}, 404)


def _said(errcode: int, errmsg: str, **more: object) -> Reply:
    return Reply({"errcode": errcode, "errmsg": errmsg, **more})


def key(record: Record) -> list[tuple[str, ...]]:
    return [(record["extattr"]["attrs"][0]["text"]["value"],)]


def without_userid(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "userid"}


CASE = Case(
    connector="wecom",
    source="""
[[sources]]
id = "it"
connector = "wecom"
connection = "it"
owner = "HR <hr@corp.example>"
employee_no_attribute = "工号"
backdate = true

[[sources.streams]]
stream = "hr_roster"

[[sources.streams]]
stream = "source_users"

[[sources.streams]]
stream = "org_units"
""",
    connection=f"http://ww1:{SECRET}@{{host}}:{{port}}",
    stream="hr_roster",
    world=world,
    answer=answer,
    key=key,
    key_columns=("employee_id",),
    main="/user/list",
    page_size=PAGE,
    required=without_userid,
    repeats=False,
)
