"""Connections come from a secrets backend of Airflow's: the one on a file, as in compose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import machine

FILE = {
    "perfhouse_mart": "postgresql://loader:p%40ss@db/mart?sslmode=require",
    "helpdesk": {"conn_type": "https", "host": "desk.example.com", "password": "token"},
}
ASK = """
from perfhouse import orchestration, settings
for name in ("perfhouse_mart", "helpdesk"):
    found = settings.connection(name)
    print(settings.connection_url(name), found.kind, found.password, dict(found.extra))
try:
    settings.connection("nobody")
except Exception as error:
    print(error)
"""


def test_a_task_is_given_the_connections_of_the_file_and_no_others(tmp_path: Path) -> None:
    secrets = tmp_path / "connections.json"
    secrets.write_text(json.dumps(FILE), encoding="utf-8")
    asked = machine.services("docker-compose.yml")["worker"]["environment"]
    backend = {
        name: value.replace("/run/secrets/connections.json", str(secrets))
        for name, value in asked.items()
        if name.startswith("AIRFLOW__SECRETS__")
    }
    assert len(backend) == 2
    env = {"AIRFLOW_HOME": str(tmp_path), "PATH": os.environ["PATH"], **backend}
    env |= {k: os.environ[k] for k in ("PYTHONPATH",) if k in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if not line[:4].isdigit()]  # Airflow's log
    mart, helpdesk, *nobody = lines
    assert mart == (
        "postgresql://loader:p%40ss@db/mart?sslmode=require postgresql p@ss {'sslmode': 'require'}"
    )
    assert helpdesk == "https://:token@desk.example.com/ https token {}"
    assert "expected AIRFLOW_CONN_NOBODY or PERFHOUSE_URL_NOBODY" in " ".join(nobody)
