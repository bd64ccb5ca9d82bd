"""The deployment file fits the official schema, and its commands are ones we have."""

from __future__ import annotations

import json
import re
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
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if s["image"].startswith("perfhouse:")}
LONG_RUNNING = sorted(set(SERVICES) - {"init"})


def test_the_file_fits_the_compose_specification() -> None:
    vendored = resources.files("check_jsonschema.builtin_schemas.vendor") / "compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []


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
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_secrets_come_from_the_environment_and_are_explained() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{([A-Z_]+)[:}]", text))
    assert used == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    for line in text.splitlines():
        if re.search(r"PASSWORD|SECRET|KEY|_CONN:|BROKER_URL|RESULT_BACKEND", line):
            assert "${" in line, line


def test_ports_are_open_to_this_machine_only() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_the_commands_are_ones_airflow_knows(tmp_path: Path) -> None:
    """Parsed by Airflow's own command line; the health checks as well."""
    lines = [s["command"] for s in OURS.values()]
    lines += [s["healthcheck"]["test"][1:] for s in OURS.values() if "healthcheck" in s]
    wanted = [line[1:] for line in lines if line[0] == "airflow"]
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


def test_the_image_installs_only_what_is_locked_and_runs_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes -r requirements.lock" in text
    last = text.split("FROM")[-1]
    assert re.search(r"^USER (?!root)", last, re.MULTILINE)
    assert "pip install" not in last
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for path in source.split():
            assert (ROOT / path).exists(), path
