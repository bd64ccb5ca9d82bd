"""What readers open: `published/current`, one link that shows every month's release at once.

It points at a version, a folder with the combined database and a link to the release of each
month. This module makes versions and swaps the link; it may not stage, record or judge a release.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfhouse import durable, hashing, ledger, release_combined, release_files
from perfhouse.settings import Home

CURRENT = "current"
VERSIONS = ".versions"
_KEPT_VERSIONS = 3


@dataclass(frozen=True)
class Shown:
    """A release that readers are to see; `files` is where it lies now, `path` where it will."""

    month: str
    number: int
    path: str
    release_sha256: str
    files: Path

    @classmethod
    def of(cls, home: Home, entry: ledger.Entry) -> Shown:
        """Return a release that is published already."""
        folder = home.published / entry.path
        return cls(entry.month, entry.number, entry.path, entry.release_sha256, folder)

    @property
    def name(self) -> str:
        """Return the release's name, such as `2026-09.r1`."""
        return f"{self.month}.r{self.number}"


def standing(home: Home, *instead: Shown) -> list[Shown]:
    """List what stands by the ledger, in the order of months, with `instead` in its place."""
    found = {entry.month: Shown.of(home, entry) for entry in ledger.newest(home)}
    found |= {each.month: each for each in instead}
    return [found[month] for month in sorted(found)]


def version(releases: Sequence[Shown]) -> str:
    """Return the name of the version that shows these releases."""
    return hashing.sha256_of([[each.path, each.release_sha256] for each in releases])


def prepare(home: Home, releases: Sequence[Shown], draft: Path) -> Path:
    """Make the version that shows these releases, where nobody looks yet; return its folder.

    `draft` is an empty folder on the same disk. A version that is there was complete when it was
    moved to its place; who read it may go on, and what somebody altered in it since is replaced.
    """
    target = home.published / VERSIONS / version(releases)
    release_combined.combine([each.files for each in releases], releases, draft)
    made = draft / "combined"
    for each in releases:
        (made / each.month).symlink_to(Path("..", "..", each.path))
    durable.sync_tree(made)
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        for path in made.iterdir():
            path.replace(target / path.name)
        durable.sync_folder(target)
    else:
        made.rename(target)
    durable.sync_folder(target.parent)
    return target


def show(home: Home, folder: Path) -> None:
    """Point readers at a version: all its months, in all their files, in one step."""
    link = home.published / CURRENT
    before = link.resolve()
    os.utime(folder)  # of those that readers saw, the oldest goes first
    swap(link, folder.relative_to(home.published))
    swap(home.published / release_files.DATABASE, Path(CURRENT, release_files.DATABASE))
    _forget_old_versions(folder, before)


def is_shown(home: Home, releases: Sequence[Shown]) -> bool:
    """Say whether readers see these releases."""
    link, database = home.published / CURRENT, home.published / release_files.DATABASE
    return (
        _points_at(link, Path(VERSIONS, version(releases)))
        and _points_at(database, Path(CURRENT, release_files.DATABASE))
        and database.exists()
    )


def months(published: Path) -> Mapping[str, Path]:
    """Return the folder that readers of `published/current` see of every month."""
    links = (published / CURRENT).glob("[0-9]*-[0-9]*")
    return {link.name: link.resolve() for link in sorted(links)}


def swap(link: Path, target: Path) -> None:
    """Replace a link in one step; a reader resolves the old one or the new one."""
    if _points_at(link, target):
        return
    draft = link.with_name(f".{link.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)
    durable.sync_folder(link.parent)


def _points_at(link: Path, target: Path) -> bool:
    return link.is_symlink() and link.readlink() == target


def _forget_old_versions(current: Path, before: Path) -> None:
    """Keep the shown version, the one before and the newest of the rest: readers resolved them."""
    kept = {current.resolve(), before}
    others = [path for path in current.parent.iterdir() if path.resolve() not in kept]
    others.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for old in others[_KEPT_VERSIONS - 2 :]:
        shutil.rmtree(old, ignore_errors=True)
