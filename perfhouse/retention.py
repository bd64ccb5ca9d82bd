"""Delete what is kept no longer, as the company's `[retention]` says; releases stay for good.

Ages are counted in months before the newest published one: no clock decides what goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfhouse import ledger, release, stages
from perfhouse.company_look_back import months_back
from perfhouse.errors import ConfigError
from perfhouse.ledger import Record
from perfhouse.month import Month
from perfhouse.settings import Home

KIND = "deleted"  # of a ledger's line; only `perfhouse retention` writes one
_AS_EVER: Mapping[str, int] = {}
_MONTH = re.compile(r"^(?:month=)?(\d{4}-\d{2})$")


@dataclass(frozen=True)
class Due:
    """Files of one kind and month that are kept no longer."""

    kind: str
    month: str
    files: tuple[Path, ...]
    bytes: int


def due(
    home: Home, kept: Mapping[str, int], newest: Month, look_back: Mapping[str, int] = _AS_EVER
) -> list[Due]:
    """List what is older than it is kept for, by kind and month; `newest` is the month 0.

    `look_back`: the company's, months by stream.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    for kind, months in kept.items():
        for file in _FILES[kind](home):
            month = _month_of(file, home)
            if month is not None and month < newest.plus(
                -months - _needed(kind, file, home, look_back)
            ):
                found.setdefault((kind, month.key), []).append(file)
    return [
        Due(kind, month, tuple(files), sum(file.stat().st_size for file in files))
        for (kind, month), files in sorted(found.items())
    ]


def apply(
    home: Home,
    kept: Mapping[str, int],
    newest: Month,
    look_back: Mapping[str, int] = _AS_EVER,
    *,
    who: str,
) -> tuple[list[Due], Record | None]:
    """Delete what is due and put on record what was; None if nothing was.

    The line comes first: files may not vanish without one.

    Raises:
        ConfigError: it is not said who decided (operator).
    """
    with stages.exclusive(home, "warehouse"):
        found = due(home, kept, newest, look_back)
        if not found:
            return [], None
        why = ", ".join(f"{kind}_months = {kept[kind]}" for kind in sorted({d.kind for d in found}))
        line = release.record(
            home, kind=KIND, what=_told(found), who=who, why=f"[retention] {why}, from {newest}"
        )
        for each in found:
            for file in each.files:
                file.unlink(missing_ok=True)
        return found, line


def newest(home: Home, chosen: Month | None) -> Month:
    """Return the month that ages are counted from: the chosen one, else the newest published."""
    published = ledger.newest(home)
    if chosen is None and not published:
        raise ConfigError(["retention: expected --month, for nothing is published yet"])
    return chosen or Month(published[-1].month)


def _told(found: Sequence[Due]) -> dict[str, str]:
    told = {}
    for kind in sorted({each.kind for each in found}):
        months = [each.month for each in found if each.kind == kind]
        files = sum(len(each.files) for each in found if each.kind == kind)
        told[kind] = f"{files} files of {months[0]} to {months[-1]}"
    return told


def _needed(kind: str, file: Path, home: Home, look_back: Mapping[str, int]) -> int:
    """Return how many more months a build of a month that is kept reads of a landed stream."""
    if kind != "landed":
        return 0
    return months_back(file.relative_to(home.raw).parts[0], look_back)


def _month_of(file: Path, home: Home) -> Month | None:
    matches = (_MONTH.match(part) for part in file.relative_to(home.root).parts)
    return next((Month(match[1]) for match in matches if match), None)


# ---------------------------------------------------------------- the files of a kind


def _archive(home: Home) -> Iterator[Path]:
    """Yield delivered bytes; receipts stay, for they say what was delivered and hold no row."""
    for receipt in sorted(home.archive.glob("month=*/source=*/*/receipt.json")):
        yield from (file for file in _all(receipt.parent) if file != receipt)


def _quarantine(home: Home) -> Iterator[Path]:
    yield from _all(home.quarantine)
    yield from _all(home.superseded / home.quarantine.name)


def _superseded(home: Home) -> Iterator[Path]:
    aside = home.superseded / home.quarantine.name
    yield from (file for file in _all(home.superseded) if aside not in file.parents)


def _landed(home: Home) -> Iterator[Path]:
    for folder in sorted(home.raw.iterdir()):
        if not folder.name.startswith("_"):
            yield from _all(folder)


def _findings(home: Home) -> Iterator[Path]:
    yield from _all(home.gates)
    yield from _all(home.data_docs)


def _all(folder: Path) -> Iterator[Path]:
    yield from sorted(file for file in folder.rglob("*") if file.is_file())


_FILES = {
    "archive": _archive,
    "quarantine": _quarantine,
    "superseded": _superseded,
    "landed": _landed,
    "findings": _findings,
}
