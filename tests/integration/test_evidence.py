"""Evidence: any changed byte is found and located, by whoever has published/ and the public key."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import publish_in_child as child
import pytest
import small_warehouse as small
import tampering

from expectations import gate
from perfhouse import (
    cards,
    cli,
    evidence,
    ledger,
    release,
    release_shown,
    signing,
    verify,
    verify_card,
    verify_ledger,
    warehouse,
)
from perfhouse.errors import ConfigError, ReleaseError
from perfhouse.settings import Home, write_once

FLIPS = 100


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two releases of one month and a decision on record."""
    root = tmp_path_factory.mktemp("evidence")
    home = small.home(root / "home")
    small.land(home, "hr", {"hr_roster": small.ROSTER})
    small.land(home, "calls", {"calls": small.CALLS})
    company = small.company(root / "company", small.source("hr"), small.source("calls"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_expect", child.everything_passes)
        for csat in (82, 88):
            small.build(home, csat=csat)
            child.judge(home, company, small.MONTH)
            release.publish(company, home, small.MONTH)
    release.record(
        home,
        kind="approved",
        what={"release": "2026-09.r2"},
        who="Head of HR",
        why="paid by it",
        at="2026-10-08",
    )
    return home


@pytest.fixture
def published(world: Home, tmp_path: Path) -> Path:
    """A copy that may be tampered with, without anything else of the home."""
    copy = tmp_path / "published"
    shutil.copytree(world.published, copy, symlinks=True)
    for path in [copy, *copy.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


def found(published: Path, what: str | None = None, *keys: str, head: str | None = None) -> str:
    """Return all that verifying finds wrong, as one text."""
    trusted = signing.public_keys(keys, published)
    return "\n".join(verify.verify(published, what, trusted, head).problems)


def test_everything_published_is_verified_without_the_home(published: Path) -> None:
    said = verify.verify(published, None, signing.public_keys([], published))
    assert said.problems == ()
    assert said.notes[0].startswith("ledger: 3 lines hold, the last has hash ")
    assert "2 releases" in said.notes
    assert found(published, "2026-09.r1") == ""


def test_every_release_is_signed_and_its_root_stands_in_the_ledger(world: Home) -> None:
    first, second = ledger.entries(world)
    assert first.merkle_root is not None
    assert first.merkle_root != second.merkle_root
    said = json.loads((world.published / second.path / "release.json").read_text("utf-8"))
    assert said["evidence"]["merkle_root"] == second.merkle_root
    assert (world.secrets / "release.minisign").stat().st_mode & 0o077 == 0
    assert (world.secrets / "evidence.key").stat().st_mode & 0o077 == 0


def flips(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file once, then any file at any place."""
    chosen = random.Random(20260922)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)
    for number in range(FLIPS):
        file = files[number] if number < len(files) else chosen.choice(files)
        yield file, chosen.randrange(file.stat().st_size)


def test_any_flipped_byte_of_a_release_is_found_and_its_file_is_named(published: Path) -> None:
    keys = signing.public_keys([], published)
    folder = published / "2026-09" / "r1"
    for file, place in flips(folder):
        whole = file.read_bytes()
        changed = bytes([whole[place] ^ (1 << random.Random(place).randrange(8))])
        file.write_bytes(whole[:place] + changed + whole[place + 1 :])
        problems = verify.verify(published, "2026-09.r1", keys).problems
        name = file.relative_to(folder).as_posix().removesuffix(".minisig")
        assert any(name in problem for problem in problems), (name, place, problems)
        file.write_bytes(whole)
    assert found(published, "2026-09.r1") == ""


def test_any_flipped_byte_of_the_ledger_is_found(published: Path) -> None:
    file = published / "ledger.jsonl"
    whole = file.read_bytes()
    starts = [0, *(m.end() for m in re.finditer(b"\n", whole))]
    keys = signing.public_keys([], published)
    for place in random.Random(1).sample(range(len(whole)), FLIPS):
        flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        file.write_bytes(flipped)
        line = sum(start <= place for start in starts)
        problems = verify.verify(published, "2026-09.r1", keys).problems if line > 1 else (
            verify_ledger.verified(published, keys, None).problems)  # fmt: skip
        told = f"line {line} |last line is torn" if line == 3 else f"line {line} "
        assert any(re.search(told, problem) for problem in problems), (place, problems)


def tampered(published: Path, *statements: str) -> None:
    """Change the database of r1 and everything beside it that needs no key."""
    folder = published / "2026-09" / "r1"
    con = warehouse.connect(folder / "scorecards.duckdb")
    for statement in statements:
        con.execute(statement)
    con.execute("checkpoint")
    con.close()


TABLE = "scorecard_kpi_months"
M1, M2 = "manager_id = 'M1' and kpi_id = 'csat_rate'", "manager_id = 'M2' and kpi_id = 'csat_rate'"


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (
            [f"update {TABLE} set value = 0.99 where {M1}"],
            [f'{TABLE}: row ["2026-09-01","M1","csat_rate"] was changed'],
        ),
        (
            [
                f"create temp table a as select value from {TABLE} where {M1}",
                f"create temp table b as select value from {TABLE} where {M2}",
                f"update {TABLE} set value = (from b) where {M1}",
                f"update {TABLE} set value = (from a) where {M2}",
            ],
            [
                f'{TABLE}: row ["2026-09-01","M1","csat_rate"] was changed',
                f'{TABLE}: row ["2026-09-01","M2","csat_rate"] was changed',
            ],
        ),
        (
            [f"delete from {TABLE} where {M1}"],
            [f'{TABLE}: row ["2026-09-01","M1","csat_rate"] is gone'],
        ),
        (
            [f"insert into {TABLE} select * replace ('x' as kpi_id) from {TABLE} where {M1}"],
            [f'{TABLE}: row ["2026-09-01","M1","x"] was added'],
        ),
    ],
)
def test_a_changed_row_is_named(published: Path, statements: list[str], told: list[str]) -> None:
    tampered(published, *statements)
    problems = found(published, "2026-09.r1")
    for each in told:
        assert f"scorecards.duckdb: {each}" in problems


def test_what_bi_opens_is_compared_with_the_releases(published: Path) -> None:
    shown = published / "scorecards.duckdb"
    con = warehouse.connect(shown.resolve())
    con.execute("update scorecard_manager_months set total_score = 120")
    con.close()
    assert found(published) == (
        "published/scorecards.duckdb: table scorecard_manager_months differs from the releases"
    )


def test_a_release_that_is_gone_or_stands_unnamed_is_found(published: Path) -> None:
    shutil.copytree(published / "2026-09" / "r2", published / "2026-10" / "r1")
    assert "published/2026-10/r1: the ledger does not name it" in found(published)
    shutil.rmtree(published / "2026-10")
    shutil.rmtree(published / "2026-09" / "r1")
    assert found(published) == "published/2026-09/r1: the ledger names it, but it is not there"


def test_one_release_does_not_pass_for_another(published: Path) -> None:
    shutil.rmtree(published / "2026-09" / "r2")
    shutil.copytree(published / "2026-09" / "r1", published / "2026-09" / "r2")
    assert "release.json is not what line 2 of the ledger says" in found(published, "2026-09.r2")


def test_a_cut_ledger_is_found_by_a_head_that_was_noted_or_a_card(published: Path) -> None:
    file = published / "ledger.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    head = json.loads(lines[2])["entry_sha256"]
    card = str(published / "2026-09" / "r2" / "cards" / "M1.html")
    assert found(published, head=head) == ""
    file.write_bytes(b"".join(lines[:2]))
    assert "it was cut or replaced" in found(published, head=head)
    file.write_bytes(lines[0])
    assert "published/2026-09/r2: the ledger does not name it" in found(published)
    assert "the ledger does not name 2026-09.r2: it was cut" in found(published, card)
    copy = published / "card.html"
    copy.write_bytes(Path(card).read_bytes())
    shutil.rmtree(published / "2026-09" / "r2")
    # What nobody noted and of which nothing is left cannot be missed.
    assert "2026-09/r2" not in found(published)
    assert "the ledger does not name 2026-09.r2: it was cut" in found(published, str(copy))


def test_a_ledger_written_anew_without_the_key_is_found(published: Path, tmp_path: Path) -> None:
    forger = Home(tmp_path / "forger").ensure()
    old = [json.loads(line) for line in (published / "ledger.jsonl").read_bytes().splitlines()]
    for entry in old[:2]:
        ledger.append(
            forger,
            month=small.MONTH,
            number=entry["number"],
            as_of=small.MONTH,
            path=entry["path"],
            release_sha256=entry["release_sha256"],
            merkle_root=entry["merkle_root"],
            key=signing.release_key(forger),
        )
    shutil.copy(ledger.ledger_path(forger), published / "ledger.jsonl")
    problems = found(published)
    assert "line 1 is not signed with this key" in problems
    assert "line 2 is not signed with this key" in problems


def test_another_key_verifies_nothing(published: Path, tmp_path: Path) -> None:
    other = signing.load_or_create(tmp_path / "other.minisign")
    key = signing.public_text(other).splitlines()[1]
    assert "ledger.jsonl: line 1 is not signed with this key" in found(published, None, key)
    card = str(published / "2026-09" / "r1" / "cards" / "M1.html")
    assert "its root is not signed with this key" in found(published, card, key)


# --- cards ----------------------------------------------------------------------------------


def one_card(published: Path) -> Path:
    return published / "2026-09" / "r1" / "cards" / "M1.html"


def test_a_card_is_verified_with_the_public_key_alone(published: Path, tmp_path: Path) -> None:
    key = (published / "release.pub").read_text("ascii").splitlines()[1]
    card = shutil.copy(one_card(published), tmp_path / "mine.html")
    said = verify.verify(tmp_path / "nowhere", str(card), signing.public_keys([key], tmp_path))
    assert said.problems == ()
    told = "\n".join(said.notes)
    assert "2026-09.r1 of small, root " in told
    assert "manager_id M1, month 2026-09-01, total_score 87.500000, grade B, rank 1" in told
    assert "no ledger.jsonl at hand" in told


def test_a_proof_fits_the_room_that_a_card_leaves_for_it(published: Path) -> None:
    for card in (published / "2026-09").rglob("cards/M*.html"):
        page = card.read_bytes()
        assert 1000 < len(page) - len(evidence.blank(page)) <= cards.evidence_room(2)
        assert len(page) <= cards.SIZE_LIMIT


def test_a_card_tells_that_a_newer_release_stands(published: Path) -> None:
    said = verify.verify(published, str(one_card(published)), signing.public_keys([], published))
    assert said.problems == ()
    assert "it is superseded: of this month 2026-09.r2 stands" in said.notes


def test_any_flipped_byte_of_a_card_alone_is_found(published: Path) -> None:
    card = one_card(published)
    whole = card.read_bytes()
    chosen = random.Random(7)
    for place in chosen.sample(range(len(whole)), FLIPS):
        card.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert found(published, str(card)), whole[place - 20 : place + 20]


@pytest.mark.parametrize("place", ["root_start", "row", "proof"])
def test_a_hash_written_by_other_bytes_is_found(published: Path, place: str) -> None:
    card = one_card(published)
    whole = card.read_bytes()
    found_at = re.search(rf"data-v={place}>[^<]*?([A-Za-z0-9]{{4}})".encode(), whole)
    assert found_at
    other = b"".join(b"&#%d;" % byte for byte in found_at[1])
    start, end = found_at.span(1)
    card.write_bytes(whole[:start] + other + whole[end:])
    assert "is not written as it was published" in found(published, str(card))


def test_a_link_to_a_folder_in_a_release_is_found(published: Path, tmp_path: Path) -> None:
    (published / "2026-09" / "r1" / "extra").symlink_to(tmp_path)
    assert "extra is neither a file nor a folder" in found(published, "2026-09.r1")


OF_BEFORE = Path(__file__).resolve().parents[1] / "cards_of_before"


@pytest.mark.parametrize(("name", "total"), [("no_format", "87.5"), ("format_1", "98.75")])
def test_a_card_of_before_is_verified_alone_for_good(name: str, total: str, tmp_path: Path) -> None:
    """These files are as they were once published: whoever changes proofs keeps their format."""
    card = tmp_path / "M1.html"
    shutil.copy(OF_BEFORE / f"{name}.html", card)
    key = (OF_BEFORE / "release.pub").read_text("ascii").splitlines()[1]
    keys = signing.public_keys([key], tmp_path / "nowhere")
    said = verify.verify(tmp_path / "nowhere", str(card), keys)
    assert said.problems == ()
    assert said.notes[-1].startswith(f"manager_id M1, month 2026-09-01, total_score {total}")
    other = re.sub("data-v=total>[^<]*", "data-v=total>99.9", card.read_text("utf-8"))
    card.write_text(other, "utf-8")
    assert verify.verify(tmp_path / "nowhere", str(card), keys).problems


def test_a_proof_of_an_unknown_format_is_neither_verified_nor_refuted(published: Path) -> None:
    card = one_card(published)
    text = card.read_text("utf-8")
    printed = f"<code data-v=format>{cards.PROOF_FORMAT}</code>"
    assert list(evidence.FORMATS) == [cards.PROOF_FORMAT]
    assert printed in text
    card.write_text(text.replace(printed, "<code data-v=format>7</code>"), "utf-8")
    assert found(published, str(card)) == (
        "its proof is of format '7', and this version of perfhouse knows 1: so nothing is said of "
        "the card; verify it with a newer version"
    )
    card.write_text(text.replace(printed, "<code></code>"), "utf-8")
    assert "the page is not as it was published" in found(published, str(card))


def test_a_card_that_shows_other_numbers_is_found(published: Path) -> None:
    card = one_card(published)
    text = card.read_text("utf-8")
    card.write_text(text.replace("<b data-v=total>87.5<", "<b data-v=total>97.5<"), "utf-8")
    problems = found(published, str(card))
    assert "the page is not as it was published" in problems
    assert "it shows total 97.5, the row says 87.500000" not in problems
    assert "it shows total 97.5, the row says 87.5" in problems


def test_a_proof_of_another_card_or_release_proves_nothing(published: Path) -> None:
    block = re.compile("<details class=ev>.*</details>", re.DOTALL)
    card = one_card(published)
    text = card.read_text("utf-8")
    for other in ("2026-09/r1/cards/M2.html", "2026-09/r2/cards/M1.html"):
        (proof,) = block.findall((published / other).read_text("utf-8"))
        card.write_text(block.sub(lambda _, proof=proof: proof, text), encoding="utf-8")
        assert "the page is not as it was published" in found(published, str(card))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[" * 100_000, '{"row":5}', '{"company":"small","row":"eJwDAAAAAAE="}', "null"],
)
def test_what_is_no_proof_is_said_to_be_none(published: Path, text: str) -> None:
    card = one_card(published)
    page = re.sub(
        "(<pre data-v=proof>)[^<]*", lambda found: found[1] + text, card.read_text("utf-8")
    )
    card.write_text(page, encoding="utf-8")
    assert found(published, str(card)) == "its proof cannot be read"


def test_a_proof_says_nothing_that_the_root_does_not_cover(published: Path) -> None:
    card = one_card(published)
    text = card.read_text("utf-8")
    card.write_text(text.replace("{&#34;company", "{&#34;a&#34;:1,&#34;company", 1), "utf-8")
    assert card.read_text("utf-8") != text
    assert found(published, str(card)) == "its proof cannot be read"


def test_a_card_gives_away_no_row_of_anybody_else(published: Path) -> None:
    """Who holds all of a card cannot tell a right guess of another's row from a wrong one."""
    folder = published / "2026-09" / "r1"
    shown = verify_card.shown(one_card(published).read_bytes())
    said = json.loads(shown["proof"])
    nonces = evidence._bytes(said["nonces"])
    siblings = {h for path in said["paths"] for h in evidence._hashes(path)}
    (table,) = [t for t in evidence.read_tables(folder) if t.name == evidence.TOTALS]
    with warehouse.connect() as con:
        other = evidence._lines(con, folder, evidence.TOTALS)[1]
    key = table.key_of(other)
    assert json.loads(key)[1] == "M2"
    right = dict(evidence.read_leaves(folder, evidence.TOTALS))[key]
    assert right in siblings  # it is on the card,
    assert table.leaf(key, other, nonces) not in siblings  # but what makes it is not
    assert evidence.read_nonces(folder).hex() not in one_card(published).read_text("utf-8")


def test_the_same_row_has_another_hash_in_another_release(world: Home) -> None:
    leaves = [
        dict(evidence.read_leaves(world.published / "2026-09" / number, "kpi_definitions"))
        for number in ("r1", "r2")
    ]
    assert leaves[0].keys() == leaves[1].keys()
    assert not set(leaves[0].values()) & set(leaves[1].values())


# --- other files, old releases, keys --------------------------------------------------------


def test_a_file_is_found_by_its_bytes(published: Path, tmp_path: Path) -> None:
    name = "hr_manager_months_2026-09.csv"
    (source,) = (published / "2026-09" / "r2" / "exports").rglob(name)
    file = Path(shutil.copy(source, tmp_path / name))
    said = verify.verify(published, str(file), signing.public_keys([], published))
    assert said.problems == ()
    assert said.notes[0].endswith(f"{name} of 2026-09.r2")
    file.write_bytes(file.read_bytes() + b" ")
    assert found(published, str(file)) == "no release at hand holds these bytes"


def test_every_published_file_is_known_by_its_bytes(published: Path, tmp_path: Path) -> None:
    """But cards, which are verified by their own proof."""
    keys = signing.public_keys([], published)
    folder = published / "2026-09" / "r1"
    files = [p for p in folder.rglob("*") if p.is_file() and p.parent.name != "cards"]
    for file in [*files, published / "ledger.jsonl", published / "scorecards.duckdb"]:
        copy = Path(shutil.copy(file, tmp_path / "copy"))
        said = verify.verify(published, str(copy), keys)
        assert said.problems == (), file
        name, _, of = said.notes[0].partition(" of 2026-09.")
        same = folder.parent / of / name  # tables without rows have the same leaves: none
        assert same.read_bytes() == file.read_bytes() if of else file.name in name, said.notes
    said = verify.verify(published, str(published / "release.pub"), keys)
    assert said.problems[0].startswith("a public key, which nothing signs: compare")


def test_a_file_passes_by_no_list_that_was_altered_with_it(published: Path) -> None:
    folder = published / "2026-09" / "r1"
    tampering.alter(folder)
    tampering.reseal(folder)
    for name in (f"parquet/{evidence.TOTALS}.parquet", "release.json", "scorecards.duckdb"):
        assert "release.json or its signature was changed" in found(published, str(folder / name))
    tampering.alter(published / "2026-09" / "r2")
    tampering.show(published)
    link = published / "scorecards.duckdb"
    assert "is not signed" not in found(published, str(link))
    con = warehouse.connect(link.resolve())
    con.execute("update scorecard_manager_months set total_score = 130")
    con.close()
    assert "scorecard_manager_months differs from the releases" in found(published, str(link))


@pytest.mark.parametrize(
    "name",
    ["extra.txt", "2026-09/hand.csv", "2026-09/x1/a", "2026-08/r1.csv", ".versions/zz/a", ".env"],
)
def test_what_nothing_signed_names_is_found(published: Path, name: str) -> None:
    path = published / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x", encoding="utf-8")
    parts = name.split("/")
    told = parts[0] if parts[0] == "2026-08" else "/".join(parts[:2])
    assert found(published) == f"published/{told}: nothing that is signed names it"


def test_what_a_publisher_left_that_died_is_told_and_no_problem(published: Path) -> None:
    (published / ".staging" / "2026-10-x").mkdir(parents=True)
    (published / ".current.new").symlink_to(".versions/x")
    (published / "2026-10").mkdir()
    (published / ".versions" / ("0" * 64)).mkdir()
    said = verify.verify(published, None, signing.public_keys([], published))
    assert said.problems == ()
    notes = "\n".join(said.notes)
    assert "not verified: .staging, in which a publisher works or worked until it died" in notes
    assert re.search(r"not verified: [12] databases that BI opened before", notes)


def test_no_month_or_view_is_slipped_in_beside_what_stands(published: Path) -> None:
    version = (published / "current").resolve()
    (version / "2026-10").symlink_to(published / "2026-09" / "r1")
    con = warehouse.connect(version / "scorecards.duckdb")
    con.execute("create view scorecard_bonus as select 1 as bonus")
    con.execute("create macro worth(x) as x + 1")
    con.close()
    assert found(published).splitlines() == [
        "published/current/2026-10: no release that stands shows it",
        "published/scorecards.duckdb: macro worth is in no release",
        "published/scorecards.duckdb: view scorecard_bonus is in no release",
    ]


def test_a_publisher_that_goes_on_meanwhile_is_no_false_alarm(
    world: Home, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it begins there is r1 alone; while it reads, r2 and a decision come."""
    shutil.rmtree(published)
    shutil.copytree(world.published, published, symlinks=True)
    ledger_file, second = published / "ledger.jsonl", published / "2026-09" / "r2"
    whole, aside = ledger_file.read_bytes(), published.parent / "r2"
    link = published / "current"
    shutil.move(second, aside)
    ledger_file.write_bytes(whole.splitlines(keepends=True)[0])
    now = link.readlink()
    link.unlink()
    home = Home(published.parent)
    (published.parent / "draft").mkdir()
    shown = release_shown.prepare(home, release_shown.standing(home), published.parent / "draft")
    link.symlink_to(shown.relative_to(published))
    real = verify_ledger.verified

    def overtaken(*args: Any, **options: Any) -> verify_ledger.VerifiedLedger:
        said = real(*args, **options)
        if aside.exists():
            shutil.move(aside, second)
            ledger_file.write_bytes(whole)
            link.unlink()
            link.symlink_to(now)
        return said

    monkeypatch.setattr(verify_ledger, "verified", overtaken)
    said = verify.verify(published, None, signing.public_keys([], published))
    assert said.problems == ()
    assert "2 releases" in said.notes


def test_the_command_line_says_what_holds_and_what_does_not(
    published: Path, world: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["verify", "--published", str(published)]
    assert cli.main([*words, "2026-09.r2"]) == 0
    assert capsys.readouterr().out.endswith("2026-09.r2: verified\n")
    one_card(published).write_text("changed", encoding="utf-8")
    assert cli.main(words) == 8
    told = capsys.readouterr().out
    assert "published/2026-09/r1: file cards/M1.html differs" in told
    assert "NOT verified, 1 problems\nwho must act: data engineer" in told
    assert cli.main(["verify", "--public-key", "nonsense"]) == 2
    words = ["record", "approved", "--home", str(world.root), "--by", "HR", "--reason", "paid"]
    assert cli.main(words) == 2
    assert "expected what it is about" in capsys.readouterr().err
    assert cli.main([*words, "--release", "2026-09.r2", "--by", " "]) == 2
    with pytest.raises(SystemExit):
        cli.main([*words, "--at", "yesterday"])


def test_what_is_asked_for_must_be_there(published: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected one of 2026-09.r1, 2026-09.r2"):
        found(published, "2026-09.r9")
    with pytest.raises(ConfigError, match="expected a file or a release"):
        found(published, "nothing.html")
    (published / "release.pub").unlink()
    with pytest.raises(ConfigError, match="--public-key: expected one"):
        found(published)


def test_releases_of_before_there_was_evidence_stand_unsigned_under_signed_ones(
    world: Home, tmp_path: Path
) -> None:
    """The ledger of an older home: its lines have neither root nor signature."""
    home = Home(tmp_path / "old").ensure()
    folder = home.published / "2026-09" / "r1"
    shutil.copytree(world.published / "2026-09" / "r1", folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in [*folder.rglob("*.minisig")]:
        path.unlink()
    shutil.rmtree(folder / "evidence")
    for card in (folder / "cards").glob("*.html"):
        card.write_bytes(evidence.blank(card.read_bytes()))
    said = json.loads((folder / "release.json").read_text("utf-8"))
    del said["evidence"]
    (folder / "release.json").write_text(json.dumps(said), encoding="utf-8")
    ledger.append(
        home,
        month=small.MONTH,
        number=1,
        as_of=small.MONTH,
        path="2026-09/r1",
        release_sha256=said["release_sha256"],
    )
    release.record(home, kind="accepted", what={"month": "2026-09"}, who="HR", why="stands")
    keys = signing.public_keys([], home.published)
    told = verify.verify(home.published, None, keys)
    assert told.problems == ()
    assert "unsigned, of before releases were signed: 2026-09.r1" in told.notes
    file = ledger.ledger_path(home)
    signed = file.read_bytes()
    file.write_bytes(re.sub(rb',"signature":"[^"]*"', b"", signed))
    assert "no line is signed: whoever can write there" in found(home.published)
    told = verify.verify(home.published, None, keys, allow_unsigned=True)
    assert told.problems == ()
    words = ["verify", "--published", str(home.published)]
    assert cli.main([*words, "--allow-unsigned"]) == 0
    assert cli.main(words) == 8
    key = signing.public_text(signing.release_key(home)).splitlines()[1]
    assert cli.main([*words, "--allow-unsigned", "--public-key", key]) == 2
    (home.published / "release.pub").unlink()  # as a home of before has none
    assert cli.main([*words, "--allow-unsigned"]) == 0
    signing.release_key(home)
    ledger.append(
        home,
        month=small.MONTH,
        number=2,
        as_of=small.MONTH,
        path="2026-09/r2",
        release_sha256="0" * 64,
    )
    file.write_bytes(signed + file.read_bytes().splitlines(keepends=True)[-1])
    assert "line 3 is not signed with this key" in found(home.published)


def test_a_lost_key_stops_the_publisher_until_the_old_public_key_is_put_aside(
    world: Home, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home").ensure()
    shutil.copytree(world.published, home.published, symlinks=True, dirs_exist_ok=True)

    def put_on_record() -> ledger.Record:
        return release.record(home, kind="accepted", what={"month": "2026-09"}, who="HR", why="-")

    with pytest.raises(ConfigError, match=r"expected the key of .*release\.pub"):
        put_on_record()
    assert not (home.secrets / "release.minisign").exists()
    other = signing.load_or_create(tmp_path / "other.minisign")
    write_once(home.secrets / "release.minisign", bytes(other))
    with pytest.raises(ConfigError, match=r"it is not the key of .*release\.pub"):
        put_on_record()
    (home.published / "release.pub").rename(home.published / "release-1.pub")
    with pytest.raises(ReleaseError, match=r"belongs in .*secrets/release-1\.pub"):
        put_on_record()
    shutil.copy(home.published / "release-1.pub", home.secrets)
    assert put_on_record().sequence == 4
    assert found(home.published) == ""  # both keys lie there


def test_minisign_itself_verifies_a_release_and_a_line_of_the_ledger(
    published: Path, tmp_path: Path
) -> None:
    program = shutil.which("minisign")
    if program is None:
        pytest.skip("minisign is not installed")
    line = json.loads((published / "ledger.jsonl").read_bytes().splitlines()[-1])
    (tmp_path / "line").write_text(line["entry_sha256"], encoding="ascii")
    (tmp_path / "line.minisig").write_text(line["signature"] + "\n", encoding="ascii")
    for file in (published / "2026-09" / "r2" / "release.json", tmp_path / "line"):
        command = [program, "-V", "-p", str(published / "release.pub"), "-m", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
