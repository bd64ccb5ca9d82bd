"""By when a run is over and a month's release is out, or somebody is told: `[deadlines]`.

Standard library only; what a run does is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from perfhouse.config_reader import Table


@dataclass(frozen=True)
class Deadlines:
    """Times after which the event `overdue` is told.

    Args:
        run_minutes: a run of `transform` or `publish` takes, from when it was queued; the hours of
            a signature come on top.
        release_due_days: after a month's end, on which its release stands; None: never told.
    """

    run_minutes: int = 360
    release_due_days: int | None = None

    @property
    def run(self) -> timedelta:
        """Return how long a run may take."""
        return timedelta(minutes=self.run_minutes)


def read_deadlines(top: Table) -> Deadlines:
    """Read `[deadlines]`; it may be left out."""
    table = top.table("deadlines")
    given = table.take("release_due_days") is not None
    found = Deadlines(
        table.whole("run_minutes", 360, low=1),
        table.whole("release_due_days", 0) if given else None,
    )
    table.finish()
    return found
