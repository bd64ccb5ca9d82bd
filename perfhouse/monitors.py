"""What the anti-gaming monitors found in a month, and the source rows behind it.

Reads the warehouse; it may not score, publish or judge: a finding is for a person to look at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from perfhouse import scorecards, warehouse
from perfhouse.errors import ConfigError
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    import duckdb

_FINDINGS: scorecards.Columns = {
    "monitor": "varchar",
    "manager_id": "varchar",
    "employee_id": "varchar",
    "period_from": "date",
    "period_to": "date",
    "evidence_count": "bigint",
    "chance_count": "bigint",
    "value": "double",
    "peer_value": "double",
    "threshold": "double",
}
_EVIDENCE: scorecards.Columns = {
    "monitor": "varchar",
    "occurred_on": "date",
    "stream": "varchar",
    "source": "varchar",
    "source_row_id": "varchar",
    "file": "varchar",
    "row_number": "bigint",
    "subject_id": "varchar",
    "related_row_id": "varchar",
}
_COUNTED = "weekend_bulk_closes"  # a number of closes; the others are shares


@dataclass(frozen=True)
class Finding:
    """What stood out about one employee; `period_to` is excluded."""

    monitor: str
    manager_id: str | None
    employee_id: str
    period_from: date
    period_to: date
    evidence_count: int
    chance_count: int
    value: float
    peer_value: float | None
    threshold: float


@dataclass(frozen=True)
class Evidence:
    """One delivered row behind a finding; `file` and `row_number` say where it was delivered."""

    monitor: str
    occurred_on: date
    stream: str
    source: str
    source_row_id: str
    file: str
    row_number: int
    subject_id: str | None
    related_row_id: str | None


def findings(home: Home, month: Month) -> tuple[Finding, ...]:
    """List what stood out in a month, by monitor, manager and employee.

    Raises:
        ConfigError: the month was not built (operator).
    """
    with _opened(home) as con:
        _expect_built(con, month)
        rows = scorecards.read(
            con, "monitors.monitor_findings", _FINDINGS, "month = ?", [month.start]
        )
    return tuple(Finding(*row) for row in rows)


def evidence(home: Home, month: Month, monitor: str, limit: int = 20) -> tuple[Evidence, ...]:
    """List the first source rows behind a monitor's findings of a month.

    Raises:
        ConfigError: the month was not built (operator).
    """
    with _opened(home) as con:
        _expect_built(con, month)
        key = [month.start, monitor]
        where = "month = ? and monitor = ?"
        rows = scorecards.read(con, "monitors.monitor_evidence", _EVIDENCE, where, key)
    return tuple(Evidence(*row) for row in rows[: max(limit, 0)])


@contextmanager
def _opened(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    if not home.warehouse.exists():
        raise ConfigError([f"--home: expected {home.warehouse}, found none; build a month first"])
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        yield con
    finally:
        con.close()


def _expect_built(con: duckdb.DuckDBPyConnection, month: Month) -> None:
    known = scorecards.months(con)
    if str(month) not in known:
        built = ", ".join(known) or "none"
        raise ConfigError([f"--month: expected a built month ({built}); got {str(month)!r}"])


def as_text(found: Sequence[Finding], rows: Sequence[Evidence] = ()) -> str:
    """Write findings, and evidence where some is given, for people to read."""
    if not found:
        return "nothing stands out; no score depends on what a monitor finds"
    table = [["monitor", "manager", "employee", "period", "cases", "of", "value", "others", "from"]]
    table += [
        [
            *(f.monitor, f.manager_id or "-", f.employee_id, _period(f)),
            *(str(f.evidence_count), str(f.chance_count)),
            *(_value(f, number) for number in (f.value, f.peer_value, f.threshold)),
        ]
        for f in found
    ]
    lines = [*_aligned(table), "", "for a person to look at: no score depends on it"]
    if rows:
        listed = [["on", "stream", "source", "row", "about", "before", "file", "line"]]
        listed += [
            [
                *(f"{r.occurred_on:%Y-%m-%d}", r.stream, r.source, r.source_row_id),
                *(r.subject_id or "-", r.related_row_id or "-", r.file, str(r.row_number)),
            ]
            for r in rows
        ]
        lines += ["", *_aligned(listed)]
    return "\n".join(lines)


def as_json(found: Sequence[Finding], rows: Sequence[Evidence] = ()) -> str:
    """Write findings and evidence as JSON, dates as ISO text."""
    said = {"findings": [asdict(f) for f in found], "evidence": [asdict(r) for r in rows]}
    return json.dumps(said, ensure_ascii=False, indent=2, default=str)


def _period(found: Finding) -> str:
    days = (found.period_to - found.period_from).days
    return f"{found.period_from:%Y-%m-%d}" if days == 1 else f"{found.period_from:%Y-%m}"


def _value(found: Finding, number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:.1f}" if found.monitor == _COUNTED else f"{number:.1%}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[at]) for line in table) for at in range(len(table[0]))]
    lines = ("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in table)
    return [line.rstrip() for line in lines]
