"""The raw gate's rules about one stream: filled, unique, plausible, coded, in order.

Made from the stream's declaration and from stream_sense.py; nothing here knows a stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from expectations.rules import CRITICAL, WARNING, Rule, quoted, rows
from expectations.stream_sense import (
    IMPOSSIBLE,
    LENGTHS,
    ODD,
    ORDERED,
    OWED,
    UNIT_ROWS,
    UNIT_SHARE,
)
from perfhouse.month import Month

if TYPE_CHECKING:
    from expectations.gate import Case

# Parts of keys that stand for a customer or a rater; never shown.
_CUSTOMERS = {"rater_key"}
# Columns that hold a keyed hash of an address; the address itself would be personal data.
_HASHES = {"hr_roster": ("work_email_hash",), "source_users": ("email_hash",)}
# Days that may well lie decades back.
_LIFELONG = {"hire_date", "valid_from"}


def stream_rules(name: str, case: Case) -> list[Rule]:
    """Return the rules over `raw_<stream>`."""
    stream = case.streams[name]
    table = f"raw_{name}"
    key = ", ".join(("_source", *(c for c in stream.key if c not in _CUSTOMERS)))
    share = case.threshold("raw", "ambiguous_share")
    version = ", ".join(("_source", *stream.key, "source_updated_at", "source_seq"))
    found = [
        rows(
            f"{name}_required", CRITICAL, table,
            _named_columns(key, {c: f"{c} is null" for c in _required(stream, case)}),
            (f"{name}: required columns are filled", f"{name}：必填列均有值"),
        ),
        rows(
            f"{name}_unique", CRITICAL, table,
            f"select {key}, versions from (select {version}, count(*) as versions, "
            f"sum(count(*) - 1) over () as extra, sum(count(*)) over () as total "
            f"from batch group by {version}) where versions > 1 and extra > {share!r} * total",
            (f"{name}: no two rows claim to be the same version of the same key",
             f"{name}：同一主键同一版本不出现两行"),
            threshold=f"{share:.2%} of rows",
            limit="ambiguous_share",
        ),
        rows(
            f"{name}_plausible", CRITICAL, table,
            _named_columns(key, _implausible(stream, case.as_of)),
            (f"{name}: dates lie between 1990 and ten years ahead",
             f"{name}：日期在 1990 年至未来十年之间"),
        ),
    ]  # fmt: skip
    enums = _outside_lists(stream)
    if enums:
        words = (f"{name}: coded columns hold known codes", f"{name}：编码列取值在列表之内")
        found.append(rows(f"{name}_codes", CRITICAL, table, _named_columns(key, enums), words))
    bounds = _outside_bounds(stream)
    if bounds:
        words = (f"{name}: numbers lie in their bounds", f"{name}：数值在界限之内")
        found.append(rows(f"{name}_ranges", CRITICAL, table, _named_columns(key, bounds), words))
    if name in _HASHES:
        words = (f"{name}: addresses are keyed hashes", f"{name}：邮箱只以加密哈希入湖")
        digits = "'0123456789abcdef'"
        plain = {c: f"length({c}) <> 64 or ltrim({c}, {digits}) <> ''" for c in _HASHES[name]}
        found.append(rows(f"{name}_hashed", CRITICAL, table, _named_columns(key, plain), words))
    reversed_share = case.threshold("raw", "reversed_share")
    impossible_share = case.threshold("raw", "impossible_share")
    reversed_pairs = {
        f"{late} before {early}": f"{late} < {early}" for early, late in ORDERED.get(name, ())
    }
    impossible = IMPOSSIBLE.get(name, {})
    if reversed_pairs:
        words = (f"{name}: nothing ends before it begins", f"{name}：结束时间不早于开始时间")
        found += [
            _seldom(f"{name}_seldom_reversed", table, key, reversed_pairs, reversed_share,
                    (f"{name}: hardly anything ends before it begins (else a time zone, a format "
                     "or a column is wrong)", f"{name}：几乎没有结束早于开始的行"),
                    "reversed_share"),
            rows(f"{name}_in_order", WARNING, table, _named_columns(key, reversed_pairs), words),
        ]  # fmt: skip
    if impossible:
        words = (
            f"{name}: hardly any row is impossible (else a scale, a unit or a column is wrong)",
            f"{name}：几乎没有不可能的行（否则量表、单位或列有误）",
        )
        found.append(
            _seldom(f"{name}_possible", table, key, impossible, impossible_share, words,
                    "impossible_share")
        )  # fmt: skip
    for column, length in LENGTHS.get(name, ()):
        words = (
            f"{name}: {column} is in milliseconds, as long as the instants say",
            f"{name}：{column} 以毫秒计，与起止时间相符",
        )
        found.append(rows(f"{name}_{column}_unit", CRITICAL, table, _unit(column, length), words))
    found += [_owed(name, table, *owed) for owed in OWED.get(name, ())]
    if impossible or name in ODD:
        words = (f"{name}: rows make sense", f"{name}：各行合乎情理")
        doubtful = {**impossible, **ODD.get(name, {})}
        found.append(rows(f"{name}_sensible", WARNING, table, _named_columns(key, doubtful), words))
    return found


def _seldom(
    id: str,
    table: str,
    key: str,
    conditions: Mapping[str, str],
    share: float,
    words: tuple[str, str],
    limit: str,
) -> Rule:
    """Require that few rows of a table meet any of the conditions."""
    any_of = " or ".join(f"coalesce({test}, false)" for test in conditions.values())
    too_many = f"(select count(*) filter (where {any_of}) > {share!r} * count(*) from {table})"
    return rows(
        id,
        CRITICAL,
        table,
        f"{_named_columns(key, conditions)} and {too_many}",
        words,
        threshold=f"{share:.2%} of rows",
        observe=f"select printf('%.2f%%', 100.0 * count(*) filter (where {any_of}) "
        f"/ nullif(count(*), 0)) from {table}",
        limit=limit,
    )


def _unit(column: str, length: str) -> str:
    """Return SQL that finds a source whose lengths are far below what its instants say."""
    return (
        f"select _source as source, sum({column}) as told, sum({length})::bigint as by_instants "
        f"from batch where {column} > 0 and {length} > 0 group by _source "
        f"having count(*) >= {UNIT_ROWS} and sum({column}) < {UNIT_SHARE} * sum({length})"
    )


def _owed(name: str, table: str, column: str, condition: str, by: str) -> Rule:
    """Warn of rows that leave a column empty which others of their kind fill, with their share."""
    missing = f"count(*) filter (where {column} is null)"
    words = (
        f"{name}: {column} is told wherever a KPI needs it (rows without it count in no such KPI)",
        f"{name}：指标所需的 {column} 均有值（缺失的行不计入相关指标）",
    )
    return rows(
        f"{name}_{column}_told",
        WARNING,
        table,
        f"select _source as source, {by}, count(*) as rows, {missing} as unknown, "
        f"printf('%.1f%%', 100.0 * {missing} / count(*)) as share "
        f"from batch where {condition} group by _source, {by} having {missing} > 0",
        words,
        observe=f"select printf('%.2f%% unknown', 100.0 * {missing} / nullif(count(*), 0)) "
        f"from {table} where {condition}",
    )


def _required(stream: Any, case: Case) -> list[str]:
    """Return the columns a stream needs; a source may waive one (`required = false`)."""
    waived = {
        name
        for source in case.company.sources
        for mapping in source.streams
        if mapping.stream == stream.name
        for name, column in mapping.columns.items()
        if column.required is False
    }
    return [c.name for c in stream.columns if c.required and c.name not in waived]


def _implausible(stream: Any, as_of: Month) -> dict[str, str]:
    end = as_of.plus(120).start
    return {
        c.name: f"{c.name} < date '1990-01-01' or {c.name} > date '{end}'"
        for c in stream.columns
        if c.type in {"TIMESTAMPTZ", "DATE"} and c.required and c.name not in _LIFELONG
    }


def _outside_bounds(stream: Any) -> dict[str, str]:
    bounds = {
        c.name: [(c.name, sign, bound) for sign, bound in (("<", c.minimum), (">", c.maximum))]
        for c in stream.columns
    }
    return {
        name: " or ".join(f"{column} {sign} {bound:g}" for column, sign, bound in both)
        for name, sides in bounds.items()
        if (both := [side for side in sides if side[2] is not None])
    }


def _outside_lists(stream: Any) -> dict[str, str]:
    return {
        c.name: f"{c.name} not in ({', '.join(map(quoted, c.values))})"
        for c in stream.columns
        if c.values
    }


def _named_columns(key: str, conditions: Mapping[str, str]) -> str:
    """Return a query for keys and the first column (or pair) whose condition holds."""
    if not conditions:
        return "select 1 as nothing from batch where false"
    cases = " ".join(f"when {test} then {quoted(name)}" for name, test in conditions.items())
    return (
        f"select {key}, field from (select {key}, case {cases} end as field from batch) "
        "where field is not null"
    )
