"""Who else held an account of a person, and on which days: by the same SQL as the build credits.

Reads what was landed and the kept configurations; it may not alter a file.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import company, warehouse
from perfhouse.settings import Home, project_dir

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ANY = "*"
BEGIN, END = "1900-01-01", "2999-01-01"
OWN, OTHER, UNKNOWN = "own", "other", "unknown"
_MACROS = ("rows.sql", "identities.sql")
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
    "identity_map": "mapped_source varchar, source_user_id varchar, employee_id varchar, "
    "match_rule varchar, valid_from date, valid_to date",
}
# Whom a roster's source leaves out is gone from the first month of which it is silent.
_EMPLOYEES = """
    create table employees as with {held},
    last_named as (
        select _source, employee_id, max(_month) as last_month
        from delivered_hr_roster group by all
    ),
    gone as (
        select s._source, s.employee_id, cast(min(d._month) || '-01' as date) as silent_on
        from last_named as s
        inner join (select distinct _source, _month from delivered_hr_roster) as d
            on s._source = d._source and s.last_month < d._month
        group by all
    )
    select h.employee_id, nullif(trim(h.source_user_id), '') as source_user_id,
        nullif(trim(h.work_email_hash), '') as work_email_hash,
        coalesce(h.valid_from, date '1900-01-01') as valid_from,
        cast(least(h.valid_to, h.next_from, h.own_left_on, h.cut_on, s.silent_on,
            date '2999-01-01') as date) as valid_to
    from held as h
    left join gone as s on h._source = s._source and h.employee_id = s.employee_id
"""


@dataclass(frozen=True)
class Span:
    """Days of an account that several people held, half-open, as ISO dates; `whose` they are.

    Days of which no span tells are nobody's, as far as is known.
    """

    source: str
    account: str
    since: str
    until: str
    whose: str

    def touches(self, month: str) -> bool:
        """Say whether a day of the month (YYYY-MM) is within."""
        return self.since <= f"{month}-31" and self.until > f"{month}-01"


@dataclass(frozen=True)
class Claim:
    """An account that some delivery or configuration once gave to the person, and for which days.

    `source` is ANY where it was not said of one source.
    """

    source: str
    account: str
    since: str = BEGIN
    until: str = END


def claim(source: str, account: str, since: object = None, until: object = None) -> Claim:
    """Return a claim; no day, or an empty one, is one without end."""
    return Claim(source, account, str(since or BEGIN), str(until or END))


def passed_on(
    con: DuckDBPyConnection, home: Home, key: str, claims: Iterable[Claim]
) -> tuple[Span, ...]:
    """Return the days of every account, by landed source, that others hold or held besides."""
    claims = sorted(set(claims), key=lambda c: (c.source, c.account, c.since, c.until))
    accounts = sorted({each.account for each in claims})
    known = _resolved(con, home, key, accounts)
    spans: list[Span] = []
    for source in _sources(home):
        for account in accounts:
            said = [c for c in claims if c.account == account and c.source in (source, ANY)]
            days = known.get((source, account)) or known.get((ANY, account), [])
            if said and any(whose != OWN for *_, whose in days):
                spans += _spans(source, account, said, days)
    return tuple(spans)


def _spans(
    source: str, account: str, said: Iterable[Claim], days: list[tuple[str, str, str]]
) -> Iterator[Span]:
    """Yield what the build says, and for days on which it knows nobody what was once claimed."""
    for since, until, whose in days:
        yield Span(source, account, since, until, whose)
    free = [(c.since, c.until) for c in said]
    for since, until, _ in days:
        cut = ((a, min(b, since)) for a, b in free)
        rest = ((max(a, until), b) for a, b in free)
        free = [(a, b) for a, b in (*cut, *rest) if a < b]
    for since, until in sorted(set(free)):
        yield Span(source, account, since, until, OWN)


def _sources(home: Home) -> list[str]:
    found = home.raw.glob("*/month=*/source=*")
    return sorted({each.name.removeprefix("source=") for each in found})


def _resolved(
    con: DuckDBPyConnection, home: Home, key: str, accounts: list[str]
) -> dict[tuple[str, str], list[tuple[str, str, str]]]:
    """Return first day, first day after and whose, by source and account, of what is known."""
    newest = {stream: _delivered(con, home, stream) for stream in _READ}
    _manual(con, home)
    sql = _macros()
    told = ("delivered_hr_roster", newest["hr_roster"])
    con.execute(_EMPLOYEES.format(held=sql.roster_assignments(*told, of_all_months=True)))
    con.execute(f"create table directory as {sql.directory_users('delivered_source_users')}")
    con.execute(f"create table claims as {sql.identity_claims('delivered_identity_map', 'manual')}")
    resolved = sql.resolved_identities("employees", "directory", "claims")
    found: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for source, account, since, until, whose in con.execute(
        f"with {resolved} select _source, source_user_id, cast(valid_from as varchar), "
        "cast(valid_to as varchar), case when employee_id = $key then $own when status = "
        "'ambiguous' then $unknown else $other end from resolved where status <> 'unmatched' "
        "and list_contains($accounts, source_user_id) order by all",
        {"key": key, "accounts": accounts, "own": OWN, "unknown": UNKNOWN, "other": OTHER},
    ).fetchall():
        found.setdefault((source, account), []).append((since, until, whose))
    return found


def _delivered(con: DuckDBPyConnection, home: Home, stream: str) -> str:
    """Make a view over every delivery of a stream that counts; return the newest month."""
    con.execute(f"create table empty_{stream} ({_ENVELOPE}, {_READ[stream]})")
    parts = [f"select * from empty_{stream}"]
    months = sorted((home.raw / stream).glob("month=*"))
    for folder in months:
        files = ", ".join(_quoted(warehouse.plain(str(f))) for f in folder.rglob("*.parquet"))
        month = _quoted(folder.name.removeprefix("month="))
        parts += [f"select *, {month} as _month from {_read(files)}"] if files else []
    con.execute(f"create view delivered_{stream} as {' union all by name '.join(parts)}")
    return months[-1].name.removeprefix("month=") if months else END[:7]


def _read(files: str) -> str:
    return f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"


def _manual(con: DuckDBPyConnection, home: Home) -> None:
    """Make the table of what people wrote down; of one id and day the word kept last counts."""
    con.execute(
        "create table manual (source varchar, source_user_id varchar, employee_id varchar, "
        "valid_from date, valid_to date)"
    )
    said: dict[tuple[str, str, str], dict[str, str]] = {}
    for file in sorted(configured(home, "identity.csv"), key=_age):
        for row in lines_of(file):
            said[row["source"], row["source_user_id"], row["valid_from"]] = row
    columns = ("source", "source_user_id", "employee_id", "valid_from", "valid_to")
    for row in said.values():
        cells = [row[name] or None for name in columns]
        con.execute("insert into manual values (?, ?, ?, ?, ?)", cells)


def configured(home: Home, name: str) -> list[Path]:
    """List the files of a name in kept configurations."""
    return sorted(home.configurations.glob(f"*/{name}"))


def lines_of(file: Path) -> Iterator[dict[str, str]]:
    """Yield the lines of an identity.csv that name an account and an employee, trimmed."""
    columns = ("source", "source_user_id", "employee_id", "valid_from", "valid_to")
    with file.open(encoding="utf-8-sig", newline="") as handle:
        for cells in csv.DictReader(handle):
            row = {name: (cells.get(name) or "").strip() for name in columns}
            if row["source_user_id"] and row["employee_id"] not in ("", "employee_id"):
                yield row


def time_zone(home: Home) -> str:
    """Return the company's zone as its newest kept configuration has it; without one UTC."""
    for file in sorted(configured(home, company.FILE), key=_age, reverse=True):
        said = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("company", {})
        if "time_zone" in said:
            return str(said["time_zone"])
    return "UTC"


def days_in(spans: Collection[Span], day: str) -> str:
    """Return SQL that says whether a day is within one of the spans."""
    each = (f"{day} >= date '{s.since}' and {day} < date '{s.until}'" for s in spans)
    return f"({' or '.join(each) or 'false'})"


def _age(file: Path) -> tuple[int, str]:
    return file.stat().st_mtime_ns, str(file)


def _macros() -> Any:
    from jinja2 import Environment

    folder = project_dir() / "macros"
    text = "".join((folder / name).read_text(encoding="utf-8") for name in _MACROS)
    return Environment(autoescape=False).from_string(text).module  # noqa: S701 - SQL, not HTML


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
