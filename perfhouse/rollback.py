"""Make an earlier release of a month stand again, in every target at once.

The ledger gets one line more; no release is changed or removed. What that means for later
restatements and deliveries: docs/decisions/0016-a-rollback-is-a-line.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from perfhouse import ledger, release, signing, trust
from perfhouse.errors import ConfigError
from perfhouse.release import Beside, Release
from perfhouse.release_shown import Shown
from perfhouse.restatement import Reason
from perfhouse.settings import Home

_log = logging.getLogger(__name__)


def rollback(
    home: Home,
    to: str,
    why: Reason,
    *,
    beside: Beside = release.nothing_beside,
    progress: Callable[[str], None] = _log.info,
) -> Release:
    """Make the release named `to` stand for its month; return it.

    Readers see all targets of the release that stands now, or all of that one.

    Raises:
        ConfigError: there is no such release, or it stands already (operator).
        ReleaseError: it, or the ledger, is not as it was signed (data engineer); nothing was
            changed.
        TransientError: the disk is full, or may not be written any more.
    """
    with release.only_publisher(home):
        key = signing.release_key(home)
        release.mend(home)
        entry, stands = _chosen(home, to)
        trust.require_intact(home, entry)

        def decide() -> None:
            ledger.record(
                home,
                kind=ledger.ROLLED_BACK,
                what={
                    "month": entry.month,
                    "release": entry.name,
                    "release_sha256": entry.release_sha256,
                    "instead_of": stands.name,
                },
                who=why.by,
                why=why.reason,
                key=key,
            )

        progress(f"{stands.name}: rolling back to {entry.name}")
        release.cut_over(home, Shown.of(home, entry), decide, beside)
        progress(
            f"{entry.name}: stands again; the warehouse still holds what was built last: deliver "
            f"{entry.month} as it should be and run it before the months after it"
        )
        return release.of_entry(home, entry)


def _chosen(home: Home, name: str) -> tuple[ledger.Entry, ledger.Entry]:
    """Return the release of that name, and the one of its month that stands."""
    entries = {entry.name: entry for entry in ledger.entries(home)}
    if name not in entries:
        known = ", ".join(entries) or "none yet"
        raise ConfigError([f"--to: expected one of {known}; got {name!r}"])
    stands = ledger.standing(ledger.lines(ledger.ledger_path(home)))[entries[name].month]
    if stands.name == name:
        raise ConfigError([f"--to: expected another release than {name}, which stands"])
    return entries[name], stands
