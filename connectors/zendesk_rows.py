"""Rows of Zendesk's answers: tickets with their metrics, updates event by event, ratings, agents.

Pure functions and columns; nothing here may speak with a server or know the clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors import instants
from connectors.base import Beside, Unfold, column
from connectors.paging import number
from perfhouse.company import ColumnMapping, StreamMapping

MERGED = "closed_by_merge"  # the tag that Zendesk sets on a ticket merged into another


def _inside(at: datetime, beside: Beside) -> bool:
    return (beside.start is None or at >= beside.start) and (beside.end is None or at < beside.end)


def _ticket(record: dict[str, Any], beside: Beside) -> Iterator[dict[str, Any]]:
    """Join a ticket with its metrics and its group's name; drop what lies beyond the window."""
    exported = beside.name.startswith("tickets/")
    if exported and not _inside(instants.moment(record["generated_timestamp"]), beside):
        return
    metrics = record.get("metric_set") or _sideloaded(beside.page, record["id"])
    group = beside.lookup("groups", "id").get(str(record.get("group_id"))) or {}
    merged = MERGED in (record.get("tags") or ())
    yield {
        **record,
        "merged": merged and record.get("status") == "closed",
        "queue_name": group.get("name"),
        "metrics": metrics,
        "first_response_at": _first_response(record["created_at"], metrics),
    }


def _sideloaded(page: Any, ticket: Any) -> Mapping[str, Any]:
    sets = page.get("metric_sets") or () if isinstance(page, dict) else ()
    return next((m for m in sets if m.get("ticket_id") == ticket), {})


def _first_response(created: str, metrics: Mapping[str, Any]) -> str | None:
    """Return creation plus the reply time: by the second where told, else by the minute."""
    seconds = (metrics.get("reply_time_in_seconds") or {}).get("calendar")
    minutes = (metrics.get("reply_time_in_minutes") or {}).get("calendar")
    if seconds is None and minutes is None:
        return None
    waited = timedelta(minutes=minutes or 0) if seconds is None else timedelta(seconds=seconds)
    return (datetime.fromisoformat(created) + waited).isoformat()


_ROBOTS = frozenset(("rule", "rule_revision", "trigger", "automation", "system", "8"))
_MERGES = frozenset(("merge", "19"))
_OPEN = frozenset(("new", "open", "pending", "hold"))
_COMMENTS = frozenset(("Comment", "VoiceComment", "FacebookComment"))
# values that are no free text and no customer's: all others stay behind
_TOLD = frozenset(
    (
        *("status", "priority", "type", "assignee_id", "group_id", "custom_status_id"),
        *("brand_id", "ticket_form_id", "due_at", "is_public", "satisfaction_score"),
    )
)
_FIELD_TYPES = {
    "assignee_id": "assigned",
    "group_id": "queue_changed",
    "priority": "priority_changed",
    "tags": "tag_changed",
}
_NO_FIELDS = frozenset(
    (
        *("id", "via", "via_reference_id", "type", "event_type", "previous_value", "created_at"),
        *("audit_id", "metadata", "added_tags", "removed_tags", "field_name", "value"),
    )
)


def _audit(record: dict[str, Any], beside: Beside) -> Iterator[dict[str, Any]]:
    """Unfold one update of a ticket into its events."""
    at = instants.moment(record["timestamp"])
    if beside.end is not None and at >= beside.end:
        return
    for place, child in enumerate(record["child_events"]):
        kind = str(child.get("event_type") or child.get("type"))
        who, role = _actor(record, child, beside)
        rows = list(_facts(kind, child, role))
        for nth, facts in enumerate(rows):
            key = child.get("id") or f"{record['id']}.{place}"
            yield {
                "event_id": f"{key}-{nth}" if nth else key,
                "ticket_id": record["ticket_id"],
                "audit_id": record["id"],
                "seq": place,
                "occurred_at": child.get("created_at")
                or record.get("created_at")
                or at.isoformat(),
                "actor_id": who,
                "actor_type": role,
                "raw_type": kind,
                "via_automation": bool(_via(record, child) & _ROBOTS),
                **facts,
            }


def _facts(kind: str, child: Mapping[str, Any], role: str) -> Iterator[dict[str, Any]]:
    if kind in _COMMENTS:
        yield from _comment(child, role)
    elif kind == "SatisfactionRating":
        yield from _rated(child)
    elif kind in ("Create", "Change"):
        for field, old, new in _changes(child):
            told = field in _TOLD
            for event in _meanings(kind, field, old, new, child):
                yield {
                    "event_type": event,
                    "field": field,
                    "old_value": old if told else None,
                    "new_value": new if told else None,
                }


def _changes(child: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (field, old, new): the export names the field by a key, an audit by `field_name`."""
    old = child.get("previous_value")
    if "field_name" in child:
        yield str(child["field_name"]), old, child.get("value")
        return
    for field in child:
        if field not in _NO_FIELDS:
            yield field, old, child[field]


def _meanings(kind: str, field: str, old: Any, new: Any, child: Mapping[str, Any]) -> Iterator[str]:
    if field != "status":
        yield _FIELD_TYPES.get(field, "field_changed")
        return
    if kind == "Create":
        yield "created"
    if _words(child) & _MERGES and new == "closed":
        yield "merged"
    elif new in ("solved", "closed", "deleted"):
        yield str(new)
    elif kind == "Change":
        yield "reopened" if old in ("solved", "closed") and new in _OPEN else "status_changed"


def _comment(child: Mapping[str, Any], role: str) -> Iterator[dict[str, Any]]:
    public = child.get("public", child.get("comment_public"))
    told = "customer_reply" if role == "customer" else "public_reply"
    yield {"event_type": told if public else "internal_note", "is_public": bool(public)}


def _rated(child: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    score = child.get("score")
    if score in ("offered", "good", "bad"):
        event = "csat_offered" if score == "offered" else "csat_received"
        yield {"event_type": event, "field": "satisfaction_score", "new_value": score}


def _actor(record: Mapping[str, Any], child: Mapping[str, Any], beside: Beside) -> tuple[Any, str]:
    """Return who acted and as what; a customer's id is nobody's business."""
    via = _via(record, child)
    who = number(child.get("author_id") or record.get("updater_id"))
    if via & _ROBOTS or who is None or who < 0:
        return None, "system"
    if any("bot" in word for word in via):
        return who, "bot"
    known = any(str(who) in beside.lookup(name, "id") for name in ("agents", "former_agents"))
    private = child.get("public", child.get("comment_public")) is False
    return (who, "agent") if known or private else (None, "customer")


def _via(record: Mapping[str, Any], child: Mapping[str, Any]) -> set[str]:
    """Return the words that say how it was done; an event's own stand before its update's."""
    return _words(child) or _words(record)


def _words(thing: Mapping[str, Any]) -> set[str]:
    via = thing.get("via")
    if isinstance(via, Mapping):
        told = (via.get("channel"), (via.get("source") or {}).get("rel"))
    else:
        told = (via, None)
    return {str(word).lower().replace(" ", "_") for word in told if word not in (None, "")}


def _rating(record: dict[str, Any], beside: Beside) -> Iterator[dict[str, Any]]:
    """Yield a rating that was offered or given in the window; `unoffered` is neither."""
    at = datetime.fromisoformat(record["updated_at"])
    if record["score"] == "unoffered" or not _inside(at, beside):
        return
    comment = record.get("comment")
    yield {**record, "comment": None, "has_comment": bool(comment)}


def _user(record: dict[str, Any], beside: Beside) -> Iterator[dict[str, Any]]:
    former = beside.name.startswith("former_agents/")
    active = bool(record.get("active", True)) and not record.get("suspended")
    yield {
        **record,
        "role": "agent" if former else record["role"],
        "is_active": active and not former,
    }


def _fewer_by_one(name: str) -> ColumnMapping:
    return ColumnMapping(sql=f'greatest(cast("{name}" as bigint) - 1, 0)')


_SCORE = """case "{}" when 'good' then 1 when 'bad' then 0 end"""
_CHANNELS = {
    **dict.fromkeys(("email", "mail"), "email"),
    **dict.fromkeys(("web", "web_form", "help_center", "web_widget", "closed_ticket"), "web"),
    **dict.fromkeys(("voice", "phone"), "phone"),
    **dict.fromkeys(("api", "web_service"), "api"),
    **dict.fromkeys(("chat", "native_messaging", "messaging"), "chat"),
    "sms": "sms",
    **dict.fromkeys(
        (
            *("facebook", "twitter", "instagram_dm", "whatsapp", "line", "wechat", "any_channel"),
            *("twitter_dm", "facebook_post", "facebook_message", "viber", "telegram"),
        ),
        "social",
    ),
}
_TICKETS = {
    "ticket_id": column("id"),
    "external_ref": column("external_id"),
    "subject_hash": ColumnMapping(source="subject", hash=True),
    "category": column("type"),
    "channel": ColumnMapping(source="via.channel", values=_CHANNELS, otherwise="other"),
    "raw_channel": column("via.channel"),
    "priority": column("priority"),
    "status": ColumnMapping(sql="""if("merged" = 'true', 'merged', "status")"""),
    "raw_status": column("status"),
    "queue_id": column("group_id"),
    "queue_name": column("queue_name"),
    "assignee_id": column("assignee_id"),
    "requester_key": ColumnMapping(source="requester_id", hash=True),
    "created_at": column("created_at"),
    "first_assigned_at": column("metrics.initially_assigned_at"),
    "first_response_at": column("first_response_at"),
    "resolved_at": column("metrics.solved_at"),
    "closed_at": ColumnMapping(
        sql="""if("status" = 'closed', coalesce("metrics.status_updated_at", "updated_at"), null)"""
    ),
    "due_at": column("due_at"),
    "reopen_count": column("metrics.reopens"),
    "reassign_count": _fewer_by_one("metrics.assignee_stations"),
    "transfer_count": _fewer_by_one("metrics.group_stations"),
    "reply_count": column("metrics.replies"),
    "tags": column("tags"),
    "csat_score": ColumnMapping(sql=_SCORE.format("satisfaction_rating.score")),
    "source_updated_at": column("updated_at"),
    "source_seq": column("generated_timestamp"),
}
_EVENTS = {
    name: column(name)
    for name in (
        *("event_id", "ticket_id", "seq", "occurred_at", "actor_id", "actor_type", "event_type"),
        *("raw_type", "field", "old_value", "new_value", "is_public", "via_automation"),
    )
} | {"source_updated_at": column("occurred_at"), "source_seq": column("audit_id")}
_RATINGS = {
    "response_id": column("id"),
    "survey_id": ColumnMapping(value="satisfaction_rating"),
    "survey_kind": ColumnMapping(value="csat"),
    "question_id": ColumnMapping(value="csat"),
    "metric": ColumnMapping(value="csat"),
    "status": ColumnMapping(source="score", values={"offered": "sent"}, otherwise="completed"),
    "sent_at": column("created_at"),
    "submitted_at": column("updated_at"),
    "score": ColumnMapping(sql=_SCORE.format("score")),
    "scale_min": ColumnMapping(value=0),
    "scale_max": ColumnMapping(value=1),
    "score_choice": column("score"),
    "has_comment": column("has_comment"),
    "agent_id": column("assignee_id"),
    "team_id": column("group_id"),
    "ticket_id": column("ticket_id"),
    "rater_type": ColumnMapping(value="customer"),
    "rater_key": ColumnMapping(source="requester_id", hash=True),
    "source_updated_at": column("updated_at"),
}
_USERS = {
    "source_user_id": column("id"),
    "email_hash": ColumnMapping(sql='lower(trim("email"))', hash=True),
    "role": ColumnMapping(
        source="role", values={"agent": "agent", "admin": "admin"}, otherwise="other"
    ),
    "is_active": column("is_active"),
    "source_updated_at": column("updated_at"),
}


def _ready(stream: str, columns: Mapping[str, ColumnMapping], known: str = "") -> StreamMapping:
    return StreamMapping(stream, {}, None, columns, tuple(known.split()))


DEFAULTS: dict[str, StreamMapping] = {
    "tickets": _ready(
        "tickets",
        _TICKETS,
        "url raw_subject description recipient submitter_id organization_id collaborator_ids "
        "follower_ids email_cc_ids forum_topic_id problem_id has_incidents is_public "
        "custom_fields fields sharing_agreement_ids custom_status_id followup_ids "
        "ticket_form_id deleted_ticket_form_id brand_id allow_channelback allow_attachments "
        "from_messaging_channel satisfaction_rating via metrics metric_set "
        "result_type support_type encoded_id",
    ),
    "ticket_events": _ready("ticket_events", _EVENTS),
    "survey_responses": _ready(
        "survey_responses", _RATINGS, "url comment reason reason_id reason_code"
    ),
    "source_users": _ready(
        "source_users",
        _USERS,
        "url name created_at time_zone iana_time_zone phone shared_phone_number photo "
        "locale_id locale organization_id verified external_id tags alias active shared "
        "shared_agent last_login_at two_factor_auth_enabled signature details notes role_type "
        "custom_role_id moderator ticket_restriction only_private_comments restricted_agent "
        "suspended default_group_id report_csv user_fields last_active",
    ),
}
UNFOLD: dict[str, Unfold] = {
    "tickets": _ticket,
    "ticket_events": _audit,
    "survey_responses": _rating,
    "source_users": _user,
}
