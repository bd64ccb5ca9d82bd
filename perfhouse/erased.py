"""Erasures on record: what published files look like since a person was erased from them.

Reads `published/erasures/` as far as the ledger vouches for it; it may not alter a release.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfhouse import ledger
from perfhouse.errors import ReleaseError
from perfhouse.lake import file_sha256
from perfhouse.ledger import Line, Record

KIND = "erased"  # of a ledger's line; only `perfhouse erase` writes one
FOLDER = "erasures"
# The key of a row that was erased, in evidence/<table>.leaves: its hash stays in its place.
ERASED = "erased"


@dataclass(frozen=True)
class Altered:
    """What a release holds since erasures, where that is not what its release.json says.

    Args:
        manifest_sha256: of release.json, which lost the names of erased persons' pages; None if it
            is as it was signed.
        files: what `release_files.file_hashes` finds since; None where a file is gone.
        sealed: the same of `release_files.sealed_files`.
        tables: rows and hash of the tables of the DuckDB file that changed.
        database_sha256: of the DuckDB file; None if it did not change.
        rows: the places of erased rows among the leaves, by table.
        lines: the numbers of the ledger's lines that say so.
    """

    manifest_sha256: str | None = None
    files: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    sealed: Mapping[str, str | None] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    database_sha256: str | None = None
    rows: Mapping[str, Sequence[int]] = field(default_factory=dict)
    lines: tuple[int, ...] = ()

    def places(self, table: str) -> frozenset[int]:
        """Return the places of a table's erased rows among its leaves."""
        return frozenset(self.rows.get(table, ()))

    def as_json(self) -> dict[str, Any]:
        """Return what the file of an erasure says of the release."""
        return {
            "manifest_sha256": self.manifest_sha256,
            "files": self.files,
            "sealed": self.sealed,
            "tables": self.tables,
            "database_sha256": self.database_sha256,
            "rows": self.rows,
        }


def applied(listed: Mapping[str, Any], since: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is listed with what changed since laid over it; None takes an entry away."""
    both = {**listed, **since}
    return {name: said for name, said in both.items() if said is not None}


def of_release(folder: Path) -> Altered:
    """Return what erasures altered in a release's folder: nothing, if there were none.

    Each erasure says all that was altered by then, so the last one counts.

    Raises:
        ReleaseError: the file of an erasure is not the one that the ledger names.
    """
    published = folder.parent.parent
    path = folder.relative_to(published).as_posix()
    found = Altered()
    for line in records(published):
        said = _file(published, line)["releases"].get(path)
        if said is not None:
            found = Altered(**said, lines=(*found.lines, line.sequence))
    return found


def records(published: Path) -> list[Record]:
    """Return the ledger's lines of erasures, as far as the ledger holds."""
    lines, _ = ledger.read(published / ledger.LEDGER)
    return of_lines(lines)


def of_lines(lines: Sequence[Line]) -> list[Record]:
    """Return those of some lines that are erasures."""
    return [line for line in lines if isinstance(line, Record) and line.kind == KIND]


def told(line: Record) -> str:
    """Say of an erasure when, by whom and why, and of how much."""
    return (
        f"erased on {line.at} by {line.who} (line {line.sequence} of the ledger): "
        f"{line.what['rows']} rows, {line.what['files']} files; {line.why}"
    )


def _file(published: Path, line: Record) -> dict[str, Any]:
    file = published / line.what["file"]
    if file.parent.name != FOLDER or not file.is_file():
        raise ReleaseError(f"published/{line.what['file']}: gone, line {line.sequence} names it")
    if file_sha256(file) != line.what["sha256"]:
        raise ReleaseError(
            f"published/{line.what['file']}: changed since line {line.sequence} named it"
        )
    said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return said
