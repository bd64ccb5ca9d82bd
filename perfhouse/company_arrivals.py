"""How arriving data starts work, and how often what was lost is looked for: `[arrivals]`.

Standard library only; where a source's files lie is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from perfhouse.config_reader import Table

_NAME = re.compile(r"^[a-z][a-z0-9_-]*$")
_QUEUE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
MOST_MONTHS = 36


@dataclass(frozen=True)
class Queue:
    """A broker's queue that tells of deliveries; `connection` names its address."""

    connection: str
    name: str = "perfhouse-arrivals"


@dataclass(frozen=True)
class Arrivals:
    """How places are watched and what was lost is found.

    Args:
        on: the table is there: the DAG `arrivals` exists, for watched places, messages and calls.
        poll_seconds: between two looks at the places.
        months: that are over and are looked at.
        month_to_date: the month under way is ingested and published as provisional, too; then a
            delivery tells of no more than the days before it was taken.
        reconcile_minutes: between two comparisons of what is landed with what is published.
        settle_minutes: how long a difference stands before it counts as lost.
    """

    on: bool = False
    poll_seconds: int = 30
    months: int = 3
    reconcile_minutes: int = 15
    settle_minutes: int = 10
    month_to_date: bool = False
    queue: Queue | None = None


def read_arrivals(top: Table) -> Arrivals:
    """Read `[arrivals]` and `[arrivals.queue]`; both may be left out."""
    on = top.take("arrivals") is not None
    table = top.table("arrivals")
    found = Arrivals(
        on=on,
        poll_seconds=table.whole("poll_seconds", 30, low=1),
        months=table.whole("months", 3),
        reconcile_minutes=table.whole("reconcile_minutes", 15, low=1),
        settle_minutes=table.whole("settle_minutes", 10),
        month_to_date=table.flag("month_to_date", False),
        queue=_queue(table),
    )
    if found.months > MOST_MONTHS:
        table.problem("months", f"a whole number from 0 to {MOST_MONTHS}", found.months)
    if found.reconcile_minutes > 59:
        table.problem("reconcile_minutes", "minutes from 1 to 59", found.reconcile_minutes)
    table.finish()
    return found


def _queue(table: Table) -> Queue | None:
    if table.take("queue") is None:
        return None
    entry = table.table("queue")
    wanted = "a connection such as events"
    connection = entry.text("connection", pattern=_NAME, expected=wanted)
    wanted = "the name of a queue: letters, digits, . _ -"
    name = entry.text("name", "perfhouse-arrivals", _QUEUE, wanted)
    entry.finish()
    return Queue(connection, name)
