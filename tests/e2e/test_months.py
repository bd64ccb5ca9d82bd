"""A month at the command line: provisional, closed, restated, and rebuilt from its inputs."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
SEPTEMBER, OCTOBER = "2026-09", "2026-10"
WHY = ("--restate", "--reason", "The survey desk corrected an answer", "--by", "Head of service")


@dataclass(frozen=True)
class Place:
    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    def say(self, command: str, *more: str) -> tuple[int, str]:
        where = ("--company", self.root / "company", "--data", self.root / "data")
        said = tiny.perfhouse(command, *where, "--home", self.home, *more)
        return said.returncode, said.stdout + said.stderr

    def run(self, month: str, *more: str) -> tuple[int, str]:
        return self.say("run", "--month", month, *more)

    def reproduce(self, name: str) -> tuple[int, str]:
        said = tiny.perfhouse("reproduce", name, "--home", self.home)
        return said.returncode, said.stdout + said.stderr

    def manifest(self, name: str) -> dict[str, object]:
        month, _, number = name.partition(".")
        file = self.home / "published" / month / number / "release.json"
        return dict(json.loads(file.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three months, one of which is restated: what each step said is in `steps`."""
    made = Place(tmp_path_factory.mktemp("months"))
    tiny.company(made.root / "company")
    for month in (SEPTEMBER, OCTOBER):
        tiny.deliver(made.root / "data", month)
    assert made.run(SEPTEMBER)[0] == 0
    return made


def corrected(place: Place, old: str, new: str) -> None:
    file = tiny.answers(place.root / "data", SEPTEMBER)
    file.write_text(file.read_text("utf-8").replace(old, new), encoding="utf-8")


def test_a_months_life(place: Place) -> None:
    code, said = place.say("months")
    assert (code, said.splitlines()[0]) == (
        0, "2026-09: provisional closes 2026-10-06  2026-09.r1 as of 2026-09",
    )  # fmt: skip
    assert "  still provisional: reopen_rate" in said

    assert place.run(OCTOBER)[0] == 0
    code, said = place.say("months")
    assert "2026-09: provisional closed 2026-10-06  2026-09.r1 as of 2026-09" in said
    assert "still provisional: reopen_rate; run it as of 2026-10" in said

    # What was provisional becomes final without a reason.
    code, said = place.run(SEPTEMBER, "--as-of", OCTOBER)
    assert code == 0, said
    code, said = place.say("months")
    assert "2026-09: closed      closed 2026-10-06  2026-09.r2 as of 2026-10" in said

    # What was final does not change without one.
    corrected(place, ",3,", ",5,")
    published = tiny.state(place.home / "published")
    code, said = place.run(SEPTEMBER, "--as-of", OCTOBER)
    assert code == 9, said
    assert "MonthClosed (who must act: data owner)" in said
    assert "  - scorecard_kpi_months MA, csat_rate: " in said
    assert not re.search(r"\d\.\d{2}|->", said.partition("MonthClosed")[2]), "no value of anybody"
    values = place.home / "gates" / SEPTEMBER / "changes_after_r2.csv"
    assert 'scorecard_kpi_months,"MA, csat_rate",MA,,csat_rate,value,0.' in values.read_text(
        "utf-8-sig"
    )
    assert tiny.state(place.home / "published") == published
    code, said = place.say("publish", "--month", SEPTEMBER, "--as-of", OCTOBER, "--reason", "x")
    assert code == 2
    assert "--restate: expected it" in said

    code, said = place.say("publish", "--month", SEPTEMBER, "--as-of", OCTOBER, *WHY)
    assert code == 0, said
    assert "release 2026-09.r3: published" in said
    assert place.manifest("2026-09.r3")["restatement"] == {
        "reason": "The survey desk corrected an answer", "by": "Head of service",
    }  # fmt: skip
    changes = (place.home / "published/2026-09/r3/changes/changes.csv").read_text("utf-8-sig")
    assert 'scorecard_kpi_months,"MA, csat_rate",MA,,csat_rate,numerator,' in changes
    assert "2026-09: restated" in place.say("months")[1]


@pytest.mark.parametrize("name", ["2026-09.r1", "2026-10.r1", "2026-09.r2", "2026-09.r3"])
def test_each_past_release_is_rebuilt_byte_for_byte(place: Place, name: str) -> None:
    """Settings and deliveries have changed since; October was compared with what r1 said."""
    before = {str(f): f.stat().st_mtime_ns for f in (place.home / "raw").rglob("*")}
    targets = place.root / "company" / "targets.csv"
    targets.write_text(tiny.TARGETS.replace("0.8,0.9", "0.7,0.9"), encoding="utf-8")
    code, said = place.reproduce(name)
    assert code == 0, said
    sha256 = place.manifest(name)["release_sha256"]
    assert f"{name}: reproduced, sha256 {sha256}" in said
    assert {str(f): f.stat().st_mtime_ns for f in (place.home / "raw").rglob("*")} == before
    assert not list((place.home / "tmp").glob("reproduce-*"))


def test_a_release_names_the_releases_it_was_compared_with(place: Place) -> None:
    earlier = place.manifest("2026-10.r1")["earlier_months"]
    assert isinstance(earlier, dict)
    assert earlier["2026-09"]["release"] == "2026-09.r1"
    assert earlier["2026-09"]["release_sha256"] == place.manifest("2026-09.r1")["release_sha256"]


def test_what_is_gone_or_was_changed_is_said(place: Place, tmp_path: Path) -> None:
    code, said = place.reproduce("2026-09.r9")
    assert code == 2
    assert "expected one of 2026-09.r1, 2026-10.r1, 2026-09.r2, 2026-09.r3" in said
    copy = Place(tmp_path)
    shutil.copytree(place.home, copy.home, symlinks=True)
    (landed,) = (copy.home / "raw" / "_superseded" / "survey_responses").rglob("*.parquet")
    landed.unlink()
    code, said = copy.reproduce("2026-09.r1")
    assert code == 8
    assert "survey 2026-09: landing" in said
    assert "files of it are gone or changed" in said
    assert copy.reproduce("2026-09.r3")[0] == 0
    shutil.rmtree(copy.home / "configurations")
    code, said = copy.reproduce("2026-09.r3")
    assert code == 8
    assert "its configuration" in said
