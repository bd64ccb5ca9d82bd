from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from landing_kit import MONTH, Place, balances, company, source

from connectors import amazon_connect
from connectors.base import ExtractContext
from perfhouse.errors import SourceMissing

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def contact(key: str, **more: Any) -> dict[str, Any]:
    return {
        "ContactId": key,
        "InitialContactId": None,
        "Agent": {
            "Username": "A1",
            "ConnectedToAgentTimestamp": "2026-09-01T01:00:30Z",
            "AgentInteractionDuration": 60,
            "CustomerHoldDuration": 5,
            "AfterContactWorkDuration": 12,
            "NumberOfHolds": 1,
        },
        "Channel": "VOICE",
        "CustomerEndpoint": {"Address": "+15550100001", "Type": "TELEPHONE_NUMBER"},
        "DisconnectReason": "CUSTOMER_DISCONNECT",
        "DisconnectTimestamp": "2026-09-01T01:02:00Z",
        "InitiationMethod": "INBOUND",
        "InitiationTimestamp": "2026-09-01T01:00:00Z",
        "LastUpdateTimestamp": "2026-09-01T01:10:00Z",
        "PreviousContactId": None,
        "NextContactId": None,
        "Queue": {"Name": "T1", "Duration": 25, "EnqueueTimestamp": "2026-09-01T01:00:05Z"},
        "TransferCompletedTimestamp": None,
        "TransferredToEndpoint": None,
        **more,
    }


def voice() -> Any:
    return source(id="voice", connector="amazon_connect", streams=(), time_zone="Asia/Shanghai")


def drop(place: Place, *contacts: object, name: str = "connect-1-2026-09-01-02-00-07-9a2c") -> None:
    path = place.data / "ctr" / "2026/09/01/02" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(c) for c in contacts))


def landed(place: Place, what: str) -> list[Any]:
    return place.rows(place.ingest(voice()), what, "calls")


@pytest.mark.parametrize(
    ("method", "channel", "direction", "media"),
    [
        ("INBOUND", "VOICE", "inbound", "voice"),
        ("TRANSFER", "VOICE", "inbound", "voice"),
        ("OUTBOUND", "VOICE", "outbound", "voice"),
        ("EXTERNAL_OUTBOUND", "VOICE", "outbound", "voice"),
        ("CALLBACK", "VOICE", "outbound", "callback"),
        ("API", "VOICE", "outbound", "voice"),
        ("API", "CHAT", "inbound", "chat"),
        ("INBOUND", None, "inbound", "voice"),
    ],
)
def test_who_called_whom_follows_from_how_the_contact_began(
    place: Place, method: str, channel: str | None, direction: str, media: str
) -> None:
    drop(place, contact("c1", InitiationMethod=method, Channel=channel))
    assert landed(place, "direction, media") == [(direction, media)]


@pytest.mark.parametrize(
    ("changes", "disposition"),
    [
        ({}, "answered"),
        ({"Agent": None}, "abandoned"),
        ({"Agent": None, "NextContactId": "c2"}, "transferred"),
        ({"Agent": None, "Queue": None}, "failed"),
    ],
)
def test_a_contact_ends_as_its_agent_queue_and_next_leg_tell(
    place: Place, changes: dict[str, Any], disposition: str
) -> None:
    drop(place, contact("c1", **changes))
    assert landed(place, "disposition") == [(disposition,)]


def test_what_is_no_customers_call_does_not_land(place: Place) -> None:
    survey = {"InitiationMethod": "DISCONNECT", "Agent": None, "Queue": None}
    drop(
        place,
        contact("a call"),
        contact("a task", Channel="TASK"),
        contact("a mail", Channel="EMAIL"),
        contact("a supervisor listening", InitiationMethod="MONITOR"),
        contact("a flow after the hang-up", **survey),
    )
    manifest = place.ingest(voice())
    assert place.rows(manifest, "leg_id", "calls") == [("a call",)]
    assert balances(manifest)


def test_objects_are_taken_with_and_without_a_suffix_glued_or_by_line(place: Place) -> None:
    drop(place, contact("c1"), contact("c2"))
    drop(place, contact("c3"), name="ctr.json")
    assert [row[0] for row in sorted(landed(place, "leg_id"))] == ["c1", "c2", "c3"]


def test_a_vendors_new_field_is_reported_and_does_not_land(place: Place) -> None:
    drop(place, contact("c1", QualityMetrics={"Agent": {"Audio": {"QualityScore": 4.5}}}))
    manifest = place.ingest(voice())
    assert "QualityMetrics" in manifest.streams["calls"].undeclared_fields


def test_customers_are_hashed_and_their_numbers_are_nowhere(place: Place) -> None:
    drop(place, contact("c1"))
    manifest = place.ingest(voice())
    files = [place.home.root / f.path for f in manifest.streams["calls"].files]
    assert files
    assert not any(b"15550100001" in file.read_bytes() for file in files)


def test_a_month_without_any_object_is_missing(place: Place) -> None:
    place.data.mkdir()
    with pytest.raises(SourceMissing, match="no file for calls"):
        place.ingest(voice())


def test_a_plan_names_the_first_and_the_last_hour_in_utc(place: Place) -> None:
    context = ExtractContext(company(), place.data, place.root)
    given = amazon_connect.CONNECTOR.defaults["calls"]
    (line,) = amazon_connect.plan(source(given, connector="amazon_connect"), MONTH, context)
    assert "ctr/2026/08/31/16/* ... ctr/2026/09/30/15/* (720 patterns) -> calls" in line


def test_of_2000_mutated_records_each_lands_or_is_quarantined(place: Place) -> None:
    chance = random.Random(11)
    for hour in range(4):
        drop(place, *(mutated(chance) for _ in range(500)), name=f"part-{hour}")
    manifest = place.ingest(voice())
    calls = manifest.streams["calls"]
    assert balances(manifest)
    assert calls.rows_read == 2_000
    assert calls.landed > 400
    assert calls.quarantined > 200
    assert len(place.bad(manifest, "calls")) == calls.quarantined


def mutated(chance: random.Random) -> dict[str, Any]:
    record = contact(f"c{chance.randrange(10**9)}")
    odd = [None, "", "soon", -1, 1e300, True, [], {}, [{"x": 1}], "2026-02-30T00:00:00Z", "\u0000"]
    for _ in range(chance.randint(0, 3)):
        inner = chance.choice(["Agent", "Queue", "CustomerEndpoint", ""])
        target = record[inner] if inner and isinstance(record[inner], dict) else record
        name = chance.choice(sorted(target) or ["New"])
        if chance.random() < 0.3:
            target.pop(name, None)
        else:
            target[name] = chance.choice(odd)
        record = {**dict.fromkeys(("Agent", "Queue", "CustomerEndpoint")), **record}
    return record


@pytest.mark.parametrize("name", ["ctr_2022_inbound.json", "ctr_2020_mongo_export.json"])
def test_the_records_that_projects_published_land_whole(place: Place, name: str) -> None:
    folder = SHARED / "amazon_connect_ctr"
    if not folder.is_dir():
        pytest.skip("the sample data is not here")
    drop(place, json.loads((folder / name).read_text()))
    manifest = place.ingest(voice())
    found = place.rows(manifest, "agent_id, disposition, media, direction, wait_ms", "calls")
    assert found in (
        [("admin1", "answered", "voice", "inbound", 7000)],
        [("agent-a", "answered", "voice", "inbound", 5000)],
    )
    assert manifest.streams["calls"].quarantined == 0
