"""Everything a gate writes can be read in Chinese: what it saw, what is allowed, who agreed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import scorecard_fixture as fixture

from expectations.thresholds import DEFAULTS
from perfhouse import cards
from perfhouse.gate_words import chinese
from perfhouse.month import Month

ROOT = Path(__file__).resolve().parents[2]
MONTH = Month("2026-09")


def written() -> list[str]:
    """Find the texts of limits and of what is observed in the source of the gates."""
    found = set()
    for file in sorted((ROOT / "expectations").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        found |= set(re.findall(r'(?:threshold=|allowed = )f?"([^",][^"]*)"', text))
        found |= set(re.findall(r"printf\('([^']+)'", text))
    return sorted(found)


def example(form: str) -> str:
    """Fill a form with numbers."""
    form = re.sub(r"\{[^{}]*%\}", "12.50%", form)
    form = re.sub(r"\{[^{}]*\}", "3", form)
    form = form.replace("%.2f%%", "12.50%").replace("%d", "7")
    return form.replace("%s", "calls")


def test_the_forms_are_found():
    assert len(written()) > 12


@pytest.mark.parametrize("form", written())
def test_every_form_that_gates_write_has_its_chinese(form):
    said = example(form)
    if not re.search("[a-z]{2}", said):
        return  # a number reads the same
    assert re.search("[\u4e00-\u9fff]", chinese(said)), said
    for number in re.findall(r"[\d.]+", said):
        assert number in chinese(said)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("1 row", "1 行"),
        ("0.10% of rows", "行数的 0.10%"),
        ("0.47% at most (survey_responses of surveys)", "最高 0.47%(surveys 的 survey_responses)"),
        ("10 landed = 7 in facts + 3 left out", "入湖 10 = 进入事实表 7 + 未计入 3"),
        ("perfhouse.toml, nobody named", "perfhouse.toml,未注明商定人"),
        ("something else of 3", "something else of 3"),
        ("", ""),
    ],
)
def test_what_a_gate_saw_is_said_in_chinese_and_the_unknown_stays(said, shown):
    assert chinese(said) == shown


def test_a_default_limit_is_said_to_be_one():
    since = {limit.since for limits in DEFAULTS.values() for limit in limits.values()}
    for version in since:
        assert chinese(f"default of perfhouse {version}") == f"perfhouse {version} 默认值"


def test_the_index_of_cards_says_it_in_both_languages(tmp_path):
    con = fixture.make(managers=2)
    for column in ("threshold", "agreed_by"):
        con.execute(f"alter table ops.gate_verdicts add column {column} varchar")
    con.execute(
        "update ops.gate_verdicts set threshold = '0.10% of rows', observed = '2 rows', "
        "agreed_by = 'default of perfhouse 0.1.0' where gate = 'raw'"
    )
    index = cards.render_all(con, MONTH, tmp_path)[-1].read_text("utf-8")
    con.close()
    for zh, en in (
        ("2 行", "2 rows"),
        ("行数的 0.10%", "0.10% of rows"),
        ("perfhouse 0.1.0 默认值", "default of perfhouse 0.1.0"),
        ("原始数据", "Raw"),
    ):
        assert f"<i>{zh}</i><i lang=en>{en}</i>" in index
