"""What images install: the part of the lock that runs, whole, and nothing of developers' tools."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def locked(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "locked.py"), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.count("--hash=sha256:") >= done.stdout.count("==")
    return set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==", done.stdout, re.MULTILINE))


def needed(name: str, extras: tuple[str, ...], found: set[str]) -> set[str]:
    """Follow what installed packages say of themselves, which the lock's comments do not know."""
    for text in metadata.requires(name) or ():
        asked = Requirement(text)
        if asked.marker and not any(asked.marker.evaluate({"extra": e}) for e in ("", *extras)):
            continue
        child = canonicalize_name(asked.name)
        if child not in found:
            found.add(child)
            needed(child, tuple(asked.extras), found)
    return found


@pytest.mark.parametrize("extras", [("airflow", "semantic"), ()])
def test_it_is_all_that_the_packages_say_they_need(extras: tuple[str, ...]) -> None:
    part = {canonicalize_name(name) for name in locked(*extras)}
    assert needed("perfhouse", extras, set()) - part == set()


def test_no_tool_of_developers_is_in_an_image() -> None:
    part = locked("airflow", "semantic")
    assert {"apache-airflow", "celery", "redis", "dbt-metricflow", "duckdb"} <= part
    assert {"pip", "uv", "hatchling", "build", "mypy", "ruff", "pytest", "mkdocs"} & part == set()
    assert "apache-airflow" not in locked()


def test_a_package_alone_comes_with_what_it_needs() -> None:
    assert {"hatchling", "pathspec", "pluggy"} <= locked("--only", "hatchling")


def test_a_name_that_the_lock_lacks_is_refused() -> None:
    part = runpy.run_path(str(ROOT / "tools" / "locked.py"))["part"]
    with pytest.raises(KeyError, match="nobody"):
        part("a==1\n    # via b\nb==2\n", ["nobody"])
    assert part("a==1\n    # via b\nb==2\n", ["b"]) == "a==1\n    # via b\nb==2\n"
