"""Signatures of final releases: which release needs one, and whether one of the ledger fits it.

Reads lines of the ledger and a staged folder; it may not ask anybody, or write anything. Why a
signature is a line bound to a hash: docs/decisions/0023-sign-off.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import ledger, months
from perfhouse.ledger import Line, Record

if TYPE_CHECKING:
    from perfhouse.release_label import Label
    from perfhouse.settings import Home

KIND = "sign_off"
APPROVED, REFUSED = "approved", "refused"
NOBODY = "nobody"
SAID = "sign_off"  # in release.json


@dataclass(frozen=True)
class Content:
    """What a signature is for: a release to the byte, and who answers for a restatement."""

    month: str
    release: str
    release_sha256: str
    restated_by: str = ""

    def what(self, answer: str, role: str) -> dict[str, str]:
        """Return what a line of the ledger says of an answer; `role`: approver, deputy, nobody."""
        said = {"month": self.month, "release": self.release, "answer": answer, "as": role}
        said["release_sha256"] = self.release_sha256
        return said | ({"restated_by": self.restated_by} if self.restated_by else {})

    def is_of(self, line: Line) -> bool:
        """Say whether a line is an answer to exactly this."""
        if not isinstance(line, Record) or line.kind != KIND:
            return False
        said = {**line.what, "restated_by": line.what.get("restated_by", "")}
        return all(said.get(name) == value for name, value in vars(self).items())


def answers(known: Iterable[Line], content: Content) -> list[Record]:
    """Return every answer to exactly this, the first one first."""
    return [line for line in known if isinstance(line, Record) and content.is_of(line)]


def last_answer(known: Iterable[Line], content: Content) -> Record | None:
    """Return the answer that counts: the last of a person, else that nobody answered, else None.

    So a deadline that passes takes no signature back.
    """
    found = answers(known, content)
    counting = [line for line in found if line.what["as"] != NOBODY] or found
    return counting[-1] if counting else None


def approval(known: Iterable[Line], content: Content) -> Record | None:
    """Return the line by which exactly this may go out, or None."""
    line = last_answer(known, content)
    return line if line is not None and line.what["answer"] == APPROVED else None


def is_needed(home: Home, label: Label, folder: Path) -> bool:
    """Say whether what is staged in a folder needs a signature before it goes out.

    A restatement always does; else a release that is final: its month has closed, and none of its
    KPIs is provisional.
    """
    if label.company.sign_off is None:
        return False
    if label.succession is not None and label.succession.reason is not None:
        return True
    is_past = months.is_past_close(label.company, home, label.month, label.as_of)
    return is_past and not months.provisional(folder)


def said(home: Home, label: Label, folder: Path, release_sha256: str) -> dict[str, Any]:
    """Return what release.json says of the signature: nothing where none is needed.

    `line` is the hash of the ledger's line, or None as long as nobody has signed.
    """
    if not is_needed(home, label, folder):
        return {}
    why = label.succession.reason if label.succession else None
    content = Content(label.month.key, label.name, release_sha256, why.by if why else "")
    line = approval(ledger.lines(ledger.ledger_path(home)), content)
    return {SAID: {"line": line.entry_sha256 if line else None}}


def content_of(manifest: Mapping[str, Any]) -> Content:
    """Return what a signature of this release.json must be for."""
    by = manifest.get("restatement", {}).get("by", "")
    return Content(manifest["month"], manifest["release"], manifest["release_sha256"], by)


def is_missing(manifest: Mapping[str, Any]) -> bool:
    """Say whether a release needs a signature that it does not have."""
    return SAID in manifest and manifest[SAID]["line"] is None


def problems(manifest: Mapping[str, Any], known: Iterable[Line], before: int | None) -> list[str]:
    """Say what does not hold of the signature that a release.json names.

    `before` is the number of the release's own line: one signs first.
    """
    if SAID not in manifest:
        return []
    line = next((each for each in known if each.entry_sha256 == manifest[SAID]["line"]), None)
    if line is None:
        return ["it needs a sign-off, and the ledger has no line of one"]
    if not content_of(manifest).is_of(line) or not _approves(line):
        return [f"line {line.sequence} of the ledger is no approval of what was released"]
    if before is not None and line.sequence > before:
        return [f"line {line.sequence} of the ledger signed it after it had gone out"]
    return []


def _approves(line: Line) -> bool:
    return isinstance(line, Record) and line.what.get("answer") == APPROVED
