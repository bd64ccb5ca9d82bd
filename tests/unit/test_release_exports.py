"""HR files: safe to open in a spreadsheet, exact, and the same bytes every time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import frictionless
import openpyxl
import pyarrow.parquet as pq

from expectations.exports import HR_COLUMNS
from perfhouse import export_columns, exports
from perfhouse.month import Month

MONTH = Month("2026-09")
TABLE = exports.Table(
    ("month", "employee_number", "display_name", "total_score", "rank", "is_new"),
    ("DATE", "VARCHAR", "VARCHAR", "DECIMAL(18,6)", "INTEGER", "BOOLEAN"),
    (
        (date(2026, 9, 1), "M1", "=1+1", Decimal("-3.5"), 1, True),
        (date(2026, 9, 1), "M2", '王"小",明', None, None, False),
    ),
)


def test_csv_has_a_bom_names_as_header_and_numbers_unguarded(tmp_path: Path) -> None:
    path = tmp_path / "hr.csv"
    exports.write_csv(TABLE, path)
    assert path.read_bytes().decode("utf-8-sig").split("\r\n") == [
        "month,employee_number,display_name,total_score,rank,is_new",
        "2026-09-01,M1,'=1+1,-3.5,1,true",
        '2026-09-01,M2,"王""小"",明",,,false',
        "",
    ]
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")


def write(folder: Path) -> list[Path]:
    return exports.write(exports.HR, TABLE, MONTH, "2026-09.r1", folder)


def test_xlsx_holds_numbers_as_numbers_and_formulas_as_text(tmp_path: Path) -> None:
    sheet = openpyxl.load_workbook(write(tmp_path)[0])["2026-09"]
    cells = [cell.value for cell in sheet[2]]
    assert (cells[0].date(), *cells[1:]) == (date(2026, 9, 1), "M1", "=1+1", -3.5, 1, True)
    assert sheet["C2"].data_type == "s"
    assert sheet["D3"].value is None
    assert sheet.freeze_panes == "C2"
    assert sheet["B1"].value == "Employee number\n工号"


def test_xlsx_is_locked_but_may_be_filtered_and_shows_scores_as_bars(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(write(tmp_path)[0])
    sheet = book["2026-09"]
    assert all(each.protection.sheet for each in book)
    assert not sheet.protection.autoFilter  # what is false is not forbidden
    assert not sheet.protection.sort
    assert all(cell.protection.locked for row in sheet for cell in row)
    bars = {
        str(area.sqref): [rule.type for rule in area.rules] for area in sheet.conditional_formatting
    }
    assert bars == {"D2:D3": ["dataBar"]}


def test_xlsx_shows_both_lines_of_a_header_whole_texts_and_prints_a_page_wide(
    tmp_path: Path,
) -> None:
    name = "黄".join("一二三四五六七八九十")  # 19 signs, each two wide
    rows = tuple((*row[:2], name, *row[3:]) for row in TABLE.rows)
    table = replace(TABLE, rows=rows)
    sheet = openpyxl.load_workbook(
        exports.write(exports.HR, table, MONTH, "2026-09.r1", tmp_path)[0]
    )["2026-09"]
    assert sheet.row_dimensions[1].height >= 3 * 15
    assert sheet.column_dimensions["C"].width >= 38
    assert sheet.page_setup.orientation == "landscape"
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert sheet.page_setup.fitToHeight == 0  # as many pages as it needs, each as wide as the table
    assert sheet.print_title_rows == "$1:$1"


def test_xlsx_says_what_it_is_in_two_languages(tmp_path: Path) -> None:
    sheet = openpyxl.load_workbook(write(tmp_path)[0])["README 说明"]
    rows = [[cell.value for cell in row] for row in sheet]
    assert ["Month 月份", "2026-09", None, None, None] in rows
    assert ["Release 版本", "2026-09.r1", None, None, None] in rows
    told = {row[0]: row[1:] for row in rows[6:]}
    assert list(told) == list(TABLE.columns)
    assert told["rank"][0] == "Rank 排名"
    assert told["rank"][3] == "INTEGER"


def test_every_column_of_the_hr_export_is_described_in_two_languages() -> None:
    for name, _ in HR_COLUMNS:
        told = export_columns.COLUMNS[name]
        assert all((told.title_en, told.title_zh, told.meaning_en, told.meaning_zh)), name


def test_parquet_keeps_the_types_and_the_exact_numbers(tmp_path: Path) -> None:
    found = pq.read_table(write(tmp_path)[2])
    assert [str(field.type) for field in found.schema] == [
        *("date32[day]", "string", "string", "decimal128(18, 6)", "int32", "bool"),
    ]
    assert found.to_pylist()[0] == dict(zip(TABLE.columns, TABLE.rows[0], strict=True))


def test_the_data_package_is_valid_for_frictionless_and_finds_a_changed_byte(
    tmp_path: Path,
) -> None:
    rows = tuple((row[0], row[1], row[2], abs(row[3] or 1), 1, True) for row in TABLE.rows)  # type: ignore[arg-type]
    files = exports.write(
        exports.HR, replace(TABLE, rows=rows), MONTH, "2026-09.r1", tmp_path / "hr"
    )
    package = files[-1]
    report = frictionless.validate(str(package))
    assert report.valid, report.flatten(["type", "note"])
    said = json.loads(package.read_text(encoding="utf-8"))
    assert [each["path"] for each in said["resources"]] == [file.name for file in files[:-1]]
    assert said["resources"][1]["schema"]["primaryKey"] == ["month", "employee_number"]
    for file in files[:-1]:
        whole = file.read_bytes()
        file.write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
        assert not frictionless.validate(str(package)).valid, file.name
        file.write_bytes(whole)


def test_the_data_package_knows_which_values_cannot_be(tmp_path: Path) -> None:
    package = write(tmp_path)[-1]  # a total of -3.5, and a rank that is not known
    found = frictionless.validate(str(package)).flatten(["type", "fieldName"])
    assert found == [["constraint-error", "total_score"]]


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert [p.name for p in first] == [
        "hr_manager_months_2026-09.xlsx",
        "hr_manager_months_2026-09.csv",
        "hr_manager_months_2026-09.parquet",
        "datapackage.json",
    ]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
