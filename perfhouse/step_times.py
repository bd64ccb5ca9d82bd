"""How long each step of a month took, noted as it ends: what a run costs on this machine.

No number of a month and no release may read it; a note that cannot be written stops nothing.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from perfhouse import clock
from perfhouse.month import Month
from perfhouse.settings import Home

_log = logging.getLogger(__name__)
INGEST, BUILD, PUBLISH = "ingest", "build", "publish"


@dataclass(frozen=True)
class Step:
    """One step as it ended last.

    Args:
        name: INGEST, BUILD, PUBLISH, or `gate` and the gate's name.
        source: of an ingest, else empty.
        ended_at: ISO, UTC.
        seconds: from its start, after it had waited for others.
        cpu_seconds: of this process and its children meanwhile, all cores together.
        is_done: false where it failed, or was refused.
    """

    name: str
    source: str
    ended_at: str
    seconds: float
    cpu_seconds: float
    is_done: bool


@contextmanager
def timed(home: Home, month: Month, name: str, source: str = "") -> Iterator[None]:
    """Note how long what is done in the context takes, also where it fails."""
    began, cpu, is_done = time.perf_counter(), _cpu(), False
    try:
        yield
        is_done = True
    finally:
        seconds, used = time.perf_counter() - began, _cpu() - cpu
        ended = clock.now().isoformat(timespec="milliseconds")
        _note(home, month, Step(name, source, ended, round(seconds, 3), round(used, 3), is_done))


def of(home: Home, month: Month) -> list[Step]:
    """Return each step of a month as it ended last, in the order in which they did."""
    last: dict[tuple[str, str], Step] = {}
    for step in _read(_file(home, month)):
        last.pop((step.name, step.source), None)
        last[step.name, step.source] = step
    return sorted(last.values(), key=lambda step: step.ended_at)


def since_arrival(steps: list[Step]) -> tuple[float, float] | None:
    """Return the seconds from the last landing to the release, and those its steps worked.

    What is between the two is waiting: a scheduler, a lock, a person who signs. None where the last
    publish was not of the last landing.
    """
    landed = [step for step in steps if step.name == INGEST and step.is_done]
    if not landed or not steps or (steps[-1].name, steps[-1].is_done) != (PUBLISH, True):
        return None
    arrived = max(datetime.fromisoformat(step.ended_at) for step in landed)
    after = [step for step in steps if datetime.fromisoformat(step.ended_at) > arrived]
    whole = (datetime.fromisoformat(steps[-1].ended_at) - arrived).total_seconds()
    return whole, min(whole, sum(step.seconds for step in after))


def _cpu() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _note(home: Home, month: Month, step: Step) -> None:
    file = _file(home, month)
    line = json.dumps(asdict(step), sort_keys=True) + "\n"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as handle:  # one short write: lines stay whole
            handle.write(line)
    except OSError as error:
        _log.warning("%s: the time of %s was not noted: %s", month, step.name, error.strerror)


def _read(file: Path) -> Iterator[Step]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield Step(**json.loads(line))
        except (ValueError, TypeError):  # a machine that died while it wrote
            continue


def _file(home: Home, month: Month) -> Path:
    return home.logs / "steps" / f"{month}.jsonl"
