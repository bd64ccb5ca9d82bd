"""PostgreSQL in a cluster of its own: one server for the session, one database for each asker.

The distribution's cluster, running or not, is left alone.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from servers import process

_SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 60
shared_buffers = 128MB
max_wal_size = 4GB
"""


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL; `user` may do everything, with a password that is really checked."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    version: str = ""

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database, with its password."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Open a connection that commits every statement."""
        return psycopg.connect(self.url(database), autocommit=True)

    def database(self, name: str) -> str:
        """Make an empty database and return its address; one of that name is dropped before."""
        with self.connect() as connection:
            connection.execute(f'drop database if exists "{name}" with (force)')
            connection.execute(f'create database "{name}"')
        return self.url(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL with password authentication and nothing in it."""
    initdb = process.program("initdb", package="postgresql", within="/usr/lib/postgresql/*/bin")
    user = process.account("postgres")
    port = process.free_port()
    server = Postgres("127.0.0.1", port, "owner", secrets.token_hex(12))
    with process.folder("pg", user) as folder:
        _make_cluster(initdb, folder, server, user)
        command = [str(Path(initdb).with_name("postgres")), "-D", str(folder / "data")]
        command += ["-p", str(port), "-k", str(folder)]
        log = folder / "postgres.log"
        with process.start(
            "postgres", command, ready=lambda: bool(_version(server)), log=log, user=user
        ):
            yield Postgres(
                server.host, port, server.user, server.password, version=_version(server)
            )


def _make_cluster(initdb: str, folder: Path, server: Postgres, user: str | None) -> None:
    password = folder / "password"
    password.write_text(server.password, encoding="utf-8")
    process.own(password, user)
    made = [initdb, "-D", str(folder / "data"), "-U", server.user, "-E", "UTF8", "--no-sync"]
    made += ["--locale=C.UTF-8", "-A", "scram-sha-256", "--pwfile", str(password)]
    subprocess.run(process.as_user(made, user), check=True, capture_output=True, cwd=folder)
    with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(_SETTINGS)


def _version(server: Postgres) -> str:
    with server.connect() as connection:
        row = connection.execute("show server_version").fetchone()
    return str(row[0]).split()[0] if row else ""
