"""What people export from Excel, all the way to rows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from landing_kit import SURVEY, Place, balances, column, mapping, source

from perfhouse.errors import ConfigError, SourceChanged

COLUMNS = {**SURVEY, "submitted_at": column("when")}
DAY = dt.datetime(2026, 9, 2, 10, 0)  # noqa: DTZ001 - as Excel knows it


def sheet(place: Place, *rows: list[Any], name: str = "s.xlsx") -> Path:
    path = place.put(name, b"")
    with xlsxwriter.Workbook(path) as book:
        moment = book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        page = book.add_worksheet("answers")
        for at, row in enumerate((["id", "when", "score", "note"], *rows)):
            for place_in_row, value in enumerate(row):
                if str(value).startswith("="):
                    page.write_formula(at, place_in_row, value, None, "#REF!")
                elif value is not None:
                    form = moment if isinstance(value, dt.datetime) else None
                    page.write(at, place_in_row, value, form)
    return path


def workbook(**options: Any) -> Any:
    return source(mapping(COLUMNS, format="xlsx", **options))


def test_a_sheet_lands_typed_with_the_spreadsheets_row_numbers(place: Place) -> None:
    sheet(place, [1001, DAY, 5, "x"], [], ["0042", DAY, 4.5, None])
    manifest = place.ingest(workbook())
    rows = place.rows(
        manifest, "response_id, cast(submitted_at as varchar), cast(score as varchar), _row_number"
    )
    assert rows == [
        ("1001", "2026-09-02 02:00:00+00", "5.0000", 2),
        ("0042", "2026-09-02 02:00:00+00", "4.5000", 4),
    ]
    assert balances(manifest)


def test_an_error_cell_and_a_text_among_dates_are_quarantined_with_their_row(place: Place) -> None:
    sheet(place, ["a", DAY, "=B9", None], ["b", "2 September", 3, None], ["c", DAY, 3, None])
    manifest = place.ingest(workbook())
    assert [row[:3] for row in place.bad(manifest)] == [
        (2, "score", "expected a number"),
        (3, "submitted_at", "expected a time like YYYY-MM-DD hh:mm:ss"),
    ]
    assert manifest.streams["survey_responses"].landed == 1
    assert balances(manifest)


def test_a_sheet_without_a_mapped_column_is_refused_whole(place: Place) -> None:
    path = sheet(place, ["a", DAY, 5, None])
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write_row(0, 0, ["id", "when", "Score"])
    with pytest.raises(SourceChanged, match=r"'score' \(for score\) \(renamed to 'Score'\?\)"):
        place.ingest(workbook())


def test_csv_as_excel_writes_it_with_its_sep_line_lands(place: Place) -> None:
    place.put("s.csv", "\ufeffsep=;\r\nid;when;score\r\na;02/09/2026 10:00;5\r\n")
    manifest = place.ingest(source(mapping(delimiter=";", encoding="auto")))
    assert place.rows(manifest, "response_id, _row_number") == [("a", 2)]


def test_a_sep_line_that_names_another_delimiter_tells_which(place: Place) -> None:
    place.put("s.csv", "sep=;\nid;when;score\na;02/09/2026 10:00;5\n")
    with pytest.raises(ConfigError, match=r"delimiter: expected ';', as 2026-09/s\.csv itself"):
        place.ingest()


def test_a_column_may_still_be_called_sep(place: Place) -> None:
    place.put("s.csv", "sep=,id,when,score\nx,a,02/09/2026 10:00,5\n")
    assert place.ingest().streams["survey_responses"].landed == 1


def test_unicode_text_as_excel_saves_it_lands(place: Place) -> None:
    place.put("s.txt", "id\twhen\tscore\r\n甲\t02/09/2026 10:00\t5\r\n".encode("utf-16"))
    given = source(mapping(path="{month}/*.txt", delimiter="\t", encoding="auto"))
    assert place.rows(place.ingest(given), "response_id") == [("甲",)]
