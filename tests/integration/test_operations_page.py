"""The operations page of a release: its counts are the manifests', and it says what is late."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import publish_in_child as child
import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from expectations import gate
from perfhouse import (
    clock,
    lake,
    page_lineage,
    page_operations,
    release,
    release_files,
    step_times,
    warehouse,
)
from perfhouse.company_types import Company
from perfhouse.settings import Home

PARENTS = {
    "model.perfhouse.fct_calls": [
        "model.perfhouse.stg_calls", "model.perfhouse.dim_identities",
    ],
    "model.perfhouse.stg_calls": ["source.perfhouse.raw.calls"],
    "model.perfhouse.dim_identities": ["model.perfhouse.stg_employees"],
    "model.perfhouse.stg_employees": ["source.perfhouse.raw.hr_roster"],
}  # fmt: skip


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    sources = (
        small.source("hr"), small.source("calls"), small.source("extra", required=False),
        small.source("lost"),
    )  # fmt: skip
    return small.company(tmp_path_factory.mktemp("company"), *sources)


@pytest.fixture(scope="module")
def home(company: Company, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A published month of which the calls came on the close date, four rows of them ill."""
    home = small.home(tmp_path_factory.mktemp("root") / "home")
    small.land(home, "hr", {"hr_roster": ROSTER})
    counts = {
        "rows_in": 107, "rows_read": 110, "outside_window": 3, "duplicates": 3, "quarantined": 4,
        "reasons": {"ended_at: expected a time": 3, "<script>alert(1)</script>": 1},
        "late_rows": {"2026-08": 2}, "undeclared_fields": ("note",),
    }  # fmt: skip
    landed = small.land(home, "calls", {"calls": CALLS}, **counts)
    _receive(home, landed, datetime(2026, 10, 5, 16, 30, tzinfo=UTC))  # the 6th in Shanghai
    small.build(home)
    with warehouse.connect(home.warehouse) as con:
        con.execute("alter table kpis.kpi_definitions add column fact varchar")
        con.execute("update kpis.kpi_definitions set fact = 'fct_calls' where kpi_id = 'csat_rate'")
        con.execute(
            "create table ops.model_runs as select * from (values "
            "(date '2026-09-01', 'model', 'fct_calls', 1.5), "
            "(date '2026-09-01', 'model', 'dim_days', 0.5), "
            "(date '2026-09-01', 'test', 'keys', 0.25), (date '2026-08-01', 'model', 'old', 99)"
            ") t(month, kind, name, seconds)"
        )
    target = home.dbt / "target"
    target.mkdir(parents=True)
    (target / "manifest.json").write_text(json.dumps({"parent_map": PARENTS}), encoding="utf-8")
    of_these = small.company(company.folder, *company.sources[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_expect", child.everything_passes)
        patch.setattr(release_files, "stage_cards", child.plain_cards)
        child.judge(home, of_these, MONTH)
        release.publish(of_these, home, MONTH)
    return home


def _receive(home: Home, landed: lake.Manifest, at: datetime) -> None:
    folder = home.archive / lake.partition(MONTH, landed.source) / landed.archive_sha256[:12]
    folder.mkdir(parents=True)
    said = {
        "source": landed.source, "month": MONTH.key, "sha256": landed.archive_sha256,
        "extracted_at": at.isoformat(timespec="seconds"), "files": [],
    }  # fmt: skip
    (folder / "receipt.json").write_text(json.dumps(said), encoding="utf-8")


@pytest.fixture(scope="module")
def page(home: Home, company: Company) -> str:
    return page_of(home, company)


def page_of(home: Home, company: Company) -> str:
    folder = home.published / "2026-09/r1"
    path = page_operations.write(home, company, MONTH, "2026-09.r1", folder)
    assert path == home.root / "docs/operations/2026-09.r1.html"
    return path.read_text(encoding="utf-8")


def lines(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the tables of a section, as texts; of two languages the English."""
    section = re.search(rf"<section aria-labelledby=h-{heading}>.*?</section>", page, re.DOTALL)
    assert section
    text = re.sub(r"<i lang=zh>.*?</i>", "", section[0])
    rows = re.findall(r"<tr><th scope=row>(.*?)\n", text)
    return [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.split(r"<td[^>]*>", r)] for r in rows
    ]


def test_steps_tell_what_they_took_and_how_long_was_waited(
    home: Home, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "From the last landing" not in page_of(home, company)
    ticks = iter([60, 100, 160])
    began = datetime(2026, 10, 6, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: began + timedelta(seconds=next(ticks)))
    for name, source in (("ingest", "calls"), ("build", ""), ("publish", "")):
        with step_times.timed(home, MONTH, name, source):
            pass
    try:
        told = page_of(home, company)
    finally:
        shutil.rmtree(home.logs / "steps")
    steps = lines(told, "time")[:3]
    assert [row[:2] for row in steps] == [["ingest", "calls"], ["build", "—"], ["publish", "—"]]
    assert "From the last landing to the release:</i> <b>100 s</b>" in told


def test_counts_are_those_of_the_manifests_and_the_facts(page: str) -> None:
    rows = {row[0]: row[1:] for row in lines(page, "rows")[:2]}
    assert rows["calls"] == [
        "calls 1 undeclared fields", "110", "3", "107", "100", "3", "4", "100",
    ]  # fmt: skip
    assert rows["hr"][:7] == ["hr_roster", "4", "0", "4", "4", "0", "0"]
    tiles = re.findall(r"<dd[^>]*>([\d,.]+)", page)
    assert tiles[:5] == ["114", "104", "3", "4", "104"]


def test_every_reason_of_the_quarantine_is_told_and_none_is_markup(page: str) -> None:
    reasons = [row for row in lines(page, "rows")[2:] if row[0] == "calls"]
    assert reasons == [
        ["calls", "calls", "ended_at: expected a time", "3"],
        ["calls", "calls", "&lt;script&gt;alert(1)&lt;/script&gt;", "1"],
    ]
    assert "<i lang=zh>ended_at: 应为时间</i><i lang=en>ended_at: expected a time</i>" in page
    assert "<script" not in page
    assert "script-src &#39;none&#39;" in page


def test_what_is_late_or_missing_is_told_by_source(page: str) -> None:
    told = {row[0]: row[1:] for row in lines(page, "late")}
    assert told == {
        "hr": ["hr desk", "yes", "—", "receipt no longer kept"],
        "calls": ["calls desk", "yes", "2026-10-06", "taken late"],
        "extra": ["extra desk", "no", "—", "not delivered"],
        "lost": ["lost desk", "yes", "—", "not delivered"],
    }
    assert "calls · calls · 2026-08: 2" in page


def test_a_delivery_of_the_day_before_the_close_is_on_time(home: Home, company: Company) -> None:
    receipt = next(home.archive.rglob("receipt.json"))
    before = receipt.read_text(encoding="utf-8")
    receipt.write_text(before.replace("05T16:30", "05T15:30"), encoding="utf-8")
    path = page_operations.write(home, company, MONTH, "2026-09.r1", home.published / "2026-09/r1")
    told = {row[0]: row[1:] for row in lines(path.read_text(encoding="utf-8"), "late")}
    receipt.write_text(before, encoding="utf-8")
    assert told["calls"] == ["calls desk", "yes", "2026-10-05", "on time"]


def test_a_grace_that_was_lengthened_later_makes_no_late_delivery_timely(
    home: Home, company: Company
) -> None:
    longer = replace(company, close_grace_days=company.close_grace_days + 30)
    path = page_operations.write(home, longer, MONTH, "2026-09.r1", home.published / "2026-09/r1")
    told = {row[0]: row[1:] for row in lines(path.read_text(encoding="utf-8"), "late")}
    assert told["calls"] == ["calls desk", "yes", "2026-10-06", "taken late"]


def test_verdicts_timings_and_tables_are_those_of_the_release(page: str, home: Home) -> None:
    said = json.loads((home.published / "2026-09/r1/release.json").read_text(encoding="utf-8"))
    assert lines(page, "gates") == [
        [shown, str(said["gates"][name]["checks"]), "passed", "0"]
        for shown, name in (
            ("Raw", "raw"),
            ("Facts", "facts"),
            ("Scorecards", "scorecards"),
            ("Exports", "exports"),
        )
    ]
    assert [row[:2] for row in lines(page, "time")] == [
        ["fct_calls", "1.50"], ["dim_days", "0.50"], ["keys", "0.25"],
    ]  # fmt: skip
    assert "Seconds of all nodes</i><dd>2.2</div>" in page
    assert "Build time" not in page, "nodes run side by side: their seconds are no build's"
    tables = {row[0]: row[1:] for row in lines(page, "tables")}
    assert tables == {
        name: [f"{table['rows']:,}", table["sha256"][:12]] for name, table in said["tables"].items()
    }


def test_lineage_is_drawn_and_told(page: str) -> None:
    assert lines(page, "flow") == [["csat_rate", "fct_calls", "calls", "calls"]]
    picture = re.search(r"<svg class=flow.*?</svg>", page, re.DOTALL)
    assert picture
    assert re.findall(r"<text x=\d+ y=\d+>(.*?)</text>", picture[0]) == [
        "calls", "hr", "calls", "hr_roster", "fct_calls", "csat_rate", "scorecard_kpi_months",
    ]  # fmt: skip
    assert picture[0].count("<path") == 5


def test_lineage_goes_through_staging_and_not_through_people_or_other_facts() -> None:
    parents = {
        **PARENTS,
        "model.perfhouse.fct_promises": ["model.perfhouse.fct_calls", "model.perfhouse.helper"],
        "model.perfhouse.helper": ["model.perfhouse.helper", "source.perfhouse.raw.tickets"],
    }
    found = page_lineage.trace(
        {"desk": ["tickets", "calls"], "hr": ["hr_roster"]},
        parents,
        {"b": "fct_promises", "a": "fct_calls", "c": "fct_calls"},
    )
    assert found.layers == (
        ["desk", "hr"], ["calls", "tickets", "hr_roster"], ["fct_calls", "fct_promises"],
        ["a", "c", "b"], ["scorecard_kpi_months"],
    )  # fmt: skip
    assert found.edges[1] == [("calls", "fct_calls"), ("tickets", "fct_promises")]
    nothing = page_lineage.picture(page_lineage.trace({}, {}, {}))
    assert nothing["paths"] == []


def test_the_page_names_nobody_and_is_for_the_operator_alone(page: str, home: Home) -> None:
    for word in ("M1", "M2", "名M1", "E1"):
        assert not re.search(rf"\b{word}\b", page)
    if os.name == "posix":
        assert (home.root / "docs/operations").stat().st_mode & 0o077 == 0
    assert not any("operations" in p.name for p in Path(home.published).rglob("*"))
