"""A disk without room under a publish: what is said, and that the next publish finishes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import publish_in_child as child
import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from expectations import gate
from perfhouse import release, release_files
from perfhouse.errors import TransientError


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_expect", child.everything_passes)
    monkeypatch.setattr(release_files, "stage_cards", child.plain_cards)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Lay a file system of 64 KiB over a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_next_publish_finishes(tmp_path: Path) -> None:
    home = small.home(tmp_path / "home")
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "calls", {"calls": CALLS})
    small.build(home)
    company = small.company(tmp_path / "company", small.source("hr"), small.source("calls"))
    child.judge(home, company, MONTH)
    with small_disk(home.published / ".staging"):
        with pytest.raises(TransientError, match=r"the disk refuses \(No space left on device\)"):
            release.publish(company, home, MONTH)
        assert release.latest(home, MONTH) is None
    assert release.publish(company, home, MONTH).number == 1
