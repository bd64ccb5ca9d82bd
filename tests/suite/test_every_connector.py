"""The one suite that every connector passes, whatever its system: nobody inherits it.

Each vendor runs behind a real HTTP server on the loopback; what goes wrong there is done here.
"""

from __future__ import annotations

import logging
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import stamina

from connectors import base, streams
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing, TransientError
from perfhouse.lake import Manifest
from perfhouse.month import Month
from suite.kit import (
    AFTERWARDS,
    SECRET,
    Bench,
    Case,
    Exchange,
    Reply,
    Vendor,
    balances,
    cases,
    changed_once,
    every_turn,
    mangled,
    wait_for,
    wanted_keys,
)

CASES = cases()
every_connector = pytest.mark.parametrize("name", base.names())
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.connector)
DOCS = Path(__file__).resolve().parents[2] / "docs" / "connectors"
FUZZED = (400, pytest.param(2_000, marks=pytest.mark.nightly))


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither pace nor wait: that calls are paced is proved in test_http."""
    monkeypatch.setattr("connectors.http.Bucket.take", lambda bucket: None)
    with stamina.set_testing(True, attempts=6):
        yield


@pytest.fixture
def bench(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[tuple[Bench, Vendor]]:
    """A vendor that serves, a source that points at it; afterwards no secret lies anywhere."""
    caplog.set_level(logging.DEBUG)
    vendor = Vendor(case, case.world(case.page_size * 2 + 3))
    with vendor.serving() as url:
        it = Bench(case, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        yield it, vendor
    assert SECRET not in caplog.text
    assert SECRET not in "\n".join(it.said)
    for path in tmp_path.rglob("*"):
        assert SECRET not in path.name
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), f"a secret lies in {path}"


# ---------------------------------------------------------------- declarations


@every_connector
def test_names_and_keys_are_those_of_the_streams(name: str) -> None:
    connector = base.get(name)
    assert connector.name == name
    for stream_name, mapping in connector.defaults.items():
        assert mapping.stream == stream_name
        stream = streams.STREAMS[stream_name]
        required = {c.name for c in stream.columns if c.required}
        assert not required - set(mapping.columns), f"{stream_name} lacks required columns"
        for column_name, chosen in mapping.columns.items():
            column = stream.column(column_name)
            assert column is not None, f"{stream_name} has no {column_name}"
            given = [chosen.source, chosen.sql, chosen.value]
            assert sum(value is not None for value in given) == 1, column_name
            if column.values and chosen.values is not None:
                made = {*chosen.values.values(), chosen.otherwise} - {None}
                assert made <= set(column.values), f"{column_name}: {made - set(column.values)}"


@every_connector
def test_no_ready_mapping_hashes_without_the_key(name: str) -> None:
    for mapping in base.get(name).defaults.values():
        for column, chosen in mapping.columns.items():
            assert not re.search(r"\b(sha1|sha256|md5|hash)\s*\(", chosen.sql or ""), column


@every_connector
def test_a_connector_has_its_page_with_every_section(name: str) -> None:
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for section in (
        *("Reads", "Permissions", "Configuration", "How rows are made", "Limits"),
        *("Tested against", "Known gaps"),
    ):
        assert f"\n## {section}\n" in text, f"{name}.md has no section {section}"


def test_every_connector_of_an_api_has_a_case() -> None:
    apis = {name for name in base.names() if base.get(name).records}
    assert {case.connector for case in CASES} >= apis


# ---------------------------------------------------------------- what lands


@every_case
def test_every_record_lands_once_and_the_accounts_balance(bench: tuple[Bench, Vendor]) -> None:
    it, vendor = bench
    landed = it.ingest()
    assert it.keys(landed) == wanted_keys(it.case, vendor.world)
    assert balances(landed)
    assert all(s.quarantined == 0 for s in landed.streams.values()), landed.streams
    if it.case.paged:
        assert len([e for e in vendor.seen if vendor.is_main(e)]) > 1


@every_case
def test_the_window_is_half_open(bench: tuple[Bench, Vendor]) -> None:
    it, vendor = bench
    case = it.case
    if case.moved is None:
        pytest.skip(f"{case.connector} has no window: every delivery is a snapshot")
    month, zone = Month(case.month), ZoneInfo(case.zone)
    start = _utc(datetime.combine(month.start, datetime.min.time(), zone))
    end = _utc(datetime.combine(month.end, datetime.min.time(), zone))
    second = timedelta(seconds=1)
    instants = {"before": start - second, "first": start, "last": end - second, "after": end}
    records = dict(zip(instants, case.world(4), strict=True))
    vendor.world = [case.moved(records[name], at) for name, at in instants.items()]
    landed = it.keys(it.ingest())
    kept = {name for name, record in records.items() if set(case.key(record)) & set(landed)}
    assert kept - {"before"} == {"first", "last"}
    if not case.lookback:
        assert "before" not in kept


@every_case
def test_the_same_answers_again_change_nothing(bench: tuple[Bench, Vendor]) -> None:
    it, _ = bench
    first = it.ingest()
    again = it.ingest()
    assert again.unchanged
    assert again.manifest_sha256 == first.manifest_sha256


@every_case
def test_a_second_run_replaces_the_first(bench: tuple[Bench, Vendor]) -> None:
    it, vendor = bench
    it.ingest()
    vendor.world = vendor.world[3:]
    landed = it.ingest()
    assert it.keys(landed) == wanted_keys(it.case, vendor.world)


@every_case
def test_records_repeated_at_the_edge_of_a_page_land_once(bench: tuple[Bench, Vendor]) -> None:
    it, vendor = bench
    edge = it.case.page_size
    vendor.world = [*vendor.world[:edge], *vendor.world[edge - 2 :]]
    landed = it.ingest()
    assert balances(landed)
    found = it.keys(landed)
    unique = sorted(set(wanted_keys(it.case, vendor.world)))
    assert sorted(set(found)) == unique
    assert found == unique, "an exact repetition is counted as a duplicate and removed"


@every_case
def test_an_empty_month_lands_empty(bench: tuple[Bench, Vendor]) -> None:
    it, vendor = bench
    vendor.world = []
    landed = it.ingest()
    assert landed.streams[it.case.stream].rows_in == 0
    assert balances(landed)


# ---------------------------------------------------------------- what goes wrong on the way


def _always(reply: Reply | str, times: int, which: Callable[[Exchange], bool]) -> Any:
    def fault(exchange: Exchange, nth: int) -> Reply | str | None:
        return reply if nth < times and which(exchange) else None

    return fault


@every_case
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply({"error": "slow down"}, 429, {"Retry-After": "0"}), id="429"),
        pytest.param(Reply(b"<html>busy</html>", 503, {"Content-Type": "text/html"}), id="503"),
        pytest.param("cut", id="cut"),
        pytest.param("half", id="half"),
    ],
)
def test_a_storm_passes_without_a_trace(bench: tuple[Bench, Vendor], reply: Reply | str) -> None:
    it, vendor = bench
    vendor.fault = _always(reply, 2, lambda exchange: True)
    landed = it.ingest()
    assert it.keys(landed) == wanted_keys(it.case, vendor.world)


@every_case
def test_a_wait_longer_than_we_may_is_left_to_the_next_try(bench: tuple[Bench, Vendor]) -> None:
    it, vendor = bench
    reply = Reply({"error": "x"}, 429, {"Retry-After": "86400"})
    vendor.fault = _always(reply, 99, lambda exchange: True)
    with pytest.raises(TransientError, match=r"86400 s"):
        it.ingest()
    assert len(vendor.seen) <= 3
    assert not it.visible()


@every_case
def test_a_server_that_stays_down_leaves_nothing_visible(bench: tuple[Bench, Vendor]) -> None:
    it, vendor = bench
    vendor.fault = _always(Reply(b"", 500), 99, vendor.is_main)
    with pytest.raises(TransientError, match="HTTP 500"):
        it.ingest()
    assert not it.visible()


@every_case
def test_a_page_that_repeats_is_an_error_not_an_endless_month(
    bench: tuple[Bench, Vendor],
) -> None:
    it, vendor = bench
    if not it.case.repeats:
        pytest.skip(f"{it.case.connector}: its records do not come in pages that could repeat")
    first: dict[str, Reply] = {}

    def fault(exchange: Exchange, nth: int) -> Reply | None:
        if not vendor.is_main(exchange):
            return None
        if exchange.path not in first:
            first[exchange.path] = it.case.answer(exchange, vendor.world)
        return first[exchange.path]

    vendor.fault = fault
    with pytest.raises((SourceChanged, TransientError)):
        it.ingest()
    assert len(vendor.seen) < 200
    assert not it.visible()


@every_case
def test_a_source_whose_clock_lies_before_the_months_end_is_waited_for(
    bench: tuple[Bench, Vendor],
) -> None:
    it, vendor = bench
    month, zone = Month(it.case.month), ZoneInfo(it.case.zone)
    vendor.now = datetime.combine(month.end, datetime.min.time(), zone) - timedelta(minutes=1)
    with pytest.raises(SourceMissing, match="the month ends at"):
        it.ingest()
    assert not it.visible()
    vendor.now = AFTERWARDS
    assert it.keys(it.ingest()) == wanted_keys(it.case, vendor.world)


@every_case
def test_refused_credentials_are_the_operators_to_mend(
    bench: tuple[Bench, Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    it, _ = bench
    name, text = it.connection
    monkeypatch.setenv(name, text.replace(SECRET, "wrong-one"))
    with pytest.raises(ConfigError) as refused:
        it.ingest()
    assert "wrong-one" not in str(refused.value)
    assert not it.visible()


@every_case
def test_a_missing_connection_is_named(
    bench: tuple[Bench, Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    it, vendor = bench
    monkeypatch.delenv(it.connection[0])
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_IT"):
        it.ingest()
    assert not vendor.seen


@every_case
def test_a_dry_run_shows_requests_and_makes_none(
    bench: tuple[Bench, Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    it, vendor = bench
    context = base.ExtractContext(_company(it), it.root, it.root)
    source = base.effective(it.source)
    lines = list(base.get(it.case.connector).planned(source, it.month, context))
    assert lines
    assert any(it.case.stream in line for line in lines), lines
    assert SECRET not in "\n".join(lines)
    assert not vendor.seen


# ---------------------------------------------------------------- kills


_CHILD = """
import sys
from pathlib import Path
from suite.kit import Bench, cases
case = next(c for c in cases() if c.connector == sys.argv[1])
Bench(case, sys.argv[2], Path(sys.argv[3])).ingest()
"""


@every_case
def test_a_killed_fetch_leaves_nothing_visible_and_loses_nothing(
    bench: tuple[Bench, Vendor], tmp_path: Path
) -> None:
    it, vendor = bench
    mains = 0

    def hang_at_the_last_page(exchange: Exchange, nth: int) -> str | None:
        nonlocal mains
        mains += vendor.is_main(exchange)
        return "hang" if mains == (2 if it.case.paged else 1) and vendor.is_main(exchange) else None

    vendor.fault = hang_at_the_last_page
    here = Path(__file__).resolve().parents[1]
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, it.case.connector, it.url, str(tmp_path)],
        cwd=here,
        start_new_session=True,
    )
    try:
        wait_for(vendor.hanging, 60)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    assert not it.visible()
    vendor.let_go.set()
    vendor.fault = lambda exchange, nth: None
    landed = it.ingest()
    assert it.keys(landed) == wanted_keys(it.case, vendor.world)
    assert not list(it.home.tmp.glob("landing-*"))


# ---------------------------------------------------------------- drift and fuzz


@every_case
def test_a_new_field_is_reported_and_does_not_land(bench: tuple[Bench, Vendor]) -> None:
    it, vendor = bench
    vendor.world = [it.case.renamed(record) for record in vendor.world]
    landed = it.ingest()
    assert it.keys(landed) == wanted_keys(it.case, vendor.world)
    fields = landed.streams[it.case.stream].undeclared_fields
    assert any(field.endswith("zz_brand_new") for field in fields), fields


@every_case
def test_a_required_field_that_is_gone_is_refused(bench: tuple[Bench, Vendor]) -> None:
    it, vendor = bench
    vendor.world = [it.case.required(record) for record in vendor.world]
    try:
        landed = it.ingest()
    except SourceChanged:
        assert not it.visible()
        return
    stream = landed.streams[it.case.stream]
    assert stream.landed == 0
    assert stream.quarantined >= len(vendor.world)


@every_case
@pytest.mark.parametrize("count", FUZZED)
def test_each_of_many_mangled_records_is_landed_or_quarantined(
    bench: tuple[Bench, Vendor], count: int
) -> None:
    it, vendor = bench
    chance = random.Random(20260922)
    sound = it.case.world(count)
    turns = every_turn(sound[0], it.case.fuzzed)
    chance.shuffle(turns)  # of a deep record not every one fits in
    turns = turns[: count * 3 // 4]
    vendor.world = [
        changed_once(record, turns) or mangled(record, chance, it.case.fuzzed) for record in sound
    ]
    landed = it.ingest()
    assert balances(landed)
    stream = landed.streams[it.case.stream]
    assert stream.rows_read >= count * 0.9, "a record may be about another stream, few are"
    assert stream.quarantined > 0
    assert stream.landed > 0
    assert len(it.keys(landed)) == stream.landed
    assert _recount(it, landed) == stream.quarantined


def _recount(it: Bench, manifest: Manifest) -> int:
    import duckdb

    file = manifest.streams[it.case.stream].quarantine_file
    if file is None:
        return 0
    with duckdb.connect() as con:
        row = con.execute(
            "select count(*) from read_parquet(?)", [str(it.home.root / file)]
        ).fetchone()
    return int(row[0]) if row else 0


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _company(it: Bench) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(time_zone=it.case.zone, sources=(it.source,))
