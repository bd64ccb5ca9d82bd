"""The facts gate: every landed row is counted once, in a fact or under the reason it is not."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from connectors.streams import STREAMS
from expectations import gate, readings
from expectations.fact_shapes import SHAPES
from expectations.readings import READINGS
from perfhouse import settings, warehouse
from perfhouse.company_types import Company, Location
from perfhouse.errors import GateFailed
from perfhouse.settings import Home

SOURCES = (small.source("hr"), small.source("calls"))
BEFORE = MONTH.plus(-1)
OUTSIDE = CALLS.replace("2026-09-10", "2026-08-10").replace("'L' ||", "'A' ||")
EDGE = CALLS.replace("2026-09-10 01:", "2026-08-31 15:").replace("'L' ||", "'B' ||")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return small.company(tmp_path / "company", *SOURCES)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = small.home(tmp_path_factory.mktemp("facts") / "home")
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "calls", {"calls": CALLS})
    small.build(home)
    return home.root


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Home:
    shutil.copytree(built, tmp_path / "home", symlinks=True)
    return small.home(tmp_path / "home")


def change(home: Home, *statements: str) -> None:
    with warehouse.connect(home.warehouse) as con:
        for statement in statements:
            con.execute(statement)


def judged(home: Home, company: Company) -> dict[str, gate.Check]:
    """Run the gate and return the checks that failed."""
    with suppress(GateFailed):
        gate.run("facts", home, company, MONTH, streams=STREAMS)
    kept = gate.verdict(home, MONTH, "facts")
    assert kept is not None
    return {check.id: check for check in kept.checks if not check.passed}


def counted(home: Home) -> dict[tuple[str, str, str], int]:
    with warehouse.connect(home.warehouse, read_only=True) as con:
        found = con.execute(
            "select stream, delivered, reason, rows from ops.reconciliation where month = ?",
            [MONTH.start],
        ).fetchall()
    return {(stream, delivered, reason): rows for stream, delivered, reason, rows in found}


FAULTS = {
    "rows_accounted_for": ("delete from core.fct_calls where leg_id = 'L7'", "leg_id=L7"),
    "facts_have_rows": (
        "insert into core.fct_calls by name select * replace ('L999' as leg_id) "
        "from core.fct_calls where leg_id = 'L1'",
        "leg_id=L999",
    ),
    "facts_unique": (
        "insert into core.fct_calls select * from core.fct_calls where leg_id = 'L3'",
        "leg_id=L3, found=2 rows",
    ),
    "facts_keyed": ("update core.fct_calls set _source = null where leg_id = 'L4'", "leg_id=L4"),
    "facts_in_month": (
        "update core.fct_calls set ended_on = '2026-08-31' where leg_id = 'L5'",
        "leg_id=L5, found=ended_on 2026-08-31",
    ),
    "facts_not_negative": (
        "update core.fct_calls set wait_seconds = -1 where leg_id = 'L6'",
        "leg_id=L6, found=wait_seconds -1",
    ),
    "facts_people_known": (
        "update core.fct_calls set agent_employee_id = 'X1' where leg_id = 'L8'",
        "leg_id=L8, found=agent_employee_id X1",
    ),
    "facts_refer": (
        "insert into core.fct_ticket_lifecycles by name select date '2026-09-01' as month, "
        "'t1' as ticket_key, 'desk' as _source, 'T1' as ticket_id, 2 as comment_count",
        "ticket_id=T1, found=ticket_key not in fct_tickets",
    ),
    "comments_counted": ("select 1", "ticket_id=T1, counted=2, delivered=0"),
    "facts_in_order": (
        "insert into core.fct_ticket_owners by name select date '2026-09-01' as month, "
        "'t1' as ticket_key, 'desk' as _source, 'T1' as ticket_id, 1 as stretch_no, "
        "timestamptz '2026-09-03 00:00:00+00' as from_at, "
        "timestamptz '2026-09-02 00:00:00+00' as to_at",
        "ticket_id=T1, stretch_no=1, found=to_at before from_at",
    ),
    "facts_seldom_reversed": (
        "update core.fct_calls set started_at = ended_at + interval 1 hour "
        "where leg_id in ('L9', 'L10')",
        "leg_id=L9, found=ended_at before started_at",
    ),
}


def test_a_clean_month_is_counted_to_the_last_row(home: Home, company: Company) -> None:
    assert judged(home, company) == {}
    kept = gate.verdict(home, MONTH, "facts")
    assert kept is not None
    observed = {check.id: check.observed for check in kept.checks}
    assert observed["rows_add_up"] == "104 landed = 104 in facts + 0 left out"
    assert counted(home) == {
        ("calls", "2026-09", "in_facts"): 100,
        ("hr_roster", "2026-09", "in_facts"): 4,
    }


def test_faults_of_facts_are_stopped_each_by_its_check_with_its_keys(
    home: Home, company: Company
) -> None:
    change(home, *(statement for statement, _ in FAULTS.values()))
    found = judged(home, company)
    for check, (_, named) in FAULTS.items():
        assert any(named in key for key in found[check].failing_keys), check
        assert found[check].severity == "critical"


def test_what_no_fact_holds_has_a_reason_and_the_counts_add_up(
    home: Home, company: Company
) -> None:
    small.land(home, "calls", {"calls": f"{CALLS} union all {OUTSIDE}"}, BEFORE)
    small.land(home, "calls", {"calls": CALLS.replace("range(100)", "range(40)")})
    small.build(home)
    found = judged(home, company)
    # L40 to L99 were delivered by August's window only: the build of the fixture reads September
    assert set(found) == {"rows_accounted_for"}
    assert counted(home) == {
        ("calls", "2026-08", "outside_month"): 100,
        ("calls", "2026-08", "superseded"): 40,
        ("calls", "2026-08", "unexplained"): 60,
        ("calls", "2026-09", "in_facts"): 40,
        ("hr_roster", "2026-09", "in_facts"): 4,
    }
    assert len(found["rows_accounted_for"].failing_keys) == 20
    assert found["rows_accounted_for"].observed == "60 rows"


def test_a_row_at_the_edge_belongs_where_its_person_works(home: Home, tmp_path: Path) -> None:
    small.land(home, "calls", {"calls": f"{CALLS} union all {EDGE}"})
    small.build(home)
    # 55 of them end before the month begins in Shanghai, all before it begins in London
    assert judged(home, small.company(tmp_path / "company", *SOURCES)) == {}
    assert counted(home)["calls", "2026-09", "outside_month"] == 55
    abroad = replace(
        small.company(tmp_path / "company", *SOURCES),
        locations={"*": Location("Asia/Shanghai", "always"), "L": Location("UTC", "always")},
    )
    change(home, "delete from core.fct_calls where leg_id like 'B%'")
    assert judged(home, abroad) == {}
    assert counted(home)["calls", "2026-09", "outside_month_by_place"] == 45


ROWS_OF_LEAVERS = f"""
    select * from ({ROSTER}) union all by name
    select * replace (
        'Q' || n as employee_id,
        case when n = 4 then date '2026-10-01' else (valid_from + to_months(n))::date end
            as valid_from,
        case n when 0 then date '2026-08-31' when 1 then date '2026-02-01' end as valid_to,
        case when n = 2 then date '2026-08-30' end as last_work_date,
        case when n = 3 then 'left' else employment_status end as employment_status
    ) from ({ROSTER}) cross join range(5) t(n) where employee_id = 'E1'
"""


def test_who_has_no_day_in_the_month_is_left_out_for_a_reason(home: Home, company: Company) -> None:
    small.land(home, "hr", {"hr_roster": ROWS_OF_LEAVERS})
    small.build(home)
    change(home, "delete from core.fct_headcount_spans where employee_id like 'Q%'")
    assert judged(home, company) == {}
    found = {key[2]: rows for key, rows in counted(home).items() if key[0] == "hr_roster"}
    assert found == {"in_facts": 4, "ended_before": 2, "left_before": 2, "begins_after": 1}
    change(home, "delete from core.fct_headcount_spans where employee_id = 'E2'")
    lost = judged(home, company)["rows_accounted_for"].failing_keys
    assert lost == (
        "stream=hr_roster, source=hr, delivered=2026-09, "
        "record=snapshot_date=2026-09-30, employee_id=E2, valid_from=2026-01-01",
    )


def test_a_delivery_that_is_not_the_one_that_was_built_stops_the_month(
    home: Home, company: Company
) -> None:
    small.land(home, "calls", {"calls": CALLS.replace("'answered'", "'transferred'")})
    assert set(judged(home, company)) == {"facts_current"}


def test_a_manifest_that_says_more_than_is_there_is_named(home: Home, company: Company) -> None:
    small.land(home, "calls", {"calls": CALLS}, landed=101)
    small.build(home)
    assert judged(home, company)["rows_add_up"].failing_keys == (
        "source=calls, stream=calls, delivered=2026-09, landed=101, accounted=100",
    )


TICKETS = """
    select 'T1' as ticket_id, timestamptz '2026-09-02 01:00:00+00' as created_at,
        timestamptz '2026-09-03 01:00:00+00' as source_updated_at, 'solved' as status
"""
EVENTS = """
    select event_id, ticket_id, event_type, timestamptz '2026-09-10 01:00:00+00' as occurred_at
    from (values ('e1', 'T1', 'solved'), ('e2', 'T2', 'solved'), ('e3', 'T2', 'public_reply'),
        ('e4', 'T2', 'tag_changed')) v(event_id, ticket_id, event_type)
"""


def test_an_event_of_a_ticket_too_old_to_be_read_is_told_with_its_ticket(
    home: Home, company: Company
) -> None:
    small.land(home, "calls", {"calls": CALLS, "tickets": TICKETS, "ticket_events": EVENTS})
    found = judged(home, company)["events_have_tickets"]
    assert found.severity == "warning"
    assert found.observed == "2 events"
    assert found.failing_keys == (
        *("source=calls, record=event_id=e2, ticket_id=T2",),
        *("source=calls, record=event_id=e3, ticket_id=T2",),
    )
    change_ticket = TICKETS + " union all " + TICKETS.replace("T1", "T2")
    small.land(home, "calls", {"calls": CALLS, "tickets": change_ticket, "ticket_events": EVENTS})
    assert "events_have_tickets" not in judged(home, company)


def test_publishing_needs_a_verdict_about_these_very_facts(home: Home, company: Company) -> None:
    before = gate.subject("facts", home, company, MONTH, MONTH)
    assert gate.subject("facts", home, company, MONTH, MONTH) == before
    change(home, "update core.fct_calls set wait_seconds = 3 where leg_id = 'L1'")
    assert gate.subject("facts", home, company, MONTH, MONTH) != before


def test_every_fact_and_every_stream_of_one_is_looked_at() -> None:
    models = settings.project_dir() / "models"
    facts = {path.stem for path in (models / "core").glob("fct_*.sql")}
    # a schedule is none of the rows that count; heads of months are spans again, whole calls legs
    assert facts - set(SHAPES) == {
        *("fct_ticket_schedules", "fct_headcount_months", "fct_interactions")
    }  # fmt: skip
    for reading in READINGS:
        assert reading.stream in STREAMS
        columns = {column.name for column in STREAMS[reading.stream].columns}
        assert set(reading.key) <= columns
        assert {ours for fact in reading.facts for ours, _ in fact.on} <= columns
        assert all(name in readings.WORDS for name, _ in (*reading.reasons, *reading.counts))
