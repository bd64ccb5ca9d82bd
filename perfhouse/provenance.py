"""What a month's numbers were built from, kept beside them and compared before they are published.

Knows hashes only; it may not build or publish.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import durable, formats, hashing, lake, warehouse
from perfhouse.company_types import Company
from perfhouse.errors import BuildFailed, ConfigError
from perfhouse.lake import file_sha256
from perfhouse.month import Month
from perfhouse.settings import Home, project_dir

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


REBUILD = (
    "the warehouse was built by another version: move warehouse.duckdb away and build its months "
    "again, oldest first; raw/ holds everything they need (docs/upgrading.md)"
)


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
        hashing.sha256_of(lake.inputs(home, month, as_of, company.look_back)),
        configuration_sha256(company),
    )


def configuration_sha256(company: Company) -> str:
    """Hash the settings and tables of a company folder, its own KPIs and the pack it chose."""
    return hashing.sha256_of(
        [[name, file_sha256(path)] for name, path in _configuration(company).items()]
    )


def _configuration(company: Company) -> dict[str, Path]:
    """Return the files that decide what a company's numbers mean, by name."""
    folder = company.folder
    files = sorted(path for path in folder.iterdir() if path.suffix in {".toml", ".csv"})
    found = {path.name: path for path in files}
    found |= {f"kpis/{path.name}": path for path in sorted((folder / "kpis").glob("*.yml"))}
    pack = company.kpis.pack
    if pack is not None:
        found |= {f"pack {pack.id}/{path.name}": path for path in sorted(pack.folder.glob("*.*"))}
    return found


def keep_configuration(home: Home, company: Company) -> Path:
    """Keep a copy of a company folder's settings, named by their hash, for `reproduce`.

    Private like the raw rows, for identities may be in it; a pack that comes with perfhouse is
    only named.
    """
    kept = home.configurations / configuration_sha256(company)
    if kept.exists():
        return kept
    draft = home.tmp / f"configuration-{kept.name}"
    shutil.rmtree(draft, ignore_errors=True)
    for path in _configuration(company).values():
        if path.is_relative_to(company.folder):
            target = draft / path.relative_to(company.folder)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft.rename(kept)
    durable.sync_folder(kept.parent)
    return kept


def code_sha256() -> str:
    """Hash the SQL that makes the numbers: models, macros and settings of the dbt project."""
    root = project_dir()
    files = sorted(
        path
        for path in root.rglob("*")
        if path.suffix in {".sql", ".yml"} and "target" not in path.relative_to(root).parts
    )
    return hashing.sha256_of([[p.relative_to(root).as_posix(), file_sha256(p)] for p in files])


def expect_format(home: Home) -> None:
    """Refuse a warehouse whose kept months this version cannot build upon; number a new one.

    Raises:
        BuildFailed: an earlier version built it, in another format (data engineer).
        ConfigError: a later version did (operator).
        TransientError: another process has it open (try again).
    """
    con = warehouse.connect(home.warehouse)
    try:
        con.execute("create schema if not exists ops")
        found = _format(con)
        if found is None and _has(con, "builds"):
            found = formats.FIRST  # of before warehouses were numbered
        number = formats.WAREHOUSE if found is None else found
        _refuse_newer(home, number)
        if number < formats.WAREHOUSE:
            raise BuildFailed(f"{REBUILD}: its format is {number}, not {formats.WAREHOUSE}")
        con.execute(f"create table if not exists ops.format as select {number:d} as number")
    finally:
        con.close()


def _format(con: DuckDBPyConnection) -> int | None:
    if not _has(con, "format"):
        return None
    row = con.execute("select max(number) from ops.format").fetchone()
    return row[0] if row else None


def _has(con: DuckDBPyConnection, table: str) -> bool:
    sql = "select 1 from duckdb_tables() where schema_name = 'ops' and table_name = ?"
    return bool(con.execute(sql, [table]).fetchall())


def _refuse_newer(home: Home, number: int | None) -> None:
    said = {} if number is None else {formats.KEY: number}
    refused = formats.too_new(str(home.warehouse), said, formats.WAREHOUSE)
    if refused:
        raise ConfigError([refused])


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
        _refuse_newer(home, _format(con))
        if not _has(con, "builds"):
            return None
        rows = con.execute(
            "select as_of, inputs_sha256, configuration_sha256 from ops.builds where month = ?",
            [month.start],
        ).fetchall()
    finally:
        con.close()
    return Origin(*rows[0]) if rows else None
