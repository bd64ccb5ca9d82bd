"""Releases: stage a month beside, have it audited, then cut over in one atomic step.

This module owns published files; it may not compute a number or read a source.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import (
    evidence,
    ledger,
    months,
    provenance,
    release_files,
    restatement,
    signing,
)
from perfhouse.errors import ConfigError, GateFailed, MonthClosed, ReleaseError, TransientError
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from perfhouse.company import Company

_log = logging.getLogger(__name__)

# Where a process may die in a test of what a crash leaves behind, in order.
STEPS = (
    "mended",
    "tables staged",
    "files staged",
    "audited",
    "sealed",
    "synced",
    "moved",
    "recorded",
    "combined",
    "linked",
)
_BEFORE = ("raw", "facts", "scorecards")
_KEPT_VERSIONS = 3
_LOCK_SECONDS = 900
_LOCK_PAUSE = 0.2


def _passed(step: str) -> None:
    """Do nothing; tests put a crash here."""


reached: Callable[[str], None] = _passed


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


def publish(
    company: Company,
    home: Home,
    month: Month,
    *,
    as_of: Month | None = None,
    reason: restatement.Reason | None = None,
    progress: Callable[[str], None] = _log.info,
) -> Release:
    """Publish what the warehouse holds of a month, unless its newest release says the same.

    Finishes first what an earlier publish that died left undone. `reason` restates a closed month.

    Raises:
        MonthClosed: the month is closed, would change, and nobody said why (data owner).
        GateFailed: a gate has not passed this very content, it was built from something else,
            or the exports gate failed (data owner); nothing was published.
        ReleaseError: published files were changed by someone else (data engineer).
    """
    window = as_of or month
    with _only_publisher(home):
        signing.release_key(home)
        mend(home)
        reached("mended")
        verdicts = [_standing_verdict(home, company, month, window, g) for g in _BEFORE]
        _require_origin(home, company, month, window)
        before = latest(home, month)
        with _staging(home, month) as folder:
            work = _Work(company, home, month, window, verdicts, progress)
            staged = _staged(work, before, folder, reason)
            if before is not None and staged.sha256 == before.sha256:
                progress(f"{before.name}: unchanged, {before.sha256[:12]}")
                return replace(before, unchanged=True)
            provenance.keep_configuration(home, company)
            released = _cut_over(home, staged)
        _show(home)
        progress(f"{released.name}: published, {released.sha256[:12]}")
        return released


def record(
    home: Home,
    *,
    kind: str,
    what: Mapping[str, str],
    who: str,
    why: str,
    at: str | None = None,
) -> ledger.Record:
    """Put a person's decision on record in the ledger.

    Raises:
        ConfigError: who or why is not said (operator).
    """
    missing = [n for n, said in (("--by", who), ("--reason", why)) if not said.strip()]
    if missing:
        raise ConfigError([f"{name}: expected words, got nothing" for name in missing])
    with _only_publisher(home):
        mend(home)
        key = signing.release_key(home)
        return ledger.record(home, kind=kind, what=what, who=who, why=why, key=key, at=at)


def latest(home: Home, month: Month) -> Release | None:
    """Return the newest release of a month, or None."""
    entry = ledger.latest(home, month)
    return _release(home, entry) if entry else None


def releases(home: Home) -> list[Release]:
    """List every release in the order they were published."""
    return [_release(home, entry) for entry in ledger.entries(home)]


def mend(home: Home) -> None:
    """Finish what a publisher that died left undone; the caller is the only publisher.

    A release that was moved but not recorded is complete (it was synced before the move), so it
    is recorded; whatever is still in staging is dropped.
    """
    home.published.mkdir(parents=True, exist_ok=True)
    if ledger.repair(home):
        _log.warning("published/ledger.jsonl: cut off a torn last line")
    shutil.rmtree(home.published / ".staging", ignore_errors=True)
    recorded = {entry.path for entry in ledger.entries(home)}
    for folder in sorted(home.published.glob("[0-9]*/r[0-9]*"), key=_order):
        if folder.relative_to(home.published).as_posix() not in recorded:
            _adopt(home, folder)
    if ledger.newest(home):
        _show(home)


def _order(folder: Path) -> tuple[str, int]:
    return folder.parent.name, int(folder.name[1:])


def _adopt(home: Home, folder: Path) -> None:
    problems = release_files.problems(folder)
    if problems:
        raise ReleaseError(
            f"{folder.relative_to(home.published)}: not in the ledger and not intact "
            f"({'; '.join(problems[:5])}); move the folder out of published/ and publish again"
        )
    said = release_files.read_manifest(folder)
    _record(home, folder, said)
    _log.warning("%s: recorded, an earlier publish died before it could", said["release"])


def _record(home: Home, folder: Path, said: Mapping[str, Any]) -> None:
    ledger.append(
        home,
        month=Month(said["month"]),
        number=said["number"],
        as_of=Month(said["as_of"]),
        path=folder.relative_to(home.published).as_posix(),
        release_sha256=said["release_sha256"],
        restatement=said.get("restatement"),
        merkle_root=evidence.merkle_root(folder),
        key=signing.release_key(home),
    )


@dataclass(frozen=True)
class _Work:
    """What is published, for whom, and on whose word."""

    company: Company
    home: Home
    month: Month
    as_of: Month
    verdicts: Sequence[Any]
    progress: Callable[[str], None]


def _staged(
    work: _Work, before: Release | None, folder: Path, reason: restatement.Reason | None
) -> Release:
    """Stage a release under the number it deserves.

    The number stands on cards and in tables. So content that may equal the newest release is
    staged under that release's number first, with what that one said of its changes: only then can
    the two be compared byte by byte.
    """
    tables = release_files.stage_tables(work.home, work.month, folder / "first")
    reached("tables staged")
    if before is None:
        return _stage(work, 1, folder / "first")
    if release_files.same_tables(before.path, tables):
        release_files.copy_changes(before.path, folder / "first")
        again = _stage(work, before.number, folder / "first", _said_of(before))
        if again.sha256 == before.sha256:
            return again
        work.progress(f"{before.name}: the numbers are the same, other files differ")
        release_files.stage_tables(work.home, work.month, folder / "second")
        return _stage_next(work, before, folder / "second", reason)
    return _stage_next(work, before, folder / "first", reason)


def _closed(work: _Work, before: Release, found: Sequence[restatement.Change]) -> MonthClosed:
    """Return what stops a closed month; values are in a file only its operator can read."""
    file = work.home.gates / work.month.key / f"changes_after_r{before.number}.csv"
    file.parent.mkdir(exist_ok=True)
    restatement.write_csv(found, file)
    day = months.closes_on(work.company, work.month)
    return MonthClosed(
        work.month.key,
        f"since {day}, {before.name} stands",
        restatement.told(found),
        len(found),
        file,
    )


def _stage_next(
    work: _Work, before: Release, folder: Path, reason: restatement.Reason | None
) -> Release:
    """Stage the release that follows `before`, with every value that differs from it."""
    found = restatement.changes(before.path, folder)
    closed = _is_locked(work, before, found)
    if closed and reason is None:
        raise _closed(work, before, found)
    if reason is not None and not closed:
        work.progress(f"{work.month}: not closed, so this is no restatement")
    restatement.write(found, folder)
    said = release_files.Succession(
        before.name,
        len(found),
        reason if closed else None,
    )
    return _stage(work, before.number + 1, folder, said)


def restage(
    company: Company,
    home: Home,
    month: Month,
    *,
    as_of: Month,
    number: int,
    before: Path | None,
    succession: release_files.Succession | None,
    folder: Path,
    progress: Callable[[str], None] = _log.info,
) -> Mapping[str, Any]:
    """Stage what the warehouse holds as a release of that number; return its release.json.

    Nothing is published: it is compared with a release that stands. `before` is the folder of the
    release it followed.
    """
    verdicts = [_standing_verdict(home, company, month, as_of, gate) for gate in _BEFORE]
    release_files.stage_tables(home, month, folder)
    if before is not None and succession is not None:
        found = restatement.changes(before, folder)
        restatement.write(found, folder)
        succession = replace(succession, change_count=len(found))
    work = _Work(company, home, month, as_of, verdicts, progress)
    return release_files.read_manifest(_stage(work, number, folder, succession).path)


def _is_locked(work: _Work, before: Release, found: Sequence[restatement.Change]) -> bool:
    """Say whether a change needs a reason: not before the month closes, nor for what ripens."""
    window = max(before.as_of, work.as_of)
    if not months.is_past_close(work.company, work.home, work.month, window):
        return False
    return not restatement.only_settles(found, months.provisional(before.path))


def _said_of(before: Release) -> release_files.Succession | None:
    """Return what a release says of the one before it."""
    said = release_files.read_manifest(before.path)
    return release_files.Succession.read(said)


def _stage(
    work: _Work,
    number: int,
    folder: Path,
    succession: release_files.Succession | None = None,
) -> Release:
    from expectations import gate

    home, month, as_of = work.home, work.month, work.as_of
    label = release_files.Label(work.company, month, number, as_of, succession)
    work.progress(f"{label.name}: staging tables, exports and cards")
    release_files.stage_database(folder)
    release_files.stage_exports(home, label, folder)
    release_files.stage_cards(home, month, number, folder)
    evidence.stage(folder, home, work.company.id, label.name)
    release_files.stage_evidence(folder, label, work.verdicts)
    reached("files staged")
    work.progress(f"{label.name}: gate exports")
    audit = gate.run("exports", home, work.company, month, as_of=as_of, staged=folder)
    reached("audited")
    verdicts = [*work.verdicts, audit]
    release_files.stage_evidence(folder, label, verdicts)
    said = release_files.seal(folder, home, label, verdicts)
    reached("sealed")
    return Release(month, number, as_of, folder, said["release_sha256"])


def _standing_verdict(home: Home, company: Company, month: Month, as_of: Month, name: str) -> Any:
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


def _require_origin(home: Home, company: Company, month: Month, as_of: Month) -> None:
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


def _cut_over(home: Home, staged: Release) -> Release:
    """Move a synced staging folder to its place, then record it."""
    release_files.sync(staged.path)
    reached("synced")
    target = home.published / staged.month.key / f"r{staged.number}"
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        raise ReleaseError(f"{target.relative_to(home.published)}: exists, but is not the newest")
    staged.path.rename(target)
    ledger.sync_folder(target.parent)
    ledger.sync_folder(home.published)
    reached("moved")
    _record(home, target, release_files.read_manifest(target))
    reached("recorded")
    return replace(staged, path=target)


def _show(home: Home) -> None:
    """Point published/scorecards.duckdb at a file with the newest release of every month."""
    newest = ledger.newest(home)
    version = ledger.sha256_of([[e.month, e.number, e.release_sha256] for e in newest])
    relative = Path(".versions") / version / "scorecards.duckdb"
    link = home.published / "scorecards.duckdb"
    if link.is_symlink() and link.readlink() == relative and link.exists():
        return
    target = home.published / relative
    if not target.exists():
        with _staging(home, Month(newest[-1].month)) as folder:
            release_files.combine([home.published / e.path for e in newest], newest, folder)
            release_files.sync(folder / "combined")
            target.parent.parent.mkdir(exist_ok=True)
            (folder / "combined").rename(target.parent)
    ledger.sync_folder(target.parent.parent)
    reached("combined")
    _swap_link(link, relative)
    reached("linked")
    _forget_old_versions(target.parent)


def _swap_link(link: Path, relative: Path) -> None:
    """Replace the link in one step; a reader resolves the old one or the new one."""
    draft = link.with_name(f".{link.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(relative)
    draft.replace(link)
    ledger.sync_folder(link.parent)


def _forget_old_versions(current: Path) -> None:
    """Keep the shown version and the newest few before it, for readers that just resolved them."""
    others = [path for path in current.parent.iterdir() if path != current]
    others.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for old in others[_KEPT_VERSIONS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _staging(home: Home, month: Month) -> Iterator[Path]:
    parent = home.published / ".staging"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{month}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _only_publisher(home: Home) -> Iterator[None]:
    """Hold the publisher's lock; the system drops it when the process dies."""
    import fcntl

    home.tmp.mkdir(parents=True, exist_ok=True)
    with (home.tmp / "publish.lock").open("w", encoding="ascii") as handle:
        for _ in range(int(_LOCK_SECONDS / _LOCK_PAUSE)):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE)
        else:
            raise TransientError(f"another publish has held its lock for {_LOCK_SECONDS} seconds")
        handle.write(f"{os.getpid()}\n")
        yield


def _release(home: Home, entry: ledger.Entry) -> Release:
    path = home.published / entry.path
    if not (path / "release.json").exists():
        raise ReleaseError(f"published/{entry.path}: in the ledger but not on disk")
    return Release(Month(entry.month), entry.number, Month(entry.as_of), path, entry.release_sha256)


def describe(release: Release) -> dict[str, Any]:
    """Return what a release says of itself (release.json)."""
    said: dict[str, Any] = json.loads((release.path / "release.json").read_text(encoding="utf-8"))
    return said
