from __future__ import annotations

from pathlib import Path

from perfhouse.company_monitors import DEFAULTS, read_monitors, rows
from perfhouse.config_reader import Table

ROOT = Path(__file__).resolve().parents[2]


def test_what_a_company_sets_replaces_the_default_and_nothing_else() -> None:
    problems: list[str] = []
    said = {"monitors": {"very_short_calls": {"short_seconds": 8}}}
    found = read_monitors(Table(said, "t: ", problems))
    assert not problems
    assert found["very_short_calls"] == {**DEFAULTS["very_short_calls"], "short_seconds": 8}
    assert found["survey_not_offered"] == DEFAULTS["survey_not_offered"]


def test_a_weekend_is_the_days_that_are_named() -> None:
    problems: list[str] = []
    said = {"monitors": {"weekend_bulk_closes": {"days": ["fri", "sat"]}}}
    found = read_monitors(Table(said, "t: ", problems))["weekend_bulk_closes"]
    assert not problems
    assert [found[f"day_{at}"] for at in range(7)] == [0, 0, 0, 0, 1, 1, 0]
    usual = {name for monitor, name, value in rows({}) if name.startswith("day_") and value}
    assert usual == {"day_5", "day_6"}


def test_a_wrong_threshold_is_named_with_its_place() -> None:
    problems: list[str] = []
    said = {
        "monitors": {
            "very_short_call": {},
            "very_short_calls": {"least_share": 10, "short_second": 8},
            "weekend_bulk_closes": {"days": ["saturday"]},
        }
    }
    read_monitors(Table(said, "perfhouse.toml: ", problems))
    text = "\n".join(problems)
    assert "monitors.very_short_call: unknown key (did you mean 'very_short_calls'?)" in text
    assert "monitors.very_short_calls.least_share: expected a number from 0 to 1, got 10" in text
    assert "very_short_calls.short_second: unknown key (did you mean 'short_seconds'?)" in text
    assert "weekend_bulk_closes.days[0]: expected one of mon, tue" in text


def test_the_page_lists_every_monitor_with_its_thresholds() -> None:
    page = (ROOT / "docs" / "monitors.md").read_text(encoding="utf-8")
    for monitor, values in DEFAULTS.items():
        line = next(one for one in page.splitlines()[::-1] if one.startswith(f"| `{monitor}` |"))
        for name, value in values.items():
            assert f"{value:g}" in line, (monitor, name)
