"""What one receiver gets of one release: its files, encrypted and signed, and the ready file.

Reads a release's exports and changes none; it may not send anything or remember what was sent.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import export_mappings, export_package, exports, signing, warehouse
from perfhouse.errors import ConfigError
from perfhouse.export_columns import (
    ADDED,
    CHANGED,
    IDENTITY,
    REMOVED,
    ROW_CHANGE,
    WITHDRAWN_FILE,
)
from perfhouse.export_types import ExportMapping, Receiver
from perfhouse.exports import Export, Table
from perfhouse.hashing import sha256_of
from perfhouse.month import Month

if TYPE_CHECKING:
    from minisign import SecretKey

_EXPORTS = {export.folder: export for export in (exports.HR, exports.PAYROLL)}


@dataclass(frozen=True)
class Parcel:
    """One delivery before it is encrypted: `files` by name, `rows` that are in them.

    They are put in a folder of the delivery's name, but for the file that a mapping named.
    `since` is the release that the receiver has accepted, where only the difference is sent;
    `withdrawn` counts rows that its system holds and must take back: the file `withdrawn_in`
    lists them.
    """

    name: str
    export: str
    month: str
    release: str
    since: str | None
    files: Mapping[str, bytes]
    rows: int
    withdrawn: int
    recipients: tuple[str, ...]
    mapped: str | None = None
    withdrawn_in: str | None = None

    @property
    def sha256(self) -> str:
        """Return what tells this delivery from others: its contents and whom they are for."""
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}
        return sha256_of({"files": hashes, "recipients": sorted(self.recipients)})


def parcel(
    receiver: Receiver,
    month: Month,
    release: str,
    folder: Path,
    before: tuple[str, Path] | None,
    held: Sequence[Path] = (),
) -> Parcel | None:
    """Return what a receiver is to get of a release; None if its release has no such export.

    `before`: name and folder of the release that the receiver accepted last. Then only the rows
    that differ are sent, with a column `row_change`: added, changed or removed. `held`: folders of
    all releases of which a mapped file was sent before. A system that takes such a file replaces
    rows and deletes none, so it is told what it must take back.
    """
    export = _EXPORTS[receiver.export]
    table = _read(export, month, folder)
    if table is None:
        return None
    old = _read(export, month, before[1]) if before else None
    since = before[0] if before and old is not None else None
    name = f"{export.name}_{release}" + ("" if since is None else f".since.{since}")
    if receiver.id != receiver.export:
        name = f"{name}.{receiver.id}"
    sent = table if old is None else difference(export, old, table)
    made = Parcel(
        name, export.folder, month.key, release, since, {}, len(sent.rows), 0,
        receiver.age_recipients,
    )  # fmt: skip
    if receiver.mapping is not None:
        read = [old] if old else (_read(export, month, each) for each in held)
        there = [each for each in read if each is not None]
        gone = _gone(receiver.mapping, export, there, table)
        return _mapped(receiver.mapping, made, sent, gone, month)
    if since is None:
        return replace(made, files=_chosen(folder / "exports" / export.folder, receiver))
    with tempfile.TemporaryDirectory() as draft:
        exports.write(export, sent, month, release, Path(draft))
        return replace(made, files=_chosen(Path(draft), receiver))


def difference(export: Export, old: Table, new: Table) -> Table:
    """Return the rows that are new, otherwise than before or gone, with what became of each."""
    before, after = _by_key(export, old), _by_key(export, new)
    rows = [
        (*(before[key] if key not in after else after[key]), _change(before, after, key))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]
    return Table((*new.columns, ROW_CHANGE), (*new.types, "VARCHAR"), tuple(rows))


def packed(made: Parcel, key: SecretKey) -> dict[str, bytes]:
    """Return everything to put, in its order: files, signatures, the ready file last.

    Age's ciphertext differs each time, so `sha256` in the ready file is of what is inside.
    """
    found: dict[str, bytes] = {}
    for name, content in made.files.items():
        sent, body = name if name == made.mapped else f"{made.name}/{name}", content
        if made.recipients:
            sent, body = f"{sent}.age", _encrypted(content, made.recipients)
        found[sent] = body
    signatures = {
        f"{name}.minisig": signing.sign(key, body, f"file:{name.rpartition('/')[2]}")
        for name, body in found.items()
    }
    ready = _ready(made, found)
    last = {
        f"{made.name}.ready.minisig": signing.sign(key, ready, f"file:{made.name}.ready"),
        f"{made.name}.ready": ready,
    }
    return {**found, **signatures, **last}


def _ready(made: Parcel, sent: Mapping[str, bytes]) -> bytes:
    said = {
        "delivery": made.name,
        "export": made.export,
        "month": made.month,
        "release": made.release,
        "since": made.since,
        "rows": made.rows,
        "withdrawn": made.withdrawn,
        "withdrawn_in": made.withdrawn_in,
        "sha256": made.sha256,
        "acknowledge": f"{made.name}.ack",
        "files": [
            {"path": name, "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
            for name, body in sent.items()
        ],
    }
    return (json.dumps(said, indent=2) + "\n").encode()


def _encrypted(content: bytes, recipients: tuple[str, ...]) -> bytes:
    import pyrage

    try:
        keys = [pyrage.x25519.Recipient.from_str(key) for key in recipients]
    except pyrage.RecipientError:
        known = ", ".join(recipients)
        raise ConfigError([f"exports: age_recipients: expected age's keys, got {known}"]) from None
    body: bytes = pyrage.encrypt(content, keys)
    return body


def _read(export: Export, month: Month, folder: Path) -> Table | None:
    file = folder / "exports" / export.folder / f"{export.name}_{month}.parquet"
    if not file.exists():
        return None
    with warehouse.connect() as con:
        name = str(file).replace("'", "''")
        return exports.read(con, f"read_parquet('{name}')", export.key)


def _by_key(export: Export, table: Table) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    at = [table.columns.index(name) for name in export.key]
    return {tuple(row[i] for i in at): row for row in table.rows}


def _change(before: Mapping[Any, Any], after: Mapping[Any, Any], key: tuple[Any, ...]) -> str:
    if key not in before:
        return ADDED
    return CHANGED if key in after else REMOVED


def _gone(
    mapping: ExportMapping, export: Export, earlier: Sequence[Table], new: Table
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return rows that a mapping sent of earlier releases and sends no more, without results."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for table in earlier:
        found.update(_sendable(mapping, export, table))
    for key in _sendable(mapping, export, new):
        found.pop(key, None)
    named = {*IDENTITY, "display_name", "team_id", "team_name", "role"}
    return {
        key: {name: value if name in named else None for name, value in found[key].items()}
        for key in sorted(found)
    }


def _sendable(
    mapping: ExportMapping, export: Export, table: Table
) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = {
        key: dict(zip(table.columns, row, strict=True))
        for key, row in _by_key(export, table).items()
    }
    return {key: row for key, row in rows.items() if export_mappings.sends(mapping, row)}


def _mapped(
    mapping: ExportMapping,
    made: Parcel,
    sent: Table,
    gone: Mapping[tuple[Any, ...], Mapping[str, Any]],
    month: Month,
) -> Parcel:
    """Return a parcel with the file that the mapping names, and what is to be taken back.

    The file itself says so where it has a column for it; else a list beside it does.
    """
    left = [{ROW_CHANGE: ADDED, **dict(zip(sent.columns, row, strict=True))} for row in sent.rows]
    left = [row for row in left if row[ROW_CHANGE] != REMOVED]
    taken = [{**row, ROW_CHANGE: REMOVED} for row in gone.values()]
    in_file = export_mappings.says_changes(mapping)
    file = export_mappings.file_name(mapping, month, made.release)
    content, rows = export_mappings.render(
        mapping, _table([*left, *(taken if in_file else [])]), month, made.release
    )
    files = {file: content} if rows or made.since is None else {}
    if taken and not in_file:
        files[WITHDRAWN_FILE] = export_mappings.withdrawals(
            mapping, _table(taken), month, made.release
        )
    where = (file if in_file else WITHDRAWN_FILE) if taken else None
    return replace(
        made, files=files, rows=rows, withdrawn=len(taken), mapped=file, withdrawn_in=where
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return rows as a table; what one of them does not say is empty."""
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(names, ("",) * len(names), tuple(tuple(map(row.get, names)) for row in rows))


def _chosen(folder: Path, receiver: Receiver) -> dict[str, bytes]:
    """Return the files of the chosen formats, and a Data Package that lists no others."""
    package = folder / export_package.FILE
    said = json.loads(package.read_text(encoding="utf-8"))
    kept = [each for each in said["resources"] if each["format"] in receiver.formats]
    found = {str(each["path"]): (folder / each["path"]).read_bytes() for each in kept}
    text = package.read_bytes()
    if len(kept) < len(said["resources"]):
        text = export_package.as_bytes({**said, "resources": kept})
    return {**found, package.name: text}
