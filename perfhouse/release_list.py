"""Every release there is: where it stands, since when, by whom, made from what.

Reads the ledger and each release.json; it changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from perfhouse import (
    hashing,
    ledger,
    months,
    release_fates,
    release_files,
    release_manifest,
    release_shown,
    sign_off,
)
from perfhouse.company_types import Company
from perfhouse.ledger import Entry, Record
from perfhouse.month import Month
from perfhouse.settings import Home


@dataclass(frozen=True)
class Listed:
    """One release.

    `state` is its month's (provisional, closed, restated) where it stands; else superseded or
    withdrawn. `published_at` is by the clock of the file, UTC: a release itself knows no time.
    `by` and `reason` are those of a restatement, or of the rollback that made it stand again.
    `is_shown`: readers of `published/current` see it; where it stands and is not shown, the next
    publish finishes what died. `signed_by` approved exactly this, where somebody did.
    """

    release: str
    month: str
    state: str
    is_current: bool
    is_shown: bool
    as_of: str
    published_at: str
    by: str | None
    reason: str | None
    follows: str | None
    change_count: int | None
    inputs_sha256: str
    merkle_root: str | None
    release_sha256: str
    signed_by: str | None = None


def releases(company: Company, home: Home, month: Month | None = None) -> list[Listed]:
    """List the releases of one month, or all, in the order they were published.

    Raises:
        ReleaseError: the ledger was changed (data engineer).
    """
    lines = ledger.lines(ledger.ledger_path(home))
    fates, shown = release_fates.fates(lines), release_shown.months(home.published)
    wanted = [line for line in lines if isinstance(line, Entry)]
    if month is not None:
        wanted = [entry for entry in wanted if entry.month == month.key]
    return [_listed(company, home, entry, fates[entry.name], lines, shown) for entry in wanted]


def _listed(
    company: Company,
    home: Home,
    entry: Entry,
    fate: str,
    lines: Sequence[ledger.Line],
    shown: Mapping[str, Path],
) -> Listed:
    folder = home.published / entry.path
    said = release_manifest.read_manifest(folder)
    is_current = fate == release_fates.STANDS
    state = months.state(company, home, Month(entry.month)).status if is_current else fate
    by, reason = _decided(entry, lines)
    signature = sign_off.approval(lines, sign_off.content_of(said))
    written = (folder / release_files.MANIFEST).stat().st_mtime
    return Listed(
        release=entry.name,
        month=entry.month,
        state=state,
        is_current=is_current,
        is_shown=shown.get(entry.month) == folder.resolve(),
        as_of=entry.as_of,
        published_at=datetime.fromtimestamp(int(written), UTC).isoformat(),
        by=by,
        reason=reason,
        follows=said.get("follows"),
        change_count=said.get("change_count"),
        inputs_sha256=hashing.sha256_of(said["inputs"]),
        merkle_root=entry.merkle_root,
        release_sha256=entry.release_sha256,
        signed_by=signature.who if signature else None,
    )


def _decided(entry: Entry, lines: Sequence[ledger.Line]) -> tuple[str | None, str | None]:
    """Return who decided last that this release stands, and why, if a person did."""
    rollbacks = [
        line
        for line in lines
        if isinstance(line, Record)
        and line.kind == ledger.ROLLED_BACK
        and line.what["release"] == entry.name
    ]
    last = rollbacks[-1] if rollbacks else None
    return (last.who, last.why) if last else (entry.by, entry.reason)


def as_json(found: Sequence[Listed]) -> str:
    """Return the list as JSON."""
    return json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=2)


def as_text(found: Sequence[Listed]) -> Iterator[str]:
    """Yield a line for each release, and why where a person decided."""
    for each in found:
        mark = "*" if each.is_current else " "
        root = (each.merkle_root or "-")[:12]
        yield (
            f"{mark} {each.release:<12} {each.state:<11} {each.published_at}  "
            f"inputs {each.inputs_sha256[:12]}  root {root}  by {each.by or '-'}"
        )
        if each.reason:
            yield f"    {each.reason}"
        if each.signed_by:
            yield f"    signed off by {each.signed_by}"
        if each.is_current and not each.is_shown:
            yield "    not shown yet: the next publish finishes it"
    yield "* stands: what readers see; by: who restated it or rolled back to it"
