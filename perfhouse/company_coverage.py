"""How much of a role's weight the configured streams can give, told before a month is built.

Knows what each KPI of the catalogue is counted from; what a delivery holds in fact it may not ask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfhouse.company_types import ColumnMapping, Company, Source, StreamMapping, Target
from perfhouse.month import Month


@dataclass(frozen=True)
class Need:
    """A stream that a KPI cannot do without; of a column, a word that it must be able to say."""

    stream: str
    column: str = ""
    word: str = ""

    def __str__(self) -> str:
        """Return the stream, with its column and word as the configuration names them."""
        column = f".{self.column}" if self.column else ""
        return f"{self.stream}{column}" + (f" {self.word}" if self.word else "")

    def is_met(self, mapping: StreamMapping) -> bool:
        """Say whether a source maps what is needed; SQL and unmapped words may say anything."""
        if mapping.stream != self.stream:
            return False
        if not self.column:
            return True
        column = mapping.columns.get(self.column)
        return column is not None and (not self.word or _may_say(column, self.word))


def _may_say(column: ColumnMapping, word: str) -> bool:
    if column.value is not None:
        return column.value == word
    if column.values is None:
        return True
    return word in column.values.values() or column.otherwise == word


def _answers(metric: str) -> Need:
    return Need("survey_responses", "metric", metric)


_CALLS, _TICKETS, _TRAINING = Need("calls"), Need("tickets"), Need("training_records")
_HEADS, _ARTICLES, _IDEAS = (
    Need(name) for name in ("hr_roster", "kb_contributions", "improvement_suggestions")
)
# Any one of what is named for a KPI will do. Heads are counted from the roster, which every company
# has; of a KPI that stands here not, such as a company's own, nothing is said.
NEEDS: Mapping[str, tuple[Need, ...]] = {
    **dict.fromkeys(
        (
            *("abandonment_rate", "average_handle_time", "service_level", "speed_of_answer"),
            *("service_level_all_abandons", "transfer_rate"),
        ),
        (_CALLS,),
    ),
    **dict.fromkeys(
        (
            *("first_reply_on_time_rate", "one_touch_resolution_rate", "reopen_rate"),
            *("resolution_on_time_rate", "sla_met_rate", "ticket_closure_rate"),
        ),
        (_TICKETS,),
    ),
    "complaint_on_time_rate": (Need("tickets", "is_complaint"),),
    "first_contact_resolution_rate": (Need("tickets", "requester_key"),),
    "ces_rate": (_answers("ces"),),
    "csat_rate": (_answers("csat"),),
    "nps": (_answers("nps"),),
    "service_attitude_score": (_answers("attitude"),),
    "survey_response_rate": (Need("survey_responses"),),
    "enps": (_answers("enps"),),
    "employee_satisfaction": (Need("survey_responses", "survey_kind", "employee_satisfaction"),),
    "peer_review_score": (
        Need("peer_reviews"),
        Need("survey_responses", "survey_kind", "peer_360"),
    ),
    "certification_rate": (_TRAINING,),
    "training_completion_rate": (_TRAINING,),
    "coaching_completion_rate": (Need("coaching_plans"),),
    "conversion_rate": (Need("offers"),),
    "customer_retention_rate": (Need("customers"),),
    "improvement_suggestions": (_IDEAS,),
    "suggestion_adoption_rate": (_IDEAS,),
    "kb_contributions": (_ARTICLES,),
    "kb_views_per_contribution": (_ARTICLES,),
    "qa_score": (Need("qa_reviews"),),
    "turnover_rate": (_HEADS,),
    "voluntary_turnover_rate": (_HEADS,),
}


def gaps(company: Company, sources: Sequence[Source], month: Month) -> list[str]:
    """Tell of each role that can get no total in a month what is missing for one.

    `sources` are those of the company with the ready mappings of their connectors. Where a pack is
    not approved yet, its proposals are judged.
    """
    mappings = [mapping for source in sources for mapping in source.streams]
    missing = {
        kpi_id: needs
        for kpi_id, needs in NEEDS.items()
        if not any(need.is_met(mapping) for need in needs for mapping in mappings)
    }
    least = company.scoring.on(month.start).coverage_minimum
    told = []
    for role, weights in sorted(_weights(company, month).items()):
        whole = sum(weights.values())
        given = sum(weight for kpi_id, weight in weights.items() if kpi_id not in missing)
        if whole and given / whole < least:
            lacks = {kpi_id: missing[kpi_id] for kpi_id in weights if kpi_id in missing}
            told.append(_sentence(role, given, whole, least, _by_stream(lacks, weights)))
    return told


def _sentence(role: str, given: float, whole: float, least: float, streams: str) -> str:
    who = "managers of any role" if role == "*" else f"role {role}"
    return (
        f"{who}: the configured streams can give {given:g} of {whole:g} of the weight, below the "
        f"least coverage of {least:.0%}: nobody gets a total; missing: {streams}"
    )


def _by_stream(lacks: Mapping[str, tuple[Need, ...]], weights: Mapping[str, float]) -> str:
    """Return what is missing, what weighs most first, with the KPIs that need it."""
    found: dict[str, list[str]] = defaultdict(list)
    for kpi_id, needs in lacks.items():
        found[" or ".join(map(str, needs))].append(kpi_id)
    ordered = sorted(found.items(), key=lambda each: (-sum(weights[k] for k in each[1]), each[0]))
    return "; ".join(
        f"{stream} ({', '.join(f'{kpi_id} {weights[kpi_id]:g}' for kpi_id in sorted(kpi_ids))})"
        for stream, kpi_ids in ordered
    )


def _weights(company: Company, month: Month) -> dict[str, dict[str, float]]:
    """Return the weights by role and KPI; a role's own line goes before one for every role.

    What single teams have otherwise is left aside.
    """
    lines = [line for line in _lines(company, month) if line.team_id == "*"]
    roles = {line.role for line in lines}
    return {
        role: {
            line.kpi_id: line.weight
            for line in sorted(lines, key=lambda line: line.role != "*")
            if line.role in ("*", role)
        }
        for role in (roles - {"*"} or roles)
    }


def _lines(company: Company, month: Month) -> list[Target]:
    choice = company.kpis
    lines = [
        line
        for line in choice.targets
        if line.valid_from <= month.start and (line.valid_to is None or month.start < line.valid_to)
    ]
    if choice.pack is not None and choice.pack.announced_on is None:
        own = {(line.kpi_id, line.role) for line in lines}
        lines += [each for each in choice.pack.proposals if (each.kpi_id, each.role) not in own]
    return [line for line in lines if choice.choose is None or line.kpi_id in choice.choose]
