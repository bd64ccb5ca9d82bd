"""Months whose release or run is not done by its deadline: what they wait for, and whose that is.

Today is handed in; it may not tell anybody. A run's deadline is noted by whoever watches the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from perfhouse import lake, ledger, sign_off_request, step_times
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from pathlib import Path

    from perfhouse.stages import Workspace

RELEASE = "release"
SOURCE, GATE, SIGNATURE, RUN = "source", "gate", "signature", "run"


@dataclass(frozen=True)
class Wait:
    """One thing a month waits for: which source or gate, and who must act."""

    kind: str
    name: str
    who: str


@dataclass(frozen=True)
class Overdue:
    """What was due: `step` is `transform`, `publish` or `release`; `due` an ISO day or instant."""

    month: str
    step: str
    due: str

    def said(self, waits: tuple[Wait, ...]) -> str:
        """Return a line for people."""
        on = "; ".join(f"{each.kind} {each.name} (who must act: {each.who})" for each in waits)
        return f"{self.month}  {self.step} was due by {self.due}; waits for {on}"


def releases(ws: Workspace, today: date) -> list[Overdue]:
    """Return the months without a release `release_due_days` after they ended."""
    days = ws.company.deadlines.release_due_days
    known = sorted(path.name.removeprefix("month=") for path in ws.home.manifests.glob("month=*"))
    if days is None or not known:
        return []
    last = Month.of(today).plus(-1)
    first = max(last.plus(1 - max(ws.company.arrivals.months, 1)), Month(known[0]))
    due = {month: month.end + timedelta(days=days) for month in first.until(last)}
    out = ledger.standing(ledger.lines(ledger.ledger_path(ws.home)))
    return [
        Overdue(month.key, RELEASE, day.isoformat())
        for month, day in due.items()
        if today >= day and month.key not in out
    ]


def note(home: Home, found: Overdue) -> None:
    """Keep that a run is overdue, until its month goes out."""
    file = _file(home, found.month, found.step)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(found), sort_keys=True), encoding="utf-8")


def settle(home: Home, month: Month) -> None:
    """Forget what was overdue of a month that went out."""
    for file in _file(home, month.key, "x").parent.glob(f"{month}.*.json"):
        file.unlink(missing_ok=True)


def of_month(ws: Workspace, month: Month, today: date) -> Iterator[Overdue]:
    """Yield what is overdue of a month: its release, and runs that were noted."""
    yield from (each for each in releases(ws, today) if each.month == month.key)
    for file in sorted(_file(ws.home, month.key, "x").parent.glob(f"{month}.*.json")):
        yield Overdue(**json.loads(file.read_text(encoding="utf-8")))


def waits(ws: Workspace, month: Month) -> tuple[Wait, ...]:
    """Return what a month waits for now, and who must act on it."""
    missing = tuple(
        Wait(SOURCE, source.id, source.owner)
        for source in ws.company.sources
        if source.required and not lake.manifest_path(ws.home, source.id, month).exists()
    )
    return missing or _stopped(ws.home, month) or _asked(ws, month) or (_run(ws.home, month),)


def _stopped(home: Home, month: Month) -> tuple[Wait, ...]:
    from expectations import gate

    found = gate.verdicts(home, month)
    return tuple(Wait(GATE, said.gate, "data owner") for said in found if not said.passed)


def _asked(ws: Workspace, month: Month) -> tuple[Wait, ...]:
    who, known = ws.company.sign_off, sign_off_request.read(ws.home, month)
    if who is None or known is None or known.state != sign_off_request.OPEN:
        return ()
    signers = who.signers if known.is_handed_over else who.approvers
    return (Wait(SIGNATURE, known.content.release, ", ".join(signers)),)


def _run(home: Home, month: Month) -> Wait:
    """Name the step that was done last: what follows it is at work, or has failed."""
    done = [step.name for step in step_times.of(home, month) if step.is_done]
    return Wait(RUN, f"after {done[-1]}" if done else "that has not begun", "data engineer")


def _file(home: Home, month: str, step: str) -> Path:
    return home.root / "notices" / "overdue" / f"{month}.{step}.json"
