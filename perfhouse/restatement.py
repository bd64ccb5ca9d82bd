"""What a new release changes: every number that differs from the release before it, old and new.

Compares published files only; it may not decide whether a month may change.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import warehouse
from perfhouse.errors import ConfigError
from perfhouse.formulas import guarded_value
from perfhouse.public_tables import PUBLIC_TABLES, PublicTable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FOLDER = "changes"
# What follows from other managers' totals, or from other months.
_RELATIVE = frozenset(
    {"rank", "rank_low", "rank_high", "peer_count", "change", "previous_total_score"}
)
# What was agreed on before the month: it does not ripen, and changes for a reason or not at all.
_TERMS = frozenset(
    {
        *("floor", "target", "stretch", "weight", "target_version", "kpi_version"),
        *("minimum_sample", "minimum_rows", "category", "role"),
    }
)
_WORDS = "sentence_"  # columns that tell of numbers; they also say which deliveries count
_SUBJECTS = ("manager_id", "team_id", "kpi_id")


@dataclass(frozen=True)
class Reason:
    """Why a closed month is restated, and who says so."""

    reason: str
    by: str

    @classmethod
    def of(cls, reason: str | None, by: str | None) -> Reason:
        """Return a reason; ConfigError unless both are said (operator)."""
        problems = [
            f"--{name}: expected {what}, got nothing"
            for name, said, what in (
                ("reason", reason, "why the month is restated"),
                ("by", by, "who decided it"),
            )
            if not (said or "").strip()
        ]
        if problems:
            raise ConfigError(problems)
        return cls(str(reason).strip(), str(by).strip())


@dataclass(frozen=True)
class Change:
    """One cell that differs; a row that came or went differs in all its cells."""

    table_name: str
    row_key: str
    manager_id: str | None
    team_id: str | None
    kpi_id: str | None
    column_name: str
    old_value: str | None
    new_value: str | None


def told(found: Iterable[Change]) -> list[str]:
    """Return a line for each row that differs, with the names of its columns and no value.

    These lines go where anybody may read, such as a scheduler's log.
    """
    rows: dict[tuple[str, str], list[str]] = {}
    for change in found:
        rows.setdefault((change.table_name, change.row_key), []).append(change.column_name)
    return [f"{table} {key}: {', '.join(names)}" for (table, key), names in rows.items()]


def changes(before: Path, after: Path) -> list[Change]:
    """Return the cells that differ between two releases' folders, in a fixed order.

    Only columns that both have are compared: a column that a new version adds changes no number.
    """
    con = warehouse.connect()
    try:
        return [
            change
            for table in PUBLIC_TABLES
            if table.by_month
            for change in _of_table(con, table, before, after)
        ]
    finally:
        con.close()


def _of_table(
    con: DuckDBPyConnection, table: PublicTable, before: Path, after: Path
) -> Iterable[Change]:
    old, new = (folder / "parquet" / f"{table.name}.parquet" for folder in (before, after))
    if not (old.exists() and new.exists()):
        return
    key = [column for column in table.key if column != "month"]
    known = [_columns(con, file) for file in (old, new)]
    cells = [
        name
        for name in known[0]
        if name in known[1] and name not in table.key and not name.startswith(_WORDS)
    ]
    if not cells:
        return
    names = ", ".join(_name(column) for column in key)
    same = " and ".join(f"o.{_name(c)} is not distinct from n.{_name(c)}" for c in key)
    both = ", ".join(f"coalesce(o.{_name(c)}, n.{_name(c)})::varchar as {_name(c)}" for c in key)
    rows = con.execute(
        f"with o as ({_long(names, cells)}), n as ({_long(names, cells)}) "
        f"select {both}, coalesce(o.cell, n.cell) as cell, o.value, n.value "
        f"from o full join n on {same} and o.cell = n.cell "
        f"where o.value is distinct from n.value order by all nulls first",
        [str(old), str(new)],
    ).fetchall()
    for *subject, cell, was, now in rows:
        said = dict(zip(key, subject, strict=True))
        row_key = ", ".join("-" if part is None else str(part) for part in subject)
        manager, team, kpi = (said.get(name) for name in _SUBJECTS)
        yield Change(table.name, row_key, manager, team, kpi, cell, was, now)


def _columns(con: DuckDBPyConnection, file: Path) -> list[str]:
    described = con.execute("describe select * from read_parquet(?)", [str(file)]).fetchall()
    return [str(row[0]) for row in described]


def _long(names: str, cells: Sequence[str]) -> str:
    """Return SQL of one row per cell that has a value."""
    texts = ", ".join(f"cast({_name(cell)} as varchar) as {_name(cell)}" for cell in cells)
    listed = ", ".join(_name(cell) for cell in cells)
    return (
        f"unpivot (select {names}, {texts} from read_parquet(?)) "
        f"on {listed} into name cell value value"
    )


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def only_settles(found: Sequence[Change], provisional: Collection[str]) -> bool:
    """Say whether changes are no more than provisional KPIs becoming final.

    Then each KPI that differs was said to be provisional, totals differ only for managers of such
    a KPI, ranks follow from them, and what numbers are held to is as it was.
    """
    # of a row that came or went every column differs, the terms with it
    rows = {
        (change.table_name, change.row_key)
        for change in found
        if change.column_name == "status" and None in (change.old_value, change.new_value)
    }
    if any(
        change.column_name in _TERMS and (change.table_name, change.row_key) not in rows
        for change in found
    ):
        return False
    of_kpis = [change for change in found if change.kpi_id is not None]
    if not of_kpis or any(change.kpi_id not in provisional for change in of_kpis):
        return False
    settled = {change.manager_id for change in of_kpis}
    return all(
        change.column_name in _RELATIVE or (change.manager_id or change.row_key) in settled
        for change in found
        if change.kpi_id is None
    )


def _cells() -> list[str]:
    return [field.name for field in fields(Change)]


def write_csv(found: Sequence[Change], file: Path) -> None:
    """Write the changes, old and new values beside each other, text guarded for spreadsheets."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_cells())
    writer.writerows(
        [None if cell is None else guarded_value(cell) for cell in astuple(change)]
        for change in found
    )
    file.write_text(text.getvalue(), encoding="utf-8-sig")


def write(found: Sequence[Change], folder: Path) -> None:
    """Write the changes as CSV and Parquet into a release's folder."""
    target = folder / FOLDER
    target.mkdir()
    write_csv(found, target / "changes.csv")
    columns = _cells()
    con = warehouse.connect()
    try:
        con.execute("set threads = 1")
        con.execute(f"create table changes ({', '.join(f'{name} varchar' for name in columns)})")
        warehouse.insert(con, "changes", [astuple(change) for change in found])
        place = str(target / "changes.parquet").replace("'", "''")
        con.execute(f"copy changes to '{place}' (format parquet, compression zstd)")
    finally:
        con.close()
