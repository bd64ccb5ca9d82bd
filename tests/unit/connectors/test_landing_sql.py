from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from landing_kit import MONTH, OWNER, Place, balances, column, source
from sqlalchemy.engine import make_url

from connectors import sql_other, sql_sessions
from perfhouse.company import StreamMapping
from perfhouse.errors import ConfigError, PerfhouseError, SourceChanged, SourceMissing
from perfhouse.lake import archived_path, latest_receipt

QUERY = "select * from t where updated_at >= :start and updated_at < :end"
COLUMNS = {
    "ticket_id": column("id"),
    "created_at": column("created_at"),
    "source_updated_at": column("updated_at"),
    "reopen_count": column("n"),
}


def desk(query: str = QUERY, **keys: Any) -> Any:
    stream = StreamMapping("tickets", {"query": query}, None, COLUMNS, ())
    options = {"url": "sqlite:///{data}/desk.db"}
    chosen = source(stream, id="desk", connector="sql", options=options, time_zone="UTC")
    return replace(chosen, **keys)


def database(place: Place, rows: list[tuple[object, ...]]) -> Path:
    place.data.mkdir(parents=True, exist_ok=True)
    path = place.data / "desk.db"
    path.unlink(missing_ok=True)
    con = sqlite3.connect(path)
    con.execute("create table t (id, created_at text, updated_at text, n)")
    con.executemany("insert into t values (?, ?, ?, ?)", rows)
    con.commit()
    con.close()
    return path


def test_the_month_is_bound_in_the_source_zone_and_half_open(place: Place) -> None:
    stamps = ["2026-08-31 15:59:59", "2026-08-31 16:00:00", "2026-09-30 15:59:59",
              "2026-09-30 16:00:00"]  # fmt: skip
    database(place, [(i, "2026-08-01 00:00:00", at, i) for i, at in enumerate(stamps)])
    manifest = place.ingest(desk())
    assert place.rows(manifest, "ticket_id, reopen_count", "tickets") == [("1", 1), ("2", 2)]
    assert balances(manifest)


def test_the_same_rows_change_nothing_in_whatever_order_the_database_answers(place: Place) -> None:
    rows: list[tuple[object, ...]] = [
        (f"k{i % 7}", "2026-08-01 00:00:00", f"2026-09-{1 + i % 28:02d} 00:00:00", i)
        for i in range(50)
    ]
    database(place, rows)
    first = place.ingest(desk())
    database(place, rows[::-1])
    second = place.ingest(desk())
    assert second.unchanged
    assert second == first
    database(place, [*rows[1:], (*rows[0][:3], 99)])
    assert not place.ingest(desk()).unchanged


def test_a_text_that_is_no_utf8_is_no_lost_line_and_is_not_quoted(place: Place) -> None:
    path = database(place, [("a", "2026-08-01 00:00:00", "2026-09-02 00:00:00", 1)])
    with closing(sqlite3.connect(path)) as con:
        con.execute("update t set id = cast(x'7a68616e67ff' as text)")
        con.commit()
    with pytest.raises(SourceChanged, match="a text that is not UTF-8") as caught:
        place.ingest(desk())
    assert "zhang" not in str(caught.value)


def test_landing_again_needs_no_database(place: Place) -> None:
    path = database(place, [("a", "2026-08-01 00:00:00", "2026-09-01 00:00:00", -1)])
    assert place.ingest(desk()).streams["tickets"].quarantined == 1
    path.unlink()
    stream = desk().streams[0]
    columns = {k: v for k, v in COLUMNS.items() if k != "reopen_count"}
    mended = desk(streams=(replace(stream, columns=columns),))
    assert place.land(mended).streams["tickets"].landed == 1


def test_folders_of_the_archive_are_no_columns_of_the_source(place: Place) -> None:
    database(place, [("a", "2026-08-01 00:00:00", "2026-09-01 00:00:00", 1)])
    assert place.ingest(desk()).streams["tickets"].undeclared_fields == ()
    monthly = desk("select *, 'June' as month from t")
    columns = {**COLUMNS, "category": column("month")}
    named = replace(monthly, streams=(replace(monthly.streams[0], columns=columns),))
    assert place.rows(place.ingest(named), "category", "tickets") == [("June",)]


def test_an_empty_result_lands_zero_rows(place: Place) -> None:
    database(place, [])
    landing = place.ingest(desk()).streams["tickets"]
    assert (landing.rows_in, landing.files) == (0, ())
    receipt = latest_receipt(place.home, "desk", MONTH)
    assert archived_path(place.home, receipt, "tickets.parquet").is_file()


def test_a_missing_database_file_is_not_created(place: Place) -> None:
    place.data.mkdir(parents=True)
    with pytest.raises(SourceMissing, match=f"desk.db.*{OWNER[:4]}"):
        place.ingest(desk())
    assert not (place.data / "desk.db").exists()


def test_a_file_that_is_no_database_is_refused(place: Place) -> None:
    place.data.mkdir(parents=True)
    (place.data / "desk.db").write_text("hello, this is text and no database")
    with pytest.raises(SourceChanged, match="not an SQLite database"):
        place.ingest(desk())


def test_a_query_the_database_refuses_names_who_must_act(place: Place) -> None:
    database(place, [])
    with pytest.raises(SourceChanged, match=r"no such column: gone.*mapping's author.*Desk"):
        place.ingest(desk("select gone from t"))


def test_a_column_that_disappears_is_header_drift(place: Place) -> None:
    database(place, [])
    with pytest.raises(SourceChanged, match=r"'n' \(for reopen_count\).*not in the mapping: 'm'"):
        place.ingest(desk("select id, created_at, updated_at, n as m from t"))


@pytest.mark.parametrize(
    "query",
    [
        "delete from t",
        "",
        "update t set n = 1",
        "with gone as (delete from t returning *) select * from gone",
        "with x as (select 1 as a) insert\ninto t select a, a, a, a from x",
        "with x as (select 1) update t set n = 1",
        "with x as (select 1) Merge into t using x on true when matched then delete",
        "select * into copy_of_t from t",
        "select 1; drop table t",
    ],
)
def test_only_a_select_is_run(place: Place, query: str) -> None:
    database(place, [])
    with pytest.raises(ConfigError, match="expected a select"):
        place.ingest(desk(query))


def test_words_of_writing_in_text_names_and_comments_are_no_writing(place: Place) -> None:
    database(place, [("a", "2026-08-01 00:00:00", "2026-09-01 00:00:00", 1)])
    query = (
        "-- insert into; delete\nselect /* update t */ id, created_at, updated_at, n, "
        "'; delete from t' as \"into\" from t where updated_at >= :start;\n"
    )
    assert place.ingest(desk(query)).streams["tickets"].landed == 1


def test_a_password_never_shows_in_a_message(place: Place) -> None:
    url = "oracle+nodriver://me:hunter2@host/db"
    with pytest.raises(ConfigError) as caught:
        place.ingest(desk(options={"url": url}))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://me:hunter2@/{data}/desk.db?token=hunter2",
        "sqlite:///{data}/desk.db?timeout=hunter2",
        "postgresql://host:hunter2/db",
        "mysql://host:hunter2/db",
        "sqlite://host:hunter2/db",
    ],
)
def test_no_user_option_or_wrong_port_of_a_url_shows_in_a_message(place: Place, url: str) -> None:
    database(place, [])
    with pytest.raises(PerfhouseError) as caught:
        place.ingest(desk("select gone from t", options={"url": url}))
    assert "hunter2" not in str(caught.value)
    assert "me:" not in str(caught.value)


def test_a_database_is_named_by_backend_host_and_name_alone() -> None:
    url = make_url("postgresql+psycopg://me:hunter2@db.example:5432/desk?sslkey=/k&password=p")
    assert sql_sessions.place(url) == "postgresql://db.example/desk"


def test_database_values_keep_their_text() -> None:
    values = [None, True, 7, 1.5, b"\x01", date(2026, 9, 1), datetime(2026, 9, 1, 2, 3, 4)]  # noqa: DTZ001
    assert [sql_other.as_text(v) for v in values] == [
        None, "true", "7", "1.5", "01", "2026-09-01", "2026-09-01 02:03:04",
    ]  # fmt: skip
