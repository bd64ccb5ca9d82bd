"""What a run tells of itself under a real scheduler: numbers, lineage, a deadline that passed."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import arriving
import lineage_server
import markers
import pytest
import tiny
import yaml
from mail_server import Mailbox
from mail_server import serving as mail
from servers.prometheus import MONITORING, Prometheus

from perfhouse import clock, stages
from perfhouse.month import Month
from perfhouse.settings import environment

# Long, and it needs minutes by the clock: a deadline's shortest.
pytestmark = [pytest.mark.e2e, pytest.mark.nightly, pytest.mark.timeout(1800)]
LAST = Month.of(clock.now().date()).plus(-1)
NEVER = Month("2020-01")  # nobody delivers it: a gate stops it
MORE = """
[deadlines]
run_minutes = 1
[[notices]]
id = "mail"
kind = "email"
connection = "mail"
sender = "perfhouse@example.com"
to = ["team@example.com"]
events = ["overdue"]
language = "en"
send = true
"""


@dataclass
class Told:
    """What came out of a run of a month, by every way."""

    world: arriving.World
    prometheus: Prometheus
    box: Mailbox
    handed_on: list[dict[str, Any]] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        text = (self.world.ws.home.lineage / "events.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def done(self, job: str) -> dict[str, Any]:
        """Return the event of a task's end."""
        found = [e for e in self.events if e["job"]["name"] == job and e["eventType"] != "START"]
        assert found, job
        return found[-1]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, prometheus: Prometheus) -> Iterator[Told]:
    """A month that waits for the warehouse until its deadline has passed, then goes out."""
    root, box, taken = tmp_path_factory.mktemp("operations"), Mailbox(), []  # type: ignore[var-annotated]
    ws = arriving.company(root, "desk", "survey", "hr", more=MORE)
    toml = ws.company.folder / "perfhouse.toml"
    toml.write_text(markers.mapped(toml.read_text("utf-8")), encoding="utf-8")
    with mail(box) as post, lineage_server.serving(taken) as catalogue:
        more = {"PERFHOUSE_URL_MAIL": post, "OPENLINEAGE_URL": catalogue}
        with environment({**markers.ENVIRONMENT, **prometheus.environment(), **more}):
            ws = stages.open_workspace(ws.company.folder, ws.data, ws.home.root)
            with arriving.serving(ws) as world:
                it = Told(world, prometheus, box, taken)
                with stages.exclusive(ws.home, "warehouse"):
                    tiny.deliver(ws.data, LAST.key)
                    markers.plant(ws.data)
                    world.until("a notice of the deadline", lambda: box.taken, 600)
                world.until("a release", lambda: world.released(LAST), 600)
                body = {"logical_date": None, "partition_key": NEVER.key}
                world.api.post("/api/v2/dags/transform/dagRuns", body)
                world.until("a gate that stops", lambda: _failed(world), 600)
                began = len(_compared(world))
                world.until("a comparison", lambda: len(_compared(world)) > began + 1, 300)
                time.sleep(5)  # for the last scrapes
                yield it


def _failed(world: arriving.World) -> bool:
    return any(run[2] == "failed" for run in world.runs("transform"))


def _compared(world: arriving.World) -> list[Any]:
    return [run for run in world.runs("reconcile") if run[2] == "success"]


# ---------------------------------------------------------------- the deadline


def test_a_run_past_its_deadline_is_told_of_once_with_who_must_act(told: Told) -> None:
    found = [
        m for _, m in told.box.taken if "transform" in m["Subject"] and LAST.key in m["Subject"]
    ]
    (message,) = found
    text = message.get_content()
    assert "who must act: data engineer" in text
    assert f"perfhouse status --month {LAST}" in text


def test_the_writers_pool_has_one_slot_and_the_writers_are_in_it(told: Told) -> None:
    file = told.world.airflow.root / "metadata" / "airflow.db"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60) as metadata:
        slots = dict(metadata.execute("select pool, slots from slot_pool").fetchall())
        where = metadata.execute("select distinct dag_id, pool from task_instance").fetchall()
    assert slots["warehouse"] == 1
    assert {dag_id for dag_id, pool in where if pool == "warehouse"} == {"transform", "publish"}


# ---------------------------------------------------------------- lineage


def test_every_step_names_what_it_read_and_made(told: Told) -> None:
    names = {e["job"]["name"] for e in told.events}
    assert {"ingest_desk.ingest", "transform.build", "publish.publish"} <= names
    assert {e["job"]["namespace"] for e in told.events} == {"perfhouse://tiny"}
    ingest = told.done("ingest_desk.ingest")
    assert [d["name"] for d in ingest["inputs"]] == ["source/desk"]
    (raw,) = ingest["outputs"]
    assert raw["name"] == "raw/desk/tickets"
    assert raw["outputFacets"]["outputStatistics"]["rowCount"] == 5
    build = told.done("transform.build")
    streams = {"raw/desk/tickets", "raw/hr/hr_roster", "raw/survey/survey_responses"}
    assert {d["name"] for d in build["inputs"]} == streams
    made = {d["name"] for d in build["outputs"]}
    assert {"warehouse/fct_tickets", "warehouse/scorecard_manager_months"} <= made
    publish = told.done("publish.publish")
    assert {d["name"] for d in publish["inputs"]} <= made
    (release,) = publish["outputs"]
    said = release["facets"]["version"]["datasetVersion"]
    assert said == f"{LAST}.r1 sha256:{told.world.released(LAST)}"


def test_a_gate_tells_its_checks_and_a_failure_its_kind(told: Told) -> None:
    (stopped,) = [e for e in told.events if e["eventType"] == "FAIL"]
    assert stopped["job"]["name"] == "transform.gate_raw"
    assert stopped["run"]["facets"]["errorMessage"]["message"] == "perfhouse.errors.GateFailed"
    passed = [
        e for e in told.events
        if e["job"]["name"] == "transform.gate_scorecards" and e["eventType"] == "COMPLETE"
    ]  # fmt: skip
    whole = passed[0]["inputs"][0]
    assert whole["name"] == "scorecards"
    checks = whole["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert len(checks) > 3
    assert all(check["success"] for check in checks if check["severity"] == "critical")


def test_no_event_and_no_packet_names_a_person_a_secret_or_a_row(
    told: Told, tmp_path: Path
) -> None:
    wanted = (*markers.PERSONAL, *markers.NAMES, *markers.SECRETS)
    packets = [re.sub(r"\|@[\d.]+$", "", line) for line in told.prometheus.relay.lines]  # a rate
    (tmp_path / "packets.txt").write_text("\n".join(packets), "utf-8")
    for folder in (told.world.ws.home.lineage, tmp_path):
        assert markers.found(folder, wanted) == {}
        for file in folder.iterdir():
            text = file.read_text("utf-8")
            assert "@" not in text
            assert not re.search(rf"\b({'|'.join((*tiny.AGENTS, 'MA', 'MB'))})\b", text)
            assert str(told.world.ws.home.root) not in text
    assert markers.found(told.world.ws.data, (markers.MAIL,)), "they were there to be told"


def test_a_server_takes_events_and_one_that_hangs_loses_no_run(told: Told) -> None:
    jobs = {e["job"]["name"] for e in told.handed_on}
    assert {"ingest_desk.ingest", "ingest_hr.ingest", "transform.gate_raw"} <= jobs
    assert "transform.build" not in jobs
    ids = {(e["run"]["runId"], e["eventType"]) for e in told.events}
    assert {(e["run"]["runId"], e["eventType"]) for e in told.handed_on} <= ids
    assert (told.world.ws.home.lineage / "not_answered").exists()


# ---------------------------------------------------------------- numbers


def queries() -> list[str]:
    """Return every query of the dashboard as Grafana would ask it."""
    panels = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return [text.replace("$__rate_interval", "10m") for text in found]


def test_every_query_of_the_dashboard_answers_with_data(told: Told) -> None:
    asked = queries()
    assert len(asked) > 20
    empty = [text for text in asked if not told.prometheus.query(text)]
    assert empty == []


def test_every_alert_runs_on_numbers_that_are_there(told: Told) -> None:
    (group,) = told.prometheus.ask("rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    names = {n for r in rules for n in re.findall(r"\b(?:perfhouse|airflow)_\w+", r["expr"])}
    assert len(names) > 6
    assert [name for name in sorted(names) if not told.prometheus.query(name)] == []
    firing = {a["labels"]["alertname"] for a in told.prometheus.ask("alerts")["alerts"]}
    assert {"GateStopped", "RunOverdue", "TaskFailed"} <= firing
    assert "SchedulerDown" not in firing


def test_the_numbers_are_those_of_the_month(told: Told) -> None:
    (rows,) = told.prometheus.query('perfhouse_rows{source="desk",fate="landed"}')
    assert rows["value"][1] == "5"
    (quarantined,) = told.prometheus.query('perfhouse_rows{source="survey",fate="quarantined"}')
    assert quarantined["value"][1] == "1"
    (size,) = told.prometheus.query("perfhouse_warehouse_bytes")
    assert float(size["value"][1]) == told.world.ws.home.warehouse.stat().st_size
    (late,) = told.prometheus.query('perfhouse_late_months{source="desk"}')
    assert late["value"][1] == "0"


def test_every_packet_was_understood(told: Told) -> None:
    assert len(told.prometheus.relay.lines) > 500
    assert told.prometheus.relay.refused == []


def test_no_label_grows_with_months_or_runs(told: Told) -> None:
    labels = {
        key for series in told.prometheus.query('{job="perfhouse"}') for key in series["metric"]
    }
    assert not labels & {"run_id", "dagrun_id", "job_id", "month", "partition_key", "employee_id"}
    told_of = told.prometheus.query('{__name__=~"perfhouse_.*"}')
    assert 50 < len(told_of) < 300
