"""What the DAGs are doing, told line by line as it happens; a failure is told with its log.

It asks Airflow's REST API and reads its task logs; it starts and changes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from perfhouse import errors
from perfhouse.errors import PerfhouseError

_POLL_SECONDS = 1.5
_QUIET_SECONDS = 10.0
_STUCK_SECONDS = 1800.0
_PAGE = 100
_ACTIVE = ("queued", "running")
_ENDED = ("success", "failed")
# What tells of a run and changes nothing: shown when it was needed, and no failure of the month.
_QUIET, _ANNOUNCE, BESIDE = ("redelivered", "stopped"), ("publish", "stopped"), "notify"
_LEFT_SECONDS = 120.0  # without a move, for what else runs when a month has failed
_SHOWN = {
    "success": "done",
    "failed": "FAILED",
    "up_for_retry": "failed, is tried again",
    "skipped": "not needed",
    "upstream_failed": "not run",
    "awaiting_input": "waits for a person's answer",
}


class Api(Protocol):
    """What is needed of an HTTP client."""

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return a decoded answer."""


class RunFailed(PerfhouseError):
    """A task of a DAG failed; nothing after it ran. Carries who must act on its error."""

    def __init__(self, message: str, kind: str) -> None:
        cause = getattr(errors, kind, None)
        if isinstance(cause, type) and issubclass(cause, PerfhouseError):
            self.who = cause.who
            self.exit_code = cause.exit_code
        super().__init__(message)


def pages(
    api: Api, path: str, key: str, params: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield every entry of a paged list."""
    offset, total = 0, 1
    while offset < total:
        page = api.get(path, {**(params or {}), "limit": _PAGE, "offset": offset})
        total = page["total_entries"]
        offset += _PAGE
        yield from page[key]


class Board:
    """Follows DAG runs: one line per change, a heartbeat when all is quiet, an end on failure."""

    def __init__(
        self,
        api: Api,
        logs: Path,
        echo: Callable[[str], None],
        check: Callable[[], None],
        *,
        notices: bool = False,
    ) -> None:
        self._api = api
        self._logs = logs
        self._echo = echo
        self._check = check
        self._notices = notices
        self._began = time.monotonic()
        self._moved = self._spoke = self._began
        self._told: dict[tuple[str, str, str], str] = {}
        self._runs: dict[tuple[str, str], dict[str, Any]] = {}
        self._tasks: list[dict[str, Any]] = []

    def published(self, month: str) -> int:
        """Count the finished publish runs of a month."""
        return sum(
            run["dag_id"] == "publish" and run["state"] == "success" and _month(run) == month
            for run in self._runs.values()
        )

    def until_published(self, wanted: Mapping[str, int]) -> None:
        """Wait until each month has been published that often, told, and no run of it is left."""
        self._until(
            lambda: (
                all(self.published(month) >= count for month, count in wanted.items())
                and not any(_month(run) in wanted for run in self._active())
                and all(map(self._is_told, wanted))
            )
        )

    def _is_told(self, month: str) -> bool:
        """Say whether notices, if there are any, followed all that a month's runs announced."""
        if not self._notices:
            return True
        runs = [run for run in self._runs.values() if _month(run) == month]
        ids = {(run["dag_id"], run["dag_run_id"]) for run in runs}
        announced = [
            task["end_date"]
            for task in self._tasks
            if (task["dag_id"], task["dag_run_id"]) in ids
            and task["task_id"] in _ANNOUNCE
            and task["state"] == "success"
        ]
        heard = [r["start_date"] for r in runs if r["dag_id"] == BESIDE and r["state"] in _ENDED]
        return max(heard, default="") >= max(announced, default="")

    def until_ingested(self, dag_id: str, run_id: str) -> bool:
        """Wait for one ingest run; True when it announced a re-delivery."""
        key = (dag_id, run_id)
        self._until(lambda: self._runs.get(key, {}).get("state") == "success")
        return self._told.get((*key, "redelivered")) == "success"

    def _until(self, reached: Callable[[], bool]) -> None:
        self._moved = self._spoke = time.monotonic()
        self._look()
        while not reached():
            if time.monotonic() - self._moved > _STUCK_SECONDS:
                raise PerfhouseError(f"nothing moved for {_STUCK_SECONDS / 60:.0f} minutes")
            time.sleep(_POLL_SECONDS)
            self._check()
            self._look()

    def _active(self) -> list[dict[str, Any]]:
        return [run for run in self._runs.values() if run["state"] in _ACTIVE]

    def _look(self) -> None:
        """Ask once what runs and tasks are in which state, tell what changed, stop on failure."""
        self._ask()
        for run in list(self._runs.values()):
            if run["state"] == "failed" and run["dag_id"] != BESIDE:
                self._let_others_end()
                self._fail(run, self._tasks)
        self._beat()

    def _beat(self) -> None:
        if time.monotonic() - self._spoke > _QUIET_SECONDS:
            busy = [self._name(t) for t in self._tasks if t["state"] == "running"]
            self.say(f"... {', '.join(busy) or 'waiting for the scheduler'}")

    def _ask(self) -> None:
        runs = pages(self._api, "/api/v2/dags/~/dagRuns", "dag_runs", {"order_by": "run_after"})
        self._runs = {(run["dag_id"], run["dag_run_id"]): run for run in runs}
        path = "/api/v2/dags/~/dagRuns/~/taskInstances"
        self._tasks = list(pages(self._api, path, "task_instances"))
        for task in sorted(self._tasks, key=_when):
            self._tell(task)

    def _let_others_end(self) -> None:
        """Wait, while anything moves, for runs of other months and for what is told of all.

        Whoever hears of the failure stops Airflow, and would stop another month's publish halfway.
        """
        self._moved = time.monotonic()
        while self._active() or not all(map(self._is_told, map(_month, self._runs.values()))):
            if time.monotonic() - self._moved > _LEFT_SECONDS:
                return
            time.sleep(_POLL_SECONDS)
            self._check()
            self._ask()
            self._beat()

    def _tell(self, task: dict[str, Any]) -> None:
        key = (task["dag_id"], task["dag_run_id"], task["task_id"])
        state = str(task["state"])
        if self._told.get(key) == state:
            return
        self._told[key] = state
        self._moved = time.monotonic()
        shown = _SHOWN.get(state)
        if shown and not (state == "skipped" and task["task_id"] in _QUIET):
            seconds = f"{task['duration']:6.1f} s" if task["duration"] else " " * 8
            self.say(f"{self._name(task):<42} {seconds}  {shown}")

    def _name(self, task: dict[str, Any]) -> str:
        run = self._runs.get((task["dag_id"], task["dag_run_id"]))
        dag_id, task_id = task["dag_id"], task["task_id"]
        name = dag_id if task_id in (dag_id, "ingest") else f"{dag_id}.{task_id}"
        return f"{_month(run) if run else '?':<8} {name}"

    def say(self, line: str) -> None:
        """Tell one line, with the seconds since the first."""
        self._spoke = time.monotonic()
        self._echo(f"  {self._spoke - self._began:6.1f} s  {line}")

    def _fail(self, run: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
        for task in tasks:
            ours = (task["dag_id"], task["dag_run_id"]) == (run["dag_id"], run["dag_run_id"])
            if ours and task["state"] == "failed":
                log = self._log(task)
                text, kind = read_log(log)
                raise RunFailed(f"{self._name(task)} failed; its log ({log}) ends:\n{text}", kind)
        raise RunFailed(f"{run['dag_id']} of {_month(run)} failed before any task ran", "")

    def _log(self, task: dict[str, Any]) -> Path:
        folder = (
            self._logs
            / f"dag_id={task['dag_id']}"
            / f"run_id={task['dag_run_id']}"
            / f"task_id={task['task_id']}"
        )
        return folder / f"attempt={task['try_number']}.log"


def read_log(log: Path, lines: int = 12) -> tuple[str, str]:
    """Return the end of a task's log for people, and the name of the error it ends with."""
    if not log.exists():
        return "    (no log was written)", ""
    kind, told = "", []
    for raw in log.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _entry(raw)
        text = str(entry.get("event", ""))
        for error in entry.get("error_detail") or []:
            kind = error["exc_type"]
            text += f"\n{kind}: {error['exc_value']}"
        if text and not text.startswith("::"):
            told.extend(text.splitlines())
    return "\n".join(f"    {line}" for line in told[-lines:]), kind


def _entry(raw: str) -> dict[str, Any]:
    try:
        entry = json.loads(raw)
    except ValueError:
        return {"event": raw}
    return entry if isinstance(entry, dict) else {"event": raw}


def _when(task: dict[str, Any]) -> tuple[str, str]:
    return task["end_date"] or "9", task["start_date"] or "9"


def _month(run: dict[str, Any]) -> str:
    return str(run["partition_key"] or (run["conf"] or {}).get("month") or "?")
