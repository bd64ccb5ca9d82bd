"""What a person takes on: bound to what was found, signed, shown, and never what guards people."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import publish_in_child as child
import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from connectors.streams import STREAMS
from expectations import acceptance, data_docs, gate
from expectations.rules import Rule
from perfhouse import (
    cli,
    hashing,
    ledger,
    release,
    release_files,
    signing,
    stages,
    verify,
    warehouse,
)
from perfhouse.company_types import Company
from perfhouse.errors import ConfigError, GateFailed, ReleaseError
from perfhouse.restatement import Reason
from perfhouse.settings import Home

FLOOD = {"rows_read": 110, "rows_in": 110, "quarantined": 10, "reasons": {"ended_at: no date": 10}}
WHY = Reason("The gateway was down for a day; its calls are lost", "Head of service")
CYCLE = ROSTER.replace("('M1', 'cs_manager', null)", "('M1', 'cs_manager', 'M2')")


def by_their_queries(scratch: Path, rules: Sequence[Rule]) -> dict[str, bool]:
    """Judge rules by the queries that name offenders; that Great Expectations agrees is tested."""
    with warehouse.connect(scratch, read_only=True) as con:
        return {rule.id: not con.execute(rule.failing()).fetchall() for rule in rules}


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_expect", by_their_queries)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return small.home(tmp_path / "home")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return small.company(tmp_path / "company", small.source("hr"), small.source("calls"))


def raw(home: Home, company: Company) -> gate.Verdict:
    return gate.run("raw", home, company, MONTH, streams=STREAMS)


def flooded(home: Home, company: Company, **counts: object) -> None:
    """Land a month of which a tenth of the calls is in quarantine; the gate stops it."""
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "calls", {"calls": CALLS}, **{**FLOOD, **counts})
    with pytest.raises(GateFailed, match="quarantine_share"):
        raw(home, company)


def quarantine(verdict: gate.Verdict) -> gate.Check:
    return next(check for check in verdict.checks if check.id == "quarantine_share")


def test_a_quarantine_taken_on_lets_the_month_go_on_and_is_shown_everywhere(
    home: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    flooded(home, company)
    line = stages.accept(home, MONTH, "raw", "quarantine_share", WHY, "2026-10-02")
    assert (line.kind, line.who, line.why, line.at) == (
        "accepted",
        WHY.by,
        WHY.reason,
        "2026-10-02",
    )
    assert line.what["observed"] == "9.09% at most (calls of calls)"
    kept = gate.verdict(home, MONTH, "raw")
    assert kept is not None
    assert kept.passed
    assert quarantine(kept).accepted_by == "Head of service"
    assert not quarantine(kept).passed, "it is accepted, not right"
    small.build(home)
    assert raw(home, company) == kept, "a gate that is asked again finds what was accepted"
    monkeypatch.setattr(gate, "_expect", child.everything_passes)
    for name in ("facts", "scorecards"):
        if name in gate.GATES:
            gate.run(name, home, company, MONTH, streams=STREAMS)
    released = release.publish(company, home, MONTH)
    with warehouse.connect(released.path / release_files.DATABASE, read_only=True) as con:
        rows = con.execute(
            "select check_id, accepted_by, accepted_reason from gate_verdicts "
            "where accepted_by <> ''"
        ).fetchall()
    assert rows == [("quarantine_share", WHY.by, WHY.reason)]
    assert release.describe(released)["gates"]["raw"]["accepted"] == ["quarantine_share"]
    card = (released.path / "cards" / "M1.html").read_text("utf-8")
    assert re.search(r"quarantine_share: .*Head of service", card)
    found = verify.verify(home.published, None, signing.public_keys([], home.published))
    assert found.problems == ()


def test_another_delivery_needs_another_acceptance(home: Home, company: Company) -> None:
    flooded(home, company)
    stages.accept(home, MONTH, "raw", "quarantine_share", WHY)
    assert raw(home, company).passed
    small.land(home, "calls", {"calls": f"{CALLS} limit 99"}, **{**FLOOD, "rows_in": 109,
               "rows_read": 109})  # fmt: skip
    with pytest.raises(GateFailed, match="quarantine_share"):
        raw(home, company)


def test_a_warning_taken_on_is_no_longer_to_read(home: Home, company: Company) -> None:
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "calls", {"calls": CALLS}, late_rows={"2026-08": 3})
    assert any("late_rows" in warning for warning in raw(home, company).warnings)
    stages.accept(home, MONTH, "raw", "late_rows", WHY)
    verdict = raw(home, company)
    assert not any("late_rows" in warning for warning in verdict.warnings)
    assert [check.id for check in verdict.accepted] == ["late_rows"]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("roster_is_a_tree", "critical and cannot be accepted, only mended"),
        ("quarantine_share", "expected one that failed in gate raw of 2026-09 (roster_is_a_tree"),
        ("no_such_check", "got 'no_such_check'"),
    ],
)
def test_what_cannot_be_accepted_is_refused_and_leaves_no_line(
    home: Home, company: Company, check: str, said: str
) -> None:
    small.land(home, "hr", {"hr_roster": CYCLE})
    small.land(home, "calls", {"calls": CALLS})
    with pytest.raises(GateFailed):
        raw(home, company)
    with pytest.raises(ConfigError, match=re.escape(said)):
        stages.accept(home, MONTH, "raw", check, WHY)
    assert not ledger.ledger_path(home).exists()


def test_nothing_that_guards_people_or_what_leaves_the_house_may_be_accepted() -> None:
    def check(id: str) -> gate.Check:
        return gate.Check(id, "", "", "critical", passed=False, observed="")

    assert {gate for gate, _ in acceptance.ACCEPTABLE} == {"raw"}
    for name in ("people_known", "hr_roster_hashed", "roster_is_a_tree", "source_delivered"):
        assert not acceptance.may_accept("raw", check(name))
    for name in ("no_contacts", "nothing_personal", "hr_columns", "quarantine_share"):
        assert not acceptance.may_accept("exports", check(name))


def test_an_acceptance_that_our_key_did_not_sign_counts_for_nothing(
    home: Home, company: Company
) -> None:
    flooded(home, company)
    stages.accept(home, MONTH, "raw", "quarantine_share", WHY)
    file = ledger.ledger_path(home)
    said = json.loads(file.read_bytes())
    body = {k: v for k, v in said.items() if k not in ("entry_sha256", "signature")}
    body["who"] = "Somebody else"
    file.write_bytes(
        hashing.canonical_json({**body, "entry_sha256": hashing.sha256_of(body)}) + b"\n"
    )
    with pytest.raises(GateFailed, match="quarantine_share"):
        raw(home, company)
    file.write_bytes(file.read_bytes().replace(b"Somebody", b"Nobody  "))
    with pytest.raises(GateFailed, match="gate_ran"):  # a ledger that does not hold
        raw(home, company)
    with pytest.raises(ReleaseError):
        ledger.entries(home)


def test_a_release_is_made_again_with_what_was_accepted_before_it(
    home: Home, company: Company, tmp_path: Path
) -> None:
    flooded(home, company)
    line = stages.accept(home, MONTH, "raw", "quarantine_share", WHY)
    other = small.home(tmp_path / "other")
    flooded(other, company)
    acceptance.carry(home, other, before=line.sequence)
    with pytest.raises(GateFailed):
        raw(other, company)
    acceptance.carry(home, other, before=line.sequence + 1)
    assert quarantine(raw(other, company)).accepted_by == WHY.by


def test_the_command_line_says_what_to_do_next(
    home: Home, company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    flooded(home, company)
    words = ["accept", "--month", MONTH.key, "--gate", "raw", "--check", "quarantine_share"]
    words += ["--home", str(home.root)]
    with pytest.raises(SystemExit):
        cli.main([*words, "--by", "HR"])
    assert cli.main([*words, "--by", " ", "--reason", "x"]) == 2
    assert cli.main([*words, "--by", "HR", "--reason", "A known outage"]) == 0
    assert "line 1 of the ledger: accepted" in capsys.readouterr().out
    assert cli.main([*words, "--by", "HR", "--reason", "Again"]) == 2
    assert "quarantine_share is accepted by HR" in capsys.readouterr().err


def test_a_loss_that_was_let_land_is_on_record_once(home: Home) -> None:
    landed = small.land(home, "calls", {"calls": CALLS})
    ws = stages.Workspace.__new__(stages.Workspace)
    object.__setattr__(ws, "home", home)
    for _ in range(2):
        assert stages._with_loss(ws, landed, WHY) == landed
    assert stages._with_loss(ws, landed, None) == landed
    (line,) = ledger.lines(ledger.ledger_path(home))
    assert isinstance(line, ledger.Record)
    assert line.what == {
        "month": "2026-09", "source": "calls", "check": "max_loss",
        "archive_sha256": landed.archive_sha256,
    }  # fmt: skip
    stages._with_loss(ws, replace(landed, archive_sha256="1" * 64), WHY)
    assert len(ledger.lines(ledger.ledger_path(home))) == 2


# --- Data Docs ------------------------------------------------------------------------------


def test_data_docs_show_every_check_and_ask_no_other_server(home: Home, company: Company) -> None:
    flooded(home, company)
    stages.accept(home, MONTH, "raw", "quarantine_share", WHY)
    index = data_docs.rebuild(home)
    text, page = index.read_text("utf-8"), (index.parent / "2026-09/raw.html").read_text("utf-8")
    assert '<a href="2026-09/raw.html">通过 passed' in text
    kept = gate.verdict(home, MONTH, "raw")
    assert kept is not None
    assert all(check.title_zh in page and check.id in page for check in kept.checks)
    assert "accepted by Head of service" in page
    assert "reason=ended_at: no date" in page
    for each in (text, page):
        assert "default-src 'none'" in each
        assert not re.search(r"https?://|<script|<img|<link|url\(", each)
    before = page.encode()
    data_docs.rebuild(home)
    assert (index.parent / "2026-09/raw.html").read_bytes() == before, "no clock, no chance"
    assert index.parent.stat().st_mode & 0o077 == 0, "keys of rows are not for other accounts"


def test_what_a_source_sent_is_text_in_data_docs(home: Home) -> None:
    bad = "<script>alert('x')</script>$id"
    check = gate.Check("c", bad, bad, "critical", passed=False, observed=bad, threshold=bad,
                       failing_keys=(bad,), accepted_by=bad, accepted_reason=bad)  # fmt: skip
    gate.keep(home, gate.Verdict("raw", "2026-09", "2026-09", "0", passed=True, checks=(check,)))
    data_docs.rebuild(home)
    page = (home.data_docs / "2026-09/raw.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
