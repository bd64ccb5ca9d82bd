"""The demo company through the pipeline, against the truth that its generator planted."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from perfhouse import demo, lake, stages, warehouse
from perfhouse.month import Month

# Much is like tests/e2e/test_demo_truth.py, on a company of its own.
pytestmark = pytest.mark.nightly

# China works on Sunday 20 September and Saturday 10 October; London's clocks change on 25 October.
SEPTEMBER, OCTOBER = Month("2026-09"), Month("2026-10")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoResult:
    folder = tmp_path_factory.mktemp("demo") / "company"
    return demo.generate(
        folder,
        managers=6,
        agents=40,
        months=2,
        seed=11,
        first_month=SEPTEMBER.key,
        tickets=3_000,
        calls=3_000,
    )


@pytest.fixture(scope="module")
def ws(made: demo.DemoResult, tmp_path_factory: pytest.TempPathFactory) -> stages.Workspace:
    workspace = stages.open_workspace(made.company, made.sources, tmp_path_factory.mktemp("home"))
    for month in made.months:
        for source in workspace.company.sources:
            stages.ingest(workspace, source.id, month)
    return workspace


@pytest.fixture(scope="module")
def built(ws: stages.Workspace) -> stages.Workspace:
    for month in (SEPTEMBER, OCTOBER):
        stages.build(ws, month)
    return ws


def test_what_landed_is_what_was_planted_to_the_row(
    made: demo.DemoResult, ws: stages.Workspace
) -> None:
    expected = json.loads((made.truth / "landing.json").read_text(encoding="utf-8"))
    assert len(expected) == 2 * 8
    for row in expected:
        manifest = lake.read_manifest(ws.home, row["source"], Month(row["month"]))
        assert manifest is not None
        found = manifest.streams[row["stream"]]
        counts = (found.rows_in, found.landed, found.duplicates, found.quarantined)
        wanted = (row["rows_in"], row["landed"], row["duplicates"], row["quarantined"])
        assert counts == wanted, row


def test_lost_times_of_day_are_unknown_and_comments_never_land(ws: stages.Workspace) -> None:
    manifest = lake.read_manifest(ws.home, "surveys", SEPTEMBER)
    assert manifest is not None
    found = manifest.streams["survey_responses"]
    assert sum(found.unknown["started_at"].values()) > 0
    assert list(found.undeclared_fields) == ["Legacy Ref"]


def test_every_kpi_of_every_manager_is_the_planted_truth(
    made: demo.DemoResult, built: stages.Workspace
) -> None:
    assert differences(made, built, "delivered") == []


def test_every_event_is_credited_to_whom_the_truth_says(
    made: demo.DemoResult, built: stages.Workspace
) -> None:
    told, missed = parted(planted_credits(made, OCTOBER))
    ours, strangers = parted(our_credits(made, built, OCTOBER))
    assert len(told) > 3_000
    assert {credit.kpi_id for credit in ours} == {credit.kpi_id for credit in told}
    assert sorted(told - ours, key=str) == []
    assert sorted(ours - told, key=str) == []
    assert strangers == missed
    assert sum(missed.values()) > 0  # the truth knows who the strangers are, we do not


def test_a_redelivery_restates_its_month_to_the_redelivered_truth(
    made: demo.DemoResult, built: stages.Workspace
) -> None:
    september = lake.read_manifest(built.home, "surveys", SEPTEMBER)
    demo.redeliver(made.company.parent, OCTOBER.key)
    stages.ingest(built, "surveys", OCTOBER)
    stages.build(built, OCTOBER)
    assert differences(made, built, "redelivered") == []
    assert differences(made, built, "delivered") != []
    assert lake.read_manifest(built.home, "surveys", SEPTEMBER) == september


def test_a_move_that_hr_told_of_late_moves_credit_only_when_its_month_is_built_again(
    made: demo.DemoResult, built: stages.Workspace
) -> None:
    """Everybody's share of September is as told by September, and by October when asked so."""
    for as_of in (SEPTEMBER, OCTOBER, SEPTEMBER):
        stages.build(built, SEPTEMBER, as_of)
        assert differences(made, built, "delivered", SEPTEMBER, as_of) == []
        other = OCTOBER if as_of is SEPTEMBER else SEPTEMBER
        moved = differences(made, built, "delivered", SEPTEMBER, other)
        assert any(kpi == "kb_contributions" for _, kpi, *_ in moved)


def test_a_made_up_saturday_is_worked(built: stages.Workspace) -> None:
    with warehouse.connect(built.home.warehouse, read_only=True) as con:
        rows = con.execute(
            "select cast(first_solved_at + interval 8 hour as date) as solved_on, count(*) > 20 "
            "from core.fct_tickets where month = ? and cast(first_solved_at + interval 8 hour as "
            "date) in (date '2026-10-04', date '2026-10-10', date '2026-10-11') group by solved_on",
            [OCTOBER.start],
        ).fetchall()
    assert rows == [(date(2026, 10, 10), True)]


def test_who_is_away_is_answered_for_by_the_next_one_up_who_is_there(
    built: stages.Workspace,
) -> None:
    con = warehouse.connect(built.home.warehouse, read_only=True)
    try:
        rows = con.execute(
            "select manager_id, responsible_manager_id, is_vacancy_cover, min(valid_from), "
            "max(valid_to) from core.dim_employees where month = ? "
            "and (is_leave_cover or is_vacancy_cover) group by all order by all",
            [OCTOBER.start],
        ).fetchall()
    finally:
        con.close()
    assert [(*who, str(start), str(stop)) for *who, start, stop in rows] == [
        ("D0002", "D0001", False, "2026-10-10", "2026-10-13"),
        ("M1002", "D0001", True, "2026-10-12", "2026-10-13"),
        ("M1002", "D0002", True, "2026-10-13", "2026-10-15"),
        ("M1006", "D0003", False, "2026-10-21", "2026-10-28"),
    ]


class Credit(NamedTuple):
    """What one event counts of a KPI, for whom and for which manager of theirs."""

    kpi_id: str
    event_id: str | None
    event_on: date
    employee_id: str | None
    manager_id: str | None
    numerator: float
    denominator: float


def planted_credits(made: demo.DemoResult, month: Month) -> Counter[Credit]:
    """Return the credits that the generator planted; an answer is known by its response."""
    with warehouse.connect() as con:
        rows = con.execute(
            "select kpi_id, split_part(event_id, ':', 1), event_on, employee_id, manager_id, "
            "numerator, denominator from read_parquet(?) where month = ?",
            [str(made.truth / "attribution.parquet"), month.key],
        ).fetchall()
    return Counter(_credit(*row) for row in rows)


def our_credits(made: demo.DemoResult, ws: stages.Workspace, month: Month) -> Counter[Credit]:
    """Return the same of the rows behind our KPIs; who is counted per head is no event."""
    truth = str(made.truth / "attribution.parquet")
    found: Counter[Credit] = Counter()
    with warehouse.connect(ws.home.warehouse, read_only=True) as con:
        behind = con.execute(
            "select kpi_id, row_sql from kpis.kpi_definitions "
            "where kpi_id in (select kpi_id from read_parquet(?))",
            [truth],
        ).fetchall()
        for kpi_id, sql in behind:
            rows = con.execute(
                "select ?, source_row_id, event_on, employee_id, manager_id, "
                f"numerator::double, denominator::double from ({sql}) where month = ? "
                "and (numerator <> 0 or ? <> 'kb_contributions')",
                [kpi_id, month.start, kpi_id],
            ).fetchall()
            found.update(_credit(*row) for row in rows)
    return found


def _credit(
    kpi_id: str, event_id: str, event_on: date, employee_id: str | None, *rest: Any
) -> Credit:
    """Return a credit as both sides can tell it."""
    # The truth knows an assignment by its number, the learning tool by its last statement.
    event = None if kpi_id == "training_completion_rate" else event_id
    manager_id, numerator, denominator = rest
    sums = round(numerator, 6), round(denominator, 6)
    return Credit(kpi_id, event, event_on, employee_id, manager_id, *sums)


def parted(credits: Counter[Credit]) -> tuple[Counter[Credit], Counter[str]]:
    """Return the credits of managers, and how many by KPI are of people nobody knows."""
    whose = Counter({credit: n for credit, n in credits.items() if credit.manager_id is not None})
    return whose, Counter(credit.kpi_id for credit in (credits - whose).elements())


def differences(
    made: demo.DemoResult,
    ws: stages.Workspace,
    scenario: str,
    month: Month = OCTOBER,
    as_of: Month | None = None,
) -> list[tuple[object, ...]]:
    """List where a manager's sums differ from the truth: of their own people, and of all below.

    Of the KPIs that the generator tells; others come to managers on the same ways.
    """
    con = warehouse.connect(ws.home.warehouse, read_only=True)
    try:
        return con.execute(
            """
            with ours as (
                select manager_id, kpi_id, 'direct' as reach, sum(numerator) as n,
                    sum(denominator) as d
                from kpis.kpi_employee_months
                where month = $start and manager_id is not null
                    and kpi_id in (select kpi_id from read_parquet($truth))
                group by all
                having n <> 0 or d <> 0
                union all
                select manager_id, kpi_id, 'all', sum(numerator) as n, sum(denominator) as d
                from kpis.kpi_manager_strata
                where month = $start and kpi_id in (select kpi_id from read_parquet($truth))
                group by all
                having n <> 0 or d <> 0
            ),
            told as (
                select *
                from read_parquet($truth)
                where month = $month and as_of = $as_of and scenario = $scenario
            ),
            planted as (
                select manager_id, kpi_id, 'all' as reach, numerator as n, denominator as d
                from told
                union all
                select manager_id, kpi_id, 'direct', direct_numerator, direct_denominator
                from told
                where direct_denominator is not null
            )
            select coalesce(o.manager_id, p.manager_id), coalesce(o.kpi_id, p.kpi_id),
                o.n, p.n, o.d, p.d
            from ours o
            full join planted p using (manager_id, kpi_id, reach)
            where not coalesce(abs(o.n - p.n) < 0.001 and abs(o.d - p.d) < 0.001, false)
            """,
            {
                "start": month.start,
                "truth": str(made.truth / "kpi_months.parquet"),
                "month": month.key,
                "as_of": (as_of or month).key,
                "scenario": scenario,
            },
        ).fetchall()
    finally:
        con.close()


def test_the_free_text_of_customers_is_nowhere_in_the_lake(
    made: demo.DemoResult, ws: stages.Workspace
) -> None:
    con = warehouse.connect()
    files = [str(p) for p in Path(ws.home.raw, "survey_responses").rglob("*.parquet")]
    assert files
    for file in files:
        row = con.execute(
            "select count(*) from (select cast(columns(*) as varchar) from read_parquet(?)) t "
            "where cast(t as varchar) like '%please call%'",
            [file],
        ).fetchone()
        assert row == (0,)
    con.close()
