"""Errors grouped by who must act.

Every message names the file, row or key and who can mend it;
none holds a secret or a personal datum.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_ROWS_TOLD = 12
# Here an engine goes on to quote the value it choked on.
_QUOTES = re.compile(r"(Could not (?:convert|cast)|Duplicate key)\b.*", re.DOTALL)


def without_values(message: str) -> str:
    """Cut an engine's message where it would quote data: after what went wrong, before whose."""
    return _QUOTES.sub(r"\1 <hidden>", message)


class PerfhouseError(Exception):
    """Base of every error we raise; `who` says who must act."""

    who = "operator"
    exit_code = 1


class ConfigError(PerfhouseError):
    """The operator's configuration is wrong; all problems are listed at once."""

    who = "operator"
    exit_code = 2

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(f"configuration: {head}\n" + "\n".join(f"  - {p}" for p in self.problems))


class TransientError(PerfhouseError):
    """A source or disk failed in a way that a retry may cure."""

    who = "nobody yet: it is retried"
    exit_code = 3


class SourceMissing(TransientError):
    """A source has not delivered the month (yet); its owner is named."""

    who = "source owner"
    exit_code = 4


class SourceChanged(PerfhouseError):
    """What the source delivered does not fit its mapping; nothing was landed."""

    who = "connector author"
    exit_code = 5


class GateFailed(PerfhouseError):
    """This month's data may not go on; a data owner decides."""

    who = "data owner"
    exit_code = 6

    def __init__(self, gate: str, month: str, failures: Sequence[str]) -> None:
        self.gate = gate
        self.month = month
        self.failures = tuple(failures)
        lines = "\n".join(f"  - {f}" for f in self.failures)
        super().__init__(f"gate {gate} stopped {month}; nothing was published\n{lines}")


class MonthClosed(PerfhouseError):
    """A closed month would change; only a person with a reason may do that."""

    who = "data owner"
    exit_code = 9

    def __init__(
        self, month: str, closed: str, rows: Sequence[str], count: int, file: Path
    ) -> None:
        self.month = month
        told = [*(rows[:_ROWS_TOLD] or ["no number; other files do"])]
        if len(rows) > _ROWS_TOLD:
            told.append(f"and {len(rows) - _ROWS_TOLD} more rows")
        lines = "".join(f"  - {row}\n" for row in told)
        super().__init__(
            f"{month} is closed ({closed}); nothing was published. What would change: {count} "
            f"values\n{lines}old and new values: {file}\n"
            'to restate it: --restate --reason "..." --by NAME, or under Airflow '
            'trigger `publish` for the month with {"reason": "...", "by": "..."}; '
            'with the as-of month of the build, if it had one (--as-of, "as_of")'
        )


class NotSignedOff(PerfhouseError):
    """A final release has no signature of an approver, or was refused; nothing was published."""

    who = "approver of the sign-off"
    exit_code = 10


class BuildFailed(PerfhouseError):
    """A model or one of its tests failed; the code is wrong, not the data."""

    who = "data engineer"
    exit_code = 7


class ReleaseError(PerfhouseError):
    """A release could not be completed; the one before is untouched."""

    who = "data engineer"
    exit_code = 8
