"""What a company's configuration says, as plain frozen data.

This module may not read files; company.py does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from perfhouse.company_arrivals import Arrivals
from perfhouse.company_cards import Cards
from perfhouse.company_deadlines import Deadlines
from perfhouse.company_notices import Channel
from perfhouse.company_sign_off import SignOff
from perfhouse.export_types import PayrollBand, Receiver

PRIORITIES = ("low", "normal", "high", "urgent")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Openings = tuple[tuple[int, int], ...]  # half-open (start, end) seconds of the local day


@dataclass(frozen=True)
class Location:
    """A place people work at: its zone and its opening hours."""

    time_zone: str
    calendar: str


@dataclass(frozen=True)
class Calendar:
    """Opening hours by weekday (Monday 0), shut on holidays; `days` have hours of their own.

    What `days` says of a day holds whatever its weekday is and even if it is a holiday: a Sunday
    made up for a long holiday, half of New Year's Eve, or no hours at all.
    """

    time_zone: str
    hours: Mapping[int, Openings]
    holidays: frozenset[date]
    days: Mapping[date, Openings] = field(default_factory=dict)

    def openings_on(self, day: date) -> Openings:
        """Return a local day's openings, none when it is shut."""
        if day in self.days:
            return self.days[day]
        return () if day in self.holidays else self.hours.get(day.weekday(), ())


@dataclass(frozen=True)
class Target:
    """Floor (0 points), target (100) and stretch (120) of a KPI; valid_to is excluded.

    role and team_id '*' mean any.
    """

    kpi_id: str
    role: str
    team_id: str
    floor: float
    target: float
    stretch: float
    weight: float
    valid_from: date
    valid_to: date | None
    version: str
    announced_on: date
    approved_by: str
    approved_on: date | None = None


@dataclass(frozen=True)
class Role:
    """A rule that gives a manager a role; what is None or empty fits everybody.

    `leads` is 'managers' for whoever leads people that lead people, else 'agents'.
    """

    role: str
    leads: str | None
    job_family: tuple[str, ...]
    team_id: tuple[str, ...]
    position_name: tuple[str, ...]


@dataclass(frozen=True)
class PackChoice:
    """A chosen KPI pack; it is a proposal as long as nobody has approved and announced it."""

    id: str
    version: str
    folder: Path
    choose: tuple[str, ...]
    minimum_sample: Mapping[str, int]
    roles: tuple[Role, ...]
    proposals: tuple[Target, ...]
    approved_by: str = ""
    announced_on: date | None = None
    approved_on: date | None = None


@dataclass(frozen=True)
class KpiChoice:
    """Which KPIs are scored; choose None means every KPI with targets in the month."""

    choose: tuple[str, ...] | None
    targets: tuple[Target, ...]
    minimum_sample: Mapping[str, int]
    pack: PackChoice | None = None


@dataclass(frozen=True)
class Grade:
    """A band of total scores, from `from_score` upwards."""

    grade: str
    from_score: float


@dataclass(frozen=True)
class Change:
    """When a rule was announced, by whom it was approved, and its first month."""

    valid_from: date
    announced_on: date
    approved_by: str


@dataclass(frozen=True)
class Scoring:
    """How KPI scores become a total: least coverage (a share) and grade bands, best first.

    `later` are the rules that follow it, each in force from the first month it names.
    """

    coverage_minimum: float
    grades: tuple[Grade, ...]
    change: Change | None = None
    later: tuple[Scoring, ...] = ()

    def on(self, day: date) -> Scoring:
        """Return the rules in force on a day."""
        return _in_force(self, self.later, day)


@dataclass(frozen=True)
class Clock:
    """A time limit by priority, in minutes of a 'business' or 'calendar' clock."""

    clock: str
    minutes: Mapping[str, int]


@dataclass(frozen=True)
class ServiceLevels:
    """The promises made to customers; `later` are those that follow."""

    short_abandon_seconds: int
    answer_within_seconds: int
    reopen_days: int
    first_reply: Clock
    resolution: Clock
    complaint: Clock
    change: Change | None = None
    later: tuple[ServiceLevels, ...] = ()

    def on(self, day: date) -> ServiceLevels:
        """Return the promises in force on a day."""
        return _in_force(self, self.later, day)


_Rules = TypeVar("_Rules", Scoring, ServiceLevels)


def _in_force(first: _Rules, later: tuple[_Rules, ...], day: date) -> _Rules:
    begun = [each for each in later if each.change and each.change.valid_from <= day]
    return begun[-1] if begun else first


@dataclass(frozen=True)
class QueueOwner:
    """The manager answerable for a queue ('*': every queue); valid_to is excluded."""

    queue_id: str
    manager_id: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True)
class Identity:
    """The employee behind a source's user id, as a person says; valid_to is excluded.

    source '*' means any, employee '-' that the account is no single person's.
    """

    source: str
    source_user_id: str
    employee_id: str
    valid_from: date | None
    valid_to: date | None


@dataclass(frozen=True)
class Survey:
    """How the scores of one survey are read; None where the rule for all surveys holds.

    `easy_is` tells which end of the scale of an effort question means little effort. From
    `easy_from` and `satisfied_from`, included, towards the good end an answer is a good one.
    `closes_on`: the last days of the waves of a survey that asks employees, in their order.
    """

    survey_id: str
    easy_is: str | None = None
    easy_from: float | None = None
    satisfied_from: float | None = None
    closes_on: tuple[date, ...] = ()


@dataclass(frozen=True)
class Appeals:
    """How long a month may be appealed, and how soon it is decided, in working days.

    `published_on`: by month, the day its cards were handed out, where that was not the day on
    which the month closes.
    """

    raise_within_days: int = 5
    decide_within_days: int = 10
    published_on: Mapping[str, date] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnMapping:
    """How one canonical column is read: from a source column, an expression or a constant.

    Exactly one of source, sql and value is set. `unknown_when` is SQL over the typed columns.
    Of several formats the first that fits decides. `decimal` and `thousands` are the marks of
    numbers as people write them, `unit` is what a duration is counted in.
    """

    source: str | None = None
    sql: str | None = None
    value: str | int | float | bool | None = None
    format: str | tuple[str, ...] | None = None
    time_zone: str | None = None
    values: Mapping[str, Any] | None = None
    otherwise: Any = None
    unknown_when: str | None = None
    hash: bool = False
    required: bool | None = None
    decimal: str | None = None
    thousands: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class StreamMapping:
    """How one canonical stream is read from a source; window None = the delivery is the month."""

    stream: str
    options: Mapping[str, Any]
    window: str | None
    columns: Mapping[str, ColumnMapping]
    ignore: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """One connected system; `time_zone` is the zone of timestamps that name none.

    `watch`: its place is listed, and what arrives starts its ingest. `due_days`: days after the
    month's end on which it is late; None the day on which the month closes.
    """

    id: str
    connector: str
    owner: str
    schedule: str
    required: bool
    time_zone: str
    options: Mapping[str, Any]
    streams: tuple[StreamMapping, ...]
    watch: bool = False
    due_days: int | None = None


@dataclass(frozen=True)
class Agreement:
    """Who agreed to a threshold of a gate, a role or a body; on which day, and why."""

    agreed_by: str
    agreed_on: date
    reason: str


@dataclass(frozen=True)
class Company:
    """Everything a company's folder says."""

    folder: Path
    id: str
    name_en: str
    name_zh: str
    time_zone: str
    close_grace_days: int
    default_calendar: str
    locations: Mapping[str, Location]
    calendars: Mapping[str, Calendar]
    kpis: KpiChoice
    scoring: Scoring
    service: ServiceLevels
    queue_owners: tuple[QueueOwner, ...]
    gates: Mapping[str, Mapping[str, float]]
    sources: tuple[Source, ...]
    identities: tuple[Identity, ...] = ()
    roles: tuple[Role, ...] = ()
    clocks_stop_at: datetime | None = None  # sources were read at this instant, in mid-month
    monitors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    surveys: tuple[Survey, ...] = ()
    certification_grace_days: int = 90
    routing_codes: tuple[str, ...] = ()  # wrap-up codes of calls that had to be passed on
    receivers: tuple[Receiver, ...] = ()
    payroll_bands: tuple[PayrollBand, ...] = ()
    agreements: Mapping[str, Mapping[str, Agreement]] = field(default_factory=dict)
    appeals: Appeals = field(default_factory=Appeals)
    retention: Mapping[str, int] = field(default_factory=dict)  # months to keep, by kind
    look_back: Mapping[str, int] = field(default_factory=dict)  # months read back, by stream
    cards: Cards = field(default_factory=Cards)
    notices: tuple[Channel, ...] = ()
    sign_off: SignOff | None = None  # None: releases go out without anybody's signature
    arrivals: Arrivals = field(default_factory=Arrivals)
    deadlines: Deadlines = field(default_factory=Deadlines)
    mart: str | None = None  # connection of the PostgreSQL mart that shows what is published

    @property
    def listens(self) -> bool:
        """Tell whether anything that arrives starts work by itself."""
        return self.arrivals.on or any(source.watch for source in self.sources)

    def source(self, source_id: str) -> Source | None:
        """Return the source of that id, or None."""
        return next((source for source in self.sources if source.id == source_id), None)
