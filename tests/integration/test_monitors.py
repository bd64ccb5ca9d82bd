"""The anti-gaming monitors: each finds what was planted for it, and nothing where all is well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors import streams
from perfhouse import build as builder
from perfhouse import lake, monitors, warehouse
from perfhouse.company import load_company
from perfhouse.settings import Home
from tests.integration import tiny_company as tiny

# u1 is A1, u4 is A4 (team 1 until the 15th, then team 2), u3 is A3 of team 2 in Tokyo.
LOW = """
[monitors.reassigned_after_bad_rating]
least_cases = 2
[monitors.closed_early_and_reopened]
least_cases = 2
[monitors.transfer_dumping_tickets]
least_cases = 2
least_share = 0.1
[monitors.transfer_dumping_calls]
least_cases = 2
least_share = 0.1
[monitors.survey_not_offered]
least_cases = 3
least_share = 0.3
[monitors.survey_not_answered]
least_cases = 3
least_share = 0.2
[monitors.very_short_calls]
least_cases = 3
[monitors.weekend_bulk_closes]
least_cases = 4
times_peers = 1.5
"""
EVERY = {
    "reassigned_after_bad_rating": ("A1", 2),
    "closed_early_and_reopened": ("A1", 2),
    "transfer_dumping_tickets": ("A1", 2),
    "transfer_dumping_calls": ("A1", 2),
    "survey_not_offered": ("A1", 5),
    "survey_not_answered": ("A1", 3),
    "very_short_calls": ("A1", 3),
    "weekend_bulk_closes": ("A1", 5),
}


def clean() -> dict[str, list[dict[str, Any]]]:
    """Return a month of two agents who do what everybody does."""
    rows: dict[str, list[dict[str, Any]]] = {"hr_roster": tiny.rows_of_roster()}
    rows["tickets"] = [solved(f"c{n}{who}", who, f"2026-09-{n:02d} 11:00") for who in ("u1", "u3")
                       for n in (7, 8, 9, 10, 11)]  # fmt: skip
    rows["survey_responses"] = [
        tiny.answer(f"s-{t['ticket_id']}", None, 5, "2026-09-14 10:00", ticket_id=t["ticket_id"])
        for t in rows["tickets"]
    ]
    rows["calls"] = [call(f"l{n}{who}", who, 300) for who in ("u1", "u3") for n in range(10)]
    rows["ticket_events"] = [
        event
        for who, to in (("u1", "u3"), ("u3", "u1"))
        for n in range(8)
        for event in handoff(f"h{n}{who}", who, to, with_a_reply=True)
    ]
    return rows


def planted() -> dict[str, list[dict[str, Any]]]:
    """Return the same month, in which A1 does everything that a monitor looks for."""
    rows = clean()
    early = [
        solved(f"e{n}", "u1", "2026-09-15 10:00", reopen_count=1, first_response_at=None)
        for n in range(2)
    ]
    bulk = [solved(f"w{n}", "u1", "2026-09-12 12:00") for n in range(5)]  # a Saturday
    bad = [tiny.answer(f"b{n}", None, 1, "2026-09-20 10:00", ticket_id=f"h{n}u1") for n in range(2)]
    unanswered = [
        {**tiny.answer(f"q{n}", "u1", 1, "2026-09-21 10:00"), "status": "sent", "score": None}
        for n in range(3)
    ]
    rows["tickets"] += [*early, *bulk]
    rows["survey_responses"] += [*bad, *unanswered]
    rows["survey_responses"] += [
        tiny.answer(f"s-{t['ticket_id']}", None, 5, "2026-09-16 10:00", ticket_id=t["ticket_id"])
        for t in early
    ]
    rows["calls"] += [call(f"s{n}", "u1", 4) for n in range(3)]
    rows["calls"] += [call(f"d{n}", "u1", 8, disposition="transferred") for n in range(2)]
    rows["ticket_events"] += [
        event
        for n in range(2)
        for event in (
            tiny.event(f"e{n}", "solved", "2026-09-15 10:00", "u1"),
            tiny.event(f"e{n}", "reopened", "2026-09-15 15:00", "c", actor_type="customer"),
        )
    ]
    rows["ticket_events"] += [
        tiny.event(f"h{n}u1", "assigned", "2026-09-22 10:00", "M1", old_value="u1", new_value="u4")
        for n in range(2)
    ]
    rows["ticket_events"] += [
        event for n in range(2) for event in handoff(f"x{n}", "u1", "u4", with_a_reply=False)
    ]
    return rows


def solved(ticket_id: str, who: str, when: str, **more: Any) -> dict[str, Any]:
    day = when[:10]
    return tiny.ticket(
        ticket_id, f"{day} 09:30", assignee_id=who, resolved_at=tiny.at(when), **more
    )


def call(leg_id: str, who: str, talk: int, **more: Any) -> dict[str, Any]:
    answered, ended = "2026-09-10T02:00:00Z", f"2026-09-10T02:{talk // 60:02d}:{talk % 60:02d}Z"
    return tiny.leg(leg_id, who, 5, talk, answered_at=answered, ended_at=ended, **more)


def handoff(ticket: str, who: str, to: str, *, with_a_reply: bool) -> list[dict[str, Any]]:
    came = tiny.event(
        ticket, "assigned", "2026-09-14 10:00", "bot", actor_type="bot", new_value=who
    )
    reply = tiny.event(ticket, "public_reply", "2026-09-14 10:10", who)
    went = tiny.event(ticket, "assigned", "2026-09-14 10:20", who, new_value=to)
    return [came, *([reply] if with_a_reply else []), went]


def built(root: Path, rows: dict[str, list[dict[str, Any]]]) -> Home:
    tiny.company(root / "company")
    toml = root / "company" / "perfhouse.toml"
    toml.write_text(tiny.TOML.replace("[[sources]]", LOW + "[[sources]]", 1), encoding="utf-8")
    company, home = load_company(root / "company"), Home(root / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "create_raw_views", tiny.raw_tables)
        patch.setattr(tiny, "rows", lambda: rows)
        month = tiny.SEPTEMBER
        builder.build(company, home, month, month, streams.declarations(), print)
    return home


@pytest.fixture(scope="module")
def gamed(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return built(tmp_path_factory.mktemp("gamed"), planted())


def query(home: Home, sql: str) -> list[tuple[Any, ...]]:
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        return con.execute(sql).fetchall()
    finally:
        con.close()


def test_each_monitor_finds_what_was_planted_and_nothing_else(gamed: Home) -> None:
    found = query(
        gamed, "select monitor, employee_id, evidence_count from monitors.monitor_findings"
    )
    assert {monitor: (who, count) for monitor, who, count in found} == EVERY
    assert len(found) == len(EVERY)


def test_every_finding_has_its_rows_as_evidence(gamed: Home) -> None:
    counts = query(
        gamed,
        "select f.evidence_count, count(e.source_row_id), count(e.file), count(e.row_number) "
        "from monitors.monitor_findings as f left join monitors.monitor_evidence as e "
        "using (month, finding_key) group by f.finding_key, f.evidence_count",
    )
    assert counts
    assert all(expected == rows == files == lines for expected, rows, files, lines in counts)
    bad = query(
        gamed,
        "select source_row_id, subject_id, related_row_id from monitors.monitor_evidence "
        "where monitor = 'reassigned_after_bad_rating' order by 1",
    )
    assert [row[2] for row in bad] == ["b0", "b1"]
    assert [row[1] for row in bad] == ["h0u1", "h1u1"]


def test_a_finding_says_what_it_is_compared_with(gamed: Home) -> None:
    found = query(
        gamed,
        "select manager_id, period_from::varchar, period_to::varchar, chance_count, value::double, "
        "peer_value::double, threshold::double from monitors.monitor_findings "
        "where monitor = 'very_short_calls'",
    )
    assert found == [("M1", "2026-09-01", "2026-10-01", 15, 0.2, 0, 0.1)]
    bulk = query(
        gamed,
        "select period_from::varchar, period_to::varchar, value::double, peer_value::double, "
        "threshold::double from monitors.monitor_findings where monitor = 'weekend_bulk_closes'",
    )
    assert bulk == [("2026-09-12", "2026-09-13", 5, 1, 4)]


def test_clean_data_gives_no_finding(tmp_path: Path) -> None:
    home = built(tmp_path, clean())
    assert query(home, "from monitors.monitor_findings") == []
    assert query(home, "from monitors.monitor_evidence") == []
    assert "nothing stands out" in monitors.as_text(monitors.findings(home, tiny.SEPTEMBER))


def test_nothing_that_is_scored_or_exported_reads_a_monitor(gamed: Home) -> None:
    manifest = json.loads((gamed.dbt / "target" / "manifest.json").read_text(encoding="utf-8"))
    parents = {node: each.get("depends_on", {}).get("nodes", [])
               for node, each in manifest["nodes"].items()}  # fmt: skip
    schema = {node: each["schema"] for node, each in manifest["nodes"].items()}
    watching = {
        node for node in parents if node.startswith("model.") and schema[node] == "monitors"
    }
    assert len(watching) == 5
    readers = {node for node, above in parents.items()
               if node.startswith("model.") and watching & set(above)}  # fmt: skip
    assert readers <= watching
    # Cards and notices count findings, by kind; nobody else outside the watch hears of one.
    told = {"model.perfhouse.monitor_findings"}
    for exposure in manifest["exposures"].values():
        heard = watching & set(exposure["depends_on"]["nodes"])
        assert heard == (told if exposure["name"] in {"cards", "notices"} else set())


def test_the_command_lists_findings_with_their_evidence(gamed: Home) -> None:
    found = monitors.findings(gamed, tiny.SEPTEMBER)
    text = monitors.as_text(found)
    assert "very_short_calls" in text
    assert "A1" in text
    evidence = monitors.evidence(gamed, tiny.SEPTEMBER, "very_short_calls", limit=2)
    assert [row.source_row_id for row in evidence] == ["s0", "s1"]
