"""Erase a person from what is not published: landed rows, quarantine, archive, settings, verdicts.

Rows keep their places and counts under a pseudonym; what has no columns to go by is deleted whole.
It may not touch a release or the ledger.
"""

from __future__ import annotations

import functools
import gzip
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import erase_holders, erase_rows, formulas, lake, warehouse
from perfhouse.erase_person import Person, columns_of, plain
from perfhouse.erase_rows import Landed, Query
from perfhouse.erase_rows import text as _text
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ENCODINGS = ("utf-8-sig", "gb18030", "latin-1")
_TAG = re.compile(r"<[^>]*>")
_METADATA = re.compile(rb"<x:xmpmeta.*?</x:xmpmeta>", re.DOTALL)
_PARQUET = "(format parquet, compression zstd)"


@dataclass
class Found:
    """What was found of a person, and altered or deleted unless it was a rehearsal.

    Args:
        rows: altered rows by relative path of their file.
        deleted: relative paths of files that are gone.
        months: source and month of every altered landing.
        shared: rows by relative path that keep an account which others hold, too: no day, or none
            that tells whose it was.
    """

    rows: dict[str, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    months: set[tuple[str, str]] = field(default_factory=set)
    shared: dict[str, int] = field(default_factory=dict)


def erase(home: Home, person: Person, *, apply: bool, resumed: bool = False) -> Found:
    """Find a person in everything unpublished, and erase them there if `apply`; repeatable.

    `resumed`: an earlier call was broken off, perhaps before manifests named the new bytes.
    """
    found = Found()
    with warehouse.connect() as con:
        _landed(con, home, person, found, apply)
        if resumed:
            lake.rehash(home)
        _quarantined(con, home, person, found, apply)
        within = functools.cache(person.within)
        for file in [*_archived(home), *_verdicts(home)]:
            asked = within(*_of_path(file))
            if any(asked.stands_in(text) for text in texts_of(con, file)):
                _delete(home, file, found, apply)
    _configurations(home, person, found, apply)
    return found


# ---------------------------------------------------------------- rows with columns


def _landed(con: DuckDBPyConnection, home: Home, person: Person, found: Found, apply: bool) -> None:
    con.create_function("stands_in", person.stands_in, ["VARCHAR"], "BOOLEAN")
    zone = erase_holders.time_zone(home)
    for file in _landed_files(home):
        source, month = _of_path(file)
        query = _query(con, home, file, person, zone)
        shared = _count(con, file, query.shared) if query.shared else 0
        if shared:
            found.shared[file.relative_to(home.root).as_posix()] = shared
        count = _count(con, file, query.touched) if query.touched else 0
        if not count:
            continue
        relative = file.relative_to(home.root).as_posix()
        found.rows[relative] = count
        found.months.add((source, month))
        if apply:
            _rewrite(
                con, f"select {query.picked} from {_scan(file)} order by file_row_number", file
            )
    if apply and found.rows:
        aside = f"{home.superseded.relative_to(home.root).as_posix()}/"
        lake.rehash(home, {p.replace(aside, f"{home.raw.name}/") for p in found.rows})


def _landed_files(home: Home) -> list[Path]:
    roots = [r for r in home.raw.iterdir() if not r.name.startswith("_")]
    if home.superseded.is_dir():
        roots += list(home.superseded.iterdir())
    return sorted(file for root in roots for file in root.rglob("*.parquet"))


def _query(con: DuckDBPyConnection, home: Home, file: Path, person: Person, zone: str) -> Query:
    root = home.superseded if file.is_relative_to(home.superseded) else home.raw
    stream = file.relative_to(root).parts[0]
    columns = tuple(columns_of(con, file))
    return erase_rows.query(Landed(stream, *_of_path(file), columns, zone), person)


def _quarantined(
    con: DuckDBPyConnection, home: Home, person: Person, found: Found, apply: bool
) -> None:
    """Drop the rows that hold the person; the twin for people is written again."""
    within = functools.cache(person.within)

    def _is_named(source: str, month: str, text: str) -> bool:
        return within(source, month).stands_in(text)

    con.create_function("is_named", _is_named, ["VARCHAR"] * 3, "BOOLEAN")
    roots = [home.quarantine, home.superseded / home.quarantine.name]
    for file in sorted(file for root in roots for file in root.rglob("*.parquet")):
        told = " || ' ' || ".join(
            f"coalesce(cast(\"{name}\" as varchar), '')" for name, _ in columns_of(con, file)
        )
        held = f"is_named({', '.join(map(_text, _of_path(file)))}, {told})"
        count = _count(con, file, held)
        if count:
            found.rows[file.relative_to(home.root).as_posix()] = count
        if count and apply:
            _keep(con, file, f"not {held}")


def _keep(con: DuckDBPyConnection, file: Path, condition: str) -> None:
    """Keep rows of quarantine, and write the twin for people again."""
    kept = f"select * exclude (file_row_number) from {_scan(file)} where {condition}"
    _rewrite(con, f"{kept} order by file_row_number", file)
    people = str(file.with_suffix(".csv")).replace("'", "''")
    left = f"read_parquet({_text(plain(file))}, hive_partitioning = false)"
    con.execute(f"copy ({formulas.quarantined_sql(left)}) to '{people}' (format csv, header)")


def _rewrite(con: DuckDBPyConnection, query: str, file: Path) -> None:
    """Replace a Parquet file in one step; its name stays, though it told the old bytes."""
    draft = file.with_name(f".{file.name}.new")
    con.execute(f"copy ({query}) to {_text(str(draft))} {_PARQUET}")
    with draft.open("rb") as handle:
        os.fsync(handle.fileno())
    draft.replace(file)


def _scan(file: Path) -> str:
    path = _text(plain(file))
    return f"read_parquet({path}, hive_partitioning = false, file_row_number = true)"


def _count(con: DuckDBPyConnection, file: Path, condition: str) -> int:
    found = con.execute(f"select count(*) from {_scan(file)} where {condition}").fetchone()
    return int(found[0]) if found else 0


def _of_path(file: Path) -> tuple[str, str]:
    """Return source and month of a file by the folders it lies in."""
    parts = dict(part.split("=", 1) for part in file.parts if "=" in part)
    return parts.get("source", ""), parts.get("month", "")


# ---------------------------------------------------------------- files without columns


def _archived(home: Home) -> Iterator[Path]:
    for receipt in sorted(home.archive.glob("month=*/source=*/*/receipt.json")):
        for file in sorted(receipt.parent.rglob("*")):
            if file.is_file() and file != receipt:
                yield file


def _verdicts(home: Home) -> Iterator[Path]:
    """Yield verdicts and changes that were not published: a gate asked again writes them."""
    folders = (home.gates, home.root / "docs")
    yield from sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())


def _delete(home: Home, file: Path, found: Found, apply: bool) -> None:
    found.deleted.append(file.relative_to(home.root).as_posix())
    if apply:
        file.unlink()


def _configurations(home: Home, person: Person, found: Found, apply: bool) -> None:
    """Drop the lines of kept identity.csv files that name the person; the heading stays."""
    for file in sorted(home.configurations.glob("*/*.csv")):
        lines = file.read_bytes().decode("utf-8", errors="replace").splitlines(keepends=True)
        kept = [line for at, line in enumerate(lines) if at == 0 or not person.stands_in(line)]
        if len(kept) == len(lines):
            continue
        found.rows[file.relative_to(home.root).as_posix()] = len(lines) - len(kept)
        if apply:
            draft = file.with_name(f".{file.name}.new")
            draft.write_text("".join(kept), encoding="utf-8")
            draft.replace(file)


def texts_of(con: DuckDBPyConnection, file: Path) -> Iterator[str]:
    """Yield what a file of any known kind says: packed ones unpacked, tables as text."""
    with file.open("rb") as handle:
        start = handle.read(4)
    if start == b"PAR1":
        scan = "read_parquet(?, hive_partitioning = false)"
        for name, _ in columns_of(con, file):
            query = f'select distinct cast("{name}" as varchar) from {scan}'
            rows = con.execute(query, [plain(file)]).fetchall()
            yield "\n".join(str(row[0]) for row in rows if row[0] is not None)
    elif start[:2] == b"\x1f\x8b":
        with gzip.open(file) as packed:
            yield _decoded(packed.read())
    elif start[:2] == b"PK":
        with zipfile.ZipFile(file) as book:
            for name in book.namelist():  # of a sheet only texts: M1 is also the name of a cell
                yield _TAG.sub(" ", _decoded(book.read(name)))
    elif start == b"%PDF":  # whom a card names stands in its metadata, which is not packed
        packets = _METADATA.findall(file.read_bytes())
        yield _TAG.sub(" ", _decoded(b"".join(packets)))
    else:
        yield _decoded(file.read_bytes())


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return ""
