"""A home that an earlier version made, unpacked: two months, the first of them restated."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

import tiny

PACK = Path(__file__).resolve().parents[1] / "homes_of_before" / "21ecedf.tar.xz"
OLD = ("2026-08", "2026-09")
# Commands about a home alone.
_OF_HOME = {"verify", "diff", "explain", "reproduce"}


@dataclass(frozen=True)
class World:
    """Its company, its data and its home."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def company(self) -> Path:
        return self.root / "company"

    def ask(self, *words: str, code: int | None = 0) -> str:
        """Run a command as people do; tell all it said. It must end with the code, if one is."""
        places: list[str | Path] = ["--home", self.home]
        if words[0] not in _OF_HOME:
            places += ["--company", self.company, "--data", self.data]
        done = tiny.perfhouse(*words, *places)
        assert code in (None, done.returncode), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


def unpacked(into: Path) -> World:
    """Unpack the home into a folder."""
    with tarfile.open(PACK) as pack:
        pack.extractall(into, filter="tar")
    return World(into)
