"""Genesys: legs, waits, transfers and surveys of conversations, to the vendor's own examples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import stamina
from suite.cases import genesys
from suite.kit import Bench, Exchange, Record, Reply, Vendor

from perfhouse.errors import SourceChanged, SourceMissing, TransientError
from perfhouse.lake import Manifest

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "genesys_samples"
AGENT, QUEUE = "50fcd33c-f432-4726-abc9-979f3ca01555", "a623d83c-96d7-4baa-af1f-d46ad6700d8b"

Landed = tuple[Bench, Manifest, Vendor]
Land = Callable[..., Landed]


@pytest.fixture
def land(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Land]:
    def landed(world: list[Record], **keys: Any) -> Landed:
        fault = keys.pop("fault", lambda exchange, nth: None)
        case = replace(genesys.CASE, **keys)
        vendor = Vendor(case, world)
        vendor.fault = fault
        with vendor.serving() as url:
            it = Bench(case, url, tmp_path)
            monkeypatch.setenv(*it.connection)
            return it, it.ingest(), vendor

    with stamina.set_testing(True, attempts=2):
        yield landed


def rows(it: Bench, manifest: Manifest, what: str, stream: str = "calls") -> list[tuple[Any, ...]]:
    files = [str(it.home.root / f.path) for f in manifest.streams[stream].files]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(f"select {what} from read_parquet(?) order by all", [files]).fetchall()


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2021-04-01T{text}").replace(tzinfo=UTC)


def test_the_vendors_own_examples_become_exactly_these_rows(land: Land) -> None:
    if not SAMPLES.is_dir():
        pytest.skip(f"the vendor's samples are not at {SAMPLES}")
    world = [json.loads((SAMPLES / f"conversation{n}.json").read_bytes()) for n in (1, 2)]
    it, manifest, _ = land(world, **only_calls(month="2021-04", zone="UTC"))
    shown = (
        "leg_id, interaction_id, leg_no, media, direction, queue_id, agent_id, wait_ms, ring_ms, "
        "talk_ms, hold_ms, hold_count, acw_ms, disposition, raw_disposition, transfer_type, "
        "hangup_party, started_at, offered_at, answered_at, ended_at"
    )
    assert rows(it, manifest, shown) == [
        (
            *("b9ea3521-176e-4916-af7d-240732fc4680", "1bc96a39-6725-40c4-9345-db72aa67b8c6"),
            *(1, "chat", "inbound", QUEUE, AGENT, 11_179, 11_050, 374_561, 544_176, 1, None),
            *("answered", "peer", "none", "customer", at("12:27:53.519"), at("12:27:53.519")),
            *(at("12:28:04.569"), at("12:43:23.306")),
        )
    ]
    assert manifest.streams["calls"].outside_window == 1, "the second example has not ended yet"
    assert "John Doe" not in str(rows(it, manifest, "*"))


def conversation(n: int, *sessions: Record, **more: Any) -> Record:
    """An ended conversation, with sessions as (purpose, userId, session)."""
    whole = genesys.world(n + 1)[n]
    return {**whole, "participants": list(sessions), **more}


def participant(purpose: str, name: str, *segments: Record, **more: Any) -> Record:
    metrics = more.pop("metrics", {})
    session = {
        "sessionId": name,
        "mediaType": "voice",
        "direction": "inbound",
        "segments": list(segments),
        "metrics": [{"name": k, "value": v, "emitDate": None} for k, v in metrics.items()],
    }
    user = more.pop("userId", None)
    return {"purpose": purpose, "userId": user, "sessions": [{**session, **more}]}


def segment(kind: str, begin: str, end: str, **more: Any) -> Record:
    times = {"segmentStart": f"2026-09-05T{begin}Z", "segmentEnd": f"2026-09-05T{end}Z"}
    return {"segmentType": kind, **times, **more}


def test_a_transfer_ties_a_leg_to_the_next_and_a_wait_given_up_has_no_agent(land: Land) -> None:
    world = [
        conversation(
            1,
            participant(
                *("agent", "leg-1", segment("interact", "10:00:00", "10:02:00")),
                userId="u1",
                metrics={"tTalk": 60_000, "nTransferred": 1, "nBlindTransferred": 1},
            ),
            participant(
                *("agent", "leg-2", segment("alert", "10:02:00", "10:02:30")),
                userId="u2",
            ),
            participant(
                *("acd", "queue-1", segment("interact", "10:02:30", "10:03:00", queueId="q")),
                metrics={"tAbandon": 30_000},
            ),
        )
    ]
    it, manifest, _ = land(world)
    shown = (
        "leg_id, agent_id, disposition, transfer_type, transferred_to, transferred_from_leg, "
        "queue_id, wait_ms, hangup_party"
    )
    assert rows(it, manifest, shown) == [
        ("leg-1", "u1", "transferred", "blind", "leg-2", None, None, None, None),
        ("leg-2", "u2", "no_answer", "none", None, "leg-1", None, None, None),
        ("queue-1", None, "abandoned", None, None, None, "q", 30_000, "customer"),
    ]


def test_metrics_told_in_parts_are_added_up_and_email_is_no_call(land: Land) -> None:
    talk = segment("interact", "10:00:00", "10:02:00")
    world = [
        conversation(1, participant("agent", "a", talk, userId="u1")),
        conversation(2, participant("agent", "b", talk, userId="u1", mediaType="email")),
        conversation(3, participant("customer", "c", talk)),
    ]
    parts = [{"name": "tHeld", "value": 5}, {"name": "tHeld", "value": 7}]
    world[0]["participants"][0]["sessions"][0]["metrics"] = parts
    it, manifest, _ = land(world)
    assert rows(it, manifest, "leg_id, hold_ms, disposition") == [("a", 12, "answered")]
    assert manifest.streams["calls"].outside_window == 2


SURVEYS = [
    {"surveyId": "s1", "surveyFormContextId": "form", "surveyFormId": "form-2", "userId": "u1",
     "surveyStatus": "Finished", "surveyType": "Web", "oSurveyTotalScore": 80,
     "surveyPromoterScore": 9, "surveyCompletedDate": "2026-09-06T01:00:00.000Z",
     "eventTime": "2026-09-05T10:03:00.000Z"},
    {"surveyId": "s2", "surveyFormContextId": "form", "surveyFormId": "form-2", "userId": "u1",
     "surveyStatus": "Expired", "eventTime": "2026-09-05T11:00:00.000Z"},
    {"surveyId": "s3", "surveyFormContextId": "form", "surveyFormId": "form-2", "userId": "u1",
     "surveyStatus": "Finished", "oSurveyTotalScore": 10,
     "surveyCompletedDate": "2026-10-02T01:00:00.000Z", "eventTime": "2026-09-30T10:00:00.000Z"},
]  # fmt: skip


def test_a_survey_gives_a_row_for_each_score_in_the_month_it_was_answered(land: Land) -> None:
    it, manifest, _ = land([conversation(1, surveys=SURVEYS)])
    shown = "response_id, question_id, survey_kind, status, score, scale_max, agent_id, sent_at"
    sent = datetime(2026, 9, 5, 11, tzinfo=UTC)
    assert [
        tuple(float(v) if i in (4, 5) and v is not None else v for i, v in enumerate(row))
        for row in rows(it, manifest, shown, "survey_responses")
    ] == [
        ("s1", "promoter", "nps", "completed", 9.0, 10.0, "u1", None),
        ("s1", "total", "csat", "completed", 80.0, 100.0, "u1", None),
        ("s2", "total", "csat", "sent", None, 100.0, "u1", sent),
    ]
    assert manifest.streams["survey_responses"].outside_window == 1, "answered in October"


EVALUATIONS = [
    {"evaluationId": "e1", "userId": "u1", "evaluatorId": "q1", "formId": "f2", "contextId": "f",
     "evaluationStatus": "Finished", "released": True, "rescored": False, "oTotalScore": 87.5,
     "eventTime": "2026-09-06T01:00:00.000Z"},
    {"evaluationId": "e2", "userId": "u1", "systemSubmitted": True, "formId": "f2",
     "evaluationStatus": "Finished", "oTotalScore": 90, "deleted": True,
     "eventTime": "2026-09-06T02:00:00.000Z"},
    {"evaluationId": "e3", "userId": "u1", "evaluatorId": "q1", "evaluationStatus": "Pending",
     "eventTime": "2026-09-06T03:00:00.000Z"},
]  # fmt: skip


def test_a_finished_evaluation_is_a_review_and_a_deleted_one_its_deletion(land: Land) -> None:
    it, manifest, _ = land([conversation(1, evaluations=EVALUATIONS)])
    shown = "review_id, agent_id, evaluator_id, form_id, cast(score as double), _op"
    assert rows(it, manifest, shown, "qa_reviews") == [
        ("e1", "u1", "q1", "f", 87.5, "upsert"),
        ("e2", "u1", "system", "f2", 90.0, "delete"),
    ]


def test_users_tell_employee_numbers_and_hashed_addresses(land: Land) -> None:
    it, manifest, _ = land([])
    found = rows(it, manifest, "source_user_id, employee_no, is_active", "source_users")
    assert found == [(f"user-{n}", f"E{n:03d}", True) for n in range(3)]
    assert "corp.example" not in str(rows(it, manifest, "*", "source_users"))


def test_a_long_month_is_fetched_in_jobs_the_vendor_allows_and_each_is_deleted(land: Land) -> None:
    _, _, vendor = land(genesys.world(2))
    jobs = [e for e in vendor.seen if e.method == "POST" and e.path == genesys.JOBS]
    intervals = [e.json()["interval"] for e in jobs]
    assert intervals == [
        "2026-08-17T16:00:00.000Z/2026-09-17T16:00:00.000Z",
        "2026-09-17T16:00:00.000Z/2026-09-30T16:00:00.000Z",
    ]
    assert len([e for e in vendor.seen if e.method == "DELETE"]) == 2


def only_calls(**keys: Any) -> dict[str, Any]:
    streams = '[[sources.streams]]\nstream = "calls"\n'
    return {"source": f"{genesys.CASE.source}{streams}", **keys}


def test_without_surveys_only_the_month_is_asked_for(land: Land) -> None:
    _, _, vendor = land(genesys.world(2), **only_calls())
    jobs = [e for e in vendor.seen if e.method == "POST" and e.path == genesys.JOBS]
    assert [e.json()["interval"] for e in jobs] == [
        "2026-08-31T16:00:00.000Z/2026-09-30T16:00:00.000Z"
    ]


def state(*states: str) -> Callable[[Exchange, int], Reply | None]:
    told = iter(states)

    def fault(exchange: Exchange, nth: int) -> Reply | None:
        asked = exchange.method == "GET" and exchange.path.startswith(f"{genesys.JOBS}/")
        if not asked or "/results" in exchange.path or "availability" in exchange.path:
            return None
        return Reply({"state": next(told)})

    return fault


def test_a_job_is_asked_again_until_it_is_done(land: Land) -> None:
    world = genesys.world(2)
    it, manifest, _ = land(world, **only_calls(fault=state("QUEUED", "FULFILLED")))
    assert len(rows(it, manifest, "leg_id")) == 2


@pytest.mark.parametrize("told", ["FAILED", "CANCELLED", "EXPIRED"])
def test_a_job_that_ends_otherwise_is_tried_again_later(land: Land, told: str) -> None:
    with pytest.raises(TransientError, match=f"ended as {told}"):
        land(genesys.world(2), **only_calls(fault=state(told)))


def test_a_state_nobody_knows_is_a_changed_source(land: Land) -> None:
    with pytest.raises(SourceChanged, match="state of a job"):
        land(genesys.world(2), **only_calls(fault=state("DREAMING")))


def test_a_data_lake_that_ends_within_the_hour_after_the_month_is_waited_for(land: Land) -> None:
    reply = Reply({"dataAvailabilityDate": "2026-09-30T16:59:59Z"})

    def fault(exchange: Exchange, nth: int) -> Reply | None:
        return reply if exchange.path.endswith("/availability") else None

    with pytest.raises(SourceMissing, match="its watermark is 2026-09-30 15:59:59 UTC"):
        land(genesys.world(2), fault=fault)


@pytest.mark.parametrize(
    "mark", ["monitoredParticipantId", "coachedParticipantId", "bargedParticipantId"]
)
def test_who_listens_in_makes_no_leg(land: Land, mark: str) -> None:
    whole = genesys.world(2)[1]
    agent = next(p for p in whole["participants"] if p["purpose"] == "agent")
    session = {**agent["sessions"][0], "sessionId": "observing", mark: agent["participantId"]}
    boss = {"participantId": "b", "purpose": "user", "userId": "boss", "sessions": [session]}
    observed = {**whole, "participants": [*whole["participants"], boss]}
    it, manifest, _ = land([observed], **only_calls())
    assert rows(it, manifest, "agent_id, leg_no") == [(agent["userId"], 1)]
