"""The tables of one release: its Parquet files, its DuckDB file, and the hashes of their content.

Works on staging folders only; what is in the tables is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import hashing, warehouse
from perfhouse.errors import ReleaseError
from perfhouse.month import Month
from perfhouse.public_tables import PERSONAL_COLUMNS, PUBLIC_TABLES, PublicTable
from perfhouse.release_files import DATABASE
from perfhouse.release_label import Label
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECONCILIATION = "reconciliation"
RECONCILIATION_KEY = ("month", "stream", "source", "delivered", "reason")
# Readable by every DuckDB from 1.0 on.
_STORAGE = "v1.0.0"

TableHashes = dict[str, dict[str, Any]]


def stage_tables(home: Home, month: Month, folder: Path) -> TableHashes:
    """Write the month's public tables as Parquet, without personal names; return their hashes."""
    parquet = folder / "parquet"
    parquet.mkdir(parents=True)
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        for table in PUBLIC_TABLES:
            _copy_table(con, table, month, parquet / f"{table.name}.parquet")
    finally:
        con.close()
    return _hashes_of_parquet(parquet)


def public_columns(con: DuckDBPyConnection, table: PublicTable) -> list[str]:
    """List the columns of a warehouse table that may be published, in their order."""
    rows = con.execute(
        "select column_name from information_schema.columns "
        "where table_schema = ? and table_name = ? order by ordinal_position",
        [table.schema, table.name],
    ).fetchall()
    if not rows:
        raise ReleaseError(f"{table.relation}: not in the warehouse; build the month")
    return [str(row[0]) for row in rows if row[0] not in PERSONAL_COLUMNS]


def stage_database(folder: Path) -> None:
    """Write the DuckDB file from the Parquet files.

    Its connection has never seen the warehouse: DuckDB leaves stale memory in unused parts of
    its blocks, and what is stale here must not be somebody's name.
    """
    parquet = folder / "parquet"
    with Database(folder / DATABASE) as con:
        for table in PUBLIC_TABLES:
            load(con, table.name, [parquet / f"{table.name}.parquet"], table.key)


def restage_database(folder: Path) -> None:
    """Write the DuckDB file again from every Parquet file, those of `stage_verdicts` included."""
    keys = {table.name: table.key for table in PUBLIC_TABLES}
    with Database(folder / DATABASE) as con:
        for file in sorted((folder / "parquet").glob("*.parquet")):
            if file.stem in keys:
                load(con, file.stem, [file], keys[file.stem])
            else:
                scan = f"read_parquet({_literal(file)})"
                con.execute(f"create table release.{_name(file.stem)} as select * from {scan}")


def stage_reconciliation(home: Home, label: Label, folder: Path) -> None:
    """Add the table `reconciliation`: how many landed rows are in facts, and why others are not."""
    target = folder / f"parquet/{RECONCILIATION}.parquet"
    with warehouse.connect(home.warehouse, read_only=True) as con:
        columns = [*RECONCILIATION_KEY, "in_facts", "rows"]
        to_parquet(
            con,
            f"select {_names(columns)} from ops.{RECONCILIATION} "
            f"where month = date '{label.month.start}' order by {_names(RECONCILIATION_KEY)}",
            target,
        )
    with Database(folder / DATABASE) as con:
        load(con, RECONCILIATION, [target], RECONCILIATION_KEY)


def database_hashes(path: Path) -> TableHashes:
    """Return rows and content hash of every table of a release's DuckDB file."""
    keys = {table.name: table.key for table in PUBLIC_TABLES}
    con = warehouse.connect(path, read_only=True)
    try:
        names = con.execute("select table_name from duckdb_tables() order by 1").fetchall()
        return {str(name): _hash(con, f'"{name}"', keys.get(str(name), ())) for (name,) in names}
    finally:
        con.close()


class Database:
    """An in-memory connection with a release's DuckDB file attached as `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> DuckDBPyConnection:
        self._con = warehouse.connect()
        self._con.execute("set threads = 1")
        self._con.execute(
            f"attach {_literal(self._path)} as release (storage_version '{_STORAGE}')"
        )
        return self._con

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._con.execute("checkpoint release")
            self._con.execute("detach release")
        self._con.close()


def to_parquet(con: DuckDBPyConnection, query: str, target: Path) -> None:
    """Write the rows of a query, in its order, to a Parquet file."""
    con.execute(f"copy ({query}) to {_literal(target)} (format parquet, compression zstd)")


def load(
    con: DuckDBPyConnection,
    name: str,
    files: Sequence[Path],
    key: Sequence[str],
    *,
    newest_only: bool = False,
) -> None:
    """Make a table of `Database` from Parquet files, ordered by its key.

    A column that some files lack is null there. With `newest_only`, of the rows of one key the
    one in the last file stays.
    """
    listed = f"[{', '.join(_literal(file) for file in files)}]"
    last = (
        f"qualify row_number() over (partition by {_names(key)} "
        f"order by list_position({listed}, filename) desc) = 1"
    )
    con.execute(
        f"create table release.{name} as select * exclude (filename) "
        f"from read_parquet({listed}, union_by_name = true, filename = true) "
        f"{last if newest_only else ''} "
        f"order by {', '.join(f'{_name(c)} nulls last' for c in key)}"
    )


def _copy_table(con: DuckDBPyConnection, table: PublicTable, month: Month, target: Path) -> None:
    columns = public_columns(con, table)
    order = [*table.key, *(name for name in columns if name not in table.key)]
    to_parquet(
        con,
        f"select {_names(columns)} from {table.relation} where {table.where(month)} "
        f"order by {', '.join(f'{_name(c)} nulls last' for c in order)}",
        target,
    )


def _hashes_of_parquet(folder: Path) -> TableHashes:
    keys = {table.name: table.key for table in PUBLIC_TABLES}
    con = warehouse.connect()
    try:
        return {
            file.stem: _hash(con, f"read_parquet({_literal(file)})", keys[file.stem])
            for file in sorted(folder.glob("*.parquet"))
        }
    finally:
        con.close()


def _hash(con: DuckDBPyConnection, relation: str, key: Sequence[str]) -> dict[str, Any]:
    rows, sha256 = hashing.content_sha256(con, relation, key)
    return {"rows": rows, "sha256": sha256}


def _names(columns: Sequence[str]) -> str:
    return ", ".join(_name(column) for column in columns)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
