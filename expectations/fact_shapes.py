"""What a fact of a month must be like: one row a key, in the month, nothing negative or reversed.

Data only; facts.py makes the checks of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """One fact.

    Args:
        key: columns that name a row within a month.
        shown: columns that a data owner knows a row by.
        days: days that lie in the month.
        spans: numbers that are never negative.
        ordered: pairs of instants or days, earlier first, that the pipeline itself makes.
        told: pairs of instants that the source told, earlier first.
        people: columns that hold an employee whom the identities of the month know.
        refers: triples of columns, another table of schema `core`, and its columns.
    """

    key: tuple[str, ...]
    shown: tuple[str, ...]
    days: tuple[str, ...] = ()
    spans: tuple[str, ...] = ()
    ordered: tuple[tuple[str, str], ...] = ()
    told: tuple[tuple[str, str], ...] = ()
    people: tuple[str, ...] = ()
    refers: tuple[tuple[str, str, str], ...] = ()


_TICKET = (("ticket_key", "fct_tickets", "ticket_key"),)
_TICKET_SHOWN = ("_source", "ticket_id")
_WAITS = ("requester_wait", "agent_work", "agent_wait", "on_hold")
_ENDS = ("first_reply", "first_resolution", "full_resolution")

SHAPES: dict[str, Shape] = {
    "fct_tickets": Shape(
        ("ticket_key",),
        _TICKET_SHOWN,
        spans=("first_reply_business_minutes", "resolution_business_minutes"),
        told=(("created_at", "first_reply_at"), ("created_at", "first_solved_at")),
        people=(
            *("assignee_employee_id", "resolver_employee_id", "first_solver_employee_id"),
            "replier_employee_id",
        ),
        refers=(("ticket_key", "fct_ticket_lifecycles", "ticket_key"),),
    ),
    "fct_ticket_lifecycles": Shape(
        ("ticket_key",),
        _TICKET_SHOWN,
        spans=tuple(
            f"{name}_{clock}_minutes"
            for name in (*_ENDS, *_WAITS)
            for clock in ("calendar", "business")
        ),
        refers=_TICKET,
    ),
    "fct_ticket_owners": Shape(
        ("ticket_key", "stretch_no"),
        (*_TICKET_SHOWN, "stretch_no"),
        ordered=(("from_at", "to_at"),),
        people=("assignee_employee_id",),
        refers=_TICKET,
    ),
    "fct_ticket_status_periods": Shape(
        ("ticket_key", "period_no"),
        (*_TICKET_SHOWN, "period_no"),
        spans=("calendar_minutes", "business_minutes"),
        ordered=(("from_at", "to_at"),),
        refers=_TICKET,
    ),
    "fct_ticket_promises": Shape(
        ("ticket_key", "promise"),
        (*_TICKET_SHOWN, "promise"),
        days=("decided_on",),
        people=("owner_employee_id",),
        refers=_TICKET,
    ),
    "fct_sla_instances": Shape(
        ("ticket_key", "promise", "instance_no"),
        (*_TICKET_SHOWN, "promise", "instance_no"),
        days=("decided_on",),
        people=("owner_employee_id",),
        refers=_TICKET,
    ),
    "fct_first_contacts": Shape(
        ("ticket_key",),
        _TICKET_SHOWN,
        days=("contacted_on",),
        people=("owner_employee_id",),
        refers=_TICKET,
    ),
    "fct_calls": Shape(
        ("_source", "leg_id"),
        ("_source", "leg_id"),
        days=("ended_on",),
        spans=("wait_seconds", "handle_seconds"),
        told=(("started_at", "ended_at"), ("started_at", "answered_at")),
        people=("agent_employee_id",),
    ),
    "fct_survey_responses": Shape(
        ("response_key",),
        ("_source", "response_id", "question_id"),
        days=("counted_on",),
        people=("credited_employee_id",),
    ),
    "fct_survey_totals": Shape(
        ("total_key",),
        ("_source", "counted_on"),
        days=("counted_on",),
        spans=("rated_count",),
        people=("subject_employee_id",),
    ),
    "fct_training_records": Shape(
        ("assignment_key",),
        ("_source", "record_id", "course_id"),
        days=("due_on",),
        people=("learner_employee_id",),
    ),
    "fct_certifications": Shape(
        ("certification_key",),
        ("_source", "record_id", "course_id"),
        days=("counted_on",),
        people=("learner_employee_id",),
    ),
    "fct_kb_contributions": Shape(
        ("contribution_key",),
        ("_source", "contribution_id"),
        days=("counted_on",),
        people=("author_employee_id",),
    ),
    "fct_improvement_suggestions": Shape(
        ("step_key",),
        ("_source", "suggestion_id", "step"),
        days=("counted_on",),
        people=("proposer_employee_id",),
    ),
    "fct_qa_reviews": Shape(
        ("review_key",),
        ("_source", "review_id"),
        days=("reviewed_on",),
        people=("agent_employee_id",),
    ),
    "fct_peer_reviews": Shape(
        ("answer_key",),
        ("_source", "review_id", "dimension"),
        days=("counted_on",),
        people=("ratee_employee_id",),
    ),
    "fct_coaching_plans": Shape(
        ("plan_key",),
        ("_source", "plan_id"),
        days=("due_on",),
        people=("coachee_employee_id",),
    ),
    "fct_renewals": Shape(
        ("term_key",),
        ("_source", "contract_id"),
        days=("due_on",),
        people=("owner_employee_id",),
    ),
    "fct_offers": Shape(
        ("step_key",),
        ("_source", "offer_id", "step"),
        days=("counted_on",),
        people=("agent_employee_id",),
    ),
    "fct_appeals": Shape(
        ("appeal_key",),
        ("_source", "appeal_id"),
        people=("manager_id", "credited_employee_id"),
    ),
    "fct_headcount_spans": Shape(
        ("assignment_key",),
        ("_source", "employee_id", "valid_from"),
        days=("counted_on",),
        spans=("employed_days", "exposure_days", "average_headcount"),
        ordered=(("valid_from", "valid_to"),),
        refers=(("manager_id", "dim_managers", "manager_id"),),
    ),
}
