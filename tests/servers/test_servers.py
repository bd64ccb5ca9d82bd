"""Every test server starts, answers and holds what its fixture says it was seeded with."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import astuple, replace
from datetime import date, datetime
from typing import Any

import asyncssh
import ldap3
import psycopg
import pymysql
import pytest

from servers import process
from servers.kamailio import Kamailio
from servers.mariadb import MariaDB
from servers.moto import S3
from servers.postgres import Postgres
from servers.prism import Mock
from servers.prometheus import MONITORING, Prometheus
from servers.ralph import Lrs
from servers.rt import RequestTracker
from servers.scim import ENTERPRISE, Scim
from servers.slapd import Ldap
from servers.sshd import Sftp

pytestmark = pytest.mark.server


def test_postgresql_makes_databases_and_checks_passwords(postgres: Postgres) -> None:
    with psycopg.connect(postgres.database("fixture")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url("fixture").replace(postgres.password, "wrong"))


def test_mariadb_makes_databases_for_every_script_and_checks_passwords(mariadb: MariaDB) -> None:
    mariadb.database("fixture")
    with mariadb.connect("fixture") as connection, connection.cursor() as cursor:
        cursor.execute("create table t (v varchar(20))")
        cursor.execute("insert into t values ('满意😀')")
        cursor.execute("select v from t")
        assert cursor.fetchall() == (("满意😀",),)
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        pymysql.connect(host=mariadb.host, port=mariadb.port, user=mariadb.user, password="wrong")


def test_s3_keeps_what_is_written(moto: S3) -> None:
    files = moto.files()
    files.pipe(f"{moto.bucket('fixture')}/a/b.json", b"{}")
    assert files.cat("fixture/a/b.json") == b"{}"
    assert moto.bucket("fixture") == "fixture"
    assert files.find("fixture") == []


def test_sftp_serves_its_folder_to_the_one_key(sshd: Sftp) -> None:
    async def read() -> bytes:
        async with (
            asyncssh.connect(
                sshd.host, sshd.port, username=sshd.user, client_keys=[str(sshd.client_key)],
                known_hosts=str(sshd.known_hosts),
            ) as connection,
            connection.start_sftp_client() as client,
            client.open(str(sshd.root / "a.csv"), "rb") as file,
        ):  # fmt: skip
            return bytes(await file.read())

    (sshd.root / "a.csv").write_bytes(b"x\n1\n")
    assert asyncio.run(read()) == b"x\n1\n"
    (sshd.root / "a.csv").unlink()
    assert sshd.fingerprint.startswith("SHA256:")


TICKETS = """
    select t.id, q.name, t.status, u.name, t.created,
           -- RT sets it for every inactive status
           case when t.status = 'resolved' then t.resolved else timestamp '1970-01-01' end,
           t.lastupdated,
           case when t.effectiveid <> t.id then t.effectiveid end
    from tickets t join queues q on q.id = t.queue join users u on u.id = t.owner
    where t.type = 'ticket' order by t.id
"""
EVENTS = """
    select objectid,
           count(*) filter (where x.type = 'Correspond' and u.emailaddress like '%@corp.example'),
           count(*) filter (where x.type = 'Status' and oldvalue = 'resolved')
    from transactions x join users u on u.id = x.creator
    where objecttype = 'RT::Ticket' group by objectid order by objectid
"""


def _told(text: str | None) -> datetime:
    return datetime.strptime(text or "1970-01-01T00:00:00Z", "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007


def test_request_tracker_holds_the_tickets_it_was_seeded_with(rt: RequestTracker) -> None:
    with psycopg.connect(rt.database) as connection:
        rows = connection.execute(TICKETS).fetchall()
        events = connection.execute(EVENTS).fetchall()
    # Other tests make tickets and change some: judge those that are as they were.
    seeded = max(_told(ticket.last_updated) for ticket in rt.tickets)
    touched = {row[0] for row in rows if row[6] > seeded}
    told = {ticket.id: ticket for ticket in rt.tickets if ticket.id not in touched}
    assert [row for row in rows if row[0] in told] == [
        (
            t.id, t.queue, t.status, t.owner or "Nobody", _told(t.created), _told(t.resolved),
            _told(t.last_updated), t.merged_into,
        )
        for t in told.values()
    ]  # fmt: skip
    assert [event for event in events if event[0] in told] == [
        (t.id, t.replies, t.reopened) for t in told.values()
    ]
    assert len(rt.tickets) == 66
    assert len(told) > 50


def test_scim_holds_its_people(scim: Scim) -> None:
    page = scim.call("GET", "/Users?startIndex=1&count=100&sortBy=meta.created")
    assert page["totalResults"] == len(scim.people) == 250
    assert len(page["Resources"]) == 100
    someone = scim.call("GET", f"/Users/{scim.ids['E00100']}")[ENTERPRISE]
    assert someone["manager"]["value"] == scim.ids["E00013"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        replace(scim, token="wrong").call("GET", "/Users")


def test_ldap_holds_its_people_and_cuts_off_who_has_no_limit_of_their_own(slapd: Ldap) -> None:
    found = {}
    for who in (slapd.reader, slapd.limited):
        with ldap3.Connection(slapd.url, who, slapd.password) as connection:
            connection.search(slapd.base, "(objectClass=inetOrgPerson)", attributes=["manager"])
            found[who] = (len(connection.entries), connection.result["description"])
    assert found[slapd.reader] == (len(slapd.people), "success") == (5000, "success")
    assert found[slapd.limited] == (500, "sizeLimitExceeded")


def test_the_learning_record_store_holds_its_statements(ralph: Lrs) -> None:
    seen: list[str] = []
    path = "/xAPI/statements?ascending=true&limit=500"
    while path and len(seen) <= len(ralph.statements):
        request = urllib.request.Request(
            ralph.url.removesuffix("/xAPI") + path, headers={"Authorization": ralph.authorization}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            page = json.loads(answer.read())
        assert len(page["statements"]) <= 100
        seen += [s["id"] for s in page["statements"]]
        path = page.get("more")
    assert sorted(seen) == sorted(s["id"] for s in ralph.statements)


def _asked(url: str, body: Any = None, login: str = "Bearer x") -> tuple[int, Any]:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode() if body else None,
        headers={"Authorization": login, "Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def test_the_mock_of_twilio_answers_its_example_and_refuses_what_the_document_forbids(
    prism: Callable[..., Mock],
) -> None:
    calls = f"{prism('twilio').url}/2010-04-01/Accounts/AC{'0' * 32}/Calls.json"
    basic = "Basic QUM6dG9rZW4="
    status, page = _asked(f"{calls}?PageSize=1000", login=basic)
    assert status == 200
    assert {"sid", "start_time", "status"} <= page["calls"][0].keys()
    assert _asked(f"{calls}?PageSize=1001", login=basic)[0] == 422
    assert _asked(calls.replace("AC", "XX"), login=basic)[0] == 422
    assert _asked(calls)[0] == 401


def test_the_mock_of_genesys_knows_the_fields_of_its_sdk(prism: Callable[..., Mock]) -> None:
    jobs = f"{prism('genesys').url}/api/v2/analytics/conversations/details/jobs"
    interval = "2026-08-31T16:00:00Z/2026-09-30T16:00:00Z"
    status, job = _asked(jobs, {"interval": interval, "order": "asc"})
    assert (status, list(job)) == (202, ["jobId"])
    assert _asked(jobs, {"order": "asc"})[0] == 422
    assert _asked(jobs, {"interval": interval, "pageSize": 10})[0] == 422
    status, page = _asked(f"{jobs}/1/results?pageSize=1000")
    assert status == 200
    assert page["conversations"][0]["participants"][0]["sessions"][0]["metrics"]
    assert "dataAvailabilityDate" in _asked(f"{jobs}/availability")[1]


def test_kamailio_wrote_a_row_for_every_call_that_was_made(kamailio: Kamailio) -> None:
    with psycopg.connect(kamailio.database) as connection:
        written = connection.execute(
            "select queue, caller, agent, duration > 0 from acc_cdrs"
        ).fetchall()
        missed = connection.execute("select dst_user, sip_code from missed_calls").fetchall()
        days = connection.execute("select distinct start_time::date from acc_cdrs").fetchall()
    assert sorted(written) == sorted(astuple(call) for call in kamailio.calls)
    assert sum(call.answered for call in kamailio.calls) == 100
    assert missed == [("busy", "486")] * 20
    assert days == [(date(2026, 9, 10),)]


def test_prometheus_reads_packets_through_our_mapping(prometheus: Prometheus) -> None:
    packets = (
        "airflow.perfhouse.rows,source=fixture,fate=landed:7|g",
        "airflow.task.duration,dag_id=fixture:1500|ms\nairflow.task.duration,dag_id=fixture:500|ms",
        "airflow.ti_successes,dag_id=fixture:1|c",
        "airflow.ti_successes,dag_id=fixture:1|c|@0.5",
        "airflow.scheduler.dag_bag.cache_hit:1|c",
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        for packet in packets:
            sending.sendto(packet.encode(), ("127.0.0.1", prometheus.statsd_port))
    wanted = {
        'perfhouse_rows{source="fixture"}': "7",
        'airflow_task_duration_sum{dag_id="fixture"}': "2",
        'airflow_task_duration_bucket{dag_id="fixture",le="0.5"}': "1",
        'airflow_ti_successes{dag_id="fixture"}': "3",
    }
    deadline = time.monotonic() + 30
    found: dict[str, str] = {}
    while found != wanted and time.monotonic() < deadline:
        found = {q: s["value"][1] for q in wanted for s in prometheus.query(q)}
        time.sleep(0.2)
    assert found == wanted
    assert prometheus.query("airflow_scheduler_dag_bag_cache_hit") == []


def test_our_alerts_fire_for_their_causes_and_not_before() -> None:
    promtool = process.program("promtool", package="prometheus")
    for words in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            [promtool, *words], cwd=MONITORING, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
