from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from perfhouse import demo, warehouse
from perfhouse.company import load_company
from perfhouse.errors import ConfigError
from tests.unit.demo.conftest import SIZE, tree


def test_one_thread_or_many_write_the_same_bytes(
    made: demo.DemoResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERFHOUSE_THREADS", "1")
    again = demo.generate(tmp_path / "again", seed=7, **SIZE)
    assert tree(again.company.parent) == tree(made.company.parent)


def test_another_seed_gives_another_company(made: demo.DemoResult, tmp_path: Path) -> None:
    other = demo.generate(tmp_path / "other", seed=8, **SIZE)
    assert (other.sources / "helpdesk.db").read_bytes() != (
        made.sources / "helpdesk.db"
    ).read_bytes()


def test_a_second_call_leaves_the_folder_alone(made: demo.DemoResult) -> None:
    told: list[str] = []
    again = demo.generate(made.company.parent, seed=7, progress=told.append, **SIZE)
    assert again.unchanged
    assert len(told) == 1


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(ConfigError, match="empty folder"):
        demo.generate(tmp_path, seed=7, **SIZE)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_sizes_that_make_no_company_are_all_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        demo.generate(tmp_path / "x", managers=1, agents=1, months=0, tickets=0)
    assert len(caught.value.problems) == 4


def test_the_company_folder_reads_without_a_problem(made: demo.DemoResult) -> None:
    from connectors import base, streams

    company = load_company(
        made.company,
        streams.columns_by_stream(),
        required=streams.required_by_stream(),
        connectors=base.Keys(),
    )
    assert [s.id for s in company.sources] == ["helpdesk", "calls", "surveys", "training", "roster"]
    assert {s.connector for s in company.sources} == {"sql", "amazon_connect", "files", "xapi"}
    first = made.months[0].start
    assert all(t.announced_on < t.valid_from == first for t in company.kpis.targets)
    for role in ("cs_manager", "manager_of_managers"):
        assert sum(t.weight for t in company.kpis.targets if t.role == role) == 100


def test_surveys_have_a_mark_local_times_and_comments(made: demo.DemoResult) -> None:
    raw = (made.sources / "surveys" / "2026-06" / "shanghai.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert {r["Zone"] for r in rows} == {"Asia/Shanghai"}
    assert {r["Status"] for r in rows} == {"Sent", "Completed"}
    assert {r["Legacy Ref"] for r in rows} == {""}
    assert any(r["Comment"] for r in rows)
    assert any(r["Agent No"] != r["Agent No"].strip() for r in rows)


def test_the_second_months_roster_is_gb18030_and_the_others_utf_8(made: demo.DemoResult) -> None:
    files = [made.sources / "hr" / f"roster_{m.key}.csv" for m in made.months]
    assert files[0].read_text(encoding="utf-8").startswith("快照日期,工号,姓名")
    with pytest.raises(UnicodeDecodeError):
        files[1].read_text(encoding="utf-8")
    assert files[1].read_text(encoding="gb18030").startswith("快照日期,工号,姓名")


def test_call_files_are_hourly_and_some_hold_objects_end_to_end(made: demo.DemoResult) -> None:
    texts = [p.read_text() for p in (made.sources / "ctr").rglob("*.json")]
    assert any("}{" in text for text in texts)
    assert any("}\n{" in text for text in texts)
    decoder = json.JSONDecoder()
    record, _ = decoder.raw_decode(texts[0])
    assert {"ContactId", "Agent", "Queue", "DisconnectTimestamp"} <= set(record)


def test_the_help_desk_speaks_its_own_dialect_and_delivers_at_least_once(
    made: demo.DemoResult,
) -> None:
    with closing(sqlite3.connect(made.sources / "helpdesk.db")) as desk:
        names = {r[0] for r in desk.execute("select name from sqlite_master where type = 'table'")}
        assert names == {"users", "tickets", "ticket_events", "kb_articles"}
        twice = desk.execute(
            "select count(*) from (select event_no from ticket_events group by event_no, occurred "
            "having count(*) > 1)"
        ).fetchone()
        unknown = desk.execute("select count(*) from tickets where assignee = 9001").fetchone()
    assert twice[0] > 0
    assert unknown[0] > 0


def test_every_kind_of_defect_is_planted(made: demo.DemoResult) -> None:
    planted = json.loads((made.truth / "planted.json").read_text(encoding="utf-8"))
    kinds = {(p["source"], p["kind"]) for p in planted if p["rows"] > 0}
    assert {
        ("helpdesk", "exact duplicate"), ("helpdesk", "lost time of day"),
        ("helpdesk", "unparsable date"), ("helpdesk", "impossible date"),
        ("helpdesk", "negative duration"), ("helpdesk", "unknown person"),
        ("calls", "exact duplicate"), ("calls", "late arrival"), ("calls", "impossible date"),
        ("calls", "unparsable date"), ("calls", "negative duration"), ("calls", "unknown person"),
        ("calls", "re-sent corrected record"), ("surveys", "late arrival"),
        ("surveys", "unparsable date"), ("surveys", "impossible date"),
        ("surveys", "lost time of day"), ("surveys", "re-sent corrected record"),
        ("surveys", "padded id"), ("surveys", "? for null"), ("surveys", "id used twice"),
        ("training", "unparsable date"), ("training", "impossible date"),
        ("training", "unknown person"), ("roster", "impossible date"),
        ("roster", "exact duplicate"), ("roster", "padded name"), ("roster", "? for null"),
    } <= kinds  # fmt: skip


def test_quarantine_stays_below_the_gate(made: demo.DemoResult) -> None:
    landing = json.loads((made.truth / "landing.json").read_text(encoding="utf-8"))
    for row in landing:
        assert row["rows_in"] == row["landed"] + row["duplicates"] + row["quarantined"]
    # A company this small has few rows a month; the default one is far below.
    calls = [r for r in landing if r["stream"] == "ticket_events"]
    assert all(r["quarantined"] / r["rows_in"] < 0.02 for r in calls)


def test_late_rows_change_a_months_truth_only_once_they_may_be_known(
    made: demo.DemoResult,
) -> None:
    con = warehouse.connect()
    counts = con.execute(
        "select as_of, sum(denominator) from read_parquet(?) where month = '2026-06' "
        "and kpi_id in ('csat_rate', 'average_handle_time') and scenario = 'delivered' "
        "group by as_of order by as_of",
        [str(made.truth / "kpi_months.parquet")],
    ).fetchall()
    con.close()
    assert [as_of for as_of, _ in counts] == ["2026-06", "2026-08"]
    assert counts[1][1] > counts[0][1]


def test_every_scored_kpi_has_a_truth_for_every_manager(made: demo.DemoResult) -> None:
    from perfhouse.demo.company import TARGETS

    con = warehouse.connect()
    found = con.execute(
        "select distinct kpi_id from read_parquet(?)", [str(made.truth / "kpi_months.parquet")]
    ).fetchall()
    con.close()
    assert {t[0] for t in TARGETS} <= {r[0] for r in found}


def test_redelivery_brings_one_file_and_doing_it_again_changes_nothing(
    made: demo.DemoResult, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made.company.parent, tmp_path / "copy"))
    before = tree(folder / "sources")
    came = demo.redeliver(folder)
    after = tree(folder / "sources")
    assert [str(p.relative_to(folder / "sources")) for p in came] == [
        "surveys/2026-07/corrections.csv"
    ]
    assert set(after) - set(before) == {"surveys/2026-07/corrections.csv"}
    assert all(after[name] == content for name, content in before.items())
    demo.redeliver(folder, "2026-07")
    assert tree(folder / "sources") == after


def test_redelivery_of_a_month_the_demo_does_not_have_is_refused(made: demo.DemoResult) -> None:
    with pytest.raises(ConfigError, match="expected one of 2026-06"):
        demo.redeliver(made.company.parent, "2031-01")
    with pytest.raises(ConfigError, match="perfhouse demo"):
        demo.redeliver(made.sources)
