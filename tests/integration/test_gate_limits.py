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
