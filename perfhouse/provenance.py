"""What a month's numbers were built from, kept beside them and compared before they are published.

Knows hashes only; it may not build or publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perfhouse import lake, ledger, warehouse
from perfhouse.company_types import Company
from perfhouse.lake import file_sha256
from perfhouse.month import Month
from perfhouse.settings import Home


@dataclass(frozen=True)
class Origin:
    """What a build reads: deliveries up to a month, and the company's configuration."""

    as_of: str
    inputs_sha256: str
    configuration_sha256: str


def origin(company: Company, home: Home, month: Month, as_of: Month) -> Origin:
    """Return what a build that begins now would be made from."""
    return Origin(
        as_of.key,
        ledger.sha256_of(lake.inputs(home, month, as_of)),
        configuration_sha256(company.folder),
    )


def configuration_sha256(folder: Path) -> str:
    """Hash the settings and tables of a company folder, and its own KPIs."""
    files = sorted(path for path in folder.iterdir() if path.suffix in {".toml", ".csv"})
    files += sorted((folder / "kpis").glob("*.yml"))
    return ledger.sha256_of([[path.name, file_sha256(path)] for path in files])


def write(home: Home, month: Month, built: Origin | None) -> None:
    """Replace the month's row of ops.builds; None leaves no row, while a build is under way."""
    con = warehouse.connect(home.warehouse)
    try:
        con.execute("begin")
        con.execute("create schema if not exists ops")
        con.execute(
            "create table if not exists ops.builds (month date, as_of varchar, "
            "inputs_sha256 varchar, configuration_sha256 varchar)"
        )
        con.execute("delete from ops.builds where month = ?", [month.start])
        if built is not None:
            con.execute(
                "insert into ops.builds values (?, ?, ?, ?)",
                [month.start, built.as_of, built.inputs_sha256, built.configuration_sha256],
            )
        con.execute("commit")
    finally:
        con.close()


def read(home: Home, month: Month) -> Origin | None:
    """Return what the month in the warehouse was built from, or None if that is not known."""
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        known = con.execute(
            "select 1 from duckdb_tables() where schema_name = 'ops' and table_name = 'builds'"
        ).fetchall()
        if not known:
            return None
        rows = con.execute(
            "select as_of, inputs_sha256, configuration_sha256 from ops.builds where month = ?",
            [month.start],
        ).fetchall()
    finally:
        con.close()
    return Origin(*rows[0]) if rows else None
