"""What is about to be published: staged under its number, compared with what stands, audited.

Works in a staging folder; it may not move, record or show a release.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import (
    evidence,
    ledger,
    months,
    provenance,
    release_fates,
    release_files,
    release_manifest,
    release_pay,
    release_tables,
    release_verdicts,
    restatement,
)
from perfhouse.errors import GateFailed, MonthClosed
from perfhouse.month import Month
from perfhouse.release_label import Label, Succession
from perfhouse.release_tables import TableHashes
from perfhouse.settings import Home

if TYPE_CHECKING:
    from perfhouse.company import Company

_log = logging.getLogger(__name__)

# The gates whose verdicts must stand before anything is staged.
BEFORE = ("raw", "facts", "scorecards")


def _passed(step: str) -> None:
    """Do nothing; a publisher tells here how far it is."""


@dataclass(frozen=True)
class Release:
    """A published, immutable version of a month; `unchanged`: this publish added nothing."""

    month: Month
    number: int
    as_of: Month
    path: Path
    sha256: str
    unchanged: bool = False

    @property
    def name(self) -> str:
        """Return the release's name, such as `2026-09.r1`."""
        return f"{self.month}.r{self.number}"


@dataclass(frozen=True)
class Work:
    """What is published, for whom, and on whose word."""

    company: Company
    home: Home
    month: Month
    as_of: Month
    verdicts: Sequence[Any]
    progress: Callable[[str], None]
    reached: Callable[[str], None] = _passed


def staged(
    work: Work, before: Release | None, folder: Path, reason: restatement.Reason | None
) -> Release:
    """Stage a release under the number it deserves; the caller is the only publisher.

    The number stands on cards and in tables. So content that may equal the newest release is
    staged under that release's number first, with what that one said of its changes: only then can
    the two be compared byte by byte.
    """
    tables = release_tables.stage_tables(work.home, work.month, folder / "first")
    work.reached("tables staged")
    if before is None:
        return _stage(work, 1, folder / "first")
    withdrawn = _withdrawn(work.home, work.month, tables)
    if release_manifest.same_tables(before.path, tables):
        release_files.copy_changes(before.path, folder / "first")
        again = _stage(work, before.number, folder / "first", _said_of(before))
        if again.sha256 == before.sha256:
            return again
        work.progress(f"{before.name}: the numbers are the same, other files differ")
        release_tables.stage_tables(work.home, work.month, folder / "second")
        return _stage_next(work, before, folder / "second", reason, None)
    return _stage_next(work, before, folder / "first", reason, withdrawn)


def _withdrawn(home: Home, month: Month, tables: TableHashes) -> str | None:
    """Name the release with these very numbers that a rollback withdrew, if there is one."""
    for name, fate in release_fates.fates(ledger.lines(ledger.ledger_path(home))).items():
        if fate != release_fates.WITHDRAWN or not name.startswith(f"{month}.r"):
            continue
        if release_manifest.same_tables(home.published / name.replace(".r", "/r"), tables):
            return name
    return None


def _closed(
    work: Work,
    before: Release,
    found: Sequence[restatement.Change],
    paid: Sequence[restatement.Change],
    withdrawn: str | None,
) -> MonthClosed:
    """Return what stops a closed month; values are in a file only its operator can read."""
    file = work.home.gates / work.month.key / f"changes_after_r{before.number}.csv"
    file.parent.mkdir(exist_ok=True)
    restatement.write_csv(found, file)
    why = f"since {months.closing(work.company, work.home, work.month)}"
    if withdrawn:
        why = f"to these numbers: they were withdrawn as {withdrawn}"
    return MonthClosed(
        work.month.key,
        f"{why}, {before.name} stands",
        restatement.told([*paid, *found]),
        len(paid) + len(found),
        file,
    )


def _stage_next(
    work: Work,
    before: Release,
    folder: Path,
    reason: restatement.Reason | None,
    withdrawn: str | None,
) -> Release:
    """Stage the release that follows `before`, with every value that differs from it."""
    found = restatement.changes(before.path, folder)
    paid = release_pay.told(work.company, work.home, work.month, before.path)
    closed = withdrawn is not None or _is_locked(work, before, found, paid)
    if closed and reason is None:
        raise _closed(work, before, found, paid, withdrawn)
    if reason is not None and not closed:
        work.progress(f"{work.month}: not closed, so this is no restatement")
    restatement.write(found, folder)
    said = Succession(
        before.name,
        len(found),
        reason if closed else None,
    )
    return _stage(work, ledger.next_number(work.home, work.month), folder, said)


def restage(
    company: Company,
    home: Home,
    month: Month,
    *,
    as_of: Month,
    number: int,
    before: Path | None,
    succession: Succession | None,
    folder: Path,
    progress: Callable[[str], None] = _log.info,
) -> Mapping[str, Any]:
    """Stage what the warehouse holds as a release of that number; return its release.json.

    Nothing is published: it is compared with a release that stands. `before` is the folder of the
    release it followed.
    """
    verdicts = [standing_verdict(home, company, month, as_of, gate) for gate in BEFORE]
    release_tables.stage_tables(home, month, folder)
    if before is not None and succession is not None:
        found = restatement.changes(before, folder)
        restatement.write(found, folder)
        succession = replace(succession, change_count=len(found))
    work = Work(company, home, month, as_of, verdicts, progress)
    return release_manifest.read_manifest(_stage(work, number, folder, succession).path)


def _is_locked(
    work: Work,
    before: Release,
    found: Sequence[restatement.Change],
    paid: Sequence[restatement.Change],
) -> bool:
    """Say whether a change needs a reason: not before the month closes, nor for what ripens."""
    window = max(before.as_of, work.as_of)
    if not months.is_past_close(work.company, work.home, work.month, window):
        return False
    settles = restatement.only_settles(found, months.provisional(before.path))
    return not (settles and release_pay.is_explained(paid, found))


def _said_of(before: Release) -> Succession | None:
    """Return what a release says of the one before it."""
    said = release_manifest.read_manifest(before.path)
    return Succession.read(said)


def _stage(
    work: Work,
    number: int,
    folder: Path,
    succession: Succession | None = None,
) -> Release:
    from expectations import gate

    home, month, as_of = work.home, work.month, work.as_of
    label = Label(work.company, month, number, as_of, succession)
    work.progress(f"{label.name}: staging tables, exports and cards")
    release_tables.stage_database(folder)
    release_files.stage_exports(home, label, folder)
    release_files.stage_cards(home, label, folder)
    if work.company.cards.pdf:
        release_files.stage_pdfs(home, label, folder, work.progress)
    evidence.stage(folder, home, work.company.id, label.name)
    release_tables.stage_reconciliation(home, label, folder)
    release_verdicts.stage_verdicts(folder, label, work.verdicts)
    work.reached("files staged")
    work.progress(f"{label.name}: gate exports")
    audit = gate.run("exports", home, work.company, month, as_of=as_of, staged=folder)
    work.reached("audited")
    verdicts = [*work.verdicts, audit]
    release_verdicts.stage_verdicts(folder, label, verdicts)
    said = release_manifest.seal(folder, home, label, verdicts)
    work.reached("sealed")
    return Release(month, number, as_of, folder, said["release_sha256"])


def standing_verdict(home: Home, company: Company, month: Month, as_of: Month, name: str) -> Any:
    """Return a gate's verdict if it passed exactly what is about to be published."""
    from expectations import gate

    verdict = gate.verdict(home, month, name)
    if verdict is None:
        raise GateFailed(name, month.key, ["it has not judged this month: run the gate first"])
    if not verdict.passed:
        raise GateFailed(name, month.key, verdict.failures)
    if verdict.as_of != as_of.key or verdict.subject_sha256 != gate.subject(
        name, home, company, month, as_of
    ):
        raise GateFailed(
            name, month.key, ["what it judged has changed since: run the gate (and build) again"]
        )
    return verdict


def require_origin(home: Home, company: Company, month: Month, as_of: Month) -> None:
    """Refuse numbers that were not built from what the release would name as their inputs."""
    if provenance.read(home, month) != provenance.origin(company, home, month, as_of):
        raise GateFailed(
            "scorecards",
            month.key,
            [
                "what was built came from other deliveries, another as-of month or another "
                "configuration: build again"
            ],
        )


def require_nothing_withdrawn(home: Home, month: Month) -> None:
    """Refuse numbers that were compared with what a rollback withdrew.

    A rollback changes what is shown, not what the warehouse holds of that month.
    """
    lines = ledger.lines(ledger.ledger_path(home))
    fates, stands = release_fates.fates(lines), ledger.standing(lines)
    problems = []
    for entry in (line for line in lines if isinstance(line, ledger.Entry)):
        if fates[entry.name] != release_fates.WITHDRAWN or entry.month >= month.key:
            continue
        built = provenance.read(home, Month(entry.month))
        shown = stands[entry.month]
        is_withdrawn = built == release_manifest.origin(home, entry)
        if is_withdrawn and built != release_manifest.origin(home, shown):
            problems.append(
                f"{entry.month} was rolled back to {shown.name}, but {month} was compared with "
                f"{entry.name}: deliver {entry.month} as it should be and build both again"
            )
    if problems:
        raise GateFailed("scorecards", month.key, problems)
