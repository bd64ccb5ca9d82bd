"""What this installation goes by: a ledger that it wrote, and releases as they were signed.

Whoever can write to published/ can put anything there, so whoever acts on it asks here first. It
may not write the ledger or change a release. Why: docs/decisions/0014-evidence.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import erased, evidence, ledger, ledger_head, release_manifest, signing
from perfhouse.errors import ReleaseError
from perfhouse.lake import file_sha256
from perfhouse.ledger import Entry, Line
from perfhouse.release_files import CHECKSUM, MANIFEST
from perfhouse.settings import Home

if TYPE_CHECKING:
    from minisign import PublicKey

_TOLD = 5
_LEDGER = f"published/{ledger.LEDGER}"
_SIGNED = (MANIFEST, CHECKSUM, evidence.ROOT)


def lines(home: Home) -> list[Line]:
    """Read the ledger, if it is the one that this installation wrote.

    It holds the line that was noted last, and every later line is signed with our key. Where
    nothing was noted yet, no line without our signature follows the first that is signed.

    Raises:
        ReleaseError: it was changed, cut, written anew or gone on with (data engineer).
    """
    head = ledger_head.noted(home)  # first: a publisher at work notes what it has written
    found = ledger.lines(ledger.ledger_path(home))
    known = [line.entry_sha256 for line in found]
    if head is None:
        is_signed = [line.signature is not None for line in found]
        since = is_signed.index(True) if any(is_signed) else len(found)
    elif head in known:
        since = known.index(head) + 1
    else:
        raise ReleaseError(
            f"{_LEDGER}: it lacks the line {head}, which was written last: it was cut or replaced. "
            "Put the right one back; or, if an older state is meant, delete "
            f"{ledger_head.path(home)}"
        )
    keys = signing.trusted_keys(home, earlier=head is None)
    for line in found[since:]:
        if not ledger.is_signed(line, keys):
            raise ReleaseError(
                f"{_LEDGER}: line {line.sequence} is not signed with a key of ours: somebody else "
                "wrote it. Put the right ledger back; of an earlier key of ours the public half "
                f"belongs in {home.secrets}/release-1.pub"
            )
    return found


def require_intact(home: Home, entry: Entry) -> None:
    """Refuse a release that is not to the byte what its line of a trusted ledger says.

    Raises:
        ReleaseError: a file, a signature, release.json or a table was changed (data engineer).
    """
    found = list(problems(home.published / entry.path, entry, signing.trusted_keys(home)))
    _refuse(entry, found)


def require_tables(home: Home, entry: Entry) -> None:
    """Refuse a release of which release.json or a Parquet file is not what was published.

    Raises:
        ReleaseError: it was changed (data engineer).
    """
    folder = home.published / entry.path
    found = list(of_manifest(folder, entry, signing.trusted_keys(home)))
    if not found:
        listed = release_manifest.read_manifest(folder)["files"]
        listed = erased.applied(listed, erased.of_release(folder).files)
        said = {name: of["sha256"] for name, of in listed.items() if name.startswith("parquet/")}
        there = {f"parquet/{p.name}": file_sha256(p) for p in (folder / "parquet").iterdir()}
        found = release_manifest.differences("file", said, there)
    _refuse(entry, found)


def _refuse(entry: Entry, found: Sequence[str]) -> None:
    if found:
        told = "; ".join(found[:_TOLD])
        raise ReleaseError(f"published/{entry.path}: not intact: {told}")


def problems(folder: Path, entry: Entry | None, keys: Sequence[PublicKey]) -> Iterator[str]:
    """Say what does not hold of a release: signatures, what its line says, every file and table.

    `entry` is its line; without one everything must be signed.
    """
    told = list(of_manifest(folder, entry, keys))
    yield from told
    yield from (each for each in release_manifest.problems(folder) if each not in told)


def of_manifest(folder: Path, entry: Entry | None, keys: Sequence[PublicKey]) -> Iterator[str]:
    """Say what does not hold of a release's signatures, and of release.json by its line."""
    for name in _SIGNED if entry is None or entry.signature is not None else ():
        if not evidence.is_signed(folder / name, keys):
            yield f"{name} or its signature was changed, or is not of this key"
    found = release_manifest.unlisted(folder)
    yield from found
    if entry is None or found:
        return
    said = release_manifest.read_manifest(folder)
    root = said.get("evidence", {}).get("merkle_root")
    claims = said["release"], said["release_sha256"], root
    if claims != (entry.name, entry.release_sha256, entry.merkle_root):
        yield f"{MANIFEST} is not what line {entry.sequence} of the ledger says"


def adoptable(home: Home, folder: Path) -> Mapping[str, Any]:
    """Return release.json of a release that was cut over by a publisher who died before its line.

    It was sealed by our own key as the next line after the last one that there is.

    Raises:
        ReleaseError: it is another's, not intact, or of another time (data engineer).
    """
    own = [signing.release_key(home).get_public_key()]
    found = list(problems(folder, None, own))
    said: Mapping[str, Any] = {}
    if not found:
        said = release_manifest.read_manifest(folder)
        place = f"{folder.parent.name}.{folder.name}"
        if (said["release"], said.get("after")) != (place, ledger.head(lines(home))):
            found = ["it was not made to follow the last line of the ledger in this place"]
    if found:
        raise ReleaseError(
            f"{folder.relative_to(home.published)}: not in the ledger and not intact "
            f"({'; '.join(found[:_TOLD])}); move the folder out of published/ and publish again"
        )
    return said
