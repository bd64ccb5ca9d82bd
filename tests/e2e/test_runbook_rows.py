"""Lines of the runbook that no other test brings about: the symptom, the check, the fix.

Which test stands for which line, and that none is left out: tests/unit/test_runbook.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import tiny
from of_before import World, unpacked

from connectors.http import Client
from perfhouse import card_fonts, clock, embedded, lake, stages
from perfhouse.errors import ConfigError, PerfhouseError
from perfhouse.month import Month
from perfhouse.processes import free_port
from perfhouse.settings import Home, child_environment

pytestmark = pytest.mark.e2e
MONTH = "2026-09"
BEFORE = "2026-08"
HOLDS_LOCK = """
import fcntl, sys
held = open(sys.argv[1], "w")
fcntl.flock(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
HOLDS_WAREHOUSE = """
import duckdb, sys
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def fresh(tmp_path: Path) -> World:
    """Return a company whose months are delivered, and nothing landed."""
    tiny.company(tmp_path / "company")
    for month in (BEFORE, MONTH):
        tiny.deliver(tmp_path / "data", month)
    return World(tmp_path)


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[World]:
    """Return a home with three releases of two months."""
    world = unpacked(tmp_path / "w")
    yield world
    shutil.rmtree(world.root, ignore_errors=True)


def replaced(world: World, old: str, new: str) -> None:
    toml = world.company / "perfhouse.toml"
    text = toml.read_text("utf-8")
    assert old in text
    toml.write_text(text.replace(old, new), "utf-8")


def ingest(world: World, source: str, month: str = MONTH, *more: str, code: int = 0) -> str:
    return world.ask("ingest", "--month", month, "--source", source, *more, code=code)


def landed(world: World, source: str, month: str = MONTH) -> lake.Manifest:
    found = lake.read_manifest(Home(world.home), source, Month(month))
    assert found is not None
    return found


def test_a_configuration_is_mended_by_what_its_list_says(fresh: World) -> None:
    replaced(fresh, "Asia/Shanghai", "Asia/Shangai")
    replaced(fresh, "holidays", "holiday")
    said = fresh.ask("status", code=2)
    assert "configuration: 3 problems" in said
    assert "company.time_zone: expected a time zone such as Asia/" in said
    assert "unknown key (did you mean 'holidays'?)" in said
    replaced(fresh, "Asia/Shangai", "Asia/Shanghai")
    replaced(fresh, "holiday ", "holidays ")
    fresh.ask("status")


def test_a_source_that_is_missing_or_has_another_header_lands_when_it_is_mended(
    fresh: World,
) -> None:
    answers = fresh.data / "survey" / MONTH / "answers.csv"
    text = answers.read_text("utf-8")
    answers.unlink()
    said = ingest(fresh, "survey", code=4)
    assert "SourceMissing" in said
    assert "Survey owner <survey@example.com>" in said
    assert "no file for survey_responses at survey/{month}/*.csv under" in said
    assert f"survey/{MONTH}/*.csv" in ingest(fresh, "survey", MONTH, "--dry-run")
    answers.write_text(text.replace("score", "rating", 1), "utf-8")
    said = ingest(fresh, "survey", code=5)
    assert "the header does not fit the mapping of survey_responses" in said
    assert "score" in said
    assert "rating" in said
    assert lake.read_manifest(Home(fresh.home), "survey", Month(MONTH)) is None
    replaced(fresh, 'score = "score"', 'score = "rating"')
    ingest(fresh, "survey")
    assert landed(fresh, "survey").streams["survey_responses"].landed == 6


def test_a_loss_lands_when_an_office_says_so(fresh: World) -> None:
    def answers(count: int) -> None:
        rows = (f"a{n},{MONTH}-{n % 27 + 1:02} 09:30,5,A1" for n in range(count))
        tiny.put(fresh.data / "survey" / MONTH / "answers.csv", "id,at,score,agent", *rows)

    answers(60)
    ingest(fresh, "survey")
    answers(20)
    said = ingest(fresh, "survey", code=5)
    assert "20 rows, 60 in the delivery before; a loss of more than 50% (max_loss)" in said
    assert landed(fresh, "survey").streams["survey_responses"].landed == 60
    why = ("--accept-loss", "--reason", "Two desks were closed", "--by", "Head of service")
    ingest(fresh, "survey", MONTH, *why)
    assert landed(fresh, "survey").streams["survey_responses"].landed == 20
    assert "Two desks were closed" in (fresh.home / "published/ledger.jsonl").read_text("utf-8")


def held(script: str, file: Path) -> subprocess.Popen[bytes]:
    file.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-c", script, str(file)]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    assert child.stdout.readline() == b"held\n"
    return child


def test_who_waits_names_the_file_and_goes_on_when_its_holder_is_gone(fresh: World) -> None:
    ingest(fresh, "survey")
    lock = fresh.home / "tmp" / f"ingest-desk-{MONTH}.lock"
    words = ["ingest", "--month", MONTH, "--source", "desk", "--company", fresh.company]
    words += ["--data", fresh.data, "--home", fresh.home]
    with (
        held(HOLDS_LOCK, lock) as holder,
        subprocess.Popen(
            [sys.executable, "-m", "perfhouse.cli", *map(str, words)],
            stderr=subprocess.PIPE, text=True, env=child_environment({}),
        ) as waiter,
    ):  # fmt: skip
        assert waiter.stderr
        said = next(line for line in waiter.stderr if "waiting" in line)
        named = said.partition("waiting: another run holds ")[2].strip()
        assert Path(named) == lock
        if shutil.which("fuser"):
            told = subprocess.run(["fuser", named], capture_output=True, text=True, check=True)
            assert str(holder.pid) in told.stdout.split()
        holder.kill()
        assert waiter.wait(120) == 0
    assert landed(fresh, "desk").streams["tickets"].landed == 5
    with held(HOLDS_WAREHOUSE, fresh.home / "warehouse.duckdb") as holder:
        said = fresh.ask("build", "--month", MONTH, code=3)
        assert f"{fresh.home}/warehouse.duckdb: in use by another build or by somebody's" in said
        assert "in use by another build or by somebody's question; try again" in said
        holder.kill()
    duckdb.connect(str(fresh.home / "warehouse.duckdb")).close()


@pytest.mark.nightly  # the cause of it is in CI, too
def test_another_months_file_is_refused_and_the_right_one_goes_on(fresh: World) -> None:
    right = fresh.data / "desk" / MONTH / "tickets.csv"
    text = right.read_text("utf-8")
    shutil.copy(fresh.data / "desk" / BEFORE / "tickets.csv", right)
    for source in ("desk", "survey", "hr"):
        ingest(fresh, source)
    said = fresh.ask("gate", "raw", "--month", MONTH, code=6)
    assert "month_described" in said
    assert "another month's file" in said
    right.write_text(text, "utf-8")
    ingest(fresh, "desk")
    assert "passed" in fresh.ask("gate", "raw", "--month", MONTH)


def test_a_wrong_time_zone_is_refused_and_the_right_one_goes_on(fresh: World) -> None:
    for month in (BEFORE, MONTH):
        rows = (
            f"{month}-{n},{month}-{n % 27 + 1:02} {9 + n % 5:02}:10,"
            f"{month}-{n % 27 + 1:02} {10 + n % 5:02}:20,A1"
            for n in range(250)
        )
        tiny.put(fresh.data / "desk" / month / "tickets.csv", "id,opened,solved,agent", *rows)
        for source in ("desk", "survey", "hr"):
            ingest(fresh, source, month)
    right = (fresh.company / "perfhouse.toml").read_text("utf-8")
    replaced(fresh, 'id = "desk"', 'id = "desk"\ntime_zone = "America/New_York"')
    ingest(fresh, "desk")
    said = fresh.ask("gate", "raw", "--month", MONTH, code=6)
    assert "times_of_day" in said
    assert "stream=tickets" in said
    (fresh.company / "perfhouse.toml").write_text(right, "utf-8")
    ingest(fresh, "desk")
    assert "passed" in fresh.ask("gate", "raw", "--month", MONTH)


@pytest.mark.nightly  # the cause of it is in CI, too
def test_a_roster_that_went_round_is_judged_again_when_it_is_mended(fresh: World) -> None:
    file = fresh.data / "hr" / f"{MONTH}.csv"
    text = file.read_text("utf-8")
    round_ = text.replace("MA,陈静,,,", "MA,陈静,,MB,").replace("MB,杨磊,,,", "MB,杨磊,,MA,")
    file.write_text(round_, "utf-8")
    for source in ("desk", "survey", "hr"):
        ingest(fresh, source)
    assert "roster_is_a_tree" in fresh.ask("gate", "raw", "--month", MONTH, code=6)
    verdict = json.loads((fresh.home / "gates" / MONTH / "raw.json").read_text("utf-8"))
    found = next(check for check in verdict["checks"] if check["id"] == "roster_is_a_tree")
    assert "MA > MB > MA" in json.dumps(found)
    file.write_text(text, "utf-8")
    ingest(fresh, "hr")
    fresh.ask("gate", "raw", "--month", MONTH)


@pytest.mark.nightly
def test_a_build_that_fails_leaves_its_sql_its_runs_and_on_demand_a_log(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    con = duckdb.connect(str(lived.home / "warehouse.duckdb"))
    con.execute("alter table core.fct_kb_contributions drop column action")
    con.close()
    places = ("--company", lived.company, "--data", lived.data, "--home", lived.home)
    monkeypatch.setenv("PERFHOUSE_DBT_LOG", "debug")
    done = tiny.process("build", "--month", MONTH, *places)
    assert done.returncode == 7
    assert "BuildFailed" in done.stderr
    assert "model fct_kb_contributions" in done.stderr
    with duckdb.connect(str(lived.home / "warehouse.duckdb"), read_only=True) as con:
        runs = "select name from ops.model_runs where status = 'error' and month = '2026-09-01'"
        assert con.execute(runs).fetchall() == [("fct_kb_contributions",)]
    assert list((lived.home / "dbt/target/run").rglob("fct_kb_contributions.sql"))
    assert "fct_kb_contributions" in (lived.home / "dbt/logs/dbt.log").read_text("utf-8")


def test_a_font_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_fonts, "_PACKAGES", ("manimgx_fonts_of_nobody",))
    card_fonts.book.cache_clear()
    with pytest.raises(ConfigError, match="pdf: expected the package manimgx-fonts-of-nobody"):
        card_fonts.book()
    monkeypatch.undo()
    card_fonts.book.cache_clear()
    assert card_fonts.book().families()


def test_a_file_that_starts_nothing_is_named_and_what_is_behind_is_made_up_for(
    tmp_path: Path,
) -> None:
    tiny.company(tmp_path / "company")
    world = World(tmp_path)
    replaced(world, 'id = "desk"', 'id = "desk"\nwatch = true\nsettle_minutes = 0')
    this = Month.of(clock.today(stages.open_workspace(world.company, world.data).company))
    late, known = this.plus(-2).key, this.plus(-3).key
    tiny.answers(world.data, known)
    tiny.roster(world.data, known)
    for source in ("survey", "hr"):  # not desk: a whole month would be built
        ingest(world, source, known)
    file = tiny.tickets(world.data, late)
    half = file.rename(file.with_name("tickets.csv.part"))
    said = world.ask("arrivals")
    assert f"\n  {late}  desk: due on" in said.partition("late:")[2]
    assert "owner: Survey owner <survey@example.com>" in said
    assert f"last received {known} on" in said
    assert "arrived, to ingest" not in said
    half.rename(file)
    assert f"arrived, to ingest:\n  {late}  desk" in world.ask("arrivals")
    behind = f"{late}  ingest desk"
    assert behind in world.ask("reconcile", code=3)
    world.ask("reconcile", "--heal", code=None)
    assert landed(world, "desk", late).streams["tickets"].landed == 5
    manifest = landed(world, "desk", late)
    assert behind not in world.ask("reconcile", code=None)
    world.ask("reconcile", "--heal", code=None)
    assert landed(world, "desk", late) == manifest, "doing it twice does no harm"


def test_an_airflow_that_does_not_answer_is_said_not_to_be_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_START_SECONDS", 1.0)
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url) as api:
        nobody = embedded.Airflow(url, "admin", "", tmp_path, api)
        with pytest.raises(PerfhouseError) as caught:
            embedded._wait(nobody, {"publish"})
    assert "Airflow did not become ready in 1 s: no an answer from the api" in str(caught.value)


def test_a_second_airflow_of_a_home_is_refused(fresh: World) -> None:
    with embedded._alone(Home(fresh.home)):
        said = fresh.ask("airflow", "up", code=2)
    assert "an Airflow runs for this home already; stop it with `make down`" in said


def test_a_changed_release_is_found_and_a_backup_put_back_holds(lived: World) -> None:
    file = lived.home / "published/2026-09/r1/parquet/scorecard_kpi_months.parquet"
    backup = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(backup + b" ")
    said = lived.ask("verify", code=8)
    assert "NOT verified" in said
    assert "published/2026-09/r1: file parquet/scorecard_kpi_months.parquet differs" in said
    assert "parquet/scorecard_kpi_months.parquet" in lived.ask("verify", "2026-09.r1", code=8)
    said = lived.ask("reproduce", "2026-09.r1", code=8)
    assert "published/2026-09/r1: not intact: file parquet/scorecard_kpi_months" in said
    file.write_bytes(backup)
    assert lived.ask("verify").rstrip().endswith(": verified")


def test_a_ledger_of_before_is_refused_until_somebody_means_it(lived: World) -> None:
    ledger, head = lived.home / "published/ledger.jsonl", lived.home / "ledger.head"
    newest, last = ledger.read_bytes(), head.read_text("ascii").strip()
    ledger.write_bytes(b"".join(newest.splitlines(keepends=True)[:-1]))
    compare = ("diff", "2026-08.r1", "2026-08.r2")
    said = lived.ask(*compare, code=8)
    assert f"it lacks the line {last}, which was written last: it was cut or replaced" in said
    assert f"no line of the ledger has the hash {last}" in lived.ask(
        "verify", "--head", last, code=8
    )
    ledger.write_bytes(newest)
    assert lived.ask("verify", "--head", last).rstrip().endswith(": verified")
    lived.ask(*compare)
    ledger.write_bytes(b"".join(newest.splitlines(keepends=True)[:-1]))
    head.unlink()
    lived.ask(*compare)


def test_a_folder_that_somebody_put_there_is_moved_away(lived: World) -> None:
    put = lived.home / "published/2026-09/r2"
    put.mkdir()
    (put / "release.json").write_text("{}", "utf-8")
    words = ("record", "decided", "--month", MONTH, "--by", "HR", "--reason", "As it was")
    done = tiny.perfhouse(*words, "--home", lived.home)
    assert done.returncode == 8
    assert "2026-09/r2: not in the ledger and not intact" in done.stderr
    put.rename(lived.root / "put_there")
    done = tiny.perfhouse(*words, "--home", lived.home)
    assert done.returncode == 0, done.stderr


def test_with_another_key_a_month_lands_anew_and_with_the_old_one_as_it_was(fresh: World) -> None:
    replaced(
        fresh, 'ticket_id = "id"', 'ticket_id = "id"\nrequester_key = { from = "id", hash = true }'
    )

    def keys() -> list[tuple[str]]:
        ingest(fresh, "desk")
        (file,) = landed(fresh, "desk").streams["tickets"].files
        path = str(fresh.home / file.path)
        return duckdb.sql(f"select requester_key from read_parquet('{path}') order by 1").fetchall()

    first = keys()
    key = fresh.home / "secrets/customer.key"
    stored = key.read_bytes()
    key.unlink()
    assert not set(keys()) & set(first), "what landed cannot be joined with what landed before"
    key.write_bytes(stored)
    assert keys() == first
