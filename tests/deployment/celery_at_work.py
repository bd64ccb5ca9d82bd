"""The compose file's deployment with Celery, at work for the tiny company. Test material."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import logins
import machine
import psycopg
import tiny
from machine import Machine
from psycopg import sql as words

from connectors.http import Client
from perfhouse import processes, watch

AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
_MART = """
[mart]
connection = "perfhouse_mart"
"""


@contextmanager
def deployment(root: Path, month: str, settings: str = "") -> Iterator[Machine]:
    """Start all of it on a company with a mart, and make the logins; stop it in the end."""
    it = Machine(root, machine.services("docker-compose.yml"))
    it.make_secrets()
    toml = tiny.company(root / "company") / "perfhouse.toml"
    with toml.open("a", encoding="utf-8") as file:
        file.write(_MART + settings)
    tiny.deliver(root / "data", month)
    try:
        it.start_postgres()
        it.start_redis()
        _mart(it)
        it.start("init")
        processes.finish(it.children.pop("init"), 180)
        for name in AIRFLOW:
            it.start(name)
        it.until_well("api-server", 240)
        logins.make(it.url, it.secret("airflow_admin_password"))
        yield it
    finally:
        it.stop()


def board(at: Machine, api: Client) -> watch.Board:
    """Watch its runs; say nothing, and fail when a process ends."""
    said: list[str] = []
    logs = at.root / "airflow" / "logs"
    return watch.Board(api, logs, said.append, lambda: processes.check(at.children.values()))


def _mart(at: Machine) -> None:
    """Install a mart as docs/mart.md says: a database, the login that publishes, an analyst."""
    password = words.Literal(at.secret("postgres_password"))
    with psycopg.connect(at.mart("airflow").replace("/mart", "/airflow"), autocommit=True) as con:
        for login in ("loader", "analyst"):
            role = words.Identifier(login)
            con.execute(words.SQL("create role {} login password {}").format(role, password))
        con.execute("create database mart")
        con.execute("revoke all on database mart from public")
    env = {**os.environ, "AIRFLOW_CONN_PERFHOUSE_MART_ADMIN": at.mart("airflow")}
    command = [Path(sys.executable).with_name("perfhouse"), "mart"]
    for rest in (
        ["migrate"],
        ["grant", "--login", "loader", "--role", "publisher"],
        ["grant", "--login", "analyst", "--role", "analyst"],
    ):
        subprocess.run([*command, *rest], env=env, check=True, capture_output=True)
    with psycopg.connect(at.mart("airflow"), autocommit=True) as con:
        con.execute("grant connect on database mart to perfhouse_publisher, perfhouse_analyst")
    at.put_connections(perfhouse_mart=at.mart("loader"))
