"""Which deliveries of a month were judged and published, or stopped: noted as it happens.

Knows manifests, notes and release.json; it may not open the warehouse: its writer would wait.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from perfhouse import lake, ledger
from perfhouse.company_types import Company
from perfhouse.errors import GateFailed, MonthClosed, NotSignedOff
from perfhouse.month import Month
from perfhouse.settings import Home

JUDGED, PUBLISHED, STOPPED = "judged", "published", "stopped"
_LAST, _AUDIT = "scorecards", "exports"  # the gates before and in a publish
CLOSED = "closed"  # in place of a gate: the publish of a month that only a person may change
UNSIGNED = "sign_off"  # in place of a gate: a final release waits for, or lacks, a signature
Inputs = Mapping[str, str]  # the hash of the manifest by source, of one month's own deliveries


@dataclass(frozen=True)
class Note:
    """What was done with which deliveries of a month.

    `gate` is the one that stopped it; `release` the month's newest when it was published.
    """

    inputs: Inputs
    as_of: str
    gate: str = ""
    release: str = ""


def landed(home: Home, company: Company, month: Month) -> dict[str, str]:
    """Return what is landed for a month by its own sources, deliveries of other months aside."""
    known = {source.id for source in company.sources}
    manifests = lake.manifests(home, month, month)
    return {m.source: m.manifest_sha256 for m in manifests if m.source in known}


def note(home: Home, month: Month, what: str, said: Note) -> None:
    """Replace what was last noted of a month: JUDGED, PUBLISHED or STOPPED."""
    file = _file(home, month, what)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(said), sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(file)


def noted(home: Home, month: Month, what: str) -> Note | None:
    """Return what was last noted of a month, or None; a torn note counts as none."""
    try:
        return Note(**json.loads(_file(home, month, what).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def published(home: Home, company: Company, month: Month) -> Inputs | None:
    """Return the month's own deliveries that were published last, None before its first release.

    A withdrawn release counts: what a person rolled back was processed, and is not lost. So does
    what a publish found to change no number, which makes no release.
    """
    newest = newest_entry(home, month)
    if newest is None:
        return None
    said = noted(home, month, PUBLISHED)
    if said is not None and said.release == newest.name:
        return said.inputs
    return _own(inputs(home, newest), month, {source.id for source in company.sources})


def newest_entry(home: Home, month: Month) -> ledger.Entry | None:
    """Return the release of a month that was made last, whether or not it stands."""
    return next((e for e in reversed(ledger.entries(home)) if e.month == month.key), None)


def _forget(home: Home, month: Month, what: str) -> None:
    _file(home, month, what).unlink(missing_ok=True)


# ---------------------------------------------------------------- noted as it happens


@contextmanager
def building(home: Home, month: Month) -> Iterator[None]:
    """Forget that a month was judged: it is another month from here on."""
    _forget(home, month, JUDGED)
    yield


@contextmanager
def judging(
    home: Home, company: Company, month: Month, as_of: Month | None, gate: str
) -> Iterator[None]:
    """Note a month that a gate stops, or that the last gate before a publish lets through.

    The deliveries are those of before: what lands meanwhile is not judged, and is work still.
    """
    now = Note(landed(home, company, month), (as_of or month).key, gate)
    try:
        yield
    except GateFailed:
        note(home, month, STOPPED, now)
        raise
    if gate == _LAST:
        note(home, month, JUDGED, now)


@contextmanager
def publishing(home: Home, company: Company, month: Month, as_of: Month | None) -> Iterator[None]:
    """Note what was published, be it that nothing changed, or what stopped it."""
    now = Note(landed(home, company, month), (as_of or month).key)
    with _stopping(home, month, now):
        yield
    newest = newest_entry(home, month)
    note(home, month, PUBLISHED, replace(now, release=newest.name if newest else ""))


@contextmanager
def asking(
    home: Home, company: Company, month: Month, as_of: Month | None
) -> Iterator[Callable[[], None]]:
    """Note what stops a month before anybody is asked to sign it; yield what notes that one is."""
    now = Note(landed(home, company, month), (as_of or month).key)
    with _stopping(home, month, now):
        yield lambda: note(home, month, STOPPED, replace(now, gate=UNSIGNED))


@contextmanager
def _stopping(home: Home, month: Month, now: Note) -> Iterator[None]:
    try:
        yield
    except GateFailed as failed:
        if failed.gate == _AUDIT:
            note(home, month, STOPPED, replace(now, gate=failed.gate))
        else:  # what was judged is not what would go out: build and judge again
            _forget(home, month, JUDGED)
        raise
    except MonthClosed:
        note(home, month, STOPPED, replace(now, gate=CLOSED))
        raise
    except NotSignedOff:
        note(home, month, STOPPED, replace(now, gate=UNSIGNED))
        raise


def _own(inputs: list[dict[str, Any]], month: Month, known: set[str]) -> Inputs:
    return {
        each["source"]: each["manifest_sha256"]
        for each in inputs
        if each["month"] == month.key and each["source"] in known
    }


def inputs(home: Home, entry: ledger.Entry) -> list[dict[str, Any]]:
    """Return the deliveries that a release was built from, as its release.json says."""
    text = (home.published / entry.path / "release.json").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(text)["inputs"]
    return found


def _file(home: Home, month: Month, what: str) -> Path:
    return home.processed / month.key / f"{what}.json"
