from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from servers.mariadb import MariaDB
from servers.rt import RequestTracker, Ticket
from unit.connectors.landing_kit import MONTH, OWNER, Place, balances, company

from connectors import landing
from perfhouse.company import ColumnMapping, Source
from perfhouse.lake import Manifest

ZONE = "Asia/Shanghai"
# what only the database tells: REST leaves counting to the events
COUNTED = ("reopen_count", "reply_count", "reassign_count", "transfer_count")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, ZONE)


def source(url: str, **options: Any) -> Source:
    given = {"url": url, "csat_field": "CSAT", **options}
    return Source("desk", "rt_database", OWNER, "0 3 1 * *", True, ZONE, given, ())


def rows(place: Place, manifest: Manifest, what: str, stream: str) -> list[Any]:
    return sorted(place.rows(manifest, what, stream), key=str)


def seen(ticket: Ticket) -> bool:
    """Tell whether something happened to a ticket in September of Shanghai."""
    first, last = "2026-08-31T16:00:00Z", "2026-09-30T16:00:00Z"
    return ticket.created < last and (ticket.last_updated >= first or ticket.created >= first)


def test_tickets_are_what_was_done_to_them(rt: RequestTracker, place: Place) -> None:
    manifest = place.ingest(source(rt.database))
    assert balances(manifest)
    assert {s.quarantined for s in manifest.streams.values()} == {0}
    what = (
        "ticket_id, queue_name, status, strftime(created_at, '%Y-%m-%dT%H:%M:%SZ'), "
        "strftime(first_response_at, '%Y-%m-%dT%H:%M:%SZ'), "
        "strftime(resolved_at, '%Y-%m-%dT%H:%M:%SZ'), "
        f"{', '.join(COUNTED)}, cast(csat_score as int), merged_into"
    )
    names = {"resolved": "solved", "stalled": "pending", "rejected": "closed"}
    expected = [
        (
            str(t.id), t.queue, "merged" if t.merged_into else names.get(t.status, t.status),
            t.created, t.first_reply, t.resolved, t.reopened, t.replies, t.reassigned, t.moved,
            t.csat, str(t.merged_into) if t.merged_into else None,
        )
        for t in rt.tickets if seen(t)
    ]  # fmt: skip
    assert rows(place, manifest, what, "tickets") == sorted(expected, key=str)


def test_agents_are_told_by_the_ids_that_the_accounts_have(
    rt: RequestTracker, place: Place
) -> None:
    manifest = place.ingest(source(rt.database))
    login = dict(place.rows(manifest, "source_user_id, login", "source_users"))
    assert set(rt.agents) <= set(login.values())
    owners = dict(place.rows(manifest, "ticket_id, assignee_id", "tickets"))
    for ticket in filter(seen, rt.tickets):
        assert login.get(owners[str(ticket.id)]) == ticket.owner, ticket
    replied = place.rows(manifest, "first_responder_id, first_response_at", "tickets")
    assert {login[who] for who, at in replied if at} <= set(rt.agents)
    assert all(who is None for who, at in replied if at is None)
    hashes = [h for (h,) in place.rows(manifest, "email_hash", "source_users") if h]
    assert len(hashes) >= len(rt.agents)
    assert all(len(h) == 64 for h in hashes)


def test_events_and_ratings_count_what_was_done(rt: RequestTracker, place: Place) -> None:
    manifest = place.ingest(source(rt.database))
    kinds = Counter(k for (k,) in place.rows(manifest, "event_type", "ticket_events"))
    inside = [t for t in rt.tickets if "2026-08-31T16:00:00Z" <= t.created < "2026-09-30T16:00:00Z"]
    assert kinds["created"] == len(inside)
    assert kinds["queue_changed"] == sum(t.moved for t in rt.tickets)
    assert kinds["csat_received"] == sum(t.csat is not None for t in rt.tickets)
    assert kinds["merged"] == sum(t.merged_into is not None for t in rt.tickets)
    assert kinds["public_reply"] > kinds["customer_reply"] > 0
    scores = dict(place.rows(manifest, "ticket_id, cast(score as int)", "survey_responses"))
    assert scores == {str(t.id): t.csat for t in rt.tickets if t.csat is not None}


def test_both_roads_to_request_tracker_meet(rt: RequestTracker, place: Place) -> None:
    """The rows of REST and of the database are equal in every column that both fill."""
    from connectors import base

    read = place.ingest(source(rt.database))
    options = {"url": rt.url, "csat_field": "CSAT", "connection": "rt"}
    other = Source("rest", "request_tracker", OWNER, "0 3 1 * *", True, ZONE, options, ())
    told = _rest(place, other, rt)
    for stream in ("tickets", "ticket_events", "survey_responses", "source_users"):
        one, two = (base.effective(s).streams for s in (source(rt.database), other))
        columns = sorted(
            set(next(m.columns for m in one if m.stream == stream))
            & set(next(m.columns for m in two if m.stream == stream)) - {"source_seq"}
        )
        what = ", ".join(columns)
        assert rows(place, read, what, stream) == rows(place, told, what, stream), stream


def _rest(place: Place, given: Source, rt: RequestTracker) -> Manifest:
    from perfhouse import settings

    with settings.environment(
        {"PERFHOUSE_URL_RT": rt.url.replace("http://", f"http://:{rt.token}@")}
    ):
        return landing.ingest(given, company(ZONE, given), MONTH, place.data, place.home)


def test_custom_fields_are_columns_by_choice(rt: RequestTracker, place: Place) -> None:
    given = source(rt.database, fields=["Channel", "Is Complaint", "It's"])
    from connectors import base

    mapped = base.effective(given).streams[0]
    channel = ColumnMapping(source="cf.Channel", values={"微信": "wecom"})
    complaint = ColumnMapping(source="cf.Is Complaint")
    columns = {**mapped.columns, "channel": channel, "is_complaint": complaint}
    manifest = place.ingest(replace(given, streams=(replace(mapped, columns=columns),)))
    counted = Counter(place.rows(manifest, "channel, is_complaint", "tickets"))
    assert {c for c, _ in counted} == {"email", "phone", "wecom"}
    assert sum(n for (_, flag), n in counted.items() if flag) == 6


def test_the_same_queries_run_on_mysql(rt: RequestTracker, mariadb: MariaDB, place: Place) -> None:
    """RT's MySQL schema under RT's own names, filled with the rows of the PostgreSQL one."""
    schema = Path("/usr/share/request-tracker5/etc/schema.mysql").read_text(encoding="utf-8")
    url = mariadb.database("rt5")
    tables = (
        *("Tickets", "Transactions", "Queues", "Users", "Principals", "Groups"),
        *("CachedGroupMembers", "CustomFields", "ObjectCustomFieldValues"),
    )
    with psycopg.connect(rt.database) as read, mariadb.connect("rt5") as write:
        cursor = write.cursor()
        for statement in schema.split(";"):
            lines = [x for x in statement.splitlines() if not x.strip().startswith(("#", "--"))]
            text = "\n".join(lines).strip()
            if text.upper().startswith("CREATE TABLE") and text.split()[2].strip("`(") in tables:
                cursor.execute(text.replace("TABLE Groups", "TABLE `Groups`"))
        for table in tables:
            cursor.execute(f"select * from `{table}` limit 0")
            names = [str(column[0]) for column in cursor.description]
            found = read.execute(f"select {', '.join(names)} from {table}").fetchall()
            holes = ", ".join(["%s"] * len(names))
            cursor.executemany(f"insert into `{table}` values ({holes})", found)
    one = place.ingest(source(rt.database, fields=["Channel"]))
    two = place.ingest(replace(source(url, fields=["Channel"]), id="mysql"))
    for stream in one.streams:
        what = "* exclude (_source, source, _run_id, _landed_at, _file, _row_number)"
        assert rows(place, one, what, stream) == rows(place, two, what, stream), stream
        assert one.streams[stream].landed > 0
