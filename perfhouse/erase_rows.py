"""Which columns of landed rows name a person, and the SQL that puts the pseudonym there.

Words of a query only; it may not read or alter a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from perfhouse import appeal_month
from perfhouse.erase_holders import OWN, UNKNOWN, days_in
from perfhouse.erase_person import EMPLOYEE, Person

# Columns of streams that name an employee: by id, or by an account of the source.
PEOPLE = frozenset(
    {"assignee_id", "resolved_by_id", "first_responder_id", "actor_id", "agent_id"}
    | {"transferred_to", "subject_employee_id", "learner_id", "assigned_by", "coach_id"}
    | {"coachee_id", "employee_id", "source_user_id", "manager_employee_id"}
    | {"deputy_employee_id", "matrix_manager_ids", "head_employee_id", "from_manager"}
    | {"to_manager", "author_id", "proposer_id", "decided_by", "evaluator_id", "ratee_id"}
    | {"owner_id", "employee_no", "old_value", "new_value", "subject_id"}
    | {"credited_to", "admitted_by", "row_id"}  # of appeals; a row may be a person's
)
# Those in which an employee's number stands, whoever else has an account of that name.
NUMBERS = frozenset(
    {"employee_id", "employee_no", "subject_employee_id", "manager_employee_id", "to_manager"}
    | {"deputy_employee_id", "matrix_manager_ids", "head_employee_id", "from_manager"}
)
# Keyed hashes of people, customers or employees.
HASHES = frozenset(
    {"customer_key", "requester_key", "rater_key", "ani_hash", "subject_hash"}
    | {"email_hash", "work_email_hash"}
)
# What else a row about the person says of them: emptied where the row is theirs.
PERSONAL = ("display_name", "work_email_hash", "email_hash", "login")
# Streams whose rows say who has an account: whose row it is, that person's the account is.
_STATEMENTS = ("hr_roster", "identity_map", "source_users")
# The day on which a row used an id, as the facts take it: of these columns the first that is told.
_DAYS: Mapping[str, tuple[str, ...]] = {
    "tickets": ("resolved_at", "closed_at", "source_updated_at", "created_at"),
    "ticket_events": ("occurred_at",),
    "calls": ("ended_at",),
    "survey_responses": ("sent_at", "submitted_at"),
    "survey_aggregates": ("stat_date",),
    "training_records": (
        *("assigned_at", "completed_at", "cert_issued_at", "due_at", "source_updated_at"),
    ),
    "hr_roster": ("snapshot_date",),
    "source_users": ("snapshot_date",),
    "employment_events": ("effective_date", "recorded_at"),
    "org_units": ("snapshot_date",),
    "kb_contributions": ("submitted_at", "published_at"),
    "improvement_suggestions": ("submitted_at",),
    "appeals": ("raised_at",),
    "qa_reviews": ("reviewed_at",),
    "peer_reviews": ("submitted_at",),
    "coaching_plans": ("planned_at", "due_at"),
    "customers": ("contract_end",),
    "offers": ("offered_at",),
}
# Columns that were filled on a day of their own.
_OWN_DAYS: Mapping[str, tuple[str, ...]] = {
    "first_responder_id": ("first_response_at",),
    "decided_by": ("decided_at",),
}


@dataclass(frozen=True)
class Query:
    """A file without the person.

    Args:
        picked: the select list.
        touched: the condition of rows that it alters; empty: none can be.
        shared: the condition of rows that keep an account, for others hold it too and nobody
            knows whose it was then; empty: none can be.
    """

    picked: str
    touched: str
    shared: str


@dataclass(frozen=True)
class Landed:
    """A landed file: its stream, source, month, and columns with their types; `zone` dates it."""

    stream: str
    source: str
    month: str
    columns: tuple[tuple[str, str], ...]
    zone: str

    def day(self, column: str = "") -> str:
        """Return SQL for the day on which the rows used the id in a column, null if not told."""
        kinds = dict(self.columns)
        told = _OWN_DAYS.get(column, _DAYS.get(self.stream, ()))
        days = [self._on(name, kinds[name]) for name in told if name in kinds]
        if self.stream == "appeals" and column != "decided_by" and "scorecard_id" in kinds:
            about = appeal_month.about_sql("scorecard_id")  # who they were on its last day
            days.insert(0, f"last_day(try_cast(({about}) || '-01' as date))")
        if self.stream == "source_users":  # a directory speaks for its own month
            days.append(f"try_cast('{self.month}-01' as date)")
        return f"coalesce({', '.join(days)})" if days else "cast(null as date)"

    def _on(self, name: str, kind: str) -> str:
        zoned = kind == "TIMESTAMP WITH TIME ZONE"
        return (
            f'cast(timezone({text(self.zone)}, "{name}") as date)' if zoned else f'"{name}"::date'
        )


@dataclass(frozen=True)
class _Asked:
    """A landed file, and a person who is looked for in it."""

    file: Landed
    person: Person

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.file.columns)

    def is_theirs(self, column: str) -> Callable[[str], str]:
        """Return what makes SQL that says whether a value of a column is the person, that day."""
        person, source = self.person, self.file.source
        shared = person.shared(source)
        whole = {*person.hashes} - {*shared}
        if column in PEOPLE:
            whole |= {*person.ids(source)}
        if column in NUMBERS and person.kind == EMPLOYEE:
            whole |= {person.key}
        day = self.file.day(column)
        own = {
            account: days_in([s for s in spans if s.whose == OWN], day)
            for account, spans in shared.items()
            if account not in whole
        }

        def _sql(value: str) -> str:
            dated = (f"({value} = {text(account)} and {days})" for account, days in own.items())
            sole = [f"{value} in {texts(sorted(whole))}"] if whole else []
            return f"({' or '.join([*sole, *dated]) or 'false'})"

        return _sql

    def is_own_row(self) -> str:
        """Return SQL that says whether a row of a statement about accounts is the person's."""
        key, account = text(self.person.key), self.is_theirs("source_user_id")
        if self.file.stream != "source_users":
            return f'coalesce(trim("employee_id") = {key}, false)' if self._has_number else "false"
        number = '"employee_no"' if "employee_no" in self.names else "null"
        tests = [f"trim({number}) = {key}", account('"source_user_id"')]
        if "email_hash" in self.names:
            email = self.is_theirs("email_hash")('"email_hash"')
            tests.append(f"(coalesce(trim({number}), '') = '' and {email})")
        return f"coalesce({' or '.join(tests)}, false)"

    @cached_property
    def _has_number(self) -> bool:
        return "employee_id" in self.names

    def altered(self, name: str, kind: str) -> tuple[str, str]:
        """Return the value that stands in a column since, and the condition of rows it alters."""
        column, stand_in = f'"{name}"', text(self.person.pseudonym)
        about = self.file.stream in _STATEMENTS and self.person.kind == EMPLOYEE
        if about and name in (*PERSONAL, "source_user_id"):
            own = self.is_own_row()
            instead = stand_in if name == "source_user_id" else "null"
            own = f"({own}) and {column} is not null"
            return f"if({own}, {instead}, {column})", own
        if name == "extra":  # a source's own fields: nobody knows what they hold
            return self._extra(column)
        if name not in HASHES and (name not in PEOPLE or self.person.kind != EMPLOYEE):
            return column, ""
        theirs = self.is_theirs(name)
        if kind.endswith("[]"):
            value = f"list_transform({column}, e -> if({theirs('e')}, {stand_in}, e))"
            return value, f"len(list_filter({column}, e -> {theirs('e')})) > 0"
        return f"if({theirs(column)}, {stand_in}, {column})", theirs(column)

    def _extra(self, column: str) -> tuple[str, str]:
        """A word is looked for as a whole one, with `stands_in`, where it may be at all."""
        held = " or ".join(f"contains({column}, {text(word)})" for word in self.person.spelt)
        tests = [f"case when {held} then stands_in({column}) end"]
        for account, spans in self.person.shared(self.file.source).items():
            days = days_in([s for s in spans if s.whose == OWN], self.file.day())
            tests.append(f"(contains({column}, {text(account)}) and {days})")
        test = f"({' or '.join(tests)})"
        return f"if({test}, null, {column})", test

    def is_shared(self, name: str) -> Iterable[str]:
        """Yield the conditions of rows in which nobody knows who of several an id was.

        Where no day of it is known as the person's, though it was said to be theirs, any may be.
        """
        if name not in PEOPLE | HASHES or self.file.stream in _STATEMENTS:
            return
        for account, spans in self.person.shared(self.file.source).items():
            if name in NUMBERS and account == self.person.key:
                continue
            is_dated = any(span.whose == OWN for span in spans)
            known = [span for span in spans if is_dated and span.whose != UNKNOWN]
            days = days_in(known, self.file.day(name))
            yield f'("{name}" = {text(account)} and not coalesce({days}, false))'


def query(file: Landed, person: Person) -> Query:
    """Return the SQL that replaces the person in the rows of a file.

    It calls `stands_in`, which must be a function of the connection.
    """
    asked = _Asked(file, person)
    picked: list[str] = []
    touched: list[str] = []
    shared: list[str] = []
    for name, kind in file.columns:
        value, test = asked.altered(name, kind)
        picked.append(f'{value} as "{name}"')
        touched += [f"coalesce({test}, false)"] if test else []
        shared += [] if kind.endswith("[]") else asked.is_shared(name)
    return Query(", ".join(picked), " or ".join(touched), " or ".join(shared))


def texts(values: Iterable[str]) -> str:
    """Return SQL for a list of texts in round brackets."""
    return f"({', '.join(map(text, values))})"


def text(value: str) -> str:
    """Return SQL for a text."""
    return "'" + value.replace("'", "''") + "'"
