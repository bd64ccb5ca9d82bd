"""What was asked of the approvers, and how it stands: one file a month, `sign_off/<month>.json`.

A note for people and notices; it may not let anything out: that is for the ledger's lines alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from perfhouse import ledger, release_manifest, restatement, sign_off, sign_off_form
from perfhouse.errors import NotSignedOff
from perfhouse.month import Month
from perfhouse.release_stage import Release
from perfhouse.settings import Home
from perfhouse.sign_off import Content

OPEN = "open"
_SECONDS = 3600.0
_STANDS = "该版本已发布,封账后尚未签发 · It stands already; its month has closed since, unsigned"


@dataclass(frozen=True)
class Request:
    """A release that waits for a signature: `state` is open, approved or refused.

    `asked_at`: seconds since 1970 by the disk's clock. `is_handed_over`: a deputy may answer.
    """

    content: Content
    asked_at: float
    form: Mapping[str, Any] = field(default_factory=dict)
    state: str = OPEN
    by: str = ""
    is_handed_over: bool = False

    def hours(self, now: float) -> float:
        """Return for how many hours it has waited."""
        return (now - self.asked_at) / _SECONDS


def require(home: Home, before: Release | None, staged: Release) -> None:
    """Let a staged release through if it needs no signature, or has one.

    Raises:
        NotSignedOff: it has none; what is to be signed is kept for the form (approver).
    """
    found = wanted(home, before, staged)
    if found is None:
        return
    asked = found.content
    raise NotSignedOff(
        f"{asked.release} ({asked.release_sha256[:12]}): a final release goes out when an approver "
        f"has signed exactly this content; nothing was published{_told(home, asked)}\n"
        f"to read what changes: perfhouse sign-off --month {asked.month}\n"
        f"to sign it: --approve {asked.release_sha256[:12]} --by LOGIN with the same command, then "
        "publish again as you did; under Airflow trigger `publish` for the month, which asks"
    )


def _told(home: Home, asked: Content) -> str:
    """Say what was answered before: a refusal, or a signature of other content."""
    known = ledger.lines(ledger.ledger_path(home))
    last = sign_off.last_answer(known, asked)
    if last is not None:
        return f"; {refusal(last)}"
    of_month = [
        line
        for line in known
        if isinstance(line, ledger.Record)
        and line.kind == sign_off.KIND
        and line.what["month"] == asked.month
        and line.what["answer"] == sign_off.APPROVED
    ]
    gone = {entry.release_sha256 for entry in ledger.entries(home)}
    if of_month and of_month[-1].what["release_sha256"] not in gone:
        sha256 = of_month[-1].what["release_sha256"][:12]
        return f"; what {of_month[-1].who} signed ({sha256}) is void, for the content has changed"
    return ""


def refusal(line: ledger.Record) -> str:
    """Tell who refused and why."""
    if line.what["as"] == sign_off.NOBODY:
        return f"nobody answered in time: {line.why}"
    return f"{line.who} refused: {line.why}"


def wanted(home: Home, before: Release | None, staged: Release) -> Request | None:
    """Keep and return what is to be signed of a staged release; None if nothing is."""
    manifest = release_manifest.read_manifest(staged.path)
    if not sign_off.is_missing(manifest):
        return None
    content = sign_off.content_of(manifest)
    known = read(home, staged.month)
    if known is not None and (known.content, known.state) == (content, OPEN):
        return known
    follows = manifest.get("follows", "").replace(".r", "/r")
    is_there = before is not None and before.sha256 == staged.sha256
    note = (
        "它已发布,尚无最终签字 · It stands already, without a final signature" if is_there else ""
    )
    told = sign_off_form.facts(
        manifest, staged.path, home.published / follows if follows else None, note
    )
    _keep_values(home, staged)
    return keep(home, Request(content, now(home), told))


def values_file(home: Home, month: Month) -> Path:
    """Return where every value that would change stands, if any would, for the operator alone."""
    return home.gates / month.key / "to_sign.csv"


def _keep_values(home: Home, staged: Release) -> None:
    """Keep the values that a staged release changes: the form tells counts, this who and what."""
    source, target = (
        staged.path / restatement.FOLDER / "changes.csv",
        values_file(home, staged.month),
    )
    target.unlink(missing_ok=True)
    if source.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_bytes(source.read_bytes())


def read(home: Home, month: Month) -> Request | None:
    """Return what was asked last of a month, or None."""
    file = _file(home, month.key)
    if not file.exists():
        return None
    said = json.loads(file.read_text(encoding="utf-8"))
    return Request(**{**said, "content": Content(**said["content"])})


def is_approved(home: Home, month: Month) -> bool:
    """Say whether what was asked last of a month was signed, and has not gone out."""
    known = read(home, month)
    return known is not None and known.state == sign_off.APPROVED


def keep(home: Home, request: Request) -> Request:
    """Write a request, complete or as it was; return it."""
    file = _file(home, request.content.month)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    text = json.dumps(asdict(request), ensure_ascii=False, indent=2, sort_keys=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(text.encode() + b"\n")
    draft.replace(file)
    return request


def answered(home: Home, content: Content, state: str, by: str) -> None:
    """Note the answer to a request, if it is the one that waits."""
    known = read(home, Month(content.month))
    if known is not None and known.content == content:
        keep(home, replace(known, state=state, by=by))


def done(home: Home, month: Month) -> None:
    """Forget what was asked of a month that went out: the ledger has what was answered."""
    for file in (_file(home, month.key), values_file(home, month)):
        file.unlink(missing_ok=True)


def now(home: Home) -> float:
    """Return the time by the clock of the home's disk, in seconds since 1970."""
    file = home.tmp / "sign_off.clock"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    return file.stat().st_mtime


def _file(home: Home, month: str) -> Path:
    return home.root / "sign_off" / f"{month}.json"
