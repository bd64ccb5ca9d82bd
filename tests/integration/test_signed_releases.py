"""HR's signature: a final release goes out when an approver signed exactly its content."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import publish_in_child as child
import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from expectations import gate
from perfhouse import (
    cli,
    ledger,
    processed,
    release,
    release_files,
    release_list,
    report,
    sign_off,
    sign_off_answer,
    sign_off_form,
    sign_off_request,
    signing,
    stages,
    verify,
)
from perfhouse.company_sign_off import SignOff
from perfhouse.company_types import Company
from perfhouse.errors import ConfigError, NotSignedOff
from perfhouse.restatement import Reason
from perfhouse.settings import Home
from perfhouse.stages import Workspace

OCTOBER = MONTH.plus(1)
WHO = SignOff(("hr.lead", "hr.second"), ("hr.deputy",), 72.0, 24.0)
WHY = Reason("The survey desk sent late answers", "HR.Lead")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_expect", child.everything_passes)
    monkeypatch.setattr(release_files, "stage_cards", child.plain_cards)
    monkeypatch.setattr(stages, "_document", lambda *_: None)
    monkeypatch.setattr(stages, "_account", lambda *_: None)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = small.home(tmp_path / "home")
    for month in (MONTH, OCTOBER):  # so September has closed
        small.land(made, "hr", {"hr_roster": ROSTER}, month)
        small.land(made, "calls", {"calls": CALLS}, month)
    small.build(made)
    return made


@pytest.fixture
def company(home: Home, tmp_path: Path) -> Company:
    made = small.company(tmp_path / "company", small.source("hr"), small.source("calls"))
    return replace(made, sign_off=WHO)


@pytest.fixture
def ws(home: Home, company: Company, tmp_path: Path) -> Workspace:
    child.judge(home, company, MONTH)
    return Workspace(company, tmp_path, home)


def rebuild(ws: Workspace) -> None:
    small.build(ws.home, csat=88)
    child.judge(ws.home, ws.company, MONTH)


def publish(ws: Workspace, reason: Reason | None = None) -> release.Release:
    return stages.publish(ws, MONTH, reason=reason, progress=str)


def asked(ws: Workspace) -> sign_off_request.Request:
    found = sign_off_request.read(ws.home, MONTH)
    assert found is not None
    return found


def sign(ws: Workspace, by: str, said: str = "Read and right", *, yes: bool = True) -> None:
    sign_off_answer.answer(ws, asked(ws), by, said, is_approved=yes, at="2026-10-08")


def lines(home: Home) -> Sequence[ledger.Line]:
    return ledger.lines(ledger.ledger_path(home))


def verified(home: Home) -> tuple[str, ...]:
    keys = signing.public_keys([], home.published)
    return verify.verify(home.published, None, keys).problems


def months(ws: Workspace) -> list[str]:
    told: list[str] = []
    report.months(ws.home, ws.company, told.append)
    return told


def later(ws: Workspace, hours: float) -> None:
    """Let a request be as old as that, by the disk's clock."""
    sign_off_request.keep(ws.home, replace(asked(ws), asked_at=asked(ws).asked_at - hours * 3600))


def test_a_final_release_waits_for_the_signature_and_then_goes_out_to_the_byte(
    ws: Workspace,
) -> None:
    with pytest.raises(NotSignedOff, match="nothing was published") as stopped:
        publish(ws)
    assert (stopped.value.exit_code, stopped.value.who) == (10, "approver of the sign-off")
    assert release.latest(ws.home, MONTH) is None
    assert not list((ws.home.published / ".staging").iterdir())
    assert stages.ask(ws, MONTH) == asked(ws), "the question stays as it was, with its deadline"
    stop = processed.noted(ws.home, MONTH, processed.STOPPED)
    assert stop is not None
    assert stop.gate == processed.UNSIGNED, "nobody takes it for work that was lost"
    waits = asked(ws)
    assert waits.content.release_sha256[:12] in str(stopped.value)
    sign(ws, "hr.lead")
    first = publish(ws)
    assert first.sha256 == waits.content.release_sha256, "what was signed is what went out"
    assert sign_off_request.read(ws.home, MONTH) is None
    signature, entry = lines(ws.home)
    assert isinstance(signature, ledger.Record)
    assert (signature.kind, signature.who, signature.at) == ("sign_off", "hr.lead", "2026-10-08")
    assert signature.what["as"] == "approver"
    assert release.describe(first)["sign_off"] == {"line": signature.entry_sha256}
    assert verified(ws.home) == ()
    assert publish(ws).unchanged, "and the same again asks nobody"
    assert stages.ask(ws, MONTH) is None
    assert lines(ws.home)[-1] == entry


def test_a_signature_is_void_for_other_content_which_is_asked_anew(ws: Workspace) -> None:
    with pytest.raises(NotSignedOff):
        publish(ws)
    before = asked(ws).content
    sign(ws, "hr.second")
    rebuild(ws)
    void = r"what hr\.second signed \(\w{12}\) is void, for the content has changed"
    with pytest.raises(NotSignedOff, match=void):
        publish(ws)
    assert release.latest(ws.home, MONTH) is None
    after = asked(ws)
    assert after.content != before
    assert after.state == sign_off_request.OPEN
    with pytest.raises(ConfigError, match="the hash of what is asked now"):
        sign_off_answer.asked(ws, MONTH, before.release_sha256[:12])
    sign(ws, "hr.lead")
    assert publish(ws).sha256 == after.content.release_sha256


def test_a_refusal_stops_the_month_with_its_reason_until_somebody_signs(ws: Workspace) -> None:
    with pytest.raises(NotSignedOff):
        publish(ws)
    sign(ws, "hr.lead", "CSAT of the last week is missing", yes=False)
    with pytest.raises(NotSignedOff, match=r"hr\.lead refused: CSAT of the last week is missing"):
        publish(ws)
    assert release.latest(ws.home, MONTH) is None
    assert verified(ws.home) == (), "a refusal is a line like any other"
    sign(ws, "hr.second")
    sign(ws, "hr.second")
    assert len(lines(ws.home)) == 2, "the same answer twice is one"
    publish(ws)
    assert verified(ws.home) == ()


def test_nobodys_answer_is_a_refusal_on_record_and_takes_no_signature_back(ws: Workspace) -> None:
    with pytest.raises(NotSignedOff):
        publish(ws)
    later(ws, 71.9)
    assert sign_off_answer.expired(ws, asked(ws)).state == sign_off_request.OPEN
    later(ws, 0.2)
    with pytest.raises(ConfigError, match="nobody answered within 72 hours"):
        sign(ws, "hr.lead")
    (refused,) = lines(ws.home)
    assert isinstance(refused, ledger.Record)
    assert (refused.who, refused.what["as"], refused.what["answer"]) == (
        *("nobody", "nobody"),
        "refused",
    )
    with pytest.raises(NotSignedOff, match="nobody answered in time: no answer within 72 hours"):
        publish(ws)
    sign(ws, "hr.lead")  # it was asked again
    assert sign_off_answer.nobody(ws, asked(ws)) is None
    assert asked(ws).state == sign_off.APPROVED
    publish(ws)
    assert verified(ws.home) == ()


def test_a_deputy_answers_after_the_hours_or_when_asked_to_and_a_stranger_never(
    ws: Workspace,
) -> None:
    with pytest.raises(NotSignedOff):
        publish(ws)
    for login, words in (("hr.deputy", "is a deputy and may answer after 24 hours"),
                         ("admin", "expected one of hr.lead, hr.second, hr.deputy")):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            sign(ws, login)
    assert lines(ws.home) == []
    sign_off_answer.hand_over(ws, MONTH)
    sign(ws, "hr.deputy")
    (line,) = lines(ws.home)
    assert isinstance(line, ledger.Record)
    assert line.what["as"] == "deputy"
    rebuild(ws)
    with pytest.raises(NotSignedOff):
        publish(ws)
    with pytest.raises(ConfigError, match="is a deputy"):
        sign(ws, "hr.deputy")
    later(ws, 24)
    sign(ws, "hr.deputy")
    publish(ws)


def test_whoever_decided_on_a_restatement_cannot_sign_it_alone(ws: Workspace) -> None:
    open_month = replace(ws, company=replace(ws.company, sign_off=None))
    first = publish(open_month)
    assert "sign_off" not in release.describe(first), "no [sign_off], no signature"
    rebuild(ws)
    with pytest.raises(NotSignedOff):
        publish(ws, WHY)
    with pytest.raises(ConfigError, match=r"hr\.lead decided on this restatement"):
        sign(ws, "hr.lead")
    sign(ws, "hr.second")
    with pytest.raises(NotSignedOff):  # another answers for it now: not what was signed
        publish(ws, Reason(WHY.reason, "Head of service"))
    second = publish(ws, WHY)
    assert second.name == "2026-09.r2"
    assert verified(ws.home) == ()


def test_a_provisional_release_needs_none_and_the_month_is_signed_when_it_has_closed(
    ws: Workspace,
) -> None:
    early = replace(ws, company=replace(ws.company, close_grace_days=90))
    assert stages.ask(early, MONTH) is None
    first = publish(early)
    assert "sign_off" not in release.describe(first)
    assert verified(ws.home) == ()
    request = stages.ask(ws, MONTH)  # the grace of five days is over
    assert request is not None
    assert "It stands already" in request.form["note"]
    assert publish(ws).unchanged, "nothing new goes out, so nobody is stopped"
    assert "  not signed off: perfhouse sign-off --month 2026-09" in months(ws)
    sign(ws, "hr.lead")
    assert stages.ask(ws, MONTH) is None
    assert not [line for line in months(ws) if "not signed off" in line]
    (listed,) = release_list.releases(ws.company, ws.home)
    assert "    signed off by hr.lead" in release_list.as_text([listed])


def test_verify_finds_a_final_release_without_its_signature(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotSignedOff):
        publish(ws)
    sign(ws, "hr.lead")
    said = release.describe(publish(ws))
    known = list(lines(ws.home))
    number = known[-1].sequence
    assert sign_off.problems(said, known, number) == []
    none = {**said, "sign_off": {"line": None}}
    assert sign_off.problems(none, known, number) == [
        "it needs a sign-off, and the ledger has no line of one"
    ]
    other = {**said, "release_sha256": "0" * 64}
    assert sign_off.problems(other, known, number) == [
        "line 1 of the ledger is no approval of what was released"
    ]
    assert sign_off.problems(said, known, 0) == [
        "line 1 of the ledger signed it after it had gone out"
    ]
    name = said["release"]
    keys = signing.public_keys([], ws.home.published)
    monkeypatch.setattr(sign_off, "APPROVED", "read")  # as if the line were another answer
    problem = "published/2026-09/r1: line 1 of the ledger is no approval of what was released"
    assert verified(ws.home) == (problem,)
    assert verify.verify(ws.home.published, name, keys).problems == (problem,)
    monkeypatch.undo()
    file = ledger.ledger_path(ws.home)
    text = file.read_text("utf-8")
    file.write_text(text.replace("hr.lead", "hr.dead"), "utf-8")
    assert any("does not fit the chain" in each for each in verified(ws.home))
    file.write_text(text.partition("\n")[2], "utf-8")
    assert verified(ws.home)


def test_the_form_tells_groups_in_both_languages_and_nobody(ws: Workspace) -> None:
    publish(replace(ws, company=replace(ws.company, sign_off=None)))
    rebuild(ws)
    why = Reason("<b>late</b> | answers\n# of *all*", "Head of service")
    request = stages.ask(ws, MONTH, reason=why)
    assert request is not None
    text = sign_off_form.text(request.form, WHO.signers)
    assert "| csat_rate | " in text
    assert request.content.release_sha256[:12] in text
    assert "<b>" not in text
    assert "&#60;b&#62;late" in text
    for words in ("重述原因", "Restated because", "质量门", "hr.lead, hr.second, hr.deputy"):
        assert words in text
    scores = request.form["scores"]
    assert scores == {"managers": 2, "scored": 2}, "of two people no mean and no grades are told"
    told = json.dumps(request.form, ensure_ascii=False)
    assert not [word for word in ("M1", "M2", "E1", "名") if word in told]
    values = sign_off_request.values_file(ws.home, MONTH)
    assert "0.820000,0.880000" in values.read_text("utf-8-sig"), "who may see values finds them"
    for file in (values, ws.home.root / "sign_off" / "2026-09.json"):
        assert file.stat().st_mode & 0o077 == 0
    sign(ws, "hr.lead")
    publish(ws, why)
    assert not values.exists()


def test_the_command_shows_refuses_and_signs(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "open_workspace", lambda *_: ws)

    def said(*words: str) -> tuple[int, str]:
        code = cli.main(["sign-off", "--month", MONTH.key, *words])
        found = capsys.readouterr()
        return code, found.out + found.err

    code, text = said()
    assert code == 10
    sha12 = asked(ws).content.release_sha256[:12]
    assert f"--approve {sha12} --by LOGIN" in text
    assert said("--approve", sha12)[0] == 2
    assert said("--refuse", sha12, "--by", "hr.lead")[0] == 2, "a refusal says why"
    assert said("--approve", sha12[:4], "--by", "hr.lead")[0] == 2
    assert lines(ws.home) == []
    code, text = said("--refuse", sha12, "--by", "hr.lead", "--reason", "Not yet")
    assert code == 0
    assert "refused as approver" in text
    assert said()[0] == 10
    assert "refused by hr.lead" in said()[1]
    code, text = said("--approve", sha12, "--by", "hr.second", "--reason", "Seen")
    assert code == 0
    assert "perfhouse publish" in text
    assert said()[0] == 0
    assert cli.main(["publish", "--month", MONTH.key]) == 0


def test_a_crash_between_signature_and_release_leaves_both_to_be_used(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotSignedOff):
        publish(ws)
    sign(ws, "hr.lead")

    def die(step: str) -> None:
        if step == "moved":
            raise KeyboardInterrupt

    monkeypatch.setattr(release, "reached", die)
    with pytest.raises(KeyboardInterrupt):
        publish(ws)
    monkeypatch.setattr(release, "reached", lambda _: None)
    assert publish(ws).unchanged
    assert verified(ws.home) == ()
    assert not list((ws.home.published / ".staging").iterdir())
