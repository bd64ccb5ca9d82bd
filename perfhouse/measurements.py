"""What a run of a month costs and finds, as numbers with a few labels, for a company's monitoring.

Nothing here sends them. Labels are sources, streams, gates, steps and models: no month, no person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perfhouse import step_times
from perfhouse.step_times import Step

if TYPE_CHECKING:
    from pathlib import Path

    from expectations.gate import Verdict
    from perfhouse.lake import Manifest
    from perfhouse.reconcile import Work

COUNT, GAUGE = "count", "gauge"
# of reconcile; a person does the last two
_STEPS = ("ingest", "build", "publish", "restate", "judge")


@dataclass(frozen=True)
class Measure:
    """One number; a count is added to what was counted before, a gauge replaces it."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: str = GAUGE


def landed(manifest: Manifest) -> Iterator[Measure]:
    """Yield what became of the rows of a source's last delivery, by stream."""
    for stream, at in sorted(manifest.streams.items()):
        fates = {
            "landed": at.landed, "quarantined": at.quarantined, "duplicate": at.duplicates,
            "outside_window": at.outside_window, "late": sum(at.late_rows.values()),
        }  # fmt: skip
        for fate, rows in fates.items():
            labels = {"source": manifest.source, "stream": stream, "fate": fate}
            yield Measure("rows", rows, labels)


def judged(verdict: Verdict) -> Iterator[Measure]:
    """Yield that a gate gave a verdict, and how many checks failed by severity."""
    said = "passed" if verdict.passed else "stopped"
    yield Measure("gate_verdicts", 1, {"gate": verdict.gate, "verdict": said}, COUNT)
    for severity in ("critical", "warning"):
        failed = sum(not c.passed and c.severity == severity for c in verdict.checks)
        yield Measure("gate_failed_checks", failed, {"gate": verdict.gate, "severity": severity})


def steps(of: Sequence[Step], name: str, source: str = "") -> Iterator[Measure]:
    """Yield what a step cost when it ran last: seconds, and seconds of all cores."""
    for step in of:
        if (step.name, step.source) == (name, source):
            labels = {"step": name.replace(" ", "_"), **({"source": source} if source else {})}
            yield Measure("step_seconds", step.seconds, labels)
            yield Measure("step_cpu_seconds", step.cpu_seconds, labels)


def models(names: Iterable[str], seconds: Mapping[str, float]) -> Iterator[Measure]:
    """Yield how long each model of the last build took."""
    for name in sorted(names):
        yield Measure("model_seconds", seconds.get(name, 0.0), {"model": name})


def published(of: Sequence[Step], unchanged: bool) -> Iterator[Measure]:
    """Yield that a month went out, and how long after its last delivery."""
    kind = "unchanged" if unchanged else "new"
    yield Measure("releases", 1, {"kind": kind}, COUNT)
    waited = step_times.since_arrival(list(of))
    if waited is not None and not unchanged:
        yield Measure("arrival_to_release_seconds", waited[0])
        yield Measure("arrival_to_release_worked_seconds", waited[1])


def standing(warehouse: Path, newest_release: Path | None, now: datetime) -> Iterator[Measure]:
    """Yield how large the warehouse is and how old what readers see; what is not there is left."""
    if warehouse.exists():
        yield Measure("warehouse_bytes", warehouse.stat().st_size)
    if newest_release is not None:
        made = datetime.fromtimestamp(newest_release.stat().st_mtime, UTC)
        yield Measure("release_age_seconds", round((now - made).total_seconds()))


def late(sources: Iterable[str], found: Iterable[str]) -> Iterator[Measure]:
    """Yield, for every source, how many months it is late with."""
    months = list(found)
    for source in sources:
        yield Measure("late_months", months.count(source), {"source": source})


def behind(works: Iterable[Work]) -> Iterator[Measure]:
    """Yield how much is behind, by step."""
    found = [work.step for work in works]
    for step in _STEPS:
        yield Measure("behind", found.count(step), {"step": step})
