"""Why a row was quarantined, said in Chinese for the pages that people read.

A reason is written once, in English, where the row was refused: here it is only said again. What it
does not know it leaves as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_ROW = "(row)"  # in the place of a field: all of the row
_KINDS = {
    "a whole number": "整数",
    "a number": "数字",
    "a time": "时间",
    "a day": "日期",
    "a duration": "时长",
    "an Excel day number": "Excel 日期序号",
    "true or false": "true 或 false",
    "JSON": "JSON",
}
_KIND = "|".join(_KINDS)
_OR_EXCEL = " or an Excel day number"


def _expected(found: re.Match[str]) -> str:
    """Say what a value had to be: a kind, examples of it, a unit, and Excel's numbers besides."""
    kind, like, unit, excel = found.groups()
    shown = f"形如 {like.replace(' or ', ' 或 ')} 的" if like else ""
    return f"应为{shown}{_KINDS[kind]}{unit or ''}{'或 Excel 日期序号' if excel else ''}"


def _same(chinese: str) -> Callable[[re.Match[str]], str]:
    return lambda found: found.expand(chinese)


_SAID: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        ("missing", _same("缺失")),
        (r"below (\S+)", _same(r"小于 \1")),
        (r"above (\S+)", _same(r"大于 \1")),
        ("not a JSON object", _same("不是 JSON 对象")),
        (r"expected one of (.+)", _same(r"应为其中之一:\1")),
        (
            r"expected (\d+) fields, found (\d+) in (\d+) lines joined by a quote",
            _same(r"应有 \1 个字段,实有 \2 个,一个引号连起了 \3 行"),
        ),
        (r"expected (\d+) fields, found (\d+)", _same(r"应有 \1 个字段,实有 \2 个")),
        (r"the record has not the shape of (\w+): (.+)", _same(r"记录不合 \1 的结构:\2")),
        (rf"expected ({_KIND})(?: like (.+?))?( \([^)]*\))?({_OR_EXCEL})?", _expected),
    )
)


def chinese(said: str) -> str:
    """Say in Chinese why a row was refused, told as `field: reason`; the unknown stays."""
    field, between, reason = said.partition(": ")
    for pattern, in_chinese in _SAID:
        if found := pattern.fullmatch(reason):
            return f"{'整行' if field == _ROW else field}{between}{in_chinese(found)}"
    return said
