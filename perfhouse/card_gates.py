"""What the gates said of a month, for the first page of a release: thresholds and open findings.

Reads a warehouse connection and prepares; it may not judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perfhouse import scorecards
from perfhouse.gate_words import Words, chinese
from perfhouse.month import Month

if TYPE_CHECKING:
    import duckdb

_COLUMNS = {
    **{"gate": "varchar", "check_id": "varchar", "severity": "varchar", "passed": "boolean"},
    **{"title_en": "varchar", "title_zh": "varchar", "observed": "varchar"},
    **{"threshold": "varchar", "agreed_by": "varchar", "agreed_on": "varchar"},
    **{"accepted_by": "varchar", "accepted_reason": "varchar"},
}


@dataclass(frozen=True)
class Line:
    """One check that failed, or that a threshold decides; `state` is passed, accepted, ....

    What was observed, allowed and agreed is said in Chinese and English.
    """

    check_id: str
    title_en: str
    title_zh: str
    observed: Words
    threshold: Words
    agreed: Words
    state: str
    accepted: str


@dataclass(frozen=True)
class Gate:
    """A gate with the number of its checks and the lines that are told of them."""

    name: str
    checks: int
    lines: list[Line] = field(default_factory=list)


def read(con: duckdb.DuckDBPyConnection, month: Month, names: Sequence[str]) -> tuple[Gate, ...]:
    """Return what the named gates said, in that order; a gate that has not judged is left out."""
    found = scorecards.read(con, "ops.gate_verdicts", _COLUMNS, "month = ?", [month.start])
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in found]
    gates = []
    for name in names:
        of_gate = [row for row in rows if row["gate"] == name]
        told = [_line(row) for row in of_gate if not row["passed"] or row["agreed_by"]]
        if of_gate:
            gates.append(Gate(name, len(of_gate), told))
    return tuple(gates)


def _line(row: dict[str, str | None]) -> Line:
    name, by = str(row["check_id"]), row["accepted_by"]
    by_whom = _both(row["agreed_by"])
    on = f" {row['agreed_on']}" if row["agreed_on"] else ""
    state = "passed" if row["passed"] else "accepted" if by else str(row["severity"])
    return Line(
        name,
        row["title_en"] or name,
        row["title_zh"] or name,
        _both(row["observed"]),
        _both(row["threshold"]),
        (by_whom[0] + on, by_whom[1] + on),
        state,
        f"{by}: {row['accepted_reason'] or ''}" if by else "",
    )


def _both(said: str | None) -> Words:
    return chinese(said or ""), said or ""
