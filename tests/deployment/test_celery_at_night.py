"""What takes longer of the deployment with Celery: a signed release, and checks that go red."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import celery_at_work as celery
import logins
import pytest
import tiny
from machine import Machine

from connectors.http import Client
from perfhouse import ledger, processes, release
from perfhouse.month import Month
from perfhouse.settings import Home

pytestmark = [
    pytest.mark.server, pytest.mark.e2e, pytest.mark.nightly, pytest.mark.timeout(1200)
]  # fmt: skip
MONTH, NEXT = Month("2026-09"), Month("2026-10")
SIGN_OFF = f"""
[sign_off]
approvers = ["hr.lead", "hr.second"]
[sign_off.airflow_ids]
"hr.lead" = "{logins.IDS["hr.lead"]}"
"hr.second" = "{logins.IDS["hr.second"]}"
"""


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with celery.deployment(tmp_path_factory.mktemp("night"), MONTH.key, SIGN_OFF) as it:
        yield it


def _perfhouse(at: Machine, *words: str) -> int:
    """Build at once what would take the DAGs three runs."""
    command = [Path(sys.executable).with_name("perfhouse"), *words]
    env = at.environment("worker") | {"AIRFLOW_CONN_PERFHOUSE_MART": at.mart("loader")}
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode


def test_a_final_release_waits_for_the_approver_it_names(at: Machine) -> None:
    home = Home(at.root / "home")
    tiny.deliver(at.root / "data", NEXT.key)
    assert _perfhouse(at, "ingest", "--month", NEXT.key) == 0
    assert _perfhouse(at, "run", "--month", MONTH.key, "--as-of", NEXT.key) == 10  # not signed
    with Client(at.url) as api:
        api.authorize(logins.token(at.url, "engineer"))
        body = {"dag_run_id": "signed", "logical_date": None, "partition_key": MONTH.key}
        api.post("/api/v2/dags/publish/dagRuns", {**body, "conf": {"as_of": NEXT.key}})
        form = logins.until_asked(api, "signed")
    say = {"chosen_options": ["Approve"], "params_input": {"reason": "Read, in order"}}
    answers = {
        login: logins.call(at.url, "PATCH", form, say, logins.token(at.url, login))[0]
        for login in ("viewer", "engineer", "hr.other", "admin", "hr.lead")
    }
    assert answers == {
        "viewer": 403, "engineer": 403, "hr.other": 403, "admin": 403, "hr.lead": 200,
    }  # fmt: skip
    logins.until(lambda: len(release.releases(home)) == 1, "the signed release")
    lines = [x for x in ledger.lines(ledger.ledger_path(home)) if isinstance(x, ledger.Record)]
    assert [(x.what["answer"], x.who) for x in lines] == [("approved", "hr.lead")]


def test_a_health_check_goes_red_when_its_process_hangs(at: Machine) -> None:
    """Stopped, not ended: a process that is gone is seen by Docker without a check."""
    sessions = {name: child.process.pid for name, child in at.children.items()}
    assert set(sessions) == {*celery.AIRFLOW, "postgres", "redis"}
    for name in celery.AIRFLOW:
        assert at.is_well(name)[0], name
    try:
        for name in (*celery.AIRFLOW, "redis"):
            for pid in processes._members({sessions[name]}):
                os.kill(pid, signal.SIGSTOP)
        time.sleep(35)  # a job counts as dead 30 s after its last heartbeat
        red = {name: not at.is_well(name)[0] for name in (*celery.AIRFLOW, "redis")}
        for pid in processes._members({sessions["postgres"]}):
            os.kill(pid, signal.SIGSTOP)
        red["postgres"] = not at.is_well("postgres")[0]
    finally:
        for pid in processes._members(set(sessions.values())):
            os.kill(pid, signal.SIGCONT)
    assert red == dict.fromkeys((*celery.AIRFLOW, "redis", "postgres"), True)
