"""A full disk, rights that are taken away, a PostgreSQL that is lost: in the middle of a publish.

Each leaves readers the old release or the new one, ends in words that say who must act, and is
finished by the next run once it is mended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import torture_readers
from benchmarks.torture_child import REFUSED
from benchmarks.torture_rack import Rack, readers
from benchmarks.torture_world import Server

_KIB = 1024
# What is left free on the disk, from nothing to nearly enough, in KiB.
FREE = (0, 256, 1536)
REVOKED_AT = ("sealed", "loaded", "moved")
LOST_AT = ("copied", "compared", "recorded")
POWER_AT = ("copied", "linked")
_ROOM = 48 * 1024 * _KIB  # beside what is there: a publish needs a tenth
_NOBODY = 65534


def full_disk(rack: Rack, free: Sequence[int] = FREE) -> dict[str, Any]:
    """Publish onto a file system of its own with less and less room; skipped without root."""
    if os.geteuid() != 0:
        return _skipped("disk full", "it needs root to mount a file system")
    found = _Found("disk full")
    with _small_disk(rack.world.home) as mounted:
        if not mounted:
            return _skipped("disk full", "no file system can be mounted here")
        with found.watched(rack):
            for room in free:
                rack.turn()
                filler = rack.world.home / "filler"
                _fill(filler, room * _KIB)
                answer = rack.forge.order("publish", month=rack.world.month)
                found.add(answer, f"{room} KiB free", rack)
                filler.unlink()
                found.finish(rack)
    return found.told()


def revoked_rights(rack: Rack, steps: Sequence[str] = REVOKED_AT) -> dict[str, Any]:
    """Take the right to write from published/ at each step, from a publisher who is not root."""
    if os.geteuid() != 0:
        return _skipped("rights revoked", "it needs root to publish as somebody else")
    found = _Found("rights revoked")
    home, published = rack.world.home, rack.world.home / "published"
    with found.watched(rack):
        for step in steps:
            rack.turn()
            _own(home, _NOBODY)
            more = {"month": rack.world.month, "uid": _NOBODY, "published": str(published)}
            found.add(rack.forge.order("publish", step=step, act="revoke", **more), step, rack)
            for path in (published, *published.glob("[0-9]*")):
                path.chmod(0o755)
            (published / "ledger.jsonl").chmod(0o644)
            found.finish(rack, uid=_NOBODY)
    _own(home, os.geteuid())
    return found.told()


def lost_sessions(rack: Rack) -> dict[str, Any]:
    """Let the server end the loader's session at each step."""
    found = _Found("session ended")
    hook = {"act": "hook", "hook": "benchmarks.torture_world:end_sessions"}
    with found.watched(rack):
        for step in LOST_AT:
            rack.turn()
            answer = rack.forge.order("publish", month=rack.world.month, step=step, **hook)
            found.add(answer, step, rack)
            found.finish(rack)
    return found.told()


def lost_power(rack: Rack, server: Server) -> dict[str, Any]:
    """Stop the whole server as a power cut would, and start it again afterwards."""
    hook = {"act": "hook", "hook": "benchmarks.torture_world:cut_power"}
    found = _Found("server stopped")
    with found.watched(rack):
        for step in POWER_AT:
            rack.turn()
            order = {**hook, "hook_arguments": [server.pid], "step": step}
            answer = rack.forge.order("publish", month=rack.world.month, **order)
            server.stop()
            server.start()
            found.add(answer, step, rack)
            found.finish(rack)
    return found.told()


class _Found:
    """What became of one kind of misfortune."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told: dict[str, Any] = {
            "what": what, "times": 0, "refused": 0, "done": 0, "finished": 0, "wrong": [],
            "words": [],
        }  # fmt: skip

    @contextmanager
    def watched(self, rack: Rack) -> Iterator[None]:
        """Let readers of the files run for the block; the mart's is left out: its server goes."""
        published = rack.world.home / "published"
        places = dict.fromkeys(("database", "files", "ledger"), published)
        with readers(rack.world.root, places) as seen:
            yield
        self._told["reads"] = sum(each["reads"] for each in seen)
        self._told["wrong"] += [f"{each['kind']}: {w}" for each in seen for w in each["wrong"]]

    def add(self, answer: Mapping[str, Any], when: str, rack: Rack) -> None:
        """Count a run and look at what readers see after it."""
        self._told["times"] += 1
        if answer["code"] == 0:
            self._told["done"] += 1
        elif answer["code"] == REFUSED:
            self._told["refused"] += 1
            words = answer["said"].splitlines()[0][:200]
            if words not in self._told["words"]:
                self._told["words"].append(words)
        else:
            self._told["wrong"].append(f"{when}: {answer['code']}: {answer['said'][-600:]}")
        self._look(when, rack)

    def finish(self, rack: Rack, **more: Any) -> None:
        """Publish again, now that it is mended."""
        answer = rack.forge.order("publish", month=rack.world.month, **more)
        self._told["finished"] += answer["code"] == 0
        if answer["code"] != 0:
            self._told["wrong"].append(f"the next run: {answer['code']}: {answer['said'][-600:]}")
        self._look("after the next run", rack)

    def _look(self, when: str, rack: Rack) -> None:
        published = rack.world.home / "published"
        for look in (torture_readers.database, torture_readers.files, torture_readers.chain):
            try:
                look(published)
            except Exception as error:
                told = f"{when}: {look.__name__}: {type(error).__name__}: {str(error)[:200]}"
                self._told["wrong"].append(told)

    def told(self) -> dict[str, Any]:
        """Return the counts."""
        return self._told


def _skipped(what: str, why: str) -> dict[str, Any]:
    return {"what": what, "skipped": why}


@contextmanager
def _small_disk(home: Path) -> Iterator[bool]:
    """Lay a small file system under the home for the block, with all it held."""
    aside = home.with_name(f"{home.name}.aside")
    home.rename(aside)
    home.mkdir()
    held = sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
    size = f"size={held + _ROOM}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(home)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        if mounted:
            shutil.copytree(aside, home, symlinks=True, dirs_exist_ok=True)
        yield mounted
        if mounted:
            shutil.rmtree(aside)
            shutil.copytree(home, aside, symlinks=True)
    finally:
        if mounted:
            subprocess.run(["umount", str(home)], check=True)
        home.rmdir()
        aside.rename(home)


def _fill(filler: Path, free: int) -> None:
    """Write a file until so many bytes are left."""
    with filler.open("wb") as handle:
        room = shutil.disk_usage(filler.parent).free - free
        chunk = bytes(1024 * _KIB)
        while room > 0:
            room -= handle.write(chunk[: min(room, len(chunk))])


def _own(folder: Path, uid: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)
