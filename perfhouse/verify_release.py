"""One release, verified with public keys only: its signatures, its files, and row by row.

It writes nothing, and names what was changed by file, table and key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import erased, evidence, merkle, release_manifest, sign_off, trust, warehouse
from perfhouse.errors import ReleaseError
from perfhouse.ledger import Entry
from perfhouse.public_tables import PublicTable
from perfhouse.release_files import DATABASE
from perfhouse.verify_ledger import VerifiedLedger

if TYPE_CHECKING:
    from minisign import PublicKey

_ROWS_TOLD = 10


def problems(
    published: Path, path: str, entry: Entry | None, keys: Sequence[PublicKey]
) -> Iterator[str]:
    """Say what does not hold of the release in published/path, whose line is `entry` if any."""
    told: set[str] = set()
    try:
        for problem in _release_problems(published / path, entry, keys):
            told.add(problem)
            yield f"published/{path}: {problem}"
    except ReleaseError as error:  # of a later version, or of an erasure that does not fit
        if str(error) not in told:
            yield f"published/{path}: {error}"
    except Exception as error:  # a changed file may make any reader fail
        yield f"published/{path}: unreadable: {type(error).__name__}"


def signatures(published: Path, entries: Sequence[Entry], said: VerifiedLedger) -> Iterator[str]:
    """Say what does not hold of people's signatures, where releases say that they needed one."""
    for entry in entries:
        try:
            manifest = release_manifest.read_manifest(published / entry.path)
        except (OSError, ValueError, ReleaseError):  # told as a problem of the release
            continue
        for problem in sign_off.problems(manifest, said.lines, entry.sequence):
            yield f"published/{entry.path}: {problem}"


def _release_problems(
    folder: Path, entry: Entry | None, keys: Sequence[PublicKey]
) -> Iterator[str]:
    if not folder.is_dir():
        yield "the ledger names it, but it is not there"
        return
    found = list(trust.problems(folder, entry, keys))
    yield from found
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            name = path.relative_to(folder).as_posix()
            yield f"{name} is neither a file nor a folder: nothing that is signed names it"
    root = release_manifest.read_manifest(folder).get("evidence", {}).get("merkle_root")
    intact = not any(f"file {evidence.FOLDER}/" in problem for problem in found)
    if root and intact:
        yield from _rows(folder, root, found)


def _rows(folder: Path, root: str, problems: Sequence[str]) -> Iterator[str]:
    """Name the rows that are not those of the signed root, but those that were erased."""
    since = erased.of_release(folder)
    nonces = evidence.read_nonces(folder)
    tables = evidence.read_tables(folder)
    if evidence.root_of(tables) != root:
        yield f"{evidence.FOLDER} does not lead to the root"
    con = warehouse.connect(folder / DATABASE, read_only=True)
    try:
        for said in tables:
            if said.name in since.rows:
                yield from _hashes_kept(folder, said)
            if said.name == evidence.CARDS:
                continue
            public = PublicTable(said.name, "main", tuple(said.key))
            found = evidence.of_relation(con, f'"{said.name}"', public, nonces)
            gone = since.places(said.name)
            yield from _changed(folder, said, found, DATABASE, gone)
            if f"file parquet/{said.name}.parquet differs" in problems:
                found = evidence.of_parquet(con, folder, public, nonces)
                yield from _changed(folder, said, found, f"parquet/{said.name}.parquet", gone)
    finally:
        con.close()


def _hashes_kept(folder: Path, said: evidence.Table) -> Iterator[str]:
    """Say so if the hashes of a table's rows, erased ones among them, no longer make its root."""
    leaves = [leaf for _, leaf in evidence.read_leaves(folder, said.name)]
    if merkle.Tree(leaves).root.hex() != said.root:
        yield f"{evidence.FOLDER}/{said.name}.leaves does not lead to the root"


def _changed(
    folder: Path,
    said: evidence.Table,
    found: evidence.Hashed,
    place: str,
    gone: frozenset[int],
) -> Iterator[str]:
    if found.table.root == said.root and list(found.table.columns) == list(said.columns):
        return
    leaves = [
        leaf for at, leaf in enumerate(evidence.read_leaves(folder, said.name)) if at not in gone
    ]
    if leaves == list(found.leaves) and list(found.table.columns) == list(said.columns):
        return
    old, new = dict(leaves), dict(found.leaves)
    rows = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    for key in rows[:_ROWS_TOLD]:
        word = "was changed" if key in old and key in new else "is gone"
        yield f"{place}: {said.name}: row {key} {'was added' if key not in old else word}"
    if len(rows) > _ROWS_TOLD:
        yield f"{place}: {said.name}: {len(rows) - _ROWS_TOLD} more rows differ"
