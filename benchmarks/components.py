"""Memory and CPU of each process of an embedded Airflow, looked at while it works.

It finds them by the note that perfhouse keeps of what it started; it measures nothing else.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
_TASKS = "executor and tasks"  # what the scheduler forks, and the tasks that those fork
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Seen:
    """What was seen of one component: the most memory at once, and CPU seconds between looks."""

    rss_mib: float = 0.0
    pss_mib: float = 0.0
    cpu_seconds: float = 0.0
    _last: dict[int, float] = field(default_factory=dict, repr=False)

    def told(self) -> dict[str, float]:
        """Return the numbers."""
        return {"rss_mib": self.rss_mib, "pss_mib": self.pss_mib, "cpu_seconds": self.cpu_seconds}


@contextmanager
def watching(home: Path, every: float = 1.0) -> Iterator[dict[str, Seen]]:
    """Look at the home's Airflow until the block ends."""
    seen: dict[str, Seen] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(every):
            _look(home, seen)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _look(home: Path, seen: dict[str, Seen]) -> None:
    try:
        noted = json.loads((home / "airflow" / "processes.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    children = _children()
    for each in noted["processes"]:
        name = _name(each["pid"])
        if name is None:
            continue
        below = _below(each["pid"], children)
        if name == "scheduler":
            _add(seen.setdefault(name, Seen()), [each["pid"]])
            _add(seen.setdefault(_TASKS, Seen()), below)
        else:
            _add(seen.setdefault(name, Seen()), [each["pid"], *below])


def _add(seen: Seen, pids: list[int]) -> None:
    sizes = [_sizes(pid) for pid in pids]
    seen.rss_mib = max(seen.rss_mib, sum(rss for rss, _ in sizes))
    seen.pss_mib = max(seen.pss_mib, sum(pss for _, pss in sizes))
    now = {pid: _cpu(pid) for pid in pids}
    if seen._last or now:
        seen.cpu_seconds += sum(
            max(used - seen._last.get(pid, 0.0), 0) for pid, used in now.items()
        )
    seen._last.update(now)


def _name(pid: int) -> str | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return None
    said = words.replace("_", "-")
    return next((name for name in _COMPONENTS if name in said), None)


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def _below(pid: int, children: dict[int, list[int]]) -> list[int]:
    found, queue = [], list(children.get(pid, []))
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _cpu(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _sizes(pid: int) -> tuple[float, float]:
    """Return a process's resident and proportional set size in MiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0, 0.0
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
    return sizes.get("Rss", 0.0), sizes.get("Pss", 0.0)


def idle(seconds: float, seen: dict[str, Seen]) -> dict[str, float]:
    """Return the share of a core that each component uses while nothing is asked of it."""
    before = {name: each.cpu_seconds for name, each in seen.items()}
    began = time.perf_counter()
    time.sleep(seconds)
    spent = time.perf_counter() - began
    return {n: (each.cpu_seconds - before.get(n, 0.0)) / spent for n, each in seen.items()}
