"""The images, built and run: read-only, as a user with no rights at all, in real containers.

Needs root and Debian's buildah, podman, runc and debootstrap; takes minutes.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from servers import process
from servers.postgres import Postgres

from bi import api
from perfhouse import processes
from perfhouse.mart import migration

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(5400)]
HERE = Path(__file__).parent
STORE = process.INSTALLED / "images"
# As docker-compose.yml runs them.
HARDENED = (
    "--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges",
    "--network=host", "--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096",
)  # fmt: skip
TOOLS = ("gcc", "cc", "g++", "ld", "make", "pip", "pip3", "uv", "git", "curl", "mypy", "pytest")


@dataclass(frozen=True)
class Images:
    """The store that holds them."""

    store: Path

    def podman(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["podman", "--root", f"{self.store}/images", "--runroot", f"{self.store}/run",
             "--storage-driver", "overlay", "--runtime", "runc", "--cgroup-manager", "cgroupfs",
             *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def run(self, image: str, script: str, *options: str) -> str:
        """Run a script in a new container and return what it prints."""
        name = f"localhost/{image}:test"
        return self.podman("run", "--rm", *HARDENED, *options, name, "sh", "-ec", script)


@pytest.fixture(scope="module")
def images() -> Images:
    if os.getuid() != 0:
        pytest.skip("images are built by root")
    for name in ("buildah", "podman", "runc", "debootstrap"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not here: apt-get install buildah podman runc debootstrap")
    done = subprocess.run(
        [str(HERE / "images.sh"), str(STORE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return Images(STORE)


@pytest.mark.parametrize("image", ["perfhouse", "perfhouse-bi"])
def test_nobody_special_runs_it_with_nothing_to_build_or_install_with(
    images: Images, image: str
) -> None:
    said = images.run(
        image,
        "id -u; grep -E '^Cap(Prm|Bnd|Eff)|^NoNewPrivs' /proc/self/status; touch /x || echo sealed;"
        f"for tool in {' '.join(TOOLS)}; do command -v $tool && echo found; done;"
        "find /opt /usr/local -path '*-packages/pip' -o -path '*-packages/setuptools'"
        " -o -name ensurepip -o -path '*/bin/pip*'",
    ).splitlines()
    assert said[0] == "50000"
    assert {line.split("\t")[1] for line in said[1:4]} == {"0000000000000000"}
    assert said[4:] == ["NoNewPrivs:\t1", "sealed"]


def test_its_programs_are_the_locked_ones(images: Images) -> None:
    said = images.run("perfhouse", "perfhouse --help; airflow version; dbt --version", *_home())
    assert "perfhouse" in said
    assert metadata.version("apache-airflow") in said
    assert metadata.version("dbt-duckdb") in said


def test_a_month_goes_through_the_real_dags_in_it(images: Images) -> None:
    said = images.run(
        "perfhouse",
        "perfhouse demo --out /tmp/demo --months 1;"
        "perfhouse airflow run --company /tmp/demo/company --data /tmp/demo/sources"
        " --home /srv/perfhouse/home; ls /srv/perfhouse/home/published/current/*/exports/hr",
        *_home(),
    )
    assert ".xlsx" in said, said[-3000:]


def _home() -> list[str]:
    """Return volumes as compose has: they belong to whom the folder in the image belongs."""
    return [f"--volume=/srv/perfhouse/{name}" for name in ("home", "airflow")]


@pytest.fixture
def dashboards(images: Images, postgres: Postgres, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Superset in its image over a mart without a release: the container, and its address."""
    name, port = f"perfhouse-bi-{os.getpid()}", processes.free_port()
    mart = postgres.database("image_mart")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERFHOUSE_URL_IMAGE_MART", mart)
        migration.migrate("image_mart")
    people = tmp_path / "readers.csv"
    people.write_text("login,role,manager_id\nhr,hr,\nM1,manager,M1\n", encoding="utf-8")
    given = {
        "PERFHOUSE_BI_METADATA": postgres.url("image_superset"),
        "AIRFLOW_CONN_PERFHOUSE_MART_ADMIN": mart,
        "PERFHOUSE_BI_ADMIN_PASSWORD": secrets.token_urlsafe(12),
    }
    images.podman(
        "run", "--detach", "--name", name, *HARDENED, "--volume=/srv/perfhouse/home/bi",
        f"--volume={people}:/srv/perfhouse/readers.csv:ro",
        *(f"--env={key}={value}" for key, value in given.items()),
        "--log-driver=k8s-file", "localhost/perfhouse-bi:test",
        "python", "-m", "bi", "serve", "--home", "/srv/perfhouse/home", "--venv", "/opt/superset",
        "--readers", "/srv/perfhouse/readers.csv", "--port", str(port),
    )  # fmt: skip
    try:
        yield name, f"http://127.0.0.1:{port}"
    finally:
        images.podman("rm", "--force", "--time", "20", name)


def test_superset_serves_from_its_image_with_users_and_rights(
    images: Images, postgres: Postgres, dashboards: tuple[str, str]
) -> None:
    name, url = dashboards
    deadline = time.monotonic() + 1800
    while "Ctrl-C stops it" not in images.podman("logs", name):
        state = json.loads(images.podman("inspect", name))[0]["State"]
        assert state["Running"], images.podman("logs", name)
        assert time.monotonic() < deadline, images.podman("logs", name)
        time.sleep(2)
    accounts = images.podman("exec", name, "cat", "/srv/perfhouse/home/bi/accounts.csv")
    passwords = {line.split(",")[0]: line.split(",")[2] for line in accounts.splitlines()[1:]}
    with api.Superset(url, "M1", passwords["M1"]) as superset:
        titles = [row["slug"] for row in superset.listed("dashboard/", "dashboard_title")]
    assert sorted(titles) == ["perfhouse-manager", "perfhouse-overview"]
    with postgres.connect("image_superset") as con:
        rules = con.execute("select count(*) from row_level_security_filters").fetchone()
    assert rules == (2,)
    (about,) = json.loads(images.podman("image", "inspect", "localhost/perfhouse-bi:test"))
    kind, *check = about["Healthcheck"]["Test"]
    assert kind == "CMD"
    images.podman(
        "exec", name, *(word.replace(":8088", f":{url.rpartition(':')[2]}") for word in check)
    )
