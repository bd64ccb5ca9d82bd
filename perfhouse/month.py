"""The month: the unit of work and the only state.

This module may not know files, databases or clocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from perfhouse.errors import ConfigError

_KEY = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, order=True)
class Month:
    """Name a civil month, `YYYY-MM`; months sort in time."""

    key: str

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ConfigError([f"month: expected YYYY-MM such as 2026-09, got {self.key!r}"])

    @classmethod
    def of(cls, day: date) -> Month:
        """Return the month a day falls in."""
        return cls(f"{day.year:04d}-{day.month:02d}")

    @property
    def start(self) -> date:
        """First day, included."""
        return date(int(self.key[:4]), int(self.key[5:]), 1)

    @property
    def end(self) -> date:
        """First day of the next month, excluded."""
        return self.plus(1).start

    @property
    def last_day(self) -> date:
        """Last day, included."""
        return self.end - timedelta(days=1)

    def plus(self, months: int) -> Month:
        """Return the month `months` later (negative: earlier)."""
        index = int(self.key[:4]) * 12 + int(self.key[5:]) - 1 + months
        return Month(f"{index // 12:04d}-{index % 12 + 1:02d}")

    def until(self, last: Month) -> list[Month]:
        """List the months from this one to `last`, both included."""
        months = []
        month = self
        while month <= last:
            months.append(month)
            month = month.plus(1)
        return months

    def __str__(self) -> str:
        return self.key
