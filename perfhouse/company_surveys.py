"""What a company says of its surveys, certificates and calls: how answers and codes are to be read.

Standard library only; what counts as satisfied, easy or transferred is SQL and not known here.
"""

from __future__ import annotations

from datetime import date

from perfhouse.company_types import Survey
from perfhouse.config_reader import Table, parse_day

EASY = ("low", "high")


def read_surveys(top: Table) -> tuple[Survey, ...]:
    """Read `[surveys.<survey_id>]`, in the order of their ids."""
    nested = top.table("surveys")
    found = [_survey(nested.table(name), name) for name in sorted(nested.data)]
    nested.finish()
    return tuple(found)


def _survey(table: Table, survey_id: str) -> Survey:
    survey = Survey(
        survey_id,
        easy_is=table.one_of("easy_is", EASY) if table.take("easy_is") is not None else None,
        easy_from=_score(table, "easy_from"),
        satisfied_from=_score(table, "satisfied_from"),
        closes_on=_closes_on(table),
    )
    if survey.easy_from is not None and survey.easy_is is None:
        table.problem("easy_is", f"one of {', '.join(EASY)} beside easy_from")
    table.finish()
    return survey


def _closes_on(table: Table) -> tuple[date, ...]:
    """Return the last day of a survey's only wave, or of each of its waves."""
    value = table.take("closes_on")
    found: list[date] = []
    for index, each in enumerate(value if isinstance(value, list) else [value]):
        key = f"closes_on[{index}]" if isinstance(value, list) else "closes_on"
        day = parse_day(each)
        if day is None and each is not None:
            table.problem(key, "a day such as 2026-10-08, or a list of days", each)
        elif day is not None and found and day <= found[-1]:
            table.problem(key, f"a day after {found[-1]}", str(day))
        elif day is not None:
            found.append(day)
    return tuple(found)


def _score(table: Table, key: str) -> float | None:
    return table.number(key, 0) if table.take(key) is not None else None


def read_certification_grace(top: Table) -> int:
    """Read `[training] certification_grace_days`: days that a new hire has to get a certificate."""
    table = top.table("training")
    days = table.whole("certification_grace_days", 90)
    table.finish()
    return days


def read_routing_codes(top: Table) -> tuple[str, ...]:
    """Read `[calls] routing_codes`: wrap-up codes of calls that had to be passed on, sorted."""
    table = top.table("calls")
    codes = table.texts("routing_codes")
    table.finish()
    return tuple(sorted(set(codes)))
