"""SQL of casts to numbers: whole ones, decimals with marks between thousands, durations.

Text in, text out, as in `casting`; a number is read whole or not at all.
"""

from __future__ import annotations

from connectors.quoting import literal
from perfhouse.company import ColumnMapping

# marks between thousands; people and programs write several kinds of space and apostrophe
_BETWEEN = {" ": " \u00a0\u2009\u202f", "'": "'\u2019", ".": ".", ",": ","}
_NEVER = "\\x00"
_MILLISECONDS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?"
_WHOLE_NUMBER = r"[+-]?(\d+(\.0*)?|\d(\.\d{1,16})?e\+1[678])"  # JSON's 1e16 is read as 1e+16


def any_number(kind: str, chosen: ColumnMapping, text: str) -> tuple[str, str]:
    """Return the number of a text, with the marks that the mapping names; and what fits."""
    what = "a whole number" if kind == "BIGINT" else "a number"
    if not chosen.decimal and not chosen.thousands:
        return _number(kind, text, _WHOLE_NUMBER if kind == "BIGINT" else _NUMBER), what
    mark, between = chosen.decimal or ".", _BETWEEN.get(chosen.thousands or "", "")
    group = chosen.thousands or ""
    whole = rf"(\d+|\d{{1,3}}([{between or _NEVER}]\d{{3}})+)"
    rest = rf"([{mark}]0*)?" if kind == "BIGINT" else rf"([{mark}]\d*)?"
    trimmed = f"trim({text})"
    bare = f"regexp_replace({trimmed}, {literal(f'[{between or _NEVER}]')}, '', 'g')"
    value = (
        f"case when regexp_full_match({trimmed}, {literal(f'[+-]?{whole}{rest}')}) "
        f"then try_cast(replace({bare}, {literal(mark)}, '.') as {kind}) end"
    )
    shown = f"1{group}234" if kind == "BIGINT" else f"1{group}234{mark}5"
    return value, f"{what} like {shown}"


def duration(chosen: ColumnMapping, text: str) -> tuple[str, str]:
    """Return milliseconds of a number of some unit, or of what a clock shows; and what fits."""
    unit = str(chosen.unit)
    if ":" not in unit:
        value, expected = any_number("DECIMAL(28,9)", chosen, text)
        return f"cast(round({value} * {_MILLISECONDS[unit]}) as bigint)", f"{expected} ({unit})"
    trimmed = f"trim({text})"
    fits = r"\d+:[0-5]\d(\.\d+)?" if unit == "m:ss" else r"\d+:[0-5]\d:[0-5]\d(\.\d+)?"
    parts = f"string_split({trimmed}, ':')"
    total = " + ".join(
        f"coalesce(try_cast({parts}[{-at}] as DECIMAL(18,3)), 0) * {60 ** (at - 1)}000"
        for at in (1, 2, 3)
    )
    what = f"a duration like {unit}"
    return (
        f"case when regexp_full_match({trimmed}, '{fits}') then cast({total} as bigint) end",
        what,
    )


def _number(kind: str, text: str, pattern: str) -> str:
    """Return a strict cast; spaces around a number are only looked for where it does not fit."""
    tries = " ".join(
        f"when regexp_full_match({given}, '{pattern}') then try_cast({given} as {kind})"
        for given in (text, f"trim({text})")
    )
    return f"case {tries} end"
