"""Whether delivered files are there whole: settled, marked as done, or with the right checksum.

Looks at names, times and sidecars; a file itself is only read for its checksum.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from connectors.remote import Drop, Entry
from perfhouse.company import Source, StreamMapping
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing

COMPLETE = ("none", "settled", "done", "checksum")
SETTLE_MINUTES = 5
_MARK = "_SUCCESS"
_SUMS = {".sha256": "sha256", ".md5": "md5"}
_BESIDE = (".done", *_SUMS)  # names that speak of a data file and are none
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", "~")
_SUM = re.compile(r"^\\?([0-9a-fA-F]{32}|[0-9a-fA-F]{64})\b")


@dataclass(frozen=True)
class Wanted:
    """A complete file: how it was listed, and the checksum its owner gave it."""

    entry: Entry
    algorithm: str = ""
    checksum: str = ""

    @property
    def path(self) -> str:
        """Return the path below the source's url."""
        return self.entry.path


def is_data(name: str) -> bool:
    """Tell a file's name from those of hidden, unfinished and accompanying files."""
    lower = name.lower()
    return not (
        name.startswith((".", "~$")) or name == _MARK or lower.endswith((*_UNFINISHED, *_BESIDE))
    )


def asked_of(drop: Drop, source: Source, stream: StreamMapping) -> tuple[str, timedelta]:
    """Return how files of a stream tell that they are whole, and how long they must rest.

    Raises:
        ConfigError: an option is not one of ours (operator).
    """
    options = {**source.options, **stream.options}
    where = f"{source.id}.{stream.stream}"
    # What starts by itself must not take a file that somebody is still writing.
    unattended = drop.is_remote or source.watch
    mode = options.get("complete", "settled" if unattended else "none")
    minutes = options.get("settle_minutes", SETTLE_MINUTES)
    if mode not in COMPLETE:
        raise ConfigError(
            [f"{where}.complete: expected one of {', '.join(COMPLETE)}, got {mode!r}"]
        )
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or minutes < 0:
        raise ConfigError([f"{where}.settle_minutes: expected minutes from 0, got {minutes!r}"])
    return str(mode), timedelta(minutes=minutes)


def complete(
    drop: Drop, entries: Sequence[Entry], mode: str, settle: timedelta, where: str, owner: str
) -> list[Wanted]:
    """Return the files when every one is there whole; else SourceMissing names the first."""
    if mode == "settled":
        late = _unsettled(drop, entries, settle)
        wanted = [Wanted(entry) for entry in entries]
    elif mode == "done":
        late = _unmarked(drop, entries)
        wanted = [Wanted(entry) for entry in entries]
    elif mode == "checksum":
        wanted, late = _summed(drop, entries, where, owner)
    else:
        return [Wanted(entry) for entry in entries]
    if late:
        raise SourceMissing(
            f"{where}: {late[0]}, as of {len(late)} of {len(entries)} files; nothing was landed, "
            f"it is tried again; if it stays so, ask the source's owner: {owner}"
        )
    return wanted


def _unsettled(drop: Drop, entries: Sequence[Entry], settle: timedelta) -> list[str]:
    now = drop.now()
    said = f"was written less than {settle.total_seconds() / 60:g} minutes ago"
    return [f"{e.path} {said}" for e in entries if now - e.changed < settle.total_seconds()]


def _beside(drop: Drop, entries: Sequence[Entry]) -> dict[str, Entry]:
    """Return every file that lies in a folder of these, by path."""
    folders = dict.fromkeys(entry.path.rpartition("/")[0] for entry in entries)
    return {e.path: e for folder in folders for e in drop.entries(folder) if not e.is_folder}


def _unmarked(drop: Drop, entries: Sequence[Entry]) -> list[str]:
    """List files without a mark that is at least as new as they are."""
    beside = _beside(drop, entries)
    late = []
    for entry in entries:
        folder = entry.path.rpartition("/")[0]
        marks = (f"{entry.path}.done", f"{folder}/{_MARK}" if folder else _MARK)
        found = [beside[mark] for mark in marks if mark in beside]
        if not found:
            late.append(f"{entry.path} has neither {entry.name}.done nor {_MARK} beside it")
        elif max(mark.changed for mark in found) < entry.changed:
            late.append(f"{entry.path} is newer than the mark beside it")
    return late


def _summed(
    drop: Drop, entries: Sequence[Entry], where: str, owner: str
) -> tuple[list[Wanted], list[str]]:
    beside = _beside(drop, entries)
    wanted, late = [], []
    for entry in entries:
        named = [(s, beside[entry.path + s]) for s in _SUMS if entry.path + s in beside]
        if not named:
            late.append(f"{entry.path} has no {' or '.join(_SUMS)} file beside it")
            continue
        suffix, sidecar = named[0]
        text = drop.read(sidecar, 4096).decode("ascii", "replace").strip()
        match = _SUM.match(text)
        if match is None or len(match[1]) != hashlib.new(_SUMS[suffix]).digest_size * 2:
            raise SourceChanged(
                f"{where}: {sidecar.path} holds no {_SUMS[suffix]} checksum; nothing was landed; "
                f"ask the source's owner: {owner}"
            )
        wanted.append(Wanted(entry, _SUMS[suffix], match[1].lower()))
    return wanted, late


def check_sum(drop: Drop, item: Wanted, path: Path) -> None:
    """Raise SourceMissing unless a fetched file has the checksum that its owner gave, if any."""
    if not item.checksum:
        return
    with path.open("rb") as handle:
        found = hashlib.file_digest(handle, item.algorithm).hexdigest()
    if found != item.checksum:
        raise SourceMissing(
            f"{drop.where}: {item.path} does not have its {item.algorithm} checksum: it is still "
            "being written, or was damaged on its way; nothing was archived"
        )
