"""Months landed again from the archive after a mapping was mended, and what that would change.

No source is asked and nothing goes out: publishing is a step of its own, after the difference was
seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perfhouse import lake, ledger, processed, release_diff, stages
from perfhouse.errors import ConfigError
from perfhouse.month import Month

if TYPE_CHECKING:
    from pathlib import Path

    from perfhouse.release_diff import Difference
    from perfhouse.stages import Progress, Workspace

FILE = "replayed.csv"


@dataclass(frozen=True)
class Replayed:
    """What a replay made of one month.

    Args:
        landed: whether what landed is another delivery than before, by source.
        as_of: the last delivery window that counts: that of the month's newest release.
        is_built: it was built again: something landed anew, now or since its newest release.
        difference: to the release that stands; None where none does, or it was not built.
        file: every value that differs, a line each; only the operator can read it.
        readers: newest releases of later months that read what this month was before.
    """

    month: Month
    landed: Mapping[str, bool]
    as_of: Month
    is_built: bool = False
    difference: Difference | None = None
    file: Path | None = None
    readers: Sequence[str] = field(default=())


def land(
    ws: Workspace, months: Sequence[Month], sources: Collection[str], progress: Progress
) -> dict[Month, dict[str, bool]]:
    """Land months of sources again from the archive; say of each if it is another delivery now.

    A month that a source was never ingested for is left out.

    Raises:
        ConfigError: no such source, or none of them has any of these months in the archive
            (operator).
        SourceChanged: the archive does not fit the mapping (connector author); what landed before
            stands.
    """
    for source in sources:
        stages.source_of(ws, source)
    found: dict[Month, dict[str, bool]] = {}
    for month in months:
        before = {source: lake.read_manifest(ws.home, source, month) for source in sources}
        found[month] = {
            source: stages.land(ws, source, month, progress).manifest_sha256 != was.manifest_sha256
            for source, was in before.items()
            if was is not None
        }
    if not any(found.values()):
        told = f"{months[0]} to {months[-1]}" if len(months) > 1 else str(months[0])
        raise ConfigError(
            [f"replay: none of {', '.join(sources)} ever landed {told}; ingest first"]
        )
    return found


def replay(
    ws: Workspace, months: Sequence[Month], sources: Collection[str], progress: Progress
) -> Iterator[Replayed]:
    """Land months again; build and judge, in order, each that is not what was released.

    Raises what `land` does, and GateFailed or BuildFailed of a month; what stands is untouched.
    """
    landed = land(ws, months, sources, progress)
    for month in months:
        if landed[month]:
            yield _replayed(ws, month, landed[month], progress)


def _replayed(
    ws: Workspace, month: Month, landed: Mapping[str, bool], progress: Progress
) -> Replayed:
    newest = processed.newest_entry(ws.home, month)
    as_of = Month(max(newest.as_of, month.key)) if newest else month
    readers = _readers(ws, month)
    if not any(landed.values()) and not (newest and _behind(ws, newest)):
        return Replayed(month, landed, as_of, readers=readers)
    stages.judged(ws, month, as_of, progress)
    difference = stages.preview(ws, month, as_of, progress)
    file = None
    if difference is not None and difference.cells:
        file = ws.home.gates / month.key / FILE
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        release_diff.write_csv(difference, file)
    return Replayed(month, landed, as_of, True, difference, file, readers)


def _behind(ws: Workspace, entry: ledger.Entry) -> set[str]:
    """Return the months of which another delivery has landed since a release was made of them."""
    found = set()
    for each in processed.inputs(ws.home, entry):
        now = lake.read_manifest(ws.home, each["source"], Month(each["month"]))
        if now is None or now.manifest_sha256 != each["manifest_sha256"]:
            found.add(str(each["month"]))
    return found


def _readers(ws: Workspace, month: Month) -> list[str]:
    newest = {entry.month: entry for entry in ledger.entries(ws.home) if entry.month > month.key}
    return [e.name for _, e in sorted(newest.items()) if month.key in _behind(ws, e)]
