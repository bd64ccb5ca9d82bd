"""Erasing a person: nowhere any more, and every release is still verified, the erasure named."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import publish_in_child as child
import pytest
import small_warehouse as small
import tampering

from connectors.streams import STREAMS
from expectations import gate
from perfhouse import (
    cli,
    erase_lake,
    erase_person,
    erase_releases,
    erase_rows,
    erased,
    erasure,
    lake,
    ledger,
    release,
    reproduce,
    signing,
    verify,
    warehouse,
)
from perfhouse.company_cards import Cards
from perfhouse.errors import ConfigError, ReleaseError
from perfhouse.settings import Home

FLIPS = 36
PHONE = "+86 139-5550-7788"
ARCHIVE = f"raw/_archive/{lake.partition(small.MONTH, 'hr')}"
BY = ("--by", "Privacy office", "--reason", "Request 2026-17", "--at", "2026-11-20")
# Columns of streams that name things, kinds and places: nobody is found by them.
NOBODY = frozenset(
    {"ticket_id", "external_ref", "category", "raw_channel", "raw_status", "queue_id"}
    | {"queue_name", "customer_tier", "sla_policy", "merged_into", "tags", "event_id", "raw_type"}
    | {"field", "leg_id", "interaction_id", "raw_disposition", "transferred_from_leg"}
    | {"wrapup_code", "recording_ref", "response_id", "survey_id", "survey_version"}
    | {"question_id", "score_choice", "team_id", "channel", "language", "record_id", "course_id"}
    | {"course_name", "cert_id", "xapi_verb", "legal_entity", "department_id", "department_path"}
    | {"position_id", "position_name", "grade", "location", "cost_center", "from_department"}
    | {"to_department", "from_position", "to_position", "reason_code", "org_id", "parent_id"}
    | {"name", "status", "mapped_source", "contribution_id", "article_id", "suggestion_id"}
    | {"currency", "approval_ref", "appeal_id", "scorecard_id", "metric_id", "row_source"}
    | {"evidence_ref", "review_id", "form_id", "form_version", "calibration_id", "cycle_id"}
    | {"dimension", "comment_ref", "plan_id", "contract_id", "tier", "offer_id", "product_id"}
)
TICKETS = """
    select 'T' || i as ticket_id, 'E' || (1 + i % 2) as assignee_id, '{hash}' as requester_key,
        case when i = 1 then '{{"seen_by": "M1"}}' end as extra,
        timestamptz '2026-09-10 01:00:00+00' as created_at
    from range(4) r(i)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases of one month, with everything else in the home that may name a person."""
    root = tmp_path_factory.mktemp("erasure")
    home = small.home(root / "home")
    small.land(home, "hr", {"hr_roster": small.ROSTER})
    small.land(home, "calls", {"calls": small.CALLS})
    company = small.company(root / "company", small.source("hr"), small.source("calls"))
    company = replace(company, cards=Cards(pdf=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_expect", child.everything_passes)
        for csat in (82, 88):
            small.build(home, csat=csat)
            child.judge(home, company, small.MONTH)
            release.publish(company, home, small.MONTH)
    hashed = erase_person.find(home, "customer", PHONE).hashes
    small.land(home, "desk", {"tickets": TICKETS.format(hash=hashed[0])})
    _archive(home, "1", "roster.csv", "id,name,phone\nM1,名M1,13800000001\n".encode())
    _archive(home, "2", "page.json", json.dumps({"名": "\u540dM1"}).encode())
    _archive(home, "3", "calls.csv.gz", gzip.compress(f"{PHONE},E2\n".encode("utf-16")))
    _archive(home, "4", "clean.csv", b"id\nM10\n")
    _quarantine(home)
    kept = home.configurations / ("0" * 64)
    kept.mkdir(parents=True)
    lines = "source,source_user_id,employee_id\nhr,boss@example.com,M1\nhr,else,M2\n"
    (kept / "identity.csv").write_text(lines, encoding="utf-8")
    _archive(home, "5", "log.txt", b"sent to boss@example.com")
    return home.root


def _archive(home: Home, delivery: str, name: str, content: bytes) -> None:
    folder = home.root / ARCHIVE / delivery
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    (folder / "receipt.json").write_text("{}", encoding="utf-8")


def _quarantine(home: Home) -> None:
    folder = home.quarantine / "hr_roster" / lake.partition(small.MONTH, "hr")
    folder.mkdir(parents=True)
    with warehouse.connect() as con:
        file = folder / "000000000000.parquet"
        con.execute(
            "copy (select 'a.csv' as _file, i as _row_number, 'hire_date' as field, "
            "'expected a day' as reason, '' as other_faults, "
            "['名M1, no day', '名M2, no day'][i] as raw from range(1, 3) r(i)) "
            f"to '{file}' (format parquet)"
        )
        con.execute(f"copy (from '{file}') to '{file.with_suffix('.csv')}' (format csv, header)")


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Home:
    shutil.copytree(made, tmp_path / "home", symlinks=True)
    return Home(tmp_path / "home")


@pytest.fixture(scope="module")
def gone(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home without M1."""
    home = Home(tmp_path_factory.mktemp("gone") / "home")
    shutil.copytree(made, home.root, symlinks=True)
    assert erase(home, "--employee", "M1", "--apply") == 0
    return home


@pytest.fixture
def tampered(gone: Home, tmp_path: Path) -> Home:
    """A copy of what is published without M1, that may be tampered with."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(gone.published, copy.published, symlinks=True)
    for path in copy.published.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)
    return copy


def erase(home: Home, *who: str, words: tuple[str, ...] = BY) -> int:
    return cli.main(["erase", *who, *words, "--home", str(home.root)])


def state(home: Home) -> dict[str, bytes]:
    """Return every file but locks and what is made on the way."""
    return {
        str(file.relative_to(home.root)): file.read_bytes()
        for file in sorted(home.root.rglob("*"))
        if file.is_file() and not file.is_symlink() and home.tmp not in file.parents
    }


def naming(home: Home, *words: str) -> list[str]:
    """List the files that hold a word, whatever they are packed as; names of files count."""
    person = erase_person.Person("employee", "", "-", names=words)
    found = []
    with warehouse.connect() as con:
        for file in sorted(p for p in home.root.rglob("*") if p.is_file()):
            texts = [file.name, *erase_lake.texts_of(con, file)]
            if file.suffix == ".duckdb":
                texts += _tables(file)
            if any(person.stands_in(text) for text in texts):
                found.append(str(file.relative_to(home.root)))
    return found


def _tables(file: Path) -> list[str]:
    with warehouse.connect(file.resolve(), read_only=True) as con:
        names = con.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        return [str(con.execute(f'from "{of}"."{name}"').fetchall()) for of, name in names]


def verified(home: Home, what: str | None = None) -> verify.Verification:
    return verify.verify(home.published, what, signing.public_keys([], home.published))


def test_of_every_text_column_of_a_stream_it_is_known_whether_it_names_a_person() -> None:
    """A new column must be put on one side: else an erasure would pass it by."""
    texts = {
        column.name
        for stream in STREAMS.values()
        for column in stream.columns
        if column.type.startswith("VARCHAR") and not column.values
    }
    people = erase_rows.PEOPLE | erase_rows.HASHES | set(erase_rows.PERSONAL)
    assert texts - people == NOBODY
    assert people <= texts


def test_a_rehearsal_tells_what_would_go_and_alters_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(home)
    assert erase(home, "--employee", "M1") == 0
    said = capsys.readouterr().out
    assert f"{ARCHIVE}/1/roster.csv: deleted whole" in said
    assert "published/2026-09/r1: " in said
    assert "nothing was altered" in said
    assert state(home) == before


def test_a_manager_is_nowhere_and_everything_is_verified(made: Path, gone: Home) -> None:
    before, home = Home(made), gone
    assert naming(before, "M1", "名M1", "王M1") != []
    assert naming(home, "M1", "名M1", "王M1", "boss@example.com") == []
    assert (home.root / ARCHIVE / "4" / "clean.csv").exists(), "M10 is another"
    assert naming(home, "名M2") != []
    said = verified(home)
    assert said.problems == ()
    told = "erased on 2026-11-20 by Privacy office (line 3 of the ledger): "
    assert [note for note in said.notes if note.startswith(told)]
    assert ledger.entries(home) == ledger.entries(before)
    assert any(note.startswith(told) for note in verified(home, "2026-09.r1").notes)
    other = before.published / "2026-09/r1/cards/M2.html"
    assert verified(home, str(other)).problems == (), "the card that M2 has is as it was"
    for number in (1, 2):
        papers = (home.published / f"2026-09/r{number}/cards").glob("*.pdf")
        assert [paper.name for paper in papers] == ["M2.pdf"]
    kept = home.published / "2026-09/r1/cards/M2.pdf"
    assert verified(home, str(kept)).notes == ("cards/M2.pdf of 2026-09.r1",)
    assert not (home.tmp / "erasing.json").exists()


def test_landed_rows_keep_their_places_under_one_pseudonym(made: Path, gone: Home) -> None:
    home = gone
    before = lake.read_manifest(Home(made), "hr", small.MONTH)
    after = lake.read_manifest(home, "hr", small.MONTH)
    assert before is not None
    assert after is not None
    assert after.manifest_sha256 == before.manifest_sha256, "releases name their inputs by it"
    assert lake.is_intact(home, after)
    with warehouse.connect() as con:
        (file,) = home.raw.glob("hr_roster/**/*.parquet")
        rows = con.execute(
            "select employee_id, manager_employee_id, display_name from read_parquet(?, "
            "hive_partitioning = false) order by _row_number", [str(file)]
        ).fetchall()  # fmt: skip
        (tickets,) = home.raw.glob("tickets/**/*.parquet")
        extras = con.execute(f"select count(extra) from '{tickets}'").fetchall()
    pseudonym = rows[0][0]
    assert pseudonym.startswith("erased-")
    assert rows == [
        (pseudonym, None, None), ("M2", pseudonym, "名M2"), ("E1", pseudonym, "名E1"),
        ("E2", "M2", "名E2"),
    ]  # fmt: skip
    assert extras == [(0,)], "nobody knows what a source's own fields hold"


def test_a_rebuild_says_why_it_cannot_come_out_as_it_was(made: Path, gone: Home) -> None:
    assert reproduce._because(Home(made)) == ""
    assert "\n  erased on 2026-11-20 by Privacy office (line 3 " in reproduce._because(gone)


def test_an_overview_loses_the_row_and_keeps_the_others_and_its_scripts(
    made: Path, gone: Home
) -> None:
    before, after = (
        (home.published / "2026-09/r1/pages/index.html").read_text(encoding="utf-8")
        for home in (Home(made), gone)
    )
    assert (before.count("<tr><th scope=row>"), after.count("<tr><th scope=row>")) == (2, 1)
    assert ">M2</a>" in after
    assert after.partition("<script")[2] == before.partition("<script")[2]


def test_an_agent_leaves_the_pages_of_the_manager(home: Home) -> None:
    page = home.published / "2026-09/r1/cards/M1.html"
    page.chmod(0o640)
    erase(home, "--employee", "E1", "--apply")
    assert naming(home, "E1", "名E1") == []
    assert page.exists()
    said = verified(home)
    assert said.problems == ()
    altered = verified(home, str(page))
    assert altered.problems == ()
    assert altered.notes[0] == "cards/M1.html of 2026-09.r1, altered since"
    assert page.with_suffix(".pdf").exists(), "it shows no row of the team"


def test_a_pdf_goes_where_the_name_stands_outside_the_rows_of_the_team(home: Home) -> None:
    for page in (home.published / "2026-09").glob("r*/cards/M2.html"):
        page.chmod(0o640)
        said = page.read_text(encoding="utf-8").replace("</h1>", " 名E1</h1>", 1)
        page.write_text(said, encoding="utf-8")
    whole, e1 = home.published / "2026-09/r1", erase_person.find(home, "employee", "E1")
    erase_releases._without_pages(whole, e1)
    papers = sorted(paper.name for paper in (whole / "cards").glob("*.pdf"))
    assert papers == ["M1.pdf"]
    assert "名E1" not in (whole / "cards/M2.html").read_text(encoding="utf-8")


def test_a_customer_is_known_by_a_hash_only_and_that_goes_too(home: Home) -> None:
    hashes = erase_person.find(home, "customer", PHONE).hashes
    assert naming(home, *hashes) != []
    before = {name: content for name, content in state(home).items() if "published/2026" in name}
    assert erase(home, "--customer", PHONE, "--apply") == 0
    assert naming(home, PHONE, *hashes) == []
    assert not (home.root / ARCHIVE / "3" / "calls.csv.gz").exists()
    after = {name: content for name, content in state(home).items() if "published/2026" in name}
    assert after == before, "no release holds anything of a customer"
    assert verified(home).problems == ()


def test_after_an_erasure_any_other_byte_that_changes_is_found(tampered: Home) -> None:
    home = tampered
    folder = home.published / "2026-09" / "r1"
    chosen = random.Random(20261120)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)
    files += sorted((home.published / erased.FOLDER).glob("*"))
    for number in range(FLIPS):
        file = files[number] if number < len(files) else chosen.choice(files)
        whole, place = file.read_bytes(), chosen.randrange(file.stat().st_size)
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert verified(home, "2026-09.r1").problems != (), (file.name, place)
        file.write_bytes(whole)
    assert verified(home, "2026-09.r1").problems == ()


def test_a_row_that_comes_back_or_goes_without_a_line_is_found(made: Path, tampered: Home) -> None:
    home, untouched = tampered, Home(made).published
    folder = home.published / "2026-09" / "r1"
    for file in ("scorecards.duckdb", "release.json", "evidence/cards.leaves"):
        shutil.copyfile(folder / file, home.root.parent / "kept")
        shutil.copyfile(untouched / "2026-09" / "r1" / file, folder / file)
        assert verified(home, "2026-09.r1").problems != (), file
        shutil.copyfile(home.root.parent / "kept", folder / file)
    with warehouse.connect(folder / "scorecards.duckdb") as con:
        con.execute("delete from scorecard_manager_months where manager_id = 'M2'")
    told = 'scorecard_manager_months: row ["2026-09-01","M2"] is gone'
    assert any(told in problem for problem in verified(home, "2026-09.r1").problems)


def test_an_erasure_that_nobody_signed_for_hides_nothing(tampered: Home) -> None:
    home = tampered
    forged = home.published / erased.FOLDER / "0002.json"
    shutil.copyfile(home.published / erased.FOLDER / "0001.json", forged)
    assert any("0002.json: the ledger does not name it" in p for p in verified(home).problems)
    forged.unlink()
    file = home.published / erased.FOLDER / "0001.json"
    file.write_text(file.read_text("utf-8").replace('"cards": [', '"cards": [ 1,'), "utf-8")
    assert any("0001.json: changed since line 3" in p for p in verified(home).problems)
    file.unlink()
    assert any("0001.json: gone, line 3" in p for p in verified(home).problems)


BREAKS: dict[str, tuple[object, str]] = {
    "before manifests": (lake, "rehash"),
    "before the line": (ledger, "record"),
    "before files are in place": (erase_releases, "put"),
}


@pytest.mark.parametrize("step", sorted(BREAKS))
def test_an_erasure_that_was_broken_off_goes_on(
    home: Home, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*BREAKS[step], _break)
    with pytest.raises(KeyError):
        erasure.erase(home, _request("M1"), apply=True)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="broken off; finish it first"):
        erasure.erase(home, _request("M2"), apply=True)
    found = erasure.erase(home, _request("M1"), apply=True)
    assert found.left == ()
    assert naming(home, "M1", "名M1", "王M1", "boss@example.com") == []
    assert verified(home).problems == ()
    manifest = lake.read_manifest(home, "hr", small.MONTH)
    assert manifest is not None
    assert lake.is_intact(home, manifest)


def _request(key: str) -> erasure.Request:
    return erasure.Request("employee", key, "Privacy office", "Request 2026-17", "2026-11-20")


def _break(*_: object, **__: object) -> None:
    raise KeyError("broken off")


def test_two_erasures_are_both_told_and_both_hold(gone: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(gone.root, home.root, symlinks=True)
    erase(home, "--employee", "E2", "--apply")
    assert naming(home, "M1", "E2", "名E2") == []
    said = verified(home, "2026-09.r1")
    assert said.problems == ()
    assert len([note for note in said.notes if note.startswith("erased on")]) == 2
    assert verified(home).problems == ()


def test_the_next_release_follows_an_erased_one(
    gone: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(gone.root, home.root, symlinks=True)
    monkeypatch.setattr(gate, "_expect", child.everything_passes)
    company = small.company(home.root.parent / "company", small.source("hr"), small.source("calls"))
    small.build(home, csat=70)
    child.judge(home, company, small.MONTH)
    assert release.publish(company, home, small.MONTH).number == 3
    assert verified(home).problems == ()


@pytest.mark.parametrize(
    "words",
    [
        ("--by", "M1", *BY[2:]),
        (*BY[:2], "--reason", "asked by 名M1", *BY[4:]),
        ("--by", " ", *BY[2:]),
    ],
)
def test_the_public_line_names_nobody(
    home: Home, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert erase(home, "--employee", "M1", "--apply", words=words) == 2
    said = capsys.readouterr().err
    assert "M1" not in said
    assert "expected words" in said


def test_nobody_is_named_in_what_an_erasure_leaves_in_the_ledger(gone: Home) -> None:
    (line,) = erased.records(gone.published)
    assert line.what["subject"] == "employee"
    assert "M1" not in json.dumps([line.what, line.who, line.why])


def test_an_erasure_signs_for_nothing_that_was_altered_before(home: Home) -> None:
    folder = home.published / "2026-09" / "r1"
    tampering.alter(folder)
    before = ledger.ledger_path(home).read_bytes()
    with pytest.raises(ReleaseError, match=r"2026-09/r1: not intact: file parquet/scorecard_man"):
        erasure.erase(home, _request("M1"), apply=True)
    assert ledger.ledger_path(home).read_bytes() == before
