"""SQL of casts to times and days: ISO, a mapping's own formats, Excel's day numbers.

Text in, text out, as in `casting`; a time without a zone is read in the one it is given.
"""

from __future__ import annotations

from connectors.quoting import literal, quoted
from connectors.streams import Column
from perfhouse.company import ColumnMapping

_ISO_DAY = r"\d{4}-\d{2}-\d{2}"
_ISO_TIME = _ISO_DAY + r"[T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?"
_ISO_ZONE = r"([Zz]|[+-]\d{2}(:?\d{2})?)"
_EXCEL = {"excel": 25_569, "excel1904": 24_107}  # days from day 0 to 1970-01-01
_USUAL_TIME = _ISO_DAY + r"[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?"  # needs no care to be cast
_USUAL_ZONE = r"(Z|[+-]\d{2}:\d{2})"
_FRACTION = r"(\.\d*)?"
_ZEROS = r"(\.0*)?"


def instant(chosen: ColumnMapping, zone: str, text: str) -> tuple[str, str]:
    """Return the instant of a text, in `zone` where it names none; and what fits."""
    place = literal(zone)
    formats = _formats(chosen)
    trimmed = f"trim({text})"
    if formats:
        value = "coalesce(" + ", ".join(_parsed(trimmed, f, place) for f in formats) + ", null)"
        return value, _like("a time", formats)
    comma = f"replace({trimmed}, ',', '.')"
    local = f"try_cast({text} as timestamp)"
    exact = zoned(local, zone)
    cases = (
        # a time without zone ends in a digit like others, so its length saves the longer look
        (
            f"if(strlen({text}) > 19, {text}, null)",
            _USUAL_TIME + _USUAL_ZONE,
            f"try_cast({text} as timestamptz)",
        ),
        (text, _USUAL_TIME, exact),
        (
            trimmed,
            rf"{_ISO_TIME}\s?{_ISO_ZONE}",
            f"try_cast(replace({comma}, ' Z', 'Z') as timestamptz)",
        ),
        (trimmed, _ISO_TIME, f"timezone({place}, try_cast({comma} as timestamp))"),
    )
    tries = " ".join(f"when regexp_full_match({g}, '{p}') then {v}" for g, p, v in cases)
    return f"case {tries} end", "a time like YYYY-MM-DD hh:mm:ss"


def day(chosen: ColumnMapping, text: str) -> tuple[str, str]:
    """Return the date of a text, and what fits; a time of day is refused, but for midnight."""
    formats = _formats(chosen)
    if formats:
        parts = ", ".join(
            f"cast({_excel(text, f, _ZEROS)} as date)"
            if f in _EXCEL
            else f"cast(try_strptime({text}, {literal(f)}) as date)"
            for f in formats
        )
        value = f"coalesce({parts}, null)"
        return value, _like("a day", formats)
    iso = f"regexp_full_match({text}, '{_ISO_DAY}([T ]00:00(:00(\\.0+)?)?)?')"
    value = f"case when {iso} then try_cast(left({text}, 10) as date) end"
    return value, "a day like YYYY-MM-DD"


def zoned(local: str, zone: str) -> str:
    """Return the instant of a local time; of UTC without asking for the zone's history."""
    if zone == "UTC":
        return f"make_timestamptz(epoch_us({local}))"
    return f"timezone({literal(zone)}, {local})"


def sane(column: Column) -> str:
    """Null years no source means: a two-digit year read as four, a typing slip."""
    name = quoted(column.name)
    if column.type not in ("DATE", "TIMESTAMPTZ"):
        return name
    first, last = (f"{column.type} '{day}'" for day in ("1900-01-01", "9999-12-31"))
    return f"case when {name} between {first} and {last} then {name} end as {name}"


def _like(what: str, formats: list[str]) -> str:
    """Say what was expected, for people."""
    texts = [f for f in formats if f not in _EXCEL]
    told = [f"{what} like {' or '.join(texts)}"] if texts else []
    return " or ".join([*told, *(["an Excel day number"] if len(texts) < len(formats) else [])])


def _excel(text: str, form: str, fraction: str) -> str:
    """Return the local time of a day number; Excel's 1900 has a 29 February, which is refused."""
    number = f"cast({text} as double)"
    days = f"{number} - {_EXCEL[form]}"
    possible = f"regexp_full_match({text}, '\\d{{1,7}}{fraction}')"
    if form == "excel":
        days = f"({days} + if({number} < 60, 1, 0))"
        fits = f"case when {possible} then {number} >= 1 and floor({number}) <> 60 end"
    else:
        fits = possible
    return f"case when {fits} then epoch_ms(cast(round(({days}) * 86400000) as bigint)) end"


def _parsed(text: str, form: str, place: str) -> str:
    if form in _EXCEL:
        return f"timezone({place}, {_excel(text, form, _FRACTION)})"
    if "%z" in form or "%Z" in form:
        return f"try_strptime(regexp_replace({text}, '[Zz]$', '+0000'), {literal(form)})"
    return f"timezone({place}, try_strptime({text}, {literal(form)}))"


def _formats(chosen: ColumnMapping) -> list[str]:
    given: object = chosen.format
    if given is None:
        return []
    return [given] if isinstance(given, str) else [str(item) for item in _items(given)]


def _items(given: object) -> list[object]:
    return list(given) if isinstance(given, list | tuple) else [given]
