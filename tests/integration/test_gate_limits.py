"""Gates look back, say who agreed to a limit, and fail where they cannot run."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from connectors.streams import STREAMS
from expectations import gate
from perfhouse import warehouse
from perfhouse.company_types import Agreement, Company
from perfhouse.errors import GateFailed
from perfhouse.settings import Home

SOURCES = (small.source("hr"), small.source("calls"))


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a home with three steady months before the month."""
    home = small.home(tmp_path_factory.mktemp("year") / "home")
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "calls", {"calls": CALLS})
    for back, csat in ((3, 82), (2, 83), (1, 81), (0, 82)):
        small.build(home, MONTH.plus(-back), csat=csat)
    return home.root


@pytest.fixture
def home(year: Path, tmp_path: Path) -> Home:
    shutil.copytree(year, tmp_path / "home", symlinks=True)
    return small.home(tmp_path / "home")


def company(tmp_path: Path, **more: Any) -> Company:
    return replace(small.company(tmp_path / "company", *SOURCES), **more)


def checks(home: Home, of: Company, name: str = "scorecards") -> dict[str, gate.Check]:
    with suppress(GateFailed):
        gate.run(name, home, of, MONTH, streams=STREAMS)
    kept = gate.verdict(home, MONTH, name)
    assert kept is not None
    return {check.id: check for check in kept.checks}


def test_a_kpi_far_from_its_own_past_is_told_and_stops_only_if_a_company_says_so(
    home: Home, tmp_path: Path
) -> None:
    assert checks(home, company(tmp_path))["kpi_drift"].passed
    small.build(home, csat=20)
    found = checks(home, company(tmp_path))["kpi_drift"]
    assert (found.passed, found.severity) == (False, "warning")
    assert found.failing_keys == (
        "kpi_id=csat_rate, kpi_version=1, now=0.475, median=0.785, months=3, deviation=0.0393",
    )
    strict = company(tmp_path, gates={"scorecards": {"drift_critical": 1.0}})
    assert checks(home, strict)["kpi_drift"].severity == "critical"
    patient = company(tmp_path, gates={"scorecards": {"drift_months": 4.0}})
    assert checks(home, patient)["kpi_drift"].passed


def test_a_grade_given_far_more_often_than_before_is_told(home: Home, tmp_path: Path) -> None:
    table = "scorecards.scorecard_manager_months"
    with warehouse.connect(home.warehouse) as con:
        con.execute(
            f"insert into {table} by name select m.* replace ('N' || i as manager_id, "
            "case when i < 40 or month = date '2026-09-01' then 'A' else 'C' end as grade) "
            f"from {table} m cross join range(100) t(i) where manager_id = 'M2'"
        )
    found = checks(home, company(tmp_path))["grade_drift"]
    assert [key.split(",")[0] for key in found.failing_keys] == ["grade=A", "grade=C"]


def test_a_limit_says_in_the_verdict_and_in_the_table_who_agreed_to_it(
    home: Home, tmp_path: Path
) -> None:
    said = Agreement("Data board", date(2026, 8, 1), "a pilot")
    of = company(
        tmp_path,
        gates={"raw": {"quarantine_share": 0.03, "duplicate_share": 0.04}},
        agreements={"raw": {"quarantine_share": said}},
    )
    found = checks(home, of, "raw")
    agreed = found["quarantine_share"]
    assert (agreed.agreed_by, agreed.agreed_on, agreed.agreed_reason) == (
        *("Data board", "2026-08-01"),
        "a pilot",
    )
    assert found["duplicate_share"].agreed_by == "perfhouse.toml, nobody named"
    assert found["volume_drop"].agreed_by == "default of perfhouse 0.1.0"
    assert found["files_intact"].agreed_by == ""
    with warehouse.connect(home.warehouse, read_only=True) as con:
        rows = con.execute(
            "select agreed_by, agreed_on, agreed_reason from ops.gate_verdicts "
            "where gate = 'raw' and check_id = 'quarantine_share'"
        ).fetchall()
    assert rows == [("Data board", date(2026, 8, 1), "a pilot")]


WRONG_CALLS = f"""
    select * replace (
        case when leg_id in ('L1', 'L2') then started_at - interval 1 hour else ended_at end
            as ended_at
    ), 300 as talk_ms, case when leg_id = 'L3' then -5 end as wait_ms,
    case when leg_id = 'L4' then 90000000 end as hold_ms
    from ({CALLS})
"""
WRONG_REVIEWS = """
    select 'R' || i as review_id, 'E1' as agent_id, case when i = 3 then 'E1' else 'M1' end as
        evaluator_id, timestamptz '2026-09-10 01:00:00+00' as reviewed_at,
        case when i = 7 then 870 else 87 end as score, 100 as scale_max
    from range(20) t(i)
"""
WRONG_ANSWERS = """
    select 'A' || i as response_id, 's' as survey_id, 'csat' as survey_kind, 'q' as question_id,
        timestamptz '2026-09-10 01:00:00+00' as submitted_at, 6 as score, 1 as scale_min,
        5 as scale_max, null as rater_key
    from range(20) t(i)
"""
WRONG_ROWS = {
    "calls_seldom_reversed": "leg_id=L1, field=ended_at before started_at",
    "calls_in_order": "leg_id=L2, field=ended_at before started_at",
    "calls_possible": "leg_id=L4, field=hold_ms longer than a day",
    "calls_ranges": "leg_id=L3, field=wait_ms",
    "calls_talk_ms_unit": "source=calls, told=",
    "calls_sensible": "leg_id=L4",
    "qa_reviews_possible": "review_id=R7, field=score outside its scale",
    "qa_reviews_sensible": "review_id=R3, field=reviewed by oneself",
    "survey_responses_possible": "response_id=A0, question_id=q, field=score outside its scale",
}


def test_rows_that_cannot_be_true_are_named_stream_by_stream(home: Home, tmp_path: Path) -> None:
    streams = {"qa_reviews": WRONG_REVIEWS, "survey_responses": WRONG_ANSWERS}
    small.land(home, "calls", {"calls": WRONG_CALLS, **streams})
    found = checks(home, company(tmp_path), "raw")
    for check, named in WRONG_ROWS.items():
        assert not found[check].passed, check
        assert any(named in key for key in found[check].failing_keys), check
        warns = check.endswith(("_in_order", "_sensible"))
        assert found[check].severity == ("warning" if warns else "critical"), check
    assert found["calls_seldom_reversed"].observed == "2.00%"


ODD_ANSWERS = """
    select response_id, 's' as survey_id, survey_kind, 'q' as question_id, metric, rater_type,
        timestamptz '2026-09-10 01:00:00+00' as submitted_at, 4 as score, scale_min, scale_max,
        null as rater_key
    from (values
        ('sound', 'csat', 'csat', 'customer', 1, 5),
        ('own', 'employee_satisfaction', 'enps', 'subordinate', 0, 10),
        ('leak', 'employee_satisfaction', 'csat', null, 1, 5),
        ('client', 'peer_360', 'item', 'customer', 1, 5),
        ('nps', 'nps', 'nps', 'customer', 0, 10),
        ('nps of five', 'nps', 'nps', 'customer', 1, 5)
    ) v(response_id, survey_kind, metric, rater_type, scale_min, scale_max)
"""


def test_answers_that_would_count_nowhere_or_twice_are_told(home: Home, tmp_path: Path) -> None:
    small.land(home, "calls", {"calls": CALLS, "survey_responses": ODD_ANSWERS})
    found = checks(home, company(tmp_path), "raw")["survey_responses_sensible"]
    assert (found.passed, found.severity) == (False, "warning")
    assert {key.replace("_source=calls, ", "") for key in found.failing_keys} == {
        "response_id=leak, question_id=q, field=employees asked what customers are asked",
        "response_id=client, question_id=q, field=a customer who answers a survey of employees",
        "response_id=nps of five, question_id=q, "
        "field=a recommendation that counts nowhere: its scale is not 0-10",
    }


def test_answered_calls_whose_wait_nobody_knows_are_told_with_their_share(
    home: Home, tmp_path: Path
) -> None:
    queue = "'Q' || (cast(ltrim(leg_id, 'L') as int) % 2) as queue_id"
    wait = "case when leg_id {} then null else 1000 end as wait_ms"
    told = f"select *, {queue}, {wait} from ({CALLS})"
    small.land(home, "calls", {"calls": told.format("= 'none'")})
    assert checks(home, company(tmp_path), "raw")["calls_wait_ms_told"].passed
    small.land(home, "calls", {"calls": told.format("in ('L1', 'L3')")})
    found = checks(home, company(tmp_path), "raw")["calls_wait_ms_told"]
    assert (found.passed, found.severity) == (False, "warning")
    assert found.failing_keys == ("source=calls, queue_id=Q1, rows=50, unknown=2, share=4.0%",)
    assert found.observed == "2.00% unknown"


def broken_engine(*_: object) -> dict[str, bool]:
    raise RuntimeError("no memory")


@pytest.mark.parametrize("name", gate.GATES)
def test_a_gate_whose_engine_breaks_has_failed(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(gate, "_expect", broken_engine)
    with pytest.raises(GateFailed, match="gate_ran"):
        gate.run(name, home, company(tmp_path), MONTH, streams=STREAMS, staged=tmp_path / "no")
    kept = gate.verdict(home, MONTH, name)
    assert kept is not None
    assert not kept.passed


@pytest.mark.parametrize("name", ["facts", "scorecards"])
def test_a_gate_without_its_warehouse_has_failed(home: Home, tmp_path: Path, name: str) -> None:
    home.warehouse.unlink()
    with pytest.raises(GateFailed, match="gate_ran"):
        gate.run(name, home, company(tmp_path), MONTH, streams=STREAMS)


def test_a_gate_whose_facts_are_gone_has_failed(home: Home, tmp_path: Path) -> None:
    with warehouse.connect(home.warehouse) as con:
        con.execute("drop table core.fct_offers")
    found = checks(home, company(tmp_path), "facts")
    assert list(found) == ["gate_ran"]
    assert "fct_offers" in found["gate_ran"].observed


def test_a_gate_that_gets_no_result_for_a_check_has_failed(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_outcomes", lambda _: iter(()))
    found = checks(home, company(tmp_path), "scorecards")
    assert found["gate_ran"].observed.startswith("no result for")


def test_a_verdict_that_cannot_be_kept_is_no_pass(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(gate, "_expect", lambda _, rules: {rule.id: True for rule in rules})
    monkeypatch.setattr(gate, "_record", refuse)
    assert list(checks(home, company(tmp_path), "scorecards")) == ["gate_ran"]
