"""The tables of one release that say what was judged: its gates' verdicts, and what it is.

Nothing is judged here, and nobody is named whom a check could not match.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from perfhouse import warehouse
from perfhouse.release_files import DATABASE
from perfhouse.release_label import Label
from perfhouse.release_tables import Database, to_parquet

VERDICTS = "gate_verdicts"
VERDICT_COLUMNS = (
    "month date, gate varchar, check_id varchar, title_en varchar, title_zh varchar, "
    "severity varchar, passed boolean, observed varchar, threshold varchar, failing_keys varchar, "
    "agreed_by varchar, agreed_on date, agreed_reason varchar, "
    "accepted_by varchar, accepted_reason varchar"
)
_PERSONAL_CHECKS = frozenset(
    {"people_ambiguous", "people_changed", "people_contested", "people_known", "people_unknown"}
)


class Check(Protocol):
    """What the release tells of one check of a gate."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def title_en(self) -> str: ...  # noqa: D102
    @property
    def title_zh(self) -> str: ...  # noqa: D102
    @property
    def severity(self) -> str: ...  # noqa: D102
    @property
    def passed(self) -> bool: ...  # noqa: D102
    @property
    def observed(self) -> str: ...  # noqa: D102
    @property
    def threshold(self) -> str: ...  # noqa: D102
    @property
    def failing_keys(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def agreed_by(self) -> str: ...  # noqa: D102
    @property
    def agreed_on(self) -> str: ...  # noqa: D102
    @property
    def agreed_reason(self) -> str: ...  # noqa: D102
    @property
    def accepted_by(self) -> str: ...  # noqa: D102
    @property
    def accepted_reason(self) -> str: ...  # noqa: D102


class Verdict(Protocol):
    """What the release tells of one gate."""

    @property
    def gate(self) -> str: ...  # noqa: D102
    @property
    def passed(self) -> bool: ...  # noqa: D102
    @property
    def checks(self) -> Sequence[Check]: ...  # noqa: D102


def stage_verdicts(folder: Path, label: Label, verdicts: Sequence[Verdict]) -> None:
    """Add the tables `gate_verdicts` and `releases` to the database and the Parquet folder.

    Done again it replaces them: once for the exports gate to read, once with its verdict.
    """
    rows = [
        [
            *(label.month.start, v.gate, c.id, c.title_en, c.title_zh, c.severity, c.passed),
            *(c.observed, c.threshold, _published_keys(c)),
            *(
                c.agreed_by or None,
                c.agreed_on or None,
                c.agreed_reason or None,
                c.accepted_by,
                c.accepted_reason,
            ),
        ]
        for v in verdicts
        for c in v.checks
    ]
    with Database(folder / DATABASE) as con:
        con.execute(f"create or replace table release.{VERDICTS} ({VERDICT_COLUMNS})")
        warehouse.insert(con, f"release.{VERDICTS}", rows)
        con.execute(
            "create or replace table release.releases as select ?::varchar as release, "
            "?::varchar as company, ?::date as month, ?::integer as number, "
            "?::date as as_of_month, ?::varchar as follows, ?::integer as change_count, "
            "?::varchar as restatement_reason",
            [
                *(label.name, label.company.id, label.month.start, label.number),
                *(label.as_of.start, *_succession(label)),
            ],
        )
        for name in (VERDICTS, "releases"):
            to_parquet(con, f"select * from release.{name}", folder / f"parquet/{name}.parquet")


def _succession(label: Label) -> tuple[str | None, int | None, str | None]:
    said = label.succession
    if said is None:
        return None, None, None
    return said.follows, said.change_count, said.reason.reason if said.reason else None


def _published_keys(check: Check) -> str:
    """Leave out the people nobody knows: a source's user ids may be addresses or numbers."""
    return "" if check.id in _PERSONAL_CHECKS else "; ".join(check.failing_keys)


def summary(verdict: Verdict) -> dict[str, Any]:
    """Return what release.json says of a gate."""
    failed = [check for check in verdict.checks if not check.passed]
    accepted = [check.id for check in failed if check.accepted_by]
    return {
        "passed": verdict.passed,
        "checks": len(verdict.checks),
        "warnings": [check.id for check in failed if check.severity == "warning"],
        **({"accepted": accepted} if accepted else {}),
    }
