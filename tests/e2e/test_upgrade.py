"""A home that an earlier version made goes on with this one; a later one's is refused.

The frozen home is the work of that commit's own code: see tests/homes_of_before/make.py.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
import tiny
from of_before import OLD, PACK, World, unpacked

from perfhouse import embedded, formats, ledger, provenance, stages
from perfhouse.settings import Home

pytestmark = pytest.mark.e2e
NEW = "2026-10"


def sealed(world: World) -> dict[str, str]:
    """Return what no upgrade may touch: releases, and what was delivered."""
    kept = tiny.state(world.home)
    return {n: sha for n, sha in kept.items() if re.match(r"published/\d|raw/_archive", n)}


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a home that is only read."""
    return unpacked(tmp_path_factory.mktemp("frozen"))


@pytest.fixture(scope="module")
def went_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, dict[str, str]]]:
    """Yield a home in which a new month was run, and what it was before."""
    world = unpacked(tmp_path_factory.mktemp("went_on"))
    before = sealed(world)
    tiny.deliver(world.data, NEW)
    world.ask("run", "--month", NEW)
    yield world, before
    shutil.rmtree(world.root, ignore_errors=True)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = unpacked(tmp_path / "w")
    yield made
    shutil.rmtree(made.root, ignore_errors=True)


def test_the_frozen_home_is_small() -> None:
    assert PACK.stat().st_size < 300 * 1024


def test_what_an_earlier_version_published_is_read_and_verified(frozen: World) -> None:
    said = frozen.ask("verify")
    assert "3 lines hold" in said
    assert "3 releases" in said
    assert said.rstrip().endswith("verified")
    listed = frozen.ask("releases")
    assert re.search(r"^\* 2026-08\.r2 .*Head of service", listed, re.MULTILINE)
    assert "A ticket came late" in listed
    status = frozen.ask("status")
    assert status.count("gate exports: passed") == 2
    assert "release: 2026-09.r1" in status


def test_numbers_of_before_are_compared_and_explained(frozen: World) -> None:
    said = frozen.ask("diff", "2026-08.r1", "2026-08.r2")
    assert "scorecard_kpi_months" in said
    assert "kpi_references reopen_rate, 1,  denominator (changed): 5.0000000000 -> 6.0" in said
    for month in OLD:
        for manager in ("MA", "MB"):
            assert "= total" in frozen.ask("explain", "--month", month, "--manager", manager)
    rows = frozen.ask("explain", "--month", OLD[0], "--manager", "MA", "--kpi", "csat_rate")
    assert "4 source rows add up to 2 / 4, as published" in rows


def test_nothing_is_taken_for_undone(frozen: World) -> None:
    """What was processed was noted otherwise, or not at all, by versions of before."""
    said = frozen.ask("reconcile", code=None)  # October is late, today
    assert not [line for line in said.splitlines() if line.startswith(OLD)], said


def test_a_new_month_lands_on_top_and_all_is_verified(
    went_on: tuple[World, dict[str, str]],
) -> None:
    world, before = went_on
    after = sealed(world)
    assert {name: after.get(name) for name in before} == before
    assert "release: 2026-10.r1" in world.ask("status")
    assert world.ask("verify").rstrip().endswith("verified")
    said = json.loads((world.home / "published/2026-10/r1/release.json").read_text("utf-8"))
    assert said["format"] == formats.RELEASE
    assert set(said["earlier_months"]) == set(OLD)
    con = duckdb.connect(str(world.home / "warehouse.duckdb"), read_only=True)
    assert con.execute("select number from ops.format").fetchall() == [(formats.WAREHOUSE,)]
    con.close()


@pytest.mark.nightly
def test_an_old_month_run_again_is_no_false_restatement(world: World) -> None:
    before = sealed(world)
    said = world.ask("run", "--month", OLD[1])
    assert "2026-09.r1: unchanged" in said or "2026-09.r2: published" in said, said
    second = world.home / "published" / OLD[1] / "r2"
    if second.exists():  # pages and cards look otherwise: a release without a changed value
        assert json.loads((second / "release.json").read_text("utf-8"))["change_count"] == 0
        told = world.ask("diff", "2026-09.r1", "2026-09.r2")
        differ = re.findall(r"^  (\w+): .* differ in", told, re.MULTILINE)
        assert set(differ) <= {"kpi_definitions"}, "words about a KPI may change, its numbers not"
    after = sealed(world)
    assert {name: after.get(name) for name in before} == before


@pytest.mark.nightly
def test_an_old_release_that_comes_out_otherwise_says_which_version_made_it(world: World) -> None:
    said = world.ask("reproduce", "2026-09.r1", code=8)
    then = json.loads((world.home / "published/2026-09/r1/release.json").read_text("utf-8"))
    assert f"not those it was built with: {then['code_sha256'][:12]}, here" in said
    assert f"what published it: perfhouse {then['versions']['perfhouse']} with those" in said
    assert "NOT reproduced" in said


@pytest.mark.nightly
def test_a_warehouse_of_another_shape_is_told_and_made_again(world: World) -> None:
    """What docs/upgrading.md says, done as it says."""
    con = duckdb.connect(str(world.home / "warehouse.duckdb"))
    con.execute("alter table core.fct_kb_contributions drop column action")
    con.close()
    before = sealed(world)
    assert provenance.REBUILD in world.ask("build", "--month", OLD[1], code=7)
    (world.home / "warehouse.duckdb").rename(world.root / "warehouse.before.duckdb")
    for month in OLD:
        world.ask("build", "--month", month)
    assert "= total" in world.ask("explain", "--month", OLD[1], "--manager", "MA")
    after = sealed(world)
    assert {name: after.get(name) for name in before} == before
    assert world.ask("verify").rstrip().endswith("verified")


def test_a_warehouse_of_an_earlier_format_is_not_built_upon(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "WAREHOUSE", 2)
    said = world.ask("build", "--month", OLD[1], code=7)
    assert provenance.REBUILD in said
    assert "the warehouse was built by another version: move warehouse.duckdb away" in said
    assert "its format is 1, not 2" in said
    assert "release: 2026-09.r1" in world.ask("status")


@pytest.mark.nightly
def test_airflows_own_metadata_of_before_are_migrated_at_the_start(tmp_path: Path) -> None:
    ws = stages.open_workspace(tiny.company(tmp_path / "company"), tmp_path, tmp_path / "home")
    root = embedded._root(ws.home)
    env = embedded._environment(ws, root, 0)
    words = ["airflow", "db", "migrate", "--use-migration-files", "--to-version", "3.1.0"]
    subprocess.run([sys.executable, "-m", *words], env=env, check=True, capture_output=True)
    file = root / "metadata" / "airflow.db"
    before = revision(file)
    with embedded._alone(ws.home), embedded._airflow(ws, None, print) as airflow:
        found = {dag["dag_id"] for dag in airflow.api.get("/api/v2/dags")["dags"]}
    assert {"transform", "publish", "reconcile"} <= found
    assert revision(file) != before


def revision(file: Path) -> str:
    with closing(sqlite3.connect(file)) as con:
        ((found,),) = con.execute("select version_num from alembic_version").fetchall()
    return str(found)


def number_manifest(home: Path) -> None:
    renumber(home / "raw/_manifests/month=2026-09/source=desk.json")


def number_receipt(home: Path) -> None:
    for file in (home / "raw/_archive/month=2026-09/source=desk").glob("*/receipt.json"):
        renumber(file)


def number_release(home: Path) -> None:
    renumber(home / "published/2026-09/r1/release.json")


def number_ledger(home: Path) -> None:
    file = ledger.ledger_path(Home(home))
    *first, last = file.read_text("utf-8").splitlines()
    body = {**json.loads(last), "format": 2}
    file.write_text("\n".join([*first, json.dumps(body), ""]), "utf-8")


def number_warehouse(home: Path) -> None:
    con = duckdb.connect(str(home / "warehouse.duckdb"))
    con.execute("create table ops.format as select 2 as number")
    con.close()


def renumber(file: Path) -> None:
    body = {**json.loads(file.read_text("utf-8")), "format": 2}
    file.chmod(0o600)
    file.write_text(json.dumps(body), "utf-8")


@pytest.mark.parametrize(
    ("number", "words", "code"),
    [
        (number_manifest, ("status",), 2),
        (number_receipt, ("ingest", "--month", "2026-09", "--source", "desk"), 2),
        (number_release, ("releases",), 8),
        (number_release, ("verify",), 8),
        (number_ledger, ("status",), 8),
        (number_ledger, ("verify",), 8),
        (number_warehouse, ("build", "--month", "2026-09"), 2),
        (number_warehouse, ("publish", "--month", "2026-09"), 2),
    ],
)
def test_what_a_later_version_wrote_is_refused_and_left_alone(
    world: World, number: Callable[[Path], None], words: tuple[str, ...], code: int
) -> None:
    number(world.home)
    before = tiny.state(world.home)
    said = world.ask(*words, code=code)
    assert "it is of format 2, and this perfhouse knows 1: a newer one wrote it" in said
    assert "The operator must install that version again" in said
    assert said.count("a newer one wrote it") == 1, said
    assert tiny.state(world.home) == before
