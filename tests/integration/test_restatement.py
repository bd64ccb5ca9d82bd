"""Months: a closed one changes only with a reason, and every changed value is told."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import publish_in_child as child
import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from expectations import gate
from perfhouse import (
    lake,
    ledger,
    months,
    release,
    release_files,
    release_manifest,
    restatement,
    warehouse,
)
from perfhouse.company_types import Company
from perfhouse.config_tables import TABLES
from perfhouse.errors import ConfigError, MonthClosed
from perfhouse.export_types import PayrollBand
from perfhouse.month import Month
from perfhouse.release_label import Label
from perfhouse.restatement import Change, Reason
from perfhouse.settings import Home

WHY = Reason("The survey desk sent late answers", "Head of service")
OCTOBER = MONTH.plus(1)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_expect", child.everything_passes)
    monkeypatch.setattr(release_files, "stage_cards", child.plain_cards)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = small.home(tmp_path / "home")
    small.land(made, "hr", {"hr_roster": ROSTER})
    small.land(made, "calls", {"calls": CALLS})
    small.build(made)
    return made


@pytest.fixture
def company(home: Home, tmp_path: Path) -> Company:
    return small.company(tmp_path / "company", small.source("hr"), small.source("calls"))


def publish(
    home: Home, company: Company, month: Month = MONTH, reason: Reason | None = None
) -> release.Release:
    child.judge(home, company, month)
    return release.publish(company, home, month, reason=reason)


def deliver_october(home: Home, *sources: str) -> None:
    streams = {"hr": {"hr_roster": ROSTER}, "calls": {"calls": CALLS}}
    for source in sources or ("hr", "calls"):
        small.land(home, source, streams[source], OCTOBER)


def rows(released: release.Release) -> list[dict[str, str]]:
    text = (released.path / "changes" / "changes.csv").read_text("utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


def test_a_month_goes_from_open_over_provisional_to_closed_and_restated(
    home: Home, company: Company
) -> None:
    def now() -> tuple[str, bool, str | None]:
        state = months.state(company, home, MONTH)
        return state.status, state.is_locked, state.release

    assert now() == ("open", False, None)
    publish(home, company)
    assert now() == ("provisional", False, "2026-09.r1")
    deliver_october(home, "hr")
    assert now() == ("provisional", False, "2026-09.r1")  # October is not complete
    deliver_october(home)
    assert now() == ("closed", True, "2026-09.r1")
    small.build(home, csat=88)
    publish(home, company, reason=WHY)
    assert now() == ("restated", True, "2026-09.r2")
    assert [s.status for s in months.states(company, home)] == ["restated", "open"]
    assert str(months.closes_on(company, MONTH)) == "2026-10-06"


def test_a_month_that_is_not_closed_changes_without_a_reason_but_tells_every_change(
    home: Home, company: Company
) -> None:
    publish(home, company)
    small.build(home, csat=88)
    second = publish(home, company)
    told = {(r["table_name"], r["row_key"], r["column_name"]): r for r in rows(second)}
    value = told["scorecard_kpi_months", "M1, csat_rate", "value"]
    assert (value["old_value"], value["new_value"]) == ("0.820000", "0.880000")
    assert (value["manager_id"], value["kpi_id"], value["team_id"]) == ("M1", "csat_rate", "")
    assert ("scorecard_manager_months", "M1", "total_score") in told
    assert ("export_hr_manager_months", "M1", "total_score") in told
    assert ("scorecard_team_months", "T1, M1, csat_rate", "value") in told
    assert not any("M2" in key[1] for key in told)  # nobody else's number moved
    said = release.describe(second)
    assert (said["follows"], said["change_count"]) == ("2026-09.r1", len(told))
    assert "restatement" not in said
    assert ledger.latest(home, MONTH).reason is None  # type: ignore[union-attr]
    with warehouse.connect() as con:
        again = con.execute(
            "select count(*) from read_parquet(?)",
            [str(second.path / "changes" / "changes.parquet")],
        ).fetchall()
    assert again == [(len(told),)]


def test_a_closed_month_does_not_change_without_a_reason_and_says_what_would(
    home: Home, company: Company
) -> None:
    first = publish(home, company)
    deliver_october(home)
    assert publish(home, company).unchanged  # the same again is no change
    small.build(home, csat=88)
    with pytest.raises(MonthClosed, match=r"since 2026-10-06, 2026-09\.r1 stands") as stopped:
        publish(home, company)
    text = str(stopped.value)
    (line,) = [line for line in text.splitlines() if "scorecard_kpi_months M1, csat_rate" in line]
    assert re.fullmatch(r"  - scorecard_kpi_months M1, csat_rate: [a-z_, ]+", line)
    assert ", value" in line
    assert "0.8" not in text, "a log tells no score of anybody"
    file = home.gates / MONTH.key / "changes_after_r1.csv"
    assert f"old and new values: {file}" in text
    told = {
        (row["row_key"], row["column_name"]): (row["old_value"], row["new_value"])
        for row in csv.DictReader(file.read_text("utf-8-sig").splitlines())
    }
    assert told["M1, csat_rate", "value"] == ("0.820000", "0.880000")
    assert home.gates.stat().st_mode & 0o077 == 0
    assert '--restate --reason "..." --by NAME' in text
    assert '(--as-of, "as_of")' in text
    assert stopped.value.exit_code == 9
    assert release.latest(home, MONTH) == first
    assert not list((home.published / ".staging").iterdir())


def test_a_longer_grace_or_a_new_source_opens_no_closed_month(
    home: Home, company: Company, tmp_path: Path
) -> None:
    publish(home, company)
    deliver_october(home)
    assert months.state(company, home, MONTH).is_locked
    longer = replace(company, close_grace_days=90)
    state = months.state(longer, home, MONTH)
    assert (state.is_locked, str(state.closes_on)) == (True, "2026-10-06")
    assert str(months.state(longer, home, OCTOBER).closes_on) == "2027-01-30"
    small.build(home, csat=88)
    child.judge(home, longer, MONTH)
    with pytest.raises(MonthClosed, match=r"since 2026-10-06, 2026-09\.r1 stands"):
        release.publish(longer, home, MONTH)
    small.build(home)
    small.build(home, OCTOBER)
    publish(home, company, OCTOBER)
    more = replace(company, sources=(*company.sources, small.source("surveys")))
    assert months.known_until(more, home) is None, "the new source has delivered nothing"
    assert months.state(more, home, MONTH).is_locked, "October was published"


@pytest.mark.nightly
def test_who_publishes_is_told_that_the_month_was_compared_with_what_nobody_released(
    home: Home, company: Company
) -> None:
    publish(home, company)
    deliver_october(home)
    small.build(home, csat=88)
    with pytest.raises(MonthClosed):
        publish(home, company)
    small.build(home, OCTOBER)
    told: list[str] = []
    child.judge(home, company, OCTOBER)
    release.publish(company, home, OCTOBER, progress=told.append)
    (line,) = [line for line in told if line.startswith("2026-09: ")]
    assert "2 numbers in the warehouse are not those of 2026-09.r1, and 2026-10 was" in line
    publish(home, company, reason=WHY)
    told.clear()
    small.build(home, OCTOBER, csat=81)
    child.judge(home, company, OCTOBER)
    release.publish(company, home, OCTOBER, progress=told.append)
    assert not [line for line in told if line.startswith("2026-09: ")]


def correct(home: Home, extracted_at: str) -> None:
    """Deliver September's calls again, as taken from their source at an instant."""
    manifest = small.land(home, "calls", {"calls": CALLS + " where true"}, rows_read=99)
    folder = home.archive / lake.partition(MONTH, "calls") / manifest.archive_sha256[:12]
    folder.mkdir(parents=True)
    receipt = {"source": "calls", "month": MONTH.key, "sha256": manifest.archive_sha256}
    text = json.dumps({**receipt, "extracted_at": extracted_at, "files": []})
    (folder / "receipt.json").write_text(text, encoding="utf-8")
    small.build(home, csat=88)


def test_a_correction_of_before_the_close_date_needs_no_reason(
    home: Home, company: Company
) -> None:
    publish(home, company)
    correct(home, "2026-10-05T15:59:59+00:00")  # a second before midnight in Shanghai
    assert not months.state(company, home, MONTH).is_locked
    assert publish(home, company).number == 2


def test_a_correction_taken_on_the_close_date_needs_a_reason_though_october_is_not_delivered(
    home: Home, company: Company
) -> None:
    first = publish(home, company)
    correct(home, "2026-10-05T16:00:00+00:00")  # midnight in Shanghai: it is the 6th
    assert months.state(company, home, MONTH).is_locked
    with pytest.raises(MonthClosed, match=r"since 2026-10-06, 2026-09\.r1 stands"):
        publish(home, company)
    assert release.latest(home, MONTH) == first
    second = publish(home, company, reason=WHY)
    assert release.describe(second)["restatement"] == {"reason": WHY.reason, "by": WHY.by}
    small.build(home, csat=82)
    with pytest.raises(MonthClosed, match=r"2026-09\.r2 stands"):  # closed it stays
        publish(home, company)


def test_a_restatement_keeps_reason_and_name_in_the_release_and_the_ledger(
    home: Home, company: Company
) -> None:
    publish(home, company)
    deliver_october(home)
    small.build(home, csat=88)
    second = publish(home, company, reason=WHY)
    said = release.describe(second)
    assert said["restatement"] == {"reason": WHY.reason, "by": WHY.by}
    assert said["closes_on"] == "2026-10-06"
    entry = ledger.latest(home, MONTH)
    assert entry is not None
    assert (entry.reason, entry.by) == (WHY.reason, WHY.by)
    assert len(ledger.entries(home)) == 2  # and the chain holds
    assert release_manifest.problems(second.path) == []
    with warehouse.connect(home.published / "scorecards.duckdb", read_only=True) as con:
        told = con.execute(
            "select release, follows, change_count, restatement_reason from releases"
        ).fetchall()
    assert told == [("2026-09.r2", "2026-09.r1", len(rows(second)), WHY.reason)]


def test_publishing_a_restatement_again_is_unchanged_with_or_without_the_reason(
    home: Home, company: Company
) -> None:
    publish(home, company)
    deliver_october(home)
    small.build(home, csat=88)
    second = publish(home, company, reason=WHY)
    for reason in (None, WHY, Reason("Another", "Somebody")):
        again = publish(home, company, reason=reason)
        assert (again.number, again.unchanged, again.sha256) == (2, True, second.sha256)


@pytest.mark.nightly
def test_a_change_of_other_files_of_a_closed_month_needs_a_reason_too(
    home: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(home, company)
    deliver_october(home)

    def with_a_note(home: Home, label: Label, folder: Path) -> None:
        child.plain_cards(home, label, folder)
        (folder / "cards" / "M1.html").write_text("<p>new</p>", encoding="utf-8")

    monkeypatch.setattr(release_files, "stage_cards", with_a_note)
    with pytest.raises(MonthClosed, match="0 values\n  - no number; other files do"):
        publish(home, company)
    second = publish(home, company, reason=WHY)
    assert rows(second) == []


def test_a_reason_for_a_month_that_is_not_closed_makes_no_restatement(
    home: Home, company: Company
) -> None:
    publish(home, company)
    small.build(home, csat=88)
    assert "restatement" not in release.describe(publish(home, company, reason=WHY))


def test_a_manager_who_came_or_went_is_told_in_every_value(home: Home, company: Company) -> None:
    publish(home, company)
    with warehouse.connect(home.warehouse) as con:
        con.execute("delete from scorecards.scorecard_kpi_months where manager_id = 'M2'")
    second = publish(home, company)
    gone = [r for r in rows(second) if r["row_key"] == "M2, csat_rate"]
    assert {r["new_value"] for r in gone} == {""}
    assert {"value", "score", "sample_size"} <= {r["column_name"] for r in gone}


def pay(home: Home, **multipliers: str) -> None:
    """Fill payroll's export: a multiplier and the version of its band by manager."""
    bands = ", ".join(f"{name} {kind}" for name, kind in TABLES["payroll_bands"].items())
    with warehouse.connect(home.warehouse) as con:
        con.execute(f"create or replace table config.payroll_bands ({bands})")
        con.execute("alter table scorecards.scorecard_kpi_months add column is_provisional boolean")
        con.execute(
            "create or replace table exports.export_payroll_manager_months (month date, "
            "employee_number varchar, points decimal(18, 6), multiplier decimal(18, 6), "
            "band_version varchar)"
        )
        for manager, said in multipliers.items():
            multiplier, _, version = said.partition(" ")
            con.execute(
                "insert into exports.export_payroll_manager_months values (?, ?, 100, ?, ?)",
                [MONTH.start, manager, multiplier, version],
            )


BAND = PayrollBand("*", None, 0, 100, 1, MONTH.start, None, "1", MONTH.start, "HR", None)


@pytest.mark.parametrize(
    ("since", "told"),
    [
        ({"M1": "1.2 1", "M2": "1.0 1"}, None),  # what M1 gets follows from what ripened
        ({"M1": "1.2 1", "M2": "1.1 1"}, "export_payroll_manager_months M2: multiplier"),
        ({"M1": "1.2 2", "M2": "1.0 1"}, "export_payroll_manager_months M1: multiplier, band_v"),
        ({"M1": "1.2 1"}, "export_payroll_manager_months M2: points, multiplier, band_version"),
    ],
)
def test_while_a_kpi_ripens_nobody_is_paid_otherwise_for_another_cause(
    home: Home, company: Company, monkeypatch: pytest.MonkeyPatch,
    since: dict[str, str], told: str | None,
) -> None:  # fmt: skip
    monkeypatch.setattr(months, "provisional", lambda _: ("csat_rate",))
    company = replace(company, payroll_bands=(BAND,))
    pay(home, M1="1.0 1", M2="1.0 1")
    publish(home, company)
    deliver_october(home)
    with warehouse.connect(home.warehouse) as con:
        con.execute("alter table scorecards.scorecard_kpi_months drop column is_provisional")
    small.build(home, csat=88)
    pay(home, **since)
    if told is None:
        assert publish(home, company).number == 2
        return
    with pytest.raises(MonthClosed, match=told) as stopped:
        publish(home, company)
    assert "1.1" not in str(stopped.value), "payroll's values are payroll's"
    assert publish(home, company, reason=WHY).number == 2


def test_a_reason_names_why_and_who() -> None:
    with pytest.raises(ConfigError) as refused:
        Reason.of(" ", None)
    assert [p.partition(":")[0] for p in refused.value.problems] == ["--reason", "--by"]


def change(
    table: str, manager: str | None, kpi: str | None, column: str, old: str | None = "1"
) -> Change:
    key = ", ".join(part for part in (manager, kpi) if part)
    return Change(f"scorecard_{table}_months", key, manager, None, kpi, column, old, "2")


REOPENED = change("kpi", "M1", "reopen_rate", "value")
TOTAL = change("manager", "M1", None, "total_score")


@pytest.mark.parametrize(
    ("found", "settles"),
    [
        ([REOPENED, TOTAL], True),
        ([REOPENED, TOTAL, change("manager", "M2", None, "rank")], True),
        ([REOPENED, change("kpi", "M1", "csat_rate", "value")], False),
        ([REOPENED, change("manager", "M2", None, "total_score")], False),
        ([REOPENED, TOTAL, change("kpi", "M1", "reopen_rate", "target")], False),
        ([REOPENED, TOTAL, change("kpi", "M1", "reopen_rate", "floor", None)], False),
        ([REOPENED, TOTAL, change("manager", "M1", None, "role")], False),
        (
            [change("team", "M1", "reopen_rate", each, None) for each in ("status", "target")],
            True,
        ),
        ([TOTAL], False),
        ([], False),
    ],
)
def test_only_what_was_provisional_ripens_without_a_reason(
    found: list[Change], settles: bool
) -> None:
    assert restatement.only_settles(found, {"reopen_rate"}) is settles
