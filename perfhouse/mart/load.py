"""Loading what is published into the mart: the months that differ, in one transaction.

Rows are copied into the next schema, moved from there into the tables, read back and compared, all
before anybody sees one of them; it may not make or change a release.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from perfhouse import warehouse
from perfhouse.errors import ConfigError, ReleaseError
from perfhouse.mart import migration, server, shape
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from perfhouse.mart.server import Connection
    from perfhouse.mart.shape import Table

# Where a loader may die in a test of what is left, in order.
STEPS = ("begun", "copied", "moved", "compared", "committed")
_BATCH = 10_000


def _passed(step: str) -> None:
    """Do nothing; tests put a crash here."""


reached: Callable[[str], None] = _passed


@dataclass(frozen=True)
class Standing:
    """A month as the ledger has it and as the mart has it; None where one of them has none."""

    month: Month
    published: str | None
    held: str | None
    is_same: bool


@dataclass(frozen=True)
class _Shown:
    """A release as the table `releases` names it, here or there."""

    company: str
    number: int
    release: str
    sha256: str


def load(
    home: Home,
    company: str,
    connection: str,
    *,
    again: bool = False,
    progress: Callable[[str], None],
) -> list[Month]:
    """Bring the mart to the newest release of every month; return the months it took.

    Args:
        home: the home whose releases are shown.
        company: its company's id; a mart shows one company.
        connection: a login that is member of perfhouse_publisher.
        again: take every month, also where the mart says it has it.
        progress: is told what is done.

    Raises:
        ConfigError: the mart is not as `migrate` leaves it, or shows something else (operator).
        TransientError: the server was lost; nothing of this load is seen.
        ReleaseError: what was read back is not what is published (data engineer).
    """
    with server.transaction(connection) as con:
        server.only_one(con, lock_timeout="30s")  # of no table that readers see
        _require_shape(con)
        with _Source(home) as source:
            published, held = source.releases(), _held(con)
            _require_same_world(company, published, held)
            months = [m for m in published if again or held.get(m) != published[m]]
            if months:
                reached("begun")
                _replace(con, source, months)
                for month in months:
                    progress(f"mart: {published[month].release}")
    if months:
        reached("committed")
    return [Month.of(month) for month in months]


def standings(home: Home, connection: str, *, compare: bool = False) -> list[Standing]:
    """Compare the mart with the ledger, month by month; with `compare` by every value.

    Raises:
        ReleaseError: with `compare`: a value differs from what is published.
    """
    with server.transaction(connection) as con:
        _require_shape(con)
        with _Source(home) as source:
            published, held = source.releases(), _held(con)
            if compare:
                same = [m for m in published if held.get(m) == published[m]]
                source.take_names(same)
                for table in shape.tables():
                    if table.by_month or published == held:
                        _compare(con, source, table, same)
    return [
        Standing(
            Month.of(month),
            published[month].release if month in published else None,
            held[month].release if month in held else None,
            published.get(month) == held.get(month),
        )
        for month in sorted({*published, *held})
    ]


class _Source:
    """The published database as it stands now, with the names of the HR exports beside it."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def __enter__(self) -> _Source:
        link = self._home.published / "scorecards.duckdb"
        if not link.exists():
            raise ConfigError(["the mart: nothing is published yet; publish a month first"])
        self.con = warehouse.connect(link.resolve(), read_only=True)
        self.con.execute(
            f"create temp table {shape.NAMES} "
            "(month date, manager_id varchar, display_name varchar)"
        )
        listed = self.con.execute("select table_name, column_name from duckdb_columns()")
        self._columns = set(listed.fetchall())  # an older version may not have had each of ours
        return self

    def __exit__(self, *_: object) -> None:
        self.con.close()

    def releases(self) -> dict[date, _Shown]:
        """Return the newest release of every month."""
        rows = self.con.execute(
            "select month, company, number, release, release_sha256 from releases order by month"
        ).fetchall()
        return {row[0]: _Shown(*row[1:]) for row in rows}

    def take_names(self, months: Sequence[date]) -> None:
        """Read the names of these months from their HR exports."""
        newest = self.releases()
        for month in months:
            key = Month.of(month).key
            release = self._home.published / key / f"r{newest[month].number}"
            for file in sorted(release.glob(f"exports/**/hr_manager_months_{key}.parquet")):
                self.con.execute(
                    f"insert into {shape.NAMES} select month, employee_number, display_name "
                    "from read_parquet(?) where display_name is not null",
                    [str(file)],
                )

    def rows(
        self, table: Table, months: Sequence[date], *, texts: bool
    ) -> Iterator[tuple[Any, ...]]:
        """Yield rows in key order, as values of the mart's types or as exact texts."""
        known = [c for c in table.columns if (table.name, c.name) in self._columns]
        if not known:
            return
        picked = ", ".join(
            f"cast({_quoted(c.name)} as {'varchar' if texts else c.type})" if c in known else "null"
            for c in table.columns
        )
        kinds = {column.name: column.type for column in table.columns}
        by = ", ".join(f"cast({_quoted(name)} as {kinds[name]})" for name in table.key)
        where, values = (
            ("list_contains(?, month)", [list(months)]) if table.by_month else ("true", [])
        )
        result = self.con.execute(
            f"select {picked} from {table.name} where {where} order by {by}", values
        )
        while batch := result.fetchmany(_BATCH):
            yield from batch


def _held(con: Connection) -> dict[date, _Shown]:
    rows = con.execute(
        f"select month, company, number, release, release_sha256 from {shape.SCHEMA}.releases"
    ).fetchall()
    return {row[0]: _Shown(*row[1:]) for row in rows}


def _require_shape(con: Connection) -> None:
    if not migration.is_as_left(con):
        raise ConfigError(
            [
                "the mart's tables or rights are not as this version makes them: "
                "run `perfhouse mart migrate`"
            ]
        )


def _require_same_world(
    company: str, published: dict[date, _Shown], held: dict[date, _Shown]
) -> None:
    """Refuse to write over what another home published: it would be lost to its readers."""
    problems = [
        f"the mart shows {there.release} of {there.company}, which this home has not published"
        for month, there in sorted(held.items())
        if there.company != company
        or month not in published
        or published[month].number < there.number
        or (published[month].number == there.number and published[month] != there)
    ]
    if problems:
        raise ConfigError(problems)


def _replace(con: Connection, source: _Source, months: Sequence[date]) -> None:
    """Put the rows of these months in the place of those that the mart has.

    Readers go on with the rows as they were when they asked: nothing here waits for them, nor they
    for it. All of it is seen at once, when the transaction is committed.
    """
    source.take_names(months)
    for table in shape.tables():
        _copy(con, source, table, months)
    reached("copied")
    for table in shape.tables():
        name = f"{shape.SCHEMA}.{table.name}"
        if table.by_month:
            con.execute(f"delete from {name} where month = any(%s)", [list(months)])
        else:
            con.execute(f"delete from {name}")
        con.execute(f"insert into {name} select * from {shape.NEXT}.{table.name}")
        con.execute(f"truncate {shape.NEXT}.{table.name}")
    reached("moved")
    for table in shape.tables():
        _compare(con, source, table, months)
    reached("compared")


def _copy(con: Connection, source: _Source, table: Table, months: Sequence[date]) -> None:
    name = f"{shape.NEXT}.{table.name}"
    con.execute(f"truncate {name}")
    columns = ", ".join(_quoted(column.name) for column in table.columns)
    statement = f"copy {name} ({columns}) from stdin (format binary)"
    with con.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([column.postgres_type.partition("(")[0] for column in table.columns])
        for row in source.rows(table, months, texts=False):
            copy.write_row(row)


def _compare(con: Connection, source: _Source, table: Table, months: Sequence[date]) -> None:
    """Read the mart's rows back: each value must be the published one, digit by digit."""
    ours = source.rows(table, months, texts=True)
    for number, (one, other) in enumerate(
        itertools.zip_longest(ours, _rows_held(con, table, months)), start=1
    ):
        if one != other:
            raise ReleaseError(
                f"the mart's {table.name} is not what is published, from row {number} of "
                f"{len(months)} months on; load it again with `perfhouse mart publish --again`"
            )


def _rows_held(con: Connection, table: Table, months: Sequence[date]) -> Iterator[tuple[Any, ...]]:
    """Yield the mart's rows in key order, every value as its exact text."""
    picked = ", ".join(f"{_quoted(column.name)}::text" for column in table.columns)
    texts = {column.name for column in table.columns if column.postgres_type == "text"}
    by = ", ".join(
        f'{_quoted(name)} collate "C"' if name in texts else _quoted(name) for name in table.key
    )
    where = "month = any(%s)" if table.by_month else "%s::date[] is not null"
    with con.cursor(name="held") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(
            f"select {picked} from {shape.SCHEMA}.{table.name} where {where} order by {by}",
            [list(months)],
        )
        yield from cursor


def _quoted(name: str) -> str:
    return f'"{name}"'
