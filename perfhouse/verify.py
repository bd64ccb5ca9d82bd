"""Verify the ledger, releases, cards and files with public data only: published/ and a key.

It writes nothing there, and needs neither a company nor a warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import (
    erased,
    ledger,
    verify_card,
    verify_file,
    verify_ledger,
    verify_release,
    verify_shown,
)
from perfhouse.errors import ConfigError
from perfhouse.release_shown import CURRENT
from perfhouse.verify_ledger import VerifiedLedger

if TYPE_CHECKING:
    from minisign import PublicKey

_NAME = re.compile(r"\d{4}-\d{2}\.r\d+")
_TRIES = 5  # while a publisher goes on


@dataclass(frozen=True)
class Verification:
    """What was verified, what does not hold (nothing, if all does), and what else to know."""

    subject: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def verify(
    published: Path,
    what: str | None,
    keys: Sequence[PublicKey],
    head: str | None = None,
    *,
    allow_unsigned: bool = False,
) -> Verification:
    """Verify a card or another file, a release by its name, or everything that is published.

    Args:
        published: the folder with ledger.jsonl and the releases; for a card it may be missing.
        what: a path, a name such as `2026-09.r1`, or None for all.
        keys: the public keys that are trusted.
        head: the hash of a ledger line that was noted before and must still be there.
        allow_unsigned: a ledger without any signature is of before releases were signed.

    Raises:
        ConfigError: there is no such file or release (whoever asked).
    """
    for _ in range(_TRIES):
        before = _moment(published)
        said = verify_ledger.verified(published, keys, head, allow_unsigned=allow_unsigned)
        found = _of(published, what, said, keys)
        if not found.problems or _moment(published) == before:
            break  # else a publisher moved it meanwhile: what was read is of two moments
    return found


def _moment(published: Path) -> tuple[bytes, str, list[str]]:
    """Return what a publisher, a rollback and an erasure change: ledger, link and folders."""
    file, link = published / ledger.LEDGER, published / CURRENT
    shown = str(link.readlink()) if link.is_symlink() else ""
    return file.read_bytes() if file.exists() else b"", shown, sorted(_releases(published))


def _releases(published: Path) -> set[str]:
    found = published.glob("[0-9]*/r[0-9]*")
    return {path.relative_to(published).as_posix() for path in found if path.is_dir()}


def _of(
    published: Path, what: str | None, said: VerifiedLedger, keys: Sequence[PublicKey]
) -> Verification:
    if what is None:
        return _everything(published, said, keys)
    if _NAME.fullmatch(what):
        return _release(published, what, said, keys)
    path = Path(what)
    if not path.is_file():
        raise ConfigError([f"verify: expected a file or a release such as 2026-09.r1: {what!r}"])
    found = verify_file.altered(path, published, said)
    if found is None:
        page = path.read_bytes()
        shown = verify_card.shown(page)
        if "proof" in shown:
            problems, notes = verify_card.problems_and_notes(page, shown, said, keys)
            return Verification(path.name, tuple(problems), tuple(notes))
        found = verify_file.match(path, published, said, keys)
    if found is None:
        found = verify_file.Match((), ("no release at hand holds these bytes",))
    return Verification(path.name, (*said.problems, *found.problems), found.notes)


def _release(
    published: Path, name: str, said: VerifiedLedger, keys: Sequence[PublicKey]
) -> Verification:
    entry = said.entry(name)
    if entry is None:
        known = ", ".join(each.name for each in said.entries) or "none"
        raise ConfigError([f"release: expected one of {known}; got {name!r}"])
    found = [*said.problems, *verify_release.problems(published, entry.path, entry, keys)]
    found += verify_release.signatures(published, [entry], said)
    of_release = said.erasures(published / entry.path)
    notes = (*said.notes, *verify_ledger.unsigned([entry]), *of_release)
    return Verification(name, tuple(found), notes)


def _everything(published: Path, said: VerifiedLedger, keys: Sequence[PublicKey]) -> Verification:
    problems = list(said.problems)
    known = {entry.path: entry for entry in said.entries}
    there = _releases(published)
    for path in sorted({*known, *there}):
        if path not in known and not said.problems:
            problems.append(f"published/{path}: the ledger does not name it")
        problems += verify_release.problems(published, path, known.get(path), keys)
    problems += verify_release.signatures(published, said.entries, said)
    if said.entries and not problems:
        problems += verify_shown.problems(published, ledger.standing(said.lines))
    named = {line.what["file"] for line in erased.of_lines(said.lines)}
    for file in sorted(published.glob(f"{erased.FOLDER}/*")):
        if file.relative_to(published).as_posix() not in named and not said.problems:
            problems.append(f"published/{erased.FOLDER}/{file.name}: the ledger does not name it")
    if published.is_dir():
        problems += verify_shown.strays(published, {*known, *there})
    if not said.lines and not there:
        problems.append(f"{published}: nothing is published there")
    notes = [
        *said.notes,
        f"{len(there)} releases",
        *verify_ledger.unsigned(said.entries),
        *said.erasures(),
        *verify_shown.notes(published),
    ]
    return Verification(str(published), tuple(problems), tuple(notes))
