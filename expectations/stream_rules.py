"""The raw gate's rules about one stream: filled, unique, plausible, coded, in order.

Made from the stream's declaration; nothing here knows which streams there are beyond pairs of
instants that have an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from expectations.rules import CRITICAL, WARNING, Rule, quoted, rows
from perfhouse.month import Month

if TYPE_CHECKING:
    from expectations.gate import Case

AMBIGUOUS_SHARE = 0.001
# Pairs of instants that cannot stand the other way round.
_ORDERED = {
    "tickets": (("created_at", "first_response_at"), ("created_at", "resolved_at")),
    "calls": (("started_at", "answered_at"), ("started_at", "ended_at")),
    "survey_responses": (("sent_at", "submitted_at"),),
}
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
    share = case.threshold("raw", "ambiguous_share", AMBIGUOUS_SHARE)
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
    if name in _HASHES:
        words = (f"{name}: addresses are keyed hashes", f"{name}：邮箱只以加密哈希入湖")
        digits = "'0123456789abcdef'"
        plain = {c: f"length({c}) <> 64 or ltrim({c}, {digits}) <> ''" for c in _HASHES[name]}
        found.append(rows(f"{name}_hashed", CRITICAL, table, _named_columns(key, plain), words))
    if name in _ORDERED:
        words = (f"{name}: nothing ends before it begins", f"{name}：结束时间不早于开始时间")
        conditions = {
            f"{late} before {early}": f"{late} < {early}" for early, late in _ORDERED[name]
        }
        found.append(
            rows(f"{name}_in_order", WARNING, table, _named_columns(key, conditions), words)
        )
    return found


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
