"""A company small enough to score by hand: two months, three managers, seven people.

The raw streams are written straight into the warehouse, so that only the dbt project is on trial.
Times are Shanghai's unless a zone is given; the company's zone is Shanghai (UTC+8, no summer time).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from perfhouse import lake
from perfhouse.company import Company, load_company
from perfhouse.month import Month

AUGUST, SEPTEMBER = Month("2026-08"), Month("2026-09")

TOML = """
[company]
id = "tiny"
name_en = "Tiny"
name_zh = "小公司"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[locations.Shanghai]
time_zone = "Asia/Shanghai"
calendar = "cn"
[locations.Tokyo]
time_zone = "Asia/Tokyo"
calendar = "jp"
[calendars.cn]
time_zone = "Asia/Shanghai"
holidays = []
[calendars.cn.hours]
mon = ["09:00-12:00", "13:00-18:00"]
tue = ["09:00-12:00", "13:00-18:00"]
wed = ["09:00-12:00", "13:00-18:00"]
thu = ["09:00-12:00", "13:00-18:00"]
fri = ["09:00-12:00", "13:00-18:00"]
[calendars.jp]
time_zone = "Asia/Tokyo"
holidays = []
[calendars.jp.hours]
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-17:00"]
[surveys.effort]
easy_is = "low"
[kpis]
targets = "targets.csv"
minimum_sample = { csat_rate = 3, average_handle_time = 1, service_level = 2, nps = 3 }
[scoring]
coverage_minimum = 0.5
grades = [ { grade = "A", from = 100 }, { grade = "B", from = 60 }, { grade = "C", from = 0 } ]
[service_levels]
short_abandon_seconds = 5
answer_within_seconds = 20
reopen_days = 7
[service_levels.first_reply]
clock = "business"
minutes = { low = 60, normal = 60, high = 60, urgent = 60 }
[service_levels.resolution]
clock = "business"
minutes = { low = 480, normal = 480, high = 480, urgent = 480 }
[service_levels.complaint]
clock = "calendar"
minutes = { low = 1440, normal = 1440, high = 1440, urgent = 1440 }
[[sources]]
id = "desk"
connector = "files"
owner = "desk"
[[sources.streams]]
stream = "tickets"
path = "{month}.csv"
columns = { ticket_id = "id", created_at = "at" }
"""

# The target of T2 beats the general one; the last row begins after September.
TARGETS = """\
kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,approved_by
csat_rate,*,*,0.4,0.8,1.0,2,2026-01-01,,1,2025-12-01,HR
csat_rate,*,T2,0.0,0.5,1.0,2,2026-01-01,,1,2025-12-01,HR
nps,*,*,-0.5,0.5,1.0,1,2026-01-01,,1,2025-12-01,HR
service_level,*,*,0.0,0.8,1.0,1,2026-01-01,,1,2025-12-01,HR
average_handle_time,*,*,300,100,50,2,2026-01-01,2026-10-01,1,2025-12-01,HR
top_score_rate,*,*,0.25,0.75,1.0,1,2026-01-01,,1,2025-12-01,HR
average_handle_time,*,*,900,800,700,2,2026-10-01,,2,2026-09-02,HR
"""


def company(folder: Path) -> Company:
    """Write the company folder and load it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "perfhouse.toml").write_text(TOML, encoding="utf-8")
    (folder / "targets.csv").write_text(TARGETS, encoding="utf-8")
    return load_company(folder)


def at(text: str) -> str:
    """Return an instant: Shanghai's clock unless the text ends in Z."""
    return text if text.endswith("Z") else f"{text}:00+08:00"


def ticket(ticket_id: str, created: str, **more: Any) -> dict[str, Any]:
    known = {"status": "solved", "priority": "normal", "channel": "web", **more}
    return {"ticket_id": ticket_id, "created_at": at(created), **known}


def event(ticket_id: str, kind: str, when: str, actor: str, **more: Any) -> dict[str, Any]:
    return {
        **{"event_id": f"{ticket_id}-{kind}-{when}", "ticket_id": ticket_id, "event_type": kind},
        **{"occurred_at": at(when), "actor_id": actor, "actor_type": "agent", **more},
    }


TICKETS = [
    # Everything in time: 30 and 300 business minutes.
    ticket("t1", "2026-09-01 09:00", assignee_id="u1", resolved_at=at("2026-09-01 15:00"),
           sla_breached=False, requester_key="c1"),
    # Reply at the last of 60 business minutes (the bot does not count); solved after 510 of 480,
    # reopened on the 5th and solved again on the 7th.
    ticket("t2", "2026-09-01 11:30", assignee_id="u1", resolved_at=at("2026-09-07 10:00"),
           reopen_count=1, sla_breached=True, requester_key="c2"),
    # Nobody ever answers: due on the 3rd at 18:00 and on the 4th at 17:00.
    ticket("t3", "2026-09-03 17:00", assignee_id="agent.two", status="open"),
    # A complaint of August that is due in September, solved in August by somebody then in T1.
    ticket("t4", "2026-08-31 10:00", assignee_id="u4", is_complaint=True,
           resolved_at=at("2026-08-31 18:00")),
    # A complaint due on the 21st, solved late; its owner is in T2 since the 16th. Replied to on
    # Sunday, when no business minute has passed.
    ticket("t5", "2026-09-20 12:00", assignee_id="u4", is_complaint=True,
           resolved_at=at("2026-09-22 10:00"), first_response_at=at("2026-09-20 12:05"),
           requester_key="c3"),
    # Tokyo: created at 00:30 of September there, solved at 00:30 of October there.
    ticket("t6", "2026-08-31T15:30:00Z", assignee_id="u3", resolved_at="2026-09-30T15:30:00Z",
           first_response_at="2026-09-01T00:30:00Z"),
    # Merged: counts nowhere.
    ticket("t7", "2026-09-08 09:00", assignee_id="u1", status="merged"),
    # Nobody knows who that is.
    ticket("t8", "2026-09-08 09:00", assignee_id="ghost", resolved_at=at("2026-09-08 10:00"),
           first_response_at=at("2026-09-08 09:10")),
    # Deleted at the source.
    ticket("t9", "2026-09-08 09:00", assignee_id="u1", _op="delete"),
    # The time of day was lost: the reply is unknown, not negative. Solved in time.
    ticket("t10", "2026-09-09 09:00", assignee_id="u1", first_response_at=at("2026-09-09 00:00"),
           resolved_at=at("2026-09-09 09:30"), requester_key="c1"),
    # A1 solves it after an hour, it comes back, A3 solves it in the end.
    ticket("t11", "2026-09-10 09:00", assignee_id="u1", resolved_by_id="u3", reopen_count=1,
           first_response_at=at("2026-09-10 09:10"), resolved_at=at("2026-09-11 11:00"),
           requester_key="c1"),
    # Two systems use one id; merged, so that only the answers about them count.
    ticket("t12", "2026-09-08 09:00", assignee_id="u3", status="merged", _source="chat"),
    ticket("t12", "2026-09-08 09:00", assignee_id="u3", status="merged", _source="phone"),
    ticket("t13", "2026-09-08 09:00", assignee_id="u3", status="merged", _source="chat"),
    ticket("t13", "2026-09-08 09:00", assignee_id="u1", status="merged"),
]  # fmt: skip

EVENTS = [
    event("t1", "public_reply", "2026-09-01 09:30", "u1"),
    event("t1", "solved", "2026-09-01 15:00", "u1"),
    event("t2", "public_reply", "2026-09-01 11:31", "bot", actor_type="bot"),
    event("t2", "public_reply", "2026-09-01 11:32", "u1", via_automation=True),
    event("t2", "public_reply", "2026-09-01 13:30", "u1"),
    event("t2", "solved", "2026-09-02 13:00", "u1"),
    event("t2", "reopened", "2026-09-05 09:00", "c1", actor_type="customer"),
    event("t2", "solved", "2026-09-07 10:00", "u1"),
    event("t4", "public_reply", "2026-08-31 10:10", "u4"),
    event("t4", "solved", "2026-08-31 18:00", "u4"),
    event("t11", "solved", "2026-09-10 10:00", "u1"),
    event("t11", "reopened", "2026-09-11 09:00", "c1", actor_type="customer"),
    event("t11", "solved", "2026-09-11 11:00", "u3"),
]


def leg(leg_id: str, agent: str | None, wait: int | None, talk: int | None, **more: Any) -> dict:
    known = {"interaction_id": leg_id, "queue_id": "T1", "media": "voice", "direction": "inbound"}
    known |= {"started_at": at("2026-09-10 10:00"), "ended_at": at("2026-09-10 10:10")}
    seconds = {"wait_ms": wait, "talk_ms": talk, "acw_ms": 0 if talk else None}
    known |= {name: None if s is None else s * 1000 for name, s in seconds.items()}
    known["disposition"] = "answered" if talk else "abandoned"
    return {"leg_id": leg_id, "agent_id": agent, **known, **more}


CALLS = [
    leg("c1", "u1", 10, 100, hold_ms=20_000, acw_ms=30_000),
    leg("c2", "u1", 30, 200, acw_ms=10_000, disposition="transferred"),
    leg("c2b", "u3", 5, 60, queue_id="T2", interaction_id="c2", transferred_from_leg="c2"),
    leg("c3", None, 40, None),
    leg("c4", None, 3, None),
    leg("c5a", "u1", 8, None, interaction_id="c5", disposition="no_answer"),
    leg("c5b", "agent.two", 15, 90, interaction_id="c5"),
    leg("c6", None, 60, None, disposition="callback_requested"),
    leg("c7", None, 60, None, queue_id="T9"),
    leg("c8", "u1", 10, 999, ended_at=at("2026-08-31 23:59")),
]


def answer(response_id: str, who: str | None, score: float, when: str, **more: Any) -> dict:
    known = {"survey_id": "s", "survey_kind": "csat", "question_id": "q1", "metric": "csat"}
    known |= {"status": "completed", "scale_min": 1, "scale_max": 5, "submitted_at": at(when)}
    return {"response_id": response_id, "agent_id": who, "score": score, **known, **more}


NPS = {"survey_kind": "nps", "metric": "nps", "scale_min": 0, "scale_max": 10}
ATTITUDE = {"survey_kind": "attitude", "metric": "attitude"}
OWN = {"survey_kind": "employee_satisfaction", "metric": "engagement", "rater_type": "subordinate"}
EFFORT = {"survey_id": "effort", "survey_kind": "ces", "metric": "ces"}
ENPS = {**OWN, "metric": "enps", "scale_min": 0, "scale_max": 10}
PEERS = {"survey_kind": "peer_360", "metric": "item", "rater_type": "peer"}
SURVEYS = [
    # Easy is 1 in this survey.
    answer("x1", "u1", 2, "2026-09-10 10:00", **EFFORT),
    answer("x2", "u1", 4, "2026-09-10 10:00", **EFFORT),
    answer("v1", None, 9, "2026-09-25 10:00", subject_employee_id="M1", **ENPS),
    answer("v2", None, 3, "2026-09-25 10:00", subject_employee_id="M1", **ENPS),
    *(
        answer(f"p{n}", None, 4, "2026-09-25 10:00", subject_employee_id="M2", **PEERS)
        for n in range(3)
    ),
    answer("r1", "u1", 5, "2026-09-10 10:00"),
    answer("r2", "u1", 4, "2026-09-11 10:00"),
    answer("r3", "u1", 5, "2026-09-12 10:00", source_updated_at=at("2026-09-12 10:00")),
    answer("r3", "u1", 3, "2026-09-12 10:00", source_updated_at=at("2026-09-13 10:00")),
    answer("r4", "u1", 1, "2026-09-12 10:00", is_test=True),
    answer("r5", "u1", 1, "2026-09-12 10:00", status="sent", survey_id="told"),
    # The day of the move decides: team 1 on the 15th, team 2 on the 16th.
    answer("r6", "u4", 5, "2026-09-15 23:59"),
    answer("r7", "u4", 2, "2026-09-16 00:00"),
    # Nobody is named: the solver of the ticket, who works in Tokyo, in September and October there.
    answer("r8", None, 5, "2026-08-31T15:30:00Z", ticket_id="t6"),
    answer("r9", None, 5, "2026-09-30T15:30:00Z", ticket_id="t6"),
    answer("r10", "ghost", 5, "2026-09-10 10:00"),
    answer("n0", "u1", 9, "2026-08-20 10:00", rater_key="k1", **NPS),
    answer("n1", "u1", 3, "2026-09-10 10:00", rater_key="k1", **NPS),
    answer("n2", "u1", 10, "2026-09-10 10:00", rater_key="k2", **NPS),
    answer("n3", "u1", 7, "2026-09-10 10:00", rater_key="k3", **NPS),
    answer("n4", "u1", 2, "2026-09-10 10:00", **NPS),
    answer("n5", "u3", 9, "2026-09-10 10:00", **NPS),
    answer("a1", "u1", 5, "2026-09-10 10:00", **ATTITUDE),
    answer("a2", "u1", 3, "2026-09-10 10:00", **ATTITUDE),
    # Before and after A3 solved it again: A1's, who owned it all the while.
    answer("a3", None, 5, "2026-09-10 12:00", ticket_id="t11", **ATTITUDE),
    answer("a4", None, 3, "2026-09-12 12:00", ticket_id="t11", **ATTITUDE),
    # Which of two tickets nobody knows, so the agent; then the one of the survey's own source.
    answer("a5", "u4", 3, "2026-09-10 10:00", ticket_id="t12", **ATTITUDE),
    answer("a6", None, 1, "2026-09-10 10:00", ticket_id="t13", **ATTITUDE),
    *(
        answer(f"e{n}", None, score, "2026-09-25 10:00", subject_employee_id="M1", **OWN)
        for n, score in enumerate([5, 4, 2, 5])
    ),
    # The second question of the first person: half satisfied, and no fifth person.
    answer("e0", None, 2, "2026-09-25 10:00", subject_employee_id="M1", question_id="q2", **OWN),
]


def training(record: str, learner: str, status: str, **more: str) -> dict[str, Any]:
    when = {key: at(value) for key, value in more.items()}
    return {"record_id": record, "learner_id": learner, "course_id": "x", "status": status, **when}


CERTIFICATE = {"course_id": "g", "course_type": "certification"}
TRAINING = [
    training("l1", "u1", "assigned", assigned_at="2026-09-01 09:00", due_at="2026-09-10 23:59"),
    training("l2", "u1", "completed", completed_at="2026-09-09 12:00"),
    training("l3", "agent.two", "assigned", due_at="2026-09-10 23:59"),
    training("l4", "agent.two", "passed", completed_at="2026-09-11 00:01"),
    training("l5", "u4", "assigned", due_at="2026-09-20 23:59"),
    training("l6", "u4", "waived"),
    training("l7", "u3", "assigned", due_at="2026-09-29 23:59"),
    training("l8", "A5", "assigned", due_at="2026-09-25 23:59"),
    training("l9", "u1", "assigned", due_at="2026-10-05 23:59"),
    {**training("g1", "u1", "passed", cert_issued_at="2026-01-10 09:00"), **CERTIFICATE},
    {**training("g2", "u3", "assigned", assigned_at="2026-01-10 09:00"), **CERTIFICATE},
]
REVIEWS = [
    {"review_id": name, "agent_id": who, "evaluator_id": "q", "reviewed_at": at("2026-09-10 10:00")}
    | {"score": score, "scale_max": 100, "critical_fail": critical}
    for name, who, score, critical in (("q1", "u1", 80, False), ("q2", "u3", 90, True))
]
SUGGESTIONS = [
    {"suggestion_id": "s1", "proposer_id": "u1", "status": "accepted"}
    | {"submitted_at": at("2026-09-05 10:00"), "decided_at": at("2026-09-10 10:00")},
    {"suggestion_id": "s2", "proposer_id": "u3", "status": "rejected"}
    | {"submitted_at": at("2026-08-20 10:00"), "decided_at": at("2026-09-20 10:00")},
]
# Three peers of M1, and two subordinates who are too few.
REVIEWS_360 = [
    {"review_id": f"{kind}{n}", "cycle_id": "h2", "ratee_id": "M1", "dimension": "trust"}
    | {"rater_type": kind, "score": score, "scale_min": 1, "scale_max": 5}
    | {"submitted_at": at("2026-08-25 10:00"), "cycle_closed_on": "2026-09-05"}
    for kind, scores in (("peer", (5, 4, 3)), ("subordinate", (5, 5)))
    for n, score in enumerate(scores)
]
COACHING = [
    {"plan_id": "p1", "coachee_id": "agent.two", "due_at": at("2026-09-10 10:00")}
    | {"completed_at": at("2026-09-09 10:00")},
    {"plan_id": "p2", "coachee_id": "u3", "due_at": at("2026-09-12 10:00")},
]
CUSTOMERS = [
    {"contract_id": "k1", "customer_key": "c", "owner_id": "u1", "contract_end": "2026-09-30"}
    | {"renewed_at": at("2026-09-15 10:00")},
    {"contract_id": "k2", "customer_key": "d", "owner_id": "u4", "contract_end": "2026-09-20"},
]
OFFERS = [
    {"offer_id": "o1", "agent_id": "u1", "offered_at": at("2026-09-02 10:00")}
    | {"accepted_at": at("2026-09-03 10:00")},
    {"offer_id": "o2", "agent_id": "u1", "offered_at": at("2026-09-04 10:00")},
]


def member(employee: str, team: str, manager: str | None, start: str, **more: Any) -> dict:
    known = {"department_id": "CS", "job_family": "agent", "location": "Shanghai"}
    known |= {"employment_status": "active", "hire_date": "2020-01-01"}
    known |= {"display_name": f"Name {employee}"}
    return {
        **{"employee_id": employee, "team_id": team, "manager_employee_id": manager},
        **{"valid_from": start, **known, **more},
    }


BOSS = {"job_family": "cs_manager", "is_people_manager": True}
ROSTER = [
    member("D1", "HQ", None, "2020-01-01", job_family="other", is_people_manager=True),
    member("M1", "T1", "D1", "2020-01-01", **BOSS),
    member("M2", "T2", "D1", "2020-01-01", **BOSS),
    member("M3", "T3", "D1", "2020-01-01", **BOSS),
    member("A1", "T1", "M1", "2020-01-01", source_user_id="u1"),
    member("A2", "T1", "M1", "2020-01-01"),
    member("A3", "T2", "M2", "2020-01-01", source_user_id="u3", location="Tokyo"),
    member("A4", "T1", "M1", "2020-01-01", source_user_id="u4", valid_to="2026-09-16"),
    member("A4", "T2", "M2", "2026-09-16", source_user_id="u4"),
    member("A5", "T1", "M1", "2020-01-01", last_work_date="2026-09-20"),
    member("A6", "T2", "M2", "2020-01-01", last_work_date="2026-08-31", employment_status="left"),
]

KB = [
    {"contribution_id": f"k{n}", "author_id": who, "action": action, "status": status}
    | {"submitted_at": at("2026-09-12 10:00"), "published_at": published and at(published)}
    | {"views_30d": 12 if n == 0 else None}
    for n, (who, action, status, published) in enumerate(
        [
            ("u1", "create", "published", "2026-09-12 11:00"),
            ("u1", "update", "published", "2026-09-13 11:00"),
            ("u1", "create", "draft", None),
            ("u3", "review", "published", "2026-09-13 11:00"),
        ]
    )
]

IDENTITIES = [
    {"mapped_source": "desk", "source_user_id": "agent.two", "employee_id": "A2"}
    | {"valid_from": "2026-01-01"}
]


def rows_of_roster() -> list[dict[str, Any]]:
    """Return the roster, delivered again each month."""
    return [
        {**row, "snapshot_date": str(month.last_day), "_window": month.key}
        for month in (AUGUST, SEPTEMBER)
        for row in ROSTER
    ]


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return every raw row by stream."""
    roster = rows_of_roster()
    return {
        **{"tickets": TICKETS, "ticket_events": EVENTS, "calls": CALLS, "hr_roster": roster},
        **{"survey_responses": SURVEYS, "training_records": TRAINING, "kb_contributions": KB},
        **{"qa_reviews": REVIEWS, "improvement_suggestions": SUGGESTIONS, "offers": OFFERS},
        **{"peer_reviews": REVIEWS_360, "coaching_plans": COACHING, "customers": CUSTOMERS},
        "identity_map": IDENTITIES,
    }


def raw_tables(con: Any, _home: Any, _company: Any, _month: Any, as_of: Month, shape: Any) -> None:
    """Stand in for lake.create_raw_views: the same schema, from the rows above."""
    con.execute("create schema if not exists raw")
    given = rows()
    months: set[tuple[str, str]] = set()
    for stream, columns in shape.items():
        delivered = [{"_window": window(row), **row} for row in given.get(stream, [])]
        fill(con, stream, columns, [row for row in delivered if row["_window"] <= as_of.key])
        months |= {(row["_window"], stream) for row in delivered if row["_window"] <= as_of.key}
    lake.write_deliveries(con, months)


def window(row: dict[str, Any]) -> str:
    """Return the delivery window of a row: the month of its last instant."""
    instants = ("resolved_at", "occurred_at", "ended_at", "submitted_at")
    when = next((row[name] for name in instants if row.get(name)), "2026-09")
    return str(when)[:7]


def fill(con: Any, stream: str, columns: Any, data: list[dict[str, Any]]) -> None:
    """Create one raw table, typed as landing types it, with the envelope filled in."""
    types = {**dict(columns), "_month": "VARCHAR"}
    declared = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    con.execute(f"create or replace table raw.{stream} ({declared})")
    for number, row in enumerate(data, start=1):
        envelope = {"_source": "desk", "_op": "upsert", "_row_hash": number}
        envelope |= {"_file": f"{stream}.csv", "_row_number": number}
        full = {**envelope, **row}
        full["_month"] = full["_window"]
        names = ", ".join(f'"{name}"' for name in full)
        marks = ", ".join("?" for _ in full)
        con.execute(f"insert into raw.{stream} ({names}) values ({marks})", list(full.values()))


# (kpi, manager) -> numerator, denominator in September, counted by hand.
SEPTEMBER_SUMS: dict[tuple[str, str], tuple[float, float]] = {
    ("csat_rate", "M1"): (3, 4),  # r1 r2 r6 of r1 r2 r3 r6
    ("csat_rate", "M2"): (1, 2),  # r8 of r7 r8
    ("complaint_on_time_rate", "M1"): (1, 1),  # t4
    ("complaint_on_time_rate", "M2"): (0, 1),  # t5
    ("ticket_closure_rate", "M1"): (2, 5),  # t1 t10 of t1 t2 t10 t11 and t3, due and unsolved
    ("ticket_closure_rate", "M2"): (1, 2),  # t5 of t5 and t6, due and unsolved
    ("sla_met_rate", "M1"): (1, 2),  # t1 of t1 t2
    # t1 of t1, t10 (t11 is a day later) and t2 (reopened)
    ("first_contact_resolution_rate", "M1"): (1, 3),
    ("first_contact_resolution_rate", "M2"): (1, 1),  # t5
    ("one_touch_resolution_rate", "M1"): (1, 2),  # t1 of t1 t2; of the others no reply is told
    ("nps", "M1"): (0, 3),  # n2 n3 n4; n1 asked the same customer within 90 days
    ("nps", "M2"): (1, 1),
    ("service_attitude_score", "M1"): (3.5, 6),  # a1 1, a2 a4 a5 0.5, a3 1, a6 0
    ("reopen_rate", "M1"): (2, 4),  # t2 t11 of t1 t2 t10 t11
    ("reopen_rate", "M2"): (0, 1),  # t5
    ("first_reply_on_time_rate", "M1"): (3, 4),  # t1 t2 t11 of t1 t2 t3 t11
    ("first_reply_on_time_rate", "M2"): (2, 2),  # t5 t6
    # By the first solve: t1 t10 t11 of t1 t2 t3 t10 t11; and t5 after 540 minutes, t6.
    ("resolution_on_time_rate", "M1"): (3, 5),
    ("resolution_on_time_rate", "M2"): (0, 2),
    ("average_handle_time", "M1"): (450, 3),  # c1 150, c2 210, c5b 90
    ("average_handle_time", "M2"): (60, 1),  # c2b
    ("speed_of_answer", "M1"): (55, 3),
    ("speed_of_answer", "M2"): (5, 1),
    ("service_level", "M1"): (2, 4),  # c1 c5 of c1 c2 c3 c5
    ("service_level", "M2"): (1, 1),
    ("abandonment_rate", "M1"): (1, 5),  # c3 of c1 c2 c3 c4 c5
    ("abandonment_rate", "M2"): (0, 1),
    ("transfer_rate", "M1"): (1, 3),
    ("transfer_rate", "M2"): (0, 1),
    ("training_completion_rate", "M1"): (1, 2),  # l1 of l1 l3
    ("training_completion_rate", "M2"): (0, 1),  # l7
    # The year so far: August's heads and September's, a twelfth of each.
    ("turnover_rate", "M1"): (1, 0.597222),  # A5 of 4, and of A1 A2, A4 15 days, A5 20 days
    ("turnover_rate", "M2"): (1, 0.291667),  # A6 of A3 A6, and of A3, A4 15 days
    ("turnover_rate", "D1"): (0, 0.5),
    ("employee_satisfaction", "M1"): (2.5, 4),  # e0 half, e1, e3
    ("ces_rate", "M1"): (1, 2),  # x1 of x1 x2
    ("survey_response_rate", "M1"): (0, 1),  # r5; of the others nobody knows what was sent
    ("enps", "M1"): (0, 2),  # v1 v2
    ("qa_score", "M1"): (80, 100),
    ("qa_score", "M2"): (0, 100),  # a critical failure
    ("improvement_suggestions", "M1"): (1, 3.166667),  # s1
    ("improvement_suggestions", "M2"): (0, 1.5),  # s2 was August's
    ("improvement_suggestions", "D1"): (0, 3),
    ("suggestion_adoption_rate", "M1"): (1, 1),
    ("suggestion_adoption_rate", "M2"): (0, 1),
    ("peer_review_score", "M1"): (2.25, 3),  # 1, 0.75 and 0.5 of three peers
    ("peer_review_score", "M2"): (2.25, 3),  # three peers of a survey
    ("coaching_completion_rate", "M1"): (1, 1),
    ("coaching_completion_rate", "M2"): (0, 1),
    ("customer_retention_rate", "M1"): (1, 1),
    ("customer_retention_rate", "M2"): (0, 1),
    ("conversion_rate", "M1"): (1, 2),
    ("certification_rate", "M1"): (1, 1),
    ("certification_rate", "M2"): (0, 1),
    ("service_level_all_abandons", "M1"): (2, 5),  # c1 c5 of c1 c2 c3 c4 c5
    ("service_level_all_abandons", "M2"): (1, 1),
    ("kb_views_per_contribution", "M1"): (12, 1),
    ("kb_contributions", "M1"): (2, 3.166667),
    ("kb_contributions", "M2"): (0, 1.5),
    ("kb_contributions", "D1"): (0, 3),
}

MONTH_START = date(2026, 9, 1)
