"""The one database over releases: every table of all of them, as BI opens it.

Reads releases and writes into a staging folder; which releases stand is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from perfhouse.public_tables import PUBLIC_TABLES
from perfhouse.release_files import DATABASE
from perfhouse.release_tables import RECONCILIATION, RECONCILIATION_KEY, Database, load
from perfhouse.release_verdicts import VERDICT_COLUMNS, VERDICTS


class Named(Protocol):
    """What the combined database tells of a release."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def release_sha256(self) -> str: ...  # noqa: D102


def combine(releases: Sequence[Path], entries: Sequence[Named], folder: Path) -> None:
    """Write folder/combined/scorecards.duckdb: every table over the given releases."""
    target = folder / "combined"
    target.mkdir()
    with Database(target / DATABASE) as con:
        for table in PUBLIC_TABLES:
            files = [p / f"parquet/{table.name}.parquet" for p in releases]
            files = [file for file in files if file.exists()]  # a newer table than the release
            load(con, table.name, files, table.key, newest_only=not table.by_month)
        verdicts = [p / f"parquet/{VERDICTS}.parquet" for p in releases]
        load(con, VERDICTS, verdicts, ("month", "gate", "check_id"))
        for column in VERDICT_COLUMNS.split(", "):  # younger than every release
            con.execute(f"alter table release.{VERDICTS} add column if not exists {column}")
        counted = [p / f"parquet/{RECONCILIATION}.parquet" for p in releases]
        counted = [file for file in counted if file.exists()]
        if counted:
            load(con, RECONCILIATION, counted, RECONCILIATION_KEY)
        load(con, "releases", [p / "parquet/releases.parquet" for p in releases], ("month",))
        con.execute("alter table release.releases add column release_sha256 varchar")
        con.executemany(
            "update release.releases set release_sha256 = ? where release = ?",
            [[e.release_sha256, e.name] for e in entries],
        )
    (target / DATABASE).chmod(0o444)
