"""The canonical streams: what every connector lands, whatever the source calls it.

Data only; nothing here may read a file, a database or a company's configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = "1"

ID = "VARCHAR"
TEXT = "VARCHAR"
AT = "TIMESTAMPTZ"
ON = "DATE"
COUNT = "BIGINT"
MS = "BIGINT"
FLAG = "BOOLEAN"
SCORE = "DECIMAL(9,4)"
LIST = "VARCHAR[]"


@dataclass(frozen=True)
class Column:
    """One canonical column; `values` is its closed list, minimum and maximum are included."""

    name: str
    type: str
    required: bool = False
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Stream:
    """One canonical raw table.

    Args:
        key: the source's own key, without `_source`.
        event_at: columns whose instant or day tells which month a row describes; the first
            that is not null decides whether it arrived late.
    """

    name: str
    key: tuple[str, ...]
    event_at: tuple[str, ...]
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        """Return a business or mappable envelope column, or None."""
        return next((c for c in (*self.columns, *MAPPABLE) if c.name == name), None)


def _columns(kind: str, *names: str, minimum: float | None = None) -> tuple[Column, ...]:
    return tuple(
        Column(name.rstrip("*"), kind, required=name.endswith("*"), minimum=minimum)
        for name in names
    )


def _enum(name: str, *values: str) -> Column:
    return Column(name.rstrip("*"), TEXT, required=name.endswith("*"), values=values)


# Envelope columns that a mapping may fill; the engine writes the others.
MAPPABLE = (
    Column("source_updated_at", AT),
    Column("source_seq", COUNT),
    Column("_op", TEXT, values=("upsert", "delete")),
    Column("extra", "JSON"),
)
ENVELOPE = (
    Column("_source", ID),
    Column("_run_id", ID),
    Column("_window", TEXT),
    Column("_landed_at", AT),
    Column("_row_hash", TEXT),
    Column("_schema_version", TEXT),
    Column("_op", TEXT),
    Column("source_updated_at", AT),
    Column("source_seq", COUNT),
    Column("extra", TEXT),
    Column("_file", TEXT),
    Column("_row_number", COUNT),
)

# Why an appeal was decided as it was, and why one that came late was let in.
APPEAL_DECISIONS = (
    *("data_error", "wrong_person", "outside_control", "duplicate", "rule_applies"),
    *("no_evidence", "out_of_scope", "other"),
)
APPEAL_ADMISSIONS = ("absence", "outage", "late_notice", "other")

TICKETS = Stream(
    "tickets",
    key=("ticket_id",),
    event_at=("source_updated_at", "created_at"),
    columns=(
        *_columns(ID, "ticket_id*", "external_ref", "subject_hash", "category"),
        *_columns(FLAG, "is_complaint"),
        _enum(
            "channel",
            *("phone", "wecom", "wechat_kf", "email", "chat", "web", "sms", "social", "api"),
            "other",
        ),
        *_columns(TEXT, "raw_channel"),
        _enum("priority", "low", "normal", "high", "urgent"),
        _enum("status", "new", "open", "pending", "hold", "solved", "closed", "deleted", "merged"),
        *_columns(TEXT, "raw_status"),
        *_columns(ID, "queue_id", "queue_name", "assignee_id", "resolved_by_id"),
        *_columns(ID, "first_responder_id", "requester_key", "customer_tier", "sla_policy"),
        *_columns(FLAG, "sla_breached"),
        *_columns(AT, "sla_due_first_response_at", "sla_due_resolution_at", "created_at*"),
        *_columns(AT, "first_assigned_at", "first_response_at", "resolved_at", "closed_at"),
        *_columns(AT, "due_at"),
        *_columns(COUNT, "reopen_count", "reassign_count", "transfer_count", minimum=0),
        *_columns(COUNT, "reply_count", minimum=0),
        *_columns(ID, "merged_into"),
        *_columns(LIST, "tags"),
        *_columns(SCORE, "csat_score"),
    ),
)

TICKET_EVENTS = Stream(
    "ticket_events",
    key=("event_id",),
    event_at=("occurred_at",),
    columns=(
        *_columns(ID, "event_id*", "ticket_id*"),
        *_columns(COUNT, "seq"),
        *_columns(AT, "occurred_at*"),
        *_columns(ID, "actor_id"),
        _enum("actor_type", "agent", "customer", "system", "bot"),
        _enum(
            "event_type",
            *("created", "status_changed", "assigned", "queue_changed", "priority_changed"),
            *("public_reply", "internal_note", "customer_reply", "sla_breached", "sla_fulfilled"),
            *("escalated", "reopened", "solved", "closed", "merged", "deleted", "csat_offered"),
            *("csat_received", "tag_changed", "field_changed"),
        ),
        *_columns(TEXT, "raw_type", "field", "old_value", "new_value"),
        *_columns(FLAG, "is_public", "via_automation"),
        *_columns(MS, "time_spent_ms", minimum=0),
    ),
)

CALLS = Stream(
    "calls",
    key=("leg_id",),
    event_at=("ended_at",),
    columns=(
        *_columns(ID, "leg_id*", "interaction_id*"),
        *_columns(COUNT, "leg_no"),
        _enum("media", "voice", "callback", "chat", "video"),
        _enum("direction", "inbound", "outbound", "internal"),
        *_columns(ID, "queue_id", "agent_id", "customer_key", "ani_hash"),
        *_columns(AT, "started_at*", "queued_at", "offered_at", "answered_at", "ended_at*"),
        *_columns(MS, "wait_ms", "ring_ms", "talk_ms", "hold_ms", minimum=0),
        *_columns(COUNT, "hold_count", minimum=0),
        *_columns(MS, "acw_ms", minimum=0),
        _enum(
            "disposition",
            *("answered", "abandoned", "short_abandon", "no_answer", "busy", "failed"),
            *("voicemail", "transferred", "callback_requested"),
        ),
        *_columns(TEXT, "raw_disposition"),
        _enum("transfer_type", "none", "blind", "attended", "queue"),
        *_columns(ID, "transferred_from_leg", "transferred_to"),
        _enum("hangup_party", "agent", "customer", "system"),
        *_columns(TEXT, "wrapup_code"),
        *_columns(ID, "ticket_id", "recording_ref"),
        *_columns(MS, "sla_threshold_ms", minimum=0),
    ),
)

SURVEY_RESPONSES = Stream(
    "survey_responses",
    key=("response_id", "question_id", "rater_key"),
    event_at=("submitted_at",),
    columns=(
        *_columns(ID, "response_id*", "survey_id*", "survey_version"),
        _enum(
            "survey_kind*",
            *("csat", "nps", "ces", "attitude", "callback_csat", "employee_satisfaction"),
            *("training_feedback", "peer_360"),
        ),
        *_columns(ID, "question_id*"),
        _enum("metric", "csat", "nps", "ces", "attitude", "enps", "engagement", "item", "comment"),
        _enum("status", "sent", "partial", "completed", "invalid", "deleted"),
        *_columns(AT, "sent_at", "started_at", "submitted_at*"),
        *_columns(SCORE, "score", "scale_min*", "scale_max*"),
        *_columns(TEXT, "score_choice"),
        _enum("comment_sentiment", "pos", "neu", "neg"),
        *_columns(FLAG, "has_comment"),
        *_columns(ID, "subject_employee_id", "agent_id", "team_id", "ticket_id"),
        *_columns(ID, "interaction_id", "channel"),
        _enum("rater_type", "customer", "subordinate", "peer", "manager", "self", "system"),
        *_columns(ID, "rater_key", "language"),
        *_columns(FLAG, "is_test"),
    ),
)

SURVEY_AGGREGATES = Stream(
    "survey_aggregates",
    key=("subject_id", "stat_date"),
    event_at=("stat_date",),
    columns=(
        *_columns(ID, "subject_id*"),
        *_columns(ON, "stat_date*"),
        *_columns(COUNT, "invited_n", "responded_n", "satisfied_n", minimum=0),
        *_columns(COUNT, "neutral_n", "dissatisfied_n", minimum=0),
    ),
)

TRAINING_RECORDS = Stream(
    "training_records",
    key=("record_id",),
    event_at=("source_updated_at", "completed_at", "assigned_at"),
    columns=(
        *_columns(ID, "record_id", "learner_id*", "course_id*", "course_name"),
        _enum("course_type", "course", "certification", "onboarding", "coaching", "exam"),
        *_columns(FLAG, "is_mandatory"),
        *_columns(AT, "assigned_at", "due_at", "started_at", "completed_at"),
        _enum(
            "status*",
            *("assigned", "in_progress", "completed", "passed", "failed", "expired", "waived"),
            "withdrawn",
        ),
        *_columns(COUNT, "attempt_no", minimum=0),
        *_columns(SCORE, "score", "scale_max"),
        *_columns(FLAG, "passed"),
        *_columns(MS, "time_spent_ms", minimum=0),
        *_columns(ID, "cert_id"),
        *_columns(AT, "cert_issued_at", "cert_expires_at"),
        *_columns(ID, "assigned_by", "coach_id"),
        *_columns(SCORE, "feedback_score"),
        *_columns(TEXT, "xapi_verb"),
        *_columns(FLAG, "voided"),
    ),
)

HR_ROSTER = Stream(
    "hr_roster",
    key=("snapshot_date", "employee_id", "valid_from"),
    event_at=("snapshot_date",),
    columns=(
        *_columns(ON, "snapshot_date*"),
        *_columns(ID, "employee_id*", "source_user_id"),
        *_columns(TEXT, "display_name", "work_email_hash", "legal_entity"),
        *_columns(ID, "department_id*", "department_path", "team_id", "position_id"),
        *_columns(TEXT, "position_name"),
        _enum("job_family", "agent", "cs_manager", "supervisor", "qa", "trainer", "other"),
        *_columns(TEXT, "grade"),
        *_columns(ID, "manager_employee_id", "deputy_employee_id"),
        *_columns(LIST, "matrix_manager_ids"),
        *_columns(FLAG, "is_people_manager"),
        _enum("employment_type", "full", "part", "intern", "temp", "expat", "rehired"),
        _enum("employment_status*", "probation", "active", "leave", "notice", "left"),
        *_columns(ON, "hire_date*", "regularized_date", "last_work_date", "termination_date"),
        *_columns(TEXT, "location", "cost_center"),
        Column("fte", SCORE, minimum=0, maximum=2),
        *_columns(ON, "valid_from*", "valid_to"),
    ),
)

EMPLOYMENT_EVENTS = Stream(
    "employment_events",
    key=("event_id",),
    event_at=("recorded_at", "effective_date"),
    columns=(
        *_columns(ID, "event_id*", "employee_id*"),
        _enum(
            "event_type*",
            *("hire", "regularize", "transfer", "promotion", "manager_change", "leave_start"),
            *("leave_end", "resign_notice", "termination", "rehire", "deleted"),
        ),
        *_columns(ON, "effective_date*"),
        *_columns(AT, "recorded_at"),
        *_columns(ID, "from_department", "to_department", "from_manager", "to_manager"),
        *_columns(ID, "from_position", "to_position"),
        *_columns(FLAG, "is_voluntary"),
        *_columns(TEXT, "reason_code"),
    ),
)

ORG_UNITS = Stream(
    "org_units",
    key=("org_id", "snapshot_date"),
    event_at=("snapshot_date",),
    columns=(
        *_columns(ON, "snapshot_date*"),
        *_columns(ID, "org_id*", "parent_id", "name", "head_employee_id", "status"),
    ),
)

IDENTITY_MAP = Stream(
    "identity_map",
    key=("source_user_id", "valid_from"),
    event_at=(),
    columns=(
        *_columns(ID, "mapped_source", "source_user_id*", "employee_id*"),
        _enum("match_rule", "employee_no", "email", "userid", "manual"),
        *_columns(ON, "valid_from*", "valid_to"),
        Column("confidence", SCORE, minimum=0, maximum=1),
    ),
)

# Columns for a person's work address: landing lowers, trims and hashes it, and refuses it plain.
ADDRESSES = frozenset({"email_hash", "work_email_hash"})
# Columns that tell persons apart: a number or an address in them never lands plain either.
HASHED = ADDRESSES | {"customer_key", "requester_key", "rater_key", "ani_hash", "subject_hash"}

# The accounts a source knows; each delivery is the whole directory as it stands in that month.
SOURCE_USERS = Stream(
    "source_users",
    key=("source_user_id",),
    event_at=(),
    columns=(
        *_columns(ID, "source_user_id*", "employee_no", "email_hash", "login"),
        _enum("role", "agent", "customer", "admin", "bot", "other"),
        *_columns(FLAG, "is_active"),
        *_columns(ON, "snapshot_date"),
    ),
)

KB_CONTRIBUTIONS = Stream(
    "kb_contributions",
    key=("contribution_id",),
    event_at=("submitted_at",),
    columns=(
        *_columns(ID, "contribution_id*", "author_id*", "article_id"),
        _enum("action", "create", "update", "review", "retire"),
        _enum("status", "draft", "submitted", "published", "rejected"),
        *_columns(AT, "submitted_at*", "published_at"),
        *_columns(COUNT, "views_30d", "helpful_n", "unhelpful_n", minimum=0),
        # An update of a comma is none; a source that does not tell leaves this empty.
        *_columns(FLAG, "is_substantive"),
    ),
)

IMPROVEMENT_SUGGESTIONS = Stream(
    "improvement_suggestions",
    key=("suggestion_id",),
    event_at=("submitted_at",),
    columns=(
        *_columns(ID, "suggestion_id*", "proposer_id*"),
        _enum("kind", "process", "automation", "training_content", "product"),
        *_columns(AT, "submitted_at*"),
        _enum("status", "submitted", "accepted", "rejected", "implemented", "withdrawn"),
        *_columns(AT, "decided_at"),
        *_columns(ID, "decided_by"),
        *_columns(AT, "implemented_at"),
        Column("benefit_amount", "DECIMAL(18,2)"),
        *_columns(TEXT, "currency"),
        *_columns(ID, "approval_ref"),
    ),
)

# A manager's objection to the own numbers of a month; `scorecard_id` holds that month (YYYY-MM).
# Words of people stay where they were written: what lands of reasons is codes.
APPEALS = Stream(
    "appeals",
    key=("appeal_id",),
    event_at=("source_updated_at", "decided_at", "raised_at"),
    columns=(
        *_columns(ID, "appeal_id*", "scorecard_id*", "metric_id", "employee_id*"),
        *_columns(AT, "raised_at*"),
        *_columns(TEXT, "reason_code"),
        _enum("status", "open", "accepted", "upheld", "partly_upheld", "rejected", "withdrawn"),
        *_columns(AT, "decided_at"),
        *_columns(ID, "decided_by"),
        _enum("decision_code", *APPEAL_DECISIONS),
        _enum("effect", "exclude", "correct"),
        *_columns(ID, "row_id", "row_source", "credited_to"),
        *_columns(TEXT, "old_value", "new_value"),
        *_columns(ID, "admitted_by"),
        _enum("admitted_code", *APPEAL_ADMISSIONS),
        *_columns(ID, "evidence_ref", "approval_ref"),
    ),
)

# Reviews of one interaction by quality assurance; a deleted one comes again as a deletion.
QA_REVIEWS = Stream(
    "qa_reviews",
    key=("review_id",),
    event_at=("reviewed_at",),
    columns=(
        *_columns(ID, "review_id*", "interaction_id", "ticket_id", "agent_id*", "evaluator_id*"),
        *_columns(ID, "form_id", "form_version"),
        *_columns(AT, "reviewed_at*", "released_at"),
        *_columns(SCORE, "score", "scale_max"),
        *_columns(FLAG, "critical_fail", "rescored", "disputed"),
        *_columns(ID, "calibration_id"),
        *_columns(FLAG, "deleted"),
    ),
)

# One answer of one rater about one person; a cycle without a closing day counts as it is answered.
PEER_REVIEWS = Stream(
    "peer_reviews",
    key=("review_id", "dimension"),
    event_at=("submitted_at",),
    columns=(
        *_columns(ID, "review_id*", "cycle_id*", "ratee_id*", "rater_key"),
        _enum("rater_type", "customer", "subordinate", "peer", "manager", "self"),
        *_columns(ID, "dimension*"),
        *_columns(SCORE, "score", "scale_min", "scale_max"),
        *_columns(AT, "submitted_at*"),
        *_columns(ON, "cycle_closed_on"),
        *_columns(ID, "comment_ref"),
    ),
)

# Talks planned with a new hire or in a plan for improvement; one row per planned talk.
COACHING_PLANS = Stream(
    "coaching_plans",
    key=("plan_id",),
    event_at=("source_updated_at", "completed_at", "planned_at"),
    columns=(
        *_columns(ID, "plan_id*", "coach_id", "coachee_id*"),
        _enum("kind", "onboarding", "pip"),
        *_columns(AT, "planned_at", "due_at*", "completed_at"),
        _enum("outcome", "held", "missed", "cancelled"),
    ),
)

# Contracts of customers, one row per term: a renewal begins another term.
CUSTOMERS = Stream(
    "customers",
    key=("contract_id", "contract_end"),
    event_at=("source_updated_at", "contract_end"),
    columns=(
        *_columns(ID, "contract_id*", "customer_key*", "owner_id", "tier"),
        *_columns(ON, "contract_start", "contract_end*"),
        *_columns(AT, "renewed_at", "churned_at"),
        Column("amount", "DECIMAL(18,2)"),
        Column("cross_sell_amount", "DECIMAL(18,2)"),
        *_columns(TEXT, "currency"),
    ),
)

# What agents offered to customers, and what became of it.
OFFERS = Stream(
    "offers",
    key=("offer_id",),
    event_at=("source_updated_at", "accepted_at", "offered_at"),
    columns=(
        *_columns(ID, "offer_id*", "customer_key", "agent_id*", "product_id"),
        *_columns(AT, "offered_at*", "accepted_at", "cancelled_at"),
        Column("amount", "DECIMAL(18,2)"),
        *_columns(TEXT, "currency"),
    ),
)

STREAMS: dict[str, Stream] = {
    stream.name: stream
    for stream in (
        *(TICKETS, TICKET_EVENTS, CALLS, SURVEY_RESPONSES, SURVEY_AGGREGATES, TRAINING_RECORDS),
        *(HR_ROSTER, EMPLOYMENT_EVENTS, ORG_UNITS, IDENTITY_MAP, SOURCE_USERS, KB_CONTRIBUTIONS),
        *(IMPROVEMENT_SUGGESTIONS, APPEALS, QA_REVIEWS, PEER_REVIEWS, COACHING_PLANS),
        *(CUSTOMERS, OFFERS),
    )
}


def declarations() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return (column, type) of every stream as it lies in Parquet, envelope first."""
    return {
        name: tuple((c.name, c.type) for c in (*ENVELOPE, *stream.columns))
        for name, stream in STREAMS.items()
    }


def columns_by_stream() -> dict[str, tuple[str, ...]]:
    """Return the columns that a mapping may fill, by stream."""
    return {
        name: tuple(c.name for c in (*stream.columns, *MAPPABLE))
        for name, stream in STREAMS.items()
    }


def required_by_stream() -> dict[str, tuple[str, ...]]:
    """Return the columns a stream cannot land without."""
    return {
        name: tuple(c.name for c in stream.columns if c.required)
        for name, stream in STREAMS.items()
    }
