"""xAPI: durations, windows by `stored`, watermarks, and where statements come from."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from landing_kit import MONTH, Place, company, source
from suite.cases.xapi import CASE
from suite.cases.xapi import answer as conforming
from suite.kit import Bench, Exchange, Record, Reply, Vendor

from connectors import base, xapi
from connectors.base import ExtractContext
from perfhouse.company import StreamMapping
from perfhouse.errors import ConfigError, SourceMissing
from perfhouse.settings import customer_key

END = datetime(2026, 9, 30, 16, tzinfo=UTC)  # the month's end in Shanghai


def _statement(key: str, **more: Any) -> str:
    body = {
        "id": key,
        "actor": {"account": {"name": "E1"}},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
        "object": {"id": "C-101"},
        "timestamp": "2026-09-02T01:00:00Z",
        **more,
    }
    return json.dumps(body)


@pytest.mark.parametrize(
    ("duration", "milliseconds"),
    [
        ("PT1H2M3.5S", 3_723_500),
        ("PT0.25S", 250),
        ("PT1,5S", 1_500),
        ("PT90M", 5_400_000),
        ("PT1.5H", 5_400_000),
        ("P1W", 604_800_000),
        ("P2DT12H", 216_000_000),
        ("P1Y", None),
        ("P1M", None),
        ("P1Y2M3DT4H", None),
    ],
)
def test_a_duration_becomes_milliseconds_and_a_month_has_no_length(
    place: Place, duration: str, milliseconds: int | None
) -> None:
    place.put("s.jsonl", _statement("s1", result={"duration": duration}))
    manifest = place.ingest(_files(place))
    assert place.rows(manifest, "time_spent_ms", "training_records") == [(milliseconds,)]


@pytest.mark.parametrize("duration", ["1:02:03", "PT1X", "an hour", "P1W2D"])
def test_what_is_no_duration_is_quarantined(place: Place, duration: str) -> None:
    place.put("s.jsonl", _statement("s1", result={"duration": duration}))
    manifest = place.ingest(_files(place))
    assert [r[1] for r in place.bad(manifest, "training_records")] == ["time_spent_ms"]


def _files(place: Place) -> Any:
    stream = StreamMapping("training_records", {"path": "{month}/*.jsonl"}, None, {}, ())
    return source(stream, id="lms", connector="xapi")


def test_a_learner_known_by_an_address_lands_as_the_hash_that_a_roster_has_of_it(
    place: Place,
) -> None:
    actors: dict[str, dict[str, object]] = {
        "s1": {"mbox": "mailto:Ann@Example.com"},
        "s2": {"account": {"homePage": "https://lms.example", "name": " ann@example.com"}},
        "s3": {"mbox_sha1sum": hashlib.sha1(b"mailto:ann@example.com").hexdigest()},
        "s4": {"openid": "https://ann.example"},
        "s5": {"account": {"name": "E1"}},
    }
    path = place.data / "xapi" / "2026-09" / "s.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(_statement(key, actor=actor) for key, actor in actors.items()))
    manifest = place.ingest(source(id="lms", connector="xapi", streams=()))

    def keyed(text: object) -> str:
        key = customer_key(place.home)
        return hmac.new(key, str(text).encode(), hashlib.sha256).hexdigest()

    mail = keyed("ann@example.com")
    sha1 = f"mbox_sha1sum:{keyed(actors['s3']['mbox_sha1sum'])[:16]}"
    openid = f"openid:{keyed('https://ann.example')[:16]}"
    learners = [row[0] for row in place.rows(manifest, "learner_id", "training_records")]
    assert learners == [mail, mail, sha1, openid, "E1"]
    what = "source_user_id, employee_no, login, email_hash"
    assert set(place.rows(manifest, what, "source_users")) == {
        (mail, None, None, mail),
        (sha1, None, None, None),
        (openid, None, None, None),
        ("E1", "E1", "E1", None),
    }


def test_a_file_holds_what_it_holds_whatever_its_folder_is_called(place: Place) -> None:
    path = place.data / "statements" / "2026-09.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(_statement("s1", stored="2026-11-02T00:00:00Z"))
    stream = StreamMapping("training_records", {"path": "statements/{month}.jsonl"}, None, {}, ())
    manifest = place.ingest(source(stream, id="lms", connector="xapi"))
    assert place.rows(manifest, "record_id", "training_records") == [("s1",)]


def test_files_behind_a_connection_stay_files(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DROP", "sftp://reader@sftp.example/learning")
    monkeypatch.setenv("AIRFLOW_CONN_LRS", "https://reader:pw@lrs.example/xAPI")
    context = ExtractContext(company(), place.root, place.root)
    files, store = (
        list(
            base.get("xapi").planned(
                base.effective(source(connector="xapi", streams=(), options={"connection": name})),
                MONTH,
                context,
            )
        )
        for name in ("drop", "lrs")
    )
    assert all("sftp" in line for line in files), files
    assert store == [
        "statements: GET /statements?since=2026-08-24T15:59:59.999Z&until=2026-09-30T16:00:00.000Z"
        "&ascending=true&limit=500 -> training_records, source_users"
    ]


@pytest.fixture
def lrs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bench, Vendor]]:
    vendor = Vendor(CASE, CASE.world(3))
    with vendor.serving() as url:
        it = Bench(CASE, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        yield it, vendor


def test_a_store_that_filters_by_timestamp_loses_nothing_that_was_stored_later(
    lrs: tuple[Bench, Vendor],
) -> None:
    it, vendor = lrs

    def by_timestamp(exchange: Exchange, records: Sequence[Record]) -> Reply:
        return conforming(exchange, [{**r, "stored": r["timestamp"], "_": r} for r in records])

    def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
        told = by_timestamp(exchange, records)
        if told.status == 200:
            told.body["statements"] = [r["_"] for r in told.body["statements"]]
        return told

    vendor.case = replace(CASE, answer=answer)
    late = {
        **vendor.world[0],
        "timestamp": "2026-08-28T08:00:00.000Z",  # on a plane
        "stored": "2026-09-01T09:00:00.000Z",
    }
    early = {
        **vendor.world[1],
        "timestamp": "2026-08-28T08:00:00.000Z",
        "stored": "2026-08-28T08:00:01.000Z",
    }
    vendor.world = [late, early]
    manifest = it.ingest()
    assert it.keys(manifest) == [(late["id"],)]
    assert manifest.streams["training_records"].outside_window == 1


def test_how_far_the_store_is_consistent_decides_not_its_clock(lrs: tuple[Bench, Vendor]) -> None:
    it, vendor = lrs

    def answer(exchange: Exchange, records: Sequence[Record]) -> Reply:
        told = conforming(exchange, records)
        through = {"X-Experience-API-Consistent-Through": "2026-09-30T15:59:59Z"}
        return replace(told, headers=through)

    vendor.case = replace(CASE, answer=answer)
    with pytest.raises(SourceMissing, match="its watermark is 2026-09-30 15:59:59 UTC"):
        it.ingest()


@pytest.mark.parametrize(("minutes", "waits"), [(4, True), (6, False)])
def test_without_such_a_header_the_stores_clock_minus_five_minutes_decides(
    lrs: tuple[Bench, Vendor], minutes: int, waits: bool
) -> None:
    it, vendor = lrs
    vendor.case = replace(
        CASE, answer=lambda exchange, records: replace(conforming(exchange, records), headers={})
    )
    vendor.now = END + timedelta(minutes=minutes)
    if waits:
        with pytest.raises(SourceMissing):
            it.ingest()
    else:
        assert len(it.keys(it.ingest())) == 3


def test_days_to_look_back_are_a_number(lrs: tuple[Bench, Vendor]) -> None:
    it, _ = lrs
    wrong = it.source.options | {"lookback_days": "a week"}
    context = ExtractContext(company(), it.root, it.root)
    chosen = base.effective(replace(it.source, options=wrong))
    with pytest.raises(ConfigError, match="lookback_days: expected a number of days"):
        list(xapi.CONNECTOR.extract(chosen, it.month, context))
