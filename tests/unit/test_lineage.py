"""Lineage leaves the house without people, and a server that does not answer holds up nothing."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import attr
import pytest
import yaml
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    documentation_job,
    error_message_run,
    nominal_time_run,
    ownership_job,
    parent_run,
)

from perfhouse import embedded, lineage_transport
from perfhouse.lineage_transport import Guarded, GuardedConfig
from perfhouse.settings import Home

ROOT = Path(__file__).resolve().parents[2]

UUID = "0197e8a0-0000-7000-8000-000000000000"
TRACE = """Traceback (most recent call last):
  File "x.py", line 1, in y
perfhouse.errors.GateFailed: gate raw stopped 2026-09
  - critical: 9% [employee_id=E-0815, Zhang Wei]
"""


def event() -> RunEvent:
    """Return an event as Airflow makes it, people and all."""
    parent = parent_run.ParentRunFacet(
        parent_run.Run(UUID), parent_run.Job("perfhouse://tiny", "transform")
    )
    owner = ownership_job.Owner("Zhang Wei <zhang.wei@example.com>")
    return RunEvent(
        eventTime="2026-10-02T00:00:00Z",
        producer="https://example.com",
        eventType=RunState.FAIL,
        run=Run(
            UUID,
            {
                "nominalTime": nominal_time_run.NominalTimeRunFacet("2026-10-02T00:00:00Z"),
                "parent": parent,
                "airflow": documentation_job.DocumentationJobFacet("by zhang.wei"),
                "errorMessage": error_message_run.ErrorMessageRunFacet(
                    "E-0815, Zhang Wei", "python", TRACE
                ),
            },
        ),
        job=Job(
            "perfhouse://tiny",
            "transform.gate_raw",
            {
                "ownership": ownership_job.OwnershipJobFacet([owner]),
                "documentation": documentation_job.DocumentationJobFacet("ask Zhang Wei"),
            },
        ),
    )


def kept(folder: Path) -> list[dict[str, object]]:
    text = (folder / "events.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_an_event_keeps_what_ran_and_loses_who(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENLINEAGE_URL", raising=False)
    given = event()
    Guarded(GuardedConfig(str(tmp_path / "l"))).emit(given)
    (said,) = kept(tmp_path / "l")
    text = json.dumps(said)
    assert "Zhang" not in text
    assert "zhang" not in text
    assert "E-0815" not in text
    assert set(said["run"]["facets"]) == {"nominalTime", "parent", "errorMessage"}  # type: ignore[index]
    assert said["run"]["facets"]["errorMessage"]["message"] == "perfhouse.errors.GateFailed"  # type: ignore[index]
    assert said["job"]["name"] == "transform.gate_raw"  # type: ignore[index]
    assert stat.S_IMODE((tmp_path / "l" / "events.jsonl").stat().st_mode) == 0o600
    assert given.job.facets is not None
    assert "ownership" in given.job.facets, "the event that was given is left as it was"


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        (None, "failed; see the log"),
        ("", "failed; see the log"),
        ("Zhang Wei did it", "failed; see the log"),
        ("ValueError: Zhang Wei", "ValueError"),
    ],
)
def test_an_error_is_told_by_its_class_alone(trace: str | None, said: str) -> None:
    failure = error_message_run.ErrorMessageRunFacet("Zhang Wei", "python", trace)
    given = event()
    run = attr.evolve(given.run, facets={"errorMessage": failure})
    bare = lineage_transport.stripped(attr.evolve(given, run=run))
    assert bare.run.facets is not None
    assert bare.run.facets["errorMessage"].message == said  # type: ignore[attr-defined]


def test_a_server_that_does_not_answer_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    asked: list[RunEvent] = []

    def refuse(self: object, given: RunEvent) -> None:
        asked.append(given)
        raise ConnectionError

    monkeypatch.setattr("openlineage.client.OpenLineageClient.emit", refuse)
    transport = Guarded(GuardedConfig(str(tmp_path)))
    mark = tmp_path / "not_answered"
    for age, times in ((0.0, 1), (4.0, 1), (299.0, 1), (301.0, 2), (4.0, 2)):
        if mark.exists():
            os.utime(mark, (time.time() - age,) * 2)
        transport.emit(event())
        assert len(asked) == times, age
    assert len(kept(tmp_path)) == 5, "nothing is lost: the file has every event"
    monkeypatch.setattr("openlineage.client.OpenLineageClient.emit", lambda *_: asked.append(_[1]))
    os.utime(mark, (time.time() - 301,) * 2)
    transport.emit(event())
    assert not mark.exists(), "it answers again"


def test_the_page_says_what_make_run_sets_and_what_is_set_already_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    ws = SimpleNamespace(home=home, company=SimpleNamespace(id="acme"))
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    said = dict(re.findall(r"^(AIRFLOW__OPENLINEAGE__\w+)=(.+)$", page, re.MULTILINE))
    assert embedded.lineage_settings(ws) == said  # type: ignore[arg-type]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    for name in ("scheduler", "dag-processor", "worker"):
        there = compose[name]["environment"]
        assert {k: there[k] for k in said} == {
            **said,
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "perfhouse",
        }
    monkeypatch.setenv("PERFHOUSE_HOME", str(tmp_path))
    assert GuardedConfig.from_dict({}).folder == str(home.lineage)
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", '{"type": "console"}')
    assert set(said) - set(embedded.lineage_settings(ws)) == {"AIRFLOW__OPENLINEAGE__TRANSPORT"}  # type: ignore[arg-type]
