"""Releases listed, compared and rolled back: a line of the ledger, and every target follows."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import publish_in_child as child
import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from expectations import gate
from perfhouse import (
    cli,
    deliver,
    ledger,
    months,
    notice_cards,
    notices,
    page_states,
    release,
    release_diff,
    release_files,
    release_list,
    release_manifest,
    release_shown,
    signing,
    stages,
    verify,
    warehouse,
)  # fmt: skip
from perfhouse.company_exports import read_receivers
from perfhouse.company_notices import Channel
from perfhouse.config_reader import Table
from perfhouse.errors import ConfigError, GateFailed, MonthClosed, ReleaseError
from perfhouse.month import Month
from perfhouse.restatement import Reason
from perfhouse.stages import Workspace

WHY = Reason("The correction was of another team", "Head of service")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_expect", child.everything_passes)
    monkeypatch.setattr(release_files, "stage_cards", child.plain_cards)


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    home = small.home(tmp_path / "home")
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "calls", {"calls": CALLS})
    company = small.company(tmp_path / "company", small.source("hr"), small.source("calls"))
    return Workspace(company, tmp_path, home)


def publish(
    ws: Workspace, csat: int, month: Month = MONTH, reason: Reason | None = None
) -> release.Release:
    small.build(ws.home, month, csat=csat)
    child.judge(ws.home, ws.company, month)
    return release.publish(ws.company, ws.home, month, reason=reason)


def back(ws: Workspace, to: str) -> release.Release:
    return stages.rollback(ws, to, WHY, lambda _: None)


def seen(ws: Workspace) -> tuple[str, str, float]:
    """Return the release that the link's database, its files and its numbers show."""
    published = ws.home.published
    folder = release_shown.months(published)[MONTH.key]
    with warehouse.connect(published / "scorecards.duckdb", read_only=True) as con:
        row = con.execute(
            "select r.release, k.value::double from releases as r "
            "join scorecard_kpi_months as k using (month) "
            "where k.manager_id = 'M1' and k.kpi_id = 'csat_rate'"
        ).fetchone()
    assert row is not None
    shown = release_manifest.read_manifest(folder)["release"]
    return row[0], shown, row[1]


def states(ws: Workspace) -> dict[str, str]:
    return {each.release: each.state for each in release_list.releases(ws.company, ws.home)}


def test_a_rollback_shows_the_earlier_release_everywhere_and_is_signed(ws: Workspace) -> None:
    first = publish(ws, 82)
    second = publish(ws, 88)
    assert seen(ws) == ("2026-09.r2", "2026-09.r2", 0.88)
    before = ledger.ledger_path(ws.home).read_bytes()
    assert back(ws, "2026-09.r1") == first
    assert seen(ws) == ("2026-09.r1", "2026-09.r1", 0.82)
    after = ledger.ledger_path(ws.home).read_bytes()
    assert after.startswith(before)
    line = json.loads(after[len(before) :])
    assert line["kind"] == "rolled_back"
    assert (line["who"], line["why"]) == (WHY.by, WHY.reason)
    assert line["what"]["instead_of"] == second.name
    assert release.latest(ws.home, MONTH) == first
    assert states(ws) == {"2026-09.r1": "provisional", "2026-09.r2": "withdrawn"}
    keys = signing.public_keys([], ws.home.published)
    assert verify.verify(ws.home.published, None, keys).problems == ()
    with pytest.raises(ConfigError, match=r"expected another release than 2026-09\.r1"):
        back(ws, "2026-09.r1")
    with pytest.raises(ConfigError, match=r"expected one of 2026-09\.r1, 2026-09\.r2; got"):
        back(ws, "2026-09.r3")
    assert back(ws, "2026-09.r2") == second
    assert seen(ws) == ("2026-09.r2", "2026-09.r2", 0.88)
    assert states(ws) == {"2026-09.r1": "superseded", "2026-09.r2": "provisional"}


def accounted(ws: Workspace, csat: int) -> release.Release:
    """Publish, and write the operations page as `stages.publish` does."""
    released = publish(ws, csat)
    with warehouse.connect(ws.home.warehouse) as con:
        con.execute("alter table kpis.kpi_definitions add column if not exists fact varchar")
    stages._account(ws, released)
    return released


def plain(page: str) -> str:
    """Return the English of a page as text."""
    text = re.sub(r"<i lang=zh>.*?</i>|<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


@pytest.mark.nightly
def test_what_readers_open_and_what_operators_read_follow_a_rollback(ws: Workspace) -> None:
    accounted(ws, 82)
    accounted(ws, 88)
    folder, current = ws.home.operations, ws.home.published / "current" / MONTH.key
    before = {page.name: page.read_text("utf-8") for page in sorted(folder.iterdir())}
    assert sorted(before) == ["2026-09.r1.html", "2026-09.r2.html", "index.html"]
    assert "Superseded : readers see 2026-09.r2" in plain(before["2026-09.r1.html"])
    assert "It stands : this is what readers see" in plain(before["2026-09.r2.html"])
    back(ws, "2026-09.r1")
    assert (current / "cards" / "M1.html").read_text("utf-8") == "<p>M1 2026-09.r1</p>"
    after = {page.name: page.read_text("utf-8") for page in sorted(folder.iterdir())}
    first, second = plain(after["2026-09.r1.html"]), plain(after["2026-09.r2.html"])
    assert f"It stands : this is what readers see · decided by {WHY.by}: {WHY.reason}" in first
    assert "Withdrawn : since a rollback readers see 2026-09.r1" in second
    listed = plain(after["index.html"])
    assert "2026-09.r1 stands provisional 2026-09 20" in listed
    assert f"{WHY.by}: {WHY.reason} 2026-09.r2 withdrawn 2026-09 20" in listed
    for name in ("2026-09.r1.html", "2026-09.r2.html"):
        kept = [page_states._STATE.sub("", text[name]) for text in (before, after)]
        assert kept[0] == kept[1], "what was landed and built is told as it was"
    assert [p.name for p in folder.iterdir() if p.suffix == ".new"] == []


def test_a_page_that_cannot_be_written_undoes_no_rollback(ws: Workspace) -> None:
    publish(ws, 82)
    publish(ws, 88)
    ws.home.operations.parent.mkdir(parents=True)
    ws.home.operations.write_text("in the way", encoding="utf-8")
    back(ws, "2026-09.r1")
    assert seen(ws)[0] == "2026-09.r1"


def test_whose_card_is_unchanged_hears_nothing_of_later_releases(ws: Workspace) -> None:
    """A build answers M1 as it is told to; M2 is always the same."""

    def news() -> dict[str, tuple[str, str]]:
        lines = ledger.lines(ledger.ledger_path(ws.home))
        entry = ledger.standing(lines)[MONTH.key]
        read = notice_cards.read(ws.company, ws.home, lines, entry)
        return {who: (each.subject, each.kind) for who, each in read.news.items()}

    publish(ws, 82)
    first = {"M1": ("2026-09.r1", "ready"), "M2": ("2026-09.r1", "ready")}
    assert news() == first
    publish(ws, 88)
    assert news() == {**first, "M1": ("2026-09.r2", "updated")}
    back(ws, "2026-09.r1")
    (undone,) = (n for n in news().values() if n[1] == "corrected")
    assert news() == {**first, "M1": undone}
    assert undone[0].startswith("2026-09.r1 again ")
    publish(ws, 85)
    assert news() == {**first, "M1": ("2026-09.r3", "updated")}
    published = months.closes_on(ws.company, MONTH)
    days = [published + timedelta(days=n) for n in (-1, 0, 5, 6)]
    opened = [notice_cards.open_months(ws.company, ws.home, day) for day in days]
    assert opened == [[], [MONTH], [MONTH], []]


def test_managers_hear_that_an_earlier_release_stands_again(ws: Workspace) -> None:
    channel = Channel("group", "slack", "nowhere", ("cards",))
    told = replace(ws, company=replace(ws.company, notices=(channel,)))

    def keys() -> list[str]:
        found = [n for n in notices._due(told, MONTH, None) if n.event == "cards"]
        return [message.key for notice in found for message in notices.messages(channel, notice)]

    publish(ws, 82)
    first = keys()
    publish(ws, 88)
    back(ws, "2026-09.r1")
    again = keys()
    assert keys() == again != first


def test_what_was_withdrawn_does_not_come_back_by_itself(ws: Workspace) -> None:
    publish(ws, 82)
    publish(ws, 88)
    back(ws, "2026-09.r1")
    with pytest.raises(MonthClosed, match=r"withdrawn as 2026-09\.r2, 2026-09\.r1 stands"):
        publish(ws, 88)
    assert seen(ws)[0] == "2026-09.r1"
    assert publish(ws, 82).unchanged
    third = publish(ws, 88, reason=WHY)
    said = release.describe(third)
    assert (third.name, said["follows"]) == ("2026-09.r3", "2026-09.r1")
    assert said["restatement"] == {"reason": WHY.reason, "by": WHY.by}
    assert states(ws)["2026-09.r2"] == "withdrawn"
    with pytest.raises(MonthClosed, match=r"2026-09\.r3 stands"):  # what was restated is closed
        publish(ws, 84)
    assert publish(ws, 84, reason=WHY).name == "2026-09.r4"


@pytest.mark.nightly
def test_a_later_month_waits_until_what_was_withdrawn_is_built_anew(ws: Workspace) -> None:
    october = MONTH.plus(1)
    publish(ws, 82)
    small.land(ws.home, "calls", {"calls": f"{CALLS} limit 90"})
    publish(ws, 88)
    for source, streams in (("hr", {"hr_roster": ROSTER}), ("calls", {"calls": CALLS})):
        small.land(ws.home, source, streams, october)
    back(ws, "2026-09.r1")
    with pytest.raises(GateFailed, match=r"2026-09 was rolled back to 2026-09\.r1"):
        publish(ws, 80, october)
    small.land(ws.home, "calls", {"calls": CALLS})
    assert publish(ws, 82).unchanged
    assert publish(ws, 80, october).name == "2026-10.r1"
    assert months.state(ws.company, ws.home, MONTH).status == months.CLOSED


def test_hr_gets_the_rows_that_go_back(ws: Workspace, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    said = {"hr": [{"url": str(inbox), "plain": True, "formats": ["csv"]}]}
    problems: list[str] = []
    found = read_receivers(ws.company.folder, Table({"exports": said}, "t: ", problems), ("A", "B"))
    assert problems == []
    ws = replace(ws, company=replace(ws.company, receivers=found))

    def send(answer: bool = True) -> str:
        (event,) = deliver.deliver(ws, MONTH)
        if answer:
            told = {"sha256": event.sha256, "rows": event.rows, "status": "accepted"}
            (inbox / f"{event.delivery}.ack").write_text(json.dumps(told), encoding="utf-8")
        return event.delivery

    publish(ws, 82)
    assert send() == "hr_manager_months_2026-09.r1"
    publish(ws, 88)
    assert send() == "hr_manager_months_2026-09.r2.since.2026-09.r1"
    back(ws, "2026-09.r1")
    name = send()
    assert name == "hr_manager_months_2026-09.r1.since.2026-09.r2"
    text = (inbox / name / "hr_manager_months_2026-09.csv").read_text("utf-8-sig")
    (row,) = csv.DictReader(text.splitlines())
    assert (row["employee_number"], row["total_score"], row["row_change"]) == (
        "M1", "87.500000", "changed",
    )  # fmt: skip
    assert deliver.deliver(ws, MONTH) == []
    publish(ws, 84)
    assert send(answer=False) == "hr_manager_months_2026-09.r3.since.2026-09.r1"
    back(ws, "2026-09.r1")  # nobody knows whether HR took r3: all of r1 fits both
    assert send() == "hr_manager_months_2026-09.r1.2"


def test_a_release_that_was_changed_is_not_rolled_back_to(ws: Workspace) -> None:
    first = publish(ws, 82)
    publish(ws, 88)
    file = first.path / "cards" / "M1.html"
    file.chmod(0o644)
    file.write_text("x", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"2026-09/r1: not intact: file cards/M1\.html"):
        back(ws, "2026-09.r1")
    assert seen(ws)[0] == "2026-09.r2"
    assert len(ledger.lines(ledger.ledger_path(ws.home))) == 2


def test_the_commands_list_compare_and_roll_back(
    ws: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "open_workspace", lambda *_: ws)
    publish(ws, 82)
    publish(ws, 88)
    home, table = str(ws.home.root), ws.data / "diff.csv"
    assert cli.main(["diff", "2026-09.r1", "2026-09.r2", "--home", home, "--csv", str(table)]) == 0
    said = capsys.readouterr().out
    assert "M1: " in said
    assert "csat_rate: " in said
    value = "M1 csat_rate: scorecard_kpi_months M1, csat_rate value (changed): 0.820000 -> 0.880000"
    assert value in said
    assert "王" not in said + table.read_text("utf-8-sig")
    rows = list(csv.DictReader(table.read_text("utf-8-sig").splitlines()))
    assert len(rows) == len(release_diff.diff(ws.home, "2026-09.r1", "2026-09.r2").cells)
    assert said.startswith(f"2026-09.r1 -> 2026-09.r2: {len(rows)} values differ")
    words = ["--to", "r1", "--reason", WHY.reason]
    assert cli.main(["rollback", "2026-09", *words, "--by", " "]) == ConfigError.exit_code
    assert cli.main(["rollback", "2026-08", "--to", "2026-09.r1", *words[2:], "--by", "HR"]) == 2
    assert cli.main(["rollback", "2026-09", *words, "--by", "HR"]) == 0
    assert "release 2026-09.r1: stands" in capsys.readouterr().out
    assert cli.main(["releases"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith("* 2026-09.r1   provisional")
    assert "by HR" in listed[0]
    assert WHY.reason in listed[1]
    assert cli.main(["releases", "--json", "--month", "2026-09"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["is_current"] for each in found] == [True, False]
    assert [each["is_shown"] for each in found] == [True, False]
    assert all(len(each["inputs_sha256"]) == len(each["merkle_root"]) == 64 for each in found)


def test_rows_that_came_and_went_are_told_apart_and_nothing_else_differs(ws: Workspace) -> None:
    publish(ws, 82)
    small.build(ws.home, csat=82)
    with warehouse.connect(ws.home.warehouse) as con:
        table = "scorecards.scorecard_explanations"
        columns = "month, manager_id, kpi_id, kpi_version, sentence_en"
        con.execute(
            f"insert into {table} ({columns}) values (?, 'M2', 'k', 1, '=x')", [MONTH.start]
        )
        con.execute("delete from scorecards.scorecard_team_months where manager_id = 'M2'")
    child.judge(ws.home, ws.company, MONTH)
    release.publish(ws.company, ws.home, MONTH)
    found = release_diff.diff(ws.home, "2026-09.r1", "2026-09.r2")
    assert {(c.table_name, c.row_key, c.change) for c in found.cells} == {
        ("scorecard_explanations", "M2, k", "added"),
        ("scorecard_team_months", "T1, M2, csat_rate", "removed"),
        ("scorecard_team_months", "T1, M2, reopen_rate", "removed"),
    }
    words = [c for c in found.cells if c.column_name == "sentence_en"]
    assert [(c.before, c.after) for c in words] == [(None, "=x")]
    release_diff.write_csv(found, ws.data / "d.csv")
    assert "'=x" in (ws.data / "d.csv").read_text("utf-8-sig")
    other = release_diff.diff(ws.home, "2026-09.r2", "2026-09.r2")
    assert (other.cells, other.notes) == ((), ())
