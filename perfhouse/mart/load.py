"""Loading what is published into the mart: the months that differ, in one transaction.

Rows are copied into the next schema, moved from there into the tables, read back and compared, all
before anybody sees one of them; it may not make or change a release.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from perfhouse import ledger, warehouse
from perfhouse.errors import ConfigError, PerfhouseError, ReleaseError
from perfhouse.mart import migration, server, shape
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from perfhouse.mart.server import Connection
    from perfhouse.mart.shape import Table

# Where a loader may die in a test of what is left, in order.
STEPS = ("begun", "copied", "moved", "compared", "committed")
_BATCH = 10_000
# How long a release waits for another loader before it goes first, and the mart follows.
_TURN_BESIDE = "20s"


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
            _require_same_world(company, published, held, _known(home))
            months = [m for m in published if again or held.get(m) != published[m]]
            if months:
                reached("begun")
                _replace(con, source, months)
                for month in months:
                    progress(f"mart: {published[month].release}")
    if months:
        reached("committed")
    return [Month.of(month) for month in months]


class Beside:
    """The mart while files are cut over: loaded when entered, committed when left.

    Readers of files and of the mart so change within moments. A release waits for no server: what
    fails here is told, rolled back and left to the next `load`.
    """

    def __init__(
        self,
        home: Home,
        company: str,
        connection: str,
        shown: tuple[Path, Mapping[str, Path]],
        progress: Callable[[str], None],
    ) -> None:
        self._home, self._company, self._shown = home, company, shown
        self._transaction = server.transaction(connection)
        self._progress = progress
        self._is_open = False
        self._taken: list[str] = []

    def __enter__(self) -> None:
        try:
            con = self._transaction.__enter__()
            try:
                self._load(con)
                self._is_open = True
            except BaseException:
                self._transaction.__exit__(*sys.exc_info())
                raise
        except PerfhouseError as error:
            self._told(error)

    def _load(self, con: Connection) -> None:
        server.only_one(con, lock_timeout="30s", turn=_TURN_BESIDE)
        _require_shape(con)
        with _Source(self._home, *self._shown) as source:
            published, held = source.releases(), _held(con)
            _require_same_world(self._company, published, held, _known(self._home))
            months = [month for month in published if held.get(month) != published[month]]
            if months:
                reached("begun")
                _replace(con, source, months)
            self._taken = [published[month].release for month in months]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_open:
            return
        try:
            self._transaction.__exit__(kind, error, trace)
            for release in self._taken if kind is None else ():
                self._progress(f"mart: {release}")
            reached("committed")
        except PerfhouseError as lost:
            if kind is not None:
                raise
            self._told(lost)

    def _told(self, error: PerfhouseError) -> None:
        self._progress(f"mart: not together with the files: {error}")


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
    """A published database, by default what stands now, with the names of HR exports beside it.

    `folders` are those of the months' releases where they are not yet in their places.
    """

    def __init__(
        self,
        home: Home,
        database: Path | None = None,
        folders: Mapping[str, Path] | None = None,
    ) -> None:
        self._home, self._folders = home, folders or {}
        self._database = database or home.published / "scorecards.duckdb"

    def __enter__(self) -> _Source:
        if not self._database.exists():
            raise ConfigError(["the mart: nothing is published yet; publish a month first"])
        self.con = warehouse.connect(self._database.resolve(), read_only=True)
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
            place = self._home.published / key / f"r{newest[month].number}"
            release = self._folders.get(key, place)
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


def _known(home: Home) -> set[tuple[str, str]]:
    """Return name and hash of every release of this home, rolled back ones too."""
    return {(entry.name, entry.release_sha256) for entry in ledger.entries(home)}


def _require_same_world(
    company: str,
    published: dict[date, _Shown],
    held: dict[date, _Shown],
    known: set[tuple[str, str]],
) -> None:
    """Refuse to write over what another home published: it would be lost to its readers.

    A later release may only make way for an earlier one where this home published both.
    """
    problems = [
        f"the mart shows {there.release} of {there.company}, which this home has not published"
        for month, there in sorted(held.items())
        if there.company != company
        or month not in published
        or (
            published[month] != there
            and published[month].number <= there.number
            and (there.release, there.sha256) not in known
        )
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
