from __future__ import annotations

import datetime as dt
import io
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import xlsxwriter

from connectors import reading_xlsx
from perfhouse.errors import ConfigError, SourceChanged

OWNER = "HR <hr@example.com>"
AT = dt.datetime(2026, 9, 5, 23, 59, 59, 999000)  # noqa: DTZ001 - as Excel knows it


def book(path: Path, **sheets: list[list[Any]]) -> Path:
    with xlsxwriter.Workbook(path) as made:
        day = made.add_format({"num_format": "yyyy-mm-dd"})
        moment = made.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        clock = made.add_format({"num_format": "hh:mm"})
        length = made.add_format({"num_format": "[h]:mm:ss"})
        formats = {dt.date: day, dt.datetime: moment, dt.time: clock, dt.timedelta: length}
        for name, rows in sheets.items():
            sheet = made.add_worksheet(name)
            for at, row in enumerate(rows):
                for column, value in enumerate(row):
                    if value is not None:
                        sheet.write(at, column, value, formats.get(type(value)))
    return path


def edited(path: Path, edit: Callable[[str, str], str]) -> Path:
    """Write a workbook again with its XML parts changed."""
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name).decode() for name in packed.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in parts.items():
            packed.writestr(name, edit(name, text))
    return path


def in_sheet(before: str, after: str) -> Callable[[str, str], str]:
    return lambda name, text: (
        text.replace(before, after) if name == "xl/worksheets/sheet1.xml" else text
    )


def read(path: Path, **options: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    target = path.with_suffix(".parquet")
    found = reading_xlsx.to_parquet(path, target, options, path.name, OWNER)
    assert not list(path.parent.glob("*.unpacked"))
    rows = [tuple(row.values()) for row in pq.read_table(found).to_pylist()]
    return reading_xlsx.header(found), rows


def refused(path: Path) -> str:
    with pytest.raises(SourceChanged) as caught:
        read(path)
    assert OWNER in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "roster.xlsx"


def test_cells_become_the_text_that_people_see(path: Path) -> None:
    book(
        path,
        roster=[
            ["工号", "name", "joined", "seen", "start", "length", "share", "is_active", "big"],
            [1001, "李雷", dt.date(2026, 9, 5), AT,
             dt.time(8, 30), dt.timedelta(hours=36, seconds=5), 0.1 + 0.2, True, 2**53 - 1],
            ["0042", None, dt.date(1900, 2, 28), None, None, None, -1e-7, False, 1e15],
        ],
    )  # fmt: skip
    header, rows = read(path)
    assert header[:2] == ["工号", "name"]
    assert rows == [
        (2, "1001", "李雷", "2026-09-05", "2026-09-05 23:59:59.999", "08:30:00", "36:00:05",
         "0.3", "true", "9007199254740991"),
        (3, "0042", None, "1900-02-28", None, None, None, "-0.0000001", "false",
         "1000000000000000"),
    ]  # fmt: skip


def test_an_error_cell_keeps_its_text_and_is_not_taken_for_an_empty_one(path: Path) -> None:
    with xlsxwriter.Workbook(path) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, ["id", "score", "twice"])
        sheet.write_row(1, 0, ["a"])
        sheet.write_formula(1, 1, "=1/0", None, "#DIV/0!")
        sheet.write_formula(1, 2, "=2*21", None, 42)
    assert read(path)[1] == [(2, "a", "#DIV/0!", "42")]


def test_dates_count_from_1904_where_the_workbook_says_so(path: Path) -> None:
    book(path, roster=[["joined"], [dt.date(2026, 9, 5)]])
    edited(path, lambda _, text: text.replace("<workbookPr ", '<workbookPr date1904="1" '))
    assert read(path)[1] == [(2, "2030-09-06")]


def test_rows_keep_the_spreadsheets_numbers_and_empty_ones_are_no_rows(path: Path) -> None:
    rows = [["Roster of September"], [], ["id", "score"], ["a", 5], [], ["b", None], [None, None]]
    book(path, roster=rows)
    assert read(path, header_row=3) == (["id", "score"], [(4, "a", "5"), (6, "b", None)])


def test_a_sheet_that_begins_further_down_and_right_keeps_its_places(path: Path) -> None:
    with xlsxwriter.Workbook(path) as made:
        sheet = made.add_worksheet()
        sheet.write_row(4, 2, ["id", "score"])
        sheet.write_row(5, 2, ["a"])
        sheet.write_formula(5, 3, "=NA()", None, "#N/A")
    assert read(path) == (["", "", "id", "score"], [(6, None, None, "a", "#N/A")])


def test_only_the_first_cell_of_merged_ones_has_their_value(path: Path) -> None:
    with xlsxwriter.Workbook(path) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, ["team", "name"])
        sheet.merge_range(1, 0, 2, 0, "north")
        sheet.write(1, 1, "a")
        sheet.write(2, 1, "b")
    assert read(path)[1] == [(2, "north", "a"), (3, None, "b")]


def test_the_header_may_repeat_and_its_names_stay_in_order(path: Path) -> None:
    book(path, roster=[["id", "note", "note"], ["a", "x", "y"]])
    assert read(path) == (["id", "note", "note"], [(2, "a", "x", "y")])


def test_a_sheet_is_chosen_by_name_or_number(path: Path) -> None:
    book(path, one=[["id"], ["a"]], two=[["id"], ["b"]])
    assert read(path, sheet="two")[1] == [(2, "b")]
    assert read(path, sheet=1)[1] == [(2, "a")]


def test_the_only_visible_sheet_with_rows_needs_no_name(path: Path) -> None:
    with xlsxwriter.Workbook(path) as made:
        made.add_worksheet("empty")
        made.add_worksheet("data").write_column(0, 0, ["id", "a"])
        hidden = made.add_worksheet("lists")
        hidden.write_column(0, 0, ["x", "y"])
        hidden.hide()
    assert read(path)[1] == [(2, "a")]


@pytest.mark.parametrize("sheet", [None, "three", 3, 0])
def test_a_sheet_that_is_not_told_or_not_there_is_asked_for(path: Path, sheet: Any) -> None:
    book(path, one=[["id"], ["a"]], two=[["id"], ["b"]])
    with pytest.raises(ConfigError, match="expected one of 'one', 'two', by name or number"):
        read(path, **({} if sheet is None else {"sheet": sheet}))


def test_a_value_right_of_the_header_is_refused_not_dropped(path: Path) -> None:
    book(path, one=[["id"], ["a", "a value nobody named"]])
    assert "row 2 has values right of the header" in refused(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no workbook"),
        (b"id,score\na,5\n", "no workbook"),
        (b"\xef\xbb\xbf<html><table></table></html>", "an HTML or XML page"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old .xls workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
         "protected by a password"),
        (b"PK\x03\x04 and then nothing", "damaged"),
    ],
)  # fmt: skip
def test_a_file_that_only_calls_itself_a_workbook_is_refused_by_what_it_is(
    path: Path, content: bytes, said: str
) -> None:
    path.write_bytes(content)
    assert said in refused(path)


@pytest.mark.parametrize(
    ("part", "said"),
    [("xl/workbook.bin", "binary .xlsb"), ("content.xml", "OpenDocument"), ("a.csv", "ZIP file")],
)
def test_another_zip_file_is_refused_by_what_it_is(path: Path, part: str, said: str) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(part, "x")
    assert said in refused(path)


def test_a_workbook_that_unpacks_beyond_the_bound_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(path, one=[["id"], ["a"]])
    monkeypatch.setattr(reading_xlsx, "MAX_BYTES", 4 << 20)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/bomb.xml", bytes(64 << 20))
    assert path.stat().st_size < 1 << 20
    assert "larger than 4 MiB unpacked" in refused(path)


@pytest.mark.parametrize("far", ["XFD1048576", "xfd1048576"])
def test_one_far_off_cell_does_not_cost_the_memory_of_all_before_it(path: Path, far: str) -> None:
    book(path, one=[["id"], ["a"]])
    edited(path, in_sheet('r="A2"', f'r="{far}"'))
    assert "1,048,576 rows and 16,384 columns" in refused(path)


def test_cells_without_a_place_count_too(path: Path) -> None:
    book(path, one=[["id"], ["a"]])
    assert read(edited(path, in_sheet(' r="A2"', "")))[1] == [(2, "a")]
    many = "<row>" + "<c><v>1</v></c>" * 16_000 + "</row>"
    edited(path, in_sheet("</sheetData>", f'<row r="9000"><c r="A9000"/></row>{many}</sheetData>'))
    assert "more than 6,000,000 cells" in refused(path)


def test_one_long_text_that_every_cell_repeats_is_counted_as_often_as_it_is_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_xlsx, "MAX_TEXT", 100_000)
    book(path, one=[["id", "note"], *([at, "x" * 1_000] for at in range(90))])
    assert len(read(path)[1]) == 90
    book(path, one=[["id", "note"], *([at, "x" * 1_000] for at in range(110))])
    assert path.stat().st_size < 20_000
    assert "its repeated texts make more than" in refused(path)
    renamed = path.with_name("renamed.xlsx")
    with zipfile.ZipFile(path) as packed, zipfile.ZipFile(renamed, "w") as again:
        for part in packed.namelist():
            content = packed.read(part).replace(b"sharedStrings.xml", b"other.xml")
            again.writestr(part.replace("sharedStrings.xml", "other.xml"), content)
    assert "its repeated texts make more than" in refused(renamed)
    short = [[at, "y", *["x" * 1_000][: at < 2]] for at in range(400)]
    book(path, one=[["id", "note", "more"], *short])  # one long text does not make all long
    assert len(read(path)[1]) == 400


def test_an_entity_bomb_expands_to_nothing(path: Path) -> None:
    book(path, one=[["id"], ["a"]])
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><worksheet '
    edited(path, in_sheet("<worksheet ", bomb))
    edited(path, in_sheet("</sheetData>", '<row r="3"><c r="A3" t="inlineStr"><is><t>&b;</t></is>'
                          "</c></row></sheetData>"))  # fmt: skip
    assert "damaged" in refused(path)


def test_mutated_workbooks_are_read_or_refused_and_never_break_the_reader(path: Path) -> None:
    book(path, one=[["id", "score", "on"], ["a", 5, dt.date(2026, 9, 5)], ["b", 0.5, None]])
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    whole, chance = path.read_bytes(), random.Random(3)
    ends = {"read": 0, "refused": 0}
    for _ in range(400):
        if chance.random() < 0.3:
            path.write_bytes(mutated(whole, chance))
        else:
            victim = chance.choice(sorted(parts))
            path.write_bytes(packed_again(parts, victim, mutated(parts[victim], chance)))
        try:
            read(path)
            ends["read"] += 1
        except (SourceChanged, ConfigError):
            ends["refused"] += 1
    assert min(ends.values()) > 20


def mutated(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(changed))
        what = chance.randrange(3)
        if what == 0:
            changed[at] = chance.randrange(256)
        elif what == 1:
            del changed[at : at + chance.randint(1, 20)]
        else:
            changed[at:at] = chance.choice([b"<", b'"', b"99999999999", b"&#0;", b"\xff"])
        changed = changed or bytearray(b"x")
    return bytes(changed)


def packed_again(parts: dict[str, bytes], victim: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, part in parts.items():
            packed.writestr(name, content if name == victim else part)
    return out.getvalue()


def test_a_message_never_quotes_a_cell(path: Path) -> None:
    book(path, one=[["id"], ["13900000001", "13900000002"]])
    assert not re.search(r"1390", refused(path))
