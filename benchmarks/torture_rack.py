"""Kills publishers of one world again and again, with readers running, and finishes what they left.

Knows no world and no PostgreSQL by name: a test gives it a smaller one.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

from benchmarks.torture_world import ROOT, VERSIONS, World, environment
from perfhouse import lake, ledger, release
from perfhouse.mart import load
from perfhouse.month import Month
from perfhouse.settings import Home

_MORE = 1.1  # random kills come until a little after the end
_AT_ONCE = (3, 4, 5)  # kills before the next run may finish
ROLLBACK_STEPS = ("mended", "combined", "loaded", "recorded", "linked", "committed")
LANDING_STEPS = ("hashed", "installed", "swapped")


class Forge:
    """The process that forks publishers and kills them."""

    def __init__(self, world: World) -> None:
        self._log = world.root / "child.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torture_child", world.opener, str(world.root)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._send({"do": "publish", "month": world.month})

    def _send(self, order: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def order(self, do: str, **more: Any) -> dict[str, Any]:
        """Let a child do something; return how it ended, after how long, and what it said."""
        assert self._process.stdout is not None
        self._send({"do": do, "log": str(self._log), **more})
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
        self._process.communicate(timeout=30)


@contextmanager
def readers(root: Path, places: Mapping[str, Path]) -> Iterator[list[dict[str, Any]]]:
    """Run a reader of each kind for the block; what they saw is in the list afterwards."""
    stop = root / "stop"
    stop.unlink(missing_ok=True)
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torture_readers", kind, str(place), str(stop)],
            cwd=ROOT,
            env=environment(),
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
        """Begin after the forge, which has published the first version."""
        self.deeds.append(("publish", VERSIONS[0]))
        self._seconds["publish"] = self.forge.done("publish", month=self.world.month)["seconds"]

    def turn(self) -> None:
        """Put the other version in place: its publication will be a new release."""
        self._turns += 1
        version = VERSIONS[self._turns % len(VERSIONS)]
        self.world.turn(self.world.home, version)
        self.deeds.append(("publish", version))

    def publishers(self, kills: int, *, random: bool = True) -> dict[str, Any]:
        """Kill publishers, at each step in turn and, every other time, at a random instant."""
        steps = [*release.STEPS, *(load.STEPS[:-1] if self.has_mart else ())]
        found = _Count("publish")
        while found.kills < kills:
            self.turn()
            for _ in range(min(self.luck.choice(_AT_ONCE), kills - found.kills)):
                when = self._when("publish", steps, found, random=random)
                found.add(self.forge.order("publish", month=self.world.month, **when))
            found.finish(self.forge.done("publish", month=self.world.month), self._seconds)
        return found.told()

    def rollbacks(self, kills: int) -> dict[str, Any]:
        """Kill rollbacks, to the release before and back again."""
        found, to = _Count("rollback"), ""
        home = Home(self.world.home)
        names = [e.name for e in ledger.entries(home) if e.month == self.world.month][-2:]
        while found.kills < kills:
            stands = ledger.standing(ledger.lines(ledger.ledger_path(home)))[self.world.month].name
            to = next(name for name in names if name != stands)
            for _ in range(min(self.luck.choice(_AT_ONCE), kills - found.kills)):
                when = self._when("rollback", ROLLBACK_STEPS, found)
                found.add(self.forge.order("rollback", to=to, **when))
            # Any publish finishes what died; one of a month that did not change does no more.
            answer = self.forge.done("publish", month=self.world.months[0])
            if ledger.latest(home, Month(self.world.month)).name != to:  # type: ignore[union-attr]
                answer = self.forge.done("rollback", to=to)
            found.finish(answer, self._seconds)
            self.deeds.append(("rollback", to))
        if to != names[-1]:  # what is withdrawn would not be published again
            self.forge.done("rollback", to=names[-1])
            self.deeds.append(("rollback", names[-1]))
        return found.told()

    def first_landing(self) -> None:
        """Land once, so that readers of the lake have something to read."""
        self._landed(VERSIONS[0])

    def landings(self, kills: int) -> dict[str, Any]:
        """Kill landings of a delivery that changes each time, in the lake of root/lake."""
        found, at = _Count("land"), 0
        expected = {version: self._landed(version) for version in VERSIONS}
        while found.kills < kills:
            version = VERSIONS[at % len(VERSIONS)]
            order = self._landing(version)
            for _ in range(min(self.luck.choice(_AT_ONCE), kills - found.kills)):
                when = self._when("land", LANDING_STEPS, found)
                if "step" in when:
                    when = {"landing": when["step"]}
                found.add(self.forge.order("land", **order, **when))
            found.finish(self.forge.done("land", **order), self._seconds)
            found.same &= self._hashes() == expected[version]
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

    def _when(
        self, deed: str, steps: Sequence[str], found: _Count, *, random: bool = True
    ) -> dict[str, Any]:
        """Say when the next one dies: at the next step, or at a random instant."""
        found.tries += 1
        found.is_at_step = not random or found.tries % 2 == 1
        if found.is_at_step:
            found.steps += 1
            return {"step": steps[(found.steps - 1) % len(steps)]}
        return {"delay": self.luck.uniform(0, self._seconds.get(deed, 0.5) * _MORE)}

    def _landing(self, version: str) -> dict[str, Any]:
        root = self.world.root
        places = {"home": root / "lake", "company": root / "lake_company", "data": root / version}
        return {"month": self.world.month} | {name: str(path) for name, path in places.items()}

    def _landed(self, version: str) -> list[str]:
        self._seconds["land"] = self.forge.done("land", **self._landing(version))["seconds"]
        return self._hashes()

    def _hashes(self) -> list[str]:
        """Return rows and hash of every file that is landed now."""
        found = lake.manifests(Home(self.world.root / "lake"), *[Month(self.world.month)] * 2)
        streams = [stream for manifest in found for stream in manifest.streams.values()]
        return sorted(f"{file.rows} {file.sha256}" for each in streams for file in each.files)


@dataclass
class _Count:
    """What one kind of torture did."""

    what: str
    kills: int = 0
    at_steps: int = 0
    tries: int = 0
    steps: int = 0
    is_at_step: bool = False
    survived: int = 0
    finishes: int = 0
    same: bool = True
    seconds: list[float] = field(default_factory=list)

    def add(self, answer: Mapping[str, Any]) -> None:
        """Count a child; one that ended before it was killed is no kill."""
        if answer["code"] == -SIGKILL:
            self.kills += 1
            self.at_steps += self.is_at_step
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

    with psycopg.connect(settings.connection_url("torture_reader"), autocommit=True) as con:
        query = "select string_agg(release, ' ' order by month) from perfhouse.releases"
        before = con.execute(query).fetchone()
        while not stop.is_set():
            if "mart" not in seen and con.execute(query).fetchone() != before:
                seen["mart"] = time.perf_counter()
