"""A receiver's own file: an export through its mapping, as bytes.

It changes how values are written, never which they are.
"""

from __future__ import annotations

import csv
import io
import string
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from perfhouse.errors import ConfigError
from perfhouse.export_columns import ADDED, IDENTITY, REMOVED, ROW_CHANGE, TOTAL
from perfhouse.export_types import ExportMapping, MappedColumn
from perfhouse.exports import Table, Value
from perfhouse.formulas import guarded
from perfhouse.month import Month

_DAY = timedelta(days=1)


def file_name(mapping: ExportMapping, month: Month, release: str) -> str:
    """Return the name that the system wants the file of a month to have."""
    return mapping.file.format(month=month, release=release)


def sends(mapping: ExportMapping, row: Mapping[str, Value]) -> bool:
    """Say whether a mapping sends a row of its export; who has no total may be left out."""
    return not (mapping.scored_only and TOTAL in row and row[TOTAL] is None)


def says_changes(mapping: ExportMapping) -> bool:
    """Say whether a mapping's file has a place for what became of a row: added ... removed."""
    return any(ROW_CHANGE in _read_by(column) for column in mapping.columns)


def render(mapping: ExportMapping, table: Table, month: Month, release: str) -> tuple[bytes, int]:
    """Return a table as the system wants it, and its rows: a header, a line for each row, CRLF.

    A row whose `row_change` is removed is written whatever it holds: it takes back what was sent.

    Raises:
        ConfigError: a value has no counterpart, or no place in the encoding (operator); the
            message names column and row, of values only codes.
    """
    rows = [dict(zip(table.columns, values, strict=True)) for values in table.rows]
    sent = [row for row in rows if row.get(ROW_CHANGE) == REMOVED or sends(mapping, row)]
    return _written(mapping, mapping.columns, sent, month, release), len(sent)


def withdrawals(mapping: ExportMapping, table: Table, month: Month, release: str) -> bytes:
    """Return rows that the system is to take back: its own columns, as far as they tell which.

    Where none of these is the employee number, it comes first.
    """
    told = [column for column in mapping.columns if _read_by(column) <= set(IDENTITY)]
    if not any("employee_number" in _read_by(column) for column in told):
        told.insert(0, MappedColumn("employee_number", source="employee_number"))
    rows = [dict(zip(table.columns, values, strict=True)) for values in table.rows]
    return _written(mapping, told, rows, month, release)


def _read_by(column: MappedColumn) -> set[str]:
    """Return the columns of the export that a column of a mapping is made of."""
    named = [name for _, name, _, _ in string.Formatter().parse(column.text or "") if name]
    return {*named, *([column.source] if column.source else [])}


def _written(
    mapping: ExportMapping,
    columns: Sequence[MappedColumn],
    rows: Sequence[Mapping[str, Value]],
    month: Month,
    release: str,
) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=mapping.delimiter, lineterminator="\r\n")
    writer.writerow([column.to for column in columns])
    guard = guarded if mapping.guard else str
    of_all: dict[str, Value] = {
        "month": month.start,
        "month_end": month.end - _DAY,
        "release": release,
    }
    for row in rows:
        named: dict[str, Value] = {ROW_CHANGE: ADDED, **row, **of_all}
        writer.writerow([_cell(mapping, column, named, guard) for column in columns])
    try:
        return buffer.getvalue().encode(mapping.encoding)
    except UnicodeEncodeError:
        problem = (
            f"mapping {mapping.id}: file.encoding: a character does not fit {mapping.encoding}"
        )
        raise ConfigError([problem]) from None


def _cell(
    mapping: ExportMapping,
    column: MappedColumn,
    row: Mapping[str, Value],
    guard: Callable[[str], str],
) -> str:
    if column.text is not None:
        told = {name: _plain(value) for name, value in row.items()}
        return guard(column.text.format(**told))
    if column.source is None:
        return guard(column.value or "")
    value = row[column.source]
    if value is None:
        return column.empty
    if isinstance(value, date):
        return value.strftime(column.format)
    if isinstance(value, int | float | Decimal):
        return _number(column, Decimal(str(value))).replace(".", mapping.decimal)
    return guard(_translated(mapping, column, str(value)))


def _number(column: MappedColumn, value: Decimal) -> str:
    scaled = value * column.scale
    if column.decimals is not None:
        scaled = scaled.quantize(Decimal(1).scaleb(-column.decimals), ROUND_HALF_UP)
    return f"{scaled}{column.suffix}"


def _translated(mapping: ExportMapping, column: MappedColumn, value: str) -> str:
    if column.values is None:
        return value
    found = column.values.get(value, column.otherwise)
    if found is None:
        shown = repr(value) if column.source == "grade" else "a value"
        problem = f"mapping {mapping.id}: column {column.to!r}: values: expected {shown} among them"
        raise ConfigError([problem])
    return found


def _plain(value: Value) -> str:
    """Return a value within a text: a month as 2026-09, a number with two decimals at most."""
    if value is None:
        return "-"
    if isinstance(value, date):
        return value.strftime("%Y-%m") if value.day == 1 else value.isoformat()
    if isinstance(value, Decimal):
        return f"{value.quantize(Decimal('0.01'), ROUND_HALF_UP)}"
    return str(value)
