"""What rows of the raw streams can be true: the order of instants, scales, parts of a whole.

Data only, SQL by a name in a data owner's words; stream_rules.py makes the checks of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from perfhouse.appeal_month import about_sql

# Pairs of instants or days that cannot stand the other way round.
ORDERED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "tickets": (
        *(("created_at", "first_response_at"), ("created_at", "resolved_at")),
        *(("created_at", "closed_at"), ("created_at", "first_assigned_at")),
    ),
    "calls": (
        *(("started_at", "answered_at"), ("started_at", "ended_at")),
        *(("answered_at", "ended_at"), ("started_at", "offered_at")),
    ),
    "survey_responses": (("sent_at", "submitted_at"), ("started_at", "submitted_at")),
    "training_records": (
        *(("assigned_at", "due_at"), ("started_at", "completed_at")),
        ("cert_issued_at", "cert_expires_at"),
    ),
    "hr_roster": (
        *(("valid_from", "valid_to"), ("hire_date", "last_work_date")),
        ("hire_date", "termination_date"),
    ),
    "identity_map": (("valid_from", "valid_to"),),
    "kb_contributions": (("submitted_at", "published_at"),),
    "improvement_suggestions": (
        *(("submitted_at", "decided_at"), ("submitted_at", "implemented_at")),
    ),
    "qa_reviews": (("reviewed_at", "released_at"),),
    "peer_reviews": (),
    "coaching_plans": (("planned_at", "due_at"), ("planned_at", "completed_at")),
    "customers": (("contract_start", "contract_end"),),
    "offers": (("offered_at", "accepted_at"), ("offered_at", "cancelled_at")),
    "appeals": (("raised_at", "decided_at"),),
}  # fmt: skip

# Surveys that ask employees; macros/surveys.sql leaves them out of what customers said.
_OF_EMPLOYEES = "survey_kind in ('employee_satisfaction', 'peer_360', 'training_feedback')"

# What can be no true row: many of them are a wrong mapping, unit or column.
IMPOSSIBLE: Mapping[str, Mapping[str, str]] = {
    "calls": {
        "a call of more than a day": "ended_at > started_at + interval 1 day",
        "talk_ms longer than the call": (
            # where one instant stands in for both ends, they tell no length
            "ended_at > started_at "
            "and talk_ms > 1000 * (epoch(ended_at) - epoch(started_at)) + 60000"
        ),
        "hold_ms longer than a day": "hold_ms > 86400000",
        "acw_ms longer than a day": "acw_ms > 86400000",
        "wait_ms longer than a day": "wait_ms > 86400000",
    },
    "survey_responses": {
        "score outside its scale": "score < scale_min or score > scale_max",
        "scale upside down": "scale_min >= scale_max",
    },
    "survey_aggregates": {
        "more answers than invitations": "responded_n > invited_n",
        "more ratings than answers": (
            "coalesce(satisfied_n, 0) + coalesce(neutral_n, 0) + coalesce(dissatisfied_n, 0) "
            "> responded_n"
        ),
    },
    "training_records": {"score outside its scale": "score < 0 or score > scale_max"},
    "qa_reviews": {
        "score outside its scale": "score < 0 or score > scale_max",
        "scale without points": "scale_max <= 0",
    },
    "peer_reviews": {
        "score outside its scale": "score < scale_min or score > scale_max",
        "scale upside down": "scale_min >= scale_max",
    },
    "org_units": {"a unit above itself": "parent_id = org_id"},
    "appeals": {
        "decided without a day": (
            "status in ('upheld', 'partly_upheld', 'rejected') and decided_at is null"
        )
    },
}

# What may be true of some rows and is worth a look.
ODD: Mapping[str, Mapping[str, str]] = {
    "tickets": {"solved without an instant": "status = 'solved' and resolved_at is null"},
    "ticket_events": {"no kind known": "event_type is null"},
    "calls": {
        "answered by nobody": "disposition = 'answered' and agent_id is null",
        "abandoned, with an answer": "disposition = 'abandoned' and answered_at is not null",
    },
    "survey_responses": {
        "employees asked what customers are asked": (
            f"{_OF_EMPLOYEES} and metric in ('csat', 'nps', 'ces', 'attitude')"
        ),
        "a customer who answers a survey of employees": (
            f"{_OF_EMPLOYEES} and rater_type = 'customer'"
        ),
        "a recommendation that counts nowhere: its scale is not 0-10": (
            "metric in ('nps', 'enps') and score is not null "
            "and (scale_min is distinct from 0 or scale_max is distinct from 10)"
        ),
    },
    "hr_roster": {
        "left without a day": (
            "employment_status = 'left' and last_work_date is null and termination_date is null "
            "and valid_to is null"
        ),
        "own manager": "manager_employee_id = employee_id",
    },
    "customers": {"amount below zero": "amount < 0 or cross_sell_amount < 0"},
    "offers": {"amount below zero": "amount < 0"},
    "qa_reviews": {"reviewed by oneself": "agent_id = evaluator_id"},
    "coaching_plans": {"coach and coachee are one": "coach_id = coachee_id"},
    "improvement_suggestions": {"decided by its proposer": "decided_by = proposer_id"},
    "appeals": {
        "decided by who raised it": "decided_by = employee_id",
        "scorecard_id that names no month, or several": f"{about_sql('scorecard_id')} is null",
    },
}

# Lengths that a source tells beside instants: a sum below this share of theirs is in another unit.
UNIT_SHARE = 0.01
UNIT_ROWS = 20
LENGTHS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "calls": (("talk_ms", "1000 * (epoch(ended_at) - epoch(answered_at))"),),
}

# A column that rows of a kind should fill, by what they are told apart: without it a KPI leaves
# such rows out, and is not available where none of them fills it.
OWED: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "calls": (
        (
            "wait_ms",
            "queue_id is not null and agent_id is not null "
            "and coalesce(direction, 'inbound') = 'inbound' and coalesce(media, 'voice') = 'voice' "
            "and (answered_at is not null or disposition in ('answered', 'transferred'))",
            "queue_id",
        ),
    ),
}
