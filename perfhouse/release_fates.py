"""What has become of every release: it stands, is superseded or was withdrawn.

Reads lines of the ledger; it opens no file.
"""

from __future__ import annotations

from collections.abc import Iterable

from perfhouse.ledger import ROLLED_BACK, Entry, Line

STANDS, SUPERSEDED, WITHDRAWN = "stands", "superseded", "withdrawn"


def fates(known: Iterable[Line]) -> dict[str, str]:
    """Say of every release, by name, whether it stands, is superseded or was withdrawn.

    A rollback withdraws what was published after the release that it makes stand.
    """
    found: dict[str, str] = {}
    numbers: dict[str, list[int]] = {}
    for line in known:
        if isinstance(line, Entry):
            of_month = numbers.setdefault(line.month, [])
            _supersede(found, line.month, of_month)
            of_month.append(line.number)
            found[line.name] = STANDS
        elif line.kind == ROLLED_BACK:
            month, name = line.what["month"], line.what["release"]
            _supersede(found, month, numbers[month])
            after = numbers[month][numbers[month].index(int(name.rpartition(".r")[2])) + 1 :]
            found |= dict.fromkeys((f"{month}.r{number}" for number in after), WITHDRAWN)
            found[name] = STANDS
    return found


def _supersede(found: dict[str, str], month: str, numbers: Iterable[int]) -> None:
    for name in (f"{month}.r{number}" for number in numbers):
        if found[name] == STANDS:
            found[name] = SUPERSEDED
