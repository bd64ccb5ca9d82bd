"""The deployment of docker-compose.yml: PostgreSQL, Redis, Celery, Airflow, people with roles."""

from __future__ import annotations

from collections.abc import Iterator

import celery_at_work as celery
import duckdb
import logins
import machine
import psycopg
import pytest
from machine import Machine
from psycopg import sql as words

from connectors.http import Client
from perfhouse import release
from perfhouse.month import Month
from perfhouse.public_tables import PUBLIC_TABLES
from perfhouse.settings import Home

pytestmark = [pytest.mark.server, pytest.mark.e2e, pytest.mark.timeout(1200)]
MONTH = Month("2026-09")


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with celery.deployment(tmp_path_factory.mktemp("celery"), MONTH.key) as it:
        yield it


def test_an_engineer_publishes_a_month(at: Machine) -> None:
    for name in celery.AIRFLOW:
        at.until_well(name, 240)
    with Client(at.url) as api:
        api.authorize(logins.token(at.url, "engineer"))
        expected = {"ingest_desk", "ingest_survey", "ingest_hr"}
        expected |= {"transform", "publish", "reconcile"}
        logins.until(
            lambda: {d["dag_id"] for d in api.get("/api/v2/dags")["dags"]} == expected, "the DAGs"
        )
        board = celery.board(at, api)
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


@pytest.mark.parametrize("login", ["engineer", "hr.lead", "viewer"])
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
