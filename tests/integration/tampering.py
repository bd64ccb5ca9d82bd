"""What somebody can do who may write to published/ but has no key of ours."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from perfhouse import (
    evidence,
    ledger,
    release_combined,
    release_files,
    release_tables,
    signing,
    warehouse,
)
from perfhouse.hashing import canonical_json, sha256_of

TABLE = "scorecard_manager_months"


def unlock(folder: Path) -> None:
    """Take the protection against slips from every file."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


def alter(release: Path) -> None:
    """Give M2 another total, in the DuckDB file and in Parquet."""
    unlock(release)
    with warehouse.connect(release / "scorecards.duckdb") as con:
        con.execute(f"update {TABLE} set total_score = 120 where manager_id = 'M2'")
        con.execute("checkpoint")
        file = release / f"parquet/{TABLE}.parquet"
        con.execute(f"copy {TABLE} to '{file}' (format parquet)")


def reseal(folder: Path, **changes: Any) -> dict[str, Any]:
    """Make release.json fit what lies there; its signature stays what it was."""
    file = folder / "release.json"
    said: dict[str, Any] = {**json.loads(file.read_text("utf-8")), **changes}
    said["tables"] = release_tables.database_hashes(folder / "scorecards.duckdb")
    said["files"] = release_files.file_hashes(folder)
    said["release_sha256"] = sha256_of({"tables": said["tables"], "files": said["files"]})
    if "evidence" in said:
        said["evidence"]["files"] = release_files.sealed_files(folder)
    text = json.dumps(said, ensure_ascii=False, indent=2, sort_keys=True)
    file.write_text(text + "\n", encoding="utf-8")
    checksum = hashlib.sha256((folder / "scorecards.duckdb").read_bytes()).hexdigest()
    (folder / "scorecards.duckdb.sha256").write_text(f"{checksum}  scorecards.duckdb\n")
    return said


def sign(release: Path, other: Path) -> None:
    """Sign a release with a key of one's own, and show its public half beside the real one."""
    key = signing.load_or_create(other)
    for name in ("release.json", "scorecards.duckdb.sha256", evidence.ROOT):
        file = release / name
        text = signing.sign(key, file.read_bytes(), f"x {name}")
        file.with_name(f"{file.name}.minisig").write_bytes(text)
    shown = release.parent.parent / "release-9.pub"
    shown.write_text(signing.public_text(key), encoding="ascii")


def write_ledger(published: Path, bodies: Iterable[dict[str, Any]]) -> None:
    """Write a ledger anew, chained as it must be, without any signature."""
    before, lines = "0" * 64, []
    for number, given in enumerate(bodies, start=1):
        unsaid = ("entry_sha256", "signature", "previous_sha256", "sequence")
        body = {name: value for name, value in given.items() if name not in unsaid}
        body |= {"sequence": number, "previous_sha256": before}
        body["entry_sha256"] = before = sha256_of(body)
        lines.append(canonical_json(body) + b"\n")
    (published / ledger.LEDGER).write_bytes(b"".join(lines))


def read_ledger(published: Path) -> list[dict[str, Any]]:
    """Return the lines of the ledger as they are written."""
    return [json.loads(line) for line in (published / ledger.LEDGER).read_bytes().splitlines()]


def strip(published: Path) -> None:
    """Alter every release, and write it and the ledger as if nothing had ever been signed."""
    unlock(published)
    bodies = []
    for body in read_ledger(published):
        folder = published / body["path"]
        alter(folder)
        shutil.rmtree(folder / "evidence")
        for signature in folder.glob("*.minisig"):
            signature.unlink()
        said = json.loads((folder / "release.json").read_text("utf-8"))
        said.pop("evidence")
        (folder / "release.json").write_text(json.dumps(said), encoding="utf-8")
        body.pop("merkle_root")
        bodies.append({**body, "release_sha256": reseal(folder)["release_sha256"]})
    write_ledger(published, bodies)
    show(published)


def show(published: Path) -> None:
    """Make the database that BI opens again from what lies there."""
    lines, _ = ledger.read(published / ledger.LEDGER)
    stands = ledger.standing(lines)
    newest = [stands[month] for month in sorted(stands)]
    draft = published.parent / "draft"
    draft.mkdir()
    release_combined.combine([published / each.path for each in newest], newest, draft)
    (draft / "combined" / "scorecards.duckdb").replace((published / "scorecards.duckdb").resolve())
    shutil.rmtree(draft)


def add_line(published: Path, body: dict[str, Any]) -> None:
    """Go on with the ledger, without a signature."""
    lines = read_ledger(published)
    body |= {"sequence": len(lines) + 1, "previous_sha256": lines[-1]["entry_sha256"]}
    body["entry_sha256"] = sha256_of(body)
    with (published / ledger.LEDGER).open("ab") as handle:
        handle.write(canonical_json(body) + b"\n")


def roll_back(published: Path) -> None:
    """Write the line of a rollback to r1."""
    first = read_ledger(published)[0]
    what = {"month": first["month"], "release": f"{first['month']}.r1"}
    what |= {"release_sha256": first["release_sha256"], "instead_of": f"{first['month']}.r2"}
    add_line(published, {"kind": "rolled_back", "what": what, "who": "x", "why": "y"})
