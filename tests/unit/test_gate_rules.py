"""Rules: the query that names offenders says the same as the expectation that is run."""

from __future__ import annotations

import pytest

from expectations import rules
from expectations.roster import find_cycles
from perfhouse import warehouse
from perfhouse.errors import without_values

WORDS = ("words", "文字")


def failing(rule: rules.Rule) -> list[tuple[object, ...]]:
    con = warehouse.connect()
    con.execute(
        "create table t as select * from (values ('a', 1, 'x'), ('b', 9, 'y'), ('c', null, null)) "
        "v(id, score, grade)"
    )
    try:
        return con.execute(f"{rule.failing()} order by all").fetchall()
    finally:
        con.close()


def test_between_names_values_outside_and_lets_null_pass() -> None:
    rule = rules.between("r", "critical", "t", "score", (0, 5), ("id",), WORDS)
    assert failing(rule) == [("b", 9)]
    assert rule.threshold == "0 to 5"


@pytest.mark.parametrize("value", ["a@b", "li@example.com", "13800138000", "A > x@y.cn > A"])
def test_a_key_that_may_be_a_contact_is_hidden(value: str) -> None:
    assert rules.without_contacts(value) == "<hidden>"


@pytest.mark.parametrize("value", ["E1", "0.13800138000", "9f13800138000", "2026-09-30", "电话"])
def test_other_keys_are_shown(value: str) -> None:
    assert rules.without_contacts(value) == value


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Could not convert string 'li@x.cn' to INT32", "Could not convert <hidden>"),
        (
            'Constraint Error: Duplicate key "id: 138"\nat',
            "Constraint Error: Duplicate key <hidden>",
        ),
        ("Catalog Error: Table x does not exist", "Catalog Error: Table x does not exist"),
    ],
)
def test_an_engines_message_is_cut_before_it_quotes_a_value(message: str, shown: str) -> None:
    assert without_values(message) == shown


def test_in_set_names_strangers_and_lets_null_pass() -> None:
    rule = rules.in_set("r", "critical", "t", "grade", ("x",), ("id",), WORDS)
    assert failing(rule) == [("b", "y")]


def test_not_null_names_the_empty_row() -> None:
    rule = rules.not_null("r", "critical", "t", "grade", ("id",), WORDS)
    assert failing(rule) == [("c", None)]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("id", "score", "grade"), []),
        (("id", "score"), [("grade", "unexpected")]),
        (("id", "score", "grade", "rank"), [("rank", "missing")]),
        (("id", "grade", "score"), [("grade", "out of order"), ("score", "out of order")]),
    ],
)
def test_columns_names_what_is_missing_extra_or_moved(
    names: tuple[str, ...], found: list[tuple[str, str]]
) -> None:
    assert failing(rules.columns("r", "critical", "t", names, WORDS)) == found


def test_rows_names_what_its_query_finds() -> None:
    rule = rules.rows("r", "critical", "t", "select id from batch where score > 5", WORDS)
    assert failing(rule) == [("b",)]


@pytest.mark.parametrize(
    ("manager_of", "cycles"),
    [
        ({"E1": "M1", "M1": "D"}, []),
        ({"A": "B", "B": "A"}, ["A > B > A"]),
        ({"C": "A", "A": "B", "B": "C", "E": "C"}, ["A > B > C > A"]),
        ({"A": "B", "B": "A", "X": "Y", "Y": "X"}, ["A > B > A", "X > Y > X"]),
    ],
)
def test_each_cycle_of_managers_is_found_once(
    manager_of: dict[str, str], cycles: list[str]
) -> None:
    assert find_cycles(manager_of) == cycles
