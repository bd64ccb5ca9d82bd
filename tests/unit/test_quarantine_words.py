"""Every reason for which a row is refused can be read in Chinese, by the code that writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from connectors import casting_numbers, casting_times, checking, reading, reading_json, streams
from perfhouse.company import ColumnMapping
from perfhouse.quarantine_words import chinese


def of(**options: object) -> ColumnMapping:
    return ColumnMapping(source="x", **options)  # type: ignore[arg-type]


def expectations() -> Iterator[str]:
    """Yield what values had to be, as casts say it."""
    for kind in ("BIGINT", "DECIMAL(18,6)"):
        for mapping in (of(), of(decimal=","), of(decimal=",", thousands=".")):
            yield casting_numbers.any_number(kind, mapping, "t")[1]
    for unit in ("s", "min", "m:ss", "h:mm:ss"):
        yield casting_numbers.duration(of(unit=unit), "t")[1]
    for form in (None, "%d.%m.%Y", ["%d.%m.%Y", "%Y/%m/%d"], "excel", ["%Y/%m/%d", "excel"]):
        yield casting_times.instant(of(format=form), "UTC", "t")[1]
        yield casting_times.day(of(format=form), "t")[1]
    yield from ("true or false", "JSON")


def reasons() -> Iterator[str]:
    yield from (checking.MISSING, reading_json.NOT_JSON)
    yield "the record has not the shape of tickets: KeyError 'id'"
    yield from (f"expected {what}" for what in expectations())
    for stream in streams.STREAMS.values():
        for column in stream.columns:
            if column.values:
                yield f"expected one of {', '.join(column.values)}"
            yield from ("below -1.5", "above 10") if column.minimum is not None else ()
    for text, expected, actual in (("a,b", 3, 2), ('a,"b\nc\nd', 3, 2)):
        yield reading._swallowed(Row(text, expected, actual))[0]


class Row:
    """A row of the wrong width, as the CSV reader hands it over."""

    def __init__(self, text: str, expected: int, actual: int) -> None:
        self.text, self.expected_columns, self.actual_columns = text, expected, actual


@pytest.mark.parametrize("reason", sorted(set(reasons())))
def test_every_reason_has_its_chinese_with_the_same_names_and_numbers(reason: str):
    shown = chinese(f"created_at: {reason}")
    assert shown.startswith("created_at: ")
    assert re.search("[\u4e00-\u9fff]", shown), shown
    assert "expected" not in shown
    for number in re.findall(r"\d+", reason):
        assert number in shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("created_at: expected a time like %d.%m.%Y or %Y/%m/%d or an Excel day number",
         "created_at: 应为形如 %d.%m.%Y 或 %Y/%m/%d 的时间或 Excel 日期序号"),
        ("talk_ms: expected a number like 1,234.5 (s)", "talk_ms: 应为形如 1,234.5 的数字 (s)"),
        ("rating: above 5", "rating: 大于 5"),
        ("(row): expected 3 fields, found 2", "整行: 应有 3 个字段,实有 2 个"),
        ("id: something new", "id: something new"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_reason_is_said_again_and_the_unknown_stays(said: str, shown: str):
    assert chinese(said) == shown
