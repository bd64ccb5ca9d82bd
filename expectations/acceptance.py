"""Acceptances: which failed checks a person took on, as they were found, and why.

Reads the signed ledger and never writes it. An acceptance holds for what was observed then: of
another delivery, of other numbers, there is none.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.rules import CRITICAL, WARNING
from perfhouse import ledger, signing
from perfhouse.hashing import sha256_of
from perfhouse.ledger import Record
from perfhouse.settings import Home

if TYPE_CHECKING:
    from expectations.gate import Check, Verdict

KIND = "accepted"
# Critical checks that a person may take on. None of them guards who somebody is, how few people
# a number tells of, or what leaves the house; warnings may be taken on all.
ACCEPTABLE = frozenset(
    {("raw", "quarantine_share"), ("raw", "month_described"), ("raw", "times_of_day")}
)
# Acceptances of another home, for a release that is made again in this one.
_CARRIED = "accepted.jsonl"


def may_accept(gate: str, check: Check) -> bool:
    """Say whether a person may take on a failed check."""
    return check.severity == WARNING or (gate, check.id) in ACCEPTABLE


def observed_sha256(verdict: Verdict, check: Check) -> str:
    """Return the hash of what is accepted: a check, what it observed, and the data it judged."""
    return sha256_of(
        {
            **{"month": verdict.month, "gate": verdict.gate, "check": check.id},
            **{"severity": check.severity, "subject_sha256": verdict.subject_sha256},
            **{"observed": check.observed, "threshold": check.threshold},
            "failing_keys": list(check.failing_keys),
        }
    )


def applied(home: Home, verdict: Verdict) -> Verdict:
    """Return a verdict with what was accepted of it; it passes if nothing critical is left.

    Raises:
        ReleaseError: the ledger does not hold (data engineer).
    """
    failed = [check for check in verdict.checks if not check.passed]
    if not any(may_accept(verdict.gate, check) for check in failed):
        return verdict
    known = {record.what.get("observed_sha256"): record for record in _records(home)}
    checks = tuple(_accepted(verdict, check, known) for check in verdict.checks)
    stopped = any(c.severity == CRITICAL and not (c.passed or c.accepted_by) for c in checks)
    return replace(verdict, checks=checks, passed=not stopped)


def _accepted(verdict: Verdict, check: Check, known: dict[str | None, Record]) -> Check:
    if check.passed or not may_accept(verdict.gate, check):
        return check
    record = known.get(observed_sha256(verdict, check))
    if record is None:
        return check
    return replace(check, accepted_by=record.who, accepted_reason=record.why)


def _records(home: Home) -> Iterator[Record]:
    """Yield the acceptances that this installation's key signed, oldest first."""
    lines = ledger.lines(ledger.ledger_path(home))
    found = [line for line in lines if isinstance(line, Record) and line.kind == KIND]
    found += _carried(home.gates / _CARRIED)
    if found:
        keys = signing.trusted_keys(home)
        yield from (line for line in found if ledger.is_signed(line, keys))


def _carried(file: Path) -> list[Record]:
    """Read lines that stand in no chain; each must be what its own hash says."""
    if not file.exists():
        return []
    bodies = [json.loads(line) for line in file.read_bytes().splitlines()]
    unhashed = ("entry_sha256", "signature")
    return [
        Record(**body)
        for body in bodies
        if body["entry_sha256"] == sha256_of({k: v for k, v in body.items() if k not in unhashed})
    ]


def carry(home: Home, other: Home, *, before: int) -> None:
    """Let the gates of another home know what was accepted here before a line of the ledger.

    Each line is signed, so it holds outside the chain. For a release that is made again.
    """
    file = ledger.ledger_path(home)
    chosen = [
        line
        for line in (file.read_bytes().splitlines() if file.exists() else [])
        if _is_acceptance(json.loads(line), before)
    ]
    for key in home.published.glob("release*.pub") if chosen else ():
        if not (other.published / key.name).exists():
            shutil.copyfile(key, other.published / key.name)
    if chosen:
        (other.gates / _CARRIED).write_bytes(b"\n".join(chosen) + b"\n")


def _is_acceptance(body: Mapping[str, Any], before: int) -> bool:
    return body.get("kind") == KIND and int(body["sequence"]) < before
