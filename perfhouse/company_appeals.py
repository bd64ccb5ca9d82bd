"""How long a month may be appealed, as the company says it: `[appeals]`.

Standard library only; which days follow from it is not known here.
"""

from __future__ import annotations

from datetime import date

from perfhouse.company_types import Appeals
from perfhouse.config_reader import Table
from perfhouse.errors import ConfigError
from perfhouse.month import Month

LONGEST = 60  # working days


def read_appeals(top: Table) -> Appeals:
    """Read `[appeals]` and `[appeals.published_on]`; both may be left out."""
    table = top.table("appeals")
    days = table.table("published_on")
    published = {name: day for name in sorted(days.data) if (day := _published(days, name))}
    found = Appeals(
        raise_within_days=_working_days(table, "raise_within_days", 5),
        decide_within_days=_working_days(table, "decide_within_days", 10),
        published_on=published,
    )
    table.finish()
    return found


def _working_days(table: Table, key: str, default: int) -> int:
    days = table.whole(key, default, low=1)
    if days > LONGEST:
        table.problem(key, f"at most {LONGEST} working days", days)
    return days


def _published(days: Table, name: str) -> date | None:
    day = days.day(name)
    try:
        month = Month(name)
    except ConfigError:
        days.problem(name, "a month such as 2026-09")
        return None
    if day is not None and day < month.end:
        days.problem(name, f"a day from {month.end} on, when the month is over", str(day))
    return day
