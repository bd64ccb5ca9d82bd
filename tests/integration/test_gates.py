"""Every gate is seen to fail: a planted fault publishes nothing and is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import publish_in_child as child
import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER
from test_accept import by_their_queries

from connectors.streams import STREAMS
from expectations import gate
from perfhouse import exports, release, release_files, release_verdicts, warehouse
from perfhouse.company_cards import Cards
from perfhouse.company_types import Company
from perfhouse.errors import GateFailed
from perfhouse.export_types import PayrollBand
from perfhouse.lake import file_sha256
from perfhouse.release_label import Label
from perfhouse.settings import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return small.home(tmp_path / "home")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return small.company(tmp_path / "company", small.source("hr"), small.source("calls"))


def raw(home: Home, company: Company) -> gate.Verdict:
    return gate.run("raw", home, company, MONTH, streams=STREAMS)


def stopped(home: Home, company: Company, name: str) -> GateFailed:
    """Run a gate that must fail, and require that nothing was published."""
    with pytest.raises(GateFailed) as failure:
        gate.run(name, home, company, MONTH, streams=STREAMS)
    kept = gate.verdict(home, MONTH, name)
    assert kept is not None
    assert not kept.passed
    with pytest.raises(GateFailed):
        release.publish(company, home, MONTH)
    assert not (home.published / "scorecards.duckdb").exists()
    assert release.releases(home) == []
    return failure.value


def land_all(home: Home, *, roster: str = ROSTER, calls: str = CALLS, **counts: object) -> None:
    small.land(home, "hr", {"hr_roster": roster})
    small.land(home, "calls", {"calls": calls}, **counts)


def change(home: Home, statement: str) -> None:
    con = warehouse.connect(home.warehouse)
    con.execute(statement)
    con.close()


def facts(home: Home, company: Company) -> gate.Verdict:
    return gate.run("facts", home, company, MONTH, streams=STREAMS)


def test_a_clean_month_passes_its_gates_without_a_warning(home: Home, company: Company) -> None:
    land_all(home)
    small.build(home)
    found = [raw(home, company), facts(home, company)]
    found.append(gate.run("scorecards", home, company, MONTH))
    assert all(verdict.passed for verdict in found)
    assert [verdict.warnings for verdict in found] == [(), (), ()]
    assert gate.verdicts(home, MONTH) == found


def test_the_same_month_gives_the_same_verdict_byte_for_byte(home: Home, company: Company) -> None:
    land_all(home)
    raw(home, company)
    before = gate.verdict_path(home, MONTH, "raw").read_bytes()
    raw(home, company)
    assert gate.verdict_path(home, MONTH, "raw").read_bytes() == before


def test_verdicts_are_a_table_in_the_warehouse(home: Home, company: Company) -> None:
    land_all(home)
    raw(home, company)
    raw(home, company)
    con = warehouse.connect(home.warehouse, read_only=True)
    rows = con.execute(
        "select count(*), count(distinct check_id), bool_and(passed), min(month) "
        "from ops.gate_verdicts where gate = 'raw'"
    ).fetchall()
    con.close()
    assert rows[0][0] == rows[0][1] > 20
    assert rows[0][2:] == (True, MONTH.start)


# --- raw ------------------------------------------------------------------------------------

CYCLE = ROSTER.replace("('M1', 'cs_manager', null)", "('M1', 'cs_manager', 'M2')")
TWO_PLACES = f"""
    select * from ({ROSTER}) union all by name
    select * replace (date '2026-09-10' as valid_from, 'M2' as manager_employee_id)
    from ({ROSTER}) where employee_id = 'E1'
"""
OVERLAP = TWO_PLACES.replace("null::date as valid_to", "date '2026-09-20' as valid_to")
PLAIN = ROSTER.replace("null::varchar as work_email_hash", "e || '@example.cn' as work_email_hash")
STRANGERS = CALLS.replace("'E' || (1 + i % 2)", "case when i < 10 then 'X9' else 'E1' end")
NO_LEG = CALLS.replace("'L' || i as leg_id", "if(i = 7, null, 'L' || i) as leg_id")
TWICE = CALLS.replace("'L' || i as leg_id", "'L' || (i // 2) as leg_id")
FAR = f"""
    select * exclude (far) replace (
        started_at + far as started_at, answered_at + far as answered_at, ended_at + far as ended_at
    ) from (
        select *, to_years(case when leg_id = 'L5' then 180 else 0 end) as far from ({CALLS})
    )
"""
BAD_CODE = CALLS.replace("'voice' as media", "case when i = 3 then 'fax' else 'voice' end as media")

FAULTS = {
    "roster_is_a_tree": (lambda h: land_all(h, roster=CYCLE), "M1 > M2 > M1"),
    "roster_one_place_a_day": (lambda h: land_all(h, roster=OVERLAP), "employee_id=E1"),
    "people_known": (lambda h: land_all(h, calls=STRANGERS), "unmatched_rows=10"),
    "calls_required": (lambda h: land_all(h, calls=NO_LEG), "field=leg_id"),
    "calls_unique": (lambda h: land_all(h, calls=TWICE), "leg_id=L0"),
    "calls_plausible": (lambda h: land_all(h, calls=FAR), "leg_id=L5"),
    "calls_codes": (lambda h: land_all(h, calls=BAD_CODE), "leg_id=L3"),
    "hr_roster_hashed": (lambda h: land_all(h, roster=PLAIN), "employee_id=E1"),
    "source_delivered": (lambda h: small.land(h, "hr", {"hr_roster": ROSTER}), "source=calls"),
    "stream_not_empty": (lambda h: land_all(h, calls=f"{CALLS} where false"), "stream=calls"),
    "counts_reconcile": (lambda h: land_all(h, rows_in=101), "rows_in=101"),
    "quarantine_share": (
        lambda h: land_all(
            h, rows_read=110, rows_in=110, quarantined=10, reasons={"ended_at: not a date": 10}
        ),
        "reason=ended_at: not a date",
    ),
}  # fmt: skip


@pytest.mark.parametrize("check", FAULTS)
def test_a_raw_fault_is_stopped_and_named(home: Home, company: Company, check: str) -> None:
    plant, named = FAULTS[check]
    plant(home)
    small.build(home)
    failure = stopped(home, company, "raw")
    assert [line.split(":")[0] for line in failure.failures] == [check]
    assert named in failure.failures[0]
    assert "data owner" in failure.who


def test_work_ends_the_day_after_the_last_one_as_the_build_has_it(
    home: Home, company: Company
) -> None:
    left = OVERLAP.replace("date '2026-09-20' as valid_to", "null::date as valid_to")
    left = left.replace("null::date as last_work_date", "date '2026-09-15' as last_work_date")
    left = left.replace("null::date as termination_date", "date '2026-09-08' as termination_date")
    land_all(home, roster=left)
    assert "roster_one_place_a_day" in str(stopped(home, company, "raw"))


def test_a_person_nobody_knows_is_named_in_the_house_only(home: Home, tmp_path: Path) -> None:
    sources = (small.source("hr"), small.source("calls"))
    company = small.company(tmp_path / "company", *sources, gates={"raw": {"unmatched_share": 0.2}})
    land_all(home, calls=STRANGERS.replace("'X9'", "if(i < 5, 'X9', 'li@example.com')"))
    small.build(home)
    raw(home, company)
    gate.run("scorecards", home, company, MONTH)
    kept = gate.verdict(home, MONTH, "raw")
    assert kept is not None
    shown = next(check for check in kept.checks if check.id == "people_unknown").failing_keys
    assert any("person_id=X9" in key for key in shown)
    assert any("person_id=<hidden>" in key for key in shown)
    told = {check.id: release_verdicts._published_keys(check) for check in kept.checks}
    assert told["people_unknown"] == ""


def test_a_file_changed_behind_the_manifest_is_named(home: Home, company: Company) -> None:
    land_all(home)
    file = next((home.raw / "calls").rglob("*.parquet"))
    file.write_bytes(file.read_bytes() + b"x")
    failure = stopped(home, company, "raw")
    assert "fault=changed since it landed" in str(failure)


def test_no_roster_at_all_stops_the_month(home: Home, tmp_path: Path) -> None:
    company = small.company(tmp_path / "company", small.source("calls"))
    small.land(home, "calls", {"calls": CALLS})
    assert "roster_present" in str(stopped(home, company, "raw"))


def test_a_month_with_no_rows_may_be_allowed(home: Home, tmp_path: Path) -> None:
    company = small.company(
        tmp_path / "company",
        *(small.source("hr"), small.source("calls")),
        gates={"raw": {"allow_empty": 1}},
    )
    land_all(home, calls=f"{CALLS} where false")
    verdict = raw(home, company)
    assert any("stream_not_empty" in warning for warning in verdict.warnings)


def test_thresholds_are_the_companys_own(home: Home, tmp_path: Path) -> None:
    company = small.company(
        tmp_path / "company",
        *(small.source("hr"), small.source("calls")),
        gates={"raw": {"unmatched_share": 0.2}},
    )
    land_all(home, calls=STRANGERS)
    verdict = raw(home, company)
    known = next(check for check in verdict.checks if check.id == "people_known")
    assert (known.passed, known.threshold) == (True, "20.00% of a stream's rows")
    assert known.observed == "10.00% at most (calls of calls)"


def test_warnings_are_recorded_and_do_not_stop(home: Home, tmp_path: Path) -> None:
    company = small.company(
        tmp_path / "company",
        *(small.source("hr"), small.source("calls"), small.source("lms", required=False)),
    )
    no_team = ROSTER.replace("('E2', 'agent', 'M2')", "('E2', 'agent', 'M7')")
    land_all(home, roster=no_team, late_rows={"2026-08": 3}, undeclared_fields=("fax_no",))
    refused = "ratings (HTTP 403)"
    small.land(home, "calls", {"calls": f"{CALLS} union all {CALLS}"}, MONTH.plus(-1))
    small.land(home, "calls", {"calls": f"{CALLS} limit 40"}, refused=refused)
    verdict = raw(home, company)
    failing = {check.id: check.failing_keys for check in verdict.checks if not check.passed}
    assert failing["optional_source_delivered"] == ("source=lms",)
    assert failing["stream_refused"] == (f"source=calls, stream=calls, refused={refused}",)
    assert failing["roster_managers_exist"] == ("manager_id=M7",)
    assert failing["roster_managers_have_a_team"] == ("manager_id=M2",)
    assert failing["volume_drop"] == ("source=calls, stream=calls, landed=40, previous_landed=200",)


def roster_of(*agents: str) -> str:
    people = ", ".join(f"('{agent}', 'agent', 'M1')" for agent in agents)
    return ROSTER.replace("('E1', 'agent', 'M1'), ('E2', 'agent', 'M2')", people)


AGENTS = [f"E{n}" for n in range(1, 31)]


def test_half_a_roster_stops_the_month_and_who_vanished_from_a_whole_one_is_named(
    home: Home, company: Company
) -> None:
    small.land(home, "hr", {"hr_roster": roster_of(*AGENTS)}, MONTH.plus(-1))
    land_all(home, roster=roster_of(*AGENTS[:20]))
    failure = stopped(home, company, "raw")
    assert [line.split(":")[0] for line in failure.failures] == ["roster_is_whole"]
    assert "vanished=10, people_before=32" in failure.failures[0]
    land_all(home, roster=roster_of(*AGENTS[:28]))
    whole = {check.id: check for check in raw(home, company).checks}
    assert whole["roster_is_whole"].observed == "6.25% (2 people)"
    assert whole["roster_tells_leavers"].failing_keys == (
        "employee_id=E29, source=hr",
        "employee_id=E30, source=hr",
    )


def test_who_is_told_to_have_left_has_not_vanished(home: Home, company: Company) -> None:
    small.land(home, "hr", {"hr_roster": roster_of(*AGENTS)}, MONTH.plus(-1))
    events = "select 'e' || n as event_id, 'E' || n as employee_id, 'termination' as event_type, "
    events += "date '2026-09-10' as effective_date from range(21, 31) t(n)"
    gone = roster_of(*AGENTS[:20])
    small.land(home, "hr", {"hr_roster": gone, "employment_events": events})
    small.land(home, "calls", {"calls": CALLS})
    assert "roster_tells_leavers" not in str(raw(home, company).warnings)


def test_at_most_twenty_keys_are_shown_and_never_a_name(home: Home, company: Company) -> None:
    many = ROSTER.replace(
        "('E2', 'agent', 'M2')",
        ", ".join(f"('N{i}', 'agent', 'B{i}')" for i in range(40)),
    )
    land_all(home, roster=many)
    with pytest.raises(GateFailed):  # E2 is gone from this roster
        raw(home, company)
    kept = gate.verdict(home, MONTH, "raw")
    assert kept is not None
    shown = next(check for check in kept.checks if check.id == "roster_managers_exist")
    assert shown.observed == "40 rows"
    assert len(shown.failing_keys) == 20
    assert "名" not in json.dumps([check.failing_keys for check in kept.checks], ensure_ascii=False)


# --- scorecards -----------------------------------------------------------------------------

KPI, TOTAL = "scorecards.scorecard_kpi_months", "scorecards.scorecard_manager_months"
PART = "scorecards.scorecard_team_months"
SCORECARD_FAULTS = {
    "managers_present": f"delete from {TOTAL} where manager_id = 'M2'",
    "managers_known": "delete from core.dim_managers where manager_id = 'M2'",
    "managers_once": f"insert into {TOTAL} select * from {TOTAL} where manager_id = 'M1'",
    "month_not_empty": f"delete from {TOTAL}",
    "kpi_score_range": f"update {KPI} set score = 130 where manager_id = 'M1'",
    "kpi_status_known": f"update {KPI} set status = 'fine' where manager_id = 'M2'",
    "kpi_value_range": f"update {KPI} set value = 1.2 where kpi_id = 'csat_rate'",
    "kpi_defined": "delete from kpis.kpi_definitions where kpi_id = 'csat_rate'",
    "kpi_value_is_a_ratio": f"update {KPI} set value = 0.83 where manager_id = 'M1'",
    "kpi_sample_size": f"update {KPI} set sample_size = 3 where manager_id = 'M1'",
    "kpi_unscored_has_no_score": f"update {KPI} set status = 'insufficient_data'",
    "kpi_score_follows_target": f"update {KPI} set score = 99 where manager_id = 'M1'",
    "part_score_follows_target": f"update {PART} set score = 99 where manager_id = 'M1'",
    "kpi_adds_up": "delete from kpis.kpi_employee_months where employee_id = 'E1'",
    "total_range": f"update {TOTAL} set total_score = 121 where manager_id = 'M1'",
    "coverage_range": f"update {TOTAL} set coverage_rate = 1.5 where manager_id = 'M1'",
    "manager_status_known": f"update {TOTAL} set status = 'ok' where manager_id = 'M1'",
    "status_fits_total": f"update {TOTAL} set status = 'no_team' where manager_id = 'M1'",
    "weights_sum": f"update {KPI} set effective_weight = 0.5 where kpi_id = 'reopen_rate'",
    "weights_in_range": f"update {KPI} set effective_weight = -0.1 where kpi_id = 'csat_rate'",
    "total_by_two_roads": f"update {TOTAL} set total_score = 99.9 where manager_id = 'M1'",
    "grade_fits_total": f"update {TOTAL} set grade = 'A' where manager_id = 'M2'",
    "rank_follows_total": f"update {TOTAL} set rank = 1",
    "peers_counted": f"update {TOTAL} set peer_count = 5",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a home whose month is landed, built and past the gates of its rows."""
    root = tmp_path_factory.mktemp("sound")
    home = small.home(root / "home")
    land_all(home)
    small.build(home)
    company = small.company(root / "company", small.source("hr"), small.source("calls"))
    raw(home, company)
    facts(home, company)
    return home.root


@pytest.fixture
def passed(sound: Path, tmp_path: Path) -> Home:
    shutil.copytree(sound, tmp_path / "home", symlinks=True)
    return small.home(tmp_path / "home")


@pytest.mark.parametrize("check", SCORECARD_FAULTS)
def test_a_scorecard_fault_is_stopped_and_named(passed: Home, company: Company, check: str) -> None:
    home = passed
    change(home, SCORECARD_FAULTS[check])
    failure = stopped(home, company, "scorecards")
    assert check in [line.split(":")[0] for line in failure.failures]


def failed(home: Home, company: Company) -> dict[str, gate.Check]:
    """Judge the scorecards and return the checks that failed, whatever their severity."""
    with suppress(GateFailed):
        gate.run("scorecards", home, company, MONTH)
    kept = gate.verdict(home, MONTH, "scorecards")
    assert kept is not None
    return {check.id: check for check in kept.checks if not check.passed}


def test_a_ratio_may_pass_one_where_a_rate_may_not(home: Home, company: Company) -> None:
    land_all(home)
    small.build(home)
    change(
        home,
        "update kpis.kpi_definitions set unit = 'ratio', kind = 'ratio' "
        "where kpi_id = 'reopen_rate'",
    )
    change(home, f"update {KPI} set value = 1.2, numerator = 120 where kpi_id = 'reopen_rate'")
    assert "kpi_value_range" not in failed(home, company)


@pytest.mark.parametrize(
    ("definition", "value", "passes"),
    [
        ("kind = 'score', is_signed = true", -0.4, True),
        ("kind = 'score', is_signed = true", -1.2, False),
        ("kind = 'score', is_signed = false", -0.4, False),
        ("kind = 'ratio', unit = 'seconds', is_signed = true", -40, True),
        ("kind = 'proportion', unit = 'per_head'", 1.2, False),
    ],
)
def test_a_kpi_of_ones_own_may_be_negative_where_it_says_so(
    home: Home, company: Company, definition: str, value: float, passes: bool
) -> None:
    land_all(home)
    small.build(home)
    change(home, f"update kpis.kpi_definitions set {definition} where kpi_id = 'reopen_rate'")
    change(home, f"update {KPI} set value = {value} where kpi_id = 'reopen_rate'")
    assert ("kpi_value_range" not in failed(home, company)) is passes


def test_one_record_of_a_hundred_points_is_no_sample(home: Home, company: Company) -> None:
    land_all(home)
    small.build(home)
    change(home, f"update {KPI} set row_count = 4, minimum_rows = 5 where kpi_id = 'csat_rate'")
    assert "kpi_sample_size" in failed(home, company)


def test_only_scored_rates_are_held_to_their_range(home: Home, company: Company) -> None:
    land_all(home)
    small.build(home)
    change(home, f"update {KPI} set value = 1.2, status = 'no_target' where kpi_id = 'csat_rate'")
    assert "kpi_value_range" not in failed(home, company)


def lose(home: Home, share: float, employee: str = "E1") -> None:
    """Credit a share of csat's cases to nobody, beside what is credited."""
    change(
        home,
        "insert into kpis.kpi_employee_months select month, kpi_id, 1, null, null, "
        f"'{employee}', 0, {200 * share / (1 - share)}, null from kpis.kpi_employee_months "
        "where kpi_id = 'csat_rate' and manager_id = 'M1'",
    )


def test_few_credits_lost_to_nobody_are_a_warning(home: Home, company: Company) -> None:
    land_all(home)
    small.build(home)
    lose(home, 0.04)
    found = failed(home, company)
    assert set(found) == {"credits_complete"}
    assert found["credits_complete"].failing_keys == ("kpi_id=csat_rate, uncredited=0.04",)


def test_many_credits_lost_to_nobody_stop_the_month(home: Home, tmp_path: Path) -> None:
    folder, sources = tmp_path / "company", (small.source("hr"), small.source("calls"))
    land_all(home)
    small.build(home)
    lose(home, 0.06)
    failure = stopped(home, small.company(folder, *sources), "scorecards")
    assert [line.split(":")[0] for line in failure.failures] == ["uncredited_share"]
    generous = {"scorecards": {"uncredited_share": 0.1}}
    assert "uncredited_share" not in failed(home, small.company(folder, *sources, gates=generous))


def test_the_head_of_the_house_has_nobody_to_be_credited_to(home: Home, company: Company) -> None:
    land_all(home)
    small.build(home)
    lose(home, 0.2, employee="M1")
    assert failed(home, company) == {}


# --- exports --------------------------------------------------------------------------------

EXPORT = "exports.export_hr_manager_months"
EXPORT_FAULTS = {
    "hr_columns": f"alter table {EXPORT} add column remark varchar",
    "hr_types": f"alter table {EXPORT} alter column rank type varchar",
    "hr_rows_are_the_managers": f"delete from {EXPORT} where employee_number = 'M2'",
    "hr_rows_unique": f"insert into {EXPORT} select * from {EXPORT}",
    "grades_known": f"update {EXPORT} set grade = 'Z'",
    "hr_equals_scorecards": f"update {EXPORT} set total_score = 100",
    "no_free_text": f"update {EXPORT} set display_name = 'li@example.com'",
    "no_contacts": f"update {PART} set team_name = '热线 010-6552 9988'",
    "categories_from_shown": f"update {EXPORT} set people_score = 50",
    "nothing_personal": f"alter table {KPI} add column customer_email varchar",
}


@pytest.mark.parametrize("check", EXPORT_FAULTS)
def test_an_export_fault_publishes_nothing_and_is_named(
    passed: Home, company: Company, check: str
) -> None:
    home = passed
    change(home, EXPORT_FAULTS[check])
    gate.run("scorecards", home, company, MONTH)
    with pytest.raises(GateFailed) as failure:
        release.publish(company, home, MONTH)
    assert failure.value.gate == "exports"
    assert check in [line.split(":")[0] for line in failure.value.failures]
    assert release.releases(home) == []
    assert {p.name for p in home.published.iterdir()} <= {".staging", "release.pub"}
    assert list((home.published / ".staging").iterdir()) == []


def test_a_sound_export_passes(passed: Home, company: Company) -> None:
    home = passed
    gate.run("scorecards", home, company, MONTH)
    assert release.publish(company, home, MONTH).number == 1
    audit = gate.verdict(home, MONTH, "exports")
    assert audit is not None
    assert (audit.failures, audit.warnings) == ((), ())


OTHER_VALUES = {
    "display_name": "case employee_number when 'M1' then '王M2' else '王M1' end",
    "team_id": "'T2'",
    "team_name": "'Team 2'",
    "role": "'trainer'",
    "rank": "3 - rank",
    "rank_low": "3 - rank_low",
    "rank_high": "3 - rank_high",
    "peer_count": "3",
    "previous_total_score": "50",
    "change": "-1.5",
    "coverage_rate": "0.9",
    "status": "'no_target'",
    "result_score": "null",
    "agent_count": "2",
    "exposure_days": "31",
    "appeals_open": "1",
    "appeals_upheld": "1",
    "appeals_rejected": "1",
    "appeals_late": "1",
}


@pytest.mark.parametrize("column", OTHER_VALUES)
def test_every_value_of_the_hr_file_is_reached_by_a_second_road(
    passed: Home, company: Company, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setattr(gate, "_expect", by_their_queries)
    home = passed
    change(home, f"update {EXPORT} set {column} = {OTHER_VALUES[column]}")
    gate.run("scorecards", home, company, MONTH)
    with pytest.raises(GateFailed) as failure:
        release.publish(company, home, MONTH)
    told = {line.split(":")[0]: line for line in failure.value.failures}
    assert f"manager_id=M1, column_name={column}" in told["hr_equals_scorecards"]


def other_month(folder: Path) -> None:
    file = folder / f"{STEM}.csv"
    file.write_bytes(file.read_bytes().replace(b"2026-09-01,", b"2026-09-02,"))
    packed_anew(folder, file)


def test_another_month_in_the_hr_file_is_found(
    passed: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_expect", by_their_queries)
    monkeypatch.setattr(exports, "write", broken(other_month))
    gate.run("scorecards", passed, company, MONTH)
    with pytest.raises(GateFailed, match=r"hr_equals_scorecards.*M1, column_name=month"):
        release.publish(company, passed, MONTH)


def test_a_name_that_begins_like_a_formula_is_the_rosters(passed: Home, company: Company) -> None:
    home = passed
    for table in (EXPORT, "core.dim_managers"):
        change(home, f"update {table} set display_name = '\u3000=王' || display_name")
    gate.run("scorecards", home, company, MONTH)
    released = release.publish(company, home, MONTH)
    text = (released.path / "exports/hr" / f"{STEM}.csv").read_text("utf-8-sig")
    assert ",'\u3000=王王M1," in text


def test_a_team_named_after_somebody_is_a_warning_that_names_the_team(
    passed: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_expect", by_their_queries)
    home = passed
    for table in (PART, EXPORT, "core.dim_managers"):
        change(home, f"update {table} set team_name = '名M1组'")
    gate.run("scorecards", home, company, MONTH)
    assert release.publish(company, home, MONTH).number == 1
    audit = gate.verdict(home, MONTH, "exports")
    assert audit is not None
    found = {check.id: check for check in audit.checks}["texts_name_nobody"]
    assert (found.passed, found.severity) == (False, "warning")
    assert found.failing_keys == (
        "place=export_hr_manager_months, column_name=team_name, of_what=T1",
        "place=scorecard_team_months, column_name=team_name, of_what=T1",
    )


def formula_in_payroll(folder: Path) -> None:
    for file in folder.glob("*.csv"):
        file.write_bytes(file.read_bytes().replace(b",M1,", b",\xe2\x80\x8b=M1,"))
        packed_anew(folder, file)


def test_a_formula_in_any_csv_is_found(
    passed: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = passed
    company = pay(home, company)
    monkeypatch.setattr(exports, "write", broken(formula_in_payroll))
    monkeypatch.setattr(gate, "_expect", by_their_queries)
    with pytest.raises(GateFailed) as failure:
        release.publish(company, home, MONTH)
    told = {line.split(":")[0]: line for line in failure.value.failures}
    for file in (f"hr/{STEM}", "payroll/payroll_manager_months_2026-09"):
        named = f"file=exports/{file}.csv, file_row=1, column_name=employee_number"
        assert named in told["no_formula"]


REAL_WRITE = exports.write
STEM = "hr_manager_months_2026-09"


def broken(work: Callable[[Path], None]) -> Any:
    """Return a writer of exports whose files something happens to before they are judged."""

    def write(*given: Any) -> list[Path]:
        files = REAL_WRITE(*given)
        work(given[-1])
        return files

    return write


def packed_anew(folder: Path, changed: Path) -> None:
    """Let the Data Package say of a changed file what it is now."""
    package = folder / "datapackage.json"
    said = json.loads(package.read_text("utf-8"))
    for each in said["resources"]:
        if each["path"] == changed.name:
            each["hash"] = f"sha256:{file_sha256(changed)}"
    package.write_text(json.dumps(said), encoding="utf-8")


def other_csv(folder: Path) -> None:
    file = folder / f"{STEM}.csv"
    file.write_bytes(file.read_bytes().replace(b"Team 1", b"Team 2"))
    packed_anew(folder, file)


def other_bytes(folder: Path) -> None:
    with (folder / f"{STEM}.parquet").open("ab") as handle:
        handle.write(b" ")


def a_file_more(folder: Path) -> None:
    (folder / "notes.txt").write_text("hello", encoding="utf-8")


def without_bom(folder: Path) -> None:
    file = folder / f"{STEM}.csv"
    file.write_bytes(file.read_bytes()[3:])
    packed_anew(folder, file)


FILE_FAULTS = {
    "a cell of the CSV": (other_csv, f"{STEM}.xlsx: row 1, team_name differs from the CSV"),
    "bytes of the Parquet": (other_bytes, f"{STEM}.parquet: differs from datapackage.json"),
    "a file nobody agreed on": (a_file_more, "notes.txt: not agreed, not listed or not there"),
    "no byte-order mark": (without_bom, f"{STEM}.csv: no byte-order mark"),
}


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_files_that_do_not_agree_are_not_published(
    passed: Home, company: Company, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    home = passed
    work, named = FILE_FAULTS[fault]
    gate.run("scorecards", home, company, MONTH)
    monkeypatch.setattr(exports, "write", broken(work))
    with pytest.raises(GateFailed) as failure:
        release.publish(company, home, MONTH)
    # What the CSV says is compared with the scorecards as well.
    by_value = ["hr_equals_scorecards"] if work is other_csv else []
    told = [line.split(":")[0] for line in failure.value.failures]
    assert told == ["files_agree", *by_value]
    assert named in failure.value.failures[0]
    assert release.releases(home) == []


# --- payroll --------------------------------------------------------------------------------

PAY = "exports.export_payroll_manager_months"
PAY_FAULTS = {
    "payroll_columns": f"alter table {PAY} add column display_name varchar",
    "payroll_types": f"alter table {PAY} alter column points type integer",
    "payroll_rows_are_final": f"delete from {PAY} where employee_number = 'M2'",
    "payroll_rows_unique": f"insert into {PAY} select * from {PAY}",
    "payroll_fits_bands": f"update {PAY} set multiplier = 1.2 where employee_number = 'M2'",
}


def band(grade: str, points: int, multiplier: float) -> PayrollBand:
    first = date(2026, 1, 1)
    return PayrollBand("*", grade, None, points, multiplier, first, None, "1", first, "HR")


def pay(home: Home, company: Company, *changes: str) -> Company:
    """Build a month with bands in which M1 has a B, M2 a C; return the company with them."""
    bands = (band("A", 10, 1.2), band("B", 6, 1), band("C", 0, 0.5))
    for query in (
        f"alter table {KPI} add column if not exists is_provisional boolean default false",
        f"create table {PAY} (month date, employee_number varchar, points decimal(18, 6), "
        "multiplier decimal(18, 6), band_version varchar)",
        f"insert into {PAY} values ('2026-09-01', 'M1', 6, 1, '1'), "
        "('2026-09-01', 'M2', 0, 0.5, '1')",
        "create table config.payroll_bands (role varchar, grade varchar, from_score double, "
        "points double, multiplier double, valid_from date, valid_to date, version varchar)",
        *(f"insert into config.payroll_bands values ('*', '{b.grade}', null, {b.points}, "
          f"{b.multiplier}, '2026-01-01', null, '1')" for b in bands),
        *changes,
    ):  # fmt: skip
        change(home, query)
    gate.run("scorecards", home, company, MONTH)
    return replace(company, payroll_bands=bands)


def test_payroll_gets_files_of_its_own_without_names(passed: Home, company: Company) -> None:
    home = passed
    released = release.publish(pay(home, company), home, MONTH)
    folder = released.path / "exports" / "payroll"
    name = "payroll_manager_months_2026-09"
    files = {f"{name}.csv", f"{name}.parquet", f"{name}.xlsx", "datapackage.json"}
    assert {path.name for path in folder.iterdir()} == files
    assert (folder / f"{name}.csv").read_text("utf-8-sig").splitlines() == [
        "month,employee_number,points,multiplier,band_version",
        "2026-09-01,M1,6.000000,1.000000,1",
        "2026-09-01,M2,0.000000,0.500000,1",
    ]


def test_a_provisional_total_is_not_paid_for(passed: Home, company: Company) -> None:
    home = passed
    late = f"update {KPI} set is_provisional = true where manager_id = 'M2'"
    with pytest.raises(GateFailed, match=r"payroll_rows_are_final.*M2"):
        release.publish(pay(home, company, late), home, MONTH)
    gone = f"delete from {PAY} where employee_number = 'M2'"
    change(home, gone)
    paid = replace(company, payroll_bands=(band("A", 10, 1.2),))
    gate.run("scorecards", home, company, MONTH)
    assert release.publish(paid, home, MONTH).number == 1


@pytest.mark.parametrize("check", PAY_FAULTS)
def test_a_payroll_fault_publishes_nothing_and_is_named(
    passed: Home, company: Company, check: str
) -> None:
    home = passed
    with pytest.raises(GateFailed) as failure:
        release.publish(pay(home, company, PAY_FAULTS[check]), home, MONTH)
    assert check in [line.split(":")[0] for line in failure.value.failures]
    assert release.releases(home) == []


def test_a_role_with_bands_of_its_own_is_not_paid_by_those_of_any_role(
    passed: Home, company: Company
) -> None:
    home = passed
    own = (
        "insert into config.payroll_bands select * replace ('cs_manager' as role, "
        "multiplier + 1 as multiplier) from config.payroll_bands"
    )
    company = pay(home, company, own)
    with pytest.raises(GateFailed, match=r"payroll_fits_bands.*manager_id=M1"):
        release.publish(company, home, MONTH)
    change(home, f"update {PAY} set multiplier = multiplier + 1")
    gate.run("scorecards", home, company, MONTH)
    assert release.publish(company, home, MONTH).number == 1


def one_card(home: Home, label: Label, folder: Path) -> None:
    child.plain_cards(home, label, folder)
    (folder / "cards" / "M2.html").unlink()


def with_text(text: str) -> Any:
    def stage(home: Home, label: Label, folder: Path) -> None:
        child.plain_cards(home, label, folder)
        (folder / "cards" / "M2.html").write_text(f"<p>{text}</p>", encoding="utf-8")

    return stage


def on_an_overview(home: Home, label: Label, folder: Path) -> None:
    child.plain_cards(home, label, folder)
    (folder / "pages").mkdir()
    text = "<p>li@example.com</p><script>is.not@example.com</script>"
    (folder / "pages" / "index.html").write_text(text, encoding="utf-8")


PAGE_FAULTS = {
    "a card too few": (one_card, "cards_are_the_managers", "cards=1, managers=2"),
    "an address": (with_text("li@example.com"), "no_contacts", "name=page 2 of 3"),
    "an address on an overview": (on_an_overview, "no_contacts", "place=pages, name=page 1 of 1"),
    "a phone": (with_text("电话13800138000"), "no_contacts", "name=page 2 of 3"),
}


@pytest.mark.parametrize("fault", PAGE_FAULTS)
def test_a_fault_of_the_cards_publishes_nothing_and_is_named(
    passed: Home, company: Company, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    home = passed
    stage, check, named = PAGE_FAULTS[fault]
    gate.run("scorecards", home, company, MONTH)
    monkeypatch.setattr(release_files, "stage_cards", stage)
    with pytest.raises(GateFailed) as failure:
        release.publish(company, home, MONTH)
    assert failure.value.gate == "exports"
    assert [line.split(":")[0] for line in failure.value.failures] == [check]
    assert named in failure.value.failures[0]
    assert "li@example.com" not in str(failure.value)
    assert release.releases(home) == []


def paper(manager: str) -> bytes:
    title = (
        f"<dc:title><rdf:Alt><rdf:li>Scorecard 2026-09 · {manager}</rdf:li></rdf:Alt></dc:title>"
    )
    return b"%PDF-1.7\n" + title.encode() + b"\n%%EOF"


PAPER_FAULTS = {
    "a paper too few": ({"M1": paper("M1")}, "card=M2, fault=missing"),
    "another's paper": ({"M1": paper("M1"), "M2": paper("M1")}, "card=M2, fault=of another"),
    "a paper cut short": ({"M1": paper("M1")[:-5], "M2": paper("M2")}, "card=M1, fault=not whole"),
}


@pytest.mark.parametrize("fault", PAPER_FAULTS)
def test_a_fault_of_cards_as_pdf_publishes_nothing_and_is_named(
    passed: Home, company: Company, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    papers, named = PAPER_FAULTS[fault]

    def stage(home: Home, label: Label, folder: Path, progress: object) -> None:
        for name, content in papers.items():
            (folder / "cards" / f"{name}.pdf").write_bytes(content)

    wanted = replace(company, cards=Cards(pdf=True))
    gate.run("scorecards", passed, wanted, MONTH)
    monkeypatch.setattr(release_files, "stage_cards", child.plain_cards)
    monkeypatch.setattr(release_files, "stage_pdfs", stage)
    with pytest.raises(GateFailed) as failure:
        release.publish(wanted, passed, MONTH)
    assert [line.split(":")[0] for line in failure.value.failures] == ["papers_are_the_cards"]
    assert named in failure.value.failures[0]
    assert release.releases(passed) == []
    papers = {name: paper(name) for name in ("M1", "M2")}
    assert release.publish(wanted, passed, MONTH).number == 1


def test_a_contact_in_the_evidence_publishes_nothing(
    passed: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = passed
    gate.run("scorecards", home, company, MONTH)
    monkeypatch.setattr(release_files, "stage_cards", child.plain_cards)
    monkeypatch.setattr(release_verdicts, "_published_keys", lambda _: "person_id=li@example.com")
    with pytest.raises(GateFailed, match=r"no_contacts.*place=gate_verdicts"):
        release.publish(company, home, MONTH)


# --- gates that cannot run ------------------------------------------------------------------


def test_a_gate_that_cannot_run_is_a_gate_that_failed(home: Home, company: Company) -> None:
    land_all(home)
    small.build(home)
    raw(home, company)
    change(home, f"drop table {KPI}")
    failure = stopped(home, company, "scorecards")
    assert "gate_ran" in failure.failures[0]
    assert "scorecard_kpi_months" in failure.failures[0]


def test_a_failing_run_takes_an_earlier_pass_away(
    home: Home,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    land_all(home)
    raw(home, company)

    def broken(*_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(gate, "evaluate", broken)
    with pytest.raises(GateFailed, match="RuntimeError"):
        raw(home, company)
    assert "RuntimeError at test_gates.py" in caplog.text
    assert "no memory" not in caplog.text
    kept = gate.verdict(home, MONTH, "raw")
    assert kept is not None
    assert not kept.passed


def test_a_verdict_about_other_data_does_not_count(home: Home, company: Company) -> None:
    land_all(home)
    small.build(home)
    raw(home, company)
    facts(home, company)
    gate.run("scorecards", home, company, MONTH)
    change(home, f"update {TOTAL} set total_score = 12 where manager_id = 'M1'")
    with pytest.raises(GateFailed, match="changed since"):
        release.publish(company, home, MONTH)
    small.build(home)
    land_all(home, calls=f"{CALLS} limit 90")
    with pytest.raises(GateFailed, match="changed since"):
        release.publish(company, home, MONTH)
