"""Starts a real server for tests, waits until it answers, and stops all of it afterwards.

It knows no server by name; a server that is not installed skips its tests, and fails them in CI.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from perfhouse import processes

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ROOT / ".servers"  # what install.sh made; git ignores it
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])

free_port = processes.free_port


@dataclass(frozen=True)
class Server:
    """A running server and the file it writes its log to."""

    child: processes.Child

    @property
    def log(self) -> Path:
        """Return the file it writes to."""
        return self.child.log

    def stop(self) -> None:
        """Stop it and everything it started."""
        processes.stop([self.child])


def missing(what: str) -> NoReturn:
    """Leave the test out because something is not installed; in CI that is a failure."""
    message = f"{what} is not here; tests/servers/{{packages,install}}.sh install it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def program(name: str, *, package: str, within: str = "") -> str:
    """Return a program's path: in the folders of `within` (a glob, the last match) or on PATH."""
    if within:
        found = sorted(Path("/").glob(f"{within.lstrip('/')}/{name}"))
        if found:
            return str(found[-1])
    else:
        on_path = shutil.which(name, path=_PATH)
        if on_path:
            return on_path
    missing(f"{name} ({package})")


def installed(name: str) -> str:
    """Return a program of the environment that install.sh made from requirements.lock."""
    path = INSTALLED / "venv" / "bin" / name
    if not path.exists():
        missing(f"{name} (.servers/venv)")
    return str(path)


@contextmanager
def folder(name: str, user: str | None = None) -> Iterator[Path]:
    """Make a private folder and remove it afterwards.

    It lies outside pytest's folders: those may be entered by their maker only, and a socket in
    them would have too long a name.
    """
    path = Path(tempfile.mkdtemp(prefix=f"perfhouse-{name}-", dir="/tmp"))
    try:
        own(path, user)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def own(path: Path, user: str | None) -> None:
    """Give a file or folder to another account, when this one may."""
    if user:
        account = pwd.getpwnam(user)
        os.chown(path, account.pw_uid, account.pw_gid)


def account(name: str) -> str | None:
    """Return the account a server must run as, because it refuses root; None when we are not."""
    if os.getuid() != 0:
        return None
    try:
        pwd.getpwnam(name)
    except KeyError:
        missing(f"the account {name}")
    return name


def as_user(command: Sequence[str], user: str | None) -> list[str]:
    """Return the command as another account would run it; it still ends with this process."""
    if user is None:
        return list(command)
    drop = ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]
    return [*drop, "--pdeathsig=TERM", "--", *command]


@contextmanager
def start(
    name: str,
    command: Sequence[str],
    *,
    ready: Callable[[], bool],
    log: Path,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    seconds: float = 60,
) -> Iterator[Server]:
    """Run a server until the block ends; enter it when `ready` says yes (an error of it is a no).

    The server sees this process's environment and `env`. When it ends early, or is not ready in
    time, the test fails with the tail of its log.
    """
    child = processes.start(name, as_user(command, user), {**os.environ, **(env or {})}, log)
    try:
        _wait(child, ready, seconds)
        yield Server(child)
    finally:
        processes.stop([child])


def _wait(child: processes.Child, ready: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    told: Exception | None = None
    while time.monotonic() < deadline:
        processes.check([child])
        try:
            if ready():
                return
        except Exception as problem:  # each client has its own errors
            told = problem
        time.sleep(0.05)
    pytest.fail(
        f"{child.name} was not ready within {seconds:g} s ({told}); its last lines:\n"
        + processes.tail(child.log, 40)
    )


def listening(port: int) -> Callable[[], bool]:
    """Return a check that something accepts connections on a port of this machine."""

    def check() -> bool:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True

    return check
