"""What is not done: the lake's manifests against notes and releases, without a build."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from expectations import gate
from perfhouse import lake, ledger, months, processed, reconcile, sign_off_request
from perfhouse.company import Company
from perfhouse.company_arrivals import Arrivals
from perfhouse.errors import GateFailed, MonthClosed
from perfhouse.month import Month
from perfhouse.settings import Home
from perfhouse.sign_off import Content
from perfhouse.stages import Workspace

JULY, AUGUST, SEPTEMBER = Month("2026-07").until(Month("2026-09"))
OWNER = "Desk <desk@example.com>"


def source(name: str, required: bool = True) -> SimpleNamespace:
    return SimpleNamespace(id=name, required=required, owner=OWNER)


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    company = SimpleNamespace(
        sources=(source("desk"), source("hr"), source("maybe", required=False)),
        time_zone="Asia/Shanghai",
        close_grace_days=5,
        look_back={},
        arrivals=Arrivals(),
    )
    return Workspace(cast(Company, company), tmp_path, Home(tmp_path / "home").ensure())


def land(ws: Workspace, name: str, month: Month, content: str = "a") -> None:
    """Land a delivery without rows: what tells it from another is its archive's hash."""
    manifest = lake.Manifest(name, "files", month.key, "m", content, (), {}, "", "")
    lake.commit(ws.home, manifest, {})


def arrive(ws: Workspace, month: Month) -> None:
    for name in ("desk", "hr"):
        land(ws, name, month)


def publish(ws: Workspace, month: Month, as_of: Month | None = None) -> str:
    """Put a release of what is landed in the ledger, as a publish does, and note it."""
    with processed.publishing(ws.home, ws.company, month, as_of):
        return release(ws, month, as_of or month)


def release(ws: Workspace, month: Month, as_of: Month) -> str:
    number = ledger.next_number(ws.home, month)
    folder = ws.home.published / month.key / f"r{number}"
    folder.mkdir(parents=True)
    closes_on = months.closes_on(ws.company, month).isoformat()
    said = {"inputs": lake.inputs(ws.home, month, as_of), "closes_on": closes_on}
    (folder / "release.json").write_text(json.dumps(said), encoding="utf-8")
    path = f"{month}/r{number}"
    entry = ledger.append(
        ws.home, month=month, number=number, as_of=as_of, path=path, release_sha256=path
    )
    return entry.name


def steps(ws: Workspace) -> dict[str, str]:
    return {work.month.key: work.step for work in reconcile.outstanding(ws)}


def verdict(ws: Workspace, month: Month, name: str, *, passed: bool) -> None:
    file = gate.verdict_path(ws.home, month, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    gate._write(file, gate.Verdict(name, month.key, month.key, "", passed, ()))


def test_a_month_is_work_once_every_required_source_has_landed_it(ws: Workspace) -> None:
    land(ws, "desk", SEPTEMBER)
    assert reconcile.outstanding(ws) == []
    land(ws, "hr", SEPTEMBER)
    (work,) = reconcile.outstanding(ws)
    assert (work.step, work.month, work.who) == (reconcile.BUILD, SEPTEMBER, "")
    assert "desk, hr landed" in work.why


def test_what_was_published_is_no_work_until_one_of_its_own_deliveries_changes(
    ws: Workspace,
) -> None:
    for month in (AUGUST, SEPTEMBER):
        arrive(ws, month)
        publish(ws, month)
    assert reconcile.outstanding(ws) == []
    land(ws, "hr", SEPTEMBER, "corrected")
    (work,) = reconcile.outstanding(ws)
    assert (work.step, work.month) == (reconcile.BUILD, SEPTEMBER)
    assert "hr landed" in work.why
    assert "desk" not in work.why


def test_a_release_that_waits_for_a_signature_is_work_of_its_approver_until_it_has_one(
    ws: Workspace,
) -> None:
    arrive(ws, SEPTEMBER)
    with processed.judging(ws.home, ws.company, SEPTEMBER, None, "scorecards"):
        pass
    assert steps(ws) == {"2026-09": reconcile.PUBLISH}
    with processed.asking(ws.home, ws.company, SEPTEMBER, None) as waits:
        waits()
    asked = sign_off_request.Request(Content("2026-09", "2026-09.r1", "3f0c" * 16), 0.0)
    for state in ("open", "refused"):
        sign_off_request.keep(ws.home, replace(asked, state=state))
        (work,) = reconcile.outstanding(ws)
        assert (work.step, work.who) == (reconcile.JUDGE, "approver of the sign-off")
        assert "perfhouse sign-off --month 2026-09" in work.why
    sign_off_request.keep(ws.home, replace(asked, state="approved"))
    assert steps(ws) == {"2026-09": reconcile.PUBLISH}, "signed, and not out: a publish died"
    land(ws, "hr", SEPTEMBER, "corrected")
    assert steps(ws) == {"2026-09": reconcile.BUILD}


def test_a_late_delivery_of_one_month_leaves_later_months_alone(ws: Workspace) -> None:
    for month in (AUGUST, SEPTEMBER):
        arrive(ws, month)
    publish(ws, AUGUST)
    publish(ws, SEPTEMBER)  # it reads August, too
    land(ws, "desk", AUGUST, "late")
    assert list(steps(ws)) == ["2026-08"]


def test_an_optional_source_that_lands_late_is_work(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    publish(ws, SEPTEMBER)
    land(ws, "maybe", SEPTEMBER)
    assert steps(ws) == {"2026-09": reconcile.BUILD}


def test_deliveries_of_a_source_that_is_configured_no_longer_are_no_work(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    publish(ws, SEPTEMBER)
    land(ws, "former", SEPTEMBER)
    assert reconcile.outstanding(ws) == []


def test_a_closed_month_is_named_with_who_must_act_and_not_built(ws: Workspace) -> None:
    for month in (AUGUST, SEPTEMBER):
        arrive(ws, month)
        publish(ws, month)
    land(ws, "desk", AUGUST, "late")  # September is known: August closed on 6 September
    (work,) = reconcile.outstanding(ws)
    assert (work.step, work.who) == (reconcile.RESTATE, MonthClosed.who)
    assert "2026-08.r1" in work.why
    assert "--restate" in work.why
    assert reconcile.heal(ws, [work], print) == []


def test_a_month_that_was_never_released_is_built_though_it_is_past_its_close(
    ws: Workspace,
) -> None:
    arrive(ws, AUGUST)
    arrive(ws, SEPTEMBER)
    assert steps(ws) == {"2026-08": reconcile.BUILD, "2026-09": reconcile.BUILD}


def test_months_before_the_first_release_are_history(ws: Workspace) -> None:
    for month in (JULY, AUGUST, SEPTEMBER):
        arrive(ws, month)
    publish(ws, AUGUST)
    assert list(steps(ws)) == ["2026-09"]


def test_what_was_judged_and_not_published_only_needs_its_publish(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    with processed.judging(ws.home, ws.company, SEPTEMBER, None, "scorecards"):
        pass
    assert steps(ws) == {"2026-09": reconcile.PUBLISH}
    land(ws, "desk", SEPTEMBER, "corrected meanwhile")
    assert steps(ws) == {"2026-09": reconcile.BUILD}


def test_a_build_that_died_is_built_and_judged_again(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    with processed.judging(ws.home, ws.company, SEPTEMBER, None, "scorecards"):
        pass
    with pytest.raises(RuntimeError), processed.building(ws.home, SEPTEMBER):
        raise RuntimeError("killed")
    assert steps(ws) == {"2026-09": reconcile.BUILD}


def test_what_lands_during_a_judgement_is_not_judged(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    with processed.judging(ws.home, ws.company, SEPTEMBER, None, "scorecards"):
        land(ws, "desk", SEPTEMBER, "meanwhile")
    assert steps(ws) == {"2026-09": reconcile.BUILD}


@pytest.mark.parametrize("name", ["raw", "facts", "scorecards"])
def test_a_gate_that_stopped_a_month_is_asked_again_when_it_is_accepted_or_delivered_anew(
    ws: Workspace, name: str
) -> None:
    arrive(ws, SEPTEMBER)
    verdict(ws, SEPTEMBER, name, passed=False)
    with (
        pytest.raises(GateFailed),
        processed.judging(ws.home, ws.company, SEPTEMBER, None, name),
    ):
        raise GateFailed(name, SEPTEMBER.key, ["too few rows"])
    (work,) = reconcile.outstanding(ws)
    assert (work.step, work.who) == (reconcile.JUDGE, GateFailed.who)
    assert f"gates/2026-09/{name}.json" in work.why
    verdict(ws, SEPTEMBER, name, passed=True)  # a person accepted it
    assert steps(ws) == {"2026-09": reconcile.BUILD}
    verdict(ws, SEPTEMBER, name, passed=False)
    land(ws, "desk", SEPTEMBER, "mended")
    assert steps(ws) == {"2026-09": reconcile.BUILD}


def test_a_publish_that_finds_another_build_than_was_judged_builds_again(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    with processed.judging(ws.home, ws.company, SEPTEMBER, None, "scorecards"):
        pass
    refused = GateFailed("scorecards", SEPTEMBER.key, ["what it judged has changed since"])
    with (
        pytest.raises(GateFailed),
        processed.publishing(ws.home, ws.company, SEPTEMBER, None),
    ):
        raise refused
    assert steps(ws) == {"2026-09": reconcile.BUILD}


def test_a_publish_that_only_a_person_may_go_on_with_is_not_tried_again(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    closed = MonthClosed(SEPTEMBER.key, "withdrawn", [], 0, ws.home.gates)
    with (
        pytest.raises(MonthClosed),
        processed.publishing(ws.home, ws.company, SEPTEMBER, None),
    ):
        raise closed
    assert steps(ws) == {"2026-09": reconcile.RESTATE}


def test_a_release_of_before_notes_were_kept_tells_what_it_was_made_from(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    release(ws, SEPTEMBER, SEPTEMBER)
    assert reconcile.outstanding(ws) == []
    land(ws, "hr", SEPTEMBER, "corrected")
    assert steps(ws) == {"2026-09": reconcile.BUILD}


def test_a_publish_without_a_change_is_done_though_it_makes_no_release(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    publish(ws, SEPTEMBER)
    land(ws, "hr", SEPTEMBER, "other bytes, the same numbers")
    with processed.publishing(ws.home, ws.company, SEPTEMBER, None):
        pass
    assert reconcile.outstanding(ws) == []


def test_what_is_sent_back_to_how_it_was_is_work_again(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    publish(ws, SEPTEMBER)
    land(ws, "hr", SEPTEMBER, "b")
    publish(ws, SEPTEMBER)
    land(ws, "hr", SEPTEMBER, "a")
    assert steps(ws) == {"2026-09": reconcile.BUILD}


def test_a_note_that_a_crash_kept_from_a_newer_release_does_not_count(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    publish(ws, SEPTEMBER)
    land(ws, "hr", SEPTEMBER, "b")
    release(ws, SEPTEMBER, SEPTEMBER)  # and the process died before it noted so
    assert reconcile.outstanding(ws) == []


def test_the_as_of_month_of_the_release_is_kept(ws: Workspace) -> None:
    company = replace_grace(ws, 400)
    arrive(company, AUGUST)
    arrive(company, SEPTEMBER)
    publish(company, AUGUST, SEPTEMBER)
    land(company, "hr", AUGUST, "b")
    work = next(w for w in reconcile.outstanding(company) if w.month == AUGUST)
    assert (work.step, work.as_of) == (reconcile.BUILD, SEPTEMBER)


def replace_grace(ws: Workspace, days: int) -> Workspace:
    about: Mapping[str, Any] = {**vars(ws.company), "close_grace_days": days}
    company = cast(Company, SimpleNamespace(**about))
    return replace(ws, company=company)


def test_the_key_is_the_same_for_the_same_state_only(ws: Workspace) -> None:
    arrive(ws, SEPTEMBER)
    (first,) = reconcile.outstanding(ws)
    (again,) = reconcile.outstanding(ws)
    land(ws, "hr", SEPTEMBER, "b")
    (other,) = reconcile.outstanding(ws)
    assert first.key == again.key != other.key
    assert other.since >= first.since > 0


def test_what_fails_keeps_nothing_else_waiting(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(ws, AUGUST)
    arrive(ws, SEPTEMBER)
    asked = []

    def judge(_: Workspace, month: Month, as_of: Month | None) -> None:
        asked.append((month, as_of))
        raise GateFailed("raw", month.key, ["too few rows"])

    monkeypatch.setattr(reconcile.stages, "gate_raw", judge)
    found = reconcile.heal(ws, reconcile.outstanding(ws), print)
    assert asked == [(AUGUST, AUGUST), (SEPTEMBER, SEPTEMBER)]
    assert [type(each.error) for each in found] == [GateFailed, GateFailed]
