"""What a release is a release of: company, month and number, and which release it follows.

Facts only; it may not read or write a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfhouse.month import Month
from perfhouse.restatement import Reason

if TYPE_CHECKING:
    from perfhouse.company import Company


@dataclass(frozen=True)
class Succession:
    """Which release one follows, how many values differ, and why, if the month was closed."""

    follows: str
    change_count: int
    reason: Reason | None

    def as_json(self) -> dict[str, Any]:
        """Return what release.json says of it."""
        said: dict[str, Any] = {"follows": self.follows, "change_count": self.change_count}
        if self.reason is not None:
            said["restatement"] = {"reason": self.reason.reason, "by": self.reason.by}
        return said

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Succession | None:
        """Return what release.json says, or None for a first release."""
        if "follows" not in said:
            return None
        why = said.get("restatement")
        return cls(said["follows"], said["change_count"], Reason(**why) if why else None)


@dataclass(frozen=True)
class Label:
    """What a release is a release of."""

    company: Company
    month: Month
    number: int
    as_of: Month
    succession: Succession | None = None

    @property
    def name(self) -> str:
        """Return the release's name, such as `2026-09.r1`."""
        return f"{self.month}.r{self.number}"
