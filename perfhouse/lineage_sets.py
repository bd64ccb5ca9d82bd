"""What a task read and made, for a catalogue outside: names, versions, rows, checks; no value.

Knows no scheduler and no catalogue. The task that did the work notes it; whoever tells, asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expectations.gate import Verdict
    from perfhouse.build import BuildResult
    from perfhouse.lake import Manifest
    from perfhouse.release import Release


@dataclass(frozen=True)
class Checked:
    """What a gate's check found."""

    check: str
    severity: str
    passed: bool


@dataclass(frozen=True)
class Dataset:
    """One thing that was read or made; `version` is a hash or a release's name."""

    name: str
    version: str = ""
    rows: int | None = None
    checks: tuple[Checked, ...] = ()


@dataclass(frozen=True)
class Flow:
    """What went into a task and what came out."""

    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()


_noted: list[Flow] = []  # a task has a process of its own


def note(flow: Flow) -> None:
    """Keep what this process's task did."""
    _noted[:] = [flow]


def noted() -> Flow:
    """Return what this process's task did; nothing before it noted anything."""
    return _noted[-1] if _noted else Flow()


def ingested(manifest: Manifest) -> Flow:
    """A source became its raw streams."""
    return Flow((Dataset(f"source/{manifest.source}"),), tuple(landed([manifest])))


def landed(manifests: Iterable[Manifest]) -> list[Dataset]:
    """Return the raw streams of deliveries."""
    return [
        Dataset(f"raw/{each.source}/{stream}", each.manifest_sha256, at.landed)
        for each in manifests
        for stream, at in sorted(each.streams.items())
    ]


def judged(verdict: Verdict, of: Sequence[Dataset]) -> Flow:
    """A gate looked at something and changed nothing; what it found is told of the whole."""
    checks = tuple(Checked(c.id, c.severity, c.passed) for c in verdict.checks)
    return Flow((Dataset(verdict.gate, verdict.subject_sha256, None, checks), *of))


def built(result: BuildResult, manifests: Iterable[Manifest]) -> Flow:
    """Raw streams became tables of the warehouse."""
    return Flow(tuple(landed(manifests)), tuple(tables(result.models)))


def tables(names: Iterable[str]) -> list[Dataset]:
    """Return tables of the warehouse."""
    return [Dataset(f"warehouse/{name}") for name in sorted(names)]


def published(release: Release, names: Iterable[str]) -> Flow:
    """Tables of the warehouse became a release: its version is its name and its hash."""
    version = f"{release.name} sha256:{release.sha256}"
    return Flow(tuple(tables(names)), (Dataset("release", version),))
