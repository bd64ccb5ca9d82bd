"""A tiny company under a real Airflow with a triggerer, to which data arrives by every way.

Test material: it starts, asks, kills and starts again; what must follow the tests say.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import tiny

from connectors.http import Client
from perfhouse import embedded, lake, processes, release, stages
from perfhouse.month import Month

PATIENCE = 240.0  # seconds, on a busy machine


def company(root: Path, *watched: str, more: str = "") -> stages.Workspace:
    """Open the tiny company: some sources watched, quick to look, and no month ever closed."""
    toml = tiny.company(root / "company") / "perfhouse.toml"
    text = toml.read_text("utf-8")
    for name in watched:
        said = f'id = "{name}"\nwatch = true\nsettle_minutes = 0.02\n'
        text = text.replace(f'id = "{name}"\n', said)
    text = text.replace("[company]\n", "[company]\nclose_grace_days = 4000\n", 1)
    quick = "[arrivals]\npoll_seconds = 1\nreconcile_minutes = 1\nsettle_minutes = 0\n"
    toml.write_text(f"{text}\n{quick}{more}", encoding="utf-8")
    (root / "data").mkdir()
    return stages.open_workspace(toml.parent, root / "data", root / "home")


def plainly(ws: stages.Workspace, *months: Month) -> dict[str, str]:
    """Return the hash of each month's release when it is simply run in a home of its own."""
    own = stages.open_workspace(ws.company.folder, ws.data, ws.home.root.with_name("plain"))
    return {month.key: stages.run(own, month, progress=str).release.sha256 for month in months}


@dataclass
class World:
    """A running Airflow and the company it works for."""

    ws: stages.Workspace
    airflow: embedded.Airflow
    started: dict[str, tuple[Any, ...]]
    said: list[str] = field(default_factory=list)

    @property
    def api(self) -> Client:
        return self.airflow.api

    def released(self, month: Month) -> str | None:
        """Return the hash of a month's release that stands, or None."""
        found = release.latest(self.ws.home, month)
        return found.sha256 if found else None

    def landed(self, month: Month) -> set[str]:
        """Return the sources that have landed a month."""
        return {manifest.source for manifest in lake.manifests(self.ws.home, month, month)}

    def until(self, what: str, reached: Callable[[], object], seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self.told()}")
            time.sleep(0.5)

    def told(self) -> str:
        """Return every run, for a test that failed."""
        return "\n".join(map(str, self.runs()))

    def runs(self, dag_id: str = "") -> list[tuple[str, str, str]]:
        """Return (DAG, run, state) from the metadata, in the order they were made."""
        file = self.airflow.root / "metadata" / "airflow.db"
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60) as metadata:
            rows = metadata.execute("select dag_id, run_id, state from dag_run order by id")
            return [row for row in rows if not dag_id or row[0] == dag_id]

    def active(self) -> list[tuple[str, str, str]]:
        """Return runs that have not ended, but those of the clock."""
        return [r for r in self.runs() if r[0] != "reconcile" and r[2] in ("queued", "running")]

    def call(self, source: str, month: Month) -> None:
        """Call the webhook, as docs/event-driven.md tells a system to."""
        found = self.api.get("/api/v2/assets", {"name_pattern": "arrivals"})["assets"]
        body = {"asset_id": found[0]["id"], "extra": {"source": source, "month": month.key}}
        self.api.post("/api/v2/assets/events", body)

    def pause(self, dag_id: str, *, paused: bool) -> None:
        """Pause a DAG, or let it go on."""
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}
        body = json.dumps({"is_paused": paused}).encode()
        url = f"{self.airflow.url}/api/v2/dags/{dag_id}"
        urlopen(Request(url, body, headers, method="PATCH"), timeout=60).close()

    def token(self) -> str:
        login = {"username": self.airflow.user, "password": self.airflow.password}
        return str(self.api.post("/auth/token", login)["access_token"])

    def kill(self, name: str) -> None:
        """Kill a component with all it started, as a machine would; then start it again."""
        child = next(c for c in self.airflow.children if c.name == f"airflow {name}")
        for member in processes._members({child.process.pid}):
            processes._signal(member, signal.SIGKILL)
        child.process.wait(10)
        again = processes.start(*self.started[child.name])
        self.airflow.children[self.airflow.children.index(child)] = again


@contextmanager
def serving(ws: stages.Workspace) -> Iterator[World]:
    """Run the company's Airflow until the block ends."""
    said: list[str] = []
    with (
        embedded._alone(ws.home),
        _noting() as started,
        embedded._airflow(ws, None, said.append) as airflow,
    ):
        world = World(ws, airflow, started, said)
        known = ("arrivals", "reconcile")
        world.until("the DAGs of arrivals", lambda: all(_parsed(airflow, each) for each in known))
        yield world


@contextmanager
def _noting() -> Iterator[dict[str, tuple[Any, ...]]]:
    """Note how each component is started: a process that names itself hides its environment."""
    started: dict[str, tuple[Any, ...]] = {}
    starting = processes.start

    def note(*given: Any) -> processes.Child:
        started[given[0]] = given
        return starting(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "start", note)
        yield started


def _parsed(airflow: embedded.Airflow, dag_id: str) -> bool:
    found = airflow.api.get("/api/v2/dags", {"dag_id_pattern": dag_id})["dags"]
    return any(dag["dag_id"] == dag_id for dag in found)
