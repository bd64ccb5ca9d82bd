from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from servers.kamailio import Kamailio
from servers.mariadb import MariaDB
from servers.postgres import Postgres
from unit.connectors.landing_kit import OWNER, Place, balances

from perfhouse.company import Source
from perfhouse.errors import ConfigError, SourceChanged

ZONE = "Asia/Shanghai"
pytestmark = pytest.mark.server  # a fixture asks for either server by name


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, ZONE)


@pytest.fixture(params=["postgres", "mariadb"])
def database(request: pytest.FixtureRequest) -> Any:
    """An empty database of either kind: its address and what runs statements in it."""
    server: Postgres | MariaDB = request.getfixturevalue(request.param)
    url = server.database("ready")

    def run(*statements: str) -> None:
        with server.connect("ready") as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)  # type: ignore[arg-type]

    return url, run


def source(connector: str, url: str, zone: str = ZONE, **options: Any) -> Source:
    return Source(
        "it", connector, OWNER, "0 3 1 * *", True, zone, {"url": url, **options}, ()
    )  # fmt: skip


# ---------------------------------------------------------------- Kamailio


def test_every_call_that_was_made_is_a_row(kamailio: Kamailio, place: Place) -> None:
    manifest = place.ingest(source("kamailio", kamailio.database, "UTC"))
    assert balances(manifest)
    landed = place.rows(
        manifest, "queue_id, agent_id, disposition, raw_disposition, talk_ms", "calls"
    )
    assert Counter((q, a, d) for q, a, d, _, _ in landed) == Counter(
        (c.queue, c.agent if c.answered else None, "answered" if c.answered else "busy")
        for c in kamailio.calls
    )
    assert {r for _, _, d, r, _ in landed if d == "busy"} == {"486 Busy Here"}
    talked = [t for _, _, d, _, t in landed if d == "answered"]
    assert all(100 <= t < 5000 for t in talked)
    assert all(t is None for _, _, d, _, t in landed if d == "busy")
    keys = {k for (k,) in place.rows(manifest, "customer_key", "calls")}
    assert len(keys) == len({c.caller for c in kamailio.calls})
    assert not any(c.caller[-8:] in k for c in kamailio.calls for k in keys)


def test_times_are_those_that_kamailio_wrote(kamailio: Kamailio, place: Place) -> None:
    manifest = place.ingest(source("kamailio", kamailio.database, "UTC"))
    told = place.rows(manifest, "leg_id, epoch_us(started_at), epoch_us(ended_at)", "calls")
    with psycopg.connect(kamailio.database) as connection:
        wrote = connection.execute(
            "select id::text, (extract(epoch from start_time) * 1000000)::int8, "
            "(extract(epoch from end_time) * 1000000)::int8 from acc_cdrs c order by c.id"
        ).fetchall()
    assert sorted(told) == sorted(wrote)


def test_columns_that_the_tables_lack_are_named(kamailio: Kamailio, place: Place) -> None:
    with pytest.raises(SourceChanged, match=r"column c\.who does not exist"):
        place.ingest(source("kamailio", kamailio.database, agent_column="who"))
    with pytest.raises(ConfigError, match="agent_column: expected a name of A-Z"):
        place.ingest(source("kamailio", kamailio.database, agent_column="a; drop table acc"))


def test_a_call_that_the_second_agent_took_is_answered(database: Any, place: Place) -> None:
    url, run = database
    time = "datetime" if url.startswith("mysql") else "timestamp"
    run(
        f"create table acc_cdrs (id int primary key, start_time {time}, end_time {time}, "
        "duration float, callid varchar(64), caller varchar(64), queue varchar(64), "
        "agent varchar(64))",
        "create table missed_calls (id int primary key, callid varchar(64), "
        "sip_code varchar(3), sip_reason varchar(32))",
        "insert into acc_cdrs values "
        "(1, '2026-09-02 10:00:08', '2026-09-02 10:01:08', 60.5, 'a', '139', 'vip', '8002'), "
        "(2, '2026-09-02 11:00:00', '2026-09-02 11:00:00', 0, 'b', '138', 'vip', '8001')",
        "insert into missed_calls values (1, 'a', '486', 'Busy Here'), (2, 'b', '487', 'Gone')",
    )
    manifest = place.ingest(source("kamailio", url))
    assert place.rows(manifest, "agent_id, disposition, raw_disposition, talk_ms", "calls") == [
        ("8002", "answered", "200", 60500),
        (None, "abandoned", "487 Gone", None),
    ]


# ---------------------------------------------------------------- Asterisk

# as made by Asterisk's own migrations (contrib/ast-db-manage: cdr and queue_log)
ASTERISK = (
    "create table cdr (accountcode varchar(80), src varchar(80), dst varchar(80), "
    "dcontext varchar(80), clid varchar(80), channel varchar(80), dstchannel varchar(80), "
    "lastapp varchar(80), lastdata varchar(80), {start} {time}, answer {time}, {end} {time}, "
    "duration int, billsec int, disposition varchar(45), amaflags varchar(45), "
    "userfield varchar(256), uniqueid varchar(150), linkedid varchar(150), "
    "peeraccount varchar(80), sequence int)",
    "create table queue_log (id bigint primary key, time {time}, callid varchar(80), "
    "queuename varchar(256), agent varchar(80), event varchar(32), data1 varchar(100), "
    "data2 varchar(100), data3 varchar(100), data4 varchar(100), data5 varchar(100))",
)
LOG = [
    # answered, hung up by the caller
    ("2026-09-02 10:00:00", "1.1", "support", "NONE", "ENTERQUEUE", "", "13912345678", "1"),
    ("2026-09-02 10:00:12", "1.1", "support", "PJSIP/8001", "RINGNOANSWER", "12000"),
    ("2026-09-02 10:00:20", "1.1", "support", "PJSIP/8002", "CONNECT", "20", "1.3", "4"),
    ("2026-09-02 10:05:20", "1.1", "support", "PJSIP/8002", "COMPLETECALLER", "20", "300", "1"),
    # given up
    ("2026-09-03 09:00:00", "2.1", "billing", "NONE", "ENTERQUEUE", "", "13800000000", "1"),
    ("2026-09-03 09:00:45", "2.1", "billing", "NONE", "ABANDON", "1", "1", "45"),
    # two queues: no agent in the first, then one who passes it on
    ("2026-09-04 11:00:00", "3.1", "vip", "NONE", "ENTERQUEUE", "", "anonymous", "1"),
    ("2026-09-04 11:00:30", "3.1", "vip", "NONE", "EXITWITHTIMEOUT", "1", "1", "30"),
    ("2026-09-04 11:00:30", "3.1", "support", "NONE", "ENTERQUEUE", "", "anonymous", "1"),
    ("2026-09-04 11:00:40", "3.1", "support", "PJSIP/8001", "CONNECT", "10", "3.4", "3"),
    ("2026-09-04 11:02:40", "3.1", "support", "PJSIP/8001", "BLINDTRANSFER", "600", "default",
     "10", "120"),
    # the same queue once more, by an agent who asks a colleague first
    ("2026-09-04 12:00:00", "3.1", "support", "NONE", "ENTERQUEUE", "", "anonymous", "1"),
    ("2026-09-04 12:00:05", "3.1", "support", "PJSIP/8002", "CONNECT", "5", "3.9", "2"),
    ("2026-09-04 12:01:35", "3.1", "support", "PJSIP/8002", "ATTENDEDTRANSFER", "BRIDGE"),
    # over the edges of the month
    ("2026-08-31 23:59:30", "4.1", "support", "NONE", "ENTERQUEUE", "", "1", "1"),
    ("2026-09-01 00:00:00", "4.1", "support", "NONE", "ABANDON", "1", "1", "30"),
    ("2026-09-30 23:59:50", "5.1", "support", "NONE", "ENTERQUEUE", "", "1", "1"),
    ("2026-10-01 00:00:00", "5.1", "support", "NONE", "ABANDON", "1", "1", "10"),
    ("2026-09-05 08:00:00", "NONE", "NONE", "NONE", "CONFIGRELOAD"),
]  # fmt: skip
CDR = [
    # the queued call, its agent's leg, and calls without a queue
    ("13912345678", "500", "from-trunk", "PJSIP/trunk-00000001", "PJSIP/8002-00000003", "Queue",
     "2026-09-02 10:00:00", "2026-09-02 10:00:20", "2026-09-02 10:05:20", 320, 300, "ANSWERED",
     "1.1", "1.0", 1),
    ("8002", "13700000000", "from-internal", "PJSIP/8002-0000002a", "PJSIP/trunk-0000002b", "Dial",
     "2026-09-06 10:00:00", "2026-09-06 10:00:07", "2026-09-06 10:01:07", 67, 60, "ANSWERED",
     "7.1", "7.1", 2),
    ("13600000000", "8001", "from-trunk", "PJSIP/trunk-0000003a", "PJSIP/8001-0000003b", "Dial",
     "2026-09-07 10:00:00", None, "2026-09-07 10:00:25", 25, 0, "NO ANSWER", "8.1", "8.1", 3),
    # a queue's own call to a member; who hung up before any application ran
    ("13912345678", "8002", "default", "Local/8002@default-00000001;1", "PJSIP/8002-00000003",
     "AppQueue", "2026-09-02 10:00:16", "2026-09-02 10:00:20", "2026-09-02 10:05:20", 304, 300,
     "ANSWERED", "1.2", "1.0", 4),
    ("13600000001", "500", "from-trunk", "PJSIP/trunk-0000004a", None, None,
     "2026-09-07 11:00:00", None, "2026-09-07 11:00:03", 3, 0, "NO ANSWER", "9.1", "9.1", 5),
]  # fmt: skip


def pbx(database: Any) -> str:
    url, run = database
    mysql = url.startswith("mysql")
    words = {"time": "datetime" if mysql else "timestamp", "start": "start", "end": "`end`"}
    words.update({} if mysql else {"end": '"end"'})
    run(*(text.format(**words) for text in ASTERISK))
    for number, row in enumerate(LOG, start=1):
        filled = [f"'{value}'" for value in row] + ["null"] * (10 - len(row))
        run(f"insert into queue_log values ({number}, {', '.join(filled)})")
    columns = f"src, dst, dcontext, channel, dstchannel, lastapp, start, answer, {words['end']}"
    columns += ", duration, billsec, disposition, uniqueid, linkedid, sequence"
    for call in CDR:
        filled = ["null" if value is None else f"'{value}'" for value in call]
        run(f"insert into cdr ({columns}) values ({', '.join(filled)})")
    return str(url)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


def test_queue_visits_and_calls_without_a_queue_are_legs(database: Any, place: Place) -> None:
    manifest = place.ingest(source("asterisk", pbx(database)))
    assert balances(manifest)
    assert manifest.streams["calls"].quarantined == 0
    legs = {
        row[0]: row[1:]
        for row in place.rows(
            manifest,
            "leg_id, interaction_id, direction, queue_id, agent_id, disposition, wait_ms, ring_ms, "
            "talk_ms, transfer_type, transferred_to, hangup_party",
            "calls",
        )
    }
    assert legs == {
        "q4": ("1.0", "inbound", "support", "PJSIP/8002", "answered", 20000, 4000, 300000, "none",
               None, "customer"),
        "q6": ("2.1", "inbound", "billing", None, "abandoned", 45000, None, None, "none", None,
               "customer"),
        "q8": ("3.1", "inbound", "vip", None, "no_answer", 30000, None, None, "none", None,
               "system"),
        "q11": ("3.1", "inbound", "support", "PJSIP/8001", "answered", 10000, 3000, 120000,
                "blind", "600", None),
        "q14": ("3.1", "inbound", "support", "PJSIP/8002", "answered", 5000, 2000, 90000,
                "attended", None, None),
        "q16": ("4.1", "inbound", "support", None, "abandoned", 30000, None, None, "none", None,
                "customer"),
        "7.1-2": ("7.1", "outbound", None, "PJSIP/8002", "answered", None, 7000, 60000, "none",
                  None, None),
        "8.1-3": ("8.1", "inbound", None, None, "no_answer", None, 25000, None, "none", None,
                  None),
        "9.1-5": ("9.1", "inbound", None, None, "no_answer", None, 3000, None, "none", None,
                  None),
    }  # fmt: skip
    times = {
        row[0]: row[1:]
        for row in place.rows(
            manifest, "leg_id, started_at, queued_at, answered_at, ended_at", "calls"
        )
    }
    assert times["q4"] == tuple(
        at(f"2026-09-02 {t}") for t in ("10:00:00", "10:00:00", "10:00:20", "10:05:20")
    )
    passed = dict(place.rows(manifest, "leg_id, transferred_from_leg", "calls"))
    assert {leg: before for leg, before in passed.items() if before} == {"q14": "q11"}
    assert times["q14"][2] == at("2026-09-04 12:00:05")
    assert times["q16"][0] == at("2026-08-31 23:59:30")


def test_callers_are_hashes_of_their_numbers(database: Any, place: Place) -> None:
    manifest = place.ingest(source("asterisk", pbx(database)))
    keys = [k for (k,) in place.rows(manifest, "customer_key", "calls")]
    assert all(len(k) == 64 for k in keys)


# ---------------------------------------------------------------- Moodle

# the columns in use, as lib/db/install.xml declares them
MOODLE = (
    "create table {p}user (id bigint primary key, username varchar(100), idnumber varchar(255), "
    "email varchar(100), deleted smallint, suspended smallint, timemodified bigint)",
    "create table {p}course (id bigint primary key, fullname varchar(254), shortname varchar(255))",
    "create table {p}enrol (id bigint primary key, enrol varchar(20), courseid bigint)",
    "create table {p}user_enrolments (id bigint primary key, status bigint, enrolid bigint, "
    "userid bigint, timestart bigint, timeend bigint, timecreated bigint, timemodified bigint)",
    "create table {p}course_completions (id bigint primary key, userid bigint, course bigint, "
    "timeenrolled bigint, timestarted bigint, timecompleted bigint, reaggregate bigint)",
    "create table {p}grade_items (id bigint primary key, courseid bigint, itemtype varchar(30), "
    "grademax numeric(10,5), gradepass numeric(10,5))",
    "create table {p}grade_grades (id bigint primary key, itemid bigint, userid bigint, "
    "finalgrade numeric(10,5), timemodified bigint)",
    "create table {p}badge (id bigint primary key, name varchar(255), courseid bigint)",
    "create table {p}badge_issued (id bigint primary key, badgeid bigint, userid bigint, "
    "uniquehash varchar(40), dateissued bigint, dateexpire bigint)",
)
SEP = 1788192000  # 1 September 2026, 00:00 in Shanghai
OCT = 1790784000
OLD = SEP - 90 * 86400


def school(database: Any, prefix: str = "mdl_") -> str:
    url, run = database
    run(*(text.format(p=prefix) for text in MOODLE))
    rows = {
        "user": [
            "(1, 'guest', '', 'root@localhost', 0, 0, 0)",
            "(2, 'zhang.wei', 'E001', 'Zhang.Wei@corp.example', 0, 0, 100)",
            "(3, 'li.na@corp.example', '', 'li.na@corp.example', 0, 1, 100)",
            "(4, 'old@corp.example.1700000000', 'E003', 'd41d8cd98f00b204', 1, 0, 100)",
        ],
        "course": ["(10, '投诉处理', 'complaints')", "(11, 'Product', 'product')"],
        "enrol": ["(20, 'manual', 10)", "(21, 'cohort', 10)", "(22, 'manual', 11)"],
        "user_enrolments": [
            # enrolled twice in one course, completed and graded this month
            f"(1, 0, 20, 2, 0, 0, {OLD}, {OLD})",
            f"(2, 0, 21, 2, {OLD - 50}, {OCT - 1}, {OLD}, {OLD})",
            # due this month, begun long ago
            f"(3, 0, 22, 2, {OLD}, {SEP}, {OLD}, {OLD})",
            # suspended this month, but not everywhere; and suspended altogether
            f"(4, 1, 20, 3, {OLD}, 0, {OLD}, {SEP + 5})",
            f"(9, 1, 20, 5, {OLD}, 0, {OLD}, {SEP + 6})",
            # assigned in the month's last second, and in the next month's first
            f"(5, 0, 22, 3, 0, 0, {OCT - 1}, {OCT - 1})",
            f"(6, 0, 22, 4, 0, 0, {OCT}, {OCT})",
            # nothing happened
            f"(7, 0, 20, 4, {OLD}, {OLD + 9}, {OLD}, {OLD})",
            # no end, as the table's own default writes it
            f"(8, 0, 21, 3, {OLD}, 2147483647, {OLD}, {OLD})",
        ],
        "course_completions": [
            f"(1, 2, 10, {OLD}, {OLD + 1}, {SEP + 100}, 0)",
            f"(2, 2, 11, {OLD}, {OLD + 2}, null, 0)",
        ],
        "grade_items": ["(30, 10, 'course', 100, 60)", "(31, 10, 'mod', 10, 0)"],
        "grade_grades": [f"(1, 30, 2, 85.5, {SEP + 90})", f"(2, 31, 2, 9, {SEP + 90})"],
        "badge": ["(40, 'Coach', null)"],
        "badge_issued": [
            f"(1, 40, 2, 'abc', {SEP}, {OCT})", f"(2, 40, 3, 'def', {OCT}, null)",
        ],
    }  # fmt: skip
    for table, values in rows.items():
        run(f"insert into {prefix}{table} values {', '.join(values)}")
    return str(url)


def test_enrolments_completions_grades_and_badges_are_training_records(
    database: Any, place: Place
) -> None:
    manifest = place.ingest(source("moodle", school(database)))
    assert balances(manifest)
    assert {s.quarantined for s in manifest.streams.values()} == {0}
    landed = place.rows(
        manifest,
        "record_id, learner_id, course_id, course_type, status, epoch(assigned_at)::bigint, "
        "epoch(due_at)::bigint, epoch(completed_at)::bigint, cast(score as double), passed, "
        "cert_id, epoch(source_updated_at)::bigint",
        "training_records",
    )
    assert sorted(landed, key=lambda row: row[0]) == [
        ("2-10", "2", "10", "course", "completed", OLD - 50, OCT - 1, SEP + 100, 85.5, True, None,
         SEP + 100),
        ("2-11", "2", "11", "course", "in_progress", OLD, SEP, None, None, None, None, OLD + 2),
        ("3-10", "3", "10", "course", "assigned", OLD, None, None, None, None, None, SEP + 5),
        ("3-11", "3", "11", "course", "assigned", OCT - 1, None, None, None, None, None, OCT - 1),
        ("5-10", "5", "10", "course", "withdrawn", OLD, None, None, None, None, None, SEP + 6),
        ("badge-1", "2", "badge-40", "certification", "completed", SEP, None, SEP, None, None,
         "abc", SEP),
    ]  # fmt: skip


def test_accounts_are_told_by_employee_number_and_hash(database: Any, place: Place) -> None:
    manifest = place.ingest(source("moodle", school(database, "m2_"), prefix="m2_"))
    accounts = place.rows(
        manifest,
        "source_user_id, employee_no, login, is_active, length(email_hash)",
        "source_users",
    )
    assert accounts == [
        ("2", "E001", "zhang.wei", True, 64),
        ("3", None, None, False, 64),
        ("4", "E003", None, False, None),
    ]


def test_a_prefix_is_a_name_and_nothing_else(postgres: Postgres, place: Place) -> None:
    with pytest.raises(ConfigError, match="prefix: expected a name of A-Z"):
        place.ingest(source("moodle", postgres.url(), prefix="mdl_; drop table x"))
