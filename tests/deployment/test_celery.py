"""The deployment of docker-compose.yml: PostgreSQL, Redis, Celery, Airflow, people with roles."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import logins
import machine
import psycopg
import pytest
import tiny
from machine import Machine
from psycopg import sql as words

from connectors.http import Client
from perfhouse import ledger, processes, release, watch
from perfhouse.month import Month
from perfhouse.public_tables import PUBLIC_TABLES
from perfhouse.settings import Home

pytestmark = [pytest.mark.server, pytest.mark.e2e, pytest.mark.timeout(1200)]
AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
MONTH, NEXT = Month("2026-09"), Month("2026-10")
COMPANY = f"""
[mart]
connection = "perfhouse_mart"
[sign_off]
approvers = ["hr.lead", "hr.second"]
[sign_off.airflow_ids]
"hr.lead" = "{logins.IDS["hr.lead"]}"
"hr.second" = "{logins.IDS["hr.second"]}"
"""


def _mart(at: Machine) -> None:
    """Install a mart as docs/mart.md says: a database, the login that publishes, an analyst."""
    password = words.Literal(at.secret("postgres_password"))
    with psycopg.connect(at.mart("airflow").replace("/mart", "/airflow"), autocommit=True) as con:
        for login in ("loader", "analyst"):
            role = words.Identifier(login)
            con.execute(words.SQL("create role {} login password {}").format(role, password))
        con.execute("create database mart")
        con.execute("revoke all on database mart from public")
    env = {**os.environ, "AIRFLOW_CONN_PERFHOUSE_MART_ADMIN": at.mart("airflow")}
    command = [Path(sys.executable).with_name("perfhouse"), "mart"]
    for rest in (
        ["migrate"],
        ["grant", "--login", "loader", "--role", "publisher"],
        ["grant", "--login", "analyst", "--role", "analyst"],
    ):
        subprocess.run([*command, *rest], env=env, check=True, capture_output=True)
    with psycopg.connect(at.mart("airflow"), autocommit=True) as con:
        con.execute("grant connect on database mart to perfhouse_publisher, perfhouse_analyst")
    at.put_connections(perfhouse_mart=at.mart("loader"))


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    it = Machine(tmp_path_factory.mktemp("deployment"), machine.services("docker-compose.yml"))
    it.make_secrets()
    toml = tiny.company(it.root / "company") / "perfhouse.toml"
    with toml.open("a", encoding="utf-8") as file:
        file.write(COMPANY)
    tiny.deliver(it.root / "data", MONTH.key)
    try:
        it.start_postgres()
        it.start_redis()
        _mart(it)
        it.start("init")
        processes.finish(it.children.pop("init"), 180)
        for name in AIRFLOW:
            it.start(name)
        it.until_well("api-server", 240)
        logins.make(it.url, it.secret("airflow_admin_password"))
        yield it
    finally:
        it.stop()


def _board(at: Machine, api: Client) -> watch.Board:
    said: list[str] = []
    logs = at.root / "airflow" / "logs"
    return watch.Board(api, logs, said.append, lambda: processes.check(at.children.values()))


def test_an_engineer_publishes_a_month(at: Machine) -> None:
    for name in AIRFLOW:
        at.until_well(name, 240)
    with Client(at.url) as api:
        api.authorize(logins.token(at.url, "engineer"))
        expected = {"ingest_desk", "ingest_survey", "ingest_hr"}
        expected |= {"transform", "publish", "reconcile"}
        logins.until(
            lambda: {d["dag_id"] for d in api.get("/api/v2/dags")["dags"]} == expected, "the DAGs"
        )
        board = _board(at, api)
        machine.ingest(api, board, MONTH.key)
        board.until_published({MONTH.key: 1})
    assert [r.name for r in release.releases(Home(at.root / "home"))] == ["2026-09.r1"]


def test_an_analyst_reads_in_the_mart_what_dbt_built_and_was_released(at: Machine) -> None:
    """Every table of the release is there, value by value, but for the types of PostgreSQL."""
    published = Home(at.root / "home").published / "scorecards.duckdb"
    with (
        duckdb.connect(str(published), read_only=True) as released,
        psycopg.connect(at.mart("analyst")) as analyst,
    ):
        compared = 0
        for table in PUBLIC_TABLES:
            reading = words.SQL("select * from perfhouse.{}").format(words.Identifier(table.name))
            cursor = analyst.execute(reading)
            columns = [c.name for c in cursor.description or ()]
            rows = released.execute(f"select {', '.join(columns)} from {table.name}").fetchall()
            assert sorted(map(repr, cursor.fetchall())) == sorted(map(repr, rows)), table.name
            compared += len(rows)
    assert compared > 20


@pytest.mark.parametrize("login", logins.ROLE_OF)
def test_a_login_may_do_what_its_role_says_and_no_more(at: Machine, login: str) -> None:
    token = logins.token(at.url, login)
    found = {
        f"{method} {path}": logins.call(at.url, method, path, body, token)[0]
        for method, path, body, _ in logins.CALLS
    }
    expected = {
        f"{method} {path}": logins.expected(who, login) for method, path, _, who in logins.CALLS
    }
    assert {asked: logins.verdict(code) for asked, code in found.items()} == expected


def test_a_stranger_gets_nothing(at: Machine) -> None:
    assert logins.call(at.url, "GET", "/api/v2/dags")[0] == 401
    wrong = {"username": "engineer", "password": "wrong"}
    assert logins.call(at.url, "POST", "/auth/token", wrong)[0] == 401


def test_no_secret_is_in_a_log_and_a_task_has_none_of_the_metadata(at: Machine) -> None:
    values = {at.secret(f.name).removeprefix("requirepass ") for f in at.secrets.iterdir()}
    values.discard("{}")
    logs = [*at.root.glob("*.log"), *(at.root / "airflow" / "logs").rglob("*.log")]
    assert len(logs) > 10
    for log in logs:
        text = log.read_text(encoding="utf-8", errors="replace")
        assert not [v for v in values if v in text], log.name
    worker = " ".join(at.environment("worker").values())
    assert not [n for n in ("airflow_database", "jwt_secret", "fernet", "admin") if n in worker]


@pytest.mark.nightly  # waits for forms and two more builds
def test_a_final_release_waits_for_the_approver_it_names(at: Machine) -> None:
    home = Home(at.root / "home")
    tiny.deliver(at.root / "data", NEXT.key)
    with Client(at.url) as api:
        api.authorize(logins.token(at.url, "engineer"))
        board = _board(at, api)
        machine.ingest(api, board, NEXT.key)
        board.until_published({NEXT.key: 1})
        body = {"logical_date": None, "partition_key": MONTH.key, "conf": {"as_of": NEXT.key}}
        api.post("/api/v2/dags/transform/dagRuns", body)
        form = logins.until_asked(api)
    say = {"chosen_options": ["Approve"], "params_input": {"reason": "Read, in order"}}
    answers = {
        login: logins.call(at.url, "PATCH", form, say, logins.token(at.url, login))[0]
        for login in ("viewer", "engineer", "hr.other", "admin", "hr.lead")
    }
    assert answers == {
        "viewer": 403, "engineer": 403, "hr.other": 403, "admin": 403, "hr.lead": 200,
    }  # fmt: skip
    logins.until(lambda: len(release.releases(home)) == 3, "the signed release")
    lines = [x for x in ledger.lines(ledger.ledger_path(home)) if isinstance(x, ledger.Record)]
    assert [(x.what["answer"], x.who) for x in lines] == [("approved", "hr.lead")]


@pytest.mark.nightly  # each check has its patience
def test_a_health_check_goes_red_when_its_process_hangs(at: Machine) -> None:
    """Stopped, not ended: a process that is gone is seen by Docker without a check."""
    sessions = {name: child.process.pid for name, child in at.children.items()}
    assert set(sessions) == {*AIRFLOW, "postgres", "redis"}
    for name in AIRFLOW:
        assert at.is_well(name)[0], name
    try:
        for name in (*AIRFLOW, "redis"):
            for pid in processes._members({sessions[name]}):
                os.kill(pid, signal.SIGSTOP)
        time.sleep(35)  # a job counts as dead 30 s after its last heartbeat
        red = {name: not at.is_well(name)[0] for name in (*AIRFLOW, "redis")}
        for pid in processes._members({sessions["postgres"]}):
            os.kill(pid, signal.SIGSTOP)
        red["postgres"] = not at.is_well("postgres")[0]
    finally:
        for pid in processes._members(set(sessions.values())):
            os.kill(pid, signal.SIGCONT)
    assert red == dict.fromkeys((*AIRFLOW, "redis", "postgres"), True)
