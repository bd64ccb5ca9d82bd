"""A tiny company under a real scheduler, dag-processor and api-server, from delivery to release."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import markers
import pytest
import tiny
from mail_server import Mailbox, serving

from perfhouse import embedded, processes, release, stages, watch
from perfhouse.month import Month
from perfhouse.settings import child_environment, environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
SEPTEMBER, OCTOBER, NOVEMBER = Month("2026-09").until(Month("2026-11"))


# One channel that the DAG sends through, one that it only rehearses, one that nobody set up.
NOTICES = """
[[notices]]
id = "mail"
kind = "email"
connection = "mail"
sender = "perfhouse@example.com"
to = ["hr@example.com", "{manager_id}@example.com"]
per_minute = 6000
provisional = true
newest_months = 1200
send = true
[[notices]]
id = "group"
kind = "wecom_robot"
connection = "nowhere"
provisional = true
newest_months = 1200
[[notices]]
id = "unset"
kind = "slack"
connection = "nowhere"
events = ["gate"]
send = true
"""


@dataclass(frozen=True)
class Session:
    """What one embedded Airflow did: what it said, which runs it made, how it ended."""

    said: list[str]
    runs: list[tuple[str, str, str]]
    paused: list[str]
    error: watch.RunFailed | None

    def count(self, dag_id: str, month: Month) -> int:
        return sum(run[:2] == (dag_id, month.key) for run in self.runs)


@dataclass(frozen=True)
class World:
    """Two sessions over one home: a sound one, then one whose last month is at fault."""

    ws: stages.Workspace
    sound: Session
    between: dict[str, str]
    faulty: Session
    mailbox: Mailbox


def session(
    ws: stages.Workspace, months: list[Month], sent_again: list[embedded.Redelivery]
) -> Session:
    said: list[str] = []
    error = None
    try:
        embedded.run(ws, said.append, months, sent_again)
    except watch.RunFailed as failed:
        error = failed
    with sqlite3.connect(ws.home.root / "airflow" / "metadata" / "airflow.db") as metadata:
        runs = metadata.execute(
            "select dag_id, partition_key, state from dag_run order by start_date, id"
        ).fetchall()
        paused = metadata.execute("select dag_id from dag where is_paused").fetchall()
    return Session(said, runs, [dag_id for (dag_id,) in paused], error)


def releases(ws: stages.Workspace) -> dict[str, str]:
    return {r.name: r.sha256 for r in release.releases(ws.home)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("airflow")
    data = root / "data"
    for month in (SEPTEMBER, OCTOBER, NOVEMBER):
        tiny.deliver(data, month.key)
    markers.plant(data)
    toml = tiny.company(root / "company") / "perfhouse.toml"
    # October is corrected before it closes, whatever day it is when the test runs.
    never = toml.read_text("utf-8").replace(
        "[company]\n", "[company]\nclose_grace_days = 4000\n", 1
    )
    toml.write_text(markers.mapped(never) + NOTICES, encoding="utf-8")
    ws = stages.open_workspace(toml.parent, data, root / "home")

    def corrected() -> None:
        path = tiny.answers(data, OCTOBER.key)
        path.write_text(path.read_text("utf-8").replace(",1,", ",5,"), encoding="utf-8")
        markers.plant(data)

    box = Mailbox(later={"MA@example.com"})
    with serving(box) as url, environment({**markers.ENVIRONMENT, "PERFHOUSE_URL_MAIL": url}):
        sound = session(
            ws,
            [SEPTEMBER, OCTOBER],
            [
                embedded.Redelivery(SEPTEMBER, "survey", lambda: None),
                embedded.Redelivery(OCTOBER, "survey", corrected),
            ],
        )
        between = releases(ws)
        tiny.tickets(data, NOVEMBER.key, count=0)
        markers.plant(data)
        return World(ws, sound, between, session(ws, [OCTOBER, NOVEMBER], []), box)


def test_every_month_is_published(world: World) -> None:
    assert world.sound.error is None, "\n".join(world.sound.said)
    assert {"2026-09.r1", "2026-10.r1"} <= set(world.between)


def test_a_month_that_is_due_by_the_clock_and_not_handed_over_does_not_fail_a_run(
    world: World,
) -> None:
    assert world.sound.paused == ["reconcile"]


def test_transform_runs_once_for_a_month_when_all_its_sources_have_arrived(world: World) -> None:
    assert world.sound.count("transform", SEPTEMBER) == 1
    assert world.sound.count("publish", SEPTEMBER) == 1
    months = [month for dag_id, month, _ in world.sound.runs if dag_id == "transform"]
    assert months == ["2026-09", "2026-10", "2026-10"], "months are built in order"


def test_a_late_redelivery_reruns_that_month_only(world: World) -> None:
    assert world.sound.count("transform", OCTOBER) == 2
    assert world.sound.count("publish", OCTOBER) == 2
    assert world.sound.count("transform", SEPTEMBER) == 1
    assert sorted(world.between) == ["2026-09.r1", "2026-10.r1", "2026-10.r2"]
    assert world.between["2026-10.r1"] != world.between["2026-10.r2"]


def test_the_same_delivery_again_builds_nothing(world: World) -> None:
    assert world.sound.count("ingest_survey", SEPTEMBER) == 2
    assert world.sound.count("transform", SEPTEMBER) == 1
    assert any("nothing to rebuild" in line for line in world.sound.said)


def test_progress_is_told_for_every_run(world: World) -> None:
    told = Counter(line.split()[2] for line in world.sound.said if line.endswith("  done"))
    assert told["2026-10"] == (3 + 4 + 1 + 1) + (2 + 4 + 1 + 1)
    assert any("Airflow is ready" in line for line in world.sound.said)


def test_everything_again_in_a_fresh_airflow_gives_the_same_release(world: World) -> None:
    assert world.faulty.count("transform", OCTOBER) == 1
    assert releases(world.ws)["2026-10.r2"] == world.between["2026-10.r2"]


def test_a_planted_fault_stops_before_publish_and_is_named(world: World) -> None:
    error = world.faulty.error
    assert error is not None
    assert error.who == "data owner"
    assert error.exit_code == 6
    assert "transform.gate_raw failed" in str(error)
    assert "gate raw stopped 2026-11; nothing was published" in str(error)
    assert "stream_not_empty" in str(error)
    assert world.faulty.count("publish", NOVEMBER) == 0
    assert releases(world.ws) == world.between


def test_a_gate_that_said_no_is_not_asked_again(world: World) -> None:
    folder = world.ws.home.root / "airflow" / "logs" / "dag_id=transform"
    failed = [p for p in folder.glob("*/task_id=gate_raw/*.log") if "GateFailed" in p.read_text()]
    assert [p.name for p in failed] == ["attempt=1.log"]


def test_notices_of_a_release_go_out_once_and_who_was_not_taken_is_tried_again(
    world: World,
) -> None:
    texts = [(to, mail.get_content()) for to, mail in world.mailbox.taken]
    everybody = ["MA@example.com", "MB@example.com", "hr@example.com"]
    for name in ("2026-09.r1", "2026-10.r1"):
        assert sorted(to for to, text in texts if name in text) == everybody
    corrected = sorted(to for to, text in texts if "2026-10.r2" in text)
    assert corrected == ["MA@example.com", "hr@example.com"], "MB's card is as it was"
    assert len(texts) == 3 + 3 + 2 + 1, "and of a gate"
    assert world.mailbox.greeted.count("MA@example.com") == 3 + 1, "it was refused once"
    again = [line for line in world.sound.said if "is tried again" in line]
    assert len(again) == 1
    assert " notify " in again[0]


def test_a_gate_that_stopped_is_told_and_a_notice_that_fails_stops_nothing(world: World) -> None:
    (gate,) = [mail for _, mail in world.mailbox.taken if "2026-11" in str(mail["subject"])]
    assert gate["to"] == "hr@example.com"
    assert "stream_not_empty" in gate.get_content()
    states = {run[:2]: run[2] for run in world.faulty.runs}
    assert states["notify", "2026-10"] == "success"
    assert states["notify", "2026-11"] == "failed", "a channel was never set up"
    assert states["transform", "2026-11"] == "failed"
    told = [line for line in world.faulty.said if "2026-11  notify" in line]
    assert told[-1].endswith("FAILED")
    folder = world.ws.home.root / "airflow" / "logs" / "dag_id=notify"
    log = "".join(path.read_text("utf-8") for path in folder.rglob("*.log"))
    assert "would send 1" in log, "the group's channel is rehearsed"
    assert "@example.com" not in log


def test_no_process_is_left_behind(world: World) -> None:
    assert not (world.ws.home.root / "airflow" / "processes.json").exists()
    left = [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(world.ws.home.root).encode() in _read(path)
    ]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_planted_markers_are_nowhere_but_where_the_privacy_page_says(world: World) -> None:
    """All that a full run writes: lake, warehouse, releases, cards, verdicts, logs, Airflow's."""
    home = world.ws.home
    seen = markers.found(home.root, (*markers.PERSONAL, *markers.SECRETS))
    private = [home.archive, home.quarantine, home.superseded / home.quarantine.name]
    allowed = tuple(f"{folder.relative_to(home.root).as_posix()}/" for folder in private)
    assert {name: hits for name, hits in seen.items() if not name.startswith(allowed)} == {}
    kept = set().union(*seen.values())
    assert kept == set(markers.PERSONAL), "what was planted did come in, and no secret stays"
    assert any(name.startswith(allowed[1]) for name in seen), "a planted row failed"
    told = "\n".join([*world.sound.said, *world.faulty.said, str(world.faulty.error)])
    assert not [m for m in (*markers.PERSONAL, *markers.SECRETS) if m in told]


def test_names_of_employees_are_nowhere_but_where_the_privacy_page_says(world: World) -> None:
    home = world.ws.home
    seen = markers.found(home.root, markers.NAMES)
    landed = ("raw/_archive/", "raw/_superseded/", "raw/hr_roster/", "warehouse.duckdb")
    handed_on = re.compile(r"published/[0-9-]+/r[0-9]+/(exports/hr|cards|pages)/[^/]+")
    astray = {
        name: hits
        for name, hits in seen.items()
        if not name.startswith(landed) and not handed_on.fullmatch(name)
    }
    assert astray == {}
    told = {name.rpartition("/")[0].rpartition("/")[2] for name in seen if "published/" in name}
    assert told == {"hr", "cards", "pages"}, "the search finds names where they are"
    assert set().union(*seen.values()) == set(markers.NAMES)
    words = "\n".join([*world.sound.said, *world.faulty.said, str(world.faulty.error)])
    assert not [name for name in markers.NAMES if name in words]


def test_what_a_run_writes_is_for_its_own_account(world: World) -> None:
    home = world.ws.home
    mine = (home.raw, home.gates, home.dbt, home.logs, home.tmp, home.root / "airflow")
    assert {folder.name: oct(folder.stat().st_mode & 0o777) for folder in mine} == dict.fromkeys(
        (folder.name for folder in mine), "0o700"
    )
    assert home.warehouse.stat().st_mode & 0o077 == 0, "it holds single answers about people"


def test_up_serves_the_ui_until_down(world: World) -> None:
    where = [
        "--company", str(world.ws.company.folder), "--data", str(world.ws.data),
        "--home", str(world.ws.home.root),
    ]  # fmt: skip
    command = [sys.executable, "-m", "perfhouse.cli", "airflow"]
    log = world.ws.home.root / "up.log"
    given = child_environment(markers.ENVIRONMENT)
    with (
        log.open("wb") as out,
        subprocess.Popen([*command, "up", *where], stdout=out, env=given) as up,
    ):
        deadline = time.monotonic() + 240
        while "login:" not in log.read_text("utf-8") and time.monotonic() < deadline:
            assert up.poll() is None, log.read_text("utf-8")
            time.sleep(0.5)
        text = log.read_text("utf-8")
        url = text.split("Airflow:")[1].split()[0]
        user, _, password = text.split("login:")[1].split()[:3]
        dags = _unpaused(url, user, password)
        note = json.loads((world.ws.home.root / "airflow" / "processes.json").read_text("utf-8"))
        called = [_read(Path(f"/proc/{p['pid']}/cmdline")) for p in note["processes"]]
        knows = [_read(Path(f"/proc/{p['pid']}/environ")) for p in note["processes"]]
        again = subprocess.run(
            [*command, "up", *where], capture_output=True, text=True, check=False
        )
        subprocess.run([*command, "down", *where], check=True, capture_output=True)
        up.wait(60)
    assert again.returncode == 2
    assert "make down" in again.stderr
    ours = {"ingest_desk", "ingest_survey", "ingest_hr"}
    ours |= {"transform", "publish", "notify", "reconcile"}
    assert dags == ours
    assert all(processes.started_at(p["pid"]) is None for p in note["processes"])
    assert all(called), "every process was seen while it ran"
    assert not [words for words in called if password.encode() in words], "all may read these"
    told = [words for words, of in zip(called, knows, strict=True) if _holds_a_secret(of)]
    assert ["scheduler" in words.decode() for words in told] == [True], "its children are tasks"


def _holds_a_secret(environ: bytes) -> bool:
    return any(secret.encode() in environ for secret in markers.SECRETS)


def _unpaused(url: str, user: str, password: str) -> set[str]:
    from connectors.http import Client

    with Client(url) as api:
        token = api.post("/auth/token", {"username": user, "password": password})["access_token"]
        api.authorize(token)
        return {d["dag_id"] for d in api.get("/api/v2/dags")["dags"] if not d["is_paused"]}
