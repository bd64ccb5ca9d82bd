"""A company of 5,000 agents and 250 managers, and a month of it landed in a home, set-based.

Written straight as the lake holds it, Parquet and manifests; every value is a hash of its row
number and the seed, so equal sizes give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from connectors import streams
from perfhouse import lake, warehouse
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SEED = 20260901
MONTH = Month("2026-09")
AGENTS, TEAMS = 5_000, 250
EVENTS_A_TICKET = 10
_LANDED_AT = "2026-10-01T03:00:00+00:00"
_PARQUET = "(format parquet, compression zstd, row_group_size 122880)"

_TOML = """\
[company]
id = "bench"
name_en = "Benchmark"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[surveys.s]
easy_is = "high"
[locations.Shanghai]
time_zone = "Asia/Shanghai"
calendar = "cn"
[locations.London]
time_zone = "Europe/London"
calendar = "uk"
"""
_CALENDAR = """\
[calendars.{name}]
time_zone = "{zone}"
holidays = ["2026-09-25"]
[calendars.{name}.hours]
mon = ["09:00-12:00", "13:00-18:00"]
tue = ["09:00-12:00", "13:00-18:00"]
wed = ["09:00-12:00", "13:00-18:00"]
thu = ["09:00-12:00", "13:00-18:00"]
fri = ["09:00-12:00", "13:00-18:00"]
"""
_SOURCE = """\
[[sources]]
id = "{source}"
connector = "files"
owner = "benchmark"
"""
_STREAM = """\
[[sources.streams]]
stream = "{stream}"
path = "{stream}/{{month}}.parquet"
[sources.streams.columns]
{columns}
"""
_TARGETS_HEAD = (
    "kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,"
    "approved_by\n"
)
# KPI, floor, target, stretch: any will do, the work is the same
_TARGETS = (
    ("csat_rate", 0.2, 0.5, 0.9),
    ("nps", -0.5, 0, 0.5),
    ("service_attitude_score", 0.2, 0.5, 0.9),
    ("reopen_rate", 0.2, 0.05, 0),
    ("first_reply_on_time_rate", 0.2, 0.6, 0.9),
    ("resolution_on_time_rate", 0.2, 0.6, 0.9),
    ("complaint_on_time_rate", 0.2, 0.6, 0.9),
    ("ticket_closure_rate", 0.2, 0.6, 0.9),
    ("average_handle_time", 900, 400, 200),
    ("speed_of_answer", 120, 40, 10),
    ("service_level", 0.05, 0.2, 0.5),
    ("abandonment_rate", 0.3, 0.1, 0.01),
    ("transfer_rate", 0.3, 0.1, 0.01),
    ("training_completion_rate", 0.1, 0.5, 0.9),
    ("turnover_rate", 0.2, 0.05, 0),
    ("kb_contributions", 0, 0.5, 2),
    ("employee_satisfaction", 0.1, 0.5, 0.9),
)

# which streams a source delivers
_SOURCES = {
    "desk": ("tickets", "ticket_events", "kb_contributions"),
    "phone": ("calls",),
    "surveys": ("survey_responses",),
    "training": ("training_records",),
    "hr": ("hr_roster",),
}


@dataclass(frozen=True)
class Made:
    """One synthetic stream: SQL of its rows and of its columns; other columns are null."""

    rows: str
    columns: Mapping[str, str]


def company(folder: Path) -> Path:
    """Write the configuration folder; its mappings are never used, the lake is filled directly."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [_TOML]
    for name, zone in (("cn", "Asia/Shanghai"), ("uk", "Europe/London")):
        parts.append(_CALENDAR.format(name=name, zone=zone))
    for source, names in _SOURCES.items():
        parts.append(_SOURCE.format(source=source))
        for name in names:
            required = streams.required_by_stream()[name]
            columns = "\n".join(f'{column} = "{column}"' for column in required)
            parts.append(_STREAM.format(stream=name, columns=columns))
    (folder / "perfhouse.toml").write_text("\n".join(parts), encoding="utf-8")
    targets = [
        f"{kpi},*,*,{floor},{target},{stretch},1,2020-01-01,,1,2019-12-01,benchmark\n"
        for kpi, floor, target, stretch in _TARGETS
    ]
    (folder / "targets.csv").write_text(_TARGETS_HEAD + "".join(targets), encoding="utf-8")
    return folder


def fill(home: Home, events: int, calls: int | None = None, month: Month = MONTH) -> dict[str, int]:
    """Land a month with that many ticket events and calls; return the rows by stream.

    A call for every ticket when `calls` is not given. Months have the same people.
    """
    home.ensure()
    made = _month(events, calls, month)
    con = warehouse.connect()
    rows: dict[str, int] = {}
    try:
        _macros(con, month)
        for source, names in _SOURCES.items():
            landed = {name: _write(con, home, source, name, made[name], month) for name in names}
            rows |= {name: entry[0].landed for name, entry in landed.items()}
            _commit(home, source, landed, month)
    finally:
        con.close()
    return rows


def _commit(
    home: Home,
    source: str,
    landed: Mapping[str, tuple[lake.StreamLanding, Path, Path]],
    month: Month,
) -> None:
    manifest = lake.Manifest(
        source=source,
        connector="files",
        month=month.key,
        mapping_sha256="0" * 64,
        archive_sha256="0" * 64,
        archive=(),
        streams={name: entry[0] for name, entry in landed.items()},
        landed_at=_LANDED_AT,
        key_fingerprint="0" * 16,
    )
    lake.commit(home, manifest, {draft: final for _, draft, final in landed.values()})


def _write(
    con: DuckDBPyConnection, home: Home, source: str, name: str, made: Made, month: Month
) -> tuple[lake.StreamLanding, Path, Path]:
    envelope = {
        "_source": f"'{source}'",
        "_run_id": "'000000000000'",
        "_window": f"'{month}'",
        "_landed_at": f"timestamptz '{_LANDED_AT}'",
        "_row_hash": "md5(cast(i as varchar))",
        "_schema_version": "'1'",
        "_op": "'upsert'",
        "_file": f"'{name}.parquet'",
        "_row_number": "i + 1",
    }
    given = {**envelope, **made.columns}
    columns = ", ".join(
        f'cast({given.get(column, "null")} as {kind}) as "{column}"'
        for column, kind in streams.declarations()[name]
    )
    draft = home.tmp / f"{name}.parquet"
    con.execute(f"copy (select {columns} from {made.rows}) to '{draft}' {_PARQUET}")
    found = con.execute("select count(*) from read_parquet(?)", [str(draft)]).fetchone()
    count = int(found[0]) if found else 0
    digest = lake.file_sha256(draft)
    final = Path("raw") / name / lake.partition(month, source) / f"{digest[:12]}.parquet"
    landing = lake.StreamLanding(
        files=(lake.LandedFile(final.as_posix(), digest, count),),
        rows_read=count,
        outside_window=0,
        rows_in=count,
        landed=count,
        duplicates=0,
        quarantined=0,
        unknown={},
        undeclared_fields=(),
        late_rows={},
        quarantine_file=None,
        reasons={},
    )
    return landing, draft, final


def _macros(con: DuckDBPyConnection, month: Month) -> None:
    begin = f"timestamptz '{month.start} 00:00:00+08:00'"  # the month begins so in Shanghai
    for macro in (
        f"pick(i, salt, n) as cast(hash(i, salt, {SEED}) % n as bigint)",
        f"moment(i, salt, n) as {begin} + to_seconds(pick(i, salt, n))",
        "agent(n) as 'A' || lpad(cast(n as varchar), 4, '0')",
        "team(n) as 'T' || lpad(cast(n as varchar), 3, '0')",
        f"key(letter, i) as letter || '{month}-' || lpad(cast(i as varchar), 10, '0')",
        "ticket(i) as key('D', i)",
        f"owner(i) as pick(i, 'agent', {AGENTS})",
        # opened in the first 24 days and solved within 5: all events fall into the month
        "opened(i) as moment(i, 'opened', 2070000)",
        "replied(i) as opened(i) + to_seconds(60 + pick(i, 'reply', 28800))",
        "solved(i) as opened(i) + to_seconds(30000 + pick(i, 'solve', 400000))",
        # one ticket in five is handed on
        "handed(i) as pick(i, 'handed', 5) = 0",
        f"first_owner(i) as if(handed(i), pick(i, 'first', {AGENTS}), owner(i))",
        "unsolved(i) as pick(i, 'unsolved', 15) = 0",
        "reopened(i) as pick(i, 'reopened', 20) = 0",
        # one caller in ten rings at a second agent
        "caller(i) as i - cast(i % 10 = 9 as bigint)",
    ):
        con.execute(f"create macro {macro}")


def _month(events: int, calls: int | None, month: Month) -> dict[str, Made]:
    tickets = max(events // EVENTS_A_TICKET, 1)
    agents_a_team = AGENTS // TEAMS
    return {
        "tickets": _tickets(tickets, agents_a_team),
        "ticket_events": _events(events),
        "calls": _calls(calls or tickets, agents_a_team),
        "survey_responses": _surveys(max(tickets // 2, 1)),
        "training_records": _training(),
        "kb_contributions": _contributions(),
        "hr_roster": _roster(agents_a_team, month),
    }


def _tickets(count: int, agents_a_team: int) -> Made:
    return Made(
        f"range({count}) as n(i)",
        {
            "ticket_id": "ticket(i)",
            "category": "['billing', 'delivery', 'technical'][1 + pick(i, 'category', 3)]",
            "is_complaint": "pick(i, 'complaint', 25) = 0",
            "channel": "['web', 'email', 'chat', 'phone'][1 + pick(i, 'channel', 4)]",
            "priority": "['low', 'normal', 'high', 'urgent'][1 + pick(i, 'priority', 4)]",
            "status": "if(unsolved(i), 'open', 'solved')",
            "queue_id": f"team(owner(i) // {agents_a_team})",
            "assignee_id": "agent(owner(i))",
            "resolved_by_id": "if(unsolved(i), null, agent(owner(i)))",
            "first_responder_id": "agent(first_owner(i))",
            "requester_key": f"md5(cast(pick(i, 'requester', {count}) as varchar))",
            "created_at": "opened(i)",
            "first_response_at": "replied(i)",
            "resolved_at": "if(unsolved(i), null, solved(i))",
            "reopen_count": "cast(reopened(i) as integer)",
            "source_updated_at": "solved(i) + interval 1 hour",
        },
    )


def _events(count: int) -> Made:
    t, k = f"(i // {EVENTS_A_TICKET})", f"(i % {EVENTS_A_TICKET})"
    kinds = (
        *("created", "assigned", "public_reply", "customer_reply", "public_reply"),
        *("internal_note", "status_changed", "sla_fulfilled", "solved", "closed"),
    )
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    return Made(
        f"range({count}) as n(i)",
        {
            "event_id": "key('E', i)",
            "ticket_id": f"ticket({t})",
            "seq": k,
            "occurred_at": f"""case {k}
                when 0 then opened({t})
                when 1 then opened({t}) + interval 20 second
                when 2 then replied({t})
                when 8 then solved({t})
                when 9 then solved({t}) + interval 1 hour
                else replied({t}) + to_seconds(
                    cast(epoch(solved({t}) - replied({t})) as bigint) * ({k} - 2) // 6)
                end""",
            "actor_id": f"if({k} in (0, 3), null, "
            f"agent(if({k} < 6, first_owner({t}), owner({t}))))",
            "actor_type": f"if({k} in (0, 3), 'customer', 'agent')",
            "event_type": f"""case
                when {k} = 4 and pick({t}, 'single', 3) = 0 then 'internal_note'
                when {k} = 6 and handed({t}) then 'assigned'
                when {k} = 7 and pick({t}, 'breached', 8) = 0 then 'sla_breached'
                when {k} >= 8 and unsolved({t}) then 'internal_note'
                when {k} = 9 and reopened({t}) then 'reopened'
                else [{listed}][cast({k} + 1 as integer)] end""",
            "field": f"if({k} = 7, 'resolution', null)",
            "old_value": f"if({k} = 6 and handed({t}), agent(first_owner({t})), null)",
            "new_value": f"case {k} when 1 then agent(first_owner({t})) "
            f"when 6 then if(handed({t}), agent(owner({t})), 'pending') end",
            "is_public": f"{k} in (2, 3) or ({k} = 4 and pick({t}, 'single', 3) > 0)",
            "via_automation": "false",
        },
    )


def _calls(count: int, agents_a_team: int) -> Made:
    lost = "(pick(i, 'lost', 12) = 0)"
    began = "moment(caller(i), 'called', 2500000)"
    waited = "pick(i, 'waited', 90)"
    return Made(
        f"range({count}) as n(i)",
        {
            "leg_id": "key('L', i)",
            "interaction_id": "key('L', caller(i))",
            "leg_no": "1 + i - caller(i)",
            "media": "'voice'",
            "direction": "'inbound'",
            "queue_id": f"team(owner(caller(i)) // {agents_a_team})",
            "agent_id": f"if({lost}, null, agent(owner(i)))",
            "started_at": began,
            "queued_at": f"{began} + interval 5 second",
            "answered_at": f"if({lost}, null, {began} + to_seconds(5 + {waited}))",
            "ended_at": f"{began} + to_seconds(60 + {waited} + pick(i, 'talked', 900))",
            "wait_ms": f"{waited} * 1000",
            "talk_ms": f"if({lost}, null, pick(i, 'talked', 900) * 1000)",
            "hold_ms": f"if({lost}, null, pick(i, 'held', 40) * 1000)",
            "acw_ms": f"if({lost}, null, pick(i, 'after', 90) * 1000)",
            "disposition": f"if({lost}, 'abandoned', 'answered')",
            "transfer_type": "if(pick(i, 'transferred', 10) = 0, 'queue', 'none')",
            "transferred_to": "if(pick(i, 'transferred', 10) = 0, 'T001', null)",
            "ticket_id": "ticket(i)",
        },
    )


def _surveys(count: int) -> Made:
    """Customers' answers about every second ticket, then one of every agent about the manager."""
    kind = "['csat', 'csat', 'csat', 'ces', 'nps', 'nps', 'attitude'][1 + pick(i, 'kind', 7)]"
    staff = f"(i >= {count})"
    silent = f"(not {staff} and pick(i, 'silent', 4) = 0)"
    ten = f"(if({staff}, i % 2 = 1, {kind} = 'nps'))"
    return Made(
        f"range({count} + {AGENTS}) as n(i)",
        {
            "response_id": "key('R', i)",
            "survey_id": "'s'",
            "survey_kind": f"if({staff}, 'employee_satisfaction', {kind})",
            "question_id": "'q'",
            "metric": f"if({staff}, if(i % 2 = 1, 'enps', 'item'), {kind})",
            "status": f"if({silent}, 'sent', 'completed')",
            "sent_at": f"if({staff}, null, solved(i * 2) - interval 1 hour)",
            "submitted_at": f"if({staff}, moment(i, 'asked', 2500000), solved(i * 2))",
            "score": f"if({silent}, null, "
            f"if({ten}, pick(i, 'score', 11), 1 + pick(i, 'score', 5)))",
            "scale_min": f"if({ten}, 0, 1)",
            "scale_max": f"if({ten}, 10, 5)",
            "subject_employee_id": f"if({staff}, 'M' || lpad(cast((i - {count}) // "
            f"{AGENTS // TEAMS} as varchar), 3, '0'), null)",
            "ticket_id": f"if({staff}, null, ticket(i * 2))",
            "rater_type": f"if({staff}, 'subordinate', 'customer')",
            "rater_key": f"if({staff}, null, md5(cast(pick(i, 'rater', 10 * {count}) as varchar)))",
        },
    )


def _training() -> Made:
    learner, course, done = "(i // 4)", "(i // 2 % 2)", "(i % 2 = 1)"
    due = "moment(i // 2, 'due', 2400000)"
    return Made(
        f"range({4 * AGENTS}) as n(i)",
        {
            "record_id": "key('X', i)",
            "learner_id": f"agent({learner})",
            "course_id": f"'course-' || {course}",
            "course_type": "'course'",
            "is_mandatory": "true",
            "assigned_at": f"if({done}, null, {due} - interval 20 day)",
            "due_at": due,
            "completed_at": f"if({done}, {due} + to_days(cast(pick(i, 'late', 5) as int) - 2), "
            "null)",
            "status": f"if({done}, 'completed', 'assigned')",
            "source_updated_at": due,
        },
    )


def _contributions() -> Made:
    return Made(
        f"range({AGENTS}) as n(i)",
        {
            "contribution_id": "key('K', i)",
            "author_id": f"agent(pick(i, 'author', {AGENTS}))",
            "article_id": "'article-' || i",
            "action": "if(pick(i, 'action', 3) = 0, 'update', 'create')",
            "status": "'published'",
            "submitted_at": "moment(i, 'wrote', 2000000)",
            "published_at": "moment(i, 'wrote', 2000000) + interval 2 day",
            "views_30d": "pick(i, 'viewed', 400)",
        },
    )


def _roster(agents_a_team: int, month: Month) -> Made:
    """Agents, then managers, then a second assignment of every fiftieth agent from the 16th on."""
    moved = f"i >= {AGENTS + TEAMS}"
    who = f"if({moved}, (i - {AGENTS + TEAMS}) * 50, i)"
    boss = f"i >= {AGENTS} and i < {AGENTS + TEAMS}"
    place = f"if({moved}, ({who} // {agents_a_team} + 1) % {TEAMS}, {who} // {agents_a_team})"
    team = f"if({boss}, i - {AGENTS}, {place})"
    lead = f"'M' || lpad(cast({team} as varchar), 3, '0')"
    return Made(
        f"range({AGENTS + TEAMS + AGENTS // 50}) as n(i)",
        {
            "snapshot_date": f"date '{month.end - timedelta(days=1)}'",
            "employee_id": f"if({boss}, {lead}, agent({who}))",
            "display_name": f"if({boss}, '主管' || i, '客服' || {who})",
            "department_id": "'support'",
            "team_id": f"team({team})",
            "job_family": f"if({boss}, 'cs_manager', 'agent')",
            "manager_employee_id": f"if({boss}, null, {lead})",
            "is_people_manager": boss,
            "employment_type": "'full'",
            "employment_status": f"if(pick({who}, 'left', 100) = 0, 'left', 'active')",
            "hire_date": "date '2020-01-01'",
            "last_work_date": f"if(not ({boss}) and pick({who}, 'left', 100) = 0, "
            f"date '{month}-20', null)",
            "location": f"if({team} % 3 = 2, 'London', 'Shanghai')",
            "fte": "1",
            "valid_from": f"if({moved}, date '{month}-16', date '2020-01-01')",
        },
    )
