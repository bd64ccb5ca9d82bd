from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from perfhouse import lake, warehouse
from perfhouse.company import Company
from perfhouse.errors import PerfhouseError
from perfhouse.month import Month
from perfhouse.settings import Home

COLUMNS = {
    "tickets": (("_source", "VARCHAR"), ("_window", "VARCHAR"), ("tags", "VARCHAR[]")),
    "calls": (("_source", "VARCHAR"), ("_window", "VARCHAR"), ("started_at", "TIMESTAMPTZ")),
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "ho'me [1]").ensure()


def company(*ids: str, **look_back: int) -> Company:
    sources = [SimpleNamespace(id=i) for i in ids]
    return cast(Company, SimpleNamespace(sources=sources, look_back=look_back))


def land(home: Home, source: str, month: str, name: str = "0123", extra: str = "") -> lake.Manifest:
    staging = lake.staging(home, source, Month(month))
    staging.mkdir(parents=True, exist_ok=True)
    draft = staging / "tickets.parquet"
    con = warehouse.connect()
    con.execute(
        f"copy (select '{source}' as _source, '{month}' as _window, ['a'] as tags{extra}) "
        f"to '{str(draft).replace(chr(39), chr(39) * 2)}' (format parquet)"
    )
    con.close()
    final = Path("raw/tickets") / lake.partition(month, source) / f"{name}.parquet"
    counts: dict[str, Any] = dict.fromkeys(
        ("rows_read", "outside_window", "rows_in", "landed", "duplicates", "quarantined"), 0
    )
    landing = lake.StreamLanding(
        files=(lake.LandedFile(final.as_posix(), lake.file_sha256(draft), 1),),
        unknown={},
        undeclared_fields=(),
        late_rows={},
        quarantine_file=None,
        reasons={},
        **counts,
    )
    manifest = lake.Manifest(
        source, "files", month, "m", "a", (), {"tickets": landing}, "2026-01-01T00:00:00+00:00", "k"
    )
    return lake.commit(home, manifest, {draft: final})


def views(home: Home, month: str, as_of: str | None, *ids: str) -> list[Any]:
    con = warehouse.connect()
    try:
        lake.create_raw_views(
            con, home, company(*ids), Month(month), Month(as_of) if as_of else None, COLUMNS
        )
        assert con.execute("select count(*) from raw.calls").fetchone() == (0,)
        types = dict(
            con.execute(
                "select column_name, data_type from duckdb_columns() where table_name = 'calls'"
            ).fetchall()
        )
        assert types["started_at"] == "TIMESTAMP WITH TIME ZONE"
        assert types["_month"] == "VARCHAR"
        return con.execute("select _source, _month, tags from raw.tickets order by 1, 2").fetchall()
    finally:
        con.close()


def test_views_hold_the_windows_a_build_may_read_and_no_others(home: Home) -> None:
    for month in ("2025-08", "2026-06", "2026-09", "2026-10"):
        land(home, "a", month)
    land(home, "removed", "2026-09")
    assert views(home, "2026-09", None, "a") == [
        ("a", "2026-06", ["a"]),
        ("a", "2026-09", ["a"]),
    ]
    assert [row[1] for row in views(home, "2026-09", "2026-10", "a")] == [
        "2026-06",
        "2026-09",
        "2026-10",
    ]


def test_deliveries_say_which_streams_came_for_which_month_be_it_without_a_row(home: Home) -> None:
    for month in ("2026-08", "2026-09", "2026-10"):
        land(home, "a", month)
    known = lake.read_manifest(home, "a", Month("2026-09"))
    assert known is not None
    tickets = known.streams["tickets"]
    streams = {
        "tickets": replace(tickets, refused="the account may not read it"),
        "calls": replace(tickets, files=(), landed=0),
    }
    lake.commit(home, replace(known, streams=streams), {})
    land(home, "removed", "2026-09")
    con = warehouse.connect()
    lake.create_raw_views(con, home, company("a"), Month("2026-09"), None, COLUMNS)
    found = con.execute("select month, stream from raw.deliveries order by all").fetchall()
    con.close()
    assert found == [(date(2026, 8, 1), "tickets"), (date(2026, 9, 1), "calls")]


def test_streams_that_count_long_after_their_delivery_are_read_further_back(home: Home) -> None:
    for month in ("2025-08", "2025-09", "2026-09"):
        land(home, "a", month)
    assert [row[1] for row in views(home, "2026-09", None, "a")] == ["2025-09", "2026-09"]
    found = lake.inputs(home, Month("2026-09"))
    assert [item["month"] for item in found] == ["2025-09", "2026-09"]


def test_a_company_may_have_a_stream_read_further_back(home: Home) -> None:
    for month in ("2024-09", "2025-08", "2026-09"):
        land(home, "a", month)
    chosen = company("a", tickets=24)
    con = warehouse.connect()
    lake.create_raw_views(con, home, chosen, Month("2026-09"), None, COLUMNS)
    assert con.execute("select _month from raw.tickets order by 1").fetchall() == [
        ("2024-09",), ("2025-08",), ("2026-09",)
    ]  # fmt: skip
    con.close()
    found = lake.inputs(home, Month("2026-09"), None, chosen.look_back)
    assert [item["month"] for item in found] == ["2024-09", "2025-08", "2026-09"]
    assert len(lake.inputs(home, Month("2026-09"))) == 1


def test_a_column_younger_than_a_landed_file_is_empty_there(home: Home) -> None:
    land(home, "a", "2026-09")
    con = warehouse.connect()
    columns = {"tickets": (*COLUMNS["tickets"], ("priority", "VARCHAR"), ("score", "BIGINT"))}
    lake.create_raw_views(con, home, company("a"), Month("2026-09"), None, columns)
    assert con.execute("select tags, priority, score from raw.tickets").fetchall() == [
        (["a"], None, None)
    ]
    land(home, "b", "2026-09", extra=", 'high' as priority")
    lake.create_raw_views(con, home, company("a", "b"), Month("2026-09"), None, columns)
    assert con.execute(
        "select _source, priority, score from raw.tickets order by 1"
    ).fetchall() == [
        ("a", None, None),
        ("b", "high", None),
    ]
    con.close()


def test_views_without_files_are_typed_and_empty(home: Home) -> None:
    assert views(home, "2026-09", None, "a") == []


def test_a_committed_manifest_reads_back_equal(home: Home) -> None:
    landed = land(home, "a", "2026-09")
    assert lake.read_manifest(home, "a", Month("2026-09")) == landed
    assert lake.read_manifest(home, "b", Month("2026-09")) is None
    assert len(landed.manifest_sha256) == 64


def test_inputs_name_hashes_and_neither_clocks_nor_places(home: Home) -> None:
    land(home, "b", "2026-09")
    land(home, "a", "2026-09")
    land(home, "a", "2026-12")
    found = lake.inputs(home, Month("2026-09"))
    assert [(i["source"], i["month"]) for i in found] == [("a", "2026-09"), ("b", "2026-09")]
    assert set(found[0]) == {
        "source",
        "month",
        "archive_sha256s",
        "mapping_sha256",
        "manifest_sha256",
    }


def test_a_damaged_manifest_is_named(home: Home) -> None:
    land(home, "a", "2026-09")
    path = lake.manifest_path(home, "a", Month("2026-09"))
    path.write_text("{")
    with pytest.raises(PerfhouseError, match=r"source=a\.json: the manifest cannot be read"):
        lake.manifests(home, Month("2026-09"), Month("2026-09"))


def test_readers_of_the_pointer_never_see_a_part(home: Home) -> None:
    land(home, "a", "2026-09")
    path = lake.manifest_path(home, "a", Month("2026-09"))
    with path.open("rb") as held:
        before = held.read()
        land(home, "a", "2026-09")
        held.seek(0)
        assert held.read() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_redelivery_moves_no_file_that_a_build_is_reading(home: Home) -> None:
    first = land(home, "desk", "2026-09")
    old = home.root / first.streams["tickets"].files[0].path
    with lake.reading(home):
        land(home, "desk", "2026-09", "4567")
        assert old.exists()
        assert len(views(home, "2026-09", None, "desk")) == 1
    lake.recover(home, "desk", Month("2026-09"))
    assert not old.exists()
    assert list(home.superseded.rglob(old.name))


def test_uncommitted_files_are_removed_by_the_next_recovery(home: Home) -> None:
    land(home, "a", "2026-09")
    folder = home.raw / "tickets" / lake.partition("2026-09", "a")
    (folder / "beef.parquet").write_bytes(b"half")
    lake.recover(home, "a", Month("2026-09"))
    assert [p.name for p in folder.iterdir()] == ["0123.parquet"]
