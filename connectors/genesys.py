"""Genesys Cloud: conversations to legs, surveys and reviews by the details jobs, and users.

A job covers what was active in an interval; a conversation lands in the month in which it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from connectors import api, instants
from connectors.base import Beside, column
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Client, Policy, Refused, basic, leased
from connectors.paging import Page, Request, by_cursor, by_page
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import SourceChanged, TransientError
from perfhouse.settings import Connection

JOBS = "/api/v2/analytics/conversations/details/jobs"
LONGEST = timedelta(days=31)  # an interval may span no more
SETTLE = timedelta(hours=1)  # after-call work of who hung up last
_MEDIA = {
    **{"voice": "voice", "callback": "callback", "chat": "chat", "message": "chat"},
    "video": "video",
}
# what a conversation has by the vendor's SDK 262; another field is new and is reported
_KNOWN = frozenset(
    (
        *("accessAttributes", "associatedConversationId", "conferenceStart", "conversationEnd"),
        *("consultationConversationIds", "conversationId", "conversationInitiator"),
        *("conversationStart", "customerParticipation", "divisionIds", "evaluations"),
        *("externalTag", "inactivityTimeout", "knowledgeBaseIds", "originatingDirection"),
        *("mediaStatsMinConversationMos", "mediaStatsMinConversationRFactor", "participants"),
        *("originatingSocialMediaPublic", "resolutions", "selfServed", "surveys"),
    )
)
_HUNG_UP = {
    **dict.fromkeys(("client", "endpoint"), "agent"),
    "peer": "customer",
    **dict.fromkeys(("system", "timeout", "error", "inactivity", "sessionExpired"), "system"),
    **dict.fromkeys(("transportFailure", "uncallable", "spam", "other"), "system"),
}
# a session that listens in on another, coaches it or breaks into it is no leg of its own
_OBSERVES = ("monitoredParticipantId", "coachedParticipantId", "bargedParticipantId")
_SURVEYS = {
    **{"Finished": "completed", "InProgress": "partial", "Error": "invalid"},
    **dict.fromkeys(("Pending", "Sent", "OptOut", "Expired"), "sent"),
}

Json = Mapping[str, Any]


def _client(source: Source, connection: Connection) -> Client:
    region = connection.host.removeprefix("api.") or "mypurecloud.com"
    url = source.options.get("url")
    login = str(url or f"https://login.{region}").rstrip("/")
    return Client(
        str(url or f"https://api.{region}").rstrip("/"),
        headers={"Accept": "application/json"},
        policy=Policy(per_second=4.5, burst=20),
        credentials=leased(partial(_lease, f"{login}/oauth/token", connection)),
    )


def _lease(url: str, connection: Connection, bare: Client) -> tuple[str, float]:
    who = basic(connection.login, connection.password)
    answer = bare.fetch(
        "POST",
        url,
        form={"grant_type": "client_credentials"},
        headers={who.name: f"{who.prefix}{who.value}"},
    )
    page = Page(answer.body, Request("/oauth/token"))
    token, seconds = page.at("access_token"), page.at("expires_in", 3600)
    if not isinstance(token, str) or not isinstance(seconds, int | float):
        raise TransientError("/oauth/token: the answer has no token")
    return token, float(seconds)


def _available(call: Call) -> datetime | None:
    """Return until when the data lake is complete, less the time that after-call work takes."""
    page = call.send(Request(f"{JOBS}/availability"))
    reached = instants.parsed(page.at("dataAvailabilityDate"), f"{JOBS}/availability")
    if reached is None:
        raise SourceChanged(f"{JOBS}/availability: the answer has no dataAvailabilityDate")
    return reached - SETTLE


def _conversations(call: Call) -> Iterator[Page]:
    """Yield what was active in the month; for surveys and reviews, that of some days before too."""
    begin = call.window.start
    if {stream.stream for stream in call.source.streams} - {"calls", "source_users"}:
        begin -= timedelta(days=call.whole("late_days", 14, least=0))
    while begin < call.window.end:
        end = min(begin + LONGEST, call.window.end)
        yield from _job(call, begin, end)
        begin = end


def _job(call: Call, begin: datetime, end: datetime) -> Iterator[Page]:
    form = "%Y-%m-%dT%H:%M:%S.000Z"
    body = {
        "interval": f"{begin.strftime(form)}/{end.strftime(form)}",
        "order": "asc",
        "orderBy": "conversationStart",
    }
    job = call.send(Request(JOBS, body=body, method="POST")).at("jobId")
    if not isinstance(job, str) or not job:
        raise SourceChanged(f"{JOBS}: the answer has no jobId")
    try:
        call.until(Request(f"{JOBS}/{job}"), _done)
        size = call.whole("page_size", 1000)
        results = Request(f"{JOBS}/{job}/results", {"pageSize": size})
        yield from call.pages(results, by_cursor("cursor", "cursor"))
    finally:
        # whatever happened: a finished job only takes room, and it expires by itself
        with suppress(Refused, TransientError):
            call.send(Request(f"{JOBS}/{job}", method="DELETE"))


def _done(page: Page) -> bool:
    state = page.at("state")
    if state in ("FAILED", "CANCELLED", "EXPIRED"):
        raise TransientError(f"{JOBS}: the job ended as {state}")
    if state not in ("FULFILLED", "QUEUED", "PENDING"):
        raise SourceChanged(f"{JOBS}: expected the state of a job")
    return bool(state == "FULFILLED")


# --- conversations to legs ---------------------------------------------------------------


def legs(conversation: Json, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Return a row for each agent's session, and one for each wait in a queue that was given up.

    None of a conversation that has not ended: a later month has it whole.
    """
    if not conversation.get("conversationEnd"):
        return
    rows = sorted(
        (
            row
            for participant in conversation.get("participants") or []
            for session in participant.get("sessions") or []
            if (row := _leg(conversation, participant, session)) is not None
        ),
        key=lambda row: (row["started"], row["leg"]),
    )
    _tie(rows)
    for row in rows:
        yield {**_fresh(conversation), **_about(conversation), **row}


def _leg(conversation: Json, participant: Json, session: Json) -> dict[str, Any] | None:
    media = _MEDIA.get(session.get("mediaType", ""))
    segments = session.get("segments") or []
    if media is None or not segments or any(session.get(name) for name in _OBSERVES):
        return None
    facts = {name: value for name, value in _sums(session).items() if value is not None}
    agent = participant.get("userId")
    if participant["purpose"] in ("agent", "user") and agent:
        made = {"agent": agent, **_handled(session, segments, facts)}
    elif participant["purpose"] == "acd" and "tAbandon" in facts:
        short = "tShortAbandon" in facts
        made = {
            "outcome": "short_abandon" if short else "abandoned",
            "queued": segments[0]["segmentStart"],
            "waited_ms": facts["tAbandon"],
            "hung_up": "customer",
        }
    else:
        return None
    return {
        "leg": session["sessionId"],
        "media": media,
        "way": session.get("direction") or conversation.get("originatingDirection"),
        "queue": next((s["queueId"] for s in segments if s.get("queueId")), None),
        "started": min(s["segmentStart"] for s in segments),
        "ended": max(s.get("segmentEnd") or conversation["conversationEnd"] for s in segments),
        "raw": segments[-1].get("disconnectType"),
        "agent": None,
        **made,
    }


def _handled(session: Json, segments: Sequence[Json], facts: dict[str, Any]) -> dict[str, Any]:
    """Return what an agent's session tells of its work."""
    kinds = [segment.get("segmentType") for segment in segments]
    talk = _began(segments, "interact")
    moved = facts.get("nTransferred", 0) > 0
    return {
        "outcome": _outcome(kinds, segments, talk is not None or "tTalk" in facts, moved),
        "answered": _emitted(session, "tAnswered") or talk,
        "offered": _began(segments, "alert"),
        "waited_ms": facts.get("tAnswered"),
        "rang_ms": facts.get("tAlert"),
        "talked_ms": facts.get("tTalk", facts.get("tTalkComplete")),
        "held_ms": facts.get("tHeld", facts.get("tHeldComplete")),
        "held": kinds.count("hold"),
        "acw_ms": facts.get("tAcw"),
        "transfer": _transfer(facts) if moved else "none",
        "moved": moved,
        "hung_up": _HUNG_UP.get(segments[-1].get("disconnectType") or ""),
        "wrap_up": next((s["wrapUpCode"] for s in segments if s.get("wrapUpCode")), None),
        "recorded": session.get("recording"),
    }


def _outcome(
    kinds: Sequence[Any], segments: Sequence[Json], spoke: bool, moved: bool
) -> str | None:
    if spoke:
        return "transferred" if moved else "answered"
    if "voicemail" in kinds:
        return "voicemail"
    failed = segments[-1].get("disconnectType") in ("error", "transportFailure", "uncallable")
    return "failed" if failed else "no_answer"


def _transfer(facts: Json) -> str:
    if facts.get("nBlindTransferred", 0) > 0:
        return "blind"
    return "attended" if facts.get("nConsultTransferred", 0) > 0 else "queue"


def _sums(session: Json) -> dict[str, Any]:
    """Return a session's metrics by name; one that is told in parts is added up."""
    sums: dict[str, Any] = {}
    for metric in session.get("metrics") or []:
        sums[metric["name"]] = sums.get(metric["name"], 0) + metric.get("value", 0)
    return sums


def _began(segments: Sequence[Json], kind: str) -> Any:
    return next((s["segmentStart"] for s in segments if s.get("segmentType") == kind), None)


def _emitted(session: Json, name: str) -> Any:
    metrics = session.get("metrics") or []
    return next((m.get("emitDate") for m in metrics if m["name"] == name), None)


def _tie(rows: list[dict[str, Any]]) -> None:
    """Number the legs in time, and tie a transferred one to the next of the conversation."""
    for number, row in enumerate(rows, start=1):
        row["number"] = number
    moved = [row.pop("moved", False) for row in rows]
    for here, after, went in zip(rows, rows[1:], moved, strict=False):
        if went:
            here["to_leg"], after["from_leg"] = after["leg"], here["leg"]


def _about(conversation: Json) -> dict[str, Any]:
    """Return the conversation's own facts, and the customer's address."""
    row = {
        "conversation": conversation["conversationId"],
        "changed": conversation["conversationEnd"],
        "customer": None,
    }
    for participant in conversation.get("participants") or []:
        if participant["purpose"] not in ("customer", "external"):
            continue
        for session in participant.get("sessions") or []:
            outbound = session.get("direction") == "outbound"
            address = session.get("dnis" if outbound else "ani") or session.get("addressFrom")
            row["customer"] = address or participant.get("externalContactId")
            return row
    return row


def _fresh(conversation: Json) -> dict[str, Any]:
    return {name: value for name, value in conversation.items() if name not in _KNOWN}


def answers(conversation: Json, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Return a row for each survey's score and, where it asks for one, its promoter score."""
    for survey in conversation.get("surveys") or []:
        status = _SURVEYS.get(survey.get("surveyStatus") or "")
        if status == "completed" and survey.get("surveyPartialResponse"):
            status = "partial"
        row = {
            "conversation": conversation["conversationId"],
            "survey": survey["surveyId"],
            "form": survey.get("surveyFormContextId") or survey["surveyFormId"],
            "version": survey.get("surveyFormId"),
            "status": status,
            "sent": survey.get("eventTime") if status == "sent" else None,
            "submitted": survey.get("surveyCompletedDate") or survey["eventTime"],
            "changed": survey.get("eventTime"),
            "agent": survey.get("userId"),
            "channel": survey.get("surveyType"),
        }
        total, promoter = survey.get("oSurveyTotalScore"), survey.get("surveyPromoterScore")
        if total is not None or promoter is None:
            yield {**row, "question": "total", "kind": "csat", "score": total, "most": 100}
        if promoter is not None:
            yield {**row, "question": "promoter", "kind": "nps", "score": promoter, "most": 10}


def reviews(conversation: Json, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Return a row for each finished evaluation, and for one taken back or deleted since."""
    for evaluation in conversation.get("evaluations") or []:
        status, deleted = evaluation.get("evaluationStatus"), evaluation.get("deleted") is True
        if not deleted and status not in ("Finished", "Retracted"):
            continue
        by_machine = "system" if evaluation.get("systemSubmitted") is True else None
        yield {
            "conversation": conversation["conversationId"],
            "review": evaluation["evaluationId"],
            "agent": evaluation.get("userId"),
            "evaluator": evaluation.get("evaluatorId") or by_machine,
            "form": evaluation.get("contextId") or evaluation.get("formId"),
            "version": evaluation.get("formId"),
            "at": evaluation["eventTime"],
            "score": evaluation.get("oTotalScore"),
            "rescored": evaluation.get("rescored"),
            "calibration": evaluation.get("calibrationId"),
            "deleted": deleted or status == "Retracted",
            "op": "delete" if deleted or status == "Retracted" else "upsert",
        }


# --- mappings ----------------------------------------------------------------------------


_CALLS = {
    "leg_id": column("leg"),
    "interaction_id": column("conversation"),
    "leg_no": column("number"),
    "media": column("media"),
    "direction": column("way"),
    "queue_id": column("queue"),
    "agent_id": column("agent"),
    "customer_key": ColumnMapping(sql="regexp_replace(customer, '^(tel|sip):', '')", hash=True),
    "ani_hash": ColumnMapping(sql="regexp_replace(customer, '^(tel|sip):', '')", hash=True),
    "started_at": column("started"),
    "queued_at": column("queued"),
    "offered_at": column("offered"),
    "answered_at": column("answered"),
    "ended_at": column("ended"),
    "wait_ms": column("waited_ms"),
    "ring_ms": column("rang_ms"),
    "talk_ms": column("talked_ms"),
    "hold_ms": column("held_ms"),
    "hold_count": column("held"),
    "acw_ms": column("acw_ms"),
    "disposition": column("outcome"),
    "raw_disposition": column("raw"),
    "transfer_type": column("transfer"),
    "transferred_from_leg": column("from_leg"),
    "transferred_to": column("to_leg"),
    "hangup_party": column("hung_up"),
    "wrapup_code": column("wrap_up"),
    "recording_ref": ColumnMapping(sql="case when recorded = 'true' then conversation end"),
    "source_updated_at": column("changed"),
}
_RESPONSES = {
    "response_id": column("survey"),
    "survey_id": column("form"),
    "survey_version": column("version"),
    "survey_kind": column("kind"),
    "question_id": column("question"),
    "metric": column("kind"),
    "status": column("status"),
    "sent_at": column("sent"),
    "submitted_at": column("submitted"),
    "score": column("score"),
    "scale_min": ColumnMapping(value=0),
    "scale_max": column("most"),
    "agent_id": column("agent"),
    "interaction_id": column("conversation"),
    "channel": column("channel"),
    "rater_type": ColumnMapping(value="customer"),
    "source_updated_at": column("changed"),
}
_REVIEWS = {
    "review_id": column("review"),
    "interaction_id": column("conversation"),
    "agent_id": column("agent"),
    "evaluator_id": column("evaluator"),
    "form_id": column("form"),
    "form_version": column("version"),
    "reviewed_at": column("at"),
    "score": column("score"),
    "scale_max": ColumnMapping(value=100),
    "rescored": column("rescored"),
    "calibration_id": column("calibration"),
    "deleted": column("deleted"),
    "source_updated_at": column("at"),
    "_op": column("op"),
}
_USERS = {
    "source_user_id": column("id"),
    "employee_no": column("employerInfo.employeeId"),
    "email_hash": ColumnMapping(sql="lower(trim(email))", hash=True),
    "role": ColumnMapping(value="agent"),
    "is_active": ColumnMapping(
        source="state", values={"active": "true", "inactive": "false", "deleted": "false"}
    ),
    "source_seq": column("version"),
}


def _mapping(
    stream: str,
    window: str | None,
    columns: dict[str, ColumnMapping],
    ignore: tuple[str, ...] = (),
) -> StreamMapping:
    return StreamMapping(stream, {"format": api.FORMAT}, window, columns, ignore)


def _users(call: Call) -> Iterator[Page]:
    size = call.whole("page_size", 500)
    query = {"pageSize": min(size, 500), "pageNumber": 1, "state": "any", "expand": "employerInfo"}
    following = by_page("pageNumber", "entities", min(size, 500), pages="pageCount")
    return call.pages(Request("/api/v2/users", query), following)


SYSTEM = System(
    client=_client,
    endpoints=(
        Endpoint(
            "conversations",
            _conversations,
            records="conversations",
            streams=("calls", "survey_responses", "qa_reviews"),
        ),
        Endpoint("users", _users, records="entities", streams=("source_users",), total="total"),
    ),
    watermark=_available,
)
CONNECTOR = api.connector(
    name="genesys",
    title="Genesys Cloud",
    reads="conversations that ended in the month, their surveys and evaluations, and the users",
    system=SYSTEM,
    defaults={
        "calls": _mapping("calls", "source_updated_at", _CALLS),
        "survey_responses": _mapping("survey_responses", "submitted_at", _RESPONSES),
        "qa_reviews": _mapping("qa_reviews", "reviewed_at", _REVIEWS),
        "source_users": _mapping(
            "source_users",
            None,
            _USERS,
            ("name", "username", "title", "department", "chat", "division", "images", "selfUri"),
        ),
    },
    unfold={"calls": legs, "survey_responses": answers, "qa_reviews": reviews},
    options=("late_days", "page_size", "url"),
    snapshots=("source_users",),
)
