from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from landing_kit import MONTH, company, source

from connectors import sql, sql_archive, sql_query
from connectors.base import ExtractContext
from connectors.sql_sessions import Reading
from perfhouse.company import Source, StreamMapping
from perfhouse.errors import ConfigError


def desk(query: str = "select 1", **options: Any) -> Source:
    stream = StreamMapping("tickets", {"query": query, **options}, None, {}, ())
    return source(stream, id="desk", connector="sql", time_zone="Asia/Shanghai", options={})


def bounds(**options: Any) -> sql_query.Bounds:
    given = desk(**options)
    return sql_query.bounds(given, given.streams[0], company("Asia/Shanghai"), MONTH)


@pytest.mark.parametrize(
    ("backend", "literal"),
    [
        ("postgresql", "(timestamp '2026-09-01 00:00:00') (timestamptz '2026-08-31 16:00:00+00')"),
        ("mysql", "(timestamp '2026-09-01 00:00:00') (timestamp '2026-08-31 16:00:00')"),
        ("mariadb", "(timestamp '2026-09-01 00:00:00') (timestamp '2026-08-31 16:00:00')"),
        ("oracle", "'2026-09-01 00:00:00' '2026-08-31 16:00:00'"),
    ],
)
def test_bounds_are_typed_literals_of_the_dialect(backend: str, literal: str) -> None:
    assert sql_query.rendered(":start :start_utc", bounds(), backend) == literal


def test_a_time_format_makes_texts_in_every_dialect() -> None:
    bound = bounds(time_format="%Y%m%d")
    assert sql_query.rendered(":start :end", bound, "postgresql") == "'20260901' '20261001'"


@pytest.mark.parametrize(
    "untouched",
    [
        "select a::start from t",
        "select ':start' as x",
        'select ":start" from t',
        "select 1 -- :start\n",
        "select /* :start */ 1",
        "select $$ :start $$",
        "select $q$ it's :start $q$",
        "select 'it''s :start'",
        "select (array[1,2])[1:start]",
    ],
)
def test_only_code_is_filled_in(untouched: str) -> None:
    assert sql_query.rendered(untouched, bounds(), "postgresql") == untouched


def test_a_name_that_is_no_bound_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ConfigError, match=r"expected :start.*got :strat"):
        sql_query.checked("select * from t where at >= :strat", "desk.tickets.query")


@pytest.mark.parametrize(
    ("query", "clean"),
    [
        ("select 1;", "select 1"),
        ("select ';' as a ; -- done;", "select ';' as a  -- done;"),
        ("select 1 -- one;\n", "select 1 -- one;\n"),
    ],
)
def test_the_last_semicolon_is_left_out_because_the_query_is_nested(query: str, clean: str) -> None:
    assert sql_query.checked(query, "q") == clean


@pytest.mark.parametrize("text", ["3", "0d", "-1d", "3 d", "d", "1.5d", "99999d", True])
def test_a_lookback_that_cannot_be_read_is_refused(text: object) -> None:
    with pytest.raises(ConfigError, match=r"desk.tickets.lookback: expected 12h, 3d or 2w"):
        bounds(lookback=text)


def test_a_lookback_moves_the_start_and_not_the_end() -> None:
    plain, back = bounds().values(), bounds(lookback="36h").values()
    assert back["end_epoch"] == plain["end_epoch"]
    assert plain["start_epoch"] - back["start_epoch"] == 36 * 3600


@pytest.mark.parametrize("text", ["90", "0s", "1d", 5])
def test_a_timeout_that_cannot_be_read_is_refused(text: object) -> None:
    given = replace(desk(), options={"statement_timeout": text})
    with pytest.raises(ConfigError, match="expected 90s, 10m or 2h"):
        sql_query.seconds(given, "statement_timeout")


def test_a_dry_run_shows_the_bound_query_and_no_secret(tmp_path: Path) -> None:
    given = replace(
        desk("select *\n  from t -- all\n  where at >= :start", control="select count(*) from t"),
        options={
            "url": "postgresql://me:hunter2@db.example/desk?sslpassword=hunter2",
            "watermark": "select max(at) from t",
        },
    )
    context = ExtractContext(company("Asia/Shanghai"), tmp_path, tmp_path)
    assert list(sql.CONNECTOR.planned(given, MONTH, context)) == [
        "from postgresql://db.example/desk, read only",
        "watermark: select max(at) from t",
        "tickets: select *",
        "  from t -- all",
        "  where at >= (timestamp '2026-09-01 00:00:00')",
        "tickets.control: select count(*) from t",
    ]


def rows(count: int, ties: int) -> pa.Table:
    chance = np.random.default_rng(3)
    return pa.table(
        {
            "k": pa.array([None if n < ties else n // ties for n in range(count)], pa.int64()),
            "v": pa.array(chance.integers(0, 9, count)),
            "t": pa.array([f"x{n % 5}" if n % 7 else None for n in range(count)]),
            "b": pa.array([bool(n % 2) for n in range(count)]),
        }
    )


def archived(table: pa.Table, size: int, target: Path, keys: tuple[str, ...], ahead: bool) -> bytes:
    reading = Reading(table.schema, iter(table.to_batches(size)), keys, ahead)
    assert sql_archive.write(reading, ["k"], target, lambda _: None) == table.num_rows
    return target.read_bytes()


@pytest.mark.parametrize("ties", [1, 3, 40, 5000])
@pytest.mark.parametrize("ahead", [False, True])
def test_the_archive_depends_on_the_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ties: int, ahead: bool
) -> None:
    monkeypatch.setattr(sql_archive, "ROWS", 1000)
    table = rows(12_345, ties)
    first = archived(table, 100_000, tmp_path / "a", ("k",), ahead)
    mixed = np.arange(table.num_rows)
    for at in range(0, table.num_rows, ties):  # rows of one key come in any order
        mixed[at : at + ties] = mixed[at : at + ties][::-1]
    for size in (7, 999, 4000):
        assert archived(table.take(mixed), size, tmp_path / "b", ("k",), ahead) == first
    read = pq.read_table(tmp_path / "a")
    assert read.column("k").equals(table.column("k"))
    assert sorted(map(str, read.to_pylist())) == sorted(map(str, table.to_pylist()))
    groups = pq.ParquetFile(tmp_path / "a").metadata.num_row_groups
    assert groups == (13 if ties == 1 else groups)
    assert groups > 1


def test_groups_of_long_texts_have_fewer_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_archive, "BYTES", 10_000)
    long = pa.table({"k": range(500), "t": ["x" * (n % 900) for n in range(500)]})
    first = archived(long, 500, tmp_path / "a", ("k",), False)
    for size in (1, 33, 499):
        assert archived(long, size, tmp_path / "b", ("k",), True) == first
    groups = pq.ParquetFile(tmp_path / "a").metadata
    counts = [groups.row_group(n).num_rows for n in range(groups.num_row_groups)]
    assert counts[0] > max(counts[-3:])
    texts = pq.read_table(tmp_path / "a").column("t").to_pylist()
    at = 0
    for count in counts:
        assert sum(map(len, texts[at : at + count])) <= 10_000
        at += count


def test_what_the_database_did_not_sort_is_sorted_on_disk(tmp_path: Path) -> None:
    table = rows(5000, 3)
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    first = archived(table, 1000, tmp_path / "a", (), False)
    assert archived(shuffled, 77, tmp_path / "b", (), False) == first
    assert pq.read_table(tmp_path / "b").column("k").equals(table.column("k"))
    assert {p.name for p in tmp_path.iterdir()} == {"a", "b"}
