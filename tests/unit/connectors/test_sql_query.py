from __future__ import annotations

from collections.abc import Iterator
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


def rows(count: int) -> pa.Table:
    chance = np.random.default_rng(3)
    return pa.table(
        {
            "k": pa.array([n or None for n in range(count)], pa.int64()),
            "v": pa.array(chance.integers(0, 9, count)),
            "t": pa.array([f"x{n % 5}" if n % 7 else None for n in range(count)]),
            "b": pa.array([bool(n % 2) for n in range(count)]),
        }
    )


def groups(target: Path) -> list[int]:
    read = pq.ParquetFile(target).metadata
    return [read.row_group(n).num_rows for n in range(read.num_row_groups)]


@pytest.mark.parametrize("size", [7, 999, 20_000])
@pytest.mark.parametrize("ahead", [False, True])
def test_the_archive_holds_the_rows_as_they_came_in_groups_of_some_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, ahead: bool
) -> None:
    monkeypatch.setattr(sql_archive, "ROWS", 1000)
    table, target, told = rows(12_345), tmp_path / "a", []
    reading = Reading(table.schema, iter(table.to_batches(size)), ahead)
    assert sql_archive.write(reading, target, told.append) == table.num_rows
    assert pq.read_table(target).equals(table)
    assert told[-1] == table.num_rows
    assert max(groups(target)) <= 1000
    assert len(groups(target)) <= 25
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_groups_of_long_texts_have_fewer_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_archive, "BYTES", 10_000)
    long = pa.table({"k": range(500), "t": ["x" * (n % 900) for n in range(500)]})
    reading = Reading(long.schema, iter(long.to_batches(3)))
    assert sql_archive.write(reading, tmp_path / "a", lambda _: None) == 500
    counts = groups(tmp_path / "a")
    assert counts[0] > max(counts[-3:])
    texts = long.column("t").to_pylist()
    at = 0
    for count in counts:
        assert sum(map(len, texts[at : at + count])) <= 10_000
        at += count


def test_an_empty_answer_keeps_its_columns_and_a_broken_one_is_raised(tmp_path: Path) -> None:
    table = rows(10)
    empty = Reading(table.schema, iter(()))
    assert sql_archive.write(empty, tmp_path / "a", lambda _: None) == 0
    assert pq.read_table(tmp_path / "a").schema.names == table.schema.names

    def lost() -> Iterator[pa.RecordBatch]:
        yield from table.to_batches()
        raise OSError

    with pytest.raises(OSError):
        sql_archive.write(Reading(table.schema, lost()), tmp_path / "b", lambda _: None)
