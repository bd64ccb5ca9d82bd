"""All planted faults, in order, and what became of each: stopped by its gate, named, or not."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import in_exports, in_lake, in_sources, in_tables
from benchmarks.faults.planting import Fault, Site, Sound
from connectors.streams import STREAMS
from expectations import gate
from expectations.gate import Verdict
from perfhouse.errors import GateFailed, PerfhouseError
from perfhouse.month import Month
from perfhouse.stages import Workspace

FAULTS: tuple[Fault, ...] = (
    *in_sources.FAULTS,
    *in_lake.FAULTS,
    *in_tables.FACTS,
    *in_tables.SCORECARDS,
    *in_exports.FAULTS,
)
LANDED = ("source", "lake")  # needs no build


@dataclass(frozen=True)
class Outcome:
    """What became of a fault; `wrong` is empty where all is as it should be.

    `told` is the sentence for the data owner, `keys` names what it is about, `also` lists other
    checks that failed and do not in the sound month.
    """

    fault: Fault
    stopped_by: str
    told: str
    keys: tuple[str, ...]
    also: tuple[str, ...]
    seconds: float
    wrong: str


def plant(sound: Sound, fault: Fault, clean: Mapping[str, frozenset[str]]) -> Outcome:
    """Plant a fault into a copy of the sound company and let the gate judge that.

    `clean` are the checks that fail in the sound month, as warnings, by gate.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"fault-{fault.id}-", dir=sound.staged.parent))
    began = time.perf_counter()
    try:
        site = sound.copy(folder, where=fault.where)
        try:
            named = fault.plant(site)
        except PerfhouseError as refused:
            return _refused(fault, refused, time.perf_counter() - began)
        except Exception as error:  # a model that changed, say: the other faults go on
            return _outcome(fault, began, wrong=f"not planted: {type(error).__name__}: {error}")
        if fault.gate == "landing":
            return _outcome(fault, began, wrong="it landed")
        verdict = judge(site.ws, site.month, fault.gate, site)
        return _judged(fault, verdict, named, clean.get(fault.gate, frozenset()), began)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def judge(ws: Workspace, month: Month, name: str, site: Site | None = None) -> Verdict:
    """Ask a gate; return its verdict, whatever it is."""
    staged = site.staged if site and name == "exports" else None
    try:
        return gate.run(name, ws.home, ws.company, month, streams=STREAMS, staged=staged)
    except GateFailed:
        verdict = gate.verdict(ws.home, month, name)
        assert verdict is not None
        return verdict


def failing(verdict: Verdict) -> frozenset[str]:
    """Return the checks that failed, of whatever severity."""
    return frozenset(check.id for check in verdict.checks if not check.passed)


def _refused(fault: Fault, error: PerfhouseError, seconds: float) -> Outcome:
    kind, said = type(error).__name__, str(error)
    wrong = "" if (fault.gate, fault.check) == ("landing", kind) else f"refused as {kind}: {said}"
    return Outcome(fault, f"landing: {kind}", said, (error.who,), (), seconds, wrong)


def _judged(
    fault: Fault, verdict: Verdict, named: str, clean: frozenset[str], began: float
) -> Outcome:
    also = tuple(sorted(failing(verdict) - clean - {fault.check}))
    check = next((c for c in verdict.checks if c.id == fault.check), None)
    if check is None:
        return _outcome(fault, began, also=also, wrong=f"{fault.check} did not run")
    keys = check.failing_keys
    problems = [
        *([f"{fault.check} passed"] if check.passed else []),
        *([f"it is {check.severity}"] if check.severity != fault.severity else []),
        *(["the month went on"] if fault.severity == "critical" and verdict.passed else []),
        *(["the month was stopped"] if fault.severity == "warning" and not verdict.passed else []),
        *([f"{named} is not named"] if named not in f"{'; '.join(keys)}{check.observed}" else []),
        *([] if check.title_en and check.title_zh else ["it has no words"]),
    ]
    told = f"{check.title_en} (observed {check.observed})"
    stopped_by = "" if check.passed else f"{fault.gate}: {fault.check}"
    seconds = time.perf_counter() - began
    return Outcome(fault, stopped_by, told, keys, also, seconds, "; ".join(problems))


def _outcome(fault: Fault, began: float, *, wrong: str, also: Sequence[str] = ()) -> Outcome:
    return Outcome(fault, "", "", (), tuple(also), time.perf_counter() - began, wrong)
