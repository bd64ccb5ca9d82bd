"""Bad input: each fault says what is wrong and who acts, publishes nothing and loses nothing."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny

pytestmark = pytest.mark.e2e
GOOD, BAD = "2026-09", "2026-10"


@dataclass(frozen=True)
class World:
    """A tiny company whose first month is published and whose second is about to go wrong."""

    company: Path
    data: Path
    home: Path

    def words(self, month: str) -> list[str | Path]:
        places = ["--company", self.company, "--data", self.data, "--home", self.home]
        return ["run", *places, "--month", month]

    def run(self, month: str = BAD):
        return tiny.perfhouse(*self.words(month))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("tiny")
    world = World(tiny.company(root / "company"), root / "data", root / "home")
    tiny.deliver(world.data, GOOD)
    tiny.deliver(world.data, BAD)
    done = tiny.process(*world.words(GOOD))
    assert done.returncode == 0, done.stdout + done.stderr
    return world


@pytest.fixture
def world(published: World, tmp_path: Path) -> Iterator[World]:
    root = published.home.parent
    shutil.copytree(root, tmp_path / "w", symlinks=True)
    copy = World(tmp_path / "w" / "company", tmp_path / "w" / "data", tmp_path / "w" / "home")
    yield copy
    shutil.rmtree(tmp_path / "w", ignore_errors=True)


def refused(world: World, code: int, *words: str) -> None:
    """Expect a month to fail with a code and words, and what stood before to stand unchanged."""
    before = tiny.state(world.home)
    done = world.run()
    told = done.stdout + done.stderr
    assert done.returncode == code, told
    for word in words:
        assert word in told, told
    assert "Traceback" not in told
    after = tiny.state(world.home)
    assert {name: after.get(name) for name in before} == before, "something was lost"
    new = [n for n in after if n not in before and n.startswith("published/") and BAD in n]
    assert new == [], "something was published"


def committed(world: World, source: str) -> bool:
    return (world.home / "raw" / "_manifests" / f"month={BAD}" / f"source={source}.json").exists()


def test_a_wrong_configuration_names_every_problem_at_once(world: World) -> None:
    file = world.company / "perfhouse.toml"
    text = file.read_text(encoding="utf-8")
    for old, new in [
        ("Asia/Shanghai", "Asia/Shangai"),
        ('connector = "files"', 'connector = "filez"'),
        ('ticket_id = "id"', 'ticket_idd = "id"'),
        ("holidays", "holiday"),
    ]:
        text = text.replace(old, new, 1)
    file.write_text(text, encoding="utf-8")
    refused(
        world,
        2,
        "ConfigError (who must act: operator)",
        "company.time_zone: expected a time zone such as Asia/Shanghai",
        "calendars.cn.holiday: unknown key (did you mean 'holidays'?)",
        "sources[0].connector: expected one of",
        "(did you mean 'files'?), got 'filez'",
        "columns.ticket_idd: tickets has no such column (did you mean 'ticket_id'?)",
    )


def test_a_missing_source_names_its_owner(world: World) -> None:
    shutil.rmtree(world.data / "survey" / BAD)
    refused(world, 4, "SourceMissing", "survey", "Survey owner <survey@example.com>")
    assert not committed(world, "survey")


def test_an_empty_month_stops_at_the_raw_gate(world: World) -> None:
    tiny.put(world.data / "desk" / BAD / "tickets.csv", "id,opened,solved,agent")
    tiny.put(world.data / "survey" / BAD / "answers.csv", "id,at,score,agent")
    refused(world, 6, "gate raw stopped 2026-10; nothing was published", "stream_not_empty")


def test_a_month_with_zero_tickets_stops_at_the_raw_gate(world: World) -> None:
    tiny.tickets(world.data, BAD, count=0)
    refused(world, 6, "stream_not_empty", "tickets")


def test_a_month_with_zero_tickets_goes_on_when_the_owner_allows_it(world: World) -> None:
    file = world.company / "perfhouse.toml"
    text = file.read_text(encoding="utf-8").replace("allow_empty = 0", "allow_empty = 1")
    file.write_text(text, encoding="utf-8")
    tiny.tickets(world.data, BAD, count=0)
    done = world.run()
    assert done.returncode == 0, done.stdout + done.stderr
    rows = kpis(world)
    assert {status for (_, kpi), (status, _) in rows.items() if kpi == "csat_rate"} == {"scored"}
    empty = [value for (_, kpi), value in rows.items() if kpi == "reopen_rate"]
    assert empty == [("not_available", None)] * 2, "no tickets is no data, never 0"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tickets.csv.gz", gzip.compress(b"id,opened,solved,agent\n" * 999)[:-20]),
        ("tickets.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xfe"),
    ],
    ids=["cut off", "a picture"],  # gzip writes the time, and workers must agree on names
)
def test_an_unreadable_file_is_refused_whole(world: World, name: str, content: bytes) -> None:
    (world.data / "desk" / BAD / "tickets.csv").unlink()
    (world.data / "desk" / BAD / name).write_bytes(content)
    refused(world, 5, "SourceChanged (who must act: connector author)", name, "nothing was landed")
    assert not committed(world, "desk")


def test_a_wrong_encoding_is_refused_with_the_one_expected(world: World) -> None:
    file = world.data / "hr" / f"{BAD}.csv"
    file.write_bytes(file.read_text(encoding="utf-8").encode("gb18030"))
    refused(world, 5, "SourceChanged", f"{BAD}.csv", "expected utf-8 text", "encoding")
    assert not committed(world, "hr")


def test_header_drift_names_the_differences_both_ways(world: World) -> None:
    file = world.data / "survey" / BAD / "answers.csv"
    text = file.read_text(encoding="utf-8").replace("score", "rating", 1)
    file.write_text(text, encoding="utf-8")
    refused(world, 5, "SourceChanged", "answers.csv", "score", "rating", "nothing was landed")
    assert not committed(world, "survey")


def test_a_roster_with_a_cycle_is_named_and_stops(world: World) -> None:
    file = tiny.roster(world.data, BAD)
    text = file.read_text(encoding="utf-8")
    text = text.replace("MA,陈静,,,", "MA,陈静,,MB,").replace("MB,杨磊,,,", "MB,杨磊,,MA,")
    file.write_text(text, encoding="utf-8")
    refused(world, 6, "gate raw stopped 2026-10", "roster_is_a_tree", "MA > MB > MA")


def test_a_manager_with_no_team_is_told_and_gets_no_score(world: World) -> None:
    tiny.roster(world.data, BAD, "MC,赵敏,,,cs_manager")
    done = world.run()
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads((world.home / "gates" / BAD / "raw.json").read_text(encoding="utf-8"))
    check = next(c for c in verdict["checks"] if c["id"] == "roster_managers_have_a_team")
    assert not check["passed"]
    assert check["severity"] == "warning"
    assert "MC" in json.dumps(check)
    found = query(
        world,
        "select manager_id, status, total_score from scorecard_manager_months where month = ?",
    )
    assert ("MC", "no_team", None) in found
    assert {row[0] for row in found} == {"MA", "MB", "MC"}, "nobody is lost"


def test_the_month_goes_through_once_the_fault_is_mended(world: World) -> None:
    (world.data / "survey" / BAD / "answers.csv").unlink()
    assert world.run().returncode == 4
    tiny.answers(world.data, BAD)
    done = world.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(kpis(world)) >= {("MA", "csat_rate"), ("MB", "csat_rate")}


def kpis(world: World) -> dict[tuple[str, str], tuple[str, float | None]]:
    rows = query(
        world, "select manager_id, kpi_id, status, value from scorecard_kpi_months where month = ?"
    )
    return {(manager, kpi): (status, value) for manager, kpi, status, value in rows}


def query(world: World, sql: str) -> list[tuple]:
    import duckdb

    file = world.home / "published" / "scorecards.duckdb"
    with duckdb.connect(str(file.resolve()), read_only=True) as con:
        return con.execute(sql, [f"{BAD}-01"]).fetchall()
