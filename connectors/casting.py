"""SQL of typed casts: from a source's text columns to a stream's typed ones, set-based.

Text in, text out: nothing here may open a file or write one. Identifiers are quoted and
literals escaped here; a mapping's own expressions are parsed before they are used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.casting_numbers import any_number, duration
from connectors.casting_times import day, instant, zoned
from connectors.keyed_hashes import hmac_of
from connectors.quoting import literal, quoted
from connectors.streams import ADDRESSES, HASHED, MAPPABLE, Column, Stream
from perfhouse import warehouse
from perfhouse.company import ColumnMapping, Company, Source, StreamMapping
from perfhouse.errors import ConfigError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIELD, ERROR = "\x1f", "\x1e"  # unit and record separators: field, reason; then the next error
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
        return zoned(f"cast({value} as timestamp)", zone)
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
    return hmac_of(text) if chosen.hash else text


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
        return duration(chosen, text)
    if kind == "TIMESTAMPTZ":
        return instant(chosen, zone, text)
    if kind == "DATE":
        return day(chosen, trimmed)
    if kind == "BIGINT" or kind.startswith(("DECIMAL", "DOUBLE")):
        return any_number(kind, chosen, text)
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


def _list(text: str) -> str:
    array = f"(case when json_valid({text}) then json_type({text}) = 'ARRAY' end)"
    parsed = f"""from_json({text}, '["VARCHAR"]')"""
    split = f"list_transform(string_split({text}, ','), lambda item: trim(item))"
    return f"case when {array} then {parsed} else {split} end"
