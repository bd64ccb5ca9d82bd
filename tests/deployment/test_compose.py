"""The deployment file fits the official schema, and its commands are ones we have."""

from __future__ import annotations

import base64
import json
import re
import stat
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
LOCAL: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.local.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if s["image"].startswith("perfhouse:")}
LONG_RUNNING = sorted(set(SERVICES) - {"init"})


@pytest.mark.parametrize("file", [COMPOSE, LOCAL], ids=["celery", "local"])
def test_the_file_fits_the_compose_specification(file: dict[str, Any]) -> None:
    vendored = resources.files("check_jsonschema.builtin_schemas.vendor") / "compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(file)] == []


def test_every_part_of_airflow_is_there() -> None:
    assert set(SERVICES) == {
        "postgres", "redis", "init", "api-server", "scheduler", "dag-processor", "triggerer",
        "worker", "bi",
    }  # fmt: skip
    assert [name for name, s in SERVICES.items() if "profiles" in s] == ["bi"]
    assert SERVICES["bi"]["profiles"] == ["bi"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned_and_users_are_not_root(name: str) -> None:
    service = SERVICES[name]
    assert re.search(r":\d+\.\d+", service["image"]), service["image"]
    assert service["user"].split(":")[0] not in ("", "0", "root")


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_service_that_stays_up_says_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_what_is_asked_of_the_environment_is_explained() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{([A-Z_]+)[:}]", text))
    assert used == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"bi"}))
def test_secrets_come_from_files_and_a_service_has_those_it_reads(name: str) -> None:
    """Superset alone reads its secrets from the environment."""
    service = SERVICES[name]
    for variable, value in service.get("environment", {}).items():
        if re.search(
            r"PASSWORD|SECRET_KEY|JWT_SECRET|FERNET|_CONN|BROKER|RESULT|CUSTOMER", variable
        ):
            assert variable.endswith(("_CMD", "_FILE")), variable
            assert "/run/secrets/" in value, variable
    text = json.dumps([service.get(k) for k in ("environment", "command", "healthcheck")])
    assert set(re.findall(r"/run/secrets/([\w.]+)", text)) == set(service.get("secrets", ()))


def test_the_script_makes_every_secret_and_leaves_those_that_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make = [ROOT / "deploy" / "make_secrets.sh", folder]
    subprocess.run(make, check=True, capture_output=True)
    assert {f.name for f in folder.iterdir()} == set(COMPOSE["secrets"])
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {f.stat().st_mode & 0o444 for f in folder.iterdir()} == {0o444}
    assert len(base64.urlsafe_b64decode(before["airflow_fernet_key"])) == 32
    (folder / "customer_key").unlink()
    again = subprocess.run(make, check=True, capture_output=True, text=True)
    assert again.stdout == f"made {folder}/customer_key\n"
    after = {f.name: f.read_bytes() for f in folder.iterdir()}
    assert [name for name in before if before[name] != after[name]] == ["customer_key"]


def test_a_task_reaches_no_metadata_and_only_who_opens_sources_has_their_secrets() -> None:
    having = {name: set(s.get("secrets", ())) for name, s in SERVICES.items()}
    assert not having["worker"] & {"airflow_database", "airflow_jwt_secret", "airflow_fernet_key"}
    assert {n for n, held in having.items() if "connections.json" in held} == {
        "worker",
        "triggerer",
    }


def test_without_celery_the_scheduler_holds_what_the_worker_did() -> None:
    """What differs between the worker and the scheduler of the other file is how they are run."""
    worker, scheduler = SERVICES["worker"]["environment"], LOCAL["services"]["scheduler"]
    sources = {
        k: v for k, v in worker.items() if k.startswith(("AIRFLOW__SECRETS", "PERFHOUSE_CU"))
    }
    assert sources
    assert sources.items() <= scheduler["environment"].items()
    assert scheduler["secrets"] == ["connections.json", "customer_key"]
    assert scheduler["stop_grace_period"] == SERVICES["worker"]["stop_grace_period"]
    off = {n for n, s in LOCAL["services"].items() if s.get("profiles") == ["celery"]}
    assert off == {"redis", "worker"}
    for name in set(SERVICES) - off:
        assert not set(SERVICES[name].get("depends_on", ())) & off, name


def test_ports_are_open_to_this_machine_only() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_the_commands_are_ones_airflow_knows(tmp_path: Path) -> None:
    """Parsed by Airflow's own command line; the health checks as well."""
    lines = [s["command"] for s in OURS.values()]
    lines += [s["healthcheck"]["test"][1:] for s in OURS.values() if "healthcheck" in s]
    wanted = [line[1:] for line in lines if line[0] == "airflow"]
    wanted += [["db", "migrate"]]
    assert SERVICES["init"]["command"][2].startswith("airflow db migrate && ")
    assert len(wanted) == 8
    program = (
        "import json, sys; from airflow.cli.cli_parser import get_parser; "
        "[get_parser().parse_args(a) for a in json.loads(sys.argv[1])]"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(wanted)],
        env={"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
             "PATH": str(Path(sys.executable).parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
