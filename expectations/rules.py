"""Rules: one statement about a month's data, with words, a severity and how to find offenders.

A rule says its condition once; the expectation that is run and the query that names the
offenders are both made from it. Nothing here knows a table of the house.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perfhouse.contacts import has_contact

CRITICAL = "critical"
WARNING = "warning"

HIDDEN = "<hidden>"


def without_contacts(value: str) -> str:
    """Return a failing key, hidden if it may be an e-mail address or a phone number."""
    return HIDDEN if "@" in value or has_contact(value) else value


@dataclass(frozen=True)
class Rule:
    """One check of a suite.

    Args:
        id: a stable name, unique in the suite.
        table: the scratch table it is about.
        severity: `critical` stops the month, `warning` is recorded.
        title_en: what must be true, in a data owner's words.
        title_zh: the same in Chinese.
        kind: which expectation; see the functions below.
        arguments: the expectation's own arguments.
        keys: columns that name an offender; ids, never names or values of customers.
        threshold: what is allowed, in words.
        observe: SQL for the one value shown as observed; default the number of offenders.
        limit: the threshold that decides, by its name in thresholds.py.
    """

    id: str
    table: str
    severity: str
    title_en: str
    title_zh: str
    kind: str
    arguments: tuple[Any, ...]
    keys: tuple[str, ...] = ()
    threshold: str = ""
    observe: str | None = None
    limit: str = ""

    def expectation(self) -> Any:
        """Return the Great Expectations object for this rule."""
        import great_expectations.expectations as gxe

        common: dict[str, Any] = {"severity": self.severity, "meta": {"id": self.id}}
        if self.kind == "between":
            column, low, high = self.arguments
            return gxe.ExpectColumnValuesToBeBetween(
                column=column, min_value=low, max_value=high, **common
            )
        if self.kind == "in_set":
            column, values = self.arguments
            return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), **common)
        if self.kind == "not_null":
            return gxe.ExpectColumnValuesToNotBeNull(column=self.arguments[0], **common)
        if self.kind == "columns":
            return gxe.ExpectTableColumnsToMatchOrderedList(
                column_list=list(self.arguments[0]), **common
            )
        query = f"with batch as (select * from {{batch}}) {self.arguments[0]}"
        return gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, **common)

    def failing(self) -> str:
        """Return SQL for the keys of the offenders."""
        if self.kind == "rows":
            return f"with batch as (select * from {self.table}) {self.arguments[0]}"
        if self.kind == "columns":
            return self._failing_columns()
        picked = ", ".join((*self.keys, str(self.arguments[0])))
        return f"select {picked} from {self.table} where {self._offends()}"

    def _offends(self) -> str:
        column = self.arguments[0]
        if self.kind == "between":
            _, low, high = self.arguments
            return f"not ({column} >= {low} and {column} <= {high})"
        if self.kind == "in_set":
            return f"{column} not in ({', '.join(quoted(v) for v in self.arguments[1])})"
        return f"{column} is null"

    def _failing_columns(self) -> str:
        expected = [quoted(name) for name in self.arguments[0]]
        return (
            "select coalesce(f.name, e.name) as column_name, case when f.name is null then "
            "'missing' when e.name is null then 'unexpected' else 'out of order' end as difference "
            "from (select column_name as name, column_index as place from duckdb_columns() "
            f"where table_name = {quoted(self.table)}) f full join "
            f"(select unnest([{', '.join(expected)}]) as name, "
            f"unnest(range(1, {len(expected) + 1})) as place) e using (name) "
            "where f.place is distinct from e.place"
        )


def rows(
    id: str,
    severity: str,
    table: str,
    query: str,
    words: tuple[str, str],
    *,
    threshold: str = "",
    observe: str | None = None,
    limit: str = "",
) -> Rule:
    """Require that a query finds nothing; it reads `batch` and selects the offenders' keys."""
    return Rule(id, table, severity, *words, "rows", (query,), (), threshold, observe, limit)


def between(
    id: str,
    severity: str,
    table: str,
    column: str,
    bounds: tuple[float, float],
    keys: Sequence[str],
    words: tuple[str, str],
) -> Rule:
    """Require that a column lies within bounds, both included, or is null."""
    low, high = bounds
    allowed = f"{low:g} to {high:g}"
    return Rule(
        id, table, severity, *words, "between", (column, low, high), tuple(keys), allowed, None
    )


def in_set(
    id: str,
    severity: str,
    table: str,
    column: str,
    values: Sequence[str],
    keys: Sequence[str],
    words: tuple[str, str],
) -> Rule:
    """Require that a column holds only the listed values, or null."""
    return Rule(
        id,
        table,
        severity,
        *words,
        "in_set",
        (column, tuple(values)),
        tuple(keys),
        ", ".join(values),
    )


def not_null(
    id: str, severity: str, table: str, column: str, keys: Sequence[str], words: tuple[str, str]
) -> Rule:
    """Require that a column is filled."""
    return Rule(id, table, severity, *words, "not_null", (column,), tuple(keys))


def columns(
    id: str, severity: str, table: str, names: Sequence[str], words: tuple[str, str]
) -> Rule:
    """Require exactly these columns in this order."""
    return Rule(id, table, severity, *words, "columns", (tuple(names),), (), ", ".join(names))


def quoted(value: object) -> str:
    """Return a value as an SQL text literal."""
    return "'" + str(value).replace("'", "''") + "'"
