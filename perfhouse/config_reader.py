"""Reading of configuration tables: every problem is noted with its key path, none is raised.

This module may not know what the keys mean.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from functools import cache
from re import Pattern
from typing import Any, TypeVar
from zoneinfo import available_timezones

T = TypeVar("T")
_ABSENT: Any = object()


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return ' (did you mean ...?)' for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    if not near:
        folded = {name.lower(): name for name in known}
        near = [
            folded[name]
            for name in difflib.get_close_matches(word.lower(), sorted(folded), n=1, cutoff=0.6)
        ]
    return f" (did you mean {near[0]!r}?)" if near else ""


@cache
def zone_names() -> frozenset[str]:
    """Return every time-zone name this machine knows."""
    return frozenset(available_timezones())


def parse_day(value: object) -> date | None:
    """Return a TOML date or an ISO day as a date, else None."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return None


class Table:
    """A TOML table that notes what is wrong with it as it is read.

    Each reader returns a usable stand-in on a problem so that reading goes on to the end.
    """

    def __init__(self, data: object, path: str, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        self.read: set[str] = set()
        if not isinstance(data, Mapping):
            problems.append(f"{path}: expected a table, got {data!r}")
            data = {}
        self.data: Mapping[str, Any] = data

    def at(self, key: str) -> str:
        """Return the full path of a key."""
        return f"{self.path}.{key}" if not self.path.endswith(": ") else f"{self.path}{key}"

    def problem(self, key: str, expected: str, got: object = _ABSENT) -> None:
        """Note a problem: what was expected at a key and what was found."""
        found = "nothing" if got is _ABSENT else repr(got)
        self.problems.append(f"{self.at(key)}: expected {expected}, got {found}")

    def take(self, key: str) -> Any:
        """Return the raw value of a key (None when absent) and mark the key as known."""
        self.read.add(key)
        return self.data.get(key)

    def table(self, key: str) -> Table:
        """Return a nested table, empty when absent."""
        value = self.take(key)
        return Table({} if value is None else value, self.at(key), self.problems)

    def tables(self, key: str) -> list[Table]:
        """Return a list of nested tables ([[key]]), empty when absent."""
        value = self.take(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(key, "a list of tables", value)
            return []
        return [Table(v, f"{self.at(key)}[{i}]", self.problems) for i, v in enumerate(value)]

    def text(
        self,
        key: str,
        default: str | None = None,
        pattern: Pattern[str] | None = None,
        expected: str = "text",
    ) -> str:
        """Return text; without a default the key is required."""
        value = self.take(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            self.problem(key, expected, _ABSENT if value is None else value)
            return default or ""
        if pattern and not pattern.fullmatch(value):
            self.problem(key, expected, value)
        return value

    def optional_text(self, key: str) -> str | None:
        """Return text, or None when absent."""
        return self.text(key) if self.take(key) is not None else None

    def number(
        self, key: str, default: float, low: float | None = None, high: float | None = None
    ) -> float:
        """Return a number between low and high, both included."""
        value = self.take(key)
        if value is None:
            return default
        wanted = "a number" + (f" from {low:g}" if low is not None else "")
        wanted += f" to {high:g}" if high is not None else ""
        wrong = isinstance(value, bool) or not isinstance(value, int | float)
        if wrong or (low is not None and value < low) or (high is not None and value > high):
            self.problem(key, wanted, value)
            return default
        return float(value)

    def whole(self, key: str, default: int, low: int = 0) -> int:
        """Return a whole number from `low` up."""
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            self.problem(key, f"a whole number from {low}", value)
            return default
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(key, "true or false", value)
            return default
        return value

    def one_of(self, key: str, known: Collection[str] | None, default: str | None = None) -> str:
        """Return one of the known words; None as `known` accepts any text."""
        value = self.text(key, default)
        if known is not None and value and value not in known:
            choice = ", ".join(sorted(known))
            self.problem(key, f"one of {choice}{did_you_mean(value, known)}", value)
        return value

    def zone(self, key: str, default: str | None = None) -> str:
        """Return the name of a time zone."""
        value = self.text(key, default, expected="a time zone such as Asia/Shanghai")
        if not value:
            return "UTC"
        if value not in zone_names():
            hint = did_you_mean(value, zone_names())
            self.problem(key, f"a time zone such as Asia/Shanghai{hint}", value)
            return "UTC"
        return value

    def day(self, key: str, default: date | None = None) -> date | None:
        """Return a day, or the default when absent."""
        value = self.take(key)
        if value is None:
            return default
        found = parse_day(value)
        if found is None:
            self.problem(key, "a day such as 2026-09-01", value)
        return found

    def instant(self, key: str) -> datetime | None:
        """Return a UTC instant of whole seconds, or None when absent."""
        value = self.take(key)
        if value is None:
            return None
        try:
            found = datetime.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            found = None
        if not isinstance(found, datetime) or found.tzinfo is None or found.microsecond:
            self.problem(key, "an instant with its zone such as 2026-09-15T00:00:00Z", str(value))
            return None
        return found.astimezone(UTC)

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of text."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.problem(key, "a list of text", value)
            return default
        return tuple(value)

    def finish(self, more: Collection[str] = ()) -> None:
        """Note every key nobody asked for."""
        known = self.read | set(more)
        for key in self.data:
            if key not in known:
                hint = did_you_mean(key, known)
                choice = ", ".join(sorted(known))
                self.problems.append(f"{self.at(key)}: unknown key{hint}; expected one of {choice}")
