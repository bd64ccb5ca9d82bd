"""What changed on one manager's card: since the month before and why, and since the last release.

Reads a warehouse or a release's changes and makes words; it may not judge a change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import scorecards
from perfhouse.card_numbers import HUNDREDTHS, signed
from perfhouse.scorecards import KpiScore

if TYPE_CHECKING:
    import duckdb

    from perfhouse.month import Month

REASON_LENGTH = 120  # letters; all of it is in the table `releases`
# By manager, by KPI (None: the total), by column: what the release before said.
Restated = Mapping[str, Mapping[str | None, Mapping[str, str | None]]]
_MOVES: scorecards.Columns = {
    "manager_id": "varchar",
    "kpi_id": "varchar",
    "value_change": "double",
    "mix_effect": "double",
}
_RESTATED = (
    "select manager_id, kpi_id, column_name, old_value from read_parquet(?) "
    "where (table_name = 'scorecard_kpi_months' and column_name in ('value', 'score')) "
    "or (table_name = 'scorecard_manager_months' and column_name in ('total_score', 'grade')) "
    "order by all nulls first"
)
_STATUSES = {
    "better": ("改善,", "Better:"),
    "worse": ("变差,", "Worse:"),
    "no_clear_change": ("无明显变化,", "No clear change:"),
}
_DIFFERENCES = {
    "rate": (" 个百分点", " percentage points"),
    "ratio": (" 个百分点", " percentage points"),
    "net_rate": (" 点", " points"),
    "seconds": (" 秒", " s"),
    "minutes": (" 分钟", " min"),
}


@dataclass(frozen=True)
class Move:
    """How far a KPI's value moved since the month before, and what of it other cases explain."""

    value_change: float
    mix_effect: float | None


def read(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, dict[str, Move]]:
    """Read by manager and KPI what moved since the month before; what has no month before is out.

    The numbers are those of `scorecard_explanations`, whose sentences say the same.
    """
    found: dict[str, dict[str, Move]] = defaultdict(dict)
    for manager, kpi, change, mix in scorecards.read(
        con,
        "scorecards.scorecard_explanations",
        _MOVES,
        "month = ? and value_change is not null",
        [month.start],
    ):
        found[manager][kpi] = Move(change, mix)
    return dict(found)


def read_restated(con: duckdb.DuckDBPyConnection, file: Path) -> Restated:
    """Read from a release's changes.parquet which numbers the release before it had otherwise."""
    found: dict[str, dict[str | None, dict[str, str | None]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    if file.exists():
        for manager, kpi, column, old in con.execute(_RESTATED, [str(file)]).fetchall():
            found[manager][kpi][column] = old
    return found


def told_reason(reason: str | None) -> str | None:
    """Return why a month was restated on one line, the end of a long one cut."""
    text = " ".join((reason or "").split())
    return (text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…") or None


def why(move: Move | None, score: KpiScore, unit: str) -> tuple[str, str] | None:
    """Say in one sentence what moved a KPI, in Chinese and English; None: nothing to compare.

    The parts sum to the change as they are shown.
    """
    if move is None or score.value is None:
        return None
    change = _rounded(score.value, unit) - _rounded(score.value - move.value_change, unit)
    mix = _rounded(move.mix_effect or 0.0, unit)
    if not change and not mix:
        return "与上月持平", "As it was last month"
    zh, en = _STATUSES.get(score.change_status or "", ("", "Moved by"))
    unit_zh, unit_en = _DIFFERENCES.get(unit, ("", ""))
    zh = f"{zh}较上月 {signed(change)}{unit_zh}"
    en = f"{en} {signed(change)}{unit_en}"
    if mix:
        rest = signed(change - mix)
        zh += f":自身表现 {rest},业务构成 {signed(mix)}"
        en += f", own results {rest}, mix {signed(mix)}"
    return zh, en


def _rounded(value: float, unit: str) -> Decimal:
    """Round as `scorecard_explanations` does: shares to a tenth of a hundredth, others to 0.01."""
    exact = Decimal(f"{value:.6f}")
    if unit in HUNDREDTHS:
        return (exact * 100).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
