"""Everything known about one month that its cards draw on.

Plain data; what a card shows of it is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from perfhouse import scorecards
from perfhouse.card_alerts import Alerts
from perfhouse.card_appeals import Appeal
from perfhouse.card_changes import Move, Restated
from perfhouse.card_figures import Peers
from perfhouse.card_training import Needs
from perfhouse.scorecards import Definition, KpiScore, TeamPart, Total


@dataclass(frozen=True, slots=True)
class AgentResult:
    """One agent's two sums of one KPI; a company may have a million of them."""

    employee_id: str
    name: str
    kpi_id: str
    numerator: float
    denominator: float


@dataclass(frozen=True)
class Person:
    """How a manager is called on the card."""

    name: str | None = None
    team: str | None = None


@dataclass(frozen=True)
class Sheet:
    """Everything known about one month that cards draw on; `names` are those of employees.

    `peer_totals` by month and role and `peer_values` by role and KPI are ascending, and never
    shown as they are: `card_peers` says what of them a card may tell. `reason`: why the month was
    restated, in the words that were published. `before`: the scores of the month before.
    """

    month: date
    totals: tuple[Total, ...]
    history: Mapping[str, Sequence[Total]]
    peer_totals: Peers
    scores: Mapping[str, Sequence[KpiScore]]
    peer_values: Mapping[tuple[str | None, str], Sequence[float]]
    definitions: Mapping[tuple[str, str | None], Definition]
    people: Mapping[str, Person] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    agents: Mapping[str, Sequence[AgentResult]] = field(default_factory=dict)
    training: Mapping[str, Sequence[Needs]] = field(default_factory=dict)
    alerts: Mapping[str, Alerts] = field(default_factory=dict)
    moves: Mapping[str, Mapping[str, Move]] = field(default_factory=dict)
    restated: Restated = field(default_factory=dict)
    reason: str | None = None
    before: Mapping[str, Sequence[KpiScore]] = field(default_factory=dict)
    parts: Mapping[str, Sequence[TeamPart]] = field(default_factory=dict)
    appeals: Mapping[str, Sequence[Appeal]] = field(default_factory=dict)
    appeal_by: date | None = None
    grades: tuple[tuple[str, float], ...] = ()
    coverage_minimum: float | None = None
    verdicts: tuple[scorecards.Verdict, ...] = ()
    release: str | None = None
