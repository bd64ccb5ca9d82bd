"""Which published file is this? Told by its bytes, and only of what a signature leads to.

It writes nothing, and reads no more of a release than its signed lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import erased, evidence, ledger, release_manifest, trust, verify_ledger, verify_shown
from perfhouse.errors import ReleaseError
from perfhouse.lake import file_sha256
from perfhouse.release_files import CHECKSUM, DATABASE, MANIFEST
from perfhouse.verify_ledger import VerifiedLedger

if TYPE_CHECKING:
    from minisign import PublicKey

_SIGNED = (MANIFEST, CHECKSUM, evidence.ROOT)
_KEY = (
    "a public key, which nothing signs: compare its second line with the one that was given out "
    "on another way"
)


@dataclass(frozen=True)
class Match:
    """What a file is, and why that does not hold, if it does not."""

    notes: tuple[str, ...]
    problems: tuple[str, ...] = ()


def altered(path: Path, published: Path, said: VerifiedLedger) -> Match | None:
    """Recognise a file that an erasure altered: a card's proof is that of the page before."""
    sha256 = file_sha256(path)
    for entry in said.entries if erased.of_lines(said.lines) else ():
        folder = published / entry.path
        try:
            since = erased.of_release(folder)
        except ReleaseError as error:
            return Match((), (str(error),))
        listed = {name: of["sha256"] for name, of in since.files.items() if of is not None}
        own = {MANIFEST: since.manifest_sha256, DATABASE: since.database_sha256}
        known = {**listed, **since.sealed, **own}
        name = next((name for name, of in known.items() if of == sha256), None)
        if name is not None:
            return Match((f"{name} of {entry.name}, altered since", *said.erasures(folder)))
    return None


def match(
    path: Path, published: Path, said: VerifiedLedger, keys: Sequence[PublicKey]
) -> Match | None:
    """Find a file among those that the ledger or a release names; None if it is none of them."""
    sha256 = file_sha256(path)
    return next(_beside(sha256, published, said), None) or next(
        _of_releases(sha256, published, said, keys), None
    )


def _beside(sha256: str, published: Path, said: VerifiedLedger) -> Iterator[Match]:
    """Yield what it is of the files that belong to no release."""
    if sha256 == _sha256(published / ledger.LEDGER):
        yield Match((f"{ledger.LEDGER}, the ledger itself", *said.notes))
    for line in erased.of_lines(said.lines):
        if sha256 == line.what["sha256"]:
            yield Match((f"{line.what['file']}, which line {line.sequence} names",))
    if sha256 == _sha256(published / DATABASE):
        wrong = tuple(verify_shown.problems(published, ledger.standing(said.lines)))
        yield Match((f"{DATABASE} of all months, compared with the releases it shows",), wrong)
    for key in sorted(published.glob("release*.pub")):
        if sha256 == _sha256(key):
            yield Match((), (_KEY,))


def _of_releases(
    sha256: str, published: Path, said: VerifiedLedger, keys: Sequence[PublicKey]
) -> Iterator[Match]:
    for entry in said.entries:
        folder = published / entry.path
        name = next((name for name, of in _named(folder).items() if of == sha256), None)
        if name is not None:
            told = (f"{name} of {entry.name}", *verify_ledger.unsigned([entry]))
            yield Match(told, tuple(trust.of_manifest(folder, entry, keys)))


def _named(folder: Path) -> Mapping[str, str | None]:
    """Return what a release lists, and the signed lists themselves with their signatures."""
    own = [*_SIGNED, *(name + evidence.SIGNED for name in _SIGNED)]
    named: dict[str, str | None] = {name: _sha256(folder / name) for name in own}
    try:
        manifest = release_manifest.read_manifest(folder)
        named |= {name: of["sha256"] for name, of in manifest["files"].items()}
        named |= manifest.get("evidence", {}).get("files", {})
        named[DATABASE] = (folder / CHECKSUM).read_text("ascii").split()[0]
    except (OSError, ValueError, LookupError, AttributeError, TypeError, ReleaseError):
        return named  # it is not at hand, or no longer what it was
    return named


def _sha256(file: Path) -> str | None:
    return file_sha256(file) if file.is_file() else None
