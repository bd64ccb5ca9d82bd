"""Logins of a deployment, and what each may ask its API. Test material."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from connectors.http import Client
from perfhouse.roles import APPROVER, ENGINEER, VIEWER

ROLE_OF = {
    "engineer": ENGINEER,
    "hr.lead": APPROVER,
    "hr.second": APPROVER,
    "hr.other": APPROVER,
    "viewer": VIEWER,
}
IDS = {login: number for number, login in enumerate(ROLE_OF, 2)}  # 1 is the first Admin
_WORDS = {login: f"{login}-{login}-{login}" for login in ROLE_OF}
_ALL = {ENGINEER, APPROVER, VIEWER}
_TASK = "/api/v2/dags/publish/dagRuns/none/taskInstances"
_BACKFILL = {
    "dag_id": "ingest_desk",
    "from_date": "2026-08-01T00:00:00Z",
    "to_date": "2026-09-01T00:00:00Z",
}
_ANSWER = {"chosen_options": ["Approve"], "params_input": {}}
_RUN = {"logical_date": None, "conf": {}}  # without a month: refused by the DAG, not by the right
# method, path, body, and whom it is not forbidden to
CALLS: tuple[tuple[str, str, object, set[str]], ...] = (
    ("GET", "/api/v2/dags/publish", None, _ALL),
    ("GET", "/api/v2/dags/publish/dagRuns", None, _ALL),
    ("GET", "/api/v2/dags/~/dagRuns/~/hitlDetails", None, _ALL),
    ("GET", "/api/v2/dags/transform", None, {ENGINEER, VIEWER}),
    ("GET", "/api/v2/dags/transform/dagRuns", None, {ENGINEER, VIEWER}),
    ("GET", "/api/v2/assets", None, {ENGINEER, VIEWER}),
    ("GET", f"{_TASK}/publish/logs/1", None, {ENGINEER, VIEWER}),
    ("PATCH", f"{_TASK}/sign_off/-1/hitlDetails", _ANSWER, {APPROVER}),
    ("PATCH", "/api/v2/dags/publish", {"is_paused": False}, {ENGINEER}),
    ("POST", "/api/v2/dags/none/dagRuns", _RUN, {ENGINEER}),
    ("POST", "/api/v2/dags/publish/clearTaskInstances", {"task_ids": ["ask"]}, {ENGINEER}),
    ("POST", "/api/v2/backfills/dry_run", _BACKFILL, {ENGINEER}),
    ("POST", "/api/v2/assets/events", {"asset_id": 999, "extra": {}}, {ENGINEER}),
    ("GET", "/api/v2/dagSources/publish", None, {ENGINEER}),
    ("GET", "/api/v2/importErrors", None, {ENGINEER}),
    ("GET", f"{_TASK}/ask/xcomEntries", None, {ENGINEER}),
    ("POST", f"{_TASK}/sign_off/xcomEntries", {"key": "k", "value": 1}, set()),
    ("DELETE", "/api/v2/dags/none", None, set()),
    ("DELETE", "/api/v2/dags/publish/dagRuns/none", None, set()),
    ("GET", "/api/v2/connections", None, set()),
    ("GET", "/api/v2/connections/perfhouse_mart", None, set()),
    ("POST", "/api/v2/connections", {"connection_id": "x", "conn_type": "http"}, set()),
    ("GET", "/api/v2/variables", None, set()),
    ("GET", "/api/v2/config", None, set()),
    ("GET", "/auth/fab/v1/users", None, set()),
    ("GET", "/auth/fab/v1/roles", None, set()),
)  # fmt: skip


def call(
    url: str, method: str, path: str, body: object = None, token: str = ""
) -> tuple[int, dict[str, Any]]:
    """Ask a server; return the code of HTTP and the answer."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    text = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url + path, text, headers, method=method), timeout=120) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except HTTPError as error:
        return error.code, {}


def verdict(code: int) -> bool:
    """Say whether a code of HTTP lets one in; what is not there was not forbidden."""
    assert code < 500, code
    assert code != 401
    return code != 403


def expected(who: set[str], login: str) -> bool:
    return ROLE_OF[login] in who


def make(url: str, admin_password: str) -> None:
    """Make the logins as an Admin does, through Airflow's API."""
    made = call(url, "POST", "/auth/token", {"username": "admin", "password": admin_password})
    token = made[1]["access_token"]
    for login, role in ROLE_OF.items():
        body = {
            "username": login, "email": f"{login}@example.com", "first_name": login,
            "last_name": login, "password": _WORDS[login], "roles": [{"name": role}],
        }  # fmt: skip
        code, _ = call(url, "POST", "/auth/fab/v1/users", body, token)
        assert code in (200, 201), code
    _WORDS["admin"] = admin_password


def token(url: str, login: str) -> str:
    body = {"username": login, "password": _WORDS[login]}
    code, said = call(url, "POST", "/auth/token", body)
    assert code == 201, code
    return str(said["access_token"])


def until(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 300
    while not reached():
        assert time.monotonic() < end, what
        time.sleep(1)


def until_asked(api: Client, run_id: str) -> str:
    """Wait until the form of a run of `publish` is open; return where it is answered."""
    tasks = f"/api/v2/dags/publish/dagRuns/{run_id}/taskInstances"

    def is_open() -> bool:
        states = {t["task_id"]: t["state"] for t in api.get(tasks)["task_instances"]}
        return states.get("sign_off") == "awaiting_input"

    until(is_open, "a form")
    time.sleep(10)  # read it first: Airflow may lose what comes at once (docs/sign-off.md)
    return f"{tasks}/sign_off/-1/hitlDetails"
