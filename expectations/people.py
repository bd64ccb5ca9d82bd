"""The people of the raw gate: who is behind the ids of this month's rows, and whom nobody knows.

Lays out tables and asks the build's own SQL who an id is; it may not decide that by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expectations.rules import quoted
from perfhouse import lake, warehouse
from perfhouse.company_look_back import months_back
from perfhouse.month import Month
from perfhouse.settings import project_dir

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

# stream -> the person whom a row is about, the instant at which the id was used, as the facts have
# it, and whether the id is an employee number
_PEOPLE = {
    "tickets": (
        "coalesce(resolved_by_id, assignee_id)",
        "coalesce(resolved_at, closed_at, source_updated_at, created_at)",
        "false",
    ),
    # only what somebody is credited for
    "ticket_events": (
        "case when actor_type = 'agent' and event_type in ('public_reply', 'solved') "
        "then actor_id end",
        "occurred_at",
        "false",
    ),
    "calls": ("agent_id", "ended_at", "false"),
    "survey_responses": (
        "coalesce(subject_employee_id, agent_id)",
        "least(sent_at, submitted_at)",
        "subject_employee_id is not null",
    ),
    "training_records": (
        "learner_id",
        "coalesce(assigned_at, completed_at, due_at, source_updated_at)",
        "false",
    ),
    "kb_contributions": ("author_id", "coalesce(submitted_at, published_at)", "false"),
}
_ENVELOPE = (
    "_source varchar, _op varchar, source_updated_at timestamptz, source_seq bigint, "
    "_file varchar, _row_number bigint, _row_hash varchar, _month varchar"
)
# the columns that the shared SQL reads, so that a stream nobody delivers is an empty table
_READ = {
    "hr_roster": "snapshot_date date, employee_id varchar, source_user_id varchar, "
    "work_email_hash varchar, valid_from date, valid_to date, hire_date date, "
    "last_work_date date, termination_date date, employment_status varchar",
    "source_users": "source_user_id varchar, employee_no varchar, email_hash varchar, "
    "login varchar, role varchar, is_active boolean, snapshot_date date",
    "employment_events": "event_id varchar, employee_id varchar, event_type varchar, "
    "effective_date date, recorded_at timestamptz",
    "identity_map": "mapped_source varchar, source_user_id varchar, employee_id varchar, "
    "match_rule varchar, valid_from date, valid_to date",
}
_TABLES = {
    "manual": "source varchar, source_user_id varchar, employee_id varchar, valid_from date, "
    "valid_to date",
    "people": "source varchar, stream varchar, person_id varchar, status varchar, "
    "candidate varchar, contested varchar, rows bigint, first_on date, last_on date, "
    "is_known boolean",
}


@dataclass(frozen=True)
class Stranger:
    """An id to be looked at; `why` says what is known about it, in words."""

    source: str
    source_user_id: str
    why: str


def prepare(con: DuckDBPyConnection, case: Case, present: Sequence[str]) -> None:
    """Make `identities` (who an id is on which days) and `people` (whose rows there are).

    `present` are the streams that have a view `raw_<stream>` of the month.
    """
    for name, columns in _TABLES.items():
        con.execute(f"create table {name} ({columns})")
    for name in _READ:
        _deliveries_of(con, case, name)
    written = [
        [i.source, i.source_user_id, i.employee_id, i.valid_from, i.valid_to]
        for i in case.company.identities
    ]
    warehouse.insert(con, "manual", written)
    for statement in _resolution(case.month, case.as_of):
        con.execute(statement)
    for stream in (name for name in _PEOPLE if name in present):
        con.execute(_count(stream, case))


def _deliveries_of(con: DuckDBPyConnection, case: Case, stream: str) -> None:
    """Make a view over all deliveries of a stream that a build of the month would read."""
    parts = [f"select * from empty_{stream}"]
    con.execute(f"create table empty_{stream} ({_ENVELOPE}, {_READ[stream]})")
    broken = {row[0] for row in con.execute("select path from broken_files").fetchall()}
    for month, paths in _delivered(case, stream, broken).items():
        listed = ", ".join(map(quoted, paths))
        parts.append(
            f"select *, {quoted(month)} as _month from read_parquet([{listed}], "
            "union_by_name = true)"
        )
    con.execute(f"create view delivered_{stream} as {' union all by name '.join(parts)}")


def _delivered(case: Case, stream: str, broken: Collection[str]) -> dict[str, list[str]]:
    sources = {source.id for source in case.company.sources}
    found: dict[str, list[str]] = {}
    back = months_back(stream, case.company.look_back)
    for manifest in lake.manifests(case.home, case.month.plus(-back), case.as_of):
        landing = manifest.streams.get(stream)
        if landing is None or manifest.source not in sources:
            continue
        paths = [case.home.root / f.path for f in landing.files if f.path not in broken]
        existing = [str(path) for path in paths if path.exists()]
        found.setdefault(manifest.month, []).extend(existing)
    return {month: paths for month, paths in found.items() if paths}


def _resolution(month: Month, as_of: Month) -> Iterator[str]:
    """Yield statements that make `identities` and `vanished` with the SQL of the build."""
    sql = _macros()
    events = sql.latest_versions("delivered_employment_events", ["_source", "event_id"])
    yield (
        "create table employment_events as select employee_id, event_type, "
        f"effective_date as effective_on, recorded_at from ({events}) where _op <> 'delete'"
    )
    told = ("delivered_hr_roster", month, as_of, "employment_events")
    yield (
        f"create table employees as with {sql.roster_assignments(*told)} "
        "select employee_id, user_id as source_user_id, email_hash as work_email_hash, "
        "valid_from, ends_on as valid_to from held"
    )
    gone = sql.roster_assignments(*told, of_vanished=True)
    yield f"create table vanished as with {gone} select employee_id, _source from vanished"
    yield f"create table directory as {sql.directory_users('delivered_source_users')}"
    yield f"create table claims as {sql.identity_claims('delivered_identity_map', 'manual')}"
    resolved = sql.resolved_identities("employees", "directory", "claims")
    yield f"create table identities as with {resolved} select * from resolved"


def _macros() -> Any:
    from jinja2 import Environment

    folder = project_dir() / "macros"
    files = [folder / name for name in ("rows.sql", "identities.sql")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    return Environment(autoescape=False).from_string(text).module  # noqa: S701 - SQL, not HTML


def _count(stream: str, case: Case) -> str:
    person, at, is_number = _PEOPLE[stream]
    day = f"cast(timezone({quoted(case.company.time_zone)}, {at}) as date)"
    joined = (
        "{0}.source_user_id = c.person_id "
        "and c.on_day >= {0}.valid_from and c.on_day < {0}.valid_to"
    )
    return (
        "insert into people with counted as ("
        f"select _source, {person} as person_id, {is_number} as is_number, "
        f"coalesce({day}, date '{case.month.start}') as on_day, count(*) as rows "
        f"from raw_{stream} where {person} is not null group by all), "
        "judged as (select c.*, "
        "case when o._source is null or (c.is_number and o.employee_id is null) then a else o end "
        "as found from counted c "
        f"left join identities o on o._source = c._source and {joined.format('o')} "
        f"left join identities a on a._source = '*' and {joined.format('a')}) "
        f"select _source, {quoted(stream)}, person_id, coalesce(found.status, 'unmatched'), "
        "found.candidate_employee_id, found.contested_employee_id, sum(rows), min(on_day), "
        "max(on_day), coalesce(found.status in ('matched', 'nobody'), false) "
        "from judged group by all"
    )


def strangers(con: DuckDBPyConnection, month: Month) -> list[Stranger]:
    """Return the ids that a person should look at, those of most rows first."""
    found: dict[tuple[str, str], list[str]] = {}
    for source, person, status, candidate, contested, seen, first_on, last_on in con.execute(
        "select source, person_id, status, min(candidate), min(contested), "
        "string_agg(rows || ' ' || stream, ', ' order by stream), min(first_on), max(last_on) "
        "from (select source, person_id, status, stream, min(candidate) as candidate, "
        "min(contested) as contested, sum(rows) as rows, min(first_on) as first_on, "
        "max(last_on) as last_on from people where not is_known group by all) "
        "group by source, person_id, status order by sum(rows) desc, source, person_id, status"
    ).fetchall():
        words = f"{_in_words(status, candidate, contested)}; {seen}, {first_on} to {last_on}"
        found.setdefault((source, person), []).append(words)
    for source, person, rule, employee, other in con.execute(contested_query(month)).fetchall():
        words = f"{rule} says {employee}, who is credited; another rule says {other}"
        found.setdefault((source, person), []).append(words)
    for source, person, before, after in con.execute(changed_query(month)).fetchall():
        words = f"was {before} until last month, is {after} now: from which day?"
        found.setdefault((source, person), []).append(words)
    return [Stranger(*key, "; ".join(words)) for key, words in found.items()]


_WORDS: Mapping[str, str] = {
    "unmatched": "nobody is known",
    "ambiguous": "{0} or {1}",
    "not_in_roster": "{0} is not in the roster",
}


def _in_words(status: str, candidate: str | None, contested: str | None) -> str:
    return _WORDS[status].format(candidate, contested)


def contested_query(month: Month, table: str = "identities") -> str:
    """Return SQL for ids about which two rules disagree in the month, unless a person decided."""
    return (
        "select _source as source, source_user_id as person_id, match_rule, employee_id, "
        f"contested_employee_id from {table} where employee_id is not null "
        "and contested_employee_id is not null and match_rule <> 'manual' "
        f"and valid_from < date '{month.end}' and valid_to > date '{month.start}' "
        "group by all order by all"
    )


def changed_query(month: Month, table: str = "identities") -> str:
    """Return SQL for accounts that a directory gives to another employee than the month before."""
    return (
        "select source, person_id, before, employee_id from (select _source as source, "
        "source_user_id as person_id, employee_id, match_rule, valid_from, lag(employee_id) over "
        "(partition by _source, source_user_id order by valid_from) as before "
        f"from {table} where _source <> '*') where before <> employee_id "
        f"and match_rule <> 'manual' and valid_from = date '{month.start}' order by all"
    )
