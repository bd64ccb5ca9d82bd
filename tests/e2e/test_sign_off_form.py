"""HR signs in Airflow's form: under the real scheduler a final release waits, and is not held."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import tiny

from perfhouse import embedded, ledger, release, sign_off_answer, signing, stages, verify
from perfhouse.month import Month

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.nightly]
SEPTEMBER, OCTOBER = Month("2026-09"), Month("2026-10")
# The deputies' turn comes after 36 seconds, and the end after 72.
SIGN_OFF = """
[sign_off]
approvers = ["hr.lead"]
deputies = ["hr.deputy"]
deadline_hours = 0.02
deputy_after_hours = 0.01
"""
_WAIT = 240.0


@dataclass
class World:
    """An Airflow at work, and what it works on."""

    ws: stages.Workspace
    airflow: embedded.Airflow

    def start(self, run_id: str) -> str:
        body = {"dag_run_id": run_id, "logical_date": None, "partition_key": SEPTEMBER.key}
        told = {**body, "conf": {"as_of": OCTOBER.key}}
        self.airflow.api.post("/api/v2/dags/publish/dagRuns", told)
        return run_id

    def run(self, run_id: str) -> str:
        return str(self.airflow.api.get(f"/api/v2/dags/publish/dagRuns/{run_id}")["state"])

    def tasks(self, run_id: str) -> dict[str, str]:
        path = f"/api/v2/dags/publish/dagRuns/{run_id}/taskInstances"
        return {t["task_id"]: t["state"] for t in self.airflow.api.get(path)["task_instances"]}

    def until_asked(self, run_id: str, task_id: str = "sign_off") -> dict[str, Any]:
        """Wait until a form is open; return it."""
        until(lambda: self.tasks(run_id).get(task_id) == "awaiting_input", run_id)
        time.sleep(10.0)  # read it first: Airflow may lose what comes at once (docs/sign-off.md)
        found = self.airflow.api.get(form(run_id, task_id))
        assert isinstance(found, dict)
        return found

    def until_over(self, run_id: str) -> str:
        until(lambda: self.run(run_id) in ("success", "failed"), run_id)
        return self.run(run_id)

    def answer(self, login: str, run_id: str, choice: str, reason: str, task_id: str) -> int:
        """Answer a form as somebody who logged in; return the code of HTTP."""
        word = embedded.password(self.ws.home, login)
        _, token = self._send("POST", "/auth/token", {"username": login, "password": word})
        said = {"chosen_options": [choice], "params_input": {"reason": reason}}
        code, _ = self._send("PATCH", form(run_id, task_id), said, str(token["access_token"]))
        return code

    def _send(
        self, method: str, path: str, body: object, token: str = ""
    ) -> tuple[int, dict[str, Any]]:
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        text = json.dumps(body).encode()
        asked = Request(self.airflow.url + path, text, headers, method=method)
        try:
            with urlopen(asked) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, {}

    def log(self, run_id: str) -> str:
        folder = self.airflow.root / "logs" / "dag_id=publish" / f"run_id={run_id}"
        return "".join(file.read_text("utf-8") for file in sorted(folder.rglob("*.log")))


def form(run_id: str, task_id: str) -> str:
    return f"/api/v2/dags/publish/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"


def until(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _WAIT
    while not reached():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def answers(ws: stages.Workspace) -> list[tuple[str, str, str, str]]:
    found = ledger.lines(ledger.ledger_path(ws.home))
    records = [line for line in found if isinstance(line, ledger.Record)]
    return [(line.what["answer"], line.what["as"], line.who, line.why) for line in records]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("sign_off")
    for month in (SEPTEMBER, OCTOBER):
        tiny.deliver(root / "data", month.key)
    toml = tiny.company(root / "company") / "perfhouse.toml"
    toml.write_text(toml.read_text("utf-8") + SIGN_OFF, encoding="utf-8")
    where = ("--company", toml.parent, "--data", root / "data", "--home", root / "home")
    landed = tiny.perfhouse("ingest", *where, "--month", OCTOBER)
    assert landed.returncode == 0, landed.stderr
    stopped = tiny.perfhouse("run", *where, "--month", SEPTEMBER, "--as-of", OCTOBER)
    assert stopped.returncode == 10, stopped.stderr
    assert "nothing was published" in stopped.stderr
    ws = stages.open_workspace(toml.parent, root / "data", root / "home")
    said: list[str] = []
    with embedded._alone(ws.home), embedded._airflow(ws, None, said.append) as airflow:
        yield World(ws, airflow)


def test_a_final_release_waits_is_refused_times_out_and_goes_out_when_it_is_signed(
    world: World,
) -> None:
    """One story, for each start of Airflow and each wait costs half a minute."""
    ws = world.ws

    # Refused: by an approver alone, and nothing is half published.
    first = world.start("refused")
    asked = world.until_asked(first)
    assert "Sign off 2026-09.r1" in asked["subject"]
    assert "质量门 / Gate" in asked["body"]
    assert not [name for name in ("MA", "MB", "陈静", "A1") if name in asked["body"]]
    for login in ("admin", "hr.deputy"):
        assert world.answer(login, first, "Approve", "", "sign_off") == 403
    assert world.answer("hr.lead", first, "Reject", "Ask the survey desk", "sign_off") == 200
    assert world.until_over(first) == "failed"
    assert answers(ws) == [("refused", "approver", "hr.lead", "Ask the survey desk")]
    assert "hr.lead refused: Ask the survey desk; nothing was published" in world.log(first)
    assert release.latest(ws.home, SEPTEMBER) is None
    assert not list((ws.home.published / ".staging").glob("*"))

    # Nobody answers: the deputies' turn, then the end.
    second = world.start("nobody")
    world.until_asked(second)
    world.until_asked(second, "sign_off_by_deputy")
    assert world.until_over(second) == "failed"
    assert answers(ws)[1:] == [("refused", "nobody", "nobody", "no answer within 0.02 hours")]
    assert release.latest(ws.home, SEPTEMBER) is None

    # The approver hands over, the deputy signs: it goes out while another run waits for a person.
    waiting, third = world.start("waiting"), world.start("signed")
    world.until_asked(waiting)
    world.until_asked(third)
    assert world.answer("hr.lead", third, "Deputy", "", "sign_off") == 200
    world.until_asked(third, "sign_off_by_deputy")
    said = "张伟 and I have read it"
    assert world.answer("hr.deputy", third, "Approve", said, "sign_off_by_deputy") == 200
    assert world.until_over(third) == "success"
    assert answers(ws)[2:] == [("approved", "deputy", "hr.deputy", sign_off_answer.WITHHELD)]
    released = release.latest(ws.home, SEPTEMBER)
    assert released is not None
    assert release.describe(released)["sign_off"]["line"]
    keys = signing.public_keys([], ws.home.published)
    assert verify.verify(ws.home.published, None, keys).problems == ()

    # A deadline takes no signature back, and what is signed needs no second one.
    assert world.until_over(waiting) == "success"
    again = world.start("again")
    assert world.until_over(again) == "success"
    assert world.tasks(again)["ask"] == "skipped"
    assert len(answers(ws)) == 3
    assert [each.name for each in release.releases(ws.home)] == ["2026-09.r1"]
    made = tiny.perfhouse("reproduce", "2026-09.r1", "--home", ws.home.root)
    assert made.returncode == 0, made.stdout
