"""The ledger's last line as this publisher noted it, outside of published/.

Who can write to published/ cannot change the note, so a ledger that was cut or written anew shows.
It may not read the ledger.
"""

from __future__ import annotations

import os
from pathlib import Path

from perfhouse.settings import Home


def path(home: Home) -> Path:
    """Return the note's file: ledger.head in the home."""
    return home.root / "ledger.head"


def noted(home: Home) -> str | None:
    """Return the hash of the line that was written last, or None if none was noted yet.

    Between a line and its note a publisher may die: then the note names the line before.
    """
    file = path(home)
    return (file.read_text(encoding="ascii").strip() or None) if file.exists() else None


def note(home: Home, entry_sha256: str) -> None:
    """Note the hash of a line that is in the ledger; complete or as it was."""
    file = path(home)
    draft = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(entry_sha256.encode("ascii") + b"\n")
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(file)
