"""HR files: safe to open in a spreadsheet, exact, and the same bytes every time."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from perfhouse import exports
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


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@sum(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1+1",
        " =1",
        "\u00a0@x",
    ],
)
def test_text_that_a_spreadsheet_would_run_gets_a_quote(text: str) -> None:
    assert exports.guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["M1", "", "王小明", "a=b", "1-2", "'quoted"])
def test_other_text_is_left_alone(text: str) -> None:
    assert exports.guarded(text) == text


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


def test_xlsx_holds_numbers_as_numbers_and_formulas_as_text(tmp_path: Path) -> None:
    path = tmp_path / "hr.xlsx"
    exports.write_xlsx(TABLE, MONTH, path)
    sheet = openpyxl.load_workbook(path)["2026-09"]
    cells = [cell.value for cell in sheet[2]]
    assert (cells[0].date(), *cells[1:]) == (date(2026, 9, 1), "M1", "=1+1", -3.5, 1, True)
    assert sheet["C2"].data_type == "s"
    assert sheet["D3"].value is None
    assert sheet.freeze_panes == "C2"


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    first = exports.write_hr(TABLE, MONTH, tmp_path / "a")
    second = exports.write_hr(TABLE, MONTH, tmp_path / "b")
    assert [p.name for p in first] == [
        "hr_manager_months_2026-09.xlsx",
        "hr_manager_months_2026-09.csv",
        "hr_manager_months_2026-09.manifest.json",
    ]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
