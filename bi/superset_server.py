"""Superset itself: what it is told, its metadata brought up, its server started and stopped.

It may not know what stands in a dashboard or who may see it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bi import api
from bi.environment import HERE
from perfhouse import processes
from perfhouse.errors import PerfhouseError

ADMIN = "admin"
Served = tuple[str, processes.Child]
_START_SECONDS = 240.0
_STEP_SECONDS = 900.0
# Nothing of this process's environment but what programs need to run at all.
_KEPT = ("PATH", "TMPDIR", "LANG", "TZ", "PERFHOUSE_BI_CONFIG", "PERFHOUSE_BI_TLS")


@dataclass(frozen=True)
class Instance:
    """A Superset: its programs, its folder, and its secrets."""

    programs: Path
    folder: Path
    metadata: str = field(repr=False)
    secret_key: str = field(repr=False)
    login_key: str = field(repr=False)
    admin_password: str = field(repr=False)
    language: str = "zh"

    def environment(self) -> Mapping[str, str]:
        """Return what its programs are told."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return kept | {
            "PATH": f"{self.programs}:{kept.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(self.folder),
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "FLASK_APP": "superset.app:create_app()",
            "SUPERSET_HOME": str(self.folder),
            "SUPERSET_SECRET_KEY": self.secret_key,
            "PERFHOUSE_BI_METADATA": self.metadata,
            "PERFHOUSE_BI_LOGIN_KEY": self.login_key,
            "PERFHOUSE_BI_LANGUAGE": self.language,
            "PERFHOUSE_BI_ADMIN": ADMIN,
            "PERFHOUSE_BI_ADMIN_PASSWORD": self.admin_password,
            "SCARF_ANALYTICS": "false",
            "DO_NOT_TRACK": "1",
        }


def prepare(instance: Instance, progress: Callable[[str], None]) -> None:
    """Bring the metadata to this version, with its permissions and its administrator.

    Raises:
        PerfhouseError: a step failed; the message ends with what it said last.
    """
    instance.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    superset, python = str(instance.programs / "superset"), str(instance.programs / "python")
    steps = (
        ("Superset: metadata", [superset, "db", "upgrade"]),
        ("Superset: permissions", [superset, "init"]),
        ("Superset: administrator", [python, str(HERE / "admin.py")]),
    )
    log = instance.folder / "prepare.log"
    for title, command in steps:
        progress(title)
        with log.open("ab") as output:
            done = subprocess.run(  # noqa: S603 - the commands are ours
                command, env=dict(instance.environment()), stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, timeout=_STEP_SECONDS, check=False,
            )  # fmt: skip
        if done.returncode != 0:
            raise PerfhouseError(f"{title} failed ({log}):\n{processes.tail(log)}")


def run(instance: Instance, script: str, said: str, told: Path) -> None:
    """Run a script of ours in Superset: `said` is its input, `told` takes what it prints.

    Raises:
        PerfhouseError: it failed; the message ends with what it said last.
    """
    log = instance.folder / f"{Path(script).stem}.log"
    told.touch(mode=0o600)
    with told.open("ab") as output, log.open("wb") as errors:
        done = subprocess.run(  # noqa: S603 - the command is ours
            [str(instance.programs / "python"), str(HERE / script)], input=said.encode(),
            env=dict(instance.environment()), stdout=output, stderr=errors,
            timeout=_STEP_SECONDS, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise PerfhouseError(f"{script} failed ({log}):\n{processes.tail(log)}")


@contextmanager
def serving(instance: Instance, port: int, host: str = "127.0.0.1") -> Iterator[Served]:
    """Serve until the block ends; entered with address and process when Superset answers."""
    command = [str(instance.programs / "gunicorn"), "--workers", "2", "--worker-class", "gthread"]
    command += ["--threads", "4", "--timeout", "120", "--bind", f"{host}:{port}"]
    # Longer than clients and proxies keep a connection: else one is closed as they ask again.
    command += ["--keep-alive", "75"]
    command += ["--access-logfile", "-", "superset.app:create_app()"]
    log = instance.folder / "superset.log"
    child = processes.start("Superset", command, instance.environment(), log)
    url = f"http://127.0.0.1:{port}"
    try:
        api.wait(url, _START_SECONDS, lambda: processes.check([child]))
        yield url, child
    finally:
        processes.stop([child])
