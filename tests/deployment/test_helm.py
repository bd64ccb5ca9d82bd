"""The values for Airflow's chart agree with compose file, lock, volumes and the page."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Any

import machine
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "deploy/helm/values.yaml").read_text("utf-8"))
VOLUMES = list(yaml.safe_load_all((ROOT / "deploy/helm/volumes.yaml").read_text("utf-8")))
PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
COMPOSE = machine.services("docker-compose.yml", "docker-compose.local.yml")
# secret -> key -> the file it is made from, as the page makes them
SECRETS = {
    name: {
        (given.split("=")[0] if "=" in given else Path(given).name): Path(given.split("=")[-1]).name
        for given in re.findall(r"--from-file=(\S+)", rest)
    }
    for name, rest in re.findall(r"^kubectl create secret generic (\S+)(.*)$", PAGE, re.MULTILINE)
}
USED = {part: VALUES[part] for part in ("scheduler", "triggerer", "createUserJob")}


def environment(items: list[dict[str, str]]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in items}


def test_it_runs_the_airflow_that_is_locked_in_the_image_of_the_compose_file() -> None:
    assert VALUES["airflowVersion"] == metadata.version("apache-airflow")
    tag = COMPOSE["scheduler"]["image"].split(":")[1]
    assert VALUES["images"]["airflow"]["tag"] == tag == metadata.version("perfhouse")


def test_what_both_set_they_set_alike() -> None:
    ours = environment(VALUES["env"]) | environment(VALUES["scheduler"]["env"])
    theirs = COMPOSE["scheduler"]["environment"]
    tls = {"AIRFLOW__FAB__COOKIE_SECURE", "AIRFLOW__FAB__ENABLE_PROXY_FIX"}  # an ingress ends it
    moved = {n: v.replace("/run/secrets/perfhouse/", "/run/secrets/") for n, v in ours.items()}
    assert {n: v for n, v in moved.items() if theirs.get(n) != v}.keys() == tls
    unset = {n for n in theirs if n not in ours and not n.endswith("_CMD")}
    by_the_chart = {
        "AIRFLOW__CORE__EXECUTOR", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK",
    }  # fmt: skip
    assert unset == by_the_chart


def test_secrets_and_volumes_it_mounts_are_made() -> None:
    claims = {volume["metadata"]["name"] for volume in VOLUMES}
    for part in USED.values():
        for volume in part["extraVolumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] in SECRETS
            else:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
        assert {m["name"] for m in part["extraVolumeMounts"]} == {
            v["name"] for v in part["extraVolumes"]
        }
    made = {file for keys in SECRETS.values() for file in keys.values()}
    script = (ROOT / "deploy" / "make_secrets.sh").read_text(encoding="utf-8")
    assert made <= set(re.findall(r"^keep (\S+)", script, re.MULTILINE))


@pytest.mark.parametrize("part", sorted(USED))
def test_a_pod_finds_the_secret_files_it_is_told_of(part: str) -> None:
    mounted = {
        f"/run/secrets/perfhouse/{key}"
        for volume in USED[part]["extraVolumes"]
        if "secret" in volume
        for key in SECRETS[volume["secret"]["secretName"]]
    }
    told = " ".join(environment(USED[part]["env"]).values())
    named = set(re.findall(r"/run/secrets/perfhouse/[\w.]+", told))
    assert named
    assert named <= mounted


def test_the_chart_finds_its_own_secrets_under_the_keys_it_asks_for() -> None:
    asked = {
        VALUES["data"]["metadataSecretName"]: "connection",
        VALUES["fernetKeySecretName"]: "fernet-key",
        VALUES["apiSecretKeySecretName"]: "api-secret-key",
        VALUES["jwtSecretName"]: "jwt-secret",
    }
    assert {name: [*SECRETS[name]] for name in asked} == {n: [key] for n, key in asked.items()}


def test_one_writer_and_nobody_is_root() -> None:
    assert VALUES["executor"] == "LocalExecutor"
    assert VALUES["scheduler"]["replicas"] == 1
    assert VALUES["securityContexts"]["pod"]["runAsNonRoot"] is True
    assert VALUES["securityContexts"]["containers"]["capabilities"] == {"drop": ["ALL"]}
    for part in ("scheduler", "triggerer", "apiServer", "dagProcessor"):
        assert VALUES[part]["resources"]["limits"]["memory"], part
