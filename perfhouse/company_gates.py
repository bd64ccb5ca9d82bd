"""The thresholds of the gates: what a company allows, and who agreed to it when.

Standard library only; which gate knows which threshold is handed in, never imported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from perfhouse.company_types import Agreement
from perfhouse.config_reader import Table

GATES = ("raw", "facts", "scorecards", "exports")
_AGREED = "thresholds"  # [[gates.thresholds]], beside [gates.<gate>]


def read_gates(
    top: Table, known: Mapping[str, Collection[str]] | None
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Agreement]]]:
    """Read `[gates]`: thresholds by gate and name, and the agreements behind them.

    `[gates.<gate>]` gives numbers alone, `[[gates.thresholds]]` each with who agreed, when and
    why. `known` names the thresholds of each gate; None accepts any.
    """
    table = top.table("gates")
    entries = table.tables(_AGREED)
    values: dict[str, dict[str, float]] = {}
    for gate in GATES:
        nested = table.table(gate)
        names = None if known is None else known.get(gate)
        if names is not None:
            nested.read.update(names)
            nested.finish()
        values[gate] = {name: nested.number(name, 0, 0) for name in nested.data}
    table.finish()
    agreed: dict[str, dict[str, Agreement]] = {}
    for entry in entries:
        _agreement(entry, known, values, agreed)
    return values, agreed


def _agreement(
    entry: Table,
    known: Mapping[str, Collection[str]] | None,
    values: dict[str, dict[str, float]],
    agreed: dict[str, dict[str, Agreement]],
) -> None:
    gate = entry.one_of("gate", GATES)
    name = entry.one_of("name", None if known is None else known.get(gate, ()))
    if entry.take("value") is None:
        entry.problem("value", "a number from 0")
    value = entry.number("value", 0, 0)
    by, reason = entry.text("agreed_by"), entry.text("reason")
    if "@" in by or "@" in reason:
        what = "a role or a body such as 'Data board': whoever reads a release reads it"
        entry.problem("agreed_by", what, by if "@" in by else reason)
    if entry.take("agreed_on") is None:
        entry.problem("agreed_on", "the day of the agreement such as 2026-09-01")
    on = entry.day("agreed_on")
    entry.finish()
    if name in values.get(gate, {}):
        entry.problem("name", f"each threshold of gate {gate} once", name)
        return
    values.setdefault(gate, {})[name] = value
    agreed.setdefault(gate, {})[name] = Agreement(by, on or date.min, reason)
