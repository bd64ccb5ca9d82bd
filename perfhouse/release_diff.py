"""What differs between two releases: every value, before and after, from published files alone.

Shows ids as the published tables do, and nobody's name; it may not say which of the two is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import exports, ledger, trust, warehouse
from perfhouse.errors import ConfigError
from perfhouse.exports import Table
from perfhouse.public_tables import PUBLIC_TABLES, PublicTable
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
_WORDS = {ADDED: "row added", REMOVED: "row removed", CHANGED: "changed"}
# Whose row it is: managers have their employee number in exports.
_MANAGERS = ("manager_id", "employee_number")
_TOTALS, _TOLD_OF_TOTALS = "scorecard_manager_months", ("total_score", "grade", "rank")


@dataclass(frozen=True)
class Cell:
    """One value that differs; of a row that came or went, each value it has.

    `change` is what became of its row. Values are exact texts; None is no value.
    """

    table_name: str
    change: str
    row_key: str
    manager_id: str | None
    team_id: str | None
    kpi_id: str | None
    column_name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Difference:
    """All that differs between two releases; `notes` name tables and columns that one has not."""

    before: str
    after: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def diff(home: Home, before: str, after: str) -> Difference:
    """Compare two releases such as `2026-09.r1` and `2026-09.r2`, or of two months.

    Raises:
        ConfigError: there is no such release (whoever asked).
        ReleaseError: one of them, or the ledger, is not as it was signed (data engineer).
    """
    folders = [_folder(home, name) for name in (before, after)]
    return between(folders, (before, after))


def between(folders: Sequence[Path], names: Sequence[str]) -> Difference:
    """Compare the tables of two folders that lie as a release does, under the names given."""
    before, after = names
    cells: list[Cell] = []
    notes: list[str] = []
    with warehouse.connect() as con:
        for table in PUBLIC_TABLES:
            files = [folder / "parquet" / f"{table.name}.parquet" for folder in folders]
            there = [
                name for name, file in zip((before, after), files, strict=True) if file.exists()
            ]
            if len(there) == len(files):
                cells += _of_table(con, table, files, (before, after), notes)
            elif there:
                notes.append(f"{table.name}: only {there[0]} has this table")
    return Difference(before, after, tuple(cells), tuple(notes))


def write_csv(found: Difference, file: Path) -> None:
    """Write every difference, one a line, for a spreadsheet.

    Raises:
        ConfigError: the file cannot be written (whoever asked).
    """
    names = tuple(field.name for field in fields(Cell))
    rows = tuple(tuple(astuple(cell)) for cell in found.cells)
    try:
        exports.write_csv(Table(names, ("VARCHAR",) * len(names), rows), file)
    except OSError as error:
        raise ConfigError([f"--csv: {file}: cannot be written: {error.strerror}"]) from None


def as_text(found: Difference) -> Iterator[str]:
    """Yield what differs: all in all, by table, by manager, by KPI, then every value."""
    yield from summary(found)
    if found.cells:
        yield "every value:"
    for cell in sorted(found.cells, key=_by_subject):
        subject = " ".join(filter(None, (cell.manager_id or "-", cell.kpi_id)))
        what = f"{cell.table_name} {cell.row_key} {cell.column_name} ({_WORDS[cell.change]})"
        yield f"  {subject}: {what}: {_said(cell.before)} -> {_said(cell.after)}"


def summary(found: Difference) -> Iterator[str]:
    """Yield what differs: all in all, by table, by manager and by KPI."""
    rows = {(cell.table_name, cell.row_key, cell.change) for cell in found.cells}
    yield f"{found.before} -> {found.after}: {_counted(found.cells, rows)}"
    yield from (f"  {note}" for note in found.notes)
    for table in dict.fromkeys(cell.table_name for cell in found.cells):
        of_table = [cell for cell in found.cells if cell.table_name == table]
        yield f"  {table}: {_counted(of_table, {row for row in rows if row[0] == table})}"
    yield from _by_manager(found.cells)
    yield from _by_kpi(found.cells)


def _counted(cells: Sequence[Cell], rows: set[tuple[str, str, str]]) -> str:
    changes = Counter(change for _, _, change in rows)
    told = f"{len(cells)} values differ in {changes[CHANGED]} rows"
    return f"{told}, {changes[ADDED]} rows added, {changes[REMOVED]} removed"


def _by_manager(cells: Sequence[Cell]) -> Iterator[str]:
    counts = Counter(cell.manager_id for cell in cells if cell.manager_id is not None)
    if counts:
        yield "by manager:"
    for manager in sorted(counts):
        totals = [
            f"{cell.column_name} {_said(cell.before)} -> {_said(cell.after)}"
            for cell in cells
            if (cell.table_name, cell.manager_id) == (_TOTALS, manager)
            and cell.column_name in _TOLD_OF_TOTALS
        ]
        yield f"  {manager}: {counts[manager]} values{''.join(f'; {told}' for told in totals)}"


def _by_kpi(cells: Sequence[Cell]) -> Iterator[str]:
    counts = Counter(cell.kpi_id for cell in cells if cell.kpi_id is not None)
    if counts:
        yield "by KPI:"
    for kpi in sorted(counts):
        managers = {cell.manager_id for cell in cells if cell.kpi_id == kpi} - {None}
        yield f"  {kpi}: {counts[kpi]} values, of {len(managers)} managers"


def _by_subject(cell: Cell) -> tuple[str, ...]:
    who = (cell.manager_id or "", cell.kpi_id or "", cell.table_name, cell.row_key)
    return (*who, cell.column_name)


def _said(value: str | None) -> str:
    return "nothing" if value is None else value


def _folder(home: Home, name: str) -> Path:
    known = {line.name: line for line in trust.lines(home) if isinstance(line, ledger.Entry)}
    if name not in known:
        listed = ", ".join(known) or "none yet"
        raise ConfigError([f"diff: expected one of {listed}; got {name!r}"])
    trust.require_intact(home, known[name])
    return home.published / known[name].path


def _of_table(
    con: DuckDBPyConnection,
    table: PublicTable,
    files: Sequence[Path],
    releases: Sequence[str],
    notes: list[str],
) -> Iterator[Cell]:
    """Yield the cells of a table that differ, rows in the order of their keys."""
    columns = [_columns(con, file) for file in files]
    for name, own, other in zip(releases, columns, reversed(columns), strict=True):
        more = [column for column in own if column not in other]
        if more:
            notes.append(f"{table.name}: only {name} has {', '.join(more)}")
    key = [column for column in table.key if column != "month"]
    both = [c for c in columns[0] if c in columns[1] and c not in (*table.key, "month")]
    picked = ", ".join(f"cast({_name(c)} as varchar) as {_name(c)}" for c in (*key, *both))
    same = " and ".join(f"o.{_name(c)} is not distinct from n.{_name(c)}" for c in key)
    differs = " or ".join(f"o.{_name(c)} is distinct from n.{_name(c)}" for c in both)
    shown = [f"coalesce(o.{_name(c)}, n.{_name(c)})" for c in key]
    shown += [f"{side}.{_name(c)}" for side in ("o", "n") for c in both]
    rows = con.execute(
        f"with o as (select true as is_there, {picked} from read_parquet(?)), "
        f"n as (select true as is_there, {picked} from read_parquet(?)) "
        f"select o.is_there, n.is_there, {', '.join(shown)} from o full join n on {same} "
        f"where o.is_there is null or n.is_there is null {f'or {differs}' if both else ''} "
        "order by all nulls first",
        [str(file) for file in files],
    ).fetchall()
    for was, now, *values in rows:
        change = CHANGED if was and now else ADDED if now else REMOVED
        said = dict(zip(key, values, strict=False))
        old, new = values[len(key) : len(key) + len(both)], values[len(key) + len(both) :]
        for column, before, after in zip(both, old, new, strict=True):
            if before != after:
                yield Cell(
                    *(
                        table.name,
                        change,
                        ", ".join("-" if v is None else v for v in said.values()),
                    ),
                    next((said[name] for name in _MANAGERS if name in said), None),
                    *(said.get("team_id"), said.get("kpi_id")),
                    *(column, before, after),
                )


def _columns(con: DuckDBPyConnection, file: Path) -> list[str]:
    described = con.execute("describe select * from read_parquet(?)", [str(file)]).fetchall()
    return [str(row[0]) for row in described]


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
