"""Acceptances on record: a person takes on what a gate found, or a delivery that lost rows.

Writes the signed ledger and what hangs on it; it may not judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfhouse import ledger, release
from perfhouse.errors import ConfigError
from perfhouse.month import Month
from perfhouse.restatement import Reason
from perfhouse.settings import Home

if TYPE_CHECKING:
    from expectations.gate import Check, Verdict
    from perfhouse.lake import Manifest

LOSS = "max_loss"


def accept(
    home: Home, month: Month, gate_name: str, check_id: str, reason: Reason, at: str | None = None
) -> ledger.Record:
    """Put on record that a person takes on a failed check, as the last verdict has it.

    The verdict follows at once; the caller holds the warehouse.

    Raises:
        ConfigError: there is no such verdict or check, it passed, or nobody may accept it
            (operator).
    """
    from expectations import acceptance, gate

    verdict = gate.verdict(home, month, gate_name)
    if verdict is None:
        raise ConfigError([f"--gate: {gate_name} has not judged {month}: run the gate first"])
    check = _failed(verdict, check_id)
    if not acceptance.may_accept(gate_name, check):
        known = ", ".join(sorted(name for _, name in acceptance.ACCEPTABLE))
        raise ConfigError(
            [
                f"--check: {check_id} is critical and cannot be accepted, only mended; of "
                f"critical checks only these may be: {known}"
            ]
        )
    what = {"month": month.key, "gate": gate_name, "check": check_id, "observed": check.observed}
    what["observed_sha256"] = acceptance.observed_sha256(verdict, check)
    line = release.record(
        home, kind=acceptance.KIND, what=what, who=reason.by, why=reason.reason, at=at
    )
    gate.keep(home, acceptance.applied(home, verdict))
    return line


def _failed(verdict: Verdict, check_id: str) -> Check:
    failed = {check.id: check for check in verdict.checks if not check.passed}
    if check_id not in failed:
        known = ", ".join(failed) or "none failed"
        raise ConfigError(
            [f"--check: expected one that failed in gate {verdict.gate} of {verdict.month} "
             f"({known}); got {check_id!r}"]
        )  # fmt: skip
    if failed[check_id].accepted_by:
        raise ConfigError([f"--check: {check_id} is accepted by {failed[check_id].accepted_by}"])
    return failed[check_id]


def loss(home: Home, manifest: Manifest, reason: Reason) -> ledger.Record | None:
    """Put on record that a person let a delivery land that lost many rows; None if it is there.

    Told once for a delivery, whenever it is landed: a crash after landing leaves no gap.
    """
    what = {"month": manifest.month, "source": manifest.source, "check": LOSS}
    what["archive_sha256"] = manifest.archive_sha256
    known = ledger.lines(ledger.ledger_path(home))
    if any(isinstance(line, ledger.Record) and line.what == what for line in known):
        return None
    return release.record(home, kind="accepted", what=what, who=reason.by, why=reason.reason)
