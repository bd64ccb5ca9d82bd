"""A company of invented people for directories and learning records: a tree, always the same.

It knows no server; nobody in it exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_FAMILY = ("王", "李", "张", "刘", "陈", "杨", "黄", "赵", "Smith", "O'Brien", "Müller")
_GIVEN = ("伟", "芳", "娜", "敏", "静", "磊", "洋", "艳", "Ana", "Joe", "Zoë", "Łukasz", "Ng")
_DEPARTMENTS = ("客服一部", "客服二部", "投诉处理", "Billing, Europe")
_SPAN = 8  # people who report to one manager


@dataclass(frozen=True)
class Person:
    """One employee; `manager` is the number of another one, None for the head."""

    number: str
    login: str
    given_name: str
    family_name: str
    mail: str
    department: str
    title: str
    manager: str | None
    hired: str
    active: bool

    @property
    def name(self) -> str:
        """Return the name as a directory displays it."""
        return f"{self.family_name} {self.given_name}"


def people(count: int) -> Iterator[Person]:
    """Yield employees, managers before those who report to them; each twentieth has left."""
    managers = max(1, (count - 2) // _SPAN + 1)
    for i in range(count):
        number = f"E{i + 1:05d}"
        yield Person(
            number=number,
            login=f"u{i + 1:05d}",
            given_name=_GIVEN[i % len(_GIVEN)],
            family_name=_FAMILY[i % len(_FAMILY)],
            mail=f"U{i + 1:05d}@Corp.Example",  # directories keep what was typed
            department=_DEPARTMENTS[i % len(_DEPARTMENTS)],
            title="Manager" if i < managers else "Agent",
            manager=f"E{(i - 1) // _SPAN + 1:05d}" if i else None,
            hired=f"{2015 + i % 10}-{1 + i % 12:02d}-{1 + i % 28:02d}",
            active=i < managers or i % 20 != 0,
        )
