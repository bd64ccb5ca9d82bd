"""Text that a spreadsheet would run as a formula, and the quote before it that stops that.

Said once in Python and once in SQL. Standard library only; what is written is decided elsewhere.
"""

from __future__ import annotations

import re
import unicodedata

# Also as East Asian keyboards type them: a spreadsheet of such a locale takes them for the same.
_SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫"
_LINES = "\t\r\n"
# Before the sign: spaces of every width, control characters and those that nobody sees.
_UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_SQL = r"^[\p{Z}\p{Cc}\p{Cf}]*[\t\r\n=+@＝＋－＠﹦﹢﹣﹫-]"


def is_risky(text: str) -> bool:
    """Say whether a spreadsheet might run a cell of this text."""
    for character in text:
        if character in _SIGNS or character in _LINES:
            return True
        if unicodedata.category(character) not in _UNSEEN:
            return False
    return False


def is_number(text: str) -> bool:
    """Say whether a text is a plain number, which no spreadsheet runs, minus or not."""
    return _NUMBER.fullmatch(text) is not None


def guarded(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: a quote goes before a risky start."""
    return f"'{text}" if is_risky(text) else text


def guarded_value(text: str) -> str:
    """Return a value written as text, guarded; a number stays a number."""
    return text if is_number(text) else guarded(text)


def quarantined_sql(relation: str) -> str:
    """Return SQL for quarantined rows as a spreadsheet may open them; the Parquet has no quotes."""
    texts = ("_file", "field", "reason", "other_faults", "raw")
    guards = ", ".join(f"{guarded_sql(name)} as {name}" for name in texts)
    return f"select * replace ({guards}) from {relation}"


def guarded_sql(column: str) -> str:
    """Return SQL for a text column, guarded; `column` is quoted already."""
    return f"case when regexp_matches({column}, '{_SQL}') then '''' || {column} else {column} end"
