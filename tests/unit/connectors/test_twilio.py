"""Twilio: what a call and the calls it dialled say about a caller, an agent and a customer."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import stamina
from suite.cases.twilio import ACCOUNT, CASE
from suite.kit import Bench, Exchange, Record, Reply, Vendor

from perfhouse.errors import ConfigError
from perfhouse.lake import Manifest
from perfhouse.settings import customer_key

AT = datetime(2026, 9, 10, 8, tzinfo=UTC)
DESK = "+8613900000001"
SHOWN = (
    "leg_id, interaction_id, direction, agent_id, queue_id, disposition, wait_ms, talk_ms, "
    "answered_at"
)


def call(sid: str, start: int, seconds: int, status: str = "completed", **more: Any) -> Record:
    """A call in the shape of Twilio's documentation: starts so many seconds after AT."""
    begin = AT + timedelta(seconds=start)
    end = begin + timedelta(seconds=seconds)
    record = {
        "sid": sid,
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "answered_by": None,
        "caller_name": "",
        "date_created": format_datetime(begin),
        "date_updated": format_datetime(end),
        "direction": "inbound",
        "duration": str(seconds) if status == "completed" else "0",
        "end_time": format_datetime(end),
        "forwarded_from": None,
        "from": "+15005550100",
        "group_sid": None,
        "parent_call_sid": None,
        "phone_number_sid": "PN1",
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "start_time": format_datetime(begin),
        "status": status,
        "subresource_uris": {},
        "to": "+15005550006",
        "trunk_sid": None,
        "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{sid}.json",
    }
    return {**record, **more}


def dialled(sid: str, by: str, to: str, start: int, seconds: int, **more: Any) -> Record:
    more = {"direction": "outbound-dial", "phone_number_sid": None, **more}
    return call(sid, start, seconds, parent_call_sid=by, to=to, **more)


Land = Callable[[list[Record]], tuple[Bench, Manifest]]


@pytest.fixture
def land(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    case = replace(CASE, source=f'{CASE.source}agents = {{ "{DESK}" = "E7" }}\n')

    def landed(world: list[Record]) -> tuple[Bench, Manifest]:
        with Vendor(case, world).serving() as url:
            it = Bench(case, url, tmp_path)
            monkeypatch.setenv(*it.connection)
            return it, it.ingest()

    with stamina.set_testing(True, attempts=2):
        yield landed


def rows(it: Bench, manifest: Manifest, what: str = SHOWN) -> list[tuple[Any, ...]]:
    files = [str(it.home.root / f.path) for f in manifest.streams["calls"].files]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(
            f"select {what} from read_parquet(?) order by leg_id", [files]
        ).fetchall()


def test_an_answered_contact_is_told_by_the_legs_that_rang_agents(land: Land) -> None:
    it, manifest = land(
        [
            call("CA1", 0, 200),
            dialled("CA2", "CA1", "client:bob", 10, 20, status="no-answer"),
            dialled("CA3", "CA1", "client:alice", 40, 150),
        ]
    )
    assert rows(it, manifest) == [
        ("CA2", "CA1", "inbound", "client:bob", "PN1", "no_answer", None, None, None),
        (
            *("CA3", "CA1", "inbound", "client:alice", "PN1", "answered", 40_000, 150_000),
            AT + timedelta(seconds=40),
        ),
    ]
    assert manifest.streams["calls"].outside_window == 1, "the caller's half is told by the agents"
    assert len({row[0] for row in rows(it, manifest, "customer_key")}) == 1
    assert "+15005550100" not in str(rows(it, manifest, "*"))


def test_a_caller_whom_nobody_answered_has_given_up_in_the_queue_of_the_number(land: Land) -> None:
    it, manifest = land(
        [call("CA1", 0, 45), dialled("CA2", "CA1", "sip:bob@x", 5, 40, status="canceled")]
    )
    assert rows(it, manifest) == [
        ("CA1", "CA1", "inbound", None, "PN1", "abandoned", 45_000, None, None),
        ("CA2", "CA1", "inbound", "sip:bob@x", "PN1", "no_answer", None, None, None),
    ]


def test_of_a_call_that_dialled_nothing_no_queue_and_no_outcome_is_guessed(land: Land) -> None:
    it, manifest = land([call("CA1", 0, 45), call("CA2", 0, 5, status="canceled")])
    assert rows(it, manifest, "leg_id, queue_id, disposition, raw_disposition") == [
        ("CA1", None, None, "completed"),
        ("CA2", None, "abandoned", "canceled"),
    ]


def test_an_agents_call_is_one_outbound_leg_with_the_customers_answer(land: Land) -> None:
    it, manifest = land(
        [
            # a browser phone calls out: inbound to Twilio, which dials the customer
            call("CA1", 0, 100, **{"from": "client:alice", "to": ""}),
            dialled("CA2", "CA1", "+15005550199", 10, 80),
            # click to dial: Twilio calls the agent, then the customer, who does not answer
            call("CA3", 0, 60, direction="outbound-api", to="client:bob"),
            dialled("CA4", "CA3", "+15005550198", 10, 40, status="no-answer"),
        ]
    )
    assert rows(it, manifest, f"{SHOWN}, customer_key is not null") == [
        (
            *("CA1", "CA1", "outbound", "client:alice", None, "answered", None, 80_000),
            *(AT + timedelta(seconds=10), True),
        ),
        ("CA3", "CA3", "outbound", "client:bob", None, "no_answer", None, None, None, True),
    ]


def test_a_desk_phone_is_the_agent_that_the_source_says_it_is(land: Land) -> None:
    it, manifest = land([call("CA1", 0, 200), dialled("CA2", "CA1", DESK, 10, 150)])
    assert rows(it, manifest, "leg_id, agent_id, disposition") == [("CA2", "E7", "answered")]


def keyed(it: Bench, address: str) -> str:
    return hmac.new(customer_key(it.home), address.encode(), hashlib.sha256).hexdigest()


def test_a_client_named_by_an_address_lands_as_the_hash_that_a_roster_has_of_it(land: Land) -> None:
    names = {
        "CA1": "client:alice_40corp_2Eexample",
        "CA2": "client:Alice_40Corp_2Eexample",
        "CA3": "client:alice@corp.example",
        "CA4": "client:alice_2Eb_20_3Calice_40corp_2Eexample_3E",
        "CA5": "client:+8613900000009",
        "CA6": "client:_2B8613900000009",
        "CA7": "sip:alice@corp.sip.twilio.com",
        "CA8": "client:agent_401",
    }
    calls = [call(sid, 0, 9, direction="outbound-api", to=to) for sid, to in names.items()]
    it, manifest = land(calls)
    mail, phone = keyed(it, "alice@corp.example"), keyed(it, "+8613900000009")
    assert [row[0] for row in rows(it, manifest, "agent_id")] == [
        *(mail, mail, mail, mail, phone, phone),
        "sip:alice@corp.sip.twilio.com",  # where a phone rings, no mailbox
        "client:agent_401",
    ]


def test_an_api_key_needs_the_accounts_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = replace(CASE, connection=CASE.connection.replace(ACCOUNT, "SK1"))
    with Vendor(case).serving() as url:
        it = Bench(case, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        with pytest.raises(ConfigError, match="accounts: expected the SIDs of accounts"):
            it.ingest()


def test_agents_who_call_each_other_are_internal(land: Land) -> None:
    it, manifest = land(
        [
            call("CA1", 0, 100, **{"from": "client:alice", "to": ""}),
            dialled("CA2", "CA1", "client:bob", 10, 80),
        ]
    )
    assert rows(it, manifest, "leg_id, direction, agent_id, customer_key") == [
        ("CA1", "internal", "client:alice", None),
        ("CA2", "internal", "client:bob", None),
    ]


def test_a_machine_that_answers_is_voicemail_and_a_running_call_waits_for_its_end(
    land: Land,
) -> None:
    notice = {"direction": "outbound-api", "to": "+15005550199"}
    it, manifest = land(
        [
            call("CA1", 0, 20, answered_by="machine_start", **notice),
            call("CA2", 0, 20, status="in-progress", **notice),
        ]
    )
    assert rows(it, manifest, "leg_id, disposition, talk_ms") == [("CA1", "voicemail", None)]
    assert manifest.streams["calls"].outside_window == 1


def test_a_contact_across_midnight_lands_leg_by_leg_and_still_knows_its_start(land: Land) -> None:
    last = int((datetime(2026, 9, 30, 16, tzinfo=UTC) - AT).total_seconds())  # in Shanghai
    it, manifest = land(
        [
            call("CA1", last - 300, 600),
            dialled("CA2", "CA1", "client:alice", last - 250, 200),
            dialled("CA3", "CA1", "client:bob", last - 40, 300),
        ]
    )
    assert rows(it, manifest, "leg_id, wait_ms") == [("CA2", 50_000)]


def test_workers_tell_whose_address_a_call_knows(
    land: Land, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it, manifest = land([])
    assert manifest.streams["source_users"].rows_in == 0, "no workspace, no workers"
    path = "/v1/Workspaces/WS1/Workers"
    known = {"contact_uri": "client:alice", "email": "Alice@Corp.example ", "full_name": "Alice"}
    flex = {"contact_uri": "client:dan_40corp_2Eexample", "email": "Dan@corp.example"}
    told = [
        {"sid": "WK1", "friendly_name": "alice", "attributes": json.dumps(known)},
        {"sid": "WK2", "friendly_name": "bob", "attributes": "{}"},
        {"sid": "WK3", "friendly_name": "carol", "attributes": "no json"},
        {"sid": "WK4", "friendly_name": "dan", "attributes": json.dumps(flex)},
        {"sid": "WK5", "friendly_name": "eve", "attributes": json.dumps({"contact_uri": DESK})},
    ]

    def fault(exchange: Exchange, nth: int) -> Reply | None:
        if exchange.path != path:
            return None
        here = int(exchange.query.get("Page", "0"))
        more = f"https://elsewhere.example{path}?PageSize=1000&Page={here + 1}"
        link = more if here + 1 < len(told) else None
        return Reply({"workers": [told[here]], "meta": {"next_page_url": link}})

    desks = f'agents = {{ "{DESK}" = "E7" }}'
    more = f'workspace = "WS1"\ntaskrouter_url = "{{url}}"\n{desks}\n'
    case = replace(CASE, source=f"{CASE.source}{more}")
    vendor = Vendor(case)
    vendor.fault = fault
    with vendor.serving() as url:
        it = Bench(case, url, tmp_path / "second")
        (tmp_path / "second").mkdir()
        monkeypatch.setenv(*it.connection)
        manifest = it.ingest()
    files = [str(it.home.root / f.path) for f in manifest.streams["source_users"].files]
    with duckdb.connect() as con:
        found = con.execute(
            "select source_user_id, email_hash, role from read_parquet(?)", [files]
        ).fetchall()
    dan = keyed(it, "dan@corp.example")
    assert set(found) == {
        ("WK2", None, "agent"),
        ("client:alice", keyed(it, "alice@corp.example"), "agent"),
        (dan, dan, "agent"),
        ("E7", None, "agent"),
    }
    assert manifest.streams["source_users"].quarantined == 1


def test_a_duration_that_is_no_number_quarantines_its_call_alone(land: Land) -> None:
    it, manifest = land(
        [
            call("CA1", 0, 20, direction="outbound-api", to="client:a", duration="enim mollit"),
            call("CA2", 0, 20, direction="outbound-api", to="client:a"),
        ]
    )
    assert [row[0] for row in rows(it, manifest, "leg_id")] == ["CA2"]
    assert manifest.streams["calls"].quarantined == 1
