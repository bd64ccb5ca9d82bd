"""Files in an S3 bucket, on a server that answers as S3 does."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stamina
from file_drops import GOOD, OWNER, Warehouse, connect_s3, source, stream, wire
from servers import moto as moto_server

from connectors import remote, remote_s3
from perfhouse.errors import ConfigError, SourceMissing, TransientError
from perfhouse.month import Month

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
LATER = time.time() + 3600  # moto stamps objects with its clock, so ours goes ahead


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=remote_s3.ATTEMPTS):
        yield


@pytest.fixture
def bucket(
    moto: moto_server.S3, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> str:
    connect_s3(monkeypatch, moto)
    return moto.bucket(f"b-{hashlib.md5(request.node.nodeid.encode()).hexdigest()[:12]}")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


@cache
def store(moto: moto_server.S3) -> Any:
    """Return one client for all tests: making one takes half a second."""
    return moto.files()


def put(moto: moto_server.S3, bucket: str, **contents: str | bytes) -> None:
    files = store(moto)
    for key, content in contents.items():
        files.pipe_file(
            f"{bucket}/{key}", content.encode() if isinstance(content, str) else content
        )


def given(bucket: str, *streams: Any, **options: Any) -> Any:
    options = {"settle_minutes": 0, **options}
    return source(*streams, url=f"s3://{bucket}/hr", connection="lake", **options)


def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the requests that list objects."""
    asked: list[str] = []
    plain = remote_s3.S3._page

    async def counted(self: Any, files: Any, prefix: str, delimiter: str, token: Any) -> Any:
        asked.append(prefix)
        return await plain(self, files, prefix, delimiter, token)

    monkeypatch.setattr(remote_s3.S3, "_page", counted)
    return asked


def test_the_objects_of_the_month_land_and_no_other_and_the_bucket_stays_as_it_is(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse
) -> None:
    put(
        moto, bucket,
        **{"hr/2026-09/a.csv": GOOD, "hr/2026-09/deep/b.csv": GOOD, "hr/2026-08/c.csv": GOOD,
           "2026-09/d.csv": GOOD, "hr/2026-09/": "", "hr/2026-09/.e.csv": GOOD,
           "hr/2026-09/f.csv.part": GOOD},
    )  # fmt: skip
    before = store(moto).find(bucket, detail=True)
    manifest = warehouse.ingest(given(bucket))
    assert [f.name for f in manifest.archive] == ["2026-09/a.csv"]
    assert warehouse.rows(manifest, "response_id") == [("a",), ("b",)]
    assert store(moto).find(bucket, detail=True) == before
    assert warehouse.ingest(given(bucket)).unchanged


def test_only_the_part_of_a_flat_folder_that_the_pattern_begins_with_is_listed(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(moto, bucket, **{"hr/s-2026-09-a.csv": GOOD, "hr/s-2026-08-a.csv": GOOD})
    asked = listings(monkeypatch)
    warehouse.ingest(given(bucket, stream(path="s-{month}-*.csv")))
    assert asked == ["hr/s-2026-09-"]


def test_more_objects_than_a_page_holds_are_all_found(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = remote_s3.S3._page

    async def short(self: Any, files: Any, *args: Any) -> Any:
        real = files._call_s3

        async def call(method: str, **words: Any) -> Any:
            return await real(method, **{**words, "MaxKeys": 3})

        monkeypatch.setattr(files, "_call_s3", call)
        try:
            return await plain(self, files, *args)
        finally:
            monkeypatch.setattr(files, "_call_s3", real)

    monkeypatch.setattr(remote_s3.S3, "_page", short)
    row = "id,when,score\nr{},02/09/2026 10:00,5\n"
    put(moto, bucket, **{f"hr/2026-09/{at}.csv": row.format(at) for at in range(10)})
    assert warehouse.ingest(given(bucket)).streams["survey_responses"].landed == 10


def test_a_path_that_would_list_too_much_is_the_operators_matter(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MAX_ENTRIES", 5)
    put(moto, bucket, **{f"hr/2026-09/{at}.csv": GOOD for at in range(6)})
    with pytest.raises(ConfigError, match="more than 5 names to look through"):
        warehouse.ingest(given(bucket))


def test_a_missing_delivery_names_the_path_and_the_owner(bucket: str, warehouse: Warehouse) -> None:
    with pytest.raises(SourceMissing) as caught:
        warehouse.ingest(given(bucket))
    assert "{month}/*.csv" in str(caught.value)
    assert f"s3://{bucket}/hr" in str(caught.value)
    assert OWNER in str(caught.value)


def test_an_object_written_a_moment_ago_by_the_servers_clock_is_waited_for(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "clock", lambda: LATER)  # ours, an hour ahead, is not asked
    put(moto, bucket, **{"hr/2026-09/a.csv": GOOD})
    with pytest.raises(SourceMissing, match="was written less than 5 minutes ago"):
        warehouse.ingest(given(bucket, settle_minutes=5))


def test_marks_and_checksums_lie_beside_objects_too(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse
) -> None:
    put(moto, bucket, **{"hr/2026-09/a.csv": GOOD})
    for mode, said in (("done", "neither"), ("checksum", "has no")):
        with pytest.raises(SourceMissing, match=said):
            warehouse.ingest(given(bucket, complete=mode))
    digest = hashlib.sha256(GOOD.encode()).hexdigest()
    put(moto, bucket, **{"hr/2026-09/_SUCCESS": "", "hr/2026-09/a.csv.sha256": digest})
    for mode in ("done", "checksum"):
        assert warehouse.ingest(given(bucket, complete=mode)).archive[0].bytes == len(GOOD)


def test_an_object_replaced_after_it_was_listed_is_not_archived(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(moto, bucket, **{"hr/2026-09/a.csv": GOOD})
    plain = remote_s3.S3.fetch

    def late(self: remote_s3.S3, wanted: Any) -> None:
        put(moto, bucket, **{"hr/2026-09/a.csv": GOOD.replace(",5", ",1")})
        plain(self, wanted)

    monkeypatch.setattr(remote_s3.S3, "fetch", late)
    with pytest.raises(TransientError, match=r"a\.csv changed"):
        warehouse.ingest(given(bucket))
    monkeypatch.setattr(remote_s3.S3, "fetch", plain)
    assert warehouse.archived() == []
    assert warehouse.ingest(given(bucket)).streams["survey_responses"].landed == 2


def test_a_download_cut_off_is_repeated_and_lands_whole(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = "id,when,score\n" + "".join(f"r{at:06d},02/09/2026 10:00,5\n" for at in range(60_000))
    put(moto, bucket, **{"hr/2026-09/a.csv": big})
    port = int(moto.url.rpartition(":")[2])
    with wire("127.0.0.1", port, cut_after=500_000, cuts=1) as relay:
        extra = {"endpoint_url": f"http://127.0.0.1:{relay.port}", "region_name": moto.region}
        connect_s3(monkeypatch, moto, extra=extra)
        manifest = warehouse.ingest(given(bucket))
    assert relay.cuts == 0
    assert manifest.streams["survey_responses"].landed == 60_000


# --- refusals --------------------------------------------------------------------------------


def test_a_bucket_that_is_not_there_is_the_operators_matter(
    moto: moto_server.S3, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_s3(monkeypatch, moto)
    with pytest.raises(ConfigError, match=r"s3://no-such-bucket/hr: refused \(NoSuchBucket\)"):
        warehouse.ingest(given("no-such-bucket"))


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ({"endpoint_url": "not a url"}, "ValueError"),
        ({"endpoint_url": "http://127.0.0.1:9", "region": "no region!"}, "InvalidRegionError"),
    ],
)
def test_an_address_that_is_none_is_the_operators_matter(
    moto: moto_server.S3,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    extra: dict[str, str],
    kind: str,
) -> None:
    connect_s3(monkeypatch, moto, extra=extra)
    with pytest.raises(ConfigError, match=rf"refused \({kind}\) with 'lake'"):
        warehouse.ingest(given("bucket"))


def test_a_machine_without_credentials_of_its_own_is_the_operators_matter(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ConfigError, match="the machine's own credentials"):
        warehouse.ingest(source(url="s3://bucket/hr"))


class Answers(BaseHTTPRequestHandler):
    """Says what the test wants, as S3 says it."""

    status, code, served = 500, "InternalError", 0

    def do_GET(self) -> None:
        type(self).served += 1
        body = f"<Error><Code>{self.code}</Code><Message>hunter2-secret</Message></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def answering(
    moto: moto_server.S3, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int, str], type[Answers]]]:
    servers = []

    def answer(status: int, code: str) -> type[Answers]:
        kind = type("Told", (Answers,), {"status": status, "code": code, "served": 0})
        server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        extra = {"endpoint_url": f"http://127.0.0.1:{server.server_port}"}
        connect_s3(monkeypatch, moto, password="hunter2-secret", extra=extra)
        return kind

    yield answer
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDenied"), (403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch"),
     (403, "RequestTimeTooSkewed"), (400, "ExpiredToken")],
)  # fmt: skip
def test_what_the_account_may_not_do_is_the_operators_matter_and_is_not_repeated(
    answering: Callable[[int, str], type[Answers]], warehouse: Warehouse, status: int, code: str
) -> None:
    told = answering(status, code)
    with pytest.raises(ConfigError, match=code) as caught:
        warehouse.ingest(given("bucket"))
    assert "hunter2" not in str(caught.value)
    assert told.served == 1


def test_a_storm_of_5xx_ends_as_transient_and_says_no_secret(
    answering: Callable[[int, str], type[Answers]], warehouse: Warehouse
) -> None:
    told = answering(503, "ServiceUnavailable")
    with pytest.raises(TransientError, match="the request failed") as caught:
        warehouse.ingest(given("bucket"))
    assert not isinstance(caught.value, SourceMissing)
    assert "hunter2" not in str(caught.value)
    assert told.served == remote_s3.ATTEMPTS


# --- Amazon Connect --------------------------------------------------------------------------


def contact(at: int, updated: str = "2026-09-01T02:00:00Z", **more: Any) -> dict[str, Any]:
    folder = SHARED / "amazon_connect_ctr"
    if not folder.is_dir():
        pytest.skip("the sample data is not here")
    record = json.loads((folder / "ctr_2022_inbound.json").read_text())
    return {**record, "ContactId": f"c{at}", "LastUpdateTimestamp": updated, **more}


def firehose(hour: int, part: int = 1) -> str:
    """Return the name that Firehose gives an object: landing hour in UTC, no suffix."""
    day, of_day = divmod(hour, 24)
    at = f"2026-09-{day + 1:02d}-{of_day:02d}"
    return f"hr/ctr/{at.replace('-', '/')}/connect-ctr-{part}-{at}-00-07-9a2c-{hour}"


def voice(bucket: str, **options: Any) -> Any:
    return source(
        connector="amazon_connect", url=f"s3://{bucket}/hr", connection="lake",
        settle_minutes=0, **options,
    )  # fmt: skip


def test_two_hundred_hourly_objects_as_firehose_names_them_land_by_31_listings(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = {
        firehose(hour): json.dumps(contact(2 * hour)) + json.dumps(contact(2 * hour + 1))
        for hour in range(200)
    }
    put(moto, bucket, **pairs)
    asked = listings(monkeypatch)
    manifest = warehouse.ingest(voice(bucket))
    landed = manifest.streams["calls"]
    assert (landed.rows_in, landed.landed, landed.quarantined) == (400, 400, 0)
    assert len(manifest.archive) == 200
    assert len(asked) == 31  # days in UTC that touch September in Shanghai
    found = warehouse.rows(manifest, "agent_id, disposition, talk_ms, wait_ms", "calls")
    assert set(found) == {("admin1", "answered", 33000, 7000)}


def test_a_record_sent_again_months_later_lands_where_it_arrives_as_the_newer_version(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse
) -> None:
    old = contact(1, "2025-02-01T00:00:00Z", Queue=None)
    new = contact(1, "2026-09-03T00:00:00Z")
    put(moto, bucket, **{firehose(30): json.dumps(new), firehose(31): json.dumps(old)})
    manifest = warehouse.ingest(voice(bucket))
    what = "leg_id, cast(source_updated_at as varchar), queue_id"
    assert sorted(warehouse.rows(manifest, what, "calls"), key=str) == [
        ("c1", "2025-02-01 00:00:00+00", None),
        ("c1", "2026-09-03 00:00:00+00", "BasicQueue"),
    ]


def test_a_month_is_not_read_before_its_end_and_the_hour_that_firehose_needs(
    moto: moto_server.S3, bucket: str, warehouse: Warehouse
) -> None:
    files = store(moto)
    ahead = time.gmtime(time.time() + 40 * 86_400)
    month = Month(f"{ahead.tm_year}-{ahead.tm_mon:02d}")
    key = f"{bucket}/hr/ctr/{month.key.replace('-', '/')}/02/03/c-1"
    files.pipe_file(key, json.dumps(contact(1)).encode())
    with pytest.raises(SourceMissing, match="may still receive files of the month until"):
        warehouse.ingest(voice(bucket), month)
    assert warehouse.archived() == []
