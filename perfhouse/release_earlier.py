"""Earlier months that a month was compared with: whether they say what was released of them.

Reads the warehouse and releases; it may not decide what is published.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import ledger, warehouse
from perfhouse.month import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from perfhouse.settings import Home

# What later months read of a month, by table: the key of a manager's row, and the numbers.
_READ = {
    "scorecard_kpi_months": (("manager_id", "kpi_id", "kpi_version"), ("value", "shrunk_value")),
    "scorecard_manager_months": (("manager_id",), ("total_score",)),
}


def unreleased(home: Home, month: Month) -> list[str]:
    """Say which earlier months stand otherwise in the warehouse than in their releases.

    Such is a correction of a closed month that nobody restated: cards of later months would tell of
    a change since numbers that nobody published.
    """
    told = []
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        for entry in ledger.newest(home):
            if entry.month >= month.key:
                continue
            count = _differing(con, home.published / entry.path, Month(entry.month))
            if count:
                told.append(
                    f"{entry.month}: {count} numbers in the warehouse are not those of "
                    f"{entry.name}, and {month} was compared with them: restate {entry.month}, or "
                    f"build it as it was released, then build {month} again"
                )
    finally:
        con.close()
    return told


def _differing(con: DuckDBPyConnection, release: Path, month: Month) -> int:
    """Count released numbers that the warehouse has otherwise, where it holds the month at all."""
    return sum(_of_table(con, release, month, table) for table in _READ)


def _of_table(con: DuckDBPyConnection, release: Path, month: Month, table: str) -> int:
    key, read = _READ[table]
    file = str(release / "parquet" / f"{table}.parquet")
    query = "select name from parquet_schema(?) where name in (select column_name from "
    query += "duckdb_columns() where schema_name = 'scorecards' and table_name = ?)"
    both = {str(name) for (name,) in con.execute(query, [file, table]).fetchall()}
    numbers = [column for column in read if column in both]
    if not numbers:  # a release of before these numbers
        return 0
    same = " and ".join(f"r.{column} = w.{column}" for column in key)
    differs = " + ".join(
        f"count(*) filter (where r.{column} is distinct from w.{column})" for column in numbers
    )
    found = con.execute(
        f"with w as (select * from scorecards.{table} where month = $month) "
        f"select {differs} from read_parquet($file) as r left join w on {same} "
        "where exists (from w)",
        {"month": month.start, "file": file},
    ).fetchall()
    return int(found[0][0])
