"""The files of one release: their names, their hashes, and those for people: exports and cards.

Works on staging folders only; it may not move, number or record a release.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import evidence, exports, restatement, warehouse
from perfhouse.lake import file_sha256
from perfhouse.release_label import Label
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DATABASE = "scorecards.duckdb"
MANIFEST = "release.json"
CHECKSUM = f"{DATABASE}.sha256"
_PERSONAL_FOLDERS = ("exports", "cards", "pages")
# What no hash of a release's content covers: what depends on this machine or on its keys.
_UNHASHED = {DATABASE, MANIFEST, CHECKSUM, *(f + evidence.SIGNED for f in (MANIFEST, CHECKSUM))}


def stage_exports(home: Home, label: Label, folder: Path) -> None:
    """Write the exports of the month; payroll's only where the company has bands."""
    chosen = [exports.HR, *([exports.PAYROLL] if label.company.payroll_bands else [])]
    of_month = f"month = date '{label.month.start}'"
    with warehouse.connect(home.warehouse, read_only=True) as con:
        tables = [exports.read(con, each.relation, each.key, of_month) for each in chosen]
    for export, table in zip(chosen, tables, strict=True):
        target = folder / "exports" / export.folder
        exports.write(export, table, label.month, label.name, target)


def copy_changes(before: Path, folder: Path) -> None:
    """Copy the changes that a release lists, if it lists any."""
    if (before / restatement.FOLDER).is_dir():
        shutil.copytree(before / restatement.FOLDER, folder / restatement.FOLDER)


def stage_cards(home: Home, label: Label, folder: Path) -> None:
    """Render one card per manager, and the overviews of HR and directors, from the warehouse."""
    from perfhouse import cards, page_director

    month, pdf = label.month, label.company.cards.pdf
    with warehouse.connect(home.warehouse, read_only=True) as con:
        said = _published_as(con, label, folder)
        cards.render_all(con, month, folder / "cards", release=said, pdf=pdf)
        page_director.render_all(con, month, folder / "pages", release=said)


def stage_pdfs(
    home: Home, label: Label, folder: Path, progress: Callable[[str], None] = lambda _: None
) -> None:
    """Set each card as PDF beside its page, from the same view of the warehouse."""
    from perfhouse import card_pdf
    from perfhouse.card_reading import read_sheet

    with warehouse.connect(home.warehouse, read_only=True) as con:
        sheet = read_sheet(con, label.month, _published_as(con, label, folder))
    card_pdf.write_all(sheet, label.as_of, folder / "cards", progress)


def _published_as(con: DuckDBPyConnection, label: Label, folder: Path) -> dict[str, Any]:
    """Return what pages say of their release.

    Its number; what the one before had otherwise; of a restatement the reason, but not who decided.
    """
    from perfhouse import card_changes

    changes = folder / restatement.FOLDER / "changes.parquet"
    why = label.succession and label.succession.reason
    return {
        "number": label.number,
        "restated": card_changes.read_restated(con, changes),
        "reason": why.reason if why else None,
    }


def make_read_only(folder: Path) -> None:
    """Make every file read-only; what names people is not for other accounts to read."""
    for path in folder.rglob("*"):
        personal = path.relative_to(folder).parts[0] in _PERSONAL_FOLDERS
        if path.is_file():
            path.chmod(0o440 if personal else 0o444)
        elif personal:
            path.chmod(0o750)


def file_hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """Return sha256 and size of every file of a release that its hash covers.

    A card counts with its proof blanked, which depends on the keys of this installation.
    """
    found = {}
    for name, path in _files(folder):
        if name in _UNHASHED or _top(name) == evidence.FOLDER:
            continue
        if _is_card(name):
            page = evidence.blank(path.read_bytes())
            found[name] = {"sha256": hashlib.sha256(page).hexdigest(), "bytes": len(page)}
        else:
            found[name] = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
    return found


def sealed_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a release that depends on keys: evidence and cards."""
    return {
        name: file_sha256(path)
        for name, path in _files(folder)
        if _top(name) == evidence.FOLDER or _is_card(name)
    }


def _files(folder: Path) -> list[tuple[str, Path]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path) for path in paths]


def _top(name: str) -> str:
    return name.split("/", 1)[0]


def _is_card(name: str) -> bool:
    return _top(name) == "cards" and name.endswith(".html")
