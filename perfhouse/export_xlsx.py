"""An export as a workbook: data with a frozen bilingual header, and a sheet that explains it.

The same table gives the same bytes; every cell is locked, nothing is a formula.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from perfhouse.export_columns import column

if TYPE_CHECKING:
    from perfhouse.exports import Export, Table, Value
    from perfhouse.month import Month

README = "README 说明"
_BEST = 120  # the score at which a bar is full
_BAR = {
    "type": "data_bar",
    "bar_color": "#9BC2E6",
    "min_type": "num",
    "min_value": 0,
    "max_type": "num",
    "max_value": _BEST,
}
# What a locked sheet still allows; Excel sorts unlocked cells only, so filter, or copy and sort.
_ALLOWED = {"autofilter": True, "sort": True, "format_columns": True, "format_rows": True}
_WIDTHS = {"VARCHAR": 10, "DATE": 12}
_WIDEST = 40
_HEADER_POINTS = (
    48  # three lines, as an English title may take two; no program makes room by itself
)
_A4 = 9


def write(export: Export, table: Table, month: Month, release: str, path: Path) -> None:
    """Write a table of an export as XLSX."""
    import xlsxwriter

    options = {"strings_to_formulas": False, "strings_to_urls": False, "in_memory": True}
    book = xlsxwriter.Workbook(str(path), options)
    first = month.start
    book.set_properties(
        {
            "title": f"{export.title_en} {month} {export.title_zh}",
            "created": datetime(first.year, first.month, first.day, tzinfo=UTC),
        }
    )
    head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
    _data(book, head, export, table, month)
    _readme(book, head, export, table, month, release)
    book.close()


def _data(book: Any, head: Any, export: Export, table: Table, month: Month) -> None:
    formats = {
        "date": book.add_format({"num_format": "yyyy-mm-dd"}),
        "number": book.add_format({"num_format": "0.00####"}),
    }
    sheet = book.add_worksheet(month.key)
    for index, (name, kind) in enumerate(zip(table.columns, table.types, strict=True)):
        told = column(name)
        sheet.write_string(0, index, f"{told.title_en}\n{told.title_zh}", head)
        texts = [text for row in table.rows if isinstance(text := row[index], str)]
        longest = max(map(_signs, (*told.title_en.split(), told.title_zh, *texts)))
        sheet.set_column(index, index, min(max(longest + 2, _WIDTHS.get(kind, 10)), _WIDEST))
    sheet.set_row(0, _HEADER_POINTS)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.set_margins(left=0.4, right=0.4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    for number, row in enumerate(table.rows, start=1):
        for index, value in enumerate(row):
            _write_cell(sheet, number, index, value, formats)
    sheet.freeze_panes(1, 2)
    sheet.protect("", _ALLOWED)
    if not table.rows:
        return
    sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)
    for index, name in enumerate(table.columns):
        if name in export.bars:
            sheet.conditional_format(1, index, len(table.rows), index, _BAR)


def _readme(book: Any, head: Any, export: Export, table: Table, month: Month, release: str) -> None:
    sheet = book.add_worksheet(README)
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    about = [
        ("Export 导出", f"{export.title_en} {export.title_zh}"),
        ("Month 月份", month.key),
        ("Release 版本", release),
        ("Rows 行数", str(len(table.rows))),
    ]
    for number, (name, value) in enumerate(about):
        sheet.write_string(number, 0, name, head)
        sheet.write_string(number, 1, value)
    start = len(about) + 1
    for index, name in enumerate(("Column 列", "Title 标题", "Meaning", "含义", "Type 类型")):
        sheet.write_string(start, index, name, head)
    for number, (name, kind) in enumerate(zip(table.columns, table.types, strict=True), start + 1):
        told = column(name)
        row = (name, f"{told.title_en} {told.title_zh}", told.meaning_en, told.meaning_zh, kind)
        for index, text in enumerate(row):
            sheet.write_string(number, index, text, wrap)
    for index, width in enumerate((24, 32, 60, 48, 16)):
        sheet.set_column(index, index, width)
    sheet.protect("", _ALLOWED)


def _signs(text: str) -> int:
    """Return the width of a text in signs of a column's width: a Chinese one takes two."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def _write_cell(sheet: Any, row: int, at: int, value: Value, formats: dict[str, Any]) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, at, value)
    elif isinstance(value, int):
        sheet.write_number(row, at, value)
    elif isinstance(value, float | Decimal):
        sheet.write_number(row, at, float(value), formats["number"])
    elif isinstance(value, date):
        sheet.write_datetime(row, at, datetime.combine(value, time()), formats["date"])
    else:
        sheet.write_string(row, at, str(value))
