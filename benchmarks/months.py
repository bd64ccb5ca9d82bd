"""Many months in one warehouse: all of them built, one of them again, one that became empty.

What one month costs alone is told beside its share of all rows: a build that read other months
again and again would show here.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks import measure, synthetic
from benchmarks.measure import say
from benchmarks.results import Report, Table, number, times
from benchmarks.synthetic import MONTH
from perfhouse.month import Month

DEFAULT_SIZES = (100_000,)
DEFAULT_REPEATS = 3
COUNT = 36
GOAL = 1.3
_EMPTIED = ("desk", "phone")  # sources that deliver nothing any more
_LEFT = ("fct_calls", "fct_first_contacts")  # of what happened in the month itself
_COLUMNS = (
    *("ticket events a month", "months", "rows of all", "all months, s", "one of them again, s"),
    *("its share of the rows", "seconds / share", "CPU / share", "peak MiB"),
    *("rows that an emptied month left", "rows of other months that changed"),
)
_NOTES = (
    "Full build: every month in order into one warehouse, `stages.build` in a process of its own, "
    "models and tests of the data; seconds from importing dbt to the closed warehouse.",
    "One month again: the middle one, in the full warehouse, median. Seconds / share: its seconds "
    "over the full build's, divided by its rows over all rows; 1 means no more than its share.",
    "Emptied: the middle month is landed without tickets, events and calls and built once more; "
    f"the rows that {', '.join(_LEFT)} still hold for it are counted, and those of other months "
    "compared by month.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure each size: that many ticket events in every month, and a call for every ten."""
    sizes = options.size or DEFAULT_SIZES
    repeats = options.repeats or DEFAULT_REPEATS
    data = []
    for events in sizes:
        with measure.workspace(options.tmp, "months") as root:
            data.append(_size(root, events, options.months or COUNT, repeats))
    table = Table(
        f"Months in one warehouse: {synthetic.AGENTS:,} agents, {synthetic.TEAMS} managers",
        _COLUMNS,
        tuple(_row(entry) for entry in data),
    )
    return Report("months", {"sizes": list(sizes), "goal": GOAL}, data, [table], _NOTES)


def _size(root: Path, events: int, count: int, repeats: int) -> dict[str, Any]:
    months = [MONTH.plus(n - count + 1) for n in range(count)]
    made = measure.call(fill, root=str(root), events=events, months=[m.key for m in months])
    rows = made.value["rows"]
    say(f"   {count} months, {sum(rows.values()):,} rows: written in {made.seconds:.0f} s")
    full = []
    for month in months:
        with measure.heartbeat(str(month)):
            full.append(measure.call(build, root=str(root), month=month.key))
    seconds = measure.values(full, "seconds")
    say(f"     all months: {sum(seconds):.0f} s, the last {seconds[-1]:.1f} s")
    middle = months[count // 2].key
    again = [measure.call(build, root=str(root), month=middle) for _ in range(repeats)]
    share = rows[middle] / sum(rows.values())
    ratios = {
        name: measure.median(measure.values(again, name)) / sum(measure.values(full, name)) / share
        for name in ("seconds", "cpu_seconds")
    }
    say(f"     {middle} again: {ratios['seconds']:.2f}x its share")
    before = measure.call(counts, root=str(root)).value["rows"]
    measure.call(empty, root=str(root), month=middle)
    measure.call(build, root=str(root), month=middle)
    after = measure.call(counts, root=str(root)).value["rows"]
    left = sum(count for place, count in after.items() if place.endswith(middle))
    changed = sum(
        abs(count - after.get(place, 0))
        for place, count in before.items()
        if not place.endswith(middle)
    )
    say(f"     emptied: {left} rows left, {changed} rows of other months changed")
    return {
        "events": events,
        "months": count,
        "rows": rows,
        "repeats": repeats,
        "seconds": seconds,
        "cpu_seconds": measure.values(full, "cpu_seconds"),
        "again_seconds": measure.values(again, "seconds"),
        "again_cpu_seconds": measure.values(again, "cpu_seconds"),
        "peak_mib": max(m.peak_mib for m in [*full, *again]),
        "share": share,
        "ratio": ratios["seconds"],
        "cpu_ratio": ratios["cpu_seconds"],
        "goal": GOAL,
        "left": left,
        "changed": changed,
    }


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        number(entry["events"]),
        number(entry["months"]),
        number(sum(entry["rows"].values())),
        number(sum(entry["seconds"]), 1),
        number(measure.median(entry["again_seconds"]), 1),
        f"{entry['share']:.1%}",
        times(entry["ratio"]),
        times(entry["cpu_ratio"]),
        number(entry["peak_mib"]),
        number(entry["left"]),
        number(entry["changed"]),
    )


# ---------------------------------------------------------------- in processes of their own


def fill(root: str, events: int, months: list[str]) -> dict[str, Any]:
    """Write the company and every landed month; return the rows by month."""
    from perfhouse.settings import Home

    synthetic.company(Path(root) / "company")
    home = Home(Path(root) / "home")
    return {
        "rows": {
            key: sum(synthetic.fill(home, events, month=Month(key)).values()) for key in months
        }
    }


def build(root: str, month: str) -> dict[str, Any]:
    """Build one month as the product does; return how long it took."""
    from perfhouse import stages

    clock = measure.Clock()
    stages.build(_open(root), Month(month))
    return clock.read()


def empty(root: str, month: str) -> dict[str, Any]:
    """Take away what some sources delivered for a month, as if they had nothing in it."""
    from perfhouse import lake

    for source in _EMPTIED:
        lake.manifest_path(_open(root).home, source, Month(month)).unlink()
    return {}


def counts(root: str) -> dict[str, Any]:
    """Return the rows of each fact and month, by 'fact month'."""
    from perfhouse import warehouse

    with warehouse.connect(_open(root).home.warehouse, read_only=True) as con:
        found = {
            f"{fact} {month:%Y-%m}": count
            for fact in _LEFT
            for month, count in con.execute(
                f"select month, count(*) from core.{fact} group by month order by month"
            ).fetchall()
        }
    return {"rows": found}


def _open(root: str) -> Any:
    from perfhouse import stages

    return stages.open_workspace(Path(root) / "company", Path(root), Path(root) / "home")
