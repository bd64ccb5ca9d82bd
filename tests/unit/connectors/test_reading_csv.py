from __future__ import annotations

import csv
import io
import multiprocessing
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from landing_kit import SURVEY, Place, balances, column, mapping, source

from connectors import decoding, reading, reading_csv
from connectors.reading import Wanted
from perfhouse import warehouse

LINES = [
    ["a", "02/09/2026 10:00", "5"],
    [],
    ["b,\n\nb", "02/09/2026 10:00", "5"],
    [],
    [],
    ["bad", "02/09/2026 10:00", "five"],
    ["short"],
    [],
    ["", "", ""],
    ["c", "02/09/2026 10:00", "5"],
    [],
]


def text(rows: list[list[str]], end: str = "\n") -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator=end).writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("above", [0, 1, 3])
def test_rows_have_the_numbers_that_a_spreadsheet_shows_blank_lines_included(
    place: Place, above: int, end: str
) -> None:
    place.put("s.csv", text([[]] * above + [["id", "when", "score"], *LINES], end))
    manifest = place.ingest()
    first = above + 2
    assert place.rows(manifest, "response_id, _row_number") == [
        ("a", first),
        ("b,\n\nb", first + 2),
        ("c", first + 9),
    ]
    assert [row[:2] for row in place.bad(manifest)] == [
        (first + 5, "score"),
        (first + 6, "(row)"),
        (first + 8, "response_id"),
    ]
    assert manifest.streams["survey_responses"].rows_in == 6
    assert balances(manifest)


def test_a_line_between_any_two_rows_is_no_row(place: Place) -> None:
    """A text that was written with two line ends for one."""
    rows = [f"r{n},02/09/2026 10:00,5" for n in range(3)]
    place.put("s.csv", "\r\r\n".join(["id,when,score", *rows, ""]))
    manifest = place.ingest()
    assert place.rows(manifest, "_row_number") == [(3,), (5,), (7,)]
    assert manifest.streams["survey_responses"].rows_in == 3


def test_of_a_single_column_blank_lines_are_none_but_empty_quotes_are_a_row(place: Place) -> None:
    columns = {
        **SURVEY,
        "submitted_at": column(value="02/09/2026 10:00", format="%d/%m/%Y %H:%M"),
        "score": column(value=5),
    }
    place.put("s.csv", 'id\na\n\n""\n\nb\n')
    manifest = place.ingest(source(mapping(columns)))
    assert place.rows(manifest, "response_id, _row_number") == [("a", 2), ("b", 6)]
    assert [row[:2] for row in place.bad(manifest)] == [(4, "response_id")]


def wanted(**options: Any) -> Wanted:
    return Wanted("survey_responses", "Desk", options, {})


CELL = st.sampled_from(["", "", "x", "y z", '"', "\n", "\n\n", "a\r\nb", ",,"])
ROW: st.SearchStrategy[list[str]] = st.one_of(
    st.just([]),
    st.just(["", "", ""]),
    st.lists(CELL, min_size=3, max_size=3),
    st.lists(CELL, min_size=1, max_size=5),
)


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(ROW, max_size=40),
    above=st.integers(0, 2),
    end=st.sampled_from(["\n", "\r\n"]),
    block=st.sampled_from([64, 200, 1 << 20]),
)
@example(  # a block of bytes that ends between the two characters of a line end
    rows=[*[[]] * 5, *[["", "", ""]] * 3, ["", "", "y z"], *[["", "y z", "y z"]] * 2,
          ['"', '"', "a\r\nb"], ["a\r\nb", "", ""]],
    above=0, end="\n", block=64,
)  # fmt: skip
def test_every_row_of_any_file_has_its_own_number(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    above: int,
    end: str,
    block: int,
) -> None:
    path = tmp_path_factory.mktemp("csv") / "s.csv"
    path.write_bytes(text([[]] * above + [["a", "b", "c"], *rows], end).encode())
    found: dict[int, Any] = {}
    refused: list[Any] = []
    try:
        for numbers, batch in reading_csv.numbered(
            path, ["a", "b", "c"], block, wanted(), refused.append
        ):
            found.update(zip(numbers.tolist(), map(list, zip(*batch, strict=True)), strict=True))
    except pa.ArrowInvalid:
        assert block < 1 << 20
        return
    numbered = list(enumerate(rows, start=above + 2))
    assert {n: [str(v) for v in row] for n, row in found.items()} == {
        n: row for n, row in numbered if len(row) == 3
    }
    assert [row.number for row in refused] == [n for n, row in numbered if len(row) not in (0, 3)]


def test_a_row_of_the_wrong_width_is_kept_once_however_often_it_is_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_csv, "BLOCK", 128)
    rows = [[f"r{n}", "02/09/2026 10:00", "5"] if n % 3 else ["short"] for n in range(60)]
    rows[50][0] = "long" * 100  # fits in the next larger block only
    place.put("s.csv", text([["id", "when", "score"], *rows]))
    manifest = place.ingest()
    landed = place.rows(manifest, "_row_number")
    assert [row[0] for row in landed] == [n + 2 for n in range(60) if n % 3]
    assert [row[0] for row in place.bad(manifest)] == [n + 2 for n in range(60) if not n % 3]


def peak(folder: Path, kind: str, count: int) -> int:
    """Return the most bytes that reading so many rows of the wrong width takes at a time."""
    reading_csv.BLOCK = decoding.CHUNK = 1 << 16
    reading._LARGEST = 64
    path = folder / f"{count}.csv"
    with path.open("w") as out:
        out.write("a,b\n")
        out.write('"' if kind == "swallowed by a quote" else "")
        for n in range(count):
            out.write(f"{n},not so,good,because of the commas in it\n")
            out.write(f"{n},x\n" if kind == "every other" else "")
    con = warehouse.connect(":memory:")
    reading.prepare(con)
    tracemalloc.start()
    file = reading.ReadFile(0, path.name, path, "csv")
    records = reading.read_tables(con, [file], wanted(), folder)
    for _ in records.chunks:
        pass
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert con.execute("select count(*) from broken").fetchall() == [(count,)]
    con.close()
    return size


@pytest.mark.parametrize("kind", ["all", "every other", "swallowed by a quote"])
def test_any_number_of_rows_of_the_wrong_width_takes_no_more_memory(
    tmp_path: Path, kind: str
) -> None:
    # In a process of its own: what other tests left behind takes memory, too.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        alone.submit(peak, tmp_path, kind, 100).result()
        most = alone.submit(peak, tmp_path, kind, 160_000).result()
    # Held all at once, the rows take 56 MB, and the lines of the one long row 43 MB.
    assert most < (16 << 20 if kind != "swallowed by a quote" else 32 << 20)
