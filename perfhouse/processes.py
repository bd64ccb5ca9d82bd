"""Child processes that never outlive their parent: start, watch, stop, sweep.

It knows no program by name, and no data.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from perfhouse.errors import PerfhouseError

_LIBC = ctypes.CDLL(None)  # Linux; loaded before any fork
_PR_SET_PDEATHSIG = 1
_PATIENCE_SECONDS = 5.0


class ProcessDied(PerfhouseError):
    """A child process ended by itself; the message ends with what it said last."""


@dataclass(frozen=True)
class Child:
    """A running program, the leader of its own session, and the file it writes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


def start(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """Start a program in a session of its own; it is told to stop should this process die."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the commands are ours
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    return Child(name, process, log)


def check(children: Iterable[Child]) -> None:
    """Raise ProcessDied when a child that should be running is not."""
    for child in children:
        code = child.process.poll()
        if code is not None:
            raise ProcessDied(
                f"{child.name} ended with code {code}; its last lines ({child.log}):\n"
                + tail(child.log)
            )


def finish(child: Child, timeout_seconds: float) -> None:
    """Wait for a program that should end by itself, with code 0."""
    try:
        code = child.process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        code = None
    if code != 0:
        state = "did not end in time" if code is None else f"ended with code {code}"
        raise ProcessDied(
            f"{child.name} {state}; its last lines ({child.log}):\n" + tail(child.log)
        )


def stop(children: Sequence[Child]) -> None:
    """Stop children, the last started first, and everything they started themselves."""
    for child in reversed(children):
        end_sessions({child.process.pid})
        child.process.wait(_PATIENCE_SECONDS)


def end_sessions(sessions: set[int]) -> None:
    """End every process of these sessions: asked first, killed after five seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _members(sessions):
            _signal(pid, number)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if not _members(sessions):
                return
            time.sleep(0.05)


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented."""
    if not log.exists():
        return "    (nothing)"
    text = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in text)


def free_port(preferred: int | None = None) -> int:
    """Return a port of this machine that nobody listens on, the preferred one if it is free."""
    for port in [preferred, 0] if preferred else [0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PerfhouseError("no free port on this machine")


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt, so that `finally` runs for them too."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {n: signal.signal(n, interrupt) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def started_at(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when it is not there."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] != "Z" else None


def identity(pid: int | None = None) -> dict[str, int | None]:
    """Return a process's number and start time, this process's by default."""
    number = pid or os.getpid()
    return {"pid": number, "started": started_at(number)}


def ask_to_stop(pid: int) -> None:
    """Send SIGTERM to one process and give it time to clean up."""
    _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + 6 * _PATIENCE_SECONDS
    while started_at(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)


def _members(sessions: set[int]) -> list[int]:
    """List the living processes of these sessions."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and fields[0] != "Z" and int(fields[3]) in sessions:
                found.append(int(entry.name))
    return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the state on, or None."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
