"""Many months at the command line: filled in order, gone on with, landed again and looked at."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny

from connectors.http import Client
from perfhouse import release
from perfhouse.settings import Home, child_environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER = "2026-09", "2026-10", "2026-11", "2026-12"
WHY = ("--restate", "--reason", "The mapping of answers was wrong", "--by", "Head of service")


@dataclass(frozen=True)
class Place:
    root: Path
    name: str = "home"

    def say(self, command: str, *more: str) -> tuple[int, str]:
        where = ("--company", self.root / "company", "--data", self.root / "data")
        said = tiny.perfhouse(command, *where, "--home", self.root / self.name, *more)
        return said.returncode, said.stdout + said.stderr

    def fill(self, last: str) -> tuple[int, str]:
        return self.say("backfill", "--from", SEPTEMBER, "--to", last)

    @contextmanager
    def up(self) -> Iterator[Client]:
        """Serve Airflow over this home; yield what talks to it."""
        places = {"company": "company", "data": "data", "home": self.name}
        where = [f"--{what}={self.root / name}" for what, name in places.items()]
        command = [sys.executable, "-m", "perfhouse.cli", "airflow"]
        log = self.root / "up.log"
        with (
            log.open("wb") as out,
            subprocess.Popen([*command, "up", *where], stdout=out, env=child_environment()) as up,
        ):
            try:
                deadline = time.monotonic() + 240
                while "login:" not in log.read_text("utf-8") and time.monotonic() < deadline:
                    assert up.poll() is None, log.read_text("utf-8")
                    time.sleep(0.5)
                text = log.read_text("utf-8")
                name, _, password = text.split("login:")[1].split()[:3]
                url = text.split("Airflow:")[1].split()[0]
                with Client(url) as api:
                    word = {"username": name, "password": password}
                    api.authorize(api.post("/auth/token", word)["access_token"])
                    yield api
            finally:
                subprocess.run([*command, "down", *where], check=True, capture_output=True)
                up.wait(60)

    def releases(self) -> dict[str, str]:
        return {r.name: r.sha256 for r in release.releases(Home(self.root / self.name))}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("backfill"))
    tiny.company(made.root / "company")
    for month in (SEPTEMBER, OCTOBER):
        tiny.deliver(made.root / "data", month)
    return made


def mend_the_mapping(place: Place) -> None:
    toml = place.root / "company" / "perfhouse.toml"
    text = toml.read_text("utf-8")
    assert "scale_max = { value = 5 }" in text
    toml.write_text(
        text.replace("scale_max = { value = 5 }", "scale_max = { value = 10 }"), "utf-8"
    )


def test_the_first_month_that_cannot_be_landed_ends_it_and_what_is_before_it_stands(
    place: Place,
) -> None:
    code, said = place.fill(DECEMBER)
    assert code == 4, said
    lines = said.splitlines()
    assert "2026-09  published as 2026-09.r1" in lines
    assert "2026-10  published as 2026-10.r1" in lines
    assert any(
        line.startswith("2026-11  failed: SourceMissing (who must act: source owner)")
        for line in lines
    )
    assert "2026-12  not tried" in lines
    assert "2 published, 1 failed, 1 not tried" in lines
    assert lines[-1] == "the same command goes on where this one ended"


def test_the_same_command_goes_on_where_it_ended(place: Place) -> None:
    before = place.releases()
    tiny.deliver(place.root / "data", NOVEMBER)
    code, said = place.fill(NOVEMBER)
    assert code == 0, said
    lines = said.splitlines()
    assert [line for line in lines if "stood" in line] == [
        "2026-09  stood as 2026-09.r1",
        "2026-10  stood as 2026-10.r1",
        "1 published, 2 stood",
    ]
    assert set(place.releases()) - set(before) == {"2026-11.r1"}
    assert before.items() <= place.releases().items()


def test_its_releases_are_those_of_one_month_after_another(place: Place) -> None:
    one_by_one = Place(place.root, "one_by_one")
    for month in (SEPTEMBER, OCTOBER, NOVEMBER):
        code, said = one_by_one.say("run", "--month", month)
        assert code == 0, said
    assert one_by_one.releases() == place.releases()


def test_a_replay_of_an_unchanged_mapping_changes_nothing(place: Place) -> None:
    before = place.releases()
    code, said = place.say("replay", "--from", OCTOBER, "--source", "survey", "--publish")
    assert code == 0, said
    assert "  survey: the same as before" in said
    assert "nothing of the month has changed: it was not built again" in said
    assert place.releases() == before


def test_a_replay_shows_what_a_mended_mapping_would_change_before_anything_is_published(
    place: Place,
) -> None:
    before = place.releases()
    mend_the_mapping(place)
    code, said = place.say("replay", "--from", OCTOBER, "--source", "survey")
    assert code == 0, said
    assert "  survey: another delivery now" in said
    assert "2026-10.r1 -> what was built: " in said
    assert "csat_rate" in said
    assert "read by 2026-11.r1 as well: replay those months, too" in said
    assert "nothing was published" in said
    assert place.releases() == before
    file = place.root / "home" / "gates" / OCTOBER / "replayed.csv"
    rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))
    assert {"csat_rate"} <= {row["kpi_id"] for row in rows}


def test_a_replayed_month_that_is_closed_goes_out_with_a_reason_only(place: Place) -> None:
    before = place.releases()
    words = ("replay", "--from", OCTOBER, "--source", "survey", "--publish")
    code, said = place.say(*words)
    assert code == 9, said
    assert "2026-10.r1 -> what was built: " in said, "it landed before, and is shown again"
    assert place.releases() == before
    code, said = place.say(*words, *WHY)
    assert code == 0, said
    assert "2026-10: 2026-10.r2 is out" in said
    assert set(place.releases()) - set(before) == {"2026-10.r2"}


def test_what_is_asked_for_wrongly_is_said(place: Place) -> None:
    assert place.say("replay", "--from", OCTOBER, "--source", "surwey")[0] == 2
    assert place.say("replay", "--from", OCTOBER, "--reason", "why")[0] == 2
    assert place.say("replay", "--from", "2020-01")[0] == 2
    assert place.say("backfill", "--from", OCTOBER, "--to", SEPTEMBER)[0] == 2
    assert place.say("backfill", "--from", OCTOBER, "--jobs", "0")[0] == 2


@pytest.mark.nightly
def test_airflows_own_backfill_publishes_the_same_months_in_their_order(tmp_path: Path) -> None:
    by_hand, by_airflow = Place(tmp_path, "by_hand"), Place(tmp_path, "by_airflow")
    tiny.company(tmp_path / "company")
    for month in ("2026-07", "2026-08"):
        tiny.deliver(tmp_path / "data", month)
    assert by_hand.say("backfill", "--from", "2026-07", "--to", "2026-08")[0] == 0
    with by_airflow.up() as airflow:
        for source in ("desk", "survey", "hr"):
            airflow.post(
                "/api/v2/backfills",
                {
                    "dag_id": f"ingest_{source}",
                    "from_date": "2026-07-01T00:00:00Z",
                    "to_date": "2026-08-31T00:00:00Z",
                    "max_active_runs": 1,
                    "reprocess_behavior": "none",
                },
            )
        deadline = time.monotonic() + 900
        while len(by_airflow.releases()) < 2 and time.monotonic() < deadline:
            time.sleep(2)
        runs = airflow.get("/api/v2/dags/transform/dagRuns", {"order_by": "start_date"})
    assert by_airflow.releases() == by_hand.releases()
    assert [run["partition_key"] for run in runs["dag_runs"]] == ["2026-07", "2026-08"]
