"""What the Dockerfiles say, without building them: `test_images.py` does that, at night."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = {"perfhouse": "Dockerfile", "perfhouse-bi": "bi/Dockerfile"}


@pytest.mark.parametrize("file", FILES.values())
def test_an_image_installs_only_what_is_locked_and_runs_as_nobody_special(file: str) -> None:
    build, last = re.split(r"^FROM .*$", (ROOT / file).read_text("utf-8"), flags=re.MULTILINE)[1:]
    installed = re.findall(r"pip .*install (.+?)(?: \\)?$", build, re.MULTILINE)
    assert len(installed) >= 3
    for line in installed:
        assert line.startswith(("--no-deps --require-hashes -r ", "--no-index --no-deps ")), line
    assert re.search(r"^USER 50000:50000$", last, re.MULTILINE)
    assert "pip install" not in last
    assert " apt" not in build + last


@pytest.mark.parametrize("file", FILES.values())
def test_an_image_copies_what_is_there_and_what_docker_may_see(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    copies = [line.split() for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    seen = {line[1:] for line in ignored if line.startswith("!")}
    assert copies
    for source in {each for names in copies for each in names}:
        assert (ROOT / source).exists(), source
        assert {source, source.split("/")[0]} & seen, source


@pytest.mark.parametrize(("image", "file"), FILES.items())
def test_an_image_is_of_this_version(image: str, file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / file).read_text("utf-8")
    assert f'org.opencontainers.image.title="{image}"' in text
    assert f'org.opencontainers.image.version="{project["version"]}"' in text
    assert f'org.opencontainers.image.licenses="{project["license"]}"' in text
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    tags = {s["image"] for s in services.values() if s["image"].startswith(f"{image}:")}
    assert tags == {f"{image}:{project['version']}"}


def test_the_base_can_be_pinned_and_is_the_same_for_all_stages() -> None:
    for file in FILES.values():
        text = (ROOT / file).read_text("utf-8")
        assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2
        assert "ARG PYTHON_IMAGE=python:3.11-slim-bookworm\n" in text


def test_containers_of_ours_cannot_write_to_their_image() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    ours = [s for s in services.values() if s["image"].split(":")[0] in FILES]
    assert len(ours) == 7
    assert [s["image"] for s in ours if not (s["read_only"] and s["tmpfs"] == ["/tmp"])] == []
    assert all(s["cap_drop"] == ["ALL"] for s in ours)
