"""Make a frozen home of an earlier commit, for tests/integration/test_upgrade.py.

git worktree add --detach /tmp/before COMMIT
python tests/homes_of_before/make.py /tmp/before tests/homes_of_before/COMMIT.tar.xz

The commit's own code lands, builds and publishes two months of its tiny company, and the first once
more with a reason. All people are invented, and the keys sign nothing else. What is no format of
ours is left out: dbt's folder, and the library of charts in pages, which is most of their bytes.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

MONTHS = ("2026-08", "2026-09")
RESTATED = ("--restate", "--reason", "A ticket came late", "--by", "Head of service")
_LEFT_OUT = ("home/dbt", "home/docs", "home/logs", "home/tmp", "home/published/.staging")
_CHARTS = "perfhouse/templates/vendor/echarts/echarts.min.js.gz"
_LIVES = """
import sys, pathlib
import tiny
root, month, late = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
tiny.company(root / "company")
tiny.deliver(root / "data", month)
if late:
    tiny.tickets(root / "data", month, count=6)
words = ["run", "--company", root / "company", "--data", root / "data", "--home", root / "home"]
done = tiny.perfhouse(*words, "--month", month, *late)
sys.exit(done.stdout + done.stderr if done.returncode else 0)
"""


def make(commit: Path, target: Path) -> None:
    """Live two months with a checkout of the commit; pack what is left of them."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        code = root / "code"
        shutil.copytree(commit, code, ignore=shutil.ignore_patterns(".git", ".venv", "data"))
        (code / _CHARTS).write_bytes(gzip.compress(b"", mtime=0))
        for month, late in ((MONTHS[0], ()), (MONTHS[0], RESTATED), (MONTHS[1], ())):
            path = os.pathsep.join((str(code), str(code / "tests" / "e2e")))
            subprocess.run(
                [sys.executable, "-c", _LIVES, str(root), month, *late],
                cwd=root,  # of -c the folder comes first: it must not be this checkout
                env={**os.environ, "PYTHONPATH": path},
                check=True,
            )
        for name in _LEFT_OUT:
            shutil.rmtree(root / name, ignore_errors=True)
        _drop_what_nothing_points_at(root / "home" / "published")
        _pack(root, target)


def _drop_what_nothing_points_at(published: Path) -> None:
    current = (published / "current").resolve()
    for version in (published / ".versions").iterdir():
        if version != current:
            subprocess.run(["chmod", "-R", "u+w", str(version)], check=True)
            shutil.rmtree(version)


def _pack(root: Path, target: Path) -> None:
    """Pack what is alike side by side: most of it repeats."""
    names = sorted(
        (path for part in ("company", "data", "home") for path in (root / part).rglob("*")),
        key=lambda path: (not path.is_dir(), path.suffix, path.name, path),
    )
    best = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 26}]
    with lzma.open(target, "wb", filters=best) as whole, tarfile.open(None, "w", whole) as pack:
        for path in names:
            pack.add(path, path.relative_to(root).as_posix(), recursive=False, filter=_nobodys)


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
