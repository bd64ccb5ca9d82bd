"""A PostgreSQL of our own for trying the dashboards: started from the installed programs.

For one machine and the demo; where a mart is served, its server is named instead.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from perfhouse import processes
from perfhouse.errors import ConfigError, TransientError

_SECONDS = 60.0
_OWNER = "owner"
_SETTINGS = "listen_addresses = '127.0.0.1'\nmax_connections = 100\nshared_buffers = 128MB\n"


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL; `owner` may do everything there."""

    port: int
    password: str = field(repr=False)

    def url(self, database: str = "postgres", user: str = _OWNER, password: str = "") -> str:
        """Return the address of a database, password included."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def database(self, name: str) -> str:
        """Make a database unless it is there, and return its address."""
        with psycopg.connect(self.url(), autocommit=True) as con:
            known = con.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
            if not known:
                con.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.url(name)


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Run a cluster that lies in a folder, made there the first time, until the block ends.

    Raises:
        ConfigError: PostgreSQL is not installed, or its account cannot reach the folder (operator).
    """
    programs, account = _programs(), _account()
    folder.mkdir(parents=True, exist_ok=True)
    if account:
        shutil.chown(folder, account)
    password = _password(folder, account)
    if not (folder / "data" / "PG_VERSION").exists():
        _make(programs, folder, account)
    server = Server(processes.free_port(), password)
    command = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(server.port)]
    child = processes.start(
        "PostgreSQL",
        _as(account, [*command, "-k", str(folder)]),
        {**os.environ, "LC_ALL": "C.UTF-8"},
        folder.parent / "postgres.log",
    )
    try:
        _wait(server, child)
        yield server
    finally:
        processes.stop([child])


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise ConfigError(
            [
                "bi: expected PostgreSQL on this machine (Debian: sudo apt-get install postgresql)"
                ", or a server named by PERFHOUSE_BI_METADATA (docs/superset.md)"
            ]
        )
    return (found[-1] if found else Path(str(on_path))).resolve().parent


def _version(path: Path) -> float:
    try:
        return float(path.parts[-3])
    except ValueError:
        return 0.0


def _account() -> str | None:
    """Return the account to run it as, for it refuses root; None when we are somebody else."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise ConfigError(
            ["bi: expected the account postgres, which PostgreSQL's package makes; root cannot run"]
        ) from None


def _as(account: str | None, command: Sequence[str]) -> list[str]:
    if account is None:
        return list(command)
    group = pwd.getpwnam(account).pw_gid
    drop = ["setpriv", f"--reuid={account}", f"--regid={group}", "--clear-groups"]
    return [*drop, "--pdeathsig=TERM", "--", *command]


def _password(folder: Path, account: str | None) -> str:
    file = folder / "password"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(16), encoding="utf-8")
    if account:
        shutil.chown(file, account)
    return file.read_text(encoding="utf-8").strip()


def _make(programs: Path, folder: Path, account: str | None) -> None:
    command = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", _OWNER, "-E", "UTF8"]
    command += ["--locale=C.UTF-8", "-A", "scram-sha-256", "--pwfile", str(folder / "password")]
    done = subprocess.run(  # noqa: S603 - the commands are ours
        _as(account, command), capture_output=True, text=True, cwd="/", check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ConfigError(
            [
                f"bi: {folder}: PostgreSQL could not make its files there"
                f" ({said[-1] if said else done.returncode}); expected a folder that the account"
                f" {account or 'of this user'} may enter"
            ]
        )
    with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(_SETTINGS)


def _wait(server: Server, child: processes.Child) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        processes.check([child])
        try:
            with psycopg.connect(server.url(), connect_timeout=2):
                return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise TransientError(f"PostgreSQL was not ready within {_SECONDS:g} s; see {child.log}")
