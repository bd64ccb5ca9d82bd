"""What a card says of a manager's peers: the middle of the others of the role, never one of them.

Pure arithmetic over sorted numbers; it may not read a warehouse, and never counts the reader.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from perfhouse.scorecards import TOP_SCORE

# With fewer others the reader, who knows the own number, could work out those of colleagues.
MINIMUM_OTHERS = 5
BAND_STEP = 5.0  # points; totals are shown with a digit after the point


@dataclass(frozen=True)
class Band:
    """Whole steps of the total between which at least the middle half of the others lies."""

    low: float
    high: float


@dataclass(frozen=True)
class _Others:
    """A sorted list less one place: a copy of it for each manager of thousands would be slow."""

    values: Sequence[float]
    without: int | None

    @classmethod
    def of(cls, values: Sequence[float], own: float | None) -> _Others:
        """Leave one's own number out; who has none leaves nothing out."""
        if own is None:
            return cls(values, None)
        at = bisect_left(values, own)
        return cls(values, at if at < len(values) and values[at] == own else None)

    def __len__(self) -> int:
        return len(self.values) - (self.without is not None)

    def __getitem__(self, at: int) -> float:
        is_behind = self.without is not None and at >= self.without
        return self.values[at + 1 if is_behind else at]


def band(values: Sequence[float], own: float | None) -> Band | None:
    """Return where the others' middle half lies, in whole steps outward; None: too few others.

    Args:
        values: the role's totals of a month, ascending, the reader's among them.
        own: the reader's total, left out; None where there is none among the values.
    """
    others = _Others.of(values, own)
    if len(others) < MINIMUM_OTHERS:
        return None
    last = len(others) - 1
    low = math.floor(others[math.floor(last / 4)] / BAND_STEP) * BAND_STEP
    high = math.ceil(others[math.ceil(last * 3 / 4)] / BAND_STEP) * BAND_STEP
    return Band(max(low, 0.0), min(high, TOP_SCORE))


def middle(values: Sequence[float], own: float | None) -> float | None:
    """Return the others' median, as the mean of their middle two or three; None: too few others.

    The plain median of an odd number of people is the exact value of one of them.

    Args:
        values: the role's values of a KPI in a month, ascending, the reader's among them.
        own: the reader's value, left out; None where there is none among the values.
    """
    others = _Others.of(values, own)
    count = len(others)
    if count < MINIMUM_OTHERS:
        return None
    return fmean(
        others[at] for at in range((count - 1) // 2 - count % 2, count // 2 + 1 + count % 2)
    )
