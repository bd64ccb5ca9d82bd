"""Every test server starts, answers and holds what its fixture says it was seeded with."""

from __future__ import annotations

import asyncio

import asyncssh
import psycopg
import pymysql
import pytest

from servers.mariadb import MariaDB
from servers.moto import S3
from servers.postgres import Postgres
from servers.sshd import Sftp

pytestmark = pytest.mark.server


def test_postgresql_makes_databases_and_checks_passwords(postgres: Postgres) -> None:
    with psycopg.connect(postgres.database("fixture")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url("fixture").replace(postgres.password, "wrong"))


def test_mariadb_makes_databases_for_every_script_and_checks_passwords(mariadb: MariaDB) -> None:
    mariadb.database("fixture")
    with mariadb.connect("fixture") as connection, connection.cursor() as cursor:
        cursor.execute("create table t (v varchar(20))")
        cursor.execute("insert into t values ('满意😀')")
        cursor.execute("select v from t")
        assert cursor.fetchall() == (("满意😀",),)
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        pymysql.connect(host=mariadb.host, port=mariadb.port, user=mariadb.user, password="wrong")


def test_s3_keeps_what_is_written(moto: S3) -> None:
    files = moto.files()
    files.pipe(f"{moto.bucket('fixture')}/a/b.json", b"{}")
    assert files.cat("fixture/a/b.json") == b"{}"
    assert moto.bucket("fixture") == "fixture"
    assert files.find("fixture") == []


def test_sftp_serves_its_folder_to_the_one_key(sshd: Sftp) -> None:
    async def read() -> bytes:
        async with (
            asyncssh.connect(
                sshd.host, sshd.port, username=sshd.user, client_keys=[str(sshd.client_key)],
                known_hosts=str(sshd.known_hosts),
            ) as connection,
            connection.start_sftp_client() as client,
            client.open(str(sshd.root / "a.csv"), "rb") as file,
        ):  # fmt: skip
            return bytes(await file.read())

    (sshd.root / "a.csv").write_bytes(b"x\n1\n")
    assert asyncio.run(read()) == b"x\n1\n"
    (sshd.root / "a.csv").unlink()
    assert sshd.fingerprint.startswith("SHA256:")
