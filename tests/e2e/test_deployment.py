"""What docker-compose.yml would run, run as processes: PostgreSQL, Redis, Celery and Airflow.

Commands, environment and health checks are read from the file; only hosts, ports and paths differ.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import tiny
import yaml
from psycopg import sql as words
from servers import process

from connectors.http import Client
from perfhouse import processes, release, watch
from perfhouse.month import Month
from perfhouse.public_tables import PUBLIC_TABLES
from perfhouse.settings import Home

pytestmark = [pytest.mark.server, pytest.mark.e2e, pytest.mark.timeout(1200)]
ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
)["services"]
LONG_RUNNING = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
MONTH = Month("2026-09")


@dataclass(frozen=True)
class Place:
    """Where this deployment lies on this machine."""

    root: Path
    ports: dict[str, int]
    secrets: dict[str, str]

    def say(self, text: str) -> str:
        """Put this machine's secrets, hosts and ports in a text of the compose file."""
        text = re.sub(r"\$\{(\w+)[^}]*\}", lambda m: self.secrets[m[1]], text)
        for there, port in (
            ("api-server:8080", "api"),
            ("localhost:8080", "api"),
            ("localhost:8974", "scheduler"),
            ("postgres:5432", "postgres"),
            ("redis:6379", "redis"),
        ):
            text = text.replace(there, f"127.0.0.1:{self.ports[port]}")
        return text

    def environment(self) -> dict[str, str]:
        """Return the image's and the file's environment, as they would be on this machine."""
        image = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("FROM")[-1]
        fixed = dict(re.findall(r"([A-Z_]+)=(\S+?)(?: \\)?$", image, re.MULTILINE))
        asked = {k: self.say(v) for k, v in SERVICES["worker"]["environment"].items()}
        return {
            **fixed,
            **asked,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.root),
            "AIRFLOW_HOME": str(self.root / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports["api"]),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["scheduler"]),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.ports["worker"]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.ports["triggerer"]),
            "PERFHOUSE_COMPANY": str(self.root / "company"),
            "PERFHOUSE_DATA": str(self.root / "data"),
            "PERFHOUSE_HOME": str(self.root / "home"),
            "AIRFLOW_CONN_PERFHOUSE_MART": self.mart("loader"),
        }

    def mart(self, login: str) -> str:
        """Return the address of the mart, for a login."""
        password = self.secrets["POSTGRES_PASSWORD"]
        return f"postgresql://{login}:{password}@127.0.0.1:{self.ports['postgres']}/mart"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("deployment")
    wanted = ("api", "scheduler", "worker", "triggerer", "postgres", "redis")
    names = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text("utf-8")))
    made = {name: secrets.token_hex(64) for name in names}
    made["AIRFLOW_FERNET_KEY"] = "PsDa3Ql9sNEj1GTpGQHZS9fJQY5xkYLr0q1w2e3r4t4="
    it = Place(root, {name: processes.free_port() for name in wanted}, made)
    children = [_postgres(it), _redis(it)]
    try:
        yield it
    finally:
        processes.stop(children)
        shutil.rmtree(_postgres_home(), ignore_errors=True)


def _postgres_home() -> Path:
    """Return a folder that the user postgres can reach; pytest's are for their maker only."""
    return Path(f"/tmp/perfhouse-pg-{os.getpid()}")


def _postgres(place: Place) -> processes.Child:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    folder = found[-1] if found else None
    if folder is None:
        process.missing("PostgreSQL (postgresql)")
    home = _postgres_home()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700)
    user = None
    if os.getuid() == 0:
        user = "postgres"
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
    password = home / "password"
    password.write_text(place.secrets["POSTGRES_PASSWORD"], encoding="utf-8")
    password.chmod(0o644)
    prepare = [folder / "initdb", "-D", home / "data", "-U", "airflow", "-A", "scram-sha-256"]
    subprocess.run(
        [*prepare, "--pwfile", password, "-E", "UTF8"], check=True, user=user, capture_output=True
    )
    port = str(place.ports["postgres"])
    serve = [str(folder / "postgres"), "-D", str(home / "data"), "-p", port, "-k", str(home)]
    serve = ["setpriv", "--reuid", user, "--clear-groups", *serve] if user else serve
    child = processes.start("postgres", serve, dict(os.environ), place.root / "postgres.log")
    env = {**os.environ, "PGPASSWORD": place.secrets["POSTGRES_PASSWORD"]}
    make = ["psql", "-h", "127.0.0.1", "-p", port, "-U", "airflow", "-d", "postgres", "-c"]
    _until("PostgreSQL", 30, [*make, "create database airflow"], env)
    return child


def _redis(place: Place) -> processes.Child:
    if not shutil.which("redis-server"):
        process.missing("Redis (redis-server)")
    command = [place.say(word) for word in SERVICES["redis"]["command"]]
    port = str(place.ports["redis"])
    command += ["--port", port, "--bind", "127.0.0.1"]
    child = processes.start("redis", command, dict(os.environ), place.root / "redis.log")
    env = {**os.environ, "REDISCLI_AUTH": place.secrets["REDIS_PASSWORD"]}
    _until("redis", 30, [*SERVICES["redis"]["healthcheck"]["test"][1:2], "-p", port, "ping"], env)
    return child


def _until(name: str, seconds: float, command: list[str], env: dict[str, str]) -> None:
    """Repeat a check until it passes, as Docker does."""
    deadline = time.monotonic() + seconds
    told = ""
    while time.monotonic() < deadline:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        told = done.stdout[-1000:] + done.stderr[-1000:]
        time.sleep(0.5)
    pytest.fail(f"{name} is not healthy: {told}")


def _mart(place: Place) -> None:
    """Install a mart as docs/mart.md says: a database, the login that publishes, an analyst."""
    password = words.Literal(place.secrets["POSTGRES_PASSWORD"])
    with psycopg.connect(
        place.mart("airflow").replace("/mart", "/airflow"), autocommit=True
    ) as con:
        for login in ("loader", "analyst"):
            role = words.Identifier(login)
            con.execute(words.SQL("create role {} login password {}").format(role, password))
        con.execute("create database mart")
        con.execute("revoke all on database mart from public")
    env = {**place.environment(), "AIRFLOW_CONN_PERFHOUSE_MART_ADMIN": place.mart("airflow")}
    command = [Path(sys.executable).with_name("perfhouse"), "mart"]
    for rest in (
        ["migrate"],
        ["grant", "--login", "loader", "--role", "publisher"],
        ["grant", "--login", "analyst", "--role", "analyst"],
    ):
        subprocess.run([*command, *rest], env=env, check=True, capture_output=True)
    with psycopg.connect(place.mart("airflow"), autocommit=True) as con:
        con.execute("grant connect on database mart to perfhouse_publisher, perfhouse_analyst")


@pytest.fixture(scope="module")
def running(place: Place) -> Iterator[dict[str, processes.Child]]:
    toml = tiny.company(place.root / "company") / "perfhouse.toml"
    with toml.open("a", encoding="utf-8") as file:
        file.write('\n[mart]\nconnection = "perfhouse_mart"\n')
    tiny.deliver(place.root / "data", MONTH.key)
    _mart(place)
    env = place.environment()
    children: dict[str, processes.Child] = {}
    try:
        init = SERVICES["init"]["command"]
        child = processes.start("init", init, env, place.root / "init.log")
        children["init"] = child
        processes.finish(child, 180)
        del children["init"]
        for name in LONG_RUNNING:
            words = SERVICES[name]["command"]
            words = [w if w != "2" else "1" for w in words]  # two cores, one api worker
            children[name] = processes.start(name, words, env, place.root / f"{name}.log")
        yield children
    finally:
        processes.stop(list(children.values()))


def test_the_deployment_publishes_a_month(
    place: Place, running: dict[str, processes.Child]
) -> None:
    env = place.environment()
    for name in LONG_RUNNING:
        check = [place.say(word) for word in SERVICES[name]["healthcheck"]["test"][1:]]
        _until(name, 240, check, env)
        processes.check(running.values())
    said: list[str] = []
    with Client(f"http://127.0.0.1:{place.ports['api']}") as api:
        made = place.root / "airflow" / "simple_auth_manager_passwords.json.generated"
        login = {"username": "admin", "password": json.loads(made.read_text())["admin"]}
        api.authorize(api.post("/auth/token", login)["access_token"])
        expected = {"ingest_desk", "ingest_survey", "ingest_hr"}
        expected |= {"transform", "publish", "reconcile"}
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if {d["dag_id"] for d in api.get("/api/v2/dags")["dags"]} == expected:
                break
            time.sleep(1.0)
        board = watch.Board(
            api, place.root / "airflow" / "logs", said.append,
            lambda: processes.check(running.values()),
        )  # fmt: skip
        # One after the other: on PostgreSQL, Airflow 3.3.2 loses the AND over assets when two of
        # them are announced in the same instant (docs/airflow.md).
        for source in ("desk", "survey", "hr"):
            body = {"logical_date": None, "partition_key": MONTH.key}
            started = api.post(f"/api/v2/dags/ingest_{source}/dagRuns", body)
            board.until_ingested(f"ingest_{source}", started["dag_run_id"])
        board.until_published({MONTH.key: 1})
    assert [r.name for r in release.releases(Home(place.root / "home"))] == ["2026-09.r1"]


def test_an_analyst_reads_in_the_mart_what_dbt_built_and_was_released(
    place: Place, running: dict[str, processes.Child]
) -> None:
    """Every table of the release is there, value by value, but for the types of PostgreSQL."""
    published = Home(place.root / "home").published / "scorecards.duckdb"
    with (
        duckdb.connect(str(published), read_only=True) as released,
        psycopg.connect(place.mart("analyst")) as analyst,
    ):
        compared = 0
        for table in PUBLIC_TABLES:
            reading = words.SQL("select * from perfhouse.{}").format(words.Identifier(table.name))
            cursor = analyst.execute(reading)
            columns = [c.name for c in cursor.description or ()]
            rows = released.execute(f"select {', '.join(columns)} from {table.name}").fetchall()
            assert sorted(map(repr, cursor.fetchall())) == sorted(map(repr, rows)), table.name
            compared += len(rows)
    assert compared > 20
