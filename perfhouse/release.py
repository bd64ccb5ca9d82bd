"""Releases: stage a month beside, have it audited, then cut over in one atomic step.

This module owns published files; it may not compute a number or read a source.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from perfhouse import (
    durable,
    evidence,
    ledger,
    ledger_head,
    provenance,
    release_diff,
    release_earlier,
    release_files,
    release_manifest,
    release_shown,
    release_stage,
    release_tables,
    restatement,
    sign_off_request,
    signing,
    trust,
)
from perfhouse.errors import ConfigError, ReleaseError, TransientError
from perfhouse.month import Month
from perfhouse.release_shown import Shown
from perfhouse.release_stage import Release as Release
from perfhouse.release_stage import Work
from perfhouse.settings import Home

if TYPE_CHECKING:
    from perfhouse.company import Company
    from perfhouse.release_diff import Difference

_log = logging.getLogger(__name__)

# Where a process may die in a test of what a crash leaves behind, in order.
STEPS = (
    "mended",
    "tables staged",
    "files staged",
    "audited",
    "sealed",
    "synced",
    "combined",
    "loaded",
    "moved",
    "recorded",
    "linked",
    "committed",
)
_LOCK_SECONDS = 900
_LOCK_PAUSE = 0.2
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)


def _passed(step: str) -> None:
    """Do nothing; tests put a crash here."""


reached: Callable[[str], None] = _passed


class Beside(Protocol):
    """Another target that changes with the files: loaded when entered, shown when left."""

    def __call__(
        self, database: Path, folders: Mapping[str, Path]
    ) -> AbstractContextManager[object]:
        """Take the combined database and the folder of each month's release."""
        ...


def nothing_beside(database: Path, folders: Mapping[str, Path]) -> AbstractContextManager[object]:
    """Stand in where there is no other target."""
    return nullcontext()


def publish(
    company: Company,
    home: Home,
    month: Month,
    *,
    as_of: Month | None = None,
    reason: restatement.Reason | None = None,
    beside: Beside = nothing_beside,
    progress: Callable[[str], None] = _log.info,
) -> Release:
    """Publish what the warehouse holds of a month, unless its newest release says the same.

    Finishes first what an earlier publish that died left undone. `reason` restates a closed month,
    and brings back what a rollback withdrew.

    Raises:
        MonthClosed: the month is closed, or this was withdrawn, and nobody said why (data owner).
        GateFailed: a gate has not passed this very content, it was built from something else,
            or the exports gate failed (data owner); nothing was published.
        NotSignedOff: it is final, and no approver has signed it (approver); nothing was published.
        ReleaseError: the ledger or published tables were changed by someone else (data engineer).
        TransientError: the disk is full, or may not be written any more; readers see what they saw.
    """
    with _coming(company, home, month, as_of, reason, progress) as (before, staged):
        if before is not None and staged.sha256 == before.sha256:
            progress(f"{before.name}: unchanged, {before.sha256[:12]}")
            return replace(before, unchanged=True)
        sign_off_request.require(home, before, staged)
        provenance.keep_configuration(home, company)
        released = _cut_over(home, staged, beside)
        sign_off_request.done(home, month)
    progress(f"{released.name}: published, {released.sha256[:12]}")
    return released


def ask(
    company: Company,
    home: Home,
    month: Month,
    *,
    as_of: Month | None = None,
    reason: restatement.Reason | None = None,
    progress: Callable[[str], None] = _log.info,
) -> sign_off_request.Request | None:
    """Stage and audit what `publish` would put out; return what is to be signed of it, if anything.

    Of a month that closed since its release went out, that release is to be signed. Nothing is
    shown to readers. Raises what `publish` raises.
    """
    with _coming(company, home, month, as_of, reason, progress) as (before, staged):
        return sign_off_request.wanted(home, before, staged)


def preview(
    company: Company,
    home: Home,
    month: Month,
    *,
    as_of: Month | None = None,
    progress: Callable[[str], None] = _log.info,
) -> Difference | None:
    """Return how the tables that `publish` would put out differ from the release that stands.

    None where none stands. No gate audits the files, and nothing is kept or shown to readers.

    Raises:
        GateFailed: the warehouse was built from something else (data owner).
        ReleaseError: the standing release was changed by someone else (data engineer).
    """
    window = as_of or month
    with only_publisher(home):
        mend(home)
        release_stage.require_origin(home, company, month, window)
        standing = ledger.latest(home, month)
        if standing is None:
            return None
        trust.require_tables(home, standing)
        with _staging(home, month) as folder:
            progress(f"{month}: compared with {standing.name}")
            release_tables.stage_tables(home, month, folder)
            return release_diff.between(
                (home.published / standing.path, folder), (standing.name, "what was built")
            )


@contextmanager
def _coming(
    company: Company,
    home: Home,
    month: Month,
    as_of: Month | None,
    reason: restatement.Reason | None,
    progress: Callable[[str], None],
) -> Iterator[tuple[Release | None, Release]]:
    """Yield the release that stands, if any, and what is staged to follow it; both are gone after.

    The caller is the only publisher meanwhile.
    """
    window = as_of or month
    with only_publisher(home):
        mend(home)
        reached("mended")
        verdicts = [
            release_stage.standing_verdict(home, company, month, window, gate)
            for gate in release_stage.BEFORE
        ]
        release_stage.require_origin(home, company, month, window)
        release_stage.require_nothing_withdrawn(home, month)
        for line in release_earlier.unreleased(home, month):
            progress(line)
        standing = ledger.latest(home, month)
        if standing is not None:  # it says whether this is new, and what has changed
            trust.require_tables(home, standing)
        before = latest(home, month)
        with _staging(home, month) as folder:
            work = Work(company, home, month, window, verdicts, progress, reached)
            yield before, release_stage.staged(work, before, folder, reason)


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
    with only_publisher(home):
        mend(home)
        key = signing.release_key(home)
        return ledger.record(home, kind=kind, what=what, who=who, why=why, key=key, at=at)


def latest(home: Home, month: Month) -> Release | None:
    """Return the release of a month that stands, or None."""
    entry = ledger.latest(home, month)
    return of_entry(home, entry) if entry else None


def releases(home: Home) -> list[Release]:
    """List every release in the order they were published."""
    return [of_entry(home, entry) for entry in ledger.entries(home)]


def mend(home: Home) -> None:
    """Finish what a publisher that died left undone; the caller is the only publisher.

    A release that was moved but not recorded is complete (it was synced before the move), so it
    is recorded; whatever is still in staging is dropped.

    Raises:
        ConfigError: what was published so far was signed with another key (operator).
        ReleaseError: the ledger is not the one we wrote, or what is to be finished is not what we
            sealed (data engineer).
    """
    home.published.mkdir(parents=True, exist_ok=True)
    signing.release_key(home)
    if ledger.repair(home):
        _log.warning("published/ledger.jsonl: cut off a torn last line")
    shutil.rmtree(home.published / ".staging", ignore_errors=True)
    known = trust.lines(home)
    if known and ledger_head.noted(home) is None:
        ledger_head.note(home, ledger.head(known))
    recorded = {line.path for line in known if isinstance(line, ledger.Entry)}
    for folder in sorted(home.published.glob("[0-9]*/r[0-9]*"), key=_order):
        if folder.relative_to(home.published).as_posix() not in recorded:
            _adopt(home, folder)
    shown = release_shown.standing(home)
    if shown and not release_shown.is_shown(home, shown):
        _require_others(home, None)
        with _staging(home, Month(shown[-1].month)) as draft:
            release_shown.show(home, release_shown.prepare(home, shown, draft))


def _order(folder: Path) -> tuple[str, int]:
    return folder.parent.name, int(folder.name[1:])


def _adopt(home: Home, folder: Path) -> None:
    said = trust.adoptable(home, folder)
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


def _cut_over(home: Home, staged: Release, beside: Beside) -> Release:
    """Show a synced staging folder as the release of its month, in all targets."""
    durable.sync_tree(staged.path)
    reached("synced")
    path = f"{staged.month}/r{staged.number}"
    target = home.published / path
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        raise ReleaseError(f"{path}: exists, but is not the newest")

    def decide() -> None:
        staged.path.rename(target)
        durable.sync_folder(target.parent)
        durable.sync_folder(home.published)
        reached("moved")
        _record(home, target, release_manifest.read_manifest(target))

    coming = Shown(staged.month.key, staged.number, path, staged.sha256, staged.path)
    cut_over(home, coming, decide, beside)
    return replace(staged, path=target)


def cut_over(home: Home, coming: Shown, decide: Callable[[], None], beside: Beside) -> None:
    """Make one release stand for its month; the caller is the only publisher.

    Everything that takes time comes first, where nobody looks: the database of all months and what
    is `beside` (the mart, in a transaction that is open still). Then, at once: `decide` writes the
    ledger, the link is swapped, and what is beside is committed.
    """
    _require_others(home, coming.month)
    shown = release_shown.standing(home, coming)
    with _staging(home, Month(coming.month)) as draft:
        version = release_shown.prepare(home, shown, draft)
    reached("combined")
    folders = {each.month: each.files for each in shown}
    with beside(version / release_files.DATABASE, folders):
        reached("loaded")
        decide()
        reached("recorded")
        release_shown.show(home, version)
        reached("linked")
    reached("committed")


def _require_others(home: Home, coming: str | None) -> None:
    """Refuse to show the tables of other months if they are not what was published."""
    for entry in ledger.newest(home):
        if entry.month != coming:
            trust.require_tables(home, entry)


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
def only_publisher(home: Home) -> Iterator[None]:
    """Hold the publisher's lock; the system drops it when the process dies.

    What a disk refuses meanwhile becomes a TransientError.
    """
    with _disk_told(), _locked(home):
        yield


@contextmanager
def _disk_told() -> Iterator[None]:
    """Tell what a disk refuses in our words, without the names of files: cards bear managers'."""
    import duckdb

    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise _refused(os.strerror(error.errno)) from None
    except (duckdb.IOException, duckdb.FatalException) as error:
        known = (os.strerror(number) for number in _REFUSALS)
        words = next((each for each in known if each in str(error)), None)
        if words is None:
            raise
        raise _refused(words) from None


def _refused(words: str) -> TransientError:
    return TransientError(
        f"published/: the disk refuses ({words}): readers see what they saw; mend it and publish "
        "again, which finishes what was begun"
    )


@contextmanager
def _locked(home: Home) -> Iterator[None]:
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


def of_entry(home: Home, entry: ledger.Entry) -> Release:
    """Return a release that the ledger names."""
    path = home.published / entry.path
    if not (path / "release.json").exists():
        raise ReleaseError(f"published/{entry.path}: in the ledger but not on disk")
    return Release(Month(entry.month), entry.number, Month(entry.as_of), path, entry.release_sha256)


def describe(release: Release) -> dict[str, Any]:
    """Return what a release says of itself (release.json)."""
    return release_manifest.read_manifest(release.path)
