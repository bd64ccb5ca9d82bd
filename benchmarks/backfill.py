"""Three years of the demo company by `perfhouse backfill`: all of it, each step, and once more.

Runs the product's own commands; the times of steps are those it keeps for its operations pages.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import say
from benchmarks.results import Report, Table, number

DEFAULT_MONTHS = 36
_STEPS = ("ingest", "gate raw", "build", "gate facts", "gate scorecards", "publish")
_NOTES = (
    "The demo company with that many months, `perfhouse backfill --from FIRST --to LAST`, in one "
    "process. Ingests of five sources run beside the building, so the steps' seconds add up to "
    "more than the total.",
    "Again: the same command over the same home; nothing is to be done.",
    "Peak is the most memory of all its processes together, shared pages counted once, looked at "
    "twice a second.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure a backfill, then the same command again."""
    months = options.months or DEFAULT_MONTHS
    with measure.workspace(options.tmp, "backfill") as root:
        demo, home = root / "demo", root / "home"
        perfhouse = [sys.executable, "-m", "perfhouse.cli"]
        made = ["demo", "--out", str(demo), "--months", str(months)]
        measure.tree([*perfhouse, *made], root / "demo.log")
        listed = json.loads((demo / "demo.json").read_text(encoding="utf-8"))["months"]
        where = ["--company", str(demo / "company"), "--data", str(demo / "sources")]
        command = [*perfhouse, "backfill", *where, "--home", str(home)]
        command += ["--from", listed[0], "--to", listed[-1]]
        with measure.heartbeat("backfill"):
            ran = measure.tree(command, root / "backfill.log")
        say(f"   {months} months: {ran.seconds:.0f} s, {ran.peak_mib:,.0f} MiB")
        again = measure.tree(command, root / "again.log")
        found = measure.call(steps, home=str(home), months=listed).value
    data: list[dict[str, Any]] = [
        {"what": "backfill", "months": months, "seconds": ran.seconds, "peak_mib": ran.peak_mib},
        {"what": "again", "months": months, "seconds": again.seconds, "peak_mib": again.peak_mib},
        *found["months"],
    ]
    tables = [_totals(data, found["months"]), _by_step(found["months"])]
    return Report("backfill", {"months": months}, data, tables, _NOTES)


def steps(home: str, months: list[str]) -> dict[str, Any]:
    """Return the seconds of every step of each month, and its release."""
    from perfhouse import release, step_times
    from perfhouse.month import Month
    from perfhouse.settings import Home

    place = Home(Path(home))
    found = []
    for key in months:
        released = release.latest(place, Month(key))
        if released is None:
            raise RuntimeError(f"{key}: nothing was published")
        seconds = dict.fromkeys(_STEPS, 0.0)
        for each in step_times.of(place, Month(key)):
            seconds[each.name] += each.seconds
        found.append({"what": "month", "month": key, "release": released.sha256, **seconds})
    return {"months": found}


def _totals(data: list[dict[str, Any]], months: list[dict[str, Any]]) -> Table:
    first, last = _built(months[:6]), _built(months[-6:])
    ran, again = data[0], data[1]
    row = (
        f"{ran['months']} months",
        *(number(ran["seconds"]), number(ran["seconds"] / ran["months"], 1)),
        *(number(first, 1), number(last, 1), f"{last / first:.2f}"),
        *(number(ran["peak_mib"]), number(again["seconds"], 1)),
    )
    return Table(
        "Backfill of the demo company",
        (
            *("", "total, s", "a month, s", "building one of the first six, s"),
            *("of the last six, s", "ratio", "peak MiB", "again, s"),
        ),
        (row,),
    )


def _built(months: list[dict[str, Any]]) -> float:
    """Return the median seconds from the raw gate to the release."""
    return measure.median([sum(m[step] for step in _STEPS[1:]) for m in months])


def _by_step(months: list[dict[str, Any]]) -> Table:
    rows = []
    for step in _STEPS:
        seconds = [month[step] for month in months]
        rows.append(
            (
                step,
                number(sum(seconds)),
                number(measure.median(seconds), 2),
                number(max(seconds), 2),
            )
        )
    return Table(
        "Its steps",
        ("", "all months, s", "median of a month, s", "longest, s"),
        tuple(rows),
    )
