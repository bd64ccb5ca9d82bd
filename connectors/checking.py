"""The one query that turns source rows into typed, judged rows of a stream.

It lays five steps over each other: source text, canonical text, typed values, unknowns, errors.
Nothing here may open a file or write one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from connectors.casting import ERROR, FIELD, Planned, native_name
from connectors.casting_times import sane
from connectors.quoting import literal, quoted
from connectors.streams import Stream
from perfhouse.month import Month

if TYPE_CHECKING:
    from connectors.reading import Turned

FILE, ROW, RAW = "__file", "__row", "__raw"
WRONG, OUTSIDE, HASH = "__error", "__outside", "__hash"
LEFT_OUT = "__left_out"
NAME, VALUE = "__name", "__value"  # of a column that became rows
MISSING = "missing"


def typed_query(
    planned: Sequence[Planned],
    used: Mapping[str, str],
    native: Mapping[str, str],
    nulls: Sequence[str],
    window: tuple[str, Month, str] | None,
    where: str | None = None,
    turned: Turned | None = None,
) -> str:
    """Return SQL over the table `records` with one row per record, typed and judged.

    Args:
        planned: every mapped column of the stream.
        used: SQL by internal column name over `records`, of every source column in use.
        native: SQL name by internal column name, of those that have their own type.
        nulls: texts that mean null.
        window: column, month and time zone; rows outside are marked, none means all are inside.
        where: condition over the source columns; rows it does not hold for count as outside.
        turned: columns that become rows: then a record is as many rows as there are of them.
    """
    source = [f"{_known(what, nulls)} as {quoted(name)}" for name, what in used.items()]
    source += [f"{what} as {native_name(name)}" for name, what in native.items()]
    texts = [f"{p.text} as {_t(p)}" for p in planned]
    typed = [f"{p.typed} as {_c(p)}" for p in planned]
    failed = [
        f"{_t(p)} is not null and {_c(p)} is null as {_e(p)}" for p in planned if _castable(p)
    ]
    unknown = [p for p in planned if p.mapping.unknown_when]
    nulled = [f"{_u(p)} as {_flag(p)}" for p in unknown]
    known = [
        f"case when {_flag(p)} then null else {_c(p)} end as {_c(p)}" if p in unknown else _c(p)
        for p in planned
    ]
    ids = f"{quoted(FILE)}, {quoted(ROW)}"
    left_out = quoted(LEFT_OUT)
    carried = [_e(p) for p in planned if _castable(p)] + [_flag(p) for p in unknown] + [left_out]
    texts.append((f"not coalesce(({where}\n), false)" if where else "false") + f" as {left_out}")
    casts = [*(_t(p) for p in planned if _castable(p)), left_out]
    return f"""
with source as (select {_join(ids, source)} from {_records(turned)}),
texts as (select {_join(ids, texts)} from source),
cast_values as (select {_join(ids, typed, casts)} from texts),
sane as (select {_join(ids, [sane(p.column) for p in planned], casts)} from cast_values),
flagged as (select {_join("*", failed, nulled)} from sane),
known as (select {_join(ids, known, carried)} from flagged),
judged as (
    select {_join(ids, [_c(p) for p in planned], [_flag(p) for p in unknown])},
        {_errors(planned, window[0] if window else None)} as {quoted(WRONG)},
        {_outside(window, planned)} as {quoted(OUTSIDE)},
        {_row_hash(planned)} as {quoted(HASH)}
    from known
)
from judged"""


def _records(turned: Turned | None) -> str:
    if turned is None:
        return "records"
    names = ", ".join(literal(name) for name in turned.columns)
    values = ", ".join(turned.columns.values())
    pairs = f"unnest([{names}]) as {quoted(NAME)}, unnest([{values}]) as {quoted(VALUE)}"
    return f"(select *, {pairs} from records)"


def _known(text: str, nulls: Sequence[str]) -> str:
    """Return SQL of a text that is null where it means nothing; most need no look for spaces.

    What begins with a printable ASCII character has no space before it, so it can only mean
    nothing if it begins as one of the words that do.
    """
    words = [word for word in dict.fromkeys(nulls) if word]
    unlike = "".join(f" and not prefix({text}, {literal(word.strip())})" for word in words)
    quick = f"when {text} between '!' and '~'{unlike} then {text}"
    empty = ", ".join(literal(word) for word in ("", *words))
    return f"case {quick} when trim({text}) in ({empty}) then null else {text} end"


def unknown_flags(planned: Sequence[Planned]) -> list[tuple[str, str, str]]:
    """Return (flag column, field, reason) of every field that a condition may null."""
    return [
        (f"u.{p.column.name}", p.column.name, p.mapping.unknown_when)
        for p in planned
        if p.mapping.unknown_when
    ]


def event_time(stream: Stream, zone: str) -> str:
    """Return SQL that gives the local time a row describes, or null."""
    parts = [
        f"cast({quoted(name)} as timestamp)" if kind == "DATE" else _local(name, zone)
        for name, kind in _event_columns(stream)
    ]
    return f"coalesce({', '.join([*parts, 'cast(null as timestamp)'])})"


def is_before(stream: Stream, zone: str, day: date) -> str:
    """Return SQL that tells whether what a row describes lies before a local day.

    Only near the day the zone is asked, which takes longer than all else.
    """
    tests = []
    for name, kind in _event_columns(stream):
        near = f"{quoted(name)} < {kind} '{day + timedelta(days=2)}'"
        local = quoted(name) if kind == "DATE" else _local(name, zone)
        known = f"when {near} then {local} < date '{day}' else false"
        tests.append(f"when {quoted(name)} is not null then case {known} end")
    return f"case {' '.join(tests)} else false end" if tests else "false"


def _event_columns(stream: Stream) -> list[tuple[str, str]]:
    types = {c.name: c.type for c in stream.columns}
    return [(name, types.get(name, "TIMESTAMPTZ")) for name in stream.event_at]


def _local(name: str, zone: str) -> str:
    return f"timezone({literal(zone)}, {quoted(name)})"


def _row_hash(planned: Sequence[Planned]) -> str:
    """Return SQL that is equal for rows of equal values; constants cannot tell rows apart."""
    varying = [p for p in planned if p.mapping.value is None] or list(planned)
    parts = [f"epoch_us({_c(p)})" if p.column.type == "TIMESTAMPTZ" else _c(p) for p in varying]
    return f"md5(cast(row({', '.join(parts)}) as varchar))"


def _join(*parts: str | Sequence[str]) -> str:
    flat: list[str] = []
    for part in parts:
        flat.extend([part] if isinstance(part, str) else part)
    return ", ".join(item for item in flat if item)


def _c(p: Planned) -> str:
    return quoted(p.column.name)


def _t(p: Planned) -> str:
    return quoted(f"t.{p.column.name}")


def _e(p: Planned) -> str:
    return quoted(f"e.{p.column.name}")


def _flag(p: Planned) -> str:
    return quoted(f"u.{p.column.name}")


def _castable(p: Planned) -> bool:
    return bool(p.expected)


def _u(p: Planned) -> str:
    return f"({_c(p)} is not null and coalesce(({p.mapping.unknown_when}\n), false))"


def _errors(planned: Sequence[Planned], window: str | None) -> str:
    """Return SQL that lists `field, reason` of all faults, empty when there is none.

    Most rows have none, so the list is only made where some test holds.
    """
    found, tests = [], []
    for p in planned:
        cases = _faults(p, p.required or p.column.name == window)
        if cases:
            body = " ".join(f"when {test} then {_fault(p, why)}" for test, why in cases)
            found.append(f"case {body} end")
            tests += [test for test, _ in cases]
    if not found:
        return "''"
    listed = f"concat_ws({literal(ERROR)}, {', '.join(found)})"
    return f"case when {' or '.join(tests)} then {listed} else '' end"


def _fault(p: Planned, why: str) -> str:
    return literal(f"{p.column.name}{FIELD}{why}")


def _faults(p: Planned, required: bool) -> list[tuple[str, str]]:
    column, name = p.column, _c(p)
    cases = [(_e(p), f"expected {p.expected}")] if _castable(p) else []
    if required:
        cases.append((f"{name} is null", MISSING))
    if column.values:
        allowed = ", ".join(literal(value) for value in column.values)
        cases.append((f"{name} not in ({allowed})", f"expected one of {', '.join(column.values)}"))
    if column.minimum is not None:
        cases.append((f"{name} < {column.minimum}", f"below {column.minimum:g}"))
    if column.maximum is not None:
        cases.append((f"{name} > {column.maximum}", f"above {column.maximum:g}"))
    return cases


def _outside(window: tuple[str, Month, str] | None, planned: Sequence[Planned]) -> str:
    """Return SQL that tells rows outside the window; only near its ends the zone is asked."""
    if window is None:
        return quoted(LEFT_OUT)
    name, month, zone = window
    column, margin = quoted(name), timedelta(days=2)
    first, last = month.start + margin, month.end - margin
    kind = next(p.column.type for p in planned if p.column.name == name)
    local = column if kind == "DATE" else _local(name, zone)
    surely = f"{column} >= {kind} '{first}' and {column} < {kind} '{last}'"
    inside = f"{local} >= date '{month.start}' and {local} < date '{month.end}'"
    outside = f"case when {surely} then false else coalesce(not ({inside}), false) end"
    return f"({quoted(LEFT_OUT)} or {outside})"
