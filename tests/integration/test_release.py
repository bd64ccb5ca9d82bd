"""Releases: complete or absent, immutable, reproducible, and readable all the time."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import openpyxl
import publish_in_child as child
import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from expectations import gate
from perfhouse import ledger, provenance, release, release_files, release_manifest, warehouse
from perfhouse.company_cards import Cards
from perfhouse.company_types import Company
from perfhouse.errors import GateFailed, ReleaseError
from perfhouse.month import Month
from perfhouse.public_tables import PERSONAL_COLUMNS, PUBLIC_TABLES
from perfhouse.release_label import Label
from perfhouse.restatement import Reason
from perfhouse.settings import Home, child_environment

HERE = Path(__file__).parent


REAL_CARDS = release_files.stage_cards


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Great Expectations out (see test_gates.py), and all cards but one test's."""
    monkeypatch.setattr(gate, "_expect", child.everything_passes)
    monkeypatch.setattr(release_files, "stage_cards", child.plain_cards)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    home = small.home(tmp_path / "home")
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "calls", {"calls": CALLS})
    small.build(home)
    return tmp_path


@pytest.fixture
def home(root: Path) -> Home:
    return Home(root / "home")


@pytest.fixture
def company(root: Path) -> Company:
    return small.company(root / "company", small.source("hr"), small.source("calls"))


def publish(
    home: Home, company: Company, month: Month = MONTH, reason: Reason | None = None
) -> release.Release:
    child.judge(home, company, month)
    return release.publish(company, home, month, reason=reason)


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    con = warehouse.connect(path, read_only=True)
    try:
        return con.execute(query).fetchall()
    finally:
        con.close()


def tree(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_release_holds_what_every_reader_was_promised(
    home: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_files, "stage_cards", REAL_CARDS)
    first = publish(home, company)
    assert first.name == "2026-09.r1"
    assert first.path == home.published / "2026-09" / "r1"
    files = tree(first.path)
    tables = [t.name for t in PUBLIC_TABLES]
    tables += ["gate_verdicts", "reconciliation", "releases"]
    assert {f"parquet/{name}.parquet" for name in tables} <= set(files)
    assert {
        "cards/M1.html",
        "cards/index.html",
        "pages/index.html",
        "exports/hr/hr_manager_months_2026-09.csv",
        "exports/hr/datapackage.json",
        "exports/hr/hr_manager_months_2026-09.parquet",
        "exports/hr/hr_manager_months_2026-09.xlsx",
        "release.json",
        "scorecards.duckdb",
        "scorecards.duckdb.sha256",
    } <= set(files)
    assert release_manifest.problems(first.path) == []
    said = release.describe(first)
    assert said["release_sha256"] == first.sha256
    assert set(said["gates"]) == {"raw", "facts", "scorecards", "exports"}
    assert {item["source"] for item in said["inputs"]} == {"hr", "calls"}


def test_a_release_holds_each_card_as_pdf_where_the_company_wants_it(
    home: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_files, "stage_cards", REAL_CARDS)
    wanted = replace(company, cards=Cards(pdf=True))
    first = publish(home, wanted)
    listed = release.describe(first)["files"]
    papers = [name for name in listed if name.endswith(".pdf")]
    pages = [name for name in listed if name.startswith("cards/") and name.endswith(".html")]
    assert papers == [p.replace(".html", ".pdf") for p in pages if not p.endswith("index.html")]
    assert papers
    for paper in papers:
        assert (first.path / paper).read_bytes().startswith(b"%PDF-1.7")
        assert stat.S_IMODE((first.path / paper).stat().st_mode) == 0o440
    assert publish(home, wanted).unchanged, "it comes out the same bytes"


def test_every_published_file_is_read_only(home: Home, company: Company) -> None:
    first = publish(home, company)
    for path in first.path.rglob("*"):
        personal = path.relative_to(first.path).parts[0] in ("exports", "cards")
        expected = (0o440 if personal else 0o444) if path.is_file() else None
        if expected is None and personal:
            expected = 0o750
        assert expected in (None, stat.S_IMODE(path.stat().st_mode)), path


def test_the_database_opens_in_duckdb_1_0_and_holds_no_name(home: Home, company: Company) -> None:
    first = publish(home, company)
    con = warehouse.connect()
    con.execute(f"attach '{first.path / 'scorecards.duckdb'}' as r (read_only)")
    tags = con.execute("select tags from duckdb_databases() where database_name = 'r'").fetchall()
    columns = con.execute(
        "select column_name from duckdb_columns() where database_name = 'r'"
    ).fetchall()
    con.close()
    assert "v1.0.0" in str(tags)
    assert not PERSONAL_COLUMNS & {row[0] for row in columns}
    for path in [home.published / "scorecards.duckdb", *first.path.rglob("*")]:
        if path.suffix in {".duckdb", ".parquet", ".json"} and "exports" not in path.parts:
            assert "王M1".encode() not in path.read_bytes(), path


def test_publishing_the_same_month_again_is_unchanged(home: Home, company: Company) -> None:
    first = publish(home, company)
    before = {name: (first.path / name).stat().st_mtime_ns for name in tree(first.path)}
    small.build(home)
    again = publish(home, company)
    assert again.unchanged
    assert (again.number, again.sha256) == (1, first.sha256)
    assert {name: (first.path / name).stat().st_mtime_ns for name in tree(first.path)} == before
    assert len(ledger.entries(home)) == 1


def test_numbers_built_before_a_delivery_changed_are_not_published(
    home: Home, company: Company
) -> None:
    small.land(home, "calls", {"calls": f"{CALLS} limit 90"})
    with pytest.raises(GateFailed, match="built came from other deliveries"):
        publish(home, company)
    small.build(home)
    assert publish(home, company).number == 1


def test_numbers_built_as_of_another_month_are_not_published(home: Home, company: Company) -> None:
    small.build(home, as_of=MONTH.plus(1))
    with pytest.raises(GateFailed, match="another as-of month"):
        publish(home, company)


def test_numbers_built_under_another_configuration_are_not_published(
    home: Home, company: Company
) -> None:
    (company.folder / "targets.csv").write_text("kpi_id\n", encoding="utf-8")
    with pytest.raises(GateFailed, match="another configuration"):
        publish(home, company)


def test_a_build_that_failed_is_not_published(home: Home, company: Company) -> None:
    provenance.write(home, MONTH, None)
    with pytest.raises(GateFailed, match="build again"):
        publish(home, company)


def test_the_same_inputs_give_the_same_hash_in_another_home(
    home: Home, company: Company, tmp_path: Path
) -> None:
    first = publish(home, company)
    other = small.home(tmp_path / "elsewhere" / "home")
    shutil.copytree(home.secrets, other.secrets, dirs_exist_ok=True)
    second = publish(again_in(other), company)
    assert second.sha256 == first.sha256
    for name in tree(first.path):
        if not name.startswith("scorecards.duckdb"):
            assert (first.path / name).read_bytes() == (second.path / name).read_bytes(), name
    assert ledger.ledger_path(home).read_bytes() == ledger.ledger_path(other).read_bytes()


def test_the_hash_depends_on_no_key_but_the_evidence_does(
    home: Home, company: Company, tmp_path: Path
) -> None:
    first = publish(home, company)
    second = publish(again_in(small.home(tmp_path / "elsewhere" / "home")), company)
    assert second.sha256 == first.sha256
    said = [release.describe(each) for each in (first, second)]
    assert said[0]["files"] == said[1]["files"]
    assert said[0]["evidence"]["merkle_root"] != said[1]["evidence"]["merkle_root"]


def again_in(other: Home) -> Home:
    small.land(other, "hr", {"hr_roster": ROSTER})
    small.land(other, "calls", {"calls": CALLS})
    small.build(other)
    return other


def test_new_content_is_the_next_number_and_the_old_release_stays(
    home: Home, company: Company
) -> None:
    first = publish(home, company)
    kept = {name: (first.path / name).read_bytes() for name in tree(first.path)}
    small.build(home, csat=88)
    second = publish(home, company)
    assert (second.number, second.unchanged) == (2, False)
    assert {name: (first.path / name).read_bytes() for name in tree(first.path)} == kept
    assert release.latest(home, MONTH) == second
    assert release.releases(home) == [first, second]
    link = home.published / "scorecards.duckdb"
    assert ask(link, "select release, release_sha256 from releases") == [
        ("2026-09.r2", second.sha256)
    ]


def test_a_change_of_cards_only_is_a_release_too(
    home: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(home, company)

    def with_a_note(home: Home, label: Label, folder: Path) -> None:
        child.plain_cards(home, label, folder)
        (folder / "cards" / "M1.html").write_text("<p>new</p>", encoding="utf-8")

    monkeypatch.setattr(release_files, "stage_cards", with_a_note)
    second = publish(home, company)
    assert second.number == 2
    assert ask(second.path / "scorecards.duckdb", "select number from releases") == [(2,)]
    said = [release.describe(r)["tables"] for r in (first, second)]
    assert said[0]["scorecard_kpi_months"] == said[1]["scorecard_kpi_months"]


def test_the_link_shows_the_newest_release_of_every_month(home: Home, company: Company) -> None:
    august = MONTH.plus(-1)
    publish(home, company)
    small.land(home, "hr", {"hr_roster": ROSTER.replace("2026-09-30", "2026-08-31")}, august)
    small.land(home, "calls", {"calls": CALLS.replace("2026-09-10", "2026-08-10")}, august)
    small.build(home, august, csat=79)
    publish(home, company, august)
    small.build(home, august, csat=78)
    publish(home, company, august, Reason("corrected", "HR"))
    link = home.published / "scorecards.duckdb"
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert ask(link, "select release from releases order by month") == [
        ("2026-08.r2",),
        ("2026-09.r1",),
    ]
    rows = "select month, value::double from scorecard_kpi_months where manager_id = 'M1' "
    assert ask(link, f"{rows} and kpi_id = 'csat_rate' order by month") == [
        (august.start, 0.78),
        (MONTH.start, 0.82),
    ]
    assert ask(link, "select count(*), count(distinct kpi_id) from kpi_definitions") == [(2, 2)]


@pytest.mark.nightly
def test_old_versions_behind_the_link_are_forgotten_but_a_few(home: Home, company: Company) -> None:
    for csat in (75, 76, 77, 78, 79):
        small.build(home, csat=csat)
        publish(home, company)
    assert len(list((home.published / ".versions").iterdir())) == 3
    assert len(release.releases(home)) == 5


def test_the_hr_files_say_the_same_in_every_format(home: Home, company: Company) -> None:
    folder = publish(home, company).path / "exports" / "hr"
    text = (folder / "hr_manager_months_2026-09.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbfmonth,employee_number,display_name,")
    assert b"2026-09-01,M1,\xe7\x8e\x8bM1,T1,Team 1,cs_manager,87.500000,B,1" in text
    sheet = openpyxl.load_workbook(folder / "hr_manager_months_2026-09.xlsx")["2026-09"]
    header = [cell.value for cell in sheet[1]]
    assert header[1] == "Employee number\n工号"
    assert sheet.freeze_panes == "C2"
    values = [cell.value for cell in sheet[2]]
    assert values[1:3] == ["M1", "王M1"]
    assert values[6] == 87.5
    said = json.loads((folder / "datapackage.json").read_text("utf-8"))
    assert (said["rows"], said["release"]) == (2, "2026-09.r1")
    fields = said["resources"][1]["schema"]["fields"]
    assert [each["name"] for each in fields][:2] == ["month", "employee_number"]


def test_release_hash_does_not_depend_on_threads(
    home: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERFHOUSE_THREADS", "1")
    publish(home, company)
    monkeypatch.setenv("PERFHOUSE_THREADS", "4")
    assert publish(home, company).unchanged


# --- crashes: that nobody sees one, whatever the step, is test_torture.py -------------------


def in_child(root: Path, step: str) -> int:
    done = subprocess.run(
        [sys.executable, str(HERE / "publish_in_child.py"), str(root), step],
        env=child_environment({"PERFHOUSE_THREADS": "1"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 9), done.stderr
    return done.returncode


def test_a_release_that_was_moved_but_not_recorded_is_recorded(
    root: Path, home: Home, company: Company
) -> None:
    assert in_child(root, "moved") == 9
    assert release.releases(home) == []
    again = publish(home, company)
    assert (again.number, again.unchanged) == (1, True)
    assert (home.published / "scorecards.duckdb").exists()


def test_a_torn_last_line_of_the_ledger_is_cut_off(home: Home, company: Company) -> None:
    publish(home, company)
    file = ledger.ledger_path(home)
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"sequence":2,"mon')
    assert len(ledger.entries(home)) == 1
    assert publish(home, company).unchanged
    assert file.read_bytes() == whole


def test_a_lost_link_comes_back(home: Home, company: Company) -> None:
    publish(home, company)
    (home.published / "scorecards.duckdb").unlink()
    shutil.rmtree(home.published / ".versions")
    assert publish(home, company).unchanged
    assert ask(home.published / "scorecards.duckdb", "select number from releases") == [(1,)]


def test_a_stranger_in_the_place_of_a_release_is_not_taken_for_one(
    home: Home, company: Company
) -> None:
    folder = home.published / "2026-09" / "r1"
    folder.mkdir(parents=True)
    (folder / "release.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"2026-09/r1: not in the ledger and not intact"):
        publish(home, company)


@pytest.mark.parametrize("name", ["cards/M1.html", "parquet/scorecard_kpi_months.parquet"])
def test_a_changed_file_of_a_release_is_found_and_named(
    home: Home, company: Company, name: str
) -> None:
    first = publish(home, company)
    path = first.path / name
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    assert release_manifest.problems(first.path) == [f"file {name} differs"]


def test_publishers_wait_for_each_other(
    home: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "_LOCK_SECONDS", 0.4)
    with release.only_publisher(home), pytest.raises(Exception, match="another publish"):
        publish(home, company)
