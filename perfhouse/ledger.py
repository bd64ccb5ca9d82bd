"""The ledger: the chained, signed list of what is published, and of what people decided about it.

It may not build, judge or move a release; it only records that one stands.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import formats, ledger_head, signing
from perfhouse.durable import sync_folder
from perfhouse.errors import ReleaseError
from perfhouse.hashing import canonical_json, sha256_of
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from minisign import PublicKey, SecretKey

# What a person may have put on record about what is published.
KINDS = ("accepted", "approved", "appealed", "decided")
# A line of this kind makes another release of a month stand; only `rollback` writes it.
ROLLED_BACK = "rolled_back"
LEDGER = "ledger.jsonl"
_GENESIS = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; `previous_sha256` chains it to the line before.

    `reason` and `by` stand only in the line of a restatement; `merkle_root` and `signature` (of
    `entry_sha256`, as minisign writes it) in lines since releases are signed.
    """

    sequence: int
    month: str
    number: int
    as_of: str
    path: str
    release_sha256: str
    previous_sha256: str
    entry_sha256: str
    reason: str | None = None
    by: str | None = None
    merkle_root: str | None = None
    signature: str | None = None

    @property
    def name(self) -> str:
        """Return the release's name, such as `2026-09.r1`."""
        return f"{self.month}.r{self.number}"


@dataclass(frozen=True)
class Record:
    """A line that is no release: what a person decided, of `kind`, about `what`, and why.

    `what` names things by word: release, month, check, keys, manager, kpi. `at` is the day the
    person gave, for no clock is asked.
    """

    sequence: int
    kind: str
    what: Mapping[str, str]
    who: str
    why: str
    previous_sha256: str
    entry_sha256: str
    at: str | None = None
    signature: str | None = None


Line = Entry | Record


def ledger_path(home: Home) -> Path:
    """Return the ledger's file: published/ledger.jsonl."""
    return home.published / LEDGER


def entries(home: Home) -> list[Entry]:
    """Read the ledger's releases and verify its chain; a torn last line is left out.

    Raises:
        ReleaseError: a line was changed, moved or removed (data engineer).
    """
    return [line for line in lines(ledger_path(home)) if isinstance(line, Entry)]


def lines(file: Path) -> list[Line]:
    """Read every line of a ledger and verify its chain, as `entries` does."""
    found, broken = read(file)
    if broken:
        raise ReleaseError(broken)
    return found


def read(file: Path) -> tuple[list[Line], str | None]:
    """Read the lines of a ledger up to the first that does not hold; say what is wrong with it."""
    found: list[Line] = []
    names: set[str] = set()
    for line in _whole_lines(file):
        try:
            found.append(_verified(line, found[-1] if found else None, names))
        except ReleaseError as error:
            return found, str(error)
        if isinstance(found[-1], Entry):
            names.add(found[-1].name)
    return found, None


def head(known: Sequence[Line]) -> str:
    """Return the hash of the last of these lines, to which the next one is chained."""
    return known[-1].entry_sha256 if known else _GENESIS


def is_signed(line: Line, keys: Sequence[PublicKey]) -> bool:
    """Say whether one of these keys signed a line."""
    text = str(line.signature).encode()
    return any(signing.verify(key, line.entry_sha256.encode(), text) for key in keys)


def latest(home: Home, month: Month) -> Entry | None:
    """Return the release of a month that stands: its newest, unless it was rolled back; or None."""
    return standing(lines(ledger_path(home))).get(month.key)


def newest(home: Home) -> list[Entry]:
    """List the release of every month that stands, in the order of the months."""
    found = standing(lines(ledger_path(home)))
    return [found[key] for key in sorted(found)]


def standing(known: Iterable[Line]) -> dict[str, Entry]:
    """Return the release of every month that stands after these lines, by month."""
    named: dict[str, Entry] = {}
    found: dict[str, Entry] = {}
    for line in known:
        if isinstance(line, Entry):
            named[line.name] = found[line.month] = line
        elif line.kind == ROLLED_BACK:
            found[line.what["month"]] = named[line.what["release"]]
    return found


def next_number(home: Home, month: Month) -> int:
    """Return the number of a month's next release; a number is never given twice."""
    return max((e.number for e in entries(home) if e.month == month.key), default=0) + 1


def append(
    home: Home,
    *,
    month: Month,
    number: int,
    as_of: Month,
    path: str,
    release_sha256: str,
    restatement: Mapping[str, str] | None = None,
    merkle_root: str | None = None,
    key: SecretKey | None = None,
) -> Entry:
    """Append one release and sync it to disk; the caller holds the publisher's lock."""
    body: dict[str, Any] = {
        "month": month.key,
        "number": number,
        "as_of": as_of.key,
        "path": path,
        "release_sha256": release_sha256,
    }
    if restatement:
        body |= {"reason": restatement["reason"], "by": restatement["by"]}
    if merkle_root:
        body["merkle_root"] = merkle_root
    return Entry(**_append(home, body, key))


def record(
    home: Home,
    *,
    kind: str,
    what: Mapping[str, str],
    who: str,
    why: str,
    key: SecretKey,
    at: str | None = None,
) -> Record:
    """Append what a person decided; the caller holds the publisher's lock."""
    body: dict[str, Any] = {"kind": kind, "what": dict(what), "who": who, "why": why}
    if at:
        body["at"] = at
    return Record(**_append(home, body, key))


def _append(home: Home, body: dict[str, Any], key: SecretKey | None) -> dict[str, Any]:
    file = ledger_path(home)
    known = lines(file)
    body["sequence"] = len(known) + 1
    body["previous_sha256"] = head(known)
    body["entry_sha256"] = sha256_of(body)
    if key is not None:
        content, comment = body["entry_sha256"].encode(), f"ledger {body['sequence']}"
        body["signature"] = signing.sign(key, content, comment).decode("ascii")
    created = not file.exists()
    with file.open("ab", buffering=0) as handle:
        size = handle.seek(0, os.SEEK_END)
        try:
            _write_whole(handle, canonical_json(body) + b"\n")
            os.fsync(handle.fileno())
        except OSError:
            handle.truncate(size)  # a full disk leaves no torn line
            raise
    if created:
        sync_folder(file.parent)
    ledger_head.note(home, body["entry_sha256"])
    return body


def _write_whole(handle: FileIO, content: bytes) -> None:
    while content:
        content = content[handle.write(content) :]


def repair(home: Home) -> bool:
    """Cut a torn last line off, which only a crash in `append` leaves; True if there was one."""
    file = ledger_path(home)
    if not file.exists():
        return False
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole == len(content):
        return False
    with file.open("r+b") as handle:
        handle.truncate(whole)
        os.fsync(handle.fileno())
    return True


def _whole_lines(file: Path) -> list[bytes]:
    if not file.exists():
        return []
    return file.read_bytes().split(b"\n")[:-1]


def _require_known(where: str, body: Mapping[str, Any]) -> None:
    refused = formats.too_new(where, body, formats.LEDGER)
    if refused:
        raise ReleaseError(refused)


def _verified(line: bytes, before: Line | None, names: Collection[str]) -> Line:
    expected = before.sequence + 1 if before else 1
    try:
        body: Mapping[str, Any] = json.loads(line)
        _require_known(f"published/{LEDGER}: line {expected}", body)
        entry: Line = Record(**body) if "kind" in body else Entry(**body)
    except (ValueError, TypeError) as error:
        raise ReleaseError(f"published/ledger.jsonl: line {expected} is not an entry") from error
    hashed = {k: v for k, v in body.items() if k not in ("entry_sha256", "signature")}
    previous = before.entry_sha256 if before else _GENESIS
    intact = entry.entry_sha256 == sha256_of(hashed) and entry.previous_sha256 == previous
    if not intact or entry.sequence != expected or line != canonical_json(body):
        of = f"{entry.month} r{entry.number}" if isinstance(entry, Entry) else entry.kind
        raise ReleaseError(
            f"published/ledger.jsonl: line {expected} ({of}) "
            "does not fit the chain; it was changed, moved or the line before was removed"
        )
    if isinstance(entry, Record) and entry.kind == ROLLED_BACK:
        name, month = entry.what.get("release", ""), entry.what.get("month", "")
        if name not in names or not name.startswith(f"{month}.r"):
            raise ReleaseError(
                f"published/ledger.jsonl: line {expected} (rolled_back) names no release before it"
            )
    return entry
