"""Children die with us, whatever they started themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfhouse import processes

GRANDCHILD = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)  # GRANDCHILD"])
print("started", flush=True)
time.sleep(600)
"""


def members(pid: int) -> list[int]:
    return processes._members({pid})


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and text not in log.read_text("utf-8"):
        time.sleep(0.05)


def test_stopping_ends_grandchildren_too(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    child = processes.start("x", [sys.executable, "-c", GRANDCHILD], dict(os.environ), log)
    wait_for(log, "started")
    assert len(members(child.process.pid)) == 2
    processes.check([child])
    processes.stop([child])
    assert members(child.process.pid) == []


def test_a_child_that_ignores_us_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE_SECONDS", 0.5)
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); "
        "print('up', flush=True); time.sleep(600)"
    )
    child = processes.start("x", [sys.executable, "-c", deaf], dict(os.environ), tmp_path / "l")
    wait_for(tmp_path / "l", "up")
    processes.stop([child])
    assert child.process.poll() is not None


def test_a_child_that_ended_is_reported_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no such table'); raise SystemExit(3)"]
    child = processes.start("the scheduler", command, dict(os.environ), tmp_path / "l")
    with pytest.raises(processes.ProcessDied, match=r"(?s)the scheduler.*code 3.*no such table"):
        processes.finish(child, 20)
    with pytest.raises(processes.ProcessDied, match="code 3"):
        processes.check([child])


def test_a_child_is_told_to_stop_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = f"""
import os, sys, time
from pathlib import Path
from perfhouse import processes
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
c = processes.start("x", sleep, dict(os.environ), Path({str(tmp_path / "l")!r}))
print(c.process.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait(20)
    deadline = time.monotonic() + 20
    while processes.started_at(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes.started_at(pid) is None


def test_a_taken_port_is_not_offered() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert processes.free_port(port) != port
