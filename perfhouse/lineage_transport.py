"""What leaves the house as lineage: events without people, kept in a file, handed on to a server.

OpenLineage's client makes it by its dotted name. It may not fail or hold up what it tells of.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import attr
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import RunEvent
from openlineage.client.facet_v2 import error_message_run
from openlineage.client.serde import Serde
from openlineage.client.transport.transport import Config, Transport

from perfhouse import settings
from perfhouse.settings import Home

_log = logging.getLogger(__name__)
# What Airflow adds beside these names owners, who triggered a run and why, and quotes errors.
RUN_FACETS = frozenset({"nominalTime", "parent", "processing_engine"})
JOB_FACETS = frozenset({"jobType", "tags"})
EVENTS = "events.jsonl"
_PATIENCE_SECONDS = 3.0  # for which Airflow waits for an event to be out (execution_timeout)
_REST_SECONDS = 300.0  # before a server that did not answer is asked again


@attr.define
class GuardedConfig(Config):
    """Where events are kept: in the home, unless `folder` says otherwise."""

    folder: str

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> GuardedConfig:
        """Read the transport's settings."""
        return cls(str(params.get("folder") or Home(settings.defaults().home).lineage))


class Guarded(Transport):
    """Keeps every event, stripped, as a line of a file; hands it on where OPENLINEAGE_* says so.

    A server that did not take an event is left alone for some minutes: those events are in the
    file only.
    """

    kind = "guarded"
    config_class = GuardedConfig

    def __init__(self, config: GuardedConfig) -> None:
        self._folder = Path(config.folder)
        self._server: OpenLineageClient | None = None

    def emit(self, event: Any) -> None:
        """Keep and hand on what a run did; what is no run's event is dropped."""
        if not isinstance(event, RunEvent):
            return
        bare = stripped(event)
        self._keep(Serde.to_json(bare))
        if settings.has_lineage_server() and not self._rests():
            self._hand_on(bare)

    def _keep(self, line: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._folder / EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{line}\n".encode())  # one write: lines of two tasks stay whole
        finally:
            os.close(file)

    def _hand_on(self, event: RunEvent) -> None:
        mark = self._mark
        if not mark.exists():
            mark.touch()  # whoever ends us while we wait leaves it behind
        elif time.time() - mark.stat().st_mtime > _REST_SECONDS:
            os.utime(mark)
        try:
            self._server = self._server or OpenLineageClient()
            self._server.emit(event)
        except Exception as error:  # each transport has its own; a message may hold an address
            _log.warning("lineage: not handed on (%s), kept in %s", type(error).__name__, EVENTS)
        else:
            mark.unlink(missing_ok=True)

    @property
    def _mark(self) -> Path:
        return self._folder / "not_answered"

    def _rests(self) -> bool:
        """Say whether the server failed a while ago and is not due again."""
        try:
            age = time.time() - self._mark.stat().st_mtime
        except FileNotFoundError:
            return False
        return _PATIENCE_SECONDS <= age < _REST_SECONDS


def stripped(event: RunEvent) -> RunEvent:
    """Return an event without what may name a person: owners, triggers, texts, settings."""
    facets = dict(event.run.facets or {})
    kept = {name: facet for name, facet in facets.items() if name in RUN_FACETS}
    failure = facets.get("errorMessage")
    if failure is not None:
        words = _kind(getattr(failure, "stackTrace", None) or "")
        kept["errorMessage"] = error_message_run.ErrorMessageRunFacet(words, "python")
    told = {name: each for name, each in (event.job.facets or {}).items() if name in JOB_FACETS}
    run, job = attr.evolve(event.run, facets=kept), attr.evolve(event.job, facets=told)
    return attr.evolve(event, run=run, job=job)


def _kind(trace: str) -> str:
    """Return the class of an error from its trace; its message may quote values."""
    names = [line.split(":")[0] for line in trace.splitlines() if line[:1].strip()]
    last = names[-1] if names else ""
    return last if last.replace(".", "").replace("_", "").isalnum() else "failed; see the log"
