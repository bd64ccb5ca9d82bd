"""What the triggerer runs, in a child process: Airflow must not come into that of the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import asyncio, json, logging, sys
from perfhouse import triggers
from perfhouse.errors import ConfigError

loaded = sorted(m for m in ("great_expectations", "dbt", "kombu", "duckdb") if m in sys.modules)
looks = [
    ConfigError(["desk.url: expected a host"]), {"a"}, {"a"}, RuntimeError("li.na@example.com"),
    {"a", "b"}, {"b"}, set(), {"b"},
]


def look(company):
    found = looks.pop(0)
    if isinstance(found, Exception):
        raise found
    return frozenset(found)


class Lines(logging.Handler):
    said = []

    def emit(self, record):
        self.said.append(record.getMessage())


triggers._log.addHandler(Lines())
triggers._look = look
made = triggers.PlacesTrigger("/srv/company", "abc", 0.001)


async def main():
    told = []
    running = made.run()
    for _ in range(3):
        event = await asyncio.wait_for(anext(running), 30)
        told.append([event.payload, len(looks)])
    await running.aclose()
    return told


told = asyncio.run(main())
print("@@" + json.dumps([loaded, told, Lines.said, made.serialize()]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
            "PATH": str(Path(sys.executable).parent),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "@@" in done.stdout, done.stderr[-2000:]
    return list(json.loads(done.stdout.rpartition("@@")[2]))


def test_it_speaks_when_a_place_shows_what_it_did_not_show_before(told: list[Any]) -> None:
    _, events, _, _ = told
    assert events == [[{"arrived": 1}, 6], [{"arrived": 2}, 3], [{"arrived": 1}, 0]]


def test_no_error_ends_it_and_what_it_says_of_one_names_nobody(told: list[Any]) -> None:
    _, _, said, _ = told
    assert len(said) == 2
    assert "desk.url: expected a host" in said[0]
    assert said[1] == "places: RuntimeError"


def test_it_is_light_and_made_again_from_words_that_are_no_secret(told: list[Any]) -> None:
    loaded, _, _, (path, kwargs) = told
    assert loaded == []
    assert path == "perfhouse.triggers.PlacesTrigger"
    assert kwargs == {"company": "/srv/company", "configuration": "abc", "seconds": 0.001}
