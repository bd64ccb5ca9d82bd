"""The thresholds of the anti-gaming monitors: what a company says of them, and what holds else.

Standard library only; what a monitor does with its thresholds is SQL and not known here.
"""

from __future__ import annotations

from collections.abc import Mapping

from perfhouse.company_types import WEEKDAYS
from perfhouse.config_reader import Table

Monitors = Mapping[str, Mapping[str, float]]

# A finding needs `least_cases` cases, and a value of at least `least_share` and of `times_peers`
# times what the others have. The rest says what a case is.
DEFAULTS: dict[str, dict[str, float]] = {
    "reassigned_after_bad_rating": {
        **{"least_cases": 3, "least_share": 0.1, "times_peers": 2},
        **{"bad_share": 0.5, "within_days": 14},
    },
    "closed_early_and_reopened": {
        **{"least_cases": 5, "least_share": 0.15, "times_peers": 2},
        **{"within_hours": 48},
    },
    "transfer_dumping_tickets": {
        **{"least_cases": 5, "least_share": 0.2, "times_peers": 2},
        **{"within_minutes": 60},
    },
    "transfer_dumping_calls": {
        **{"least_cases": 10, "least_share": 0.15, "times_peers": 2},
        **{"short_seconds": 30},
    },
    "survey_not_offered": {"least_cases": 10, "least_share": 0.5, "times_peers": 1.5},
    "survey_not_answered": {"least_cases": 10, "least_share": 0.8, "times_peers": 1.25},
    "very_short_calls": {
        **{"least_cases": 10, "least_share": 0.1, "times_peers": 3},
        **{"short_seconds": 10},
    },
    "weekend_bulk_closes": {"least_cases": 15, "times_peers": 3},
}
WEEKEND = ("sat", "sun")
_BULK = "weekend_bulk_closes"


def read_monitors(top: Table) -> dict[str, dict[str, float]]:
    """Read `[monitors.<name>]`; a threshold nobody sets has its default.

    The days of a weekend become `day_0` (Monday) to `day_6`, 1 where the day is one.
    """
    nested = top.table("monitors")
    found = {name: _read(nested.table(name), of) for name, of in DEFAULTS.items()}
    nested.finish()
    weekend = nested.table(_BULK)
    days = weekend.texts("days", WEEKEND)
    for index, day in enumerate(days):
        if day not in WEEKDAYS:
            weekend.problem(f"days[{index}]", f"one of {', '.join(WEEKDAYS)}", day)
    found[_BULK] |= {f"day_{at}": float(day in days) for at, day in enumerate(WEEKDAYS)}
    return found


def _read(table: Table, defaults: Mapping[str, float]) -> dict[str, float]:
    values = {
        name: table.number(name, default, 0, 1 if name.endswith("_share") else None)
        for name, default in defaults.items()
    }
    if "least_share" not in defaults:
        table.read.add("days")
    table.finish()
    return values


def rows(monitors: Monitors) -> list[tuple[str, str, float]]:
    """Return the thresholds as rows: monitor, name, value."""
    said = monitors or _defaults()
    return [
        (monitor, name, value)
        for monitor, values in sorted(said.items())
        for name, value in sorted(values.items())
    ]


def _defaults() -> dict[str, dict[str, float]]:
    return read_monitors(Table({}, "", []))
