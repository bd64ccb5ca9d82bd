"""Formulas: no text that a spreadsheet would run leaves without a quote, whatever hides its start.

What says it in Python and what says it in SQL say the same.
"""

from __future__ import annotations

import csv
import sys
import unicodedata
from pathlib import Path

import pytest

from perfhouse import formulas, restatement, warehouse

RISKY = [
    "=cmd|' /C calc'!A0", "+1+1", "-1-1", "@sum(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", " =1",
    "\u00a0@x", "\u3000=1", "\ufeff=1", "\u200b=1", "\x0b=1", "\x0c=1", "\x00=1", "\u2028=1",
    "\u00ad+1", "\u202e=1", "\u2060@x", " \u3000\u200b\ufeff\x00 =1", "﹦1", "\tplain", " \n",
]  # fmt: skip
HARMLESS = ["M1", "", "王小明", "a=b", "1-2", "'quoted", "\u3000王", "\x0bx", " ", "\u200b", "T-1"]


@pytest.mark.parametrize("text", RISKY)
def test_text_that_a_spreadsheet_would_run_gets_a_quote(text: str) -> None:
    assert formulas.guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_is_left_alone(text: str) -> None:
    assert formulas.guarded(text) == text


def test_a_number_stays_one_where_values_are_written_as_text() -> None:
    for number in ("-0.5", "+3", "-1e-7", "12"):
        assert formulas.guarded_value(number) == number
    for text in ("-0.5+1", "--1", "-", "=1", "-٣", "-1 ", "-1\n"):
        assert formulas.guarded_value(text) == f"'{text}"


def test_sql_guards_what_python_guards() -> None:
    unseen = [chr(n) for n in range(sys.maxunicode) if unicodedata.category(chr(n))[0] in "ZC"
              and unicodedata.category(chr(n)) not in ("Cs", "Co", "Cn")]  # fmt: skip
    texts = [*RISKY, *HARMLESS, *(f"{each}=1" for each in unseen), *unseen]
    with warehouse.connect() as con:
        con.execute("create table t (n integer, x varchar)")
        con.executemany("insert into t values (?, ?)", list(enumerate(texts)))
        found = con.execute(f"select {formulas.guarded_sql('x')} from t order by n").fetchall()
    wrong = [
        text for text, (told,) in zip(texts, found, strict=True) if told != formulas.guarded(text)
    ]
    assert wrong == []


def test_what_a_restatement_changed_is_safe_to_open_and_its_numbers_are_numbers(
    tmp_path: Path,
) -> None:
    change = restatement.Change("t", "=1+1, -", "M1", None, None, "team_name", "-0.5", "@sum(A1)")
    restatement.write_csv([change], tmp_path / "changes.csv")
    with (tmp_path / "changes.csv").open(encoding="utf-8-sig", newline="") as handle:
        row = next(csv.DictReader(handle))
    assert (row["row_key"], row["old_value"]) == ("'=1+1, -", "-0.5")
    assert (row["new_value"], row["team_id"]) == ("'@sum(A1)", "")
