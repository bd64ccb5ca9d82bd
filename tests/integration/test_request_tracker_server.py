"""The Request Tracker connector against a real RT 5 whose history is known."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from landed import Landed, utc
from servers.rt import RequestTracker, Ticket

from perfhouse.errors import ConfigError
from perfhouse.lake import Manifest

SOURCE = """
[[sources]]
id = "rt"
connector = "request_tracker"
connection = "rt"
owner = "IT desk <it@corp.example>"
csat_field = "CSAT"
page_size = 25
"""
ONLY_TICKETS = SOURCE + '[[sources.streams]]\nstream = "tickets"\n'
# September in Shanghai
START, END = "2026-08-31T16:00:00Z", "2026-09-30T16:00:00Z"
STATUS = {
    **{"new": "new", "open": "open", "stalled": "pending", "resolved": "solved"},
    "rejected": "closed",
}


def _connect(monkeypatch: pytest.MonkeyPatch, rt: RequestTracker, token: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_RT", rt.url.replace("://", f"://:{token}@"))


@pytest.fixture(scope="module")
def september(
    rt: RequestTracker, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Landed, Manifest]:
    """September, landed once for the tests that look at it."""
    with pytest.MonkeyPatch.context() as patch:
        _connect(patch, rt, rt.token)
        landed = Landed(tmp_path_factory.mktemp("rt"), SOURCE)
        return landed, landed.ingest("2026-09")


def _september(rt: RequestTracker) -> dict[str, Ticket]:
    return {str(t.id): t for t in rt.tickets if START <= t.last_updated < END}


def test_the_months_tickets_land_to_the_second_and_nothing_is_quarantined(
    rt: RequestTracker, september: tuple[Landed, Manifest]
) -> None:
    landed, manifest = september
    rows = landed.rows(manifest, "tickets", "ticket_id")
    inside = _september(rt)
    edges = {t.last_updated for t in inside.values()}
    assert {START, "2026-09-30T15:59:59Z"} <= edges, "the seed has a ticket at each edge"
    # created in the month and changed after it
    again = {str(t.id) for t in rt.tickets if t.last_updated >= END and t.created < END}
    assert set(rows) - again == set(inside)
    for stream in manifest.streams.values():
        assert stream.quarantined == 0
        assert not stream.undeclared_fields, stream.undeclared_fields


def test_a_ticket_is_what_was_done_to_it(
    rt: RequestTracker, september: tuple[Landed, Manifest]
) -> None:
    landed, manifest = september
    rows = landed.rows(manifest, "tickets", "ticket_id")
    logins = {
        key: row["login"]
        for key, row in landed.rows(manifest, "source_users", "source_user_id").items()
    }
    for key, truth in _september(rt).items():
        row = rows[key]
        told = (
            row["status"], row["raw_status"], row["queue_name"], logins.get(row["assignee_id"]),
            utc(row["created_at"]), utc(row["resolved_at"]), utc(row["source_updated_at"]),
            row["csat_score"], row["merged_into"],
        )  # fmt: skip
        merged = truth.merged_into is not None
        assert told == (
            "merged" if merged else STATUS[truth.status], truth.status, truth.queue, truth.owner,
            truth.created, truth.resolved, truth.last_updated,
            truth.csat, str(truth.merged_into) if merged else None,
        ), key  # fmt: skip
    assert {row["status"] for row in rows.values()} >= {"merged", "solved", "closed", "open"}


def test_events_tell_replies_reopenings_handoffs_and_moves(
    rt: RequestTracker, september: tuple[Landed, Manifest]
) -> None:
    landed, manifest = september
    events = landed.rows(manifest, "ticket_events", "event_id").values()
    counts = Counter((e["ticket_id"], e["event_type"]) for e in events)
    users = landed.rows(manifest, "source_users", "source_user_id")
    first: dict[str, Any] = {}
    for event in sorted(events, key=lambda e: (e["occurred_at"], e["source_seq"])):
        assert START <= (utc(event["occurred_at"]) or "") < END
        if event["event_type"] == "public_reply":
            first.setdefault(event["ticket_id"], event)
            assert event["actor_id"] in users
            assert event["actor_type"] == "agent"
    for key, truth in _september(rt).items():
        if truth.created < START:
            continue
        assert counts[key, "public_reply"] == truth.replies, key
        assert counts[key, "reopened"] == truth.reopened, key
        taken = 1 if truth.owner else 0
        assert counts[key, "assigned"] == truth.reassigned + taken, key
        assert counts[key, "queue_changed"] == truth.moved, key
        assert counts[key, "merged"] == (1 if truth.merged_into else 0), key
        assert (utc(first[key]["occurred_at"]) if key in first else None) == truth.first_reply, key


def test_ratings_are_answers_of_their_ticket(
    rt: RequestTracker, september: tuple[Landed, Manifest]
) -> None:
    landed, manifest = september
    rows = landed.rows(manifest, "survey_responses", "response_id")
    users = landed.rows(manifest, "source_users", "source_user_id")
    rated = {key: t for key, t in _september(rt).items() if t.csat is not None}
    assert rated
    assert {key: int(row["score"]) for key, row in rows.items()} == {
        key: t.csat for key, t in rated.items()
    }
    for key, row in rows.items():
        assert row["status"] == "completed"
        assert users[row["agent_id"]]["login"] == rated[key].owner


def test_the_staff_lands_and_no_customer_and_no_address(
    rt: RequestTracker, september: tuple[Landed, Manifest]
) -> None:
    landed, manifest = september
    users = landed.rows(manifest, "source_users", "source_user_id").values()
    logins = {row["login"] for row in users}
    assert set(rt.agents) <= logins
    assert not any("customer" in str(login) for login in logins)
    assert all(len(row["email_hash"]) == 64 for row in users if row["login"] in rt.agents)
    for stream, key in (
        *(("tickets", "ticket_id"), ("ticket_events", "event_id")),
        *(("survey_responses", "response_id"), ("source_users", "source_user_id")),
    ):
        for row in landed.rows(manifest, stream, key).values():
            held = [v for name, v in row.items() if isinstance(v, str) and name != "_file"]
            assert not [text for text in held if "@" in text], stream


def test_a_disabled_agent_is_staff_still_and_not_active(
    rt: RequestTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, rt, rt.token)
    who = rt.agents[0]
    _call(rt, "PUT", f"user/{who}", None, {"Disabled": 1})
    try:
        landed = Landed(tmp_path, SOURCE + '[[sources.streams]]\nstream = "source_users"\n')
        users = landed.rows(landed.ingest("2026-09"), "source_users", "login")
    finally:
        _call(rt, "PUT", f"user/{who}", None, {"Disabled": 0})
    assert {name: users[name]["is_active"] for name in rt.agents} == {
        name: name != who for name in rt.agents
    }
    assert users[who]["role"] == "agent"


def test_the_same_month_again_changes_nothing(
    rt: RequestTracker, september: tuple[Landed, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, rt, rt.token)
    landed, manifest = september
    again = landed.ingest("2026-09")
    assert {n: (s.rows_in, s.landed) for n, s in again.streams.items()} == {
        n: (s.rows_in, s.landed) for n, s in manifest.streams.items()
    }


def test_a_user_who_lives_in_another_zone_is_refused(
    rt: RequestTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, rt, rt.shanghai_token)
    with pytest.raises(ConfigError, match="time zone other than UTC"):
        Landed(tmp_path, ONLY_TICKETS).ingest("2026-09")


def test_a_user_without_rights_is_told_which_one_is_missing(
    rt: RequestTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, rt, rt.blind_token)
    with pytest.raises(ConfigError, match="SeeQueue, granted globally"):
        Landed(tmp_path, ONLY_TICKETS).ingest("2026-09")


def test_rt_gives_no_more_than_a_hundred_records_a_page_whatever_it_is_asked(
    rt: RequestTracker,
) -> None:
    page = _call(rt, "GET", "users?per_page=500", rt.token)
    assert page["per_page"] == 100


def test_a_deleted_ticket_lands_as_deleted_though_no_search_finds_it(
    rt: RequestTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # in July, before the seed's months, so that no other test sees it
    made = _call(rt, "POST", "ticket", None, {"Queue": "General", "Subject": "Spam"})
    number = int(made["id"])
    _call(rt, "PUT", f"ticket/{number}", None, {"Status": "deleted"})
    with psycopg.connect(rt.database, autocommit=True) as con:
        con.execute(
            "update transactions set created = '2026-07-10 01:00:00' "
            "where objecttype = 'RT::Ticket' and objectid = %s",
            [number],
        )
        con.execute(
            "update tickets set created = '2026-07-10 00:00:00', "
            "lastupdated = '2026-07-10 01:00:00' where id = %s",
            [number],
        )
    _connect(monkeypatch, rt, rt.token)
    landed = Landed(tmp_path, SOURCE)
    manifest = landed.ingest("2026-07")
    rows = landed.rows(manifest, "tickets", "ticket_id")
    assert {key: row["status"] for key, row in rows.items()} == {str(number): "deleted"}
    events = landed.rows(manifest, "ticket_events", "event_id").values()
    assert "deleted" in {e["event_type"] for e in events}


def _call(rt: RequestTracker, method: str, path: str, token: str | None, body: Any = None) -> Any:
    """Ask RT directly, as its administrator where no token is given."""
    root = base64.b64encode(b"root:password").decode()  # what Debian's package begins with
    request = urllib.request.Request(
        f"{rt.url}/REST/2.0/{path}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={
            "Authorization": f"token {token}" if token else f"Basic {root}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())
