from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from servers.postgres import Postgres
from servers.process import free_port
from sql_kit import MONTH, Place, desk, extract, one
from unit.connectors.landing_kit import balances

from perfhouse import lake
from perfhouse.company import ColumnMapping
from perfhouse.errors import (
    ConfigError,
    PerfhouseError,
    SourceChanged,
    SourceMissing,
    TransientError,
)
from perfhouse.month import Month

EVERY = """
create type mood as enum ('sad', 'ok');
create table every (
    id int8, i2 int2, i4 int4, f4 float4, f8 float8, b bool, t text, vc varchar(20), bp char(3),
    ba bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, n numeric, u uuid,
    j json, jb jsonb, e mood, arr text[], iarr int[], ip inet, m money, nm name, o oid, x xml,
    bits bit(3), rg int4range
);
"""
ROW = """
insert into every values (
    9223372036854775807, -2, 3, 1.5, 0.1, true, 'héllo 中文 😀', 'x''y', 'z', '\\x00ff',
    '2026-09-01', '12:34:56.789', '2026-09-01 01:02:03.456789', '2026-09-01 01:02:03+08',
    '1 day 2 hours', 12345678901234567890.1200, '123e4567-e89b-12d3-a456-426614174000',
    '{"a": 1}', '{"a":1}', 'ok', '{a,"b\\"c"}', '{1,2}', '10.0.0.1', 1.23, 'nm', 4000000000,
    '<a/>', b'101', '[1,3)'
)
"""
KNOWN: dict[str, Any] = {
    "id": 9223372036854775807, "i2": -2, "i4": 3, "f4": 1.5, "f8": 0.1, "b": True,
    "t": "héllo 中文 😀", "vc": "x'y", "bp": "z  ", "ba": "00ff", "d": date(2026, 9, 1),
    "tm": time(12, 34, 56, 789000), "ts": datetime(2026, 9, 1, 1, 2, 3, 456789),  # noqa: DTZ001
    "tz": datetime(2026, 8, 31, 17, 2, 3, tzinfo=UTC), "iv": "1 day 02:00:00",
    "n": "12345678901234567890.1200", "u": "123e4567-e89b-12d3-a456-426614174000",
    "j": '{"a": 1}', "jb": '{"a": 1}', "e": "ok", "arr": '["a","b\\"c"]', "iarr": "[1,2]",
    "ip": "10.0.0.1/32", "m": "$1.23", "nm": "nm", "o": "4000000000", "x": "<a/>", "bits": "101",
    "rg": "[1,3)",
}  # fmt: skip
NATIVE = {
    "id": pa.int64(), "i2": pa.int16(), "f8": pa.float64(), "b": pa.bool_(), "d": pa.date32(),
    "ts": pa.timestamp("us"), "tz": pa.timestamp("us", "UTC"), "t": pa.string(),
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database("sql_connector")


def run(postgres: Postgres, *statements: str) -> None:
    with postgres.connect("sql_connector") as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def tickets(postgres: Postgres, rows: int, extra: str = "") -> None:
    run(
        postgres,
        "create table t (id int8 primary key, created_at timestamptz, n int4, ref text)",
        "insert into t select g, timestamptz '2026-09-01 00:00:00+00' + (g % 2592000) * "
        f"interval '1 s', g % 7, 'T-' || g from generate_series(1, {rows}) g {extra}",
    )


def test_every_type_arrives_as_an_independent_reader_sees_it(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    run(postgres, EVERY, ROW, "insert into every (id) values (1)")
    table = one(desk(url, "select * from every"), tmp_path)
    empty, full = sorted(table.to_pylist(), key=lambda row: row["id"])
    assert full == KNOWN
    assert empty == {**dict.fromkeys(KNOWN), "id": 1}
    assert {name: table.schema.field(name).type for name in NATIVE} == NATIVE


def test_an_infinite_time_is_none_and_never_another_time(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    query = (
        "select 1 as id, timestamptz 'infinity' as a, timestamp '-infinity' as b, "
        "date 'infinity' as c, timestamp '1066-10-14 09:00:00' as d"
    )
    assert one(desk(url, query), tmp_path).to_pylist() == [
        {"id": 1, "a": None, "b": None, "c": None, "d": datetime(1066, 10, 14, 9)}  # noqa: DTZ001
    ]


def test_random_values_of_all_kinds_land_equal_to_what_was_stored(
    postgres: Postgres, url: str, place: Place
) -> None:
    chance = random.Random(7)
    letters = "aä中😀'\"\\;:%\t \u3000\u200b"
    run(
        postgres,
        "create table t (id text, created_at timestamp, updated_at timestamptz, n int8, "
        "score numeric(9,4), name text, flag bool)",
    )
    rows = []
    for number in range(2000):
        naive = datetime(2026, 9, 1) + timedelta(microseconds=chance.randrange(30 * 86400 * 10**6))  # noqa: DTZ001
        rows.append((
            f"k{number:05d}", naive, naive.replace(tzinfo=UTC) + timedelta(hours=1),
            chance.choice((None, 0, 2**63 - 1, chance.randrange(10**9))),
            chance.choice((None, Decimal(chance.randrange(10**9)) / 10000)),
            chance.choice((None, "".join(chance.choices(letters, k=12)) + "x")),
            chance.choice((None, True, False)),
        ))  # fmt: skip
    with postgres.connect("sql_connector") as connection, connection.cursor() as cursor:
        cursor.executemany("insert into t values (%s, %s, %s, %s, %s, %s, %s)", rows)
    source = desk(
        url, "select * from t",
        columns={
            "created_at": ColumnMapping(source="created_at"),
            "source_updated_at": ColumnMapping(source="updated_at"),
            "reopen_count": ColumnMapping(source="n"),
            "csat_score": ColumnMapping(source="score"),
            "category": ColumnMapping(source="name"),
            "is_complaint": ColumnMapping(source="flag"),
        },
    )  # fmt: skip
    manifest = place.ingest(replace(source, time_zone="Asia/Shanghai"))
    assert (manifest.streams["tickets"].landed, manifest.streams["tickets"].quarantined) == (
        2000,
        0,
    )
    landed = place.rows(
        manifest,
        "ticket_id, epoch_us(created_at), epoch_us(source_updated_at), reopen_count, csat_score, "
        "category, is_complaint",
        "tickets",
    )
    assert sorted(landed) == [
        (k, micros(at) - 8 * 3600 * 10**6, micros(tz), n, score, name, flag)
        for k, at, tz, n, score, name, flag in rows
    ]


def micros(at: datetime) -> int:
    return (at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz"])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC"])
def test_the_window_is_half_open_whatever_kind_of_time_the_column_is(
    postgres: Postgres, url: str, tmp_path: Path, kind: str, zone: str
) -> None:
    wall = {"Asia/Shanghai": "00:00", "America/New_York": "12:00", "UTC": "16:00"}[zone]
    first, last = {"Asia/Shanghai": ("09-01", "10-01")}.get(zone, ("08-31", "09-30"))
    run(
        postgres,
        f"set time zone '{zone}'",
        f"create table t as select id, cast(at as {kind}) as at from (values "
        f"(0, timestamp '2026-{first} {wall}' - interval '1 us'), (1, '2026-{first} {wall}'), "
        f"(2, timestamp '2026-{last} {wall}' - interval '1 us'), (3, '2026-{last} {wall}')) "
        "as v (id, at)",
    )
    source = desk(
        url, "select * from t where at >= :start and at < :end", source={"time_zone": zone}
    )
    table = one(source, tmp_path, zone="Asia/Shanghai")
    assert table.column("id").to_pylist() == [1, 2]


def test_epochs_and_utc_instants_bound_the_same_month(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    query = "select 1 as id, :start_epoch as a, :end_epoch as b, :start_utc as c, :month as d"
    source = desk(url, query, source={"time_zone": "America/New_York"})
    assert one(source, tmp_path, zone="Asia/Shanghai").to_pylist() == [
        {
            "id": 1, "a": 1788192000, "b": 1790784000,
            "c": datetime(2026, 8, 31, 16, tzinfo=UTC), "d": "2026-09",
        }
    ]  # fmt: skip


def test_a_lookback_moves_the_start_only(postgres: Postgres, url: str, tmp_path: Path) -> None:
    query = "select 1 as id, :start as a, :end as b"
    row = one(desk(url, query, lookback="3d"), tmp_path).to_pylist()[0]
    assert (row["a"], row["b"]) == (datetime(2026, 8, 29), datetime(2026, 10, 1))  # noqa: DTZ001


def test_all_streams_of_a_source_are_one_snapshot(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    tickets(postgres, 5)
    source = desk(url, "select * from t")
    second = replace(source.streams[0], stream="ticket_events")
    found = extract(
        replace(source, streams=(source.streams[0], second)), tmp_path,
        between=lambda: run(postgres, "insert into t select max(id) + 1 from t"),
    )  # fmt: skip
    assert [table.num_rows for table in found.values()] == [5, 5]
    assert one(source, tmp_path).num_rows == 7


def test_the_same_rows_change_nothing_in_whatever_order_they_lie(
    postgres: Postgres, url: str, place: Place
) -> None:
    run(
        postgres,
        "create table t as select (g % 50)::text || 'Ä' as id, g as n, 'v' || g % 3 as v, "
        "timestamptz '2026-09-02+00' as created_at from generate_series(1, 3000) g",
    )
    source = desk(url, "select * from t", columns={"category": ColumnMapping(source="v")})
    first = place.ingest(source)
    assert first.streams["tickets"].landed == 50 * 3
    run(postgres, "create table o as select * from t order by md5(n::text)", "drop table t",
        "alter table o rename to t")  # fmt: skip
    again = place.ingest(source)
    assert again.unchanged
    assert again == first
    run(postgres, "update t set v = 'other' where n = 7")
    changed = place.ingest(source)
    assert not changed.unchanged
    assert changed.streams["tickets"].landed == 50 * 3 + 1


def test_a_session_cannot_write_even_through_a_function(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    tickets(postgres, 1)
    run(
        postgres,
        "create function sneak() returns int8 language sql as 'update t set n = 9 returning id'",
    )
    with pytest.raises(SourceChanged, match="25006"):
        one(desk(url, "select sneak() as id"), tmp_path)
    with postgres.connect("sql_connector") as connection:
        assert connection.execute("select n from t").fetchall() == [(1,)]


def test_a_slow_query_is_stopped_and_tried_again_later(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    source = desk(url, "select 1 as id, pg_sleep(20)", source={"statement_timeout": "1s"})
    with pytest.raises(TransientError, match="statement_timeout"):
        one(source, tmp_path)


def test_a_lost_connection_lands_nothing_and_the_next_run_everything(
    postgres: Postgres, url: str, place: Place
) -> None:
    tickets(postgres, 400_000)
    source = desk(url, "select t.*, repeat('x', 100) as pad from t")

    def cut(line: str) -> None:
        place.said.append(line)
        if "00,000 rows" in line or "rows" in line:
            run(
                postgres,
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'perfhouse'",
            )

    from unit.connectors.landing_kit import company

    from connectors import landing

    with pytest.raises(TransientError, match=r"desk 2026-09: postgresql://127.0.0.1"):
        landing.ingest(source, company("UTC", source), MONTH, place.data, place.home, cut)
    assert place.said
    assert lake.manifests(place.home, MONTH, MONTH) == []
    assert not list(place.home.tmp.rglob("*.parquet"))
    assert place.ingest(source).streams["tickets"].landed == 400_000


def test_a_killed_process_leaves_nothing_that_is_seen(
    postgres: Postgres, url: str, place: Place
) -> None:
    tickets(postgres, 300_000)
    script = f"""
        import os, sys
        sys.path[:0] = {[p for p in sys.path if p]!r}
        from pathlib import Path
        from sql_kit import MONTH, desk
        from unit.connectors.landing_kit import company
        from connectors import landing
        from perfhouse.settings import Home
        source = desk({url!r}, "select t.*, repeat('x', 100) as pad from t")
        def die(line):
            if "rows" in line:
                os.kill(os.getpid(), 9)
        landing.ingest(source, company("UTC", source), MONTH, Path({str(place.data)!r}),
                       Home(Path({str(place.home.root)!r})), die)
    """
    child = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert child.returncode == -9
    assert lake.manifests(place.home, MONTH, MONTH) == []
    source = desk(url, "select t.*, repeat('x', 100) as pad from t")
    assert place.ingest(source).streams["tickets"].landed == 300_000


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("select gone from t", 'column "gone" does not exist'),
        ("select * from nowhere", 'relation "nowhere" does not exist'),
        ("select * from hidden", "permission denied for table hidden"),
        ("select cast(ref as int) as id from t", "22P02"),
    ],
)
def test_a_refused_query_names_the_column_or_table_and_no_value(
    postgres: Postgres, url: str, tmp_path: Path, query: str, told: str
) -> None:
    tickets(postgres, 1)
    run(
        postgres,
        "create table hidden (id int)",
        "drop role if exists reader",
        "create role reader login password 'hunter2'",
        "grant select on t to reader",
    )
    own = url.replace(f"{postgres.user}:{postgres.password}", "reader:hunter2")
    with pytest.raises(SourceChanged, match=told) as caught:
        one(desk(own, query), tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "T-1" not in str(caught.value)
    run(postgres, "drop owned by reader", "drop role reader")


def test_a_wrong_login_is_the_operators_and_an_absent_server_is_waited_for(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    wrong = url.replace(postgres.password, "hunter2")
    absent = url.replace(f":{postgres.port}/", f":{free_port()}/")
    nowhere = url.replace("/sql_connector", "/hunter2db")
    for bad, kind in ((wrong, ConfigError), (absent, TransientError), (nowhere, ConfigError)):
        with pytest.raises(PerfhouseError) as caught:
            one(desk(bad, "select 1 as id"), tmp_path)
        assert isinstance(caught.value, kind)
        assert "hunter2@" not in str(caught.value)
        assert postgres.password not in str(caught.value)
        assert postgres.user + ":" not in str(caught.value)


@pytest.mark.parametrize(
    ("last", "complete"),
    [
        ("timestamptz '2026-10-01 00:00:00+00'", True),
        ("timestamptz '2026-09-30 23:59:59.999999+00'", False),
        ("timestamp '2026-10-01 08:00:00'", True),
        ("timestamp '2026-10-01 07:59:59'", False),
        ("1790812800", True),
        ("1790812799", False),
        ("date '2026-10-02'", True),
        ("cast(null as timestamptz)", False),
    ],
)
def test_a_month_is_waited_for_until_the_sources_own_watermark_has_passed_it(
    postgres: Postgres, url: str, tmp_path: Path, last: str, complete: bool
) -> None:
    given = {"watermark": f"select {last}", "time_zone": "Asia/Shanghai"}
    source = desk(url, "select 1 as id", source=given)
    if complete:
        assert one(source, tmp_path).num_rows == 1
        return
    with pytest.raises(SourceMissing, match="month ends at 2026-10-01 00:00:00 UTC"):
        one(source, tmp_path)


def test_without_a_watermark_a_month_is_waited_for_by_the_databases_own_clock(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    source = desk(url, "select 1 as id", source={"time_zone": "Asia/Shanghai"})
    with pytest.raises(SourceMissing, match=r"clock says 20\d\d-.* month ends at 3000-01-01"):
        extract(source, tmp_path, month=Month("2999-12"))


def test_a_control_total_that_differs_is_a_torn_read(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    tickets(postgres, 10)
    query = "select * from t where created_at >= :start and created_at < :end"
    right = "select count(*) from t where created_at >= :start and created_at < :end"
    assert one(desk(url, query, control=right), tmp_path).num_rows == 10
    with pytest.raises(TransientError, match="10 rows were read, control counts 11"):
        one(desk(url, query, control="select 11"), tmp_path)
    with pytest.raises(ConfigError, match="control"):
        one(desk(url, query, control="select 'many'"), tmp_path)


def test_deleted_rows_land_as_deletions(postgres: Postgres, url: str, place: Place) -> None:
    run(
        postgres,
        "create table t as select g as id, timestamptz '2026-09-02+00' as created_at, "
        "g = 2 as is_gone from generate_series(1, 3) g",
    )
    op = ColumnMapping(source="is_gone", values={"true": "delete"}, otherwise="upsert")
    manifest = place.ingest(desk(url, "select * from t", columns={"_op": op}))
    assert place.rows(manifest, "ticket_id, _op", "tickets") == [
        ("1", "upsert"), ("2", "delete"), ("3", "upsert"),
    ]  # fmt: skip


def test_a_query_with_comments_semicolon_casts_and_slices_runs_as_written(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    query = """-- the month's; :start
        with x as (select 1 as id, 'a; :end'::text as a, (array[1,2,3])[2:3] as b)
        select *, $$ :start ; $$ as c from x where :end > timestamp '2026-01-01' ; -- done"""
    assert one(desk(url, query), tmp_path).to_pylist() == [
        {"id": 1, "a": "a; :end", "b": "[2,3]", "c": " :start ; "}
    ]


def test_names_with_quotes_capitals_and_spaces_survive(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    query = 'select 1 as id, 2 as "Größe ""x""", 3 as "order", 4 as "?column?"'
    assert one(desk(url, query), tmp_path).column_names == ["id", 'Größe "x"', "order", "?column?"]
    with pytest.raises(ConfigError, match="each column once"):
        one(desk(url, "select 1 as id, 2 as id"), tmp_path)


def test_a_large_answer_keeps_memory_bounded(postgres: Postgres, url: str, tmp_path: Path) -> None:
    tickets(postgres, 1_000_000)
    source = desk(url, "select t.*, md5(id::text) || md5(ref) as pad from t")
    before = pa.total_allocated_bytes()
    peak = [0]

    def watch(_: str) -> None:
        peak[0] = max(peak[0], pa.total_allocated_bytes() - before)

    assert extract(source, tmp_path, progress=watch)["tickets"].num_rows == 1_000_000
    assert 0 < peak[0] < 150_000_000


ODD = (
    *(None, "", " ", "﷽😀 中文", "-1", "NaN", "1e309", "2026-02-30 25:61:00", "2026-13-01"),
    *("31/12/2026", "true", "x" * 5000, "'; drop table t; --", "\\", '"', "\t\n\r", "{}", "[1,"),
)


def test_each_of_two_thousand_mangled_rows_is_landed_or_quarantined(
    postgres: Postgres, url: str, place: Place
) -> None:
    chance = random.Random(11)
    names = ("id", "created_at", "updated_at", "n", "score", "flag", "status", "tags")
    run(postgres, f"create table t ({', '.join(f'{name} text' for name in names)})")
    rows = []
    for number in range(2000):
        row: list[str | None] = [
            f"k{number}", "2026-09-02 10:00:00", "2026-09-03T10:00:00Z", "3", "4.5", "yes", "open",
            "a,b",
        ]  # fmt: skip
        for _ in range(chance.randint(0, 3)):
            row[chance.randrange(len(row))] = chance.choice(ODD)
        rows.append(row)
    with postgres.connect("sql_connector") as connection, connection.cursor() as cursor:
        cursor.executemany(f"insert into t values ({', '.join(['%s'] * len(names))})", rows)
    source = desk(
        url, "select * from t",
        columns={
            "source_updated_at": ColumnMapping(source="updated_at"),
            "reopen_count": ColumnMapping(source="n"),
            "csat_score": ColumnMapping(source="score"),
            "is_complaint": ColumnMapping(source="flag"),
            "status": ColumnMapping(source="status"),
            "tags": ColumnMapping(source="tags"),
        },
    )  # fmt: skip
    manifest = place.ingest(source)
    stream = manifest.streams["tickets"]
    assert balances(manifest)
    assert stream.rows_read == 2000
    assert min(stream.landed, stream.quarantined) > 300
    sound = {str(row[0]) for row in rows if row[0] and row[0] not in ODD}
    landed = {key for (key,) in place.rows(manifest, "ticket_id", "tickets")}
    assert landed <= sound | {odd for odd in ODD if odd}
    assert len(place.bad(manifest, "tickets")) >= stream.quarantined


def test_a_new_column_is_reported_and_a_lost_one_refused(
    postgres: Postgres, url: str, place: Place
) -> None:
    tickets(postgres, 3)
    manifest = place.ingest(desk(url, "select *, 1 as brand_new from t"))
    assert "brand_new" in manifest.streams["tickets"].undeclared_fields
    with pytest.raises(SourceChanged, match="'created_at'"):
        place.ingest(desk(url, "select id, n from t"))
    assert [m.streams["tickets"].landed for m in lake.manifests(place.home, MONTH, MONTH)] == [3]
