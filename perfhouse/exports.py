"""Files handed to someone outside: an export as XLSX, CSV and Parquet, with its Data Package.

This module may not decide what is exported (a dbt model does) nor whether (a gate does).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import export_package, export_xlsx
from perfhouse.formulas import guarded
from perfhouse.month import Month

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

Value = str | int | float | bool | Decimal | date | None


@dataclass(frozen=True)
class Export:
    """A kind of export: its folder in a release, its model, its key, and what gets data bars."""

    folder: str
    name: str
    relation: str
    key: tuple[str, ...]
    title_en: str
    title_zh: str
    bars: frozenset[str] = frozenset()


HR = Export(
    folder="hr",
    name="hr_manager_months",
    relation="exports.export_hr_manager_months",
    key=("month", "employee_number"),
    title_en="Manager scorecards",
    title_zh="主管绩效",
    bars=frozenset(
        f"{name}_score"
        for name in ("total", "result", "quality", "efficiency", "people", "innovation")
    ),
)

PAYROLL = Export(
    folder="payroll",
    name="payroll_manager_months",
    relation="exports.export_payroll_manager_months",
    key=("month", "employee_number"),
    title_en="Payroll: points and multipliers",
    title_zh="薪酬：积分与奖金系数",
)


@dataclass(frozen=True)
class Table:
    """A relation read into memory: column names, their SQL types, and rows in key order."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def read(con: DuckDBPyConnection, relation: str, key: Sequence[str], where: str = "true") -> Table:
    """Read a small relation, ordered by its key."""
    described = con.execute(f"describe select * from {relation}").fetchall()
    by = ", ".join(f'"{name}"' for name in key)
    rows = con.execute(f"select * from {relation} where {where} order by {by}").fetchall()
    return Table(
        tuple(str(row[0]) for row in described),
        tuple(str(row[1]) for row in described),
        tuple(tuple(row) for row in rows),
    )


def write(export: Export, table: Table, month: Month, release: str, folder: Path) -> list[Path]:
    """Write an export of a month: XLSX, CSV, Parquet and the Data Package of the three."""
    folder.mkdir(parents=True, exist_ok=True)
    xlsx, text, parquet = (
        folder / f"{export.name}_{month}.{kind}" for kind in ("xlsx", "csv", "parquet")
    )
    export_xlsx.write(export, table, month, release, xlsx)
    write_csv(table, text)
    write_parquet(table, parquet)
    files = [xlsx, text, parquet]
    return [*files, export_package.write(export, table, month, release, files, folder)]


def write_csv(table: Table, path: Path) -> None:
    """Write UTF-8 with a BOM, column names as header, CRLF, text cells guarded."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_cell_text(value) for value in row])
    path.write_bytes(buffer.getvalue().encode("utf-8-sig"))


def write_parquet(table: Table, path: Path) -> None:
    """Write the table with the types it has in SQL."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        name: pa.array([row[at] for row in table.rows], _arrow(kind))
        for at, (name, kind) in enumerate(zip(table.columns, table.types, strict=True))
    }
    pq.write_table(pa.table(columns), path, compression="zstd")


def _arrow(kind: str) -> pa.DataType:
    import pyarrow as pa

    if kind.startswith("DECIMAL("):
        width, scale = kind.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return pa.decimal128(int(width), int(scale))
    plain = {"DATE": pa.date32(), "INTEGER": pa.int32(), "BIGINT": pa.int64()}
    return {**plain, "VARCHAR": pa.string(), "BOOLEAN": pa.bool_(), "DOUBLE": pa.float64()}[kind]


def _cell_text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return guarded(value) if isinstance(value, str) else str(value)
