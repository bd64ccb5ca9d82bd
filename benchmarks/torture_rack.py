"""Kills publishers of one world again and again, with readers running, and finishes what they left.

Knows no world and no PostgreSQL by name: a test gives it a smaller one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

from benchmarks.torture_world import VERSIONS, World
from perfhouse import ledger, release
from perfhouse.mart import load
from perfhouse.settings import Home, child_environment

ROOT = Path(__file__).resolve().parents[1]
_MORE = 1.1  # random kills come until a little after the end
_AT_ONCE = (1, 2, 3)  # kills before the next run may finish
ROLLBACK_STEPS = ("mended", "combined", "loaded", "recorded", "linked", "committed")
LANDING_STEPS = ("hashed", "installed", "swapped")


class Forge:
    """The process that forks publishers and kills them."""

    def __init__(self, world: World, more: Mapping[str, str]) -> None:
        self._log = world.root / "child.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torture_child", world.opener, str(world.root)],
            cwd=ROOT,
            env=environment(more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, do: str, **more: Any) -> dict[str, Any]:
        """Let a child do something; return how it ended, after how long, and what it said."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, "log": str(self._log), **more}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def done(self, do: str, **more: Any) -> dict[str, Any]:
        """Let a child do something that must work."""
        answer = self.order(do, **more)
        if answer["code"] != 0:
            raise AssertionError(f"{do} {more}: {answer}")
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of everything that is started: one thread each, our settings."""
    urls = {key: value for key, value in os.environ.items() if key.startswith("PERFHOUSE_URL_")}
    paths = os.pathsep.join(filter(None, (str(ROOT), more.get("PYTHONPATH"))))
    return child_environment({"PERFHOUSE_THREADS": "1", **urls, **more, "PYTHONPATH": paths})


@contextmanager
def readers(
    root: Path, places: Mapping[str, Path], more: Mapping[str, str]
) -> Iterator[list[dict[str, Any]]]:
    """Run a reader of each kind for the block; what they saw is in the list afterwards."""
    stop = root / "stop"
    stop.unlink(missing_ok=True)
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torture_readers", kind, str(place), str(stop)],
            cwd=ROOT,
            env=environment(more),
            stdout=subprocess.PIPE,
            text=True,
        )
        for kind, place in places.items()
    ]
    seen: list[dict[str, Any]] = []
    try:
        yield seen
    finally:
        stop.touch()
        seen += [json.loads(reader.communicate(timeout=120)[0]) for reader in running]


@dataclass
class Rack:
    """One world under torture, and the same world spared, to compare with.

    `control` is the home in which everything happens once and nobody dies.
    """

    world: World
    forge: Forge
    has_mart: bool = False
    luck: random.Random = field(default_factory=lambda: random.Random(5))
    deeds: list[tuple[str, str]] = field(default_factory=list)
    _turns: int = 0
    _seconds: dict[str, float] = field(default_factory=dict)

    @property
    def control(self) -> Path:
        """Return the home in which nobody dies."""
        return self.world.root / "control"

    def begin(self) -> None:
        """Copy the home to be spared, and publish the first version in both."""
        shutil.copytree(self.world.home, self.control, symlinks=True)
        self.deeds.append(("publish", VERSIONS[0]))
        self._seconds["publish"] = self.forge.done("publish", month=self.world.month)["seconds"]

    def turn(self) -> None:
        """Put the other version in place: its publication will be a new release."""
        self._turns += 1
        version = VERSIONS[self._turns % len(VERSIONS)]
        self.world.turn(self.world.home, version)
        self.deeds.append(("publish", version))

    def publishers(self, kills: int) -> dict[str, Any]:
        """Kill publishers, half of them at each step in turn, half at random instants."""
        steps = [*release.STEPS, *(load.STEPS[:-1] if self.has_mart else ())]
        found = _Count("publish")
        while found.kills < kills:
            self.turn()
            for _ in range(min(self.luck.choice(_AT_ONCE), kills - found.kills)):
                when = self._when("publish", steps, found)
                found.add(self.forge.order("publish", month=self.world.month, **when))
            found.finish(self.forge.done("publish", month=self.world.month), self._seconds)
        return found.told()

    def rollbacks(self, kills: int) -> dict[str, Any]:
        """Kill rollbacks, to the release before and back again."""
        found = _Count("rollback")
        home = Home(self.world.home)
        while found.kills < kills:
            names = [e.name for e in ledger.entries(home) if e.month == self.world.month][-2:]
            stands = ledger.standing(ledger.lines(ledger.ledger_path(home)))[self.world.month].name
            to = next(name for name in names if name != stands)
            for _ in range(min(self.luck.choice(_AT_ONCE), kills - found.kills)):
                when = self._when("rollback", ROLLBACK_STEPS, found)
                found.add(self.forge.order("rollback", to=to, **when))
            # Any publish finishes what died; one of a month that did not change does no more.
            answer = self.forge.done("publish", month=self.world.months[0])
            if ledger.latest(home, _month(self.world)).name != to:  # type: ignore[union-attr]
                answer = self.forge.done("rollback", to=to)
            found.finish(answer, self._seconds)
            self.deeds.append(("rollback", to))
        return found.told()

    def landings(self, kills: int, source: str) -> dict[str, Any]:
        """Kill landings of a delivery that changes each time, in a lake of their own."""
        found, home = _Count("land"), self.world.root / "lake"
        shutil.copytree(self.world.home / "raw", home / "raw")
        expected = {v: self._landed(home, source, v) for v in VERSIONS}
        self._seconds["land"] = found.seconds[-1] if found.seconds else 0.5
        at = 0
        while found.kills < kills:
            version = VERSIONS[at % len(VERSIONS)]
            order = self._landing(home, source, version)
            for _ in range(min(self.luck.choice(_AT_ONCE), kills - found.kills)):
                when = self._when("land", LANDING_STEPS, found)
                if "step" in when:
                    when = {"landing": when["step"]}
                found.add(self.forge.order("land", **order, **when))
            found.finish(self.forge.done("land", **order), self._seconds)
            found.same &= self._hashes(home, source) == expected[version]
            at += 1
        return found.told()

    def loads(self, kills: int) -> dict[str, Any]:
        """Kill loaders of the mart that take every month anew."""
        found = _Count("mart publish")
        self._seconds["mart publish"] = self.forge.done("load")["seconds"]
        while found.kills < kills:
            for _ in range(min(self.luck.choice(_AT_ONCE), kills - found.kills)):
                when = self._when("mart publish", load.STEPS, found)
                found.add(self.forge.order("load", **when))
            found.finish(self.forge.done("load"), self._seconds)
        return found.told()

    def is_as_if_nobody_had_died(self) -> bool:
        """Do the same in the spared home; say whether the ledgers are the same to the byte.

        They hold the hash, the root and the signature of every release.
        """
        order = {"home": str(self.control)}
        for deed, what in self.deeds:
            if deed == "publish":
                self.world.turn(self.control, what)
                self.forge.done("publish", month=self.world.month, **order)
            else:
                self.forge.done("rollback", to=what, **order)
        files = [ledger.ledger_path(Home(home)) for home in (self.world.home, self.control)]
        return files[0].read_bytes() == files[1].read_bytes()

    def _when(self, deed: str, steps: Sequence[str], found: _Count) -> dict[str, Any]:
        """Say when the next one dies: at the next step, or at a random instant."""
        found.tries += 1
        if found.tries % 2:
            return {"step": steps[found.tries // 2 % len(steps)]}
        return {"delay": self.luck.uniform(0, self._seconds.get(deed, 0.5) * _MORE)}

    def _landing(self, home: Path, source: str, version: str) -> dict[str, Any]:
        data = str(self.world.root / "sources" / version)
        return {"home": str(home), "source": source, "month": self.world.month, "data": data}

    def _landed(self, home: Path, source: str, version: str) -> list[str]:
        order = self._landing(home, source, version)
        self._seconds["land"] = self.forge.done("land", **order)["seconds"]
        return self._hashes(home, source)

    def _hashes(self, home: Path, source: str) -> list[str]:
        from perfhouse import lake

        manifest = lake.read_manifest(Home(home), source, _month(self.world))
        assert manifest is not None
        files = [file for stream in manifest.streams.values() for file in stream.files]
        return sorted(f"{file.rows} {file.sha256}" for file in files)


@dataclass
class _Count:
    """What one kind of torture did."""

    what: str
    kills: int = 0
    at_steps: int = 0
    tries: int = 0
    survived: int = 0
    finishes: int = 0
    same: bool = True
    seconds: list[float] = field(default_factory=list)

    def add(self, answer: Mapping[str, Any]) -> None:
        """Count a child; one that ended before it was killed is no kill."""
        if answer["code"] == -SIGKILL:
            self.kills += 1
            self.at_steps += self.tries % 2
        elif answer["code"] == 0:
            self.survived += 1
        elif self.what != "rollback" or "which stands" not in answer["said"]:
            raise AssertionError(f"{self.what}: {answer}")

    def finish(self, answer: Mapping[str, Any], seconds: dict[str, float]) -> None:
        """Count a run that finished what the dead left."""
        self.finishes += 1
        self.seconds.append(answer["seconds"])
        seconds[self.what] = sorted(self.seconds)[len(self.seconds) // 2]

    def told(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "what": self.what,
            "kills": self.kills,
            "at_steps": self.at_steps,
            "at_random": self.kills - self.at_steps,
            "survived": self.survived,
            "finishing_runs": self.finishes,
            "seconds_of_a_run": sorted(self.seconds)[len(self.seconds) // 2],
            "same_files": self.same,
        }


def _month(world: World) -> Any:
    from perfhouse.month import Month

    return Month(world.month)


def windows(rack: Rack, publishes: int) -> list[dict[str, float]]:
    """Publish with nobody dying; measure how far apart the targets change, in seconds.

    Looks at the ledger, the link and the mart as fast as it can from another thread.
    """
    import threading

    found = []
    for _ in range(publishes):
        rack.turn()
        seen: dict[str, float] = {}
        stop = threading.Event()
        watchers = [threading.Thread(target=_watch_files, args=(rack, seen, stop))]
        if rack.has_mart:
            watchers.append(threading.Thread(target=_watch_mart, args=(rack, seen, stop)))
        for watcher in watchers:
            watcher.start()
        time.sleep(0.1)
        rack.forge.done("publish", month=rack.world.month)
        time.sleep(0.1)
        stop.set()
        for watcher in watchers:
            watcher.join()
        found.append({name: at - seen["link"] for name, at in seen.items()})
    return found


def _watch_files(rack: Rack, seen: dict[str, float], stop: Any) -> None:
    published = rack.world.home / "published"
    link, file = published / "current", published / ledger.LEDGER
    before, size = link.readlink(), file.stat().st_size
    while not stop.is_set():
        if "ledger" not in seen and file.stat().st_size != size:
            seen["ledger"] = time.perf_counter()
        if "link" not in seen and link.readlink() != before:
            seen["link"] = time.perf_counter()


def _watch_mart(rack: Rack, seen: dict[str, float], stop: Any) -> None:
    import psycopg

    from perfhouse import settings

    query = "select max(release) from perfhouse.releases"
    with psycopg.connect(settings.connection_url("torture_reader"), autocommit=True) as con:
        query = "select string_agg(release, ' ' order by month) from perfhouse.releases"
        before = con.execute(query).fetchone()
        while not stop.is_set():
            if "mart" not in seen and con.execute(query).fetchone() != before:
                seen["mart"] = time.perf_counter()
