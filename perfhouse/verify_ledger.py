"""The ledger, verified with public keys only: which lines hold, and what they say was erased.

It writes nothing; what the lines name is verified in `verify_release` and `verify_card`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse import erased, ledger
from perfhouse.errors import ReleaseError
from perfhouse.ledger import Entry

if TYPE_CHECKING:
    from minisign import PublicKey


_UNSIGNED = ": whoever can write there may have made it (of before signing: --allow-unsigned)"


@dataclass(frozen=True)
class VerifiedLedger:
    """The lines that hold, what does not hold, and what else to know."""

    lines: Sequence[ledger.Line]
    problems: Sequence[str]
    notes: Sequence[str]

    @property
    def entries(self) -> list[Entry]:
        """Return the lines that are releases."""
        return [line for line in self.lines if isinstance(line, Entry)]

    def erasures(self, folder: Path | None = None) -> list[str]:
        """Tell of the erasures on record, or of those that altered one release."""
        found = erased.of_lines(self.lines)
        if folder is not None:
            try:
                altering = erased.of_release(folder).lines
            except ReleaseError:
                return []  # told as a problem of the release
            found = [line for line in found if line.sequence in altering]
        return [erased.told(line) for line in found]

    def entry(self, name: str) -> Entry | None:
        """Return the line of a release, such as `2026-09.r1`."""
        return next((entry for entry in self.entries if entry.name == name), None)


def verified(
    published: Path,
    keys: Sequence[PublicKey],
    head: str | None,
    *,
    allow_unsigned: bool = False,
) -> VerifiedLedger:
    """Read published/ledger.jsonl up to the first line that does not hold.

    Args:
        published: the folder with ledger.jsonl; it may be missing.
        keys: the public keys that are trusted.
        head: the hash of a line that was noted before and must still be there.
        allow_unsigned: a ledger without any signature is of before releases were signed.
    """
    file = published / ledger.LEDGER
    if not file.exists():
        missing = [f"no line of the ledger has the hash {head}"] if head else []
        return VerifiedLedger([], missing, [f"no {ledger.LEDGER} at hand"])
    lines, broken = ledger.read(file)
    problems = [broken] if broken else []
    if not file.read_bytes().endswith(b"\n"):
        problems.append(f"published/{ledger.LEDGER}: its last line is torn")
    signed = [line.signature is not None for line in lines]
    if lines and not any(signed) and not allow_unsigned:
        problems.append(f"published/{ledger.LEDGER}: no line is signed{_UNSIGNED}")
    for line in lines[signed.index(True) if any(signed) else len(lines) :]:
        if not ledger.is_signed(line, keys):
            where = f"published/{ledger.LEDGER}: line {line.sequence}"
            problems.append(f"{where} is not signed with this key")
    if head and not any(line.entry_sha256 == head for line in lines):
        problems.append(f"no line of the ledger has the hash {head}: it was cut or replaced")
    last = lines[-1].entry_sha256 if lines else "-"
    return VerifiedLedger(
        lines, problems, [f"ledger: {len(lines)} lines hold, the last has hash {last}"]
    )


def unsigned(entries: Sequence[Entry]) -> list[str]:
    """Tell of the releases that were published before releases were signed."""
    names = [entry.name for entry in entries if entry.signature is None]
    return [f"unsigned, of before releases were signed: {', '.join(names)}"] if names else []
