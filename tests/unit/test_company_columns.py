from __future__ import annotations

import tomllib
from typing import Any

import pytest

from perfhouse.company_sources import Known, read_sources
from perfhouse.company_types import ColumnMapping, Source
from perfhouse.config_reader import Table


def parse(column: str, more: str = "") -> tuple[Source, list[str]]:
    """Read one source with one column; return it with the problems that were found."""
    text = f"""
    [[sources]]
    id = "desk"
    connector = "files"
    owner = "Desk <desk@example.com>"
    {more}
    [[sources.streams]]
    stream = "tickets"
    path = "{{month}}.csv"
    [sources.streams.columns]
    csat_score = {column}
    """
    problems: list[str] = []
    (source,) = read_sources(Table(tomllib.loads(text), "", problems), "UTC", Known())
    return source, problems


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('{ from = "a", decimal = ",", thousands = "." }', {"decimal": ",", "thousands": "."}),
        ('{ from = "a", thousands = "\'" }', {"thousands": "'"}),
        ('{ from = "a", unit = "h:mm:ss" }', {"unit": "h:mm:ss"}),
        ('{ from = "a", format = "excel" }', {"format": "excel"}),
        ('{ from = "a", format = ["%d/%m/%Y", "excel1904"] }',
         {"format": ("%d/%m/%Y", "excel1904")}),
    ],
)  # fmt: skip
def test_a_column_says_how_its_numbers_and_days_are_written(
    text: str, want: dict[str, Any]
) -> None:
    source, problems = parse(text)
    assert problems == []
    assert source.streams[0].columns["csat_score"] == ColumnMapping(source="a", **want)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{ from = "a", decimal = ";" }', "decimal"),
        ('{ from = "a", unit = "seconds" }', "unit: expected one of d, h, h:mm:ss"),
        ('{ from = "a", thousands = "." }', "thousands: expected another mark than decimal"),
        ('{ from = "a", decimal = ",", thousands = "," }', "another mark than decimal"),
        ('{ from = "a", format = "excel2000" }', "or excel"),
        ('{ from = "a", format = [] }', "or excel"),
        ('{ from = "a", format = ["%d", 3] }', "or excel"),
    ],
)
def test_a_way_of_writing_that_is_none_is_told(text: str, told: str) -> None:
    _, problems = parse(text)
    assert len(problems) == 1
    assert told in problems[0]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('columns = ["a", "b"], name = "n", value = "v"', ""),
        ('columns = ["a"], name = "n", value = "v"', "unpivot.columns: expected two columns"),
        ('columns = ["a", "a"], name = "n", value = "v"', "unpivot.columns: expected two columns"),
        ('columns = ["a", "b"], name = "A", value = "v"', "unpivot.name: expected name and value"),
        ('columns = ["a", "b"], name = "n", value = "N"', "unpivot.name: expected name and value"),
        ('columns = ["a", "b"], name = "n"', "unpivot.value: expected text, got nothing"),
        ('columns = ["a", "b"], name = "n", value = "v", as = 1', "unpivot.as: unknown key"),
    ],
)
def test_columns_that_become_rows_are_named_with_what_they_are_called_then(
    keys: str, told: str
) -> None:
    text = f"""
    [[sources]]
    id = "desk"
    connector = "files"
    owner = "Desk <desk@example.com>"
    [[sources.streams]]
    stream = "survey_responses"
    path = "{{month}}.csv"
    unpivot = {{ {keys} }}
    """
    problems: list[str] = []
    read_sources(Table(tomllib.loads(text), "", problems), "UTC", Known())
    assert [problem.partition("streams[0].")[2][: len(told)] for problem in problems] == (
        [told] if told else []
    )


@pytest.mark.parametrize("share", ["1.5", "-0.1", '"much"', "true"])
def test_a_loss_is_a_share(share: str) -> None:
    _, problems = parse('"a"', f"max_loss = {share}")
    assert len(problems) == 1
    assert "max_loss: expected a share from 0 to 1" in problems[0]
    assert parse('"a"', "max_loss = 0.1")[0].options == {"max_loss": 0.1}
