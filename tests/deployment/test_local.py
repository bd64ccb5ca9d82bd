"""The deployment of docker-compose.local.yml: the scheduler runs the tasks; no Celery, no Redis."""

from __future__ import annotations

from collections.abc import Iterator

import logins
import machine
import pytest
import tiny
from machine import Machine

from connectors.http import Client
from perfhouse import processes, release, watch
from perfhouse.month import Month
from perfhouse.settings import Home

pytestmark = [
    pytest.mark.server, pytest.mark.e2e, pytest.mark.nightly, pytest.mark.timeout(900)
]  # fmt: skip
MONTH = Month("2026-09")


@pytest.fixture
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    both = machine.services("docker-compose.yml", "docker-compose.local.yml")
    wanted = {n: s for n, s in both.items() if not s.get("profiles")}
    it = Machine(tmp_path_factory.mktemp("local"), wanted)
    it.make_secrets()
    tiny.company(it.root / "company")
    tiny.deliver(it.root / "data", MONTH.key)
    try:
        it.start_postgres()
        it.start("init")
        processes.finish(it.children.pop("init"), 180)
        for name in set(wanted) - {"init", "postgres"}:
            it.start(name)
        it.until_well("api-server", 240)
        logins.make(it.url, it.secret("airflow_admin_password"))
        yield it
    finally:
        it.stop()


def test_a_month_is_published_without_celery(at: Machine) -> None:
    running = ("api-server", "scheduler", "dag-processor", "triggerer")
    assert {*at.children} == {*running, "postgres"}
    for name in running:
        at.until_well(name, 240)
    with Client(at.url) as api:
        api.authorize(logins.token(at.url, "engineer"))
        logins.until(lambda: len(api.get("/api/v2/dags")["dags"]) == 6, "the DAGs")
        said: list[str] = []
        logs = at.root / "airflow" / "logs"
        board = watch.Board(api, logs, said.append, lambda: processes.check(at.children.values()))
        machine.ingest(api, board, MONTH.key)
        board.until_published({MONTH.key: 1})
    assert [r.name for r in release.releases(Home(at.root / "home"))] == ["2026-09.r1"]
