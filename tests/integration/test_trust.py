"""A publisher obeys nothing in published/ that it did not sign: not a line, not a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import publish_in_child as child
import pytest
import small_warehouse as small
import tampering
from small_warehouse import CALLS, MONTH, ROSTER

from expectations import gate
from perfhouse import (
    deliver,
    ledger,
    ledger_head,
    release,
    release_diff,
    release_files,
    reproduce,
    rollback,
    signing,
    trust,
    verify,
    warehouse,
)
from perfhouse.errors import ReleaseError
from perfhouse.month import Month
from perfhouse.restatement import Reason
from perfhouse.settings import Home
from perfhouse.stages import Workspace

WHY = Reason("The correction was of another team", "Head of service")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_expect", child.everything_passes)
    monkeypatch.setattr(release_files, "stage_cards", child.plain_cards)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases of one month."""
    root = tmp_path_factory.mktemp("trust")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_expect", child.everything_passes)
        patch.setattr(release_files, "stage_cards", child.plain_cards)
        home = small.home(root / "home")
        small.land(home, "hr", {"hr_roster": ROSTER})
        small.land(home, "calls", {"calls": CALLS})
        ws = opened(root)
        publish(ws, 82)
        publish(ws, 88)
    return root


@pytest.fixture
def ws(made: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(made / "home", tmp_path / "home", symlinks=True)
    return opened(tmp_path)


def opened(root: Path) -> Workspace:
    company = small.company(root / "company", small.source("hr"), small.source("calls"))
    return Workspace(company, root, Home(root / "home"))


def publish(ws: Workspace, csat: int, month: Month = MONTH) -> release.Release:
    small.build(ws.home, month, csat=csat)
    child.judge(ws.home, ws.company, month)
    return release.publish(ws.company, ws.home, month)


def decide(ws: Workspace) -> ledger.Record:
    return release.record(
        ws.home, kind="approved", what={"release": "2026-09.r2"}, who="HR", why="paid by it"
    )


def shown(ws: Workspace) -> list[tuple[object, ...]]:
    with warehouse.connect(ws.home.published / "scorecards.duckdb", read_only=True) as con:
        totals = "select total_score::double from scorecard_manager_months where manager_id = 'M2'"
        return con.execute(f"select release, ({totals}) from releases").fetchall()


def problems(ws: Workspace, *keys: str) -> str:
    trusted = signing.public_keys(keys, ws.home.published)
    return "\n".join(verify.verify(ws.home.published, None, trusted).problems)


# --- the ledger -----------------------------------------------------------------------------


def test_a_ledger_and_releases_stripped_of_their_signatures_are_found_and_not_obeyed(
    ws: Workspace,
) -> None:
    tampering.strip(ws.home.published)
    assert shown(ws) == [("2026-09.r2", 120.0)]
    assert "no line is signed" in problems(ws)
    key = (ws.home.published / "release.pub").read_text("ascii").splitlines()[1]
    assert "no line is signed" in problems(ws, key)
    with pytest.raises(ReleaseError, match="which was written last: it was cut or replaced"):
        decide(ws)


def test_a_line_that_nobody_signed_stops_whoever_acts_on_the_ledger(ws: Workspace) -> None:
    before = shown(ws)
    tampering.roll_back(ws.home.published)
    acts: list[Callable[[], object]] = [
        lambda: decide(ws),
        lambda: publish(ws, 88),
        lambda: rollback.rollback(ws.home, "2026-09.r1", WHY),
        lambda: release_diff.diff(ws.home, "2026-09.r1", "2026-09.r2"),
        lambda: reproduce.reproduce(ws.home, "2026-09.r1"),
        lambda: trust.lines(ws.home),
    ]
    for act in acts:
        with pytest.raises(ReleaseError, match="line 3 is not signed with a key of ours"):
            act()
    assert shown(ws) == before
    assert len(tampering.read_ledger(ws.home.published)) == 3


def test_a_ledger_that_was_cut_is_not_gone_on_with(ws: Workspace) -> None:
    file = ledger.ledger_path(ws.home)
    whole = file.read_bytes()
    file.write_bytes(whole.splitlines(keepends=True)[0])
    shutil.rmtree(ws.home.published / "2026-09" / "r2")
    with pytest.raises(ReleaseError, match=r"if an older state is meant, delete .*ledger\.head"):
        decide(ws)
    ledger_head.path(ws.home).unlink()  # a backup of before was restored
    assert decide(ws).sequence == 2


def test_a_publisher_that_died_between_a_line_and_its_note_goes_on(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = ledger_head.noted(ws.home)
    monkeypatch.setattr(ledger_head, "note", lambda *_: None)
    decide(ws)
    monkeypatch.undo()
    assert ledger_head.noted(ws.home) == noted
    assert decide(ws).sequence == 4
    assert ledger_head.noted(ws.home) == ledger.head(trust.lines(ws.home))


def test_a_home_of_before_the_note_is_taken_as_it_is_once(ws: Workspace) -> None:
    ledger_head.path(ws.home).unlink()
    assert publish(ws, 88).unchanged
    assert ledger_head.noted(ws.home) == ledger.head(trust.lines(ws.home))
    ledger_head.path(ws.home).unlink()
    tampering.roll_back(ws.home.published)
    with pytest.raises(ReleaseError, match="line 3 is not signed"):
        publish(ws, 88)


# --- folders --------------------------------------------------------------------------------


def forged(ws: Workspace) -> Path:
    folder = ws.home.published / "2026-09" / "r3"
    shutil.copytree(ws.home.published / "2026-09" / "r2", folder)
    tampering.alter(folder)
    head = ledger.head(trust.lines(ws.home))
    tampering.reseal(folder, release="2026-09.r3", number=3, after=head)
    return folder


def test_a_release_that_we_did_not_sign_is_not_adopted(ws: Workspace, tmp_path: Path) -> None:
    before = ledger.ledger_path(ws.home).read_bytes()
    folder = forged(ws)
    told = r"2026-09/r3: not in the ledger and not intact \(release.json or its signature was"
    with pytest.raises(ReleaseError, match=told):
        decide(ws)
    tampering.sign(folder, tmp_path / "other.minisign")
    assert "2026-09/r3: the ledger does not name it" in problems(ws)
    with pytest.raises(ReleaseError, match=told):
        publish(ws, 84)
    assert ledger.ledger_path(ws.home).read_bytes() == before
    assert shown(ws)[0][0] == "2026-09.r2"


def test_a_copy_of_a_release_is_not_adopted_as_another(ws: Workspace) -> None:
    shutil.copytree(ws.home.published / "2026-09" / "r2", ws.home.published / "2026-09" / "r3")
    with pytest.raises(ReleaseError, match="not made to follow the last line of the ledger"):
        decide(ws)


def test_what_we_sealed_once_and_never_published_does_not_come_back_later(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied_and_killed(step: str) -> None:
        if step == "synced":
            (staged,) = ws.home.published.glob(".staging/*/first")
            shutil.copytree(staged, tmp_path / "kept")
            raise KeyboardInterrupt

    monkeypatch.setattr(release, "reached", copied_and_killed)
    with pytest.raises(KeyboardInterrupt):
        publish(ws, 84)
    monkeypatch.undo()
    folder = ws.home.published / "2026-09" / "r3"
    shutil.copytree(tmp_path / "kept", folder)
    later = tmp_path / "later"
    shutil.copytree(ws.home.root, later, symlinks=True)
    release.mend(ws.home)  # just so a publisher dies that had moved it
    assert ledger.latest(ws.home, MONTH).number == 3  # type: ignore[union-attr]
    shutil.rmtree(later / "published/2026-09/r3")
    other = Workspace(ws.company, ws.data, Home(later))
    decide(other)
    shutil.copytree(tmp_path / "kept", later / "published/2026-09/r3")
    with pytest.raises(ReleaseError, match="not made to follow the last line of the ledger"):
        release.mend(other.home)


def test_a_release_and_its_list_altered_together_are_of_no_use(ws: Workspace) -> None:
    folder = ws.home.published / "2026-09" / "r1"
    tampering.alter(folder)
    tampering.reseal(folder)
    told = r"published/2026-09/r1: not intact: release.json or its signature was changed"
    with pytest.raises(ReleaseError, match=told):
        rollback.rollback(ws.home, "2026-09.r1", WHY)
    with pytest.raises(ReleaseError, match=told):
        release_diff.diff(ws.home, "2026-09.r1", "2026-09.r2")
    with pytest.raises(ReleaseError, match=told):
        reproduce.reproduce(ws.home, "2026-09.r1")
    assert shown(ws)[0][0] == "2026-09.r2"
    assert len(tampering.read_ledger(ws.home.published)) == 2


def test_a_signature_of_another_key_of_published_counts_for_nothing(
    ws: Workspace, tmp_path: Path
) -> None:
    folder = ws.home.published / "2026-09" / "r1"
    tampering.alter(folder)
    tampering.reseal(folder)
    tampering.sign(folder, tmp_path / "other.minisign")
    with pytest.raises(ReleaseError, match=r"release\.json or its signature was changed"):
        rollback.rollback(ws.home, "2026-09.r1", WHY)


def test_changes_are_not_counted_from_tables_that_were_altered(ws: Workspace) -> None:
    tampering.alter(ws.home.published / "2026-09" / "r2")
    with pytest.raises(ReleaseError, match=r"r2: not intact: file parquet/scorecard_manager_mon"):
        publish(ws, 84)


def test_altered_tables_of_another_month_are_not_shown_to_bi(ws: Workspace) -> None:
    october = MONTH.plus(1)
    for source, streams in (("hr", {"hr_roster": ROSTER}), ("calls", {"calls": CALLS})):
        small.land(ws.home, source, streams, october)
    tampering.alter(ws.home.published / "2026-09" / "r2")
    with pytest.raises(ReleaseError, match="2026-09/r2: not intact"):
        publish(ws, 80, october)
    assert list(ws.home.published.glob("2026-10/*")) == []


def test_a_rollback_shows_no_database_that_was_laid_ready(ws: Workspace) -> None:
    rollback.rollback(ws.home, "2026-09.r1", WHY)
    first = (ws.home.published / "current").resolve()
    rollback.rollback(ws.home, "2026-09.r2", WHY)
    tampering.unlock(first)
    with warehouse.connect(first / "scorecards.duckdb") as con:
        con.execute("update scorecard_manager_months set total_score = 120")
    rollback.rollback(ws.home, "2026-09.r1", WHY)
    assert shown(ws) != [("2026-09.r1", 120.0)]
    assert problems(ws) == ""


def test_nothing_is_delivered_by_a_ledger_that_we_did_not_write(ws: Workspace) -> None:
    tampering.roll_back(ws.home.published)
    from test_deliver import to

    inbox = ws.data / "inbox"
    inbox.mkdir()
    with pytest.raises(ReleaseError, match="line 3 is not signed"):
        deliver.deliver(to(ws, url=str(inbox)), MONTH)
    assert list(inbox.iterdir()) == []
