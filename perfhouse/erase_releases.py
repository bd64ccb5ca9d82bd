"""Erase an employee from releases: beside each, the files without them, and what stays provable.

Stages files and puts them in their places; it may not write the ledger.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import (
    cards,
    durable,
    erased,
    evidence,
    exports,
    release_files,
    release_manifest,
    release_tables,
    restatement,
    warehouse,
)
from perfhouse.erase_person import Person, columns_of, plain
from perfhouse.erased import Altered
from perfhouse.lake import file_sha256
from perfhouse.month import Month
from perfhouse.public_tables import PublicTable
from perfhouse.release_files import DATABASE, MANIFEST
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_GONE = ".gone"  # beside staged files: the names of those to delete
_EXPORTS = (exports.HR, exports.PAYROLL)
_VERDICTS = "gate_verdicts"
_PAGES = ("cards", "pages")
_PAGE, _PAPER, _INDEX = ".html", ".pdf", "index.html"
# A row of a table of a page, with its head; rows may stand in one line, or each in its own.
_ROW = re.compile(r"<tr><th(?: scope=row)?>((?:(?!<td|<tr).)*)<td.*?(?:\n|(?=<tr|</tbody>|\Z))")
_LINK = re.compile(r'<a href="([^"/]*\.pdf)">.*?</a>')
_IDS = re.compile(r"(_id|^employee_number)$")  # columns that may name an employee
_PARQUET = "(format parquet, compression zstd)"


@dataclass(frozen=True)
class Staged:
    """A release without the person: what it is since, and how much was altered."""

    path: str
    altered: Altered
    rows: int
    files: int


def stage(home: Home, release: Path, person: Person, folder: Path) -> Staged | None:
    """Write the files of a release that change without the person into a folder of the same shape.

    None if nothing of the release names them.
    """
    path = f"{release.parent.name}/{release.name}"
    work, whole = folder / path, folder / f"{path}.whole"
    for made in (work, whole):
        shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(release, whole)
    for each in [whole, *whole.rglob("*")]:
        each.chmod(0o700 if each.is_dir() else 0o600)
    with warehouse.connect() as con:
        con.execute("set threads = 1")
        rows = _without_rows(con, whole, person)
        _without_pages(whole, person)
        _rename_page(home, whole, person)
        if not _differing(release, whole):
            shutil.rmtree(whole)
            return None
        places = _redacted(con, whole)
    _write_database(whole)
    altered = _altered(release, whole, places)
    _keep_differing(release, whole, work)
    shutil.rmtree(whole)
    files = len([file for file in work.rglob("*") if file.is_file()])
    return Staged(path, altered, rows, files)


def put(folder: Path, published: Path) -> None:
    """Put staged files in their places, one by one; done again it goes on where it stopped."""
    for gone in sorted(folder.glob(f"*/*/{_GONE}")):
        release = published / gone.parent.relative_to(folder)
        for name in gone.read_text(encoding="utf-8").splitlines():
            (release / name).unlink(missing_ok=True)
        for staged in sorted(p for p in gone.parent.rglob("*") if p.is_file() and p != gone):
            target = release / staged.relative_to(gone.parent)
            staged.chmod(target.stat().st_mode & 0o777)
            staged.replace(target)
        for each in [release, *release.rglob("*")]:
            if each.is_dir():
                durable.sync_folder(each)
    shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- what names the person


def _without_rows(con: DuckDBPyConnection, whole: Path, person: Person) -> int:
    """Take the rows that name the person out of tables, changes and exports; count them."""
    asked = person.within("", whole.parent.name)
    con.create_function("replaced", asked.replaced, ["VARCHAR"], "VARCHAR")
    rows = 0
    for file in sorted(whole.rglob("*.parquet")):
        scan = f"read_parquet({_text(plain(file))}, hive_partitioning = false)"
        held = _naming(columns_of(con, file), person)
        count = con.execute(f"select count(*) from {scan} where {held}").fetchall()[0][0]
        rows += count
        query = f"select * from {scan} where not ({held})"
        if file.stem == _VERDICTS:  # a verdict is about a month: it loses the key, and stays
            query = f"select * replace (replaced(failing_keys) as failing_keys) from {scan}"
            changed = f"select count(*) from ({query} except all from {scan})"
            count = con.execute(changed).fetchall()[0][0]
        if count:
            draft = file.with_suffix(".new")
            con.execute(f"copy ({query}) to {_text(str(draft))} {_PARQUET}")
            draft.replace(file)
            _twins(con, whole, file)
    return rows


def _naming(columns: list[tuple[str, str]], person: Person) -> str:
    """Return the condition of rows that name the person, by a column of their own or by a key."""
    key = _text(person.key)
    texts = [name for name, kind in columns if kind == "VARCHAR"]
    tests = [f'"{name}" = {key}' for name in texts if _IDS.search(name)]
    if "row_key" in texts:  # of changes: the keys of a table, written one after the other
        tests.append(f"list_contains(string_split(row_key, ', '), {key})")
    return " or ".join(f"coalesce({test}, false)" for test in tests) or "false"


def _twins(con: DuckDBPyConnection, whole: Path, file: Path) -> None:
    """Write the other forms of a Parquet file again: an export's CSV and XLSX, the changes' CSV."""
    scan = f"read_parquet({_text(plain(file))}, hive_partitioning = false)"
    for export in _EXPORTS:
        if file.parent == whole / "exports" / export.folder:
            said = release_manifest.read_manifest(whole)
            table = exports.read(con, scan, export.key)
            exports.write(export, table, Month(said["month"]), said["release"], file.parent)
    if file.parent == whole / restatement.FOLDER:
        rows = con.execute(f"from {scan}").fetchall()
        restatement.write_csv([restatement.Change(*row) for row in rows], file.with_suffix(".csv"))


def _without_pages(whole: Path, person: Person) -> None:
    """Delete the person's own pages; of others, the rows of tables that are theirs, and names."""
    own = _page(person)
    words = (*person.names, *(() if person.key.isdigit() else (person.key,)))
    told = Person(person.kind, "", person.pseudonym, names=words, longer=person.longer)
    pages = [page for folder in _PAGES for page in sorted((whole / folder).glob("*.html"))]
    # The index of cards comes last: it links the PDF files, and some of them go.
    for file in sorted(pages, key=lambda page: page.name == _INDEX):
        if file.name == own:
            file.unlink()
            file.with_suffix(_PAPER).unlink(missing_ok=True)
            continue
        before = file.read_text(encoding="utf-8")
        said, script, rest = before.partition("<script")  # which comes last and names nobody
        left = _without_own_rows(said, person)
        text = told.replaced(left) if words else left
        if text != left:  # the card as PDF shows no such row, but may say the same words
            file.with_suffix(_PAPER).unlink(missing_ok=True)
        if file.name == _INDEX:
            text = _without_links(text, file.parent)
        if text + script + rest != before:
            file.write_text(text + script + rest, encoding="utf-8")


def _without_links(index: str, folder: Path) -> str:
    """Return an index of cards with a dash for every PDF file that is gone."""
    return _LINK.sub(lambda link: link[0] if (folder / link[1]).exists() else "—", index)


def _page(person: Person) -> str:
    return cards.file_names([person.key])[person.key]


def _without_own_rows(page: str, person: Person) -> str:
    """Return a page without the rows of its tables whose head is the person."""
    return _ROW.sub(lambda row: "" if _is_row_of(row[1], person) else row[0], page)


def _is_row_of(head: str, person: Person) -> bool:
    """Say whether the head of a row of a table is the person."""
    text = re.sub(r"<[^>]*>", "", head).strip()
    both = (f"{name} {person.key}" for name in person.names)
    return text in (person.key, *person.names, *both)


def _rename_page(home: Home, whole: Path, person: Person) -> None:
    """Take the person's id out of release.json, where it names a file, and sign that anew."""
    file = whole / MANIFEST
    text = file.read_text(encoding="utf-8")
    name = text
    for folder in _PAGES:
        for suffix in (_PAGE, _PAPER):
            own = f'"{folder}/{_page(person).removesuffix(_PAGE)}{suffix}"'
            name = name.replace(own, f'"{folder}/{person.pseudonym}{suffix}"')
    if name != text:
        file.write_text(name, encoding="utf-8")
        evidence.sign(file, home, release_manifest.read_manifest(whole)["release"])


# ---------------------------------------------------------------- what stays provable


def _redacted(con: DuckDBPyConnection, whole: Path) -> dict[str, list[int]]:
    """Blank the keys of erased rows among the leaves; return their places, by table."""
    if not (whole / evidence.FOLDER).is_dir():
        return {}
    nonces = evidence.read_nonces(whole)
    places: dict[str, list[int]] = {}
    for said in evidence.read_tables(whole):
        leaves = evidence.read_leaves(whole, said.name)
        now = set(_leaves(con, whole, said, nonces))
        gone = [at for at, leaf in enumerate(leaves) if leaf not in now]
        if not gone:
            continue
        places[said.name] = gone
        keys = (erased.ERASED if at in gone else key for at, (key, _) in enumerate(leaves))
        pairs = zip(leaves, keys, strict=True)
        lines = "".join(f"{leaf.hex()} {key}\n" for (_, leaf), key in pairs)
        (whole / evidence.FOLDER / f"{said.name}.leaves").write_text(lines, encoding="utf-8")
    return places


def _leaves(
    con: DuckDBPyConnection, whole: Path, said: evidence.Table, nonces: bytes
) -> list[tuple[str, bytes]]:
    """Hash a table's rows, or the cards, as they are since."""
    if said.name != evidence.CARDS:
        public = PublicTable(said.name, "main", tuple(said.key))
        return list(evidence.of_parquet(con, whole, public, nonces).leaves)
    listed = [key for key, _ in evidence.read_leaves(whole, said.name) if key != erased.ERASED]
    keys = [json.loads(key) for key in listed]
    pages = evidence.pages_of(whole, [manager for _, manager in keys])
    return list(evidence.of_pages(pages, keys[0][0] if keys else "", nonces).leaves)


def _write_database(whole: Path) -> None:
    """Write the DuckDB file again from the Parquet files: no stale block of it names anybody."""
    (whole / DATABASE).unlink()
    release_tables.restage_database(whole)


def _altered(release: Path, whole: Path, places: Mapping[str, list[int]]) -> Altered:
    said = release_manifest.read_manifest(whole)
    sealed = said.get("evidence", {}).get("files", {})
    is_signed = file_sha256(whole / MANIFEST) == file_sha256(release / MANIFEST)
    before = erased.of_release(release).manifest_sha256
    return Altered(
        manifest_sha256=before if is_signed else file_sha256(whole / MANIFEST),
        files=_changed(said["files"], release_files.file_hashes(whole)),
        sealed=_changed(sealed, release_files.sealed_files(whole)) if sealed else {},
        tables=_changed(said["tables"], release_tables.database_hashes(whole / DATABASE)),
        database_sha256=file_sha256(whole / DATABASE),
        rows=places,
    )


def _changed(before: Mapping[str, Any], since: Mapping[str, Any]) -> dict[str, Any]:
    names = sorted({*before, *since})
    return {name: since.get(name) for name in names if before.get(name) != since.get(name)}


def _differing(release: Path, whole: Path) -> list[str]:
    """Name the files of a release that are gone or differ."""
    files = sorted(p.relative_to(release) for p in release.rglob("*") if p.is_file())
    return [
        name.as_posix()
        for name in files
        if not (whole / name).exists() or file_sha256(release / name) != file_sha256(whole / name)
    ]


def _keep_differing(release: Path, whole: Path, work: Path) -> None:
    gone = []
    for name in _differing(release, whole):
        if not (whole / name).exists():
            gone.append(name)
            continue
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).replace(work / name)
    work.mkdir(parents=True, exist_ok=True)
    (work / _GONE).write_text("".join(f"{name}\n" for name in gone), encoding="utf-8")
    durable.sync_tree(work)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
