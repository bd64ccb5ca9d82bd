"""What is tortured: a small company with two versions of one month, and a PostgreSQL of its own.

The company is the tests' own; how it is made and opened is in tests/integration/torture_small.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGQUIT

import psycopg

from perfhouse import processes
from perfhouse.settings import child_environment

ROOT = Path(__file__).resolve().parents[1]
MART = "torture"
VERSIONS = ("A", "B")
_ACCOUNT = "postgres"
_LOGIN, _READER = "torture_loader", "torture_reader"


@dataclass(frozen=True)
class World:
    """A home whose last month is built in two versions, and where its parts lie.

    `opener` is `module:function`, which opens the workspace in `root`.
    """

    root: Path
    opener: str
    months: tuple[str, ...]

    @property
    def home(self) -> Path:
        """Return the home that is tortured."""
        return self.root / "home"

    @property
    def month(self) -> str:
        """Return the month that has two versions."""
        return self.months[-1]

    def turn(self, home: Path, version: str) -> None:
        """Put a version's landed rows, verdicts and warehouse into a home."""
        kept = self.root / "versions" / version
        for name in ("raw", "gates"):
            shutil.rmtree(home / name, ignore_errors=True)
            shutil.copytree(kept / name, home / name, copy_function=shutil.copy2)
        draft = home / "warehouse.next"
        shutil.copyfile(kept / "warehouse.duckdb", draft)
        draft.replace(home / "warehouse.duckdb")

    def spare(self) -> None:
        """Copy the home, to compare with: nobody will die there."""
        shutil.copytree(self.home, self.root / "control", symlinks=True)

    def keep(self, version: str) -> None:
        """Keep what the home holds now as a version."""
        kept = self.root / "versions" / version
        kept.mkdir(parents=True)
        for name in ("raw", "gates"):
            shutil.copytree(self.home / name, kept / name)
        shutil.copyfile(self.home / "warehouse.duckdb", kept / "warehouse.duckdb")


def prepare(root: Path) -> World:
    """Make the tests' company of two managers: a month published, the next built twice.

    It is a process of its own, which may import the tests' helpers.
    """
    script = ROOT / "tests" / "integration" / "torture_small.py"
    root.chmod(0o755)
    subprocess.run([sys.executable, str(script), str(root)], check=True, env=environment())
    return World(root, "torture_small:opened", ("2026-08", "2026-09"))


def environment() -> dict[str, str]:
    """Return the environment of everything that is started: one thread each, our settings."""
    paths = (str(ROOT), str(ROOT / "tests" / "integration"))
    return child_environment({"PERFHOUSE_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)})


# ---------------------------------------------------------------- PostgreSQL


class Server:
    """A PostgreSQL cluster of ours that may be stopped as by a power cut, and started again."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self.port = processes.free_port()
        self._child: processes.Child | None = None

    @property
    def url(self) -> str:
        """Return the address of the mart's database, as its administrator."""
        return f"postgresql://owner@127.0.0.1:{self.port}/{MART}"

    @property
    def pid(self) -> int:
        """Return the number of its first process."""
        return self._child.process.pid if self._child else 0

    def make(self) -> None:
        """Make the cluster and the database, start it, and let the environment name it."""
        made = ["initdb", "-D", str(self._folder / "data"), "-U", "owner", "-E", "UTF8", "-A"]
        made += ["trust", "--locale=C.UTF-8", "--no-sync"]
        made[0] = str(self._programs / made[0])
        subprocess.run(_as_account(made), check=True, capture_output=True, cwd=self._folder)
        self.start("postgres")
        with psycopg.connect(self._place("postgres"), autocommit=True) as con:
            con.execute(f"create database {MART}")
            for login in (_LOGIN, _READER):
                con.execute(f"create role {login} login")
        for name, login in ((MART, _LOGIN), (_READER, _READER), ("torture_admin", "owner")):
            url = f"postgresql://{login}@127.0.0.1:{self.port}/{MART}"
            os.environ[f"PERFHOUSE_URL_{name.upper()}"] = url

    def start(self, database: str = MART) -> None:
        """Start it and wait until it answers."""
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        command += ["-p", str(self.port), "-k", str(self._folder), "-h", "127.0.0.1"]
        log = self._folder / "log"
        self._child = processes.start("postgres", _as_account(command), dict(os.environ), log)
        for _ in range(600):
            try:
                psycopg.connect(self._place(database), connect_timeout=2).close()
            except psycopg.OperationalError:
                processes.check([self._child])
                time.sleep(0.1)
            else:
                return
        raise TimeoutError(f"PostgreSQL did not answer; see {log}")

    def stop(self) -> None:
        """Stop it and everything it started."""
        if self._child is not None:
            processes.stop([self._child])

    def _place(self, database: str) -> str:
        return f"postgresql://owner@127.0.0.1:{self.port}/{database}"


@contextmanager
def server() -> Iterator[Server | None]:
    """Run a cluster for the block; None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="perfhouse-torture-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _ACCOUNT, _ACCOUNT)
    made = Server(found[-1].parent, folder)
    try:
        made.make()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def make_mart(world: World) -> None:
    """Make the mart and let the workspace know of it."""
    from perfhouse.mart import migration, readers
    from perfhouse.mart.readers import Reader

    migration.migrate("torture_admin")
    given = [Reader(_LOGIN, "publisher"), Reader(_READER, "hr")]
    readers.grant("torture_admin", given)
    (world.root / "mart").touch()


def end_sessions() -> None:
    """Let the server end the loader's sessions, as an administrator may."""
    from perfhouse import settings

    with psycopg.connect(settings.connection_url("torture_admin"), autocommit=True) as con:
        con.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = %s",
            [_LOGIN],
        )


def cut_power(pid: int) -> None:
    """Stop the whole server at once, without a checkpoint, and wait until it is gone."""
    os.kill(pid, SIGQUIT)
    for _ in range(200):
        time.sleep(0.05)
        if processes.started_at(pid) is None:
            return


def _as_account(command: Sequence[str]) -> list[str]:
    """Return the command as PostgreSQL's account would run it, for it refuses root."""
    if os.geteuid() != 0:
        return list(command)
    drop = ["setpriv", f"--reuid={_ACCOUNT}", f"--regid={_ACCOUNT}", "--clear-groups"]
    return [*drop, "--pdeathsig=TERM", "--", *command]
