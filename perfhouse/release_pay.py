"""What a new release would pay otherwise than the one before, beside what ripening explains.

Reads the payroll export of a release and of the warehouse; it may not tell a value, for those are
payroll's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import exports, warehouse
from perfhouse.restatement import Change

if TYPE_CHECKING:
    from perfhouse.company import Company
    from perfhouse.month import Month
    from perfhouse.settings import Home

_TABLE = exports.PAYROLL.relation.partition(".")[2]
_COLUMNS = ("points", "multiplier", "band_version")
Paid = dict[str, tuple[object, ...]]


def told(company: Company, home: Home, month: Month, before: Path) -> list[Change]:
    """Return what differs in payroll's export from a release's folder, without its values."""
    old, new = released(before, month), _built(company, home, month)
    return list(_differing(old, new))


def is_explained(paid: Iterable[Change], found: Sequence[Change]) -> bool:
    """Say whether each difference follows from a KPI of that manager that changed.

    Bands are agreed on before the month: where another version of them pays, nothing ripened.
    """
    settled = {change.manager_id for change in found if change.kpi_id is not None}
    return all(
        change.manager_id in settled
        and (change.column_name != "band_version" or None in (change.old_value, change.new_value))
        for change in paid
    )


def _differing(old: Paid, new: Paid) -> Iterator[Change]:
    nothing = (None,) * len(_COLUMNS)
    for number in sorted({*old, *new}):
        was, now = old.get(number, nothing), new.get(number, nothing)
        for column, then, since in zip(_COLUMNS, was, now, strict=True):
            if then != since:
                words = (None if then is None else "-", None if since is None else "-")
                yield Change(_TABLE, number, number, None, None, column, *words)


def released(folder: Path, month: Month) -> Paid:
    """Return what a release's payroll export says of each employee number; empty without one."""
    file = folder / "exports" / exports.PAYROLL.folder / f"{exports.PAYROLL.name}_{month}.parquet"
    return _rows("read_parquet(?)", [str(file)]) if file.exists() else {}


def points(paid: Paid) -> Decimal:
    """Return the points of all together."""
    return sum((Decimal(str(row[0])) for row in paid.values() if row[0] is not None), Decimal())


def _built(company: Company, home: Home, month: Month) -> Paid:
    if not company.payroll_bands:
        return {}
    return _rows(f"{exports.PAYROLL.relation} where month = ?", [month.start], home.warehouse)


def _rows(relation: str, values: Sequence[object], file: Path | None = None) -> Paid:
    con = warehouse.connect(file, read_only=True) if file else warehouse.connect()
    try:
        query = f"select employee_number, {', '.join(_COLUMNS)} from {relation}"
        return {str(row[0]): row[1:] for row in con.execute(query, values).fetchall()}
    finally:
        con.close()
