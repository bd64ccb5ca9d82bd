"""What people are told about runs: changes once, failures with their log and who must act."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from perfhouse import watch


class Server:
    """An Airflow that answers from scenes, one per look."""

    def __init__(self, *scenes: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
        self.scenes = list(scenes)

    def get(self, path: str, params: Any = None) -> Any:
        runs, tasks = self.scenes[0]
        if path.endswith("taskInstances"):
            if len(self.scenes) > 1:
                self.scenes.pop(0)
            found, key = tasks, "task_instances"
        else:
            found, key = runs, "dag_runs"
        page = found[params["offset"] : params["offset"] + params["limit"]]
        return {key: page, "total_entries": len(found)}


def run(dag_id: str, state: str, month: str = "2026-09", run_id: str = "r") -> dict[str, Any]:
    return {
        "dag_id": dag_id, "dag_run_id": run_id, "state": state, "partition_key": month, "conf": {},
    }  # fmt: skip


def task(dag_id: str, task_id: str, state: str, run_id: str = "r") -> dict[str, Any]:
    return {
        "dag_id": dag_id, "dag_run_id": run_id, "task_id": task_id, "state": state,
        "duration": 1.5, "start_date": "2026", "end_date": "2026", "try_number": 1,
    }  # fmt: skip


def board(server: Server, tmp_path: Path) -> tuple[watch.Board, list[str]]:
    said: list[str] = []
    return watch.Board(server, tmp_path, said.append, lambda: None), said


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_POLL_SECONDS", 0.0)


def test_each_change_is_told_once(tmp_path: Path) -> None:
    server = Server(
        ([run("publish", "running")], [task("publish", "publish", "running")]),
        ([run("publish", "running")], [task("publish", "publish", "running")]),
        ([run("publish", "success")], [task("publish", "publish", "success")]),
    )
    it, said = board(server, tmp_path)
    it.until_published({"2026-09": 1})
    assert len(said) == 1
    assert re.search(r"2026-09 +publish +1\.5 s +done$", said[0])


def test_it_waits_for_everything_that_still_runs(tmp_path: Path) -> None:
    server = Server(
        ([run("publish", "success"), run("transform", "queued", "2026-10")], []),
        ([run("publish", "success"), run("transform", "success", "2026-10")], []),
    )
    it, _ = board(server, tmp_path)
    it.until_published({"2026-09": 1})
    assert len(server.scenes) == 1


def test_a_failure_ends_the_wait_with_the_log_and_who_must_act(tmp_path: Path) -> None:
    log = tmp_path / "dag_id=transform" / "run_id=r" / "task_id=gate_raw" / "attempt=1.log"
    log.parent.mkdir(parents=True)
    lines = [
        {"event": "::group::Pre Execute"},
        {"event": "asking the gate"},
        {
            "event": "Task failed with exception",
            "error_detail": [{"exc_type": "GateFailed", "exc_value": "gate raw stopped 2026-09"}],
        },
    ]
    log.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    server = Server(([run("transform", "failed")], [task("transform", "gate_raw", "failed")]))
    it, said = board(server, tmp_path)
    with pytest.raises(watch.RunFailed, match="gate raw stopped 2026-09") as failed:
        it.until_published({"2026-09": 1})
    assert failed.value.who == "data owner"
    assert failed.value.exit_code == 6
    assert "::group" not in str(failed.value)
    assert said[0].endswith("FAILED")


def test_a_redelivery_is_known_by_the_task_behind_the_ingest(tmp_path: Path) -> None:
    for state, expected in (("success", True), ("skipped", False)):
        tasks = [task("ingest_x", "ingest", "success"), task("ingest_x", "redelivered", state)]
        it, _ = board(Server(([run("ingest_x", "success")], tasks)), tmp_path)
        assert it.until_ingested("ingest_x", "r") is expected


def at(entry: dict[str, Any], start: int, end: int) -> dict[str, Any]:
    return {**entry, "start_date": f"2026-10-01T00:{start}Z", "end_date": f"2026-10-01T00:{end}Z"}


def told(state: str, start: int) -> list[dict[str, Any]]:
    return [at(run("notify", state, run_id=f"n{start}"), start, start + 1)]


def test_a_month_waits_for_its_notices_and_lets_them_fail(tmp_path: Path) -> None:
    published = at(run("publish", "success"), 10, 20)
    done = [at(task("publish", "publish", "success"), 11, 15)]
    before = told("success", 12)  # of what was published earlier
    server = Server(
        ([published, *before], done),
        ([published, *before, *told("running", 16)], done),
        ([published, *before, *told("failed", 16)], done),
    )
    it = watch.Board(server, tmp_path, lambda _: None, lambda: None, notices=True)
    it.until_published({"2026-09": 1})
    assert len(server.scenes) == 1


def test_what_a_gate_stopped_is_told_before_the_wait_ends(tmp_path: Path) -> None:
    stopped = at(run("transform", "failed"), 10, 20)
    tasks = [
        at(task("transform", "gate_raw", "failed"), 11, 12),
        at(task("transform", "stopped", "success"), 13, 14),
    ]
    server = Server(
        ([stopped], tasks),
        ([stopped, *told("running", 15)], tasks),
        ([stopped, *told("success", 15)], tasks),
    )
    it = watch.Board(server, tmp_path, lambda _: None, lambda: None, notices=True)
    with pytest.raises(watch.RunFailed, match=r"transform\.gate_raw failed"):
        it.until_published({"2026-09": 1})
    assert len(server.scenes) == 1


def test_other_months_end_before_a_failure_ends_the_wait(tmp_path: Path) -> None:
    failed = at(run("transform", "failed"), 10, 20)
    tasks = [at(task("transform", "gate_raw", "failed"), 11, 12)]
    server = Server(
        ([failed, run("publish", "running", "2026-08", "p")], tasks),
        ([failed, run("publish", "running", "2026-08", "p")], tasks),
        ([failed, run("publish", "success", "2026-08", "p")], tasks),
    )
    it, _ = board(server, tmp_path)
    with pytest.raises(watch.RunFailed, match=r"transform\.gate_raw failed"):
        it.until_published({"2026-09": 1})
    assert len(server.scenes) == 1


def test_what_hangs_beside_a_failure_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LEFT_SECONDS", 0.0)
    tasks = [task("transform", "gate_raw", "failed")]
    hanging = run("publish", "running", "2026-08", "p")
    it, _ = board(Server(([run("transform", "failed"), hanging], tasks)), tmp_path)
    with pytest.raises(watch.RunFailed, match=r"transform\.gate_raw failed"):
        it.until_published({"2026-09": 1})


def test_long_lists_are_read_to_their_end(tmp_path: Path) -> None:
    server = Server(([run("publish", "success", run_id=str(n)) for n in range(250)], []))
    assert len(list(watch.pages(server, "/dagRuns", "dag_runs"))) == 250


def test_a_dead_airflow_ends_the_wait(tmp_path: Path) -> None:
    def dead() -> None:
        raise RuntimeError("the scheduler is gone")

    it = watch.Board(Server(([], [])), tmp_path, lambda line: None, dead)
    with pytest.raises(RuntimeError, match="gone"):
        it.until_published({"2026-09": 1})
