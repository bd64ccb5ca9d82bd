"""What is told of a task's work while it runs: lineage noted, numbers sent to Airflow's metrics.

One call for each step; a number that cannot be sent is lost, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow.sdk.observability.stats import Stats

from perfhouse import clock, lake, ledger, lineage_sets, measurements, step_times
from perfhouse.measurements import Measure
from perfhouse.month import Month
from perfhouse.public_tables import PUBLIC_TABLES

if TYPE_CHECKING:
    from expectations.gate import Verdict
    from perfhouse.build import BuildResult
    from perfhouse.lake import Manifest
    from perfhouse.reconcile import Work
    from perfhouse.release import Release
    from perfhouse.stages import Workspace

_log = logging.getLogger(__name__)
_PREFIX = "perfhouse"
_TABLES = tuple(table.name for table in PUBLIC_TABLES)


def ingested(ws: Workspace, month: Month, manifest: Manifest) -> None:
    """Tell of a delivery that landed."""
    lineage_sets.note(lineage_sets.ingested(manifest))
    _send(measurements.landed(manifest))
    _steps(ws, month, step_times.INGEST, manifest.source)


def judged(ws: Workspace, month: Month, gate: str, verdict: Verdict) -> None:
    """Tell of a gate's verdict: of raw streams, of what became of them, or of public tables."""
    of = lineage_sets.tables(_TABLES)
    if gate in ("raw", "facts"):
        of = lineage_sets.landed(_landed(ws, month))
    lineage_sets.note(lineage_sets.judged(verdict, of))
    _send(measurements.judged(verdict))
    _steps(ws, month, f"gate {gate}")


def built(ws: Workspace, result: BuildResult) -> None:
    """Tell of a month that was built."""
    lineage_sets.note(lineage_sets.built(result, _landed(ws, result.month)))
    _send(measurements.models(result.models, result.seconds))
    _steps(ws, result.month, step_times.BUILD)


def published(ws: Workspace, month: Month, release: Release) -> None:
    """Tell of a month that went out, or was out already."""
    lineage_sets.note(lineage_sets.published(release, _TABLES))
    _send(measurements.published(step_times.of(ws.home, month), release.unchanged))
    _steps(ws, month, step_times.PUBLISH)


def compared(ws: Workspace, behind: Iterable[Work]) -> None:
    """Tell how things stand, as `reconcile` found them."""
    newest = ledger.newest(ws.home)
    file = ws.home.published / newest[-1].path / "release.json" if newest else None
    _send(measurements.standing(ws.home.warehouse, file, clock.now()))
    _send(measurements.behind(behind))


def late(ws: Workspace, sources: Iterable[str]) -> None:
    """Tell which sources are late, and which are not."""
    _send(measurements.late((source.id for source in ws.company.sources), sources))


def _landed(ws: Workspace, month: Month) -> list[Manifest]:
    return lake.manifests(ws.home, month, month)


def _steps(ws: Workspace, month: Month, name: str, source: str = "") -> None:
    _send(measurements.steps(step_times.of(ws.home, month), name, source))


def _send(measures: Iterable[Measure]) -> None:
    for each in measures:
        name, labels = f"{_PREFIX}.{each.name}", dict(each.labels)
        try:
            if each.kind == measurements.COUNT:
                Stats.incr(name, int(each.value), tags=labels)
            else:
                Stats.gauge(name, each.value, tags=labels)
        except Exception as error:  # each backend has its own; no month stops for a number
            _log.warning("%s was not sent: %s", name, type(error).__name__)
