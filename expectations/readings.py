"""Which rows of which stream a fact holds, and the named reasons for which a row is in none.

Data only: the reasons are said here a second time, by the streams' own columns, and never read from
the models that make the facts; reconciliation.py holds one against the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfhouse.appeal_month import about_sql


@dataclass(frozen=True)
class Fact:
    """A fact that holds rows of a stream.

    Args:
        table: its name in schema `core`.
        on: pairs of the stream's column and the fact's that name the record.
        names_row: whether the fact also names the very version it took (`_file`, `_row_number`).
    """

    table: str
    on: tuple[tuple[str, str], ...]
    names_row: bool = True


@dataclass(frozen=True)
class Reading:
    """How a stream is read.

    Args:
        stream: the canonical stream.
        facts: the facts that hold its rows.
        key: columns of which the newest version counts; default the stream's own key.
        at: instants, on: days that decide the month; a row without any of them in the month is
            out of it. Of none of either, the reasons alone must tell.
        reasons: pairs of a name and SQL over the newest versions, asked in this order of the rows
            that are in no fact; `{scan}` is the first instant a ticket may matter, `{after}` the
            first that it may not, `{start}` and `{end}` the days of the month.
        counts: pairs of a name and SQL asked of the rows before anything else but the version:
            rows that no fact holds one by one.
        newest: which version of a key counts, before the order that holds everywhere.
        joins: SQL of further relations that the reasons need.
        named: columns beside the key that a data owner knows a row by.
    """

    stream: str
    facts: tuple[Fact, ...]
    key: tuple[str, ...] = ()
    at: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    reasons: tuple[tuple[str, str], ...] = ()
    counts: tuple[tuple[str, str], ...] = ()
    newest: str = ""
    joins: str = ""
    named: tuple[str, ...] = ()


def _same(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in names)


# Reasons that every stream knows; what is none of all is unexplained.
IN_FACTS, SUPERSEDED, DELETED = "in_facts", "superseded", "deleted"
UNDATED, OUTSIDE, OUTSIDE_BY_PLACE = "undated", "outside_month", "outside_month_by_place"
_ABOUT = about_sql("r.scorecard_id")
NOT_COUNTED, UNEXPLAINED = "read_by_no_fact", "unexplained"
TICKETLESS = "ticket_not_delivered"

# In words, for the page and for whoever reads the table.
WORDS = {
    IN_FACTS: "a fact of the month holds it",
    SUPERSEDED: "a newer version of the same record, or a copy of it, was delivered",
    DELETED: "the source deleted the record",
    UNDATED: "it has no instant that would tell its month",
    OUTSIDE: "it belongs to another month wherever the company has people",
    OUTSIDE_BY_PLACE: "within hours of the month's edge: another month where its person works",
    NOT_COUNTED: "streams that say who people are: no fact counts their rows",
    "settled_before": "a ticket that was settled, and not touched, since before the month",
    "created_after": "a ticket of a later delivery, created after the month",
    "deleted_ticket": "a ticket that was deleted before the month, unsolved",
    "other_kind": "an event of a kind that no fact counts",
    "after_clocks": "an event after the last instant that counts",
    "ticket_elsewhere": "an event of a ticket that is not the month's",
    TICKETLESS: "an event of a ticket that no delivery in reach holds",
    "test_answer": "an answer that is marked as a test",
    "after_waves": "an answer that came after the last wave of its survey had closed",
    "voided": "a record that was voided",
    "calibration": "a review made for calibration",
    "rescored": "a review whose contact was scored again",
    "no_month": "an appeal that names no month, or several",
    "other_month": "an appeal about the numbers of another month",
    "ended_before": "an assignment that ended before the month",
    "begins_after": "an assignment that begins after the month",
    "no_days": "an assignment that ends before its first day",
    "left_before": "a person who left before the month",
    "other_assignment": "another assignment of the same person stands for the month",
    "not_in_newest_roster": "a person whom the newest roster does not name any more",
    UNEXPLAINED: "none of these: it is missing",
}

_STANDING = "coalesce(r._op, 'upsert') <> 'delete' and not coalesce(r.deleted, false)"
_REVIEWED = (
    f"partition by ({_STANDING} and r.calibration_id is null), r.version_rank = 1, r._source, "
    "r.agent_id, r.form_id, coalesce(r.interaction_id, r.ticket_id, r.review_id)"
)
# Kinds of events that some model reads.
_EVENTS = (
    *("created", "status_changed", "assigned", "queue_changed", "public_reply", "internal_note"),
    *("customer_reply", "sla_breached", "sla_fulfilled", "reopened", "solved", "closed", "merged"),
    "deleted",
)
_COUNTED = ", ".join(f"'{name}'" for name in _EVENTS)

READINGS: tuple[Reading, ...] = (
    Reading(
        "tickets",
        (Fact("fct_tickets", _same("ticket_id")),),
        reasons=(
            ("created_after", "r.created_at >= {after}"),
            (
                "settled_before",
                "coalesce(r.resolved_at, r.closed_at) < {scan} "
                "and coalesce(r.source_updated_at < {scan}, true)",
            ),
            (
                "deleted_ticket",
                "r.status = 'deleted' and coalesce(r.resolved_at, r.closed_at) is null "
                "and r.created_at < {scan} and coalesce(r.source_updated_at < {scan}, true)",
            ),
        ),
    ),
    Reading(
        "ticket_events",
        (Fact("fct_tickets", _same("ticket_id"), names_row=False),),
        counts=(
            (
                "other_kind",
                f"coalesce(r.event_type not in ({_COUNTED}) "
                "and not (r.event_type = 'field_changed' and coalesce(r.field = 'schedule', "
                "false)), true)",
            ),
            ("after_clocks", "r.occurred_at >= {stop}"),
        ),
        joins="left join (select _source, ticket_id, true as is_known from raw.tickets "
        "group by _source, ticket_id) k on k._source = r._source and k.ticket_id = r.ticket_id",
        reasons=(
            ("ticket_elsewhere", "k.is_known"),
            (TICKETLESS, "k.is_known is null"),
        ),
        named=("ticket_id",),
    ),
    Reading("calls", (Fact("fct_calls", _same("leg_id")),), at=("r.ended_at",)),
    Reading(
        "survey_responses",
        (
            Fact("fct_survey_responses", _same("response_id", "question_id")),
            Fact("fct_peer_reviews", (("response_id", "review_id"), ("question_id", "dimension"))),
        ),
        counts=(("test_answer", "coalesce(r.is_test, false)"),),
        at=("case when w.survey_id is null then r.submitted_at end",),
        on=("w.closes_on",),
        joins="left join warehouse.config.survey_waves w on w.survey_id = r.survey_id and "
        "r.survey_kind in ('employee_satisfaction', 'peer_360', 'training_feedback') and "
        "r.submitted_at >= w.from_at and coalesce(r.submitted_at < w.until_at, true)",
        reasons=(("after_waves", "w.survey_id is not null and w.closes_on is null"),),
    ),
    Reading(
        "survey_aggregates",
        (Fact("fct_survey_totals", (("subject_id", "subject_id"), ("stat_date", "counted_on"))),),
        on=("r.stat_date",),
    ),
    Reading(
        "training_records",
        (
            Fact("fct_training_records", _same("learner_id", "course_id"), names_row=False),
            Fact("fct_certifications", _same("learner_id", "course_id"), names_row=False),
        ),
        key=("record_id", "learner_id", "course_id", "attempt_no"),
        counts=(("voided", "coalesce(r.voided, false) or v.record_id is not null"),),
        joins="left join (select distinct _source, record_id from raw.training_records where "
        "voided and record_id is not null and _op <> 'delete') v on v._source = r._source "
        "and v.record_id = r.record_id",
        at=("r.due_at",),
    ),
    Reading(
        "kb_contributions",
        (Fact("fct_kb_contributions", _same("contribution_id")),),
        at=("coalesce(r.published_at, r.submitted_at)",),
    ),
    Reading(
        "improvement_suggestions",
        (Fact("fct_improvement_suggestions", _same("suggestion_id")),),
        at=(
            "r.submitted_at",
            "case when r.status in ('accepted', 'rejected', 'implemented') "
            "then coalesce(r.decided_at, r.implemented_at) end",
        ),
    ),
    Reading(
        "qa_reviews",
        (Fact("fct_qa_reviews", _same("review_id")),),
        counts=(
            (DELETED, "coalesce(r.deleted, false)"),
            ("calibration", "r.calibration_id is not null"),
            (
                "rescored",
                f"max(case when r.rescored then 1 else 0 end) over ({_REVIEWED}) = 1 and "
                f"row_number() over ({_REVIEWED} "
                "order by r.reviewed_at desc, r.review_id desc) > 1",
            ),
        ),
        at=("r.reviewed_at",),
    ),
    Reading(
        "peer_reviews",
        (Fact("fct_peer_reviews", _same("review_id", "dimension")),),
        at=("case when r.cycle_closed_on is null then r.submitted_at end",),
        on=("r.cycle_closed_on",),
    ),
    Reading("coaching_plans", (Fact("fct_coaching_plans", _same("plan_id")),), at=("r.due_at",)),
    Reading(
        "customers",
        (Fact("fct_renewals", (("contract_id", "contract_id"), ("contract_end", "due_on"))),),
        on=("r.contract_end",),
    ),
    Reading(
        "offers",
        (Fact("fct_offers", _same("offer_id")),),
        at=("r.offered_at", "r.accepted_at"),
    ),
    Reading(
        "appeals",
        (Fact("fct_appeals", _same("appeal_id")),),
        reasons=(("no_month", f"{_ABOUT} is null"), ("other_month", f"{_ABOUT} <> '{{month}}'")),
    ),
    Reading(
        "hr_roster",
        (Fact("fct_headcount_spans", _same("employee_id")),),
        key=("employee_id", "valid_from"),
        newest="r._month desc, r.snapshot_date desc",
        joins="left join (select employee_id, true as is_counted from warehouse.core."
        "fct_headcount_spans where month = {start} group by employee_id) e "
        "on e.employee_id = r.employee_id "
        "left join (select _source, employee_id, max(_month) as last_month from raw.hr_roster "
        "group by _source, employee_id) n on n._source = r._source "
        "and n.employee_id = r.employee_id "
        "left join (select _source, max(_month) as base_month from raw.hr_roster "
        "where _month <= '{month}' group by _source) b on b._source = r._source",
        reasons=(
            ("other_assignment", "e.is_counted"),
            ("begins_after", "r.valid_from >= {end}"),
            (
                "ended_before",
                "r.valid_to <= {start} or lead(r.valid_from) over (partition by "
                "r.version_rank = 1, r.employee_id order by r.valid_from) <= {start}",
            ),
            (
                "no_days",
                "r.valid_to <= r.valid_from or r.last_work_date < r.valid_from "
                "or r.termination_date <= r.valid_from",
            ),
            (
                "left_before",
                "r.last_work_date < {start} or r.termination_date <= {start} "
                "or r.employment_status = 'left'",
            ),
            ("not_in_newest_roster", "n.last_month < b.base_month"),
        ),
    ),
)  # fmt: skip
READ = {reading.stream: reading for reading in READINGS}
