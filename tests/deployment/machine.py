"""What docker-compose.yml would run, run as processes of this machine.

Commands, environment and health checks are read from the file, secrets are made by its script;
only hosts, ports and paths differ. Test material.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers import process

from connectors.http import Client
from perfhouse import processes, watch

ROOT = Path(__file__).resolve().parents[2]
_WANTED = ("api", "scheduler", "worker", "triggerer", "postgres", "redis")


def ingest(api: Client, board: watch.Board, month: str) -> None:
    """Land a month of the tiny company.

    One source after the other: on PostgreSQL, Airflow 3.3.2 loses the AND over assets when two of
    them are announced in the same instant (docs/airflow.md).
    """
    for source in ("desk", "survey", "hr"):
        body = {"logical_date": None, "partition_key": month}
        started = api.post(f"/api/v2/dags/ingest_{source}/dagRuns", body)
        board.until_ingested(f"ingest_{source}", started["dag_run_id"])


def services(*files: str) -> dict[str, dict[str, Any]]:
    """Read the services of compose files; a later file goes over an earlier one."""
    merged: dict[str, Any] = {}
    for file in files:
        merged = _over(merged, yaml.safe_load((ROOT / file).read_text(encoding="utf-8")))
    found: dict[str, dict[str, Any]] = merged["services"]
    return found


def _over(one: Any, other: Any) -> Any:
    """Lay one part of a compose file over another, as Compose does for what we use of it."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {k: _over(one.get(k), other[k]) if k in other else one[k] for k in {**one, **other}}
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    return other


@dataclass
class Machine:
    """Where this deployment lies, and what runs of it."""

    root: Path
    services: dict[str, dict[str, Any]]
    ports: dict[str, int] = field(
        default_factory=lambda: {name: processes.free_port() for name in _WANTED}
    )
    children: dict[str, processes.Child] = field(default_factory=dict)

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text(encoding="utf-8")

    def say(self, text: str) -> str:
        """Put this machine's hosts, ports and folders in a text of the compose file."""
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        for there, here in (
            ("api-server:8080", "api"),
            ("localhost:8080", "api"),
            ("localhost:8974", "scheduler"),
            ("postgres:5432", "postgres"),
            ("redis:6379", "redis"),
        ):
            text = text.replace(there, f"127.0.0.1:{self.ports[here]}")
        return text.replace("/run/secrets", str(self.secrets))

    def make_secrets(self) -> None:
        """Make them as docs/deployment.md says; addresses in them become this machine's."""
        subprocess.run([ROOT / "deploy" / "make_secrets.sh", self.secrets], check=True)
        for name in ("airflow_database", "airflow_broker", "airflow_results"):
            file = self.secrets / name
            text = self.say(file.read_text(encoding="utf-8"))
            file.chmod(0o644)
            file.write_text(text, encoding="utf-8")

    def environment(self, service: str) -> dict[str, str]:
        """Return the image's and the file's environment of a service, and no more of ours."""
        image = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("FROM")[-1]
        fixed = dict(re.findall(r"([A-Z_]+)=(\S+?)(?: \\)?$", image, re.MULTILINE))
        asked = {k: self.say(v) for k, v in self.services[service]["environment"].items()}
        used = set(re.findall(rf"{self.secrets}/([\w.]+)", " ".join(asked.values())))
        assert used <= set(self.services[service]["secrets"]), f"{service}: a secret not mounted"
        kept = {k: os.environ[k] for k in ("PYTHONPATH",) if k in os.environ}
        return {
            **fixed,
            **asked,
            **kept,
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
        }

    def start(self, service: str) -> None:
        """Start a service's command; two cores, so one worker of the API."""
        words = ["1" if word == "2" else word for word in self.services[service]["command"]]
        env, log = self.environment(service), self.root / f"{service}.log"
        self.children[service] = processes.start(service, words, env, log)

    def is_well(self, service: str) -> tuple[bool, str]:
        """Run a service's health check as it stands in the file."""
        kind, *words = self.services[service]["healthcheck"]["test"]
        if kind == "CMD-SHELL":
            port = self.ports["redis"]
            text = words[0].replace("$$", "$").replace("redis-cli", f"redis-cli -p {port}")
            words = ["sh", "-c", text]
        ours = "environment" in self.services[service] and service != "postgres"
        env = self.environment(service) if ours else {"PATH": os.environ["PATH"]}
        env |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["postgres"])}
        seconds = float(self.services[service]["healthcheck"]["timeout"].removesuffix("s"))
        try:
            done = subprocess.run(
                [self.say(word) for word in words], env=env, check=False,
                capture_output=True, text=True, timeout=3 * seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False, "no answer in time"
        return done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]

    def until_well(self, service: str, seconds: float) -> None:
        """Repeat a health check until it passes, as Docker does."""
        deadline = time.monotonic() + seconds
        told = ""
        while time.monotonic() < deadline:
            processes.check(self.children.values())
            well, told = self.is_well(service)
            if well:
                return
            time.sleep(0.5)
        pytest.fail(f"{service} is not healthy: {told}")

    def mart(self, login: str) -> str:
        """Return the address of the mart, for a login."""
        password = self.secret("postgres_password")
        return f"postgresql://{login}:{password}@127.0.0.1:{self.ports['postgres']}/mart"

    def put_connections(self, **urls: str) -> None:
        """Write the file of connections, as an operator does."""
        (self.secrets / "connections.json").write_text(json.dumps(urls), encoding="utf-8")

    def stop(self) -> None:
        """Stop all, the last started first."""
        processes.stop(list(self.children.values()))
        shutil.rmtree(self._postgres_home, ignore_errors=True)

    # ------------------------------------------------------------ the servers of others

    @property
    def _postgres_home(self) -> Path:
        """A folder that the user postgres can reach; pytest's are for their maker only."""
        return Path(f"/tmp/perfhouse-pg-{os.getpid()}-{self.ports['postgres']}")

    def start_postgres(self) -> None:
        """Start PostgreSQL with a database `airflow`, as its image's entry point does."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not found:
            process.missing("PostgreSQL (postgresql)")
        folder, home, user = found[-1], self._postgres_home, None
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700)
        if os.getuid() == 0:
            user = "postgres"
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        password = home / "password"
        shutil.copyfile(self.secrets / "postgres_password", password)
        password.chmod(0o644)
        prepare = [folder / "initdb", "-D", home / "data", "-U", "airflow", "-A", "scram-sha-256"]
        subprocess.run(
            [*prepare, "--pwfile", password, "-E", "UTF8"],
            check=True, user=user, capture_output=True,
        )  # fmt: skip
        port = str(self.ports["postgres"])
        serve = [str(folder / "postgres"), "-D", str(home / "data"), "-p", port, "-k", str(home)]
        serve = ["setpriv", "--reuid", user, "--clear-groups", *serve] if user else serve
        log = self.root / "postgres.log"
        self.children["postgres"] = processes.start("postgres", serve, dict(os.environ), log)
        self.until_well("postgres", 30)
        make = ["psql", "-h", "127.0.0.1", "-p", port, "-U", "airflow", "-d", "postgres", "-c"]
        env = {**os.environ, "PGPASSWORD": self.secret("postgres_password")}
        subprocess.run([*make, "create database airflow"], env=env, check=True, capture_output=True)

    def start_redis(self) -> None:
        """Start Redis by its command in the compose file."""
        if not shutil.which("redis-server"):
            process.missing("Redis (redis-server)")
        command = [self.say(word) for word in self.services["redis"]["command"]]
        command += ["--port", str(self.ports["redis"]), "--bind", "127.0.0.1"]
        log = self.root / "redis.log"
        self.children["redis"] = processes.start("redis", command, dict(os.environ), log)
        self.until_well("redis", 30)
