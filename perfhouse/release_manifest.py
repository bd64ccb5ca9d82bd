"""The manifest that seals one release: what release.json says, and whether the release fits it.

Works on the folder it is given; it may not move, number or record a release.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfhouse import (
    erased,
    evidence,
    formats,
    hashing,
    lake,
    ledger,
    months,
    provenance,
    sign_off,
    signing,
    warehouse,
)
from perfhouse.errors import ReleaseError
from perfhouse.lake import file_sha256
from perfhouse.month import Month
from perfhouse.release_files import (
    CHECKSUM,
    DATABASE,
    MANIFEST,
    file_hashes,
    make_read_only,
    sealed_files,
)
from perfhouse.release_label import Label
from perfhouse.release_tables import TableHashes, database_hashes
from perfhouse.release_verdicts import Verdict, summary
from perfhouse.settings import Home

_DISTRIBUTIONS = ("perfhouse", "duckdb", "dbt-core", "dbt-duckdb", "great-expectations")


def seal(folder: Path, home: Home, label: Label, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Hash everything staged, write release.json, and make every file read-only.

    `release_sha256` covers the content of every table and the bytes of every file except the
    DuckDB file, whose bytes differ from run to run (decision 0003), and what depends on the keys
    of this installation: evidence and signatures (decision 0014).
    """
    tables, files = database_hashes(folder / DATABASE), file_hashes(folder)
    release_sha256 = hashing.sha256_of({"tables": tables, "files": files})
    month, as_of = label.month, label.as_of
    said = {
        formats.KEY: formats.RELEASE,
        "release": label.name,
        "company": label.company.id,
        "month": month.key,
        "number": label.number,
        "as_of": as_of.key,
        "after": ledger.head(ledger.lines(ledger.ledger_path(home))),
        "closes_on": months.closing(label.company, home, month).isoformat(),
        **({months.PARTS: parts} if (parts := months.parts(label.company, home, month)) else {}),
        **(label.succession.as_json() if label.succession else {}),
        "inputs": lake.inputs(home, month, as_of, label.company.look_back),
        "earlier_months": _earlier_months(home, month),
        "configuration_sha256": provenance.configuration_sha256(label.company),
        "code_sha256": provenance.code_sha256(),
        "versions": {name: _version(name) for name in _DISTRIBUTIONS},
        "gates": {v.gate: summary(v) for v in verdicts},
        "tables": tables,
        "files": files,
        "release_sha256": release_sha256,
        **sign_off.said(home, label, folder, release_sha256),
        "evidence": {
            "key": signing.public_text(signing.release_key(home)).splitlines()[-1],
            "merkle_root": evidence.merkle_root(folder),
            "files": sealed_files(folder),
        },
    }
    text = json.dumps(said, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    checksum = file_sha256(folder / DATABASE)
    (folder / CHECKSUM).write_text(f"{checksum}  {DATABASE}\n", encoding="ascii")
    for name in (MANIFEST, CHECKSUM):
        evidence.sign(folder / name, home, label.name)
    make_read_only(folder)
    return said


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a release's release.json.

    Raises:
        ReleaseError: a later version wrote it (operator).
    """
    said: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    refused = formats.too_new(MANIFEST, said, formats.RELEASE)
    if refused:
        raise ReleaseError(refused)
    return said


def same_tables(published: Path, tables: TableHashes) -> bool:
    """Say whether a release holds exactly these tables."""
    said = read_manifest(published)["tables"]
    return all(said.get(name) == content for name, content in tables.items())


def origin(home: Home, entry: ledger.Entry) -> provenance.Origin:
    """Return what a release was built from."""
    said = read_manifest(home.published / entry.path)
    inputs, configuration = hashing.sha256_of(said["inputs"]), said["configuration_sha256"]
    return provenance.Origin(entry.as_of, inputs, configuration)


def unlisted(folder: Path) -> list[str]:
    """Say what is wrong with release.json itself: unreadable, or its hash is not of its lists."""
    try:
        said = read_manifest(folder)
        listed = {"tables": said["tables"], "files": said["files"]}
        fits = said["release_sha256"] == hashing.sha256_of(listed)
    except ReleaseError as error:
        return [str(error)]
    except Exception as error:
        return [f"{MANIFEST}: unreadable: {type(error).__name__}"]
    try:
        since = erased.of_release(folder)
    except ReleaseError as error:
        return [str(error)]
    is_named = since.manifest_sha256 == file_sha256(folder / MANIFEST)
    return [] if fits or is_named else ["release_sha256 does not fit what release.json lists"]


def problems(folder: Path) -> list[str]:
    """Check a release against its release.json and the erasures that the ledger names since.

    Returns what does not fit, empty if intact.
    """
    wrong = unlisted(folder)
    try:
        said, since = read_manifest(folder), erased.of_release(folder)
        files = erased.applied(said["files"], since.files)
        sealed = said.get("evidence")
    except Exception:
        return wrong
    found = differences("file", files, file_hashes(folder))
    if sealed:
        expected = erased.applied(sealed["files"], since.sealed)
        names = differences("file", expected, sealed_files(folder))
        found += [name for name in names if name not in found]
    try:
        tables = erased.applied(said["tables"], since.tables)
        found += differences("table", tables, database_hashes(folder / DATABASE))
        checksum = since.database_sha256 or (folder / CHECKSUM).read_text("ascii").split()[0]
        if checksum != file_sha256(folder / DATABASE):
            found.append(f"{DATABASE}: bytes differ from {CHECKSUM}")
    except Exception as error:
        found.append(f"{DATABASE}: unreadable: {type(error).__name__}")
    return [*found, *wrong]


def differences(kind: str, said: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    """Name what differs between what a release lists and what is found."""
    names = sorted({*said, *found})
    return [f"{kind} {name} differs" for name in names if said.get(name) != found.get(name)]


def _earlier_months(home: Home, month: Month) -> dict[str, dict[str, str | None]]:
    """Say of every earlier month in the warehouse what it holds and from which release it came.

    Changes, trends and references read earlier months. `release` is None when a month stands as
    it was never released.
    """
    table = "scorecards.scorecard_manager_months"
    with warehouse.connect(home.warehouse, read_only=True) as con:
        rows = con.execute(
            f"select distinct month from {table} where month < ? order by month", [month.start]
        ).fetchall()
        hashes = {
            Month.of(first): hashing.content_sha256(
                con, table, ("manager_id",), f"month = date '{first.isoformat()}'"
            )[1]
            for (first,) in rows
        }
    return {
        earlier.key: {**_release_behind(home, earlier), "content_sha256": sha256}
        for earlier, sha256 in hashes.items()
    }


def _release_behind(home: Home, month: Month) -> dict[str, str | None]:
    """Return the newest release that was made from what the warehouse holds of a month."""
    built = provenance.read(home, month)
    for entry in reversed(ledger.entries(home)):
        if entry.month != month.key:
            continue
        if built == origin(home, entry):
            name = f"{month}.r{entry.number}"
            return {"release": name, "release_sha256": entry.release_sha256}
    return {"release": None, "release_sha256": None}


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
