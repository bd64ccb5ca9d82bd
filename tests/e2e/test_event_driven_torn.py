"""Every way of arriving, doubled and out of order, while each part of Airflow is killed in turn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import arriving
import pytest
import tiny
from servers import process

from connectors.queues import Inbox
from perfhouse import clock, reconcile, release, stages
from perfhouse.month import Month
from perfhouse.settings import environment

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.server, pytest.mark.nightly),
    pytest.mark.timeout(1800),
]
LAST = Month.of(clock.now().date()).plus(-1)
BEFORE = LAST.plus(-1)
QUEUE = '[arrivals.queue]\nconnection = "events"\nname = "drops"\n'


@dataclass(frozen=True)
class Torn:
    """What stands in the end, under Airflow and by plain runs of the same deliveries."""

    world: arriving.World
    released: dict[str, str]
    plain: dict[str, str]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = process.free_port()
    folder = tmp_path_factory.mktemp("redis")
    server = process.program("redis-server", package="redis-server")
    command = [str(server), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    ready = process.listening(port)
    with process.start("redis", command, ready=ready, log=folder / "redis.log"):
        yield f"redis://127.0.0.1:{port}/0"


def tell(source: str, month: Month, times: int = 1) -> None:
    """Put messages into the queue, as a system that delivers does."""
    inbox = Inbox("events", "drops")
    for _ in range(times):
        inbox.put({"source": source, "month": month.key})
    inbox.close()


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory, redis: str) -> Iterator[Torn]:
    """`desk` is watched, `survey` tells by messages, `hr` calls."""
    ws = arriving.company(tmp_path_factory.mktemp("torn"), "desk", more=QUEUE)
    first = ws.data.with_name("first")
    quick = {  # a task that was killed with its scheduler is missed after five minutes by default
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "PERFHOUSE_URL_EVENTS": redis,
    }
    with environment(quick), arriving.serving(ws) as it:
        _out_of_order(it)
        it.until("the month before", lambda: it.released(BEFORE))
        tell("survey", LAST, times=2)
        it.kill("scheduler")
        it.until("the last month", lambda: it.released(LAST))
        shutil.copytree(ws.data, first)
        before = it.released(LAST)
        _corrected(ws.data)
        tell("survey", LAST)
        it.kill("triggerer")
        it.until("its correction", lambda: it.released(LAST) != before)
        it.until("all runs", lambda: not it.active())
        names = {each.name: each.sha256 for each in release.releases(ws.home)}
        yield Torn(it, names, _plainly(ws, first))


def _out_of_order(it: arriving.World) -> None:
    """The last month begins to arrive, then the whole month before, of which nobody hears."""
    data = it.ws.data
    tiny.deliver(data, LAST.key)
    it.kill("triggerer")
    it.until("the watched source", lambda: "desk" in it.landed(LAST))
    it.call("hr", LAST)
    it.call("hr", LAST)
    it.kill("api-server")
    it.until("the one that called", lambda: it.landed(LAST) >= {"desk", "hr"})
    it.pause("transform", paused=True)
    it.pause("arrivals", paused=True)
    tell("survey", BEFORE, times=2)
    tiny.deliver(data, BEFORE.key)
    it.call("hr", BEFORE)
    it.kill("dag-processor")
    it.until("all of it, healed", lambda: len(it.landed(BEFORE)) == 3)
    it.kill("scheduler")
    it.pause("arrivals", paused=False)
    it.pause("transform", paused=False)


def _corrected(data: Path) -> None:
    file = data / "survey" / LAST.key / "answers.csv"
    file.write_text(file.read_text("utf-8").replace(",1,", ",5,"), encoding="utf-8")


def _plainly(ws: stages.Workspace, first: Path) -> dict[str, str]:
    home = ws.home.root.with_name("plain")
    early = stages.open_workspace(ws.company.folder, first, home)
    found = [stages.run(early, month, progress=str).release for month in (BEFORE, LAST)]
    late = stages.open_workspace(ws.company.folder, ws.data, home)
    found.append(stages.run(late, LAST, progress=str).release)
    return {each.name: each.sha256 for each in found}


def test_the_releases_are_those_of_plain_runs_to_the_byte(torn: Torn) -> None:
    assert torn.released == torn.plain
    assert sorted(torn.released) == sorted([f"{BEFORE}.r1", f"{LAST}.r1", f"{LAST}.r2"])


def test_nothing_is_left_to_do(torn: Torn) -> None:
    ws = torn.world.ws
    assert reconcile.everything(ws, clock.today(ws.company)) == []


def test_no_message_is_left_in_the_queue(torn: Torn, redis: str) -> None:
    with environment({"PERFHOUSE_URL_EVENTS": redis}):
        inbox = Inbox("events", "drops")
        torn.world.until("an empty queue", lambda: inbox.take() is None)
        inbox.close()


def test_every_run_came_to_an_end(torn: Torn) -> None:
    states = {state for dag_id, _, state in torn.world.runs() if dag_id != "reconcile"}
    assert states == {"success"}
