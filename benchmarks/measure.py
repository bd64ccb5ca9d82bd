"""Measure work in processes of its own: wall clock, CPU time, peak memory.

The measuring process stays small, for a child's peak counts what it inherits before it starts.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_TAIL = 30
_KIB = 1024
_MIB = 1024 * 1024


class ChildFailed(RuntimeError):
    """A measured process failed; the message ends with its output."""


@dataclass(frozen=True)
class Measured:
    """One process: wall and CPU seconds, peak memory in MiB, and what the function returned."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    value: dict[str, Any]


def call(function: Callable[..., dict[str, Any]], **arguments: Any) -> Measured:
    """Run a module's function in a fresh Python process; arguments and result are plain JSON."""
    with tempfile.TemporaryDirectory(prefix="perfhouse-bench-") as folder:
        result = Path(folder) / "result.json"
        name = f"{function.__module__}:{function.__name__}"
        command = [sys.executable, "-m", "benchmarks.child", name, str(result)]
        seconds, usage = _wait(command, json.dumps(arguments))
        value = json.loads(result.read_text(encoding="utf-8"))
    return Measured(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mib=_peak_mib(usage),
        value=value,
    )


def command(words: Sequence[str]) -> Measured:
    """Run a command and measure the process itself; see `tree` for one that has children."""
    seconds, usage = _wait(list(words), None)
    return Measured(seconds, usage.ru_utime + usage.ru_stime, _peak_mib(usage), {})


def tree(words: Sequence[str], log: Path) -> Measured:
    """Run a command with all it starts; the peak is of proportional set sizes added up.

    Memory is looked at twice a second, so a shorter peak can be missed.
    """
    peak = 0.0
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            words, cwd=ROOT, env=environment(), stdout=out, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            peak = max(peak, _tree_mib(process.pid))
            time.sleep(0.5)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise ChildFailed(f"{' '.join(words)}: exit code {process.returncode}\n{_tail(log)}")
    return Measured(seconds, 0.0, peak, {})


def environment() -> dict[str, str]:
    """Return the environment of measured processes; Python keeps bytecode, as it usually does."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PERFHOUSE_CUSTOMER_KEY": "0" * 32}


def _wait(words: list[str], given: str | None) -> tuple[float, Any]:
    with tempfile.NamedTemporaryFile(prefix="perfhouse-bench-", suffix=".log") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        assert process.stdin is not None
        process.stdin.write((given or "").encode())
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told = _tail(Path(log.name))
            raise ChildFailed(f"{' '.join(words)}: exit code {process.returncode}\n{told}")
    return seconds, usage


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_TAIL:])


def _peak_mib(usage: Any) -> float:
    unit = 1 if sys.platform == "darwin" else _KIB  # bytes there, kibibytes elsewhere
    return float(usage.ru_maxrss) * unit / _MIB


def _tree_mib(root: int) -> float:
    """Return the memory of a process and its descendants now, shared pages counted once."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit():
            parents.setdefault(_parent(entry), []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += parents.get(pid, [])
    return sum(_pss_mib(pid) for pid in found)


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return -1


def _pss_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    sizes = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return sum(sizes) * _KIB / _MIB


# ---------------------------------------------------------------- numbers and folders


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return float(statistics.median(values))


class Clock:
    """Wall and CPU seconds of this process, all its threads, since the clock was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return the seconds as `seconds` and `cpu_seconds`."""
        wall, cpu = self._began
        return {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def values(runs: Sequence[Measured], name: str) -> list[float]:
    """Return one number of what each run returned."""
    return [float(run.value[name]) for run in runs]


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of the ratios of pairs measured side by side."""
    return median([a / b for a, b in zip(above, below, strict=True)])


@contextmanager
def workspace(parent: Path | None, name: str) -> Iterator[Path]:
    """Make a scratch folder for one benchmark; it goes when the benchmark ends."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"perfhouse-bench-{name}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def say(line: str) -> None:
    """Print progress at once."""
    print(line, flush=True)


@contextmanager
def heartbeat(what: str, every: float = 30.0) -> Iterator[None]:
    """Say that long work is still going on."""
    done = threading.Event()
    began = time.perf_counter()

    def beat() -> None:
        while not done.wait(every):
            say(f"    ... {what}, {time.perf_counter() - began:.0f} s so far")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
