"""MariaDB in a data folder of its own: one server for the session, one database for each asker.

The distribution's server, running or not, is left alone.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pymysql
import pymysql.connections
import pytest

from servers import process

_SETTINGS = [
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-flush-method=nosync",
    "--innodb-buffer-pool-size=128M",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--performance-schema=off",
]


@dataclass(frozen=True)
class MariaDB:
    """A running MariaDB; `user` may do everything, with a password that is really checked."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    version: str = ""

    def url(self, database: str = "") -> str:
        """Return the address of a database, with its password."""
        return f"mysql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def connect(self, database: str = "") -> pymysql.connections.Connection:
        """Open a connection that commits every statement."""
        return pymysql.connect(
            host=self.host, port=self.port, user=self.user, password=self.password,
            database=database or None, autocommit=True, charset="utf8mb4",
        )  # fmt: skip

    def database(self, name: str) -> str:
        """Make an empty database and return its address; one of that name is dropped before."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"drop database if exists `{name}`")
            cursor.execute(f"create database `{name}` character set utf8mb4")
        return self.url(name)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """MariaDB with password authentication and nothing in it."""
    daemon = process.program("mariadbd", package="mariadb-server-core")
    install = process.program("mariadb-install-db", package="mariadb-server-core")
    user = process.account("nobody")  # it refuses root, and its own account comes with its service
    port = process.free_port()
    server = MariaDB("127.0.0.1", port, "owner", secrets.token_hex(12))
    with process.folder("my", user) as folder:
        _make_folder(install, folder, user)
        first = folder / "first.sql"
        first.write_text(  # one statement a line
            f"create user '{server.user}'@'127.0.0.1' identified by '{server.password}';\n"
            f"grant all on *.* to '{server.user}'@'127.0.0.1' with grant option;\n",
            encoding="utf-8",
        )
        process.own(first, user)
        command = [daemon, "--no-defaults", f"--datadir={folder / 'data'}", f"--port={port}"]
        command += [f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}", *_SETTINGS]
        command += [f"--init-file={first}", f"--tmpdir={folder}"]
        log = folder / "mariadb.log"
        with process.start(
            "mariadb", command, ready=lambda: bool(_version(server)), log=log, user=user
        ):
            yield replace(server, version=_version(server))


def _make_folder(install: str, folder: Path, user: str | None) -> None:
    made = [install, "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db"]
    made += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
    subprocess.run(process.as_user(made, user), check=True, capture_output=True, cwd=folder)


def _version(server: MariaDB) -> str:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select version()")
        row = cursor.fetchone()
    return str(row[0]).split("-")[0] if row else ""
