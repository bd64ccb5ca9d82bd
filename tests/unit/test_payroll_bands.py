"""Pay bands: read as sets that leave nobody out; what is wrong is named by line and column."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from expectations.export_payroll import PAYROLL_COLUMNS
from perfhouse import export_columns
from perfhouse.company_payroll import read_bands
from perfhouse.config_reader import Table
from perfhouse.export_types import PayrollBand

HEADER = (
    "role,grade,from_score,points,multiplier,valid_from,valid_to,version,announced_on,approved_by"
)
SOUND = """\
*,A,,10,1.25,2026-01-01,2026-07-01,1,2025-12-01,HR
*,B,,5,1,2026-01-01,2026-07-01,1,2025-12-01,HR
*,,0,0,0,2026-07-01,,2,2026-06-01,HR
*,,60.5,5,1,2026-07-01,,2,2026-06-01,HR
head,A,,20,2,2026-01-01,,h1,2025-12-01,CEO
head,B,,10,1,2026-01-01,,h1,2025-12-01,CEO
"""


def read(folder: Path, text: str) -> tuple[tuple[PayrollBand, ...], list[str]]:
    (folder / "bands.csv").write_text(f"{HEADER}\n{text}", encoding="utf-8")
    problems: list[str] = []
    top = Table({"payroll": {"bands": "bands.csv"}}, "perfhouse.toml: ", problems)
    return read_bands(folder, top, ("A", "B")), problems


def test_bands_are_read_in_order_by_grade_or_by_total(tmp_path: Path) -> None:
    bands, problems = read(tmp_path, SOUND)
    assert problems == []
    assert [(b.role, b.grade, b.from_score, b.points, b.multiplier) for b in bands] == [
        ("*", "A", None, 10, 1.25),
        ("*", "B", None, 5, 1),
        ("*", None, 0, 0, 0),
        ("*", None, 60.5, 5, 1),
        ("head", "A", None, 20, 2),
        ("head", "B", None, 10, 1),
    ]
    assert (bands[0].valid_from, bands[0].valid_to) == (date(2026, 1, 1), date(2026, 7, 1))


def test_without_a_file_there_is_no_payroll(tmp_path: Path) -> None:
    problems: list[str] = []
    assert read_bands(tmp_path, Table({}, "t: ", problems), ("A",)) == ()
    assert problems == []


def test_the_columns_of_the_export_are_described_once(tmp_path: Path) -> None:
    assert export_columns.EXPORTS["payroll"] == tuple(name for name, _ in PAYROLL_COLUMNS)
    assert all(name in export_columns.COLUMNS for name, _ in PAYROLL_COLUMNS)


WRONG = {
    "no band for a grade": (
        "head,B,,10,1,2026-01-01,,h1,2025-12-01,CEO\n",
        "",
        "bands.csv: role head from 2026-01-01: expected a band for every grade, also ['B']",
    ),
    "none from nought": ("*,,0,0,0", "*,,1,0,0", "expected a band from 0, so that every total"),
    "both ways": ("*,,60.5,5", "*,A,,5", "expected all bands by grade or all by from_score"),
    "twice": ("*,B,,5", "*,A,,5", "expected each grade or from_score once"),
    "grade and score": ("*,A,,10", "*,A,90,10", "line 2, grade: expected either a grade or a"),
    "an unknown grade": ("*,A,,10", "*,Z,,10", "line 2, grade: expected one of A, B, got 'Z'"),
    "overlapping": (
        "2026-07-01,1,2025-12-01,HR",
        ",1,2025-12-01,HR",
        "role * from 2026-01-01: expected it to end when the bands from 2026-07-01 begin",
    ),
    "announced late": ("2,2026-06-01", "2,2026-07-02", "announced_on: expected a day before"),
    "approved by nobody": ("h1,2025-12-01,CEO", "h1,2025-12-01,", "approved_by: expected who appr"),
    "inside a month": ("2026-07-01,,2", "2026-07-02,,2", "valid_from: expected the first day"),
    "negative": ("*,,0,0,0", "*,,0,0,-1", "line 4, multiplier: expected a number from 0, got '-1'"),
    "too fine": ("10,1.25", "10,1.1234567", "line 2, multiplier: expected at most 6 decimals"),
    "two versions": ("*,,60.5,5,1,2026-07-01,,2", "*,,60.5,5,1,2026-07-01,,3", "one valid_to and"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_with_bands_is_named(tmp_path: Path, fault: str) -> None:
    before, after, told = WRONG[fault]
    assert before in SOUND
    problems = read(tmp_path, SOUND.replace(before, after))[1]
    assert any(told in problem for problem in problems), problems


def test_bands_lie_in_the_company_folder_itself(tmp_path: Path) -> None:
    problems: list[str] = []
    top = Table({"payroll": {"bands": "../bands.csv"}}, "perfhouse.toml: ", problems)
    read_bands(tmp_path, top, ("A",))
    assert "payroll.bands: expected the name of a .csv file in the company folder" in problems[0]
