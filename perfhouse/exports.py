"""Files handed to someone outside: the HR export as XLSX and CSV with its manifest.

This module may not decide what is exported (a dbt model does) nor whether (a gate does).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse.lake import file_sha256
from perfhouse.month import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Value = str | int | float | bool | Decimal | date | None

# Excel and its kin read a text cell that starts so as a formula; the full-width forms too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_TITLES = {
    "month": ("Month", "月份"),
    "employee_number": ("Employee number", "工号"),
    "display_name": ("Name", "姓名"),
    "role": ("Role", "岗位"),
    "team_id": ("Team ID", "团队编号"),
    "team_name": ("Team", "团队"),
    "total_score": ("Total score", "总分"),
    "grade": ("Grade", "等级"),
    "rank": ("Rank", "排名"),
    "rank_low": ("Best possible rank", "最高可能名次"),
    "rank_high": ("Worst possible rank", "最低可能名次"),
    "peer_count": ("Peers", "同岗人数"),
    "coverage_rate": ("Coverage", "数据覆盖率"),
    "change": ("Change", "较上月变化"),
    "previous_total_score": ("Previous total", "上月总分"),
    "agent_count": ("Agents", "下属人数"),
    "exposure_days": ("Days responsible", "在岗天数"),
    "status": ("Status", "状态"),
    "result_score": ("Results", "结果得分"),
    "quality_score": ("Quality", "质量得分"),
    "efficiency_score": ("Efficiency", "效率得分"),
    "people_score": ("People", "团队得分"),
    "innovation_score": ("Innovation", "创新得分"),
}


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


def write_hr(table: Table, month: Month, folder: Path) -> list[Path]:
    """Write the HR export of a month: XLSX, CSV and the manifest that describes both."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"hr_manager_months_{month}"
    xlsx, text = folder / f"{name}.xlsx", folder / f"{name}.csv"
    write_xlsx(table, month, xlsx)
    write_csv(table, text)
    manifest = folder / f"{name}.manifest.json"
    manifest.write_text(_manifest(name, table, month, [xlsx, text]), encoding="utf-8")
    return [xlsx, text, manifest]


def title(column: str) -> tuple[str, str]:
    """Return a column's English and Chinese title."""
    return _TITLES.get(column, (column.replace("_", " ").capitalize(), column))


def guarded(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: a quote goes before a risky start."""
    risky = text.startswith(_FORMULA_STARTS) or text.lstrip(" \u00a0").startswith(_FORMULA_STARTS)
    return f"'{text}" if risky else text


def write_csv(table: Table, path: Path) -> None:
    """Write UTF-8 with a BOM, column names as header, CRLF, text cells guarded."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_cell_text(value) for value in row])
    path.write_bytes(buffer.getvalue().encode("utf-8-sig"))


def write_xlsx(table: Table, month: Month, path: Path) -> None:
    """Write one sheet with a frozen bilingual header; same table, same bytes."""
    import xlsxwriter

    options = {"strings_to_formulas": False, "strings_to_urls": False, "in_memory": True}
    book = xlsxwriter.Workbook(str(path), options)
    first = month.start
    book.set_properties(
        {
            "title": f"Manager scorecards {month} 主管绩效",
            "created": datetime(first.year, first.month, first.day, tzinfo=UTC),
        }
    )
    sheet = book.add_worksheet(month.key)
    head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
    formats = {
        "date": book.add_format({"num_format": "yyyy-mm-dd"}),
        "number": book.add_format({"num_format": "0.00####"}),
    }
    for index, column in enumerate(table.columns):
        english, chinese = title(column)
        sheet.write_string(0, index, f"{english}\n{chinese}", head)
        sheet.set_column(index, index, max(12, len(column) + 2))
    for number, row in enumerate(table.rows, start=1):
        for index, value in enumerate(row):
            _write_cell(sheet, number, index, value, formats)
    sheet.freeze_panes(1, 2)
    if table.rows:
        sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)
    book.close()


def _write_cell(sheet: Any, row: int, column: int, value: Value, formats: dict[str, Any]) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int):
        sheet.write_number(row, column, value)
    elif isinstance(value, float | Decimal):
        sheet.write_number(row, column, float(value), formats["number"])
    elif isinstance(value, date):
        day = datetime.combine(value, time())
        sheet.write_datetime(row, column, day, formats["date"])
    else:
        sheet.write_string(row, column, str(value))


def _cell_text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return guarded(value) if isinstance(value, str) else str(value)


def _manifest(name: str, table: Table, month: Month, files: Sequence[Path]) -> str:
    columns = []
    for column, kind in zip(table.columns, table.types, strict=True):
        english, chinese = title(column)
        columns.append({"name": column, "type": kind, "title_en": english, "title_zh": chinese})
    content = {
        "export": name,
        "month": month.key,
        "rows": len(table.rows),
        "columns": columns,
        "files": [
            {"path": file.name, "sha256": file_sha256(file), "bytes": file.stat().st_size}
            for file in files
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
