"""SQL of typed casts: from a source's text columns to a stream's typed ones, set-based.

Text in, text out: nothing here may open a file or write one. Identifiers are quoted and
literals escaped here; a mapping's own expressions are parsed before they are used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.streams import ADDRESSES, HASHED, MAPPABLE, Column, Stream
from perfhouse import warehouse
from perfhouse.company import ColumnMapping, Company, Source, StreamMapping
from perfhouse.errors import ConfigError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIELD, ERROR = "\x1f", "\x1e"  # unit and record separators: field, reason; then the next error
_ISO_DAY = r"\d{4}-\d{2}-\d{2}"
_ISO_TIME = _ISO_DAY + r"[T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?"
_ISO_ZONE = r"([Zz]|[+-]\d{2}(:?\d{2})?)"
# marks between thousands; people and programs write several kinds of space and apostrophe
_BETWEEN = {" ": " \u00a0\u2009\u202f", "'": "'\u2019", ".": ".", ",": ","}
_FRACTION, _ZEROS = r"(\.\d*)?", r"(\.0*)?"
_NEVER = "\\x00"
_MILLISECONDS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_EXCEL = {"excel": 25_569, "excel1904": 24_107}  # days from day 0 to 1970-01-01
_USUAL_TIME = _ISO_DAY + r"[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?"  # needs no care to be cast
_USUAL_ZONE = r"(Z|[+-]\d{2}:\d{2})"
_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?"
_WHOLE_NUMBER = r"[+-]?(\d+(\.0*)?|\d(\.\d{1,16})?e\+1[678])"  # JSON's 1e16 is read as 1e+16
_WHOLE = frozenset(
    (
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    )
)
_CLOCKS = frozenset(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"))
_ZONED = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True)
class Planned:
    """One canonical column with the SQL that makes it.

    Args:
        text: SQL over the source columns that gives text; null is never an empty string.
        typed: SQL over the text alias that gives the typed value, null where it cannot be cast.
        expected: what a value had to be; empty when any text will do.
    """

    column: Column
    mapping: ColumnMapping
    text: str
    typed: str
    expected: str
    required: bool


def quoted(name: str) -> str:
    """Return an SQL identifier, safe for any name but the empty one."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def references(con: DuckDBPyConnection, expression: str, where: str) -> tuple[str, ...]:
    """Return the column names an expression uses; ConfigError when it is no row expression."""
    row = con.execute("select json_serialize_sql(?)", [f"select {expression}\n"]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise ConfigError([f"{where}: expected an SQL expression, got {expression!r}"])
    nodes = [statement["node"] for statement in tree["statements"]]
    plain = len(nodes) == 1 and nodes[0].get("type") == "SELECT_NODE"
    if not plain or len(nodes[0]["select_list"]) != 1 or nodes[0]["from_table"]["type"] != "EMPTY":
        raise ConfigError([f"{where}: expected one SQL expression, got {expression!r}"])
    names: dict[str, None] = {}
    what = warehouse.refused(nodes[0]["select_list"])
    if what is not None:
        raise ConfigError([f"{where}: expected an expression over one row, got {what}"])
    for node in warehouse.nodes(nodes[0]["select_list"]):
        if node.get("class") == "COLUMN_REF":
            names[_single(node["column_names"], where)] = None
    return tuple(names)


def _single(names: list[str], where: str) -> str:
    if len(names) != 1:
        dotted = ".".join(names)
        raise ConfigError([f'{where}: write "{dotted}" in double quotes if it is one field'])
    return names[0]


def hmac_setup(con: DuckDBPyConnection, key: bytes) -> None:
    """Put the padded halves of an HMAC-SHA256 key into session variables, never into SQL."""
    import hashlib

    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    con.execute("set variable hmac_inner = ?", [bytes(b ^ 0x36 for b in block)])
    con.execute("set variable hmac_outer = ?", [bytes(b ^ 0x5C for b in block)])
    # a mapping's own SQL may hash an address that only some rows hold; one spelling as in ADDRESSES
    one = "nullif(lower(trim(address)), '')"
    con.execute(f"create or replace macro address_hash(address) as {_hmac(one)}")


def hmac_copy(con: DuckDBPyConnection, session: DuckDBPyConnection) -> None:
    """Give another session of an engine the key's halves, which are a session's own."""
    for name in ("hmac_inner", "hmac_outer"):
        half = con.execute(f"select getvariable('{name}')").fetchone()
        session.execute(f"set variable {name} = ?", list(half or (None,)))


def _hmac(text: str) -> str:
    inner = f"unhex(sha256(getvariable('hmac_inner') || encode({text})))"
    return f"sha256(getvariable('hmac_outer') || {inner})"


def native_name(inner: str) -> str:
    """Return the SQL name of a source column in the type it was archived with."""
    return quoted(f"\x1f{inner}")


def plan(
    stream: Stream,
    mapping: StreamMapping,
    source: Source,
    company: Company,
    fields: Mapping[str, str],
    native: Mapping[str, str] | None = None,
) -> list[Planned]:
    """Plan every mapped column.

    `fields` gives a source column's internal name, `native` its type by that name, where it was
    archived with one.
    """
    planned = []
    empty = {str(text) for text in mapping.options.get("null_values", ())} <= {""}
    types = dict(native or {}) if empty else {}  # a text that means nothing may stand for a number
    for column in (*stream.columns, *MAPPABLE):
        chosen = mapping.columns.get(column.name)
        if chosen is None:
            continue
        if column.name in HASHED and not chosen.hash:
            where = f"{source.id}.{stream.name}.{column.name}"
            told = "expected hash = true, for nothing that tells who a person is may land"
            raise ConfigError([f"{where}: {told}"])
        zone = chosen.time_zone or source.time_zone or company.time_zone
        required = column.required
        if chosen.required is not None:
            required = chosen.required
        alias = quoted(f"t.{column.name}")
        text = _text(column, chosen, fields)
        typed, expected = _typed(column, chosen, zone, alias)
        inner = fields.get(chosen.source or "", "")
        straight = _straight(column, chosen, types.get(inner, ""), zone, alias)
        if straight is not None:
            text, typed = native_name(inner), straight
        planned.append(Planned(column, chosen, text, typed, expected, required))
    return planned


def _straight(
    column: Column, chosen: ColumnMapping, kind: str, zone: str, value: str
) -> str | None:
    """Return the cast of a typed value that its text would give too; None when it takes text."""
    plain = chosen.source is not None and chosen.values is None and chosen.format is None
    if not kind or not plain or chosen.hash or chosen.decimal or chosen.thousands:
        return None
    if chosen.unit:
        return None
    if column.type in ("BIGINT", "DOUBLE") or column.type.startswith("DECIMAL"):
        exact = kind.startswith("DECIMAL") and column.type != "BIGINT"
        return f"try_cast({value} as {column.type})" if exact or kind in _WHOLE else None
    if column.type == "TIMESTAMPTZ" and kind in _CLOCKS:
        return _zoned(f"cast({value} as timestamp)", zone)
    same = {"TIMESTAMPTZ": _ZONED, "DATE": "DATE", "BOOLEAN": "BOOLEAN"}
    return value if same.get(column.type) == kind else None


def _constant(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _text(column: Column, chosen: ColumnMapping, fields: Mapping[str, str]) -> str:
    if chosen.value is not None:
        return literal(_constant(chosen.value))
    if chosen.sql is not None:
        text = f"nullif(trim(cast(({chosen.sql}\n) as varchar)), '')"
        if column.type.endswith("[]"):
            parsed = f"to_json(({chosen.sql}\n))"
            text = f"if(json_type({parsed}) = 'ARRAY', cast({parsed} as varchar), {text})"
    else:
        text = quoted(fields[chosen.source or ""])
    if chosen.values is not None:
        text = _mapped(text, chosen)
    if column.name in ADDRESSES:  # one spelling, so that two systems' hashes of it are equal
        text = f"lower(trim({text}))"
    return _hmac(text) if chosen.hash else text


def _mapped(text: str, chosen: ColumnMapping) -> str:
    values = {key: _constant(value) for key, value in (chosen.values or {}).items()}
    pairs = " ".join(f"when {literal(k)} then {literal(v)}" for k, v in values.items())
    pairs = pairs or "when null then null"
    rest = text if chosen.otherwise is None else literal(_constant(chosen.otherwise))
    if "" in values:
        return f"(case trim(coalesce({text}, '')) {pairs} else {rest} end)"
    careful = f"case trim({text}) {pairs} else {rest} end"
    return f"(case when {text} is null then null else (case {text} {pairs} else {careful} end) end)"


def _typed(column: Column, chosen: ColumnMapping, zone: str, text: str) -> tuple[str, str]:
    kind = column.type
    trimmed = f"trim({text})"
    if chosen.unit:
        return _duration(chosen, text)
    if kind == "TIMESTAMPTZ":
        return _instant(chosen, zone, text)
    if kind == "DATE":
        return _day(chosen, trimmed)
    if kind == "BIGINT" or kind.startswith(("DECIMAL", "DOUBLE")):
        return _any_number(kind, chosen, text)
    others = {
        "BOOLEAN": (_flag(trimmed), "true or false"),
        "VARCHAR[]": (_list(text), ""),
        "JSON": (f"case when json_valid({text}) then {text} end", "JSON"),
    }
    return others.get(kind, (text, ""))


def _flag(text: str) -> str:
    yes = f"when lower({text}) in ('true', 't', 'yes', 'y', '1') then true"
    no = f"when lower({text}) in ('false', 'f', 'no', 'n', '0') then false"
    return f"case {yes} {no} end"


def _any_number(kind: str, chosen: ColumnMapping, text: str) -> tuple[str, str]:
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


def _duration(chosen: ColumnMapping, text: str) -> tuple[str, str]:
    """Return milliseconds of a number of some unit, or of what a clock shows; and what fits."""
    unit = str(chosen.unit)
    if ":" not in unit:
        value, expected = _any_number("DECIMAL(28,9)", chosen, text)
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


def _list(text: str) -> str:
    array = f"(case when json_valid({text}) then json_type({text}) = 'ARRAY' end)"
    parsed = f"""from_json({text}, '["VARCHAR"]')"""
    split = f"list_transform(string_split({text}, ','), lambda item: trim(item))"
    return f"case when {array} then {parsed} else {split} end"


def _formats(chosen: ColumnMapping) -> list[str]:
    given: object = chosen.format
    if given is None:
        return []
    return [given] if isinstance(given, str) else [str(item) for item in _items(given)]


def _items(given: object) -> list[object]:
    return list(given) if isinstance(given, list | tuple) else [given]


def sane(column: Column) -> str:
    """Null years no source means: a two-digit year read as four, a typing slip."""
    name = quoted(column.name)
    if column.type not in ("DATE", "TIMESTAMPTZ"):
        return name
    first, last = (f"{column.type} '{day}'" for day in ("1900-01-01", "9999-12-31"))
    return f"case when {name} between {first} and {last} then {name} end as {name}"


def _instant(chosen: ColumnMapping, zone: str, text: str) -> tuple[str, str]:
    place = literal(zone)
    formats = _formats(chosen)
    trimmed = f"trim({text})"
    if formats:
        value = "coalesce(" + ", ".join(_parsed(trimmed, f, place) for f in formats) + ", null)"
        return value, _like("a time", formats)
    comma = f"replace({trimmed}, ',', '.')"
    local = f"try_cast({text} as timestamp)"
    exact = _zoned(local, zone)
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


def _zoned(local: str, zone: str) -> str:
    """Return the instant of a local time; of UTC without asking for the zone's history."""
    if zone == "UTC":
        return f"make_timestamptz(epoch_us({local}))"
    return f"timezone({literal(zone)}, {local})"


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


def _day(chosen: ColumnMapping, text: str) -> tuple[str, str]:
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
