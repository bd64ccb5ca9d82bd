"""The torturer's forge: imports once, forks a publisher for each order, and kills it.

Reads one JSON order a line and answers one JSON line: how the child ended, after how long, and
what it said. The first order, which is not answered, is a publish that shows what is imported. Run
as `python -m benchmarks.torture_child MODULE:FUNCTION ROOT`; the function opens the workspace.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfhouse import lake, release, restatement, stages
from perfhouse.errors import PerfhouseError
from perfhouse.mart import load
from perfhouse.month import Month
from perfhouse.settings import Home
from perfhouse.stages import Workspace

FAILED, REFUSED = 70, 71
_NOBODY = 65534


def quiet(_: str) -> None:
    """Take a line of progress and say nothing."""


def serve(opened: Workspace) -> None:
    """Answer orders until there are none; a child never returns from here."""
    for line in sys.stdin:
        order = json.loads(line)
        log = Path(order["log"])
        began = time.perf_counter()
        child = os.fork()
        if child == 0:
            _be_child(opened, order, log)
        if order.get("delay") is not None:
            _kill_later(child, float(order["delay"]))
        _, status = os.waitpid(child, 0)
        told = log.read_text(encoding="utf-8") if log.exists() else ""
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "seconds": time.perf_counter() - began,
            "said": told[-2000:],
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _kill_later(child: int, delay: float) -> None:
    """Kill a child after so many seconds, unless it has ended by itself."""
    deadline = time.monotonic() + delay
    while time.monotonic() < deadline:
        time.sleep(min(0.002, max(0.0, deadline - time.monotonic())))
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
    os.kill(child, signal.SIGKILL)


def _be_child(opened: Workspace, order: dict[str, Any], log: Path) -> None:
    code = FAILED
    told = log.open("w", encoding="utf-8")  # before it becomes somebody else
    try:
        _arm(order)
        if order.get("uid"):
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
        _DEEDS[order["do"]](opened, order)
        code = 0
    except PerfhouseError as error:
        code = REFUSED
        told.write(f"{type(error).__name__}: {error}")
    except BaseException:
        told.write(traceback.format_exc())
    finally:
        told.close()
        os._exit(code)


def _arm(order: dict[str, Any]) -> None:
    """Make the child do something to itself, or to its disk, at a step."""
    act = _ACTS[order.get("act", "die")]

    def at(step: str) -> None:
        if step == order.get("step"):
            act(order)

    release.reached = at
    load.reached = at
    if order.get("landing"):
        owner, name = _LANDING[order["landing"]]
        _after(owner, name, lambda: act(order))


def _after(owner: Any, name: str, act: Callable[[], None]) -> None:
    real = getattr(owner, name)

    def last(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        act()
        return found

    setattr(owner, name, last)


def _die(_: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _revoke(order: dict[str, Any]) -> None:
    """Take the right to write from what is published, as whoever owns it."""
    for path in (Path(order["published"]), *Path(order["published"]).glob("[0-9]*")):
        path.chmod(0o555)
    (Path(order["published"]) / "ledger.jsonl").chmod(0o444)


def _run(order: dict[str, Any]) -> None:
    """Do what the torturer left in a file, such as ending the server's sessions."""
    module, _, name = order["hook"].partition(":")
    getattr(importlib.import_module(module), name)(*order.get("hook_arguments", []))


_ACTS: dict[str, Callable[[dict[str, Any]], None]] = {"die": _die, "revoke": _revoke, "hook": _run}
_LANDING: dict[str, tuple[Any, str]] = {
    "hashed": (lake, "file_sha256"),
    "installed": (lake, "_install"),
    "swapped": (lake, "_swap"),
}


def _there(opened: Workspace, order: dict[str, Any]) -> Workspace:
    """Return the workspace of an order: in another home there is no mart."""
    if "home" not in order:
        return opened
    company = replace(opened.company, mart=None)
    return replace(opened, company=company, home=Home(Path(order["home"])))


def _publish(opened: Workspace, order: dict[str, Any]) -> None:
    stages.publish(_there(opened, order), Month(order["month"]), progress=quiet)


def _rollback(opened: Workspace, order: dict[str, Any]) -> None:
    why = restatement.Reason("torture", "torturer")
    stages.rollback(_there(opened, order), order["to"], why, progress=quiet)


def _land(_: Workspace, order: dict[str, Any]) -> None:
    places = (Path(order[name]) for name in ("company", "data", "home"))
    there = stages.open_workspace(*places)
    stages.ingest(there, there.company.sources[0].id, Month(order["month"]), progress=quiet)


def _load(opened: Workspace, order: dict[str, Any]) -> None:
    stages.publish_mart(opened, progress=quiet, again=True)


_DEEDS: dict[str, Callable[[Workspace, dict[str, Any]], None]] = {
    "publish": _publish,
    "rollback": _rollback,
    "land": _land,
    "load": _load,
}


def _imported_by(opened: Workspace, order: dict[str, Any]) -> list[str]:
    """Return what a publisher imports on its way, found out by one of its own process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            _publish(opened, order)
        finally:
            with os.fdopen(writer, "w") as told:
                json.dump([name for name in sys.modules if name != "__main__"], told)
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        names: list[str] = json.load(told)
    os.waitpid(child, 0)
    return names


def main() -> None:
    """Import what a publisher needs, so that a child begins at once, and serve.

    A process that has opened no database may fork.
    """
    module, _, name = sys.argv[1].partition(":")
    opened = getattr(importlib.import_module(module), name)(Path(sys.argv[2]))
    order = json.loads(sys.stdin.readline())
    for each in _imported_by(opened, order):
        with suppress(Exception):  # what can only be imported by others
            importlib.import_module(each)
    serve(opened)


if __name__ == "__main__":
    main()
