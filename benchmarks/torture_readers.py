"""Readers of what is published, without pause, in processes of their own; they note what is wrong.

Run as `python -m benchmarks.torture_readers KIND FOLDER STOP`; prints one JSON object at the end:
reads, errors, torn reads and reads that lacked rows, with the first of each in words.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from perfhouse import (
    evidence,
    hashing,
    lake,
    ledger,
    release_files,
    release_manifest,
    signing,
    verify,
    warehouse,
)
from perfhouse.month import Month
from perfhouse.public_tables import PUBLIC_TABLES
from perfhouse.settings import Home

_PAUSE = 0.05
_NICENESS = 10  # readers would leave publishers no processor
_TOLD = 5
_MART = """
select r.release, r.release_sha256,
    (select count(*) from perfhouse.scorecard_kpi_months as k where k.month = r.month),
    (select coalesce(sum(score), 0)::text from perfhouse.scorecard_kpi_months as k
        where k.month = r.month),
    (select count(*) from perfhouse.scorecard_manager_months as m where m.month = r.month),
    (select coalesce(sum(total_score), 0)::text from perfhouse.scorecard_manager_months as m
        where m.month = r.month)
from perfhouse.releases as r
"""


class Torn(Exception):
    """A reader saw parts of two releases, or a part of one."""


class Lost(Exception):
    """A reader saw fewer rows than the release has."""


@dataclass
class Seen:
    """What one reader met."""

    kind: str
    reads: int = 0
    errors: int = 0
    torn: int = 0
    lost: int = 0
    releases: int = 0
    longest_seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def note(self, error: Exception) -> None:
        """Count what went wrong and keep the first in words."""
        self.torn += isinstance(error, Torn)
        self.lost += isinstance(error, Lost)
        self.errors += not isinstance(error, Torn | Lost)
        if len(self.wrong) < _TOLD:
            self.wrong.append(f"{type(error).__name__}: {str(error)[:300]}")


def database(published: Path) -> set[str]:
    """Read the file that BI opens: each month's rows must be those of the release it names."""
    link = published / release_files.DATABASE
    with warehouse.connect(link, read_only=True) as con:
        shown = con.execute("select month, release, release_sha256 from releases").fetchall()
        for month, name, sha256 in shown:
            said = _said(published / name.replace(".r", "/r"))
            if said["release_sha256"] != sha256:
                raise Torn(f"{name}: not the hash of that release")
            for table in PUBLIC_TABLES:
                if table.by_month and table.name in said["tables"]:
                    where = f"month = date '{month}'"
                    found = hashing.content_sha256(con, table.name, table.key, where)
                    _compare(name, table.name, said["tables"][table.name], found)
    return {name for _, name, _ in shown}


def files(published: Path) -> set[str]:
    """Read Parquet, exports and cards behind the link; all must fit, and the database with them."""
    version = (published / "current").resolve(strict=True)
    with warehouse.connect(version / release_files.DATABASE, read_only=True) as con:
        rows = con.execute("select month, release from releases").fetchall()
    named = {Month.of(month).key: str(release) for month, release in rows}
    linked = {link.name: link for link in version.glob("[0-9]*-[0-9]*")}
    shown = {month: str(release_manifest.read_manifest(link)["release"]) for month, link in
             linked.items()}  # fmt: skip
    if named != shown:
        raise Torn(f"the database shows {named}, the files {shown}")
    for month, link in linked.items():
        found = release_manifest.problems(link.resolve())
        if found:
            raise Torn(f"{shown[month]}: {found[:3]}")
        if not (any(link.glob("exports/*/*.csv")) and any(link.glob("cards/*.html"))):
            raise Lost(f"{shown[month]}: exports or cards are missing")
    return set(shown.values())


def chain(published: Path) -> set[str]:
    """Verify the ledger's chain and signatures, and the release of each month that stands."""
    keys = signing.public_keys([], published)
    lines = ledger.lines(published / ledger.LEDGER)
    found = set()
    for entry in ledger.standing(lines).values():
        if not evidence.is_signed(published / entry.path / release_files.MANIFEST, keys):
            raise Torn(f"{entry.name}: not signed")
        told = verify.verify(published, entry.name, keys)
        if told.problems:
            raise Torn(f"{entry.name}: {told.problems[:3]}")
        found.add(entry.name)
    return found


def mart(published: Path) -> set[str]:
    """Ask PostgreSQL one statement over three tables: each month must be one release, whole."""
    found = set()
    for name, sha256, *numbers in _connection().execute(_MART).fetchall():
        folder = published / name.replace(".r", "/r")
        if _said(folder)["release_sha256"] != sha256:
            raise Torn(f"{name}: not the hash of that release")
        expected = _numbers(folder)
        if numbers[0] < expected[0] or numbers[2] < expected[2]:
            raise Lost(f"{name}: {numbers[0]} and {numbers[2]} rows of {expected}")
        if list(numbers) != list(expected):
            raise Torn(f"{name}: {numbers}, expected {expected}")
        found.add(name)
    return found


def landed(root: Path) -> set[str]:
    """Read the lake as a build does: every committed file is there, whole, with all its rows."""
    home = Home(root)
    found = set()
    with lake.reading(home), warehouse.connect() as con:
        for manifest in _manifests(home):
            for name, stream in manifest.streams.items():
                for file in stream.files:
                    path = home.root / file.path
                    if lake.file_sha256(path) != file.sha256:
                        raise Torn(f"{name}: {file.path} is not as it was committed")
                    row = con.execute("select count(*) from read_parquet(?)", [str(path)])
                    count = (row.fetchone() or (0,))[0]
                    if count != file.rows:
                        raise Lost(f"{name}: {count} of {file.rows} rows")
            found.add(manifest.manifest_sha256)
    return found


def _manifests(home: Home) -> list[Any]:
    months = sorted(path.name.removeprefix("month=") for path in home.manifests.glob("month=*"))
    return lake.manifests(home, Month(months[0]), Month(months[-1]))


def _compare(name: str, table: str, said: dict[str, Any], found: tuple[int, str]) -> None:
    if found[0] < said["rows"]:
        raise Lost(f"{name} {table}: {found[0]} of {said['rows']} rows")
    if found != (said["rows"], said["sha256"]):
        raise Torn(f"{name} {table}: other rows than those of the release")


@cache
def _said(folder: Path) -> dict[str, Any]:
    return release_manifest.read_manifest(folder)


@cache
def _numbers(folder: Path) -> tuple[Any, ...]:
    found: list[Any] = []
    with warehouse.connect() as con:
        for table, column in (("kpi_months", "score"), ("manager_months", "total_score")):
            file = str(folder / f"parquet/scorecard_{table}.parquet")
            query = f"select count(*), coalesce(sum({column}), 0)::varchar from read_parquet(?)"
            found += con.execute(query, [file]).fetchall()[0]
    return tuple(found)


@cache
def _connection() -> Any:
    import psycopg

    from perfhouse import settings

    return psycopg.connect(settings.connection_url("torture_reader"), autocommit=True)


_KINDS: dict[str, Callable[[Path], set[str]]] = {
    "database": database,
    "files": files,
    "ledger": chain,
    "mart": mart,
    "lake": landed,
}


def read(kind: str, folder: Path, stop: Path) -> Seen:
    """Read until the file `stop` is there."""
    seen, releases = Seen(kind), set[str]()
    while not stop.exists():
        began = time.perf_counter()
        try:
            releases |= _KINDS[kind](folder)
        except Exception as error:
            seen.note(error)
        seen.reads += 1
        seen.longest_seconds = max(seen.longest_seconds, time.perf_counter() - began)
        time.sleep(_PAUSE)
    seen.releases = len(releases)
    return seen


def main() -> None:
    """Read as the arguments say; print what was seen."""
    kind, folder, stop = sys.argv[1:4]
    os.nice(_NICENESS)
    json.dump(asdict(read(kind, Path(folder), Path(stop))), sys.stdout)


if __name__ == "__main__":
    main()
