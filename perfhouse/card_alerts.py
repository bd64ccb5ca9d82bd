"""What a card asks its manager to look at: findings of monitors, warnings of gates, with numbers.

Reads a warehouse connection and makes words; it may not judge, and no score may read it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfhouse import scorecards
from perfhouse.card_figures import DASH
from perfhouse.card_numbers import number, percent

if TYPE_CHECKING:
    import duckdb

    from perfhouse.month import Month

_COUNTED = "weekend_bulk_closes"  # a number of closes on a day; the others are shares
MONITOR_NAMES: Mapping[str, tuple[str, str]] = {
    "reassigned_after_bad_rating": ("差评后转走工单", "Tickets given away after a bad rating"),
    "closed_early_and_reopened": ("限期前关单又重开", "Tickets closed early and reopened"),
    "transfer_dumping_tickets": ("未处理即转走工单", "Tickets passed on untouched"),
    "transfer_dumping_calls": ("接起即转的电话", "Calls transferred at once"),
    "survey_not_offered": ("未邀请客户评价", "Customers not asked"),
    "survey_not_answered": ("邀请评价无回应", "Invitations not answered"),
    "very_short_calls": ("极短电话", "Very short calls"),
    _COUNTED: ("周末集中关单", "Many tickets solved on a weekend day"),
}
_FINDINGS: scorecards.Columns = {
    "manager_id": "varchar",
    "employee_id": "varchar",
    "monitor": "varchar",
    "evidence_count": "bigint",
    "chance_count": "bigint",
    "peer_value": "double",
}
_WARNINGS: scorecards.Columns = {
    "gate": "varchar",
    "check_id": "varchar",
    "title_zh": "varchar",
    "title_en": "varchar",
    "failing_keys": "varchar",
}


@dataclass(frozen=True)
class Finding:
    """What a monitor found about one employee: cases of so many chances, and the others' share."""

    employee_id: str
    monitor: str
    cases: int
    chances: int
    peer_value: float | None


@dataclass(frozen=True)
class Warned:
    """A failed check of a gate among whose failing keys the manager is."""

    gate: str
    check_id: str
    title_zh: str
    title_en: str


@dataclass(frozen=True)
class Alerts:
    """All that concerns one manager; there is evidence behind each."""

    findings: Sequence[Finding] = ()
    warnings: Sequence[Warned] = ()


def read(
    con: duckdb.DuckDBPyConnection, month: Month, managers: Sequence[str], gates: Sequence[str]
) -> dict[str, Alerts]:
    """Read the alerts of a month by manager: of their people's work, and of their own rows."""
    found: dict[str, list[Finding]] = defaultdict(list)
    for manager, *finding in scorecards.read(
        con, "monitors.monitor_findings", _FINDINGS, "month = ?", [month.start]
    ):
        found[manager].append(Finding(*finding))
    warned: dict[str, list[Warned]] = defaultdict(list)
    for gate, check, zh, en, keys in scorecards.read(
        con, "ops.gate_verdicts", _WARNINGS, "month = ? and not passed", [month.start]
    ):
        if gate in gates:
            for manager in _named(keys or "", managers):
                warned[manager].append(Warned(gate, check, zh or check, en or check))
    return {m: Alerts(found[m], warned[m]) for m in managers if found.get(m) or warned.get(m)}


def _named(keys: str, managers: Sequence[str]) -> list[str]:
    """Return the managers whom failing keys name, such as `manager_id=M1001, kpi_id=nps`."""
    named = {found.strip() for found in re.findall(r"\bmanager_id=([^,;]*)", keys)}
    return [manager for manager in managers if manager in named]


def view(alerts: Alerts | None) -> dict[str, Any] | None:
    """Describe a manager's alerts, a row a monitor.

    It names nobody of the team: a card is kept for good, and a finding is no verdict.
    """
    if alerts is None:
        return None
    by_monitor: dict[str, list[Finding]] = defaultdict(list)
    for finding in alerts.findings:
        by_monitor[finding.monitor].append(finding)
    return {
        "rows": [_row(monitor, found) for monitor, found in sorted(by_monitor.items())],
        "warnings": [
            {"gate": w.gate, "check_id": w.check_id, "zh": w.title_zh, "en": w.title_en}
            for w in alerts.warnings
        ],
    }


def _row(monitor: str, found: Sequence[Finding]) -> dict[str, Any]:
    cases, chances = sum(f.cases for f in found), sum(f.chances for f in found)
    peers = [f.peer_value for f in found if f.peer_value is not None]
    others = max(peers) if peers else None
    if monitor == _COUNTED:
        value, of_others = number(cases), DASH if others is None else number(others)
    else:
        value = f"{cases} / {chances} = {percent(cases / max(chances, cases))}"
        of_others = percent(others)
    return {
        "monitor": monitor,
        "what": MONITOR_NAMES.get(monitor, (monitor, monitor)),
        "people": len({f.employee_id for f in found}),
        "value": value,
        "others": of_others,
    }
