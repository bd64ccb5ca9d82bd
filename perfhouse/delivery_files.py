"""What one receiver gets of one release: its files, encrypted and signed, and the ready file.

Reads a release's exports and changes none; it may not send anything or remember what was sent.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import export_mappings, export_package, exports, signing, warehouse
from perfhouse.errors import ConfigError
from perfhouse.export_types import Receiver
from perfhouse.exports import Export, Table
from perfhouse.ledger import sha256_of
from perfhouse.month import Month

if TYPE_CHECKING:
    from minisign import SecretKey

ROW_CHANGE = "row_change"
_EXPORTS = {export.folder: export for export in (exports.HR, exports.PAYROLL)}


@dataclass(frozen=True)
class Parcel:
    """One delivery before it is encrypted: `files` by name, `rows` that are in them.

    They are put in a folder of the delivery's name, unless a mapping named its one file.
    `since` is the release that the receiver has accepted, where only the difference is sent;
    `withdrawn` counts rows that a mapping cannot send because they are no more.
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
    is_mapped: bool

    @property
    def sha256(self) -> str:
        """Return what tells this delivery from others: its contents and whom they are for."""
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}
        return sha256_of({"files": hashes, "recipients": sorted(self.recipients)})


def parcel(
    receiver: Receiver, month: Month, release: str, folder: Path, before: tuple[str, Path] | None
) -> Parcel | None:
    """Return what a receiver is to get of a release; None if its release has no such export.

    `before`: name and folder of the release that the receiver accepted last. Then only the rows
    that differ are sent, with a column `row_change`: added, changed or removed.
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
        receiver.age_recipients, receiver.mapping is not None,
    )  # fmt: skip
    if receiver.mapping is not None:
        return _mapped(receiver, made, sent, month)
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
        sent, body = name if made.is_mapped else f"{made.name}/{name}", content
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
        return "added"
    return "changed" if key in after else "removed"


def _mapped(receiver: Receiver, made: Parcel, sent: Table, month: Month) -> Parcel:
    mapping = receiver.mapping
    assert mapping is not None  # noqa: S101
    kept = sent
    if ROW_CHANGE in sent.columns:
        rows = tuple(row for row in sent.rows if row[-1] != "removed")
        kept = Table(sent.columns, sent.types, rows)
    content, rows_in = export_mappings.render(mapping, kept, month, made.release)
    name = export_mappings.file_name(mapping, month, made.release)
    return replace(
        made, files={name: content}, rows=rows_in, withdrawn=len(sent.rows) - len(kept.rows)
    )


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
