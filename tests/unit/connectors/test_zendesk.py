"""Zendesk: what its published records become, event by event, and what is fetched of a month."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from suite.cases import zendesk as case
from suite.kit import Bench, Exchange, Record, Reply, Vendor, balances, mangled

from connectors import zendesk_rows
from connectors.base import Beside
from perfhouse import report
from perfhouse.errors import ConfigError, SourceChanged, TransientError
from perfhouse.lake import Manifest

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "zendesk_sandbox_records"
START, END = datetime(2026, 8, 31, 16, tzinfo=UTC), datetime(2026, 9, 30, 16, tzinfo=UTC)
AUDIT = zendesk_rows.UNFOLD["ticket_events"]
WITHIN, AFTER = int(START.timestamp()) + 3600, int(END.timestamp())


# --- a small Zendesk -----------------------------------------------------------------------


class World:
    """What the vendor holds beside tickets; every list may be set by a test."""

    def __init__(self) -> None:
        self.audits: list[Record] = []
        self.ratings: list[Record] = []
        self.agents: list[Record] = list(case.AGENTS)
        self.former: list[Record] = []
        self.later: list[Record] = []

    def answer(self, exchange: Exchange, tickets: Sequence[Record]) -> Reply:
        what = exchange.path.removeprefix("/api/v2/")
        if what == "incremental/ticket_events":
            start = int(exchange.query["start_time"])
            found = [a for a in self.audits if a["timestamp"] >= start]
            return Reply({"ticket_events": found, "count": len(found), "end_of_stream": True})
        if what == "tickets/show_many":
            return Reply({"tickets": self._named(exchange, self.later)})
        if what == "users/show_many":
            return Reply({"users": self._named(exchange, self.former)})
        lists = {"users": self.agents, "satisfaction_ratings": self.ratings}
        if what in lists:
            return Reply({what: lists[what], "meta": {"has_more": False, "after_cursor": None}})
        return case.answer(exchange, tickets)

    def _named(self, exchange: Exchange, records: list[Record]) -> list[Record]:
        ids = exchange.query["ids"].split(",")
        return [record for record in records if str(record["id"]) in ids]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bench, Vendor, World]]:
    world = World()
    vendor = Vendor(replace(case.CASE, answer=world.answer))
    with vendor.serving() as url:
        it = Bench(case.CASE, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        yield it, vendor, world


def rows(it: Bench, manifest: Manifest, stream: str, what: str) -> list[tuple[Any, ...]]:
    files = [str(it.home.root / f.path) for f in manifest.streams[stream].files]
    if not files:
        return []
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(f"select {what} from read_parquet(?) order by all", [files]).fetchall()


# --- published records ---------------------------------------------------------------------


def published(stream: str) -> list[Record]:
    path = SHARED / "records.jsonl"
    if not path.is_file():
        pytest.skip("the sample data is not here")
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [line["data"] for line in lines if line["stream"] == stream]


def test_tickets_of_a_real_account_land_as_they_are(desk: tuple[Bench, Vendor, World]) -> None:
    it, vendor, _ = desk
    # their own stamps are of 2022; the export tells them when it is asked for September 2026
    vendor.world = [{**t, "generated_timestamp": WITHIN} for t in published("tickets")]
    landed = it.ingest()
    assert landed.streams["tickets"].quarantined == 0
    what = (
        "ticket_id, channel, raw_channel, priority, status, category, queue_id, assignee_id, "
        "cast(created_at as varchar), csat_score, cast(source_updated_at as varchar), tags"
    )
    assert rows(it, landed, "tickets", what) == [
        ("121", "phone", "voice", None, "new", None, None, None,
         "2022-06-17 14:49:20+00", None, "2022-06-17 16:01:42+00", []),
        ("125", "web", "web", "urgent", "open", "question", "5059439464079", "361089721035",
         "2022-07-18 10:16:53+00", None, "2022-07-18 10:36:02+00", []),
    ]  # fmt: skip
    assert landed.streams["tickets"].undeclared_fields == ()
    keys = rows(it, landed, "tickets", "requester_key, subject_hash")
    assert all(len(value) == 64 for row in keys for value in row), "hashed, both of them"


def test_ratings_of_a_real_account_land_as_sent(desk: tuple[Bench, Vendor, World]) -> None:
    it, _, world = desk
    at = "2026-09-05T18:01:40Z"
    world.ratings = [{**r, "updated_at": at} for r in published("satisfaction_ratings")]
    landed = it.ingest()
    what = "response_id, status, score, scale_min, scale_max, ticket_id, survey_kind, has_comment"
    assert rows(it, landed, "survey_responses", what) == [
        ("7235633102607", "sent", None, 0, 1, "146", "csat", False),
        ("8178725484175", "sent", None, 0, 1, "158", "csat", False),
    ]
    assert landed.streams["survey_responses"].undeclared_fields == ()


def test_a_user_of_a_real_account_is_hashed(desk: tuple[Bench, Vendor, World]) -> None:
    it, _, world = desk
    world.agents = [{**user, "role": "agent"} for user in published("users")]
    landed = it.ingest()
    what = "source_user_id, role, is_active, length(email_hash), employee_no"
    assert rows(it, landed, "source_users", what) == [("6128164851599", "agent", True, 64, None)]
    assert landed.streams["source_users"].undeclared_fields == ()
    files = [it.home.root / f.path for f in landed.streams["source_users"].files]
    assert all(b"amber" not in f.read_bytes().lower() for f in files)


def test_a_comment_of_a_real_account_is_a_reply_of_who_wrote_it() -> None:
    (comment,) = published("ticket_comments")
    audit = {
        "id": comment["audit_id"],
        "ticket_id": comment["ticket_id"],
        "timestamp": comment["timestamp"],
        "updater_id": -1,
        "via": "Web form",
        "child_events": [{k: v for k, v in comment.items() if k not in ("ticket_id", "timestamp")}],
    }
    (row,) = AUDIT(audit, beside(agents={str(comment["author_id"]): {}}))
    assert row == {
        "event_id": 407609531716, "ticket_id": 1, "audit_id": 407609531696, "seq": 0,
        "occurred_at": "2021-06-24T08:05:49Z", "actor_id": 360786799676, "actor_type": "agent",
        "raw_type": "Comment", "via_automation": False,
        "event_type": "public_reply", "is_public": True,
    }  # fmt: skip


# --- events --------------------------------------------------------------------------------


def beside(**endpoints: Mapping[str, Any]) -> Beside:
    return Beside({}, "ticket_events/000001.json", lambda name, _: endpoints.get(name, {}))


AGENTS = {"9001": {"id": 9001}, "9002": {"id": 9002}}


def audit(*children: Record, **more: Any) -> Record:
    return {
        "id": 400,
        "ticket_id": 7,
        "timestamp": WITHIN,
        "created_at": "2026-08-31T17:00:00Z",
        "updater_id": 9001,
        "via": "Web form",
        "child_events": [{"id": 8000 + n, **child} for n, child in enumerate(children)],
        **more,
    }


def unfolded(*children: Record, **more: Any) -> list[dict[str, Any]]:
    return list(AUDIT(audit(*children, **more), beside(agents=AGENTS)))


def change(field: str, old: Any, new: Any, **more: Any) -> Record:
    return {"event_type": "Change", field: new, "previous_value": old, **more}


@pytest.mark.parametrize(
    ("child", "event_type"),
    [
        (change("status", "open", "solved"), "solved"),
        (change("status", "solved", "closed"), "closed"),
        (change("status", "solved", "open"), "reopened"),
        (change("status", "new", "open"), "status_changed"),
        (change("status", "open", "deleted"), "deleted"),
        (change("status", "open", "closed", via="Merge"), "merged"),
        (
            change("status", "open", "closed", via={"channel": "web", "source": {"rel": "merge"}}),
            "merged",
        ),
        (change("assignee_id", None, "9002"), "assigned"),
        (change("group_id", "1", "2"), "queue_changed"),
        (change("priority", None, "high"), "priority_changed"),
        (change("tags", ["a"], ["a", "b"], added_tags=["b"]), "tag_changed"),
        (change("subject", "a", "b"), "field_changed"),
        ({"type": "Change", "field_name": "status", "value": "solved",
          "previous_value": "open"}, "solved"),
        ({"event_type": "SatisfactionRating", "score": "offered"}, "csat_offered"),
        ({"event_type": "SatisfactionRating", "score": "bad"}, "csat_received"),
    ],
)  # fmt: skip
def test_each_change_has_its_meaning(child: Record, event_type: str) -> None:
    assert [row["event_type"] for row in unfolded(child)] == [event_type]


def test_what_says_nothing_of_the_ticket_makes_no_event() -> None:
    quiet = [{"event_type": kind} for kind in ("Notification", "Error", "External", "Brand new")]
    assert unfolded(*quiet, {"event_type": "SatisfactionRating", "score": "unoffered"}) == []


def test_a_ticket_made_solved_is_created_and_solved() -> None:
    made = unfolded({"event_type": "Create", "status": "solved"})
    assert [(row["event_id"], row["event_type"]) for row in made] == [
        (8000, "created"),
        ("8000-1", "solved"),
    ]


@pytest.mark.parametrize(
    ("child", "more", "expected"),
    [
        ({"public": True, "author_id": 9002}, {}, ("public_reply", 9002, "agent", False)),
        ({"public": False, "author_id": 9002}, {}, ("internal_note", 9002, "agent", False)),
        ({"public": True, "author_id": 5001}, {}, ("customer_reply", None, "customer", False)),
        # an agent by role no more, but nobody else can write what the customer does not see
        ({"public": False, "author_id": 9777}, {}, ("internal_note", 9777, "agent", False)),
        # without the sideload there is no author: who updated the ticket wrote it
        ({"comment_public": True, "comment_present": True}, {},
         ("public_reply", 9001, "agent", False)),
        ({"public": True, "author_id": 9002, "via": {"channel": "rule",
          "source": {"rel": "automation"}}}, {}, ("public_reply", None, "system", True)),
        ({"public": True}, {"via": "Rule"}, ("public_reply", None, "system", True)),
        ({"public": True, "author_id": -1}, {}, ("public_reply", None, "system", False)),
        ({"public": True, "author_id": 9002, "via": {"channel": "answer_bot_api"}}, {},
         ("public_reply", 9002, "bot", False)),
    ],
)  # fmt: skip
def test_a_comment_is_its_authors_and_a_customers_id_stays_behind(
    child: Record, more: Record, expected: tuple[Any, ...]
) -> None:
    (row,) = unfolded({"event_type": "Comment", "body": "secret", **child}, **more)
    found = tuple(row[k] for k in ("event_type", "actor_id", "actor_type", "via_automation"))
    assert found == expected
    assert "secret" not in str(row)


def test_only_values_that_are_no_text_are_told() -> None:
    told = unfolded(
        change("status", "new", "open"),
        change("subject", "call +1 555 0100", "call me"),
        {"event_type": "Change", "custom_ticket_fields": {"1": "Ann"}, "previous_value": None},
        change("requester_id", "5001", "5002"),
    )
    assert [(row["field"], row["old_value"], row["new_value"]) for row in told] == [
        ("status", "new", "open"),
        ("subject", None, None),
        ("custom_ticket_fields", None, None),
        ("requester_id", None, None),
    ]


def test_a_change_by_a_trigger_is_credited_to_nobody() -> None:
    (row,) = unfolded(change("status", "open", "solved", via={"channel": "rule"}))
    assert (row["actor_id"], row["actor_type"], row["via_automation"]) == (None, "system", True)


# --- what is fetched -----------------------------------------------------------------------


def _ticket(number: int, **more: Any) -> Record:
    return {**case.world(1)[0], "id": number, "generated_timestamp": WITHIN, **more}


def test_a_ticket_touched_in_the_month_and_changed_after_it_is_in_the_month(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, vendor, world = desk
    closed = _ticket(2, generated_timestamp=AFTER + 60, status="closed")
    fresh = _ticket(3, generated_timestamp=AFTER + 90)
    vendor.world, world.later = [_ticket(1), closed, fresh], [closed, fresh]
    world.audits = [
        audit(change("status", "open", "solved"), ticket_id=2),
        audit(change("status", "new", "open"), id=401, ticket_id=3, timestamp=AFTER + 90),
    ]
    landed = it.ingest()
    assert rows(it, landed, "tickets", "ticket_id, status") == [("1", "new"), ("2", "closed")]
    assert rows(it, landed, "ticket_events", "ticket_id, event_type") == [("2", "solved")]
    assert landed.streams["tickets"].outside_window == 2


def test_an_agent_who_left_is_known_by_the_tickets_they_held(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, vendor, world = desk
    vendor.world = [_ticket(1, assignee_id=9008)]
    world.former = [{**case.LEFT, "id": 9008, "email": "left@corp.example"}, case.LEFT]
    world.audits = [
        audit(change("assignee_id", "9009", "9008"), ticket_id=1),
        audit({"event_type": "Comment", "author_id": 9009, "public": True}, id=401, ticket_id=1),
    ]
    landed = it.ingest()
    former = [r for r in rows(it, landed, "source_users", "source_user_id, role, is_active")
              if r[0] in ("9008", "9009")]  # fmt: skip
    assert former == [("9008", "agent", False), ("9009", "agent", False)]
    told = rows(it, landed, "ticket_events", "event_type, actor_id, actor_type")
    assert ("public_reply", "9009", "agent") in told


def test_events_repeated_at_the_edge_of_pages_land_once(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, vendor, _ = desk
    vendor.case = case.CASE  # its 25 updates come in pages that overlap by one
    landed = it.ingest().streams["ticket_events"]
    assert (landed.landed, landed.duplicates) == (50, 4)


def test_an_export_that_cannot_move_on_is_an_error(desk: tuple[Bench, Vendor, World]) -> None:
    it, vendor, world = desk
    start = int(START.timestamp())

    def stuck(exchange: Exchange, tickets: Sequence[Record]) -> Reply:
        if exchange.path.endswith("ticket_events"):  # a thousand updates in one second
            body = {"ticket_events": [], "count": 1000, "end_time": start, "end_of_stream": False}
            return Reply(body)
        return world.answer(exchange, tickets)

    vendor.case = replace(case.CASE, answer=stuck)
    with pytest.raises(SourceChanged, match="repeats a page"):
        it.ingest()


def test_metrics_give_first_reply_solve_and_hand_overs(desk: tuple[Bench, Vendor, World]) -> None:
    it, vendor, _ = desk
    embedded = {
        "reply_time_in_minutes": {"calendar": 7},
        "solved_at": "2026-09-01T03:00:00Z",
        "assignee_stations": 3,
        "group_stations": 0,
        "reopens": 2,
        "replies": 4,
    }
    vendor.world = [_ticket(1), _ticket(2, metric_set=embedded)]
    landed = it.ingest()
    what = (
        "cast(first_response_at as varchar), cast(resolved_at as varchar), "
        "cast(first_assigned_at as varchar), reassign_count, transfer_count, reopen_count, "
        "reply_count, queue_name"
    )
    assert rows(it, landed, "tickets", what) == [
        ("2026-08-31 16:05:01+00", None, "2026-09-01 01:00:00+00", 1, 0, 0, 1, "Desk"),
        ("2026-08-31 16:07:00+00", "2026-09-01 03:00:00+00", None, 2, 0, 2, 4, "Desk"),
    ]


def test_a_merged_ticket_is_told_by_its_tag(desk: tuple[Bench, Vendor, World]) -> None:
    it, vendor, _ = desk
    merged = {"status": "closed", "tags": ["closed_by_merge"]}
    vendor.world = [_ticket(1, **merged), _ticket(2, status="closed")]
    landed = it.ingest()
    what = "ticket_id, status, raw_status, cast(closed_at as varchar)"
    at = "2026-09-01 02:00:00+00"
    assert rows(it, landed, "tickets", what) == [
        ("1", "merged", "closed", at),
        ("2", "closed", "closed", at),
    ]


RATING = {
    "id": 1, "score": "good", "assignee_id": 9001, "group_id": 77, "requester_id": 5001,
    "ticket_id": 3, "created_at": "2026-08-10T00:00:00Z", "comment": None,
    "updated_at": "2026-08-10T00:00:00Z", "reason": "none",
}  # fmt: skip
LISTED = '[[sources.streams]]\nstream = "{}"\n'


def without_ratings(exchange: Exchange, nth: int) -> Reply | None:
    refused = exchange.path.endswith("/satisfaction_ratings")
    return Reply({"error": "Forbidden"}, 403) if refused else None


def test_ratings_that_an_account_never_had_land_empty_and_say_so(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, vendor, _ = desk
    vendor.world, vendor.fault = case.world(3), without_ratings
    landed = it.ingest()
    ratings = landed.streams["survey_responses"]
    assert (ratings.landed, ratings.refused) == (0, "satisfaction_ratings (HTTP 403)")
    assert {s.refused for n, s in landed.streams.items() if n != "survey_responses"} == {""}
    for told in (partial(report.manifest, landed), partial(report.status, it.home, None, None)):
        said: list[str] = []
        told(said.append)
        assert "the account is refused satisfaction_ratings (HTTP 403)" in "\n".join(said)
    vendor.fault = lambda exchange, nth: None
    assert it.ingest().streams["survey_responses"].refused == ""


def test_ratings_that_are_listed_must_be_had(desk: tuple[Bench, Vendor, World]) -> None:
    it, vendor, _ = desk
    vendor.world, vendor.fault = case.world(3), without_ratings
    both = "".join(map(LISTED.format, ("tickets", "survey_responses")))
    with pytest.raises(ConfigError) as caught:
        Bench(replace(case.CASE, source=case.CASE.source + both), it.url, it.root).ingest()
    told = str(caught.value)
    assert "survey_responses: the account is refused satisfaction_ratings (HTTP 403)" in told
    assert "perfhouse.toml lists the stream" in told
    assert not it.visible()
    only = replace(case.CASE, source=case.CASE.source + LISTED.format("tickets"))
    assert Bench(only, it.url, it.root).ingest().streams["tickets"].landed == 3


def test_ratings_that_were_there_before_are_lost_and_not_absent(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, vendor, world = desk
    world.ratings = [RATING]
    august = Bench(replace(case.CASE, month="2026-08"), it.url, it.root)
    assert august.ingest().streams["survey_responses"].landed == 1
    before = it.visible()
    vendor.fault = without_ratings
    with pytest.raises(ConfigError, match=r"could read 1 rows of 2026-08: a permission was lost"):
        it.ingest()
    assert it.visible() == before
    accepted = it.ingest(accept_loss=True)
    assert accepted.streams["survey_responses"].refused
    july = Bench(replace(case.CASE, month="2026-07"), it.url, it.root)
    assert july.ingest().streams["survey_responses"].refused  # accepted once, it is known


def test_ratings_land_in_the_month_they_were_given_or_offered(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, _, world = desk
    rating = {
        "id": 1, "score": "good", "assignee_id": 9001, "group_id": 77, "requester_id": 5001,
        "ticket_id": 3, "created_at": "2026-08-20T00:00:00Z", "comment": "thanks, Ann",
        "updated_at": "2026-09-02T00:00:00Z", "reason": "none",
    }  # fmt: skip
    world.ratings = [
        rating,
        {**rating, "id": 2, "score": "bad", "comment": None},
        {**rating, "id": 3, "score": "offered", "comment": None},
        {**rating, "id": 4, "score": "unoffered"},
        {**rating, "id": 5, "updated_at": "2026-08-31T15:59:59Z"},
        {**rating, "id": 6, "updated_at": "2026-09-30T16:00:00Z"},
    ]
    landed = it.ingest()
    what = "response_id, status, score, score_choice, has_comment, agent_id, team_id"
    assert rows(it, landed, "survey_responses", what) == [
        ("1", "completed", 1, "good", True, "9001", "77"),
        ("2", "completed", 0, "bad", False, "9001", "77"),
        ("3", "sent", None, "offered", False, "9001", "77"),
    ]
    files = [it.home.root / f.path for f in landed.streams["survey_responses"].files]
    assert all(b"Ann" not in f.read_bytes() for f in files)
    asked = next(e for e in it_seen(desk) if e.path.endswith("satisfaction_ratings"))
    assert int(asked.query["start_time"]) == int(START.timestamp()) - 35 * 86_400


def it_seen(desk: tuple[Bench, Vendor, World]) -> list[Exchange]:
    return desk[1].seen


def test_comments_need_not_be_fetched(desk: tuple[Bench, Vendor, World]) -> None:
    it, vendor, _ = desk
    without = replace(case.CASE, source=case.CASE.source + "comment_events = false\n")
    Bench(without, it.url, it.root).ingest()
    (asked,) = [e for e in vendor.seen if e.path.endswith("ticket_events")]
    assert "include" not in asked.query


def test_a_list_without_its_marks_is_not_taken_for_complete(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, vendor, world = desk

    def old_pages(exchange: Exchange, tickets: Sequence[Record]) -> Reply:
        if exchange.path.endswith("/groups"):
            return Reply({"groups": case.GROUPS, "next_page": "more", "count": 200})
        return world.answer(exchange, tickets)

    vendor.case = replace(case.CASE, answer=old_pages)
    with pytest.raises(SourceChanged, match=r"meta\.has_more"):
        it.ingest()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("incremental/tickets/cursor", "end_of_stream"),
        ("incremental/tickets/cursor", "after_cursor"),
        ("incremental/ticket_events", "end_of_stream"),
        ("incremental/ticket_events", "end_time"),
    ],
)
def test_an_export_that_does_not_tell_how_to_go_on_is_not_taken_for_complete(
    desk: tuple[Bench, Vendor, World], path: str, field: str
) -> None:
    it, vendor, _ = desk
    vendor.world = case.world(30)

    def without(exchange: Exchange, tickets: Sequence[Record]) -> Reply:
        told = case.answer(exchange, tickets)
        if exchange.path.endswith(path):
            told.body.pop(field)
        return told

    vendor.case = replace(case.CASE, answer=without)
    with pytest.raises(SourceChanged, match=field):
        it.ingest()


@pytest.mark.parametrize("wrong", ['"ten"', "0", "1.5"])
def test_a_pace_is_a_number_of_calls(desk: tuple[Bench, Vendor, World], wrong: str) -> None:
    it, _, _ = desk
    text = case.CASE.source.replace("60000", wrong)
    with pytest.raises(ConfigError, match="exports_per_minute: expected a whole number above 0"):
        Bench(replace(case.CASE, source=text), it.url, it.root).ingest()


def test_a_bearer_token_goes_without_a_login(
    desk: tuple[Bench, Vendor, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    it, vendor, _ = desk
    monkeypatch.setenv("AIRFLOW_CONN_IT", it.url.replace("://", "://:oauth-token@"))
    with pytest.raises((ConfigError, TransientError)):
        it.ingest()
    assert vendor.seen[0].headers["authorization"] == "Bearer oauth-token"


def test_mangled_events_and_ratings_land_or_are_quarantined(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, _, world = desk
    chance = random.Random(7)
    whole = audit(
        {"event_type": "Create", "status": "new", "via": {"channel": "web", "source": {}}},
        change("assignee_id", None, "9002"),
        {"event_type": "Comment", "author_id": 9001, "public": True, "body": "x"},
    )
    rating = {"id": 1, "score": "good", "updated_at": "2026-09-02T00:00:00Z", "comment": None,
              "created_at": "2026-09-02T00:00:00Z", "requester_id": 5, "ticket_id": 1}  # fmt: skip
    world.audits = [mangled({**whole, "id": n}, chance, ("timestamp",)) for n in range(1_000)]
    world.ratings = [mangled({**rating, "id": n}, chance, ()) for n in range(1_000)]
    landed = it.ingest()
    assert balances(landed)
    for name in ("ticket_events", "survey_responses"):
        stream = landed.streams[name]
        assert stream.landed > 300, name
        assert stream.quarantined > 30, name
