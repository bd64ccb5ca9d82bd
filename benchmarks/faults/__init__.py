"""Gates that have been seen to fail: a catalogue of planted faults, each with the gate to stop it.

Every fault goes into a copy of one small sound company, at the cheapest place where it is real.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults import catalogue, planting
from benchmarks.faults.catalogue import Outcome
from benchmarks.measure import say
from benchmarks.results import Report, Table, number

GATES = ("raw", "facts", "scorecards")
_NOTES = (
    "Where: in the files a source sends (source), in what landed (lake), in the warehouse (facts, "
    "scorecards) or in a staged release (exports). Of faults in files, all of landing runs; of the "
    "others, what is before them has run once, soundly.",
    "Stopped by `landing`: the delivery is refused whole, what was landed before stays, and the "
    "message names who must act. A warning does not stop the month; it is shown until accepted.",
    "A fault counts as caught when the check that should find it failed with the severity it is "
    "declared with, in words in both languages, with the key of what was spoiled among its "
    "failing rows.",
)
_COLUMNS = ("fault", "planted", "where", "stopped by", "severity", "caught", "named")


def run(options: argparse.Namespace) -> Report:
    """Plant every fault, or those that `--only` names by number or place."""
    began = time.perf_counter()
    wanted = set(options.only.split(",")) if options.only else set()
    chosen = [f for f in catalogue.FAULTS if not wanted or wanted & {f.id, f.where, f.gate}]
    with tempfile.TemporaryDirectory(prefix="perfhouse-faults-", dir=options.tmp) as folder:
        built = any(fault.where not in catalogue.LANDED for fault in chosen)
        sound = planting.company(Path(folder), built=built)
        say(f"   the sound company is there after {time.perf_counter() - began:.0f} s")
        clean, stopped = _clean(sound, built)
        outcomes = []
        for fault in chosen:
            outcomes.append(catalogue.plant(sound, fault, clean))
            _tell(outcomes[-1])
    seconds = time.perf_counter() - began
    missed = [each.fault.id for each in outcomes if each.wrong]
    say(f"   {len(outcomes) - len(missed)} of {len(outcomes)} caught, missed: {missed or 'none'}; "
        f"sound months stopped: {stopped or 'none'}")  # fmt: skip
    return _report(outcomes, stopped, [str(month) for month in sound.months], seconds)


def _clean(sound: planting.Sound, built: bool) -> tuple[dict[str, frozenset[str]], list[str]]:
    """Judge the sound months; return the warnings of the last by gate, and what was stopped."""
    clean: dict[str, frozenset[str]] = {}
    stopped = []
    for month in sound.months:
        for name in GATES if built else GATES[:1]:
            verdict = catalogue.judge(sound.ws, month, name)
            clean[name] = catalogue.failing(verdict)
            if not verdict.passed:
                stopped.append(f"{month} by {name}: {'; '.join(verdict.failures)}")
    if built:
        site = planting.Site(sound.ws, sound.months[-1], sound.staged)
        verdict = catalogue.judge(sound.ws, sound.months[-1], "exports", site)
        clean["exports"] = catalogue.failing(verdict)
        if not verdict.passed:
            stopped.append(f"{sound.months[-1]} by exports: {'; '.join(verdict.failures)}")
    return clean, stopped


def _tell(each: Outcome) -> None:
    word = f"MISSED ({each.wrong})" if each.wrong else "caught"
    say(f"   {each.fault.id} {each.fault.words}: {word} by {each.stopped_by or 'nobody'} "
        f"in {each.seconds:.1f} s")  # fmt: skip


def _report(
    outcomes: Sequence[Outcome], stopped: Sequence[str], months: Sequence[str], seconds: float
) -> Report:
    rows = tuple(
        (
            *(each.fault.id, each.fault.words, each.fault.where, each.stopped_by or "nobody"),
            *(each.fault.severity, "NO" if each.wrong else "yes", _named(each)),
        )
        for each in outcomes
    )
    by_gate = Counter(each.fault.gate for each in outcomes if not each.wrong)
    of_gate = Counter(each.fault.gate for each in outcomes)
    summary = tuple(
        (name, number(of_gate[name]), number(by_gate[name])) for name in dict.fromkeys(of_gate)
    )
    return Report(
        name="faults",
        settings={"months": list(months), "seconds": round(seconds, 1)},
        data=[
            {
                **{"id": each.fault.id, "planted": each.fault.words, "where": each.fault.where},
                **{"gate": each.fault.gate, "check": each.fault.check},
                **{"severity": each.fault.severity, "caught": not each.wrong},
                **{"stopped_by": each.stopped_by, "told": each.told, "keys": list(each.keys[:5])},
                **{"also": list(each.also), "wrong": each.wrong},
                **{"seconds": round(each.seconds, 2)},
            }
            for each in outcomes
        ],
        tables=[
            Table("Planted faults by the gate that should stop them",
                  ("gate", "planted", "caught"), summary),
            Table("Every planted fault", _COLUMNS, rows),
        ],
        notes=(
            *_NOTES,
            f"Sound months: {', '.join(months)}; stopped: {'; '.join(stopped) or 'none'}.",
        ),
    )  # fmt: skip


def _named(each: Outcome) -> str:
    shown = each.keys[0] if each.keys else ""
    return shown.replace("|", "/")[:80]
