from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import servers.mariadb
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from servers import process
from servers.mariadb import MariaDB
from servers.process import free_port
from sql_kit import MONTH, Place, desk, extract, one
from unit.connectors.landing_kit import company

from connectors import landing
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
create table every_type (
    id bigint, t1 tinyint(1), t8 tinyint, u tinyint unsigned, ub bigint unsigned, mi mediumint,
    f float, db double, de decimal(20,4), de2 decimal(60,20), vc varchar(20), tx text, ch char(5),
    bl blob, vb varbinary(10), d date, tm time, dt datetime, dt6 datetime(6), ts timestamp null,
    y year, j json, e enum('a','b'), s set('a','b'), bt bit(3), uu uuid
)
"""
ROW = """
insert into every_type values (
    -9223372036854775808, 1, -5, 200, 18446744073709551615, 7, 1.5, 0.1, 1.1000,
    12345678901234567890.12345678901234567890, '中文 😀', 'text', 'c', 'blob', x'01ff',
    '2026-09-01', '-100:00:01', '2026-09-01 01:02:03', '2026-09-01 01:02:03.456789',
    '2026-09-01 01:02:03', 2026, '{"a":1}', 'a', 'a,b', b'101',
    '123e4567-e89b-12d3-a456-426614174000'
)
"""
KNOWN: dict[str, Any] = {
    "id": -(2**63), "t1": 1, "t8": -5, "u": 200, "ub": 2**64 - 1, "mi": 7, "f": 1.5, "db": 0.1,
    "de": "1.1000", "de2": "12345678901234567890.12345678901234567890", "vc": "中文 😀",
    "tx": "text", "ch": "c", "bl": b"blob".hex(), "vb": "01ff", "d": date(2026, 9, 1),
    "tm": "-100:00:01", "dt": datetime(2026, 9, 1, 1, 2, 3),  # noqa: DTZ001
    "dt6": datetime(2026, 9, 1, 1, 2, 3, 456789),  # noqa: DTZ001
    "ts": datetime(2026, 9, 1, 1, 2, 3, tzinfo=UTC), "y": 2026, "j": '{"a":1}', "e": "a",
    "s": "a,b", "bt": "5", "uu": "123e4567-e89b-12d3-a456-426614174000",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def url(mariadb: MariaDB) -> str:
    return mariadb.database("sql_connector")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MariaDB, Path]]:
    """A MariaDB with a certificate for 127.0.0.1, and the file of who signed it."""
    daemon = process.program("mariadbd", package="mariadb-server-core")
    install = process.program("mariadb-install-db", package="mariadb-server-core")
    user = process.account("mysql")
    server = MariaDB("127.0.0.1", process.free_port(), "owner", "se-cr@t")
    with process.folder("tls", user) as folder:
        certify(folder, user)
        servers.mariadb._make_folder(install, folder, user)
        first = folder / "first.sql"
        first.write_text(
            f"create user 'owner'@'127.0.0.1' identified by '{server.password}' require ssl;\n"
            "create database sealed;\ngrant all on *.* to 'owner'@'127.0.0.1';\n"
        )
        process.own(first, user)
        command = [daemon, "--no-defaults", f"--datadir={folder / 'data'}"]
        command += [f"--port={server.port}", f"--socket={folder / 's'}", "--skip-name-resolve"]
        command += ["--bind-address=127.0.0.1", f"--init-file={first}"]
        command += [f"--ssl-{kind}={folder / kind}" for kind in ("ca", "cert", "key")]
        with process.start(
            "mariadb-tls", command, ready=lambda: bool(servers.mariadb._version(server)),
            log=folder / "log", user=user,
        ):  # fmt: skip
            yield server, folder / "ca"


def certify(folder: Path, user: str | None) -> None:
    """Make a signer and a certificate of it for 127.0.0.1, good for the tests' day."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("ca", "db")]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in names]
    host = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    until = datetime.now(UTC) + timedelta(days=2)
    for name, key, kind in zip(names, keys, ("ca", "cert"), strict=True):
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(names[0])
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(until - timedelta(days=4)).not_valid_after(until)
            .add_extension(x509.BasicConstraints(kind == "ca", None), critical=True)
        )  # fmt: skip
        if kind == "cert":
            made = made.add_extension(host, critical=False)
        signed = made.sign(keys[0], hashes.SHA256())
        (folder / kind).write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = keys[1].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "key").write_bytes(private)
    for kind in ("ca", "cert", "key"):
        process.own(folder / kind, user)


@pytest.mark.server
def test_rows_come_through_tls_by_every_mode(sealed: tuple[MariaDB, Path], tmp_path: Path) -> None:
    server, ca = sealed
    url = server.url("sealed").replace("se-cr@t", "se-cr%40t")
    for option in ("", "?ssl-mode=REQUIRED", f"?ssl-mode=VERIFY_CA&ssl-ca={ca}",
                   f"?ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}"):  # fmt: skip
        query = "select 1 as id, variable_value as cipher from information_schema.session_status"
        source = desk(url + option, f"{query} where variable_name = 'SSL_CIPHER'")
        assert one(source, tmp_path).column("cipher").to_pylist()[0].startswith("TLS_")
    other = tmp_path / "other"
    other.mkdir()
    certify(other, None)
    for option in (
        "?ssl-mode=DISABLED", f"?ssl-mode=VERIFY_CA&ssl-ca={other / 'ca'}", "?ssl-mode=maybe",
    ):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            one(desk(url + option, "select 1 as id"), tmp_path)
        assert "se-cr" not in str(caught.value)


def run(mariadb: MariaDB, *statements: str) -> None:
    with mariadb.connect("sql_connector") as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def tickets(mariadb: MariaDB, rows: int) -> None:
    run(
        mariadb,
        "create table t (id bigint primary key, created_at datetime, n int, ref varchar(20))",
        "insert into t select seq, date_add('2026-09-01', interval seq % 2592000 second), "
        f"seq % 7, concat('T-', seq) from seq_1_to_{rows}",
    )


def test_every_type_arrives_as_an_independent_reader_sees_it(
    mariadb: MariaDB, url: str, tmp_path: Path
) -> None:
    run(mariadb, "set time_zone = '+00:00'", EVERY, ROW, "insert into every_type (id) values (1)")
    table = one(desk(url, "select * from every_type"), tmp_path)
    full, empty = table.to_pylist()
    assert full == KNOWN
    assert empty == {**dict.fromkeys(KNOWN), "id": 1}
    assert table.schema.field("ts").type == pa.timestamp("us", "UTC")
    assert table.schema.field("dt").type == pa.timestamp("us")
    assert table.schema.field("ub").type == pa.uint64()


def test_a_zero_date_is_none_and_half_a_date_is_no_date(
    mariadb: MariaDB, url: str, place: Place
) -> None:
    run(
        mariadb,
        "set sql_mode = ''",
        "create table t (id int, created_at datetime, closed date, due timestamp null)",
        "insert into t values (1, '2026-09-01', '0000-00-00', '0000-00-00 00:00:00'), "
        "(2, '2026-09-01', '2026-00-15', null), (3, '0000-00-00 00:00:00', null, null)",
    )
    source = desk(
        url, "select * from t",
        columns={
            "closed_at": ColumnMapping(sql='cast("closed" as timestamp)'),
            "due_at": ColumnMapping(source="due"),
        },
    )  # fmt: skip
    manifest = place.ingest(source)
    assert place.rows(manifest, "ticket_id, closed_at, due_at", "tickets") == [("1", None, None)]
    faults = [(field, reason[:15]) for _, field, reason, _ in place.bad(manifest, "tickets")]
    assert faults == [("closed_at", "expected a time"), ("created_at", "missing")]


def test_random_values_of_all_kinds_land_equal_to_what_was_stored(
    mariadb: MariaDB, url: str, place: Place
) -> None:
    chance = random.Random(7)
    letters = "aä中😀'\"\\;:%\t \u3000\u200b"
    run(
        mariadb,
        "create table t (id varchar(20), created_at datetime(6), n bigint, "
        "score decimal(9,4), name varchar(40), flag tinyint(1))",
    )
    rows = []
    for number in range(2000):
        naive = datetime(2026, 9, 1) + timedelta(microseconds=chance.randrange(30 * 86400 * 10**6))  # noqa: DTZ001
        rows.append((
            f"k{number:05d}", naive,
            chance.choice((None, 0, 2**63 - 1, chance.randrange(10**9))),
            chance.choice((None, Decimal(chance.randrange(10**9)) / 10000)),
            chance.choice((None, "".join(chance.choices(letters, k=12)) + "x")),
            chance.choice((None, True, False)),
        ))  # fmt: skip
    with mariadb.connect("sql_connector") as connection, connection.cursor() as cursor:
        cursor.executemany("insert into t values (%s, %s, %s, %s, %s, %s)", rows)
    source = desk(
        url, "select * from t",
        columns={
            "source_updated_at": ColumnMapping(source="created_at"),
            "reopen_count": ColumnMapping(source="n"),
            "csat_score": ColumnMapping(source="score"),
            "category": ColumnMapping(source="name"),
            "is_complaint": ColumnMapping(source="flag"),
        },
    )  # fmt: skip
    manifest = place.ingest(replace(source, time_zone="Asia/Shanghai"))
    assert manifest.streams["tickets"].quarantined == 0
    landed = place.rows(
        manifest,
        "ticket_id, epoch_us(created_at), reopen_count, csat_score, category, is_complaint",
        "tickets",
    )
    assert landed == [
        (k, micros(at) - 8 * 3600 * 10**6, n, score, name, flag)
        for k, at, n, score, name, flag in rows
    ]


def micros(at: datetime) -> int:
    return (at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("kind", "bounds"),
    [("datetime", (":start", ":end")), ("timestamp", (":start_utc", ":end_utc"))],
)
def test_the_window_is_half_open_in_the_columns_own_zone(
    mariadb: MariaDB, url: str, tmp_path: Path, kind: str, bounds: tuple[str, str]
) -> None:
    run(
        mariadb,
        "set time_zone = '+08:00'",
        f"create table t (id int, at {kind}(6) null)",
        "insert into t values (0, '2026-08-31 23:59:59.999999'), (1, '2026-09-01 00:00:00'), "
        "(2, '2026-09-30 23:59:59.999999'), (3, '2026-10-01 00:00:00')",
    )
    query = f"select * from t where at >= {bounds[0]} and at < {bounds[1]}"
    source = desk(url, query, source={"time_zone": "Asia/Shanghai"})
    assert one(source, tmp_path, zone="Asia/Shanghai").column("id").to_pylist() == [1, 2]


def test_epochs_and_the_month_are_literals(mariadb: MariaDB, url: str, tmp_path: Path) -> None:
    query = "select 1 as id, :start_epoch as a, :month as d, :start as s, ':end' as e"
    assert one(desk(url, query), tmp_path).to_pylist() == [
        {"id": 1, "a": 1788220800, "d": "2026-09", "s": datetime(2026, 9, 1), "e": ":end"}  # noqa: DTZ001
    ]


def test_the_same_rows_change_nothing_in_whatever_order_they_lie(
    mariadb: MariaDB, url: str, tmp_path: Path
) -> None:
    run(
        mariadb,
        "create table t (id varchar(10), n int, v varchar(5), created_at datetime)",
        "insert into t select concat(if(seq % 2, 'ä', 'A'), seq % 50), seq, seq % 3, '2026-09-02' "
        "from seq_1_to_3000",
    )
    place = Place(tmp_path)
    source = desk(url, "select * from t", columns={"category": ColumnMapping(source="v")})
    first = place.ingest(source)
    run(mariadb, "create table o as select * from t order by md5(n)", "drop table t",
        "rename table o to t")  # fmt: skip
    again = place.ingest(source)
    assert again.unchanged
    assert again == first
    run(mariadb, "update t set v = 'other' where n = 7")
    assert not place.ingest(source).unchanged


def test_a_session_cannot_write_even_through_a_function(
    mariadb: MariaDB, url: str, tmp_path: Path
) -> None:
    tickets(mariadb, 1)
    run(
        mariadb,
        "create function sneak() returns int modifies sql data "
        "begin update t set n = 9; return 1; end",
    )
    with pytest.raises(SourceChanged, match="1792"):
        one(desk(url, "select sneak() as id"), tmp_path)
    with mariadb.connect("sql_connector") as connection, connection.cursor() as cursor:
        cursor.execute("select n from t")
        assert cursor.fetchall() == ((1,),)


def test_a_slow_query_is_stopped_and_tried_again_later(
    mariadb: MariaDB, url: str, tmp_path: Path
) -> None:
    tickets(mariadb, 20_000)
    query = "select a.id, count(*) as n from t a join t b on a.n <> b.n group by a.id"
    source = desk(url, query, source={"statement_timeout": "1s"})
    with pytest.raises(TransientError, match="statement_timeout"):
        one(source, tmp_path)


def test_a_lost_connection_lands_nothing_and_the_next_run_everything(
    mariadb: MariaDB, url: str, place: Place
) -> None:
    tickets(mariadb, 1_000_000)
    source = desk(url, "select t.*, repeat('x', 200) as pad from t")
    cut: list[str] = []

    def kill(_: str) -> None:
        with mariadb.connect() as connection, connection.cursor() as cursor:
            cursor.execute("show processlist")
            for row in cursor.fetchall():
                if row[3] == "sql_connector" and row[4] != "Sleep":
                    cursor.execute(f"kill {row[0]}")
                    cut.append(str(row[7]))

    with pytest.raises(TransientError, match=r"mysql://127.0.0.1/sql_connector was lost"):
        landing.ingest(source, company("UTC", source), MONTH, place.data, place.home, kill)
    assert cut
    assert lake.manifests(place.home, MONTH, MONTH) == []
    assert not list(place.home.tmp.rglob("*.parquet*"))
    assert place.ingest(source).streams["tickets"].landed == 1_000_000


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("select gone from t", "1054: unknown column gone"),
        ("select * from nowhere", "1142: no permission to read .*nowhere"),
        ("select * from hidden", "1142: no permission to read .*hidden"),
        ("select id, 1/ from t", "1064: syntax"),
        ("select id, n as id from t", "1060: two columns named id"),
    ],
)
def test_a_refused_query_names_the_column_or_table_and_no_login(
    mariadb: MariaDB, url: str, tmp_path: Path, query: str, told: str
) -> None:
    tickets(mariadb, 1)
    run(
        mariadb,
        "create table hidden (id int)",
        "create or replace user 'reader'@'127.0.0.1' identified by 'hunter2'",
        "grant select on sql_connector.t to 'reader'@'127.0.0.1'",
    )
    own = url.replace(f"{mariadb.user}:{mariadb.password}", "reader:hunter2")
    with pytest.raises(SourceChanged, match=told) as caught:
        one(desk(own, query), tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "reader" not in str(caught.value)


def test_a_wrong_login_is_the_operators_and_an_absent_server_is_waited_for(
    mariadb: MariaDB, url: str, tmp_path: Path
) -> None:
    wrong = url.replace(mariadb.password, "hunter2")
    absent = url.replace(f":{mariadb.port}/", f":{free_port()}/")
    option = f"{url}?password=hunter2"
    for bad, kind in ((wrong, ConfigError), (absent, TransientError), (option, ConfigError)):
        with pytest.raises(PerfhouseError) as caught:
            one(desk(bad, "select 1 as id"), tmp_path)
        assert isinstance(caught.value, kind)
        assert "hunter2" not in str(caught.value)
        assert mariadb.password not in str(caught.value)


@pytest.mark.parametrize(
    ("last", "complete"),
    [
        ("cast('2026-10-01 08:00:00' as datetime)", True),
        ("cast('2026-10-01 07:59:59' as datetime)", False),
        ("(select max(ts) from w)", True),
        ("unix_timestamp('2026-09-30 23:59:59')", False),
        ("null", False),
    ],
)
def test_a_month_is_waited_for_until_the_sources_own_watermark_has_passed_it(
    mariadb: MariaDB, url: str, tmp_path: Path, last: str, complete: bool
) -> None:
    run(
        mariadb,
        "set time_zone = '+00:00'",
        "create table w (ts timestamp null)",
        "insert into w values ('2026-10-01 00:00:00')",
    )
    given = {"watermark": f"select {last}", "time_zone": "Asia/Shanghai"}
    source = desk(url, "select 1 as id", source=given)
    if complete:
        assert one(source, tmp_path).num_rows == 1
        return
    with pytest.raises(SourceMissing, match="month ends at 2026-10-01 00:00:00 UTC"):
        one(source, tmp_path)


def test_without_a_watermark_a_month_is_waited_for_by_the_databases_own_clock(
    mariadb: MariaDB, url: str, tmp_path: Path
) -> None:
    source = desk(url, "select 1 as id", source={"time_zone": "Asia/Shanghai"})
    with pytest.raises(SourceMissing, match=r"clock says 20\d\d-.* month ends at 3000-01-01"):
        extract(source, tmp_path, month=Month("2999-12"))


def test_a_control_total_that_differs_is_a_torn_read(
    mariadb: MariaDB, url: str, tmp_path: Path
) -> None:
    tickets(mariadb, 10)
    assert one(desk(url, "select * from t", control="select 10"), tmp_path).num_rows == 10
    with pytest.raises(TransientError, match="10 rows were read, control counts 11"):
        one(desk(url, "select * from t", control="select 11"), tmp_path)


def test_an_empty_answer_keeps_its_columns(mariadb: MariaDB, url: str, tmp_path: Path) -> None:
    tickets(mariadb, 1)
    table = one(desk(url, "select * from t where id < 0"), tmp_path)
    assert (table.num_rows, table.column_names) == (0, ["id", "created_at", "n", "ref"])


def test_a_large_answer_keeps_memory_bounded(mariadb: MariaDB, url: str, tmp_path: Path) -> None:
    tickets(mariadb, 1_000_000)
    source = desk(url, "select t.*, concat(md5(id), md5(ref)) as pad from t")
    before = pa.total_allocated_bytes()
    peak = [0]

    def watch(_: str) -> None:
        peak[0] = max(peak[0], pa.total_allocated_bytes() - before)

    assert extract(source, tmp_path, progress=watch)["tickets"].num_rows == 1_000_000
    assert peak[0] < 150_000_000
