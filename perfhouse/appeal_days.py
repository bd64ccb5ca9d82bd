"""The days of appeals: until when a month may be appealed and an appeal is to be decided.

Which appeals came, and what became of them, is SQL and not known here.
"""

from __future__ import annotations

from datetime import date, timedelta

from perfhouse.calendars import working_day
from perfhouse.company_types import Company
from perfhouse.month import Month
from perfhouse.months import closes_on

_DAYS_AFTER = 366  # what is raised later than that has no day to be decided by


def published_on(company: Company, month: Month) -> date:
    """Return the day on which a month's cards are handed out: no clock tells, the company does."""
    return company.appeals.published_on.get(month.key, closes_on(company, month))


def deadline(company: Company, month: Month) -> date:
    """Return the last day on which a month may be appealed."""
    calendar = company.calendars[company.default_calendar]
    days = company.appeals.raise_within_days
    return working_day(calendar, published_on(company, month), days)


def decide_by(company: Company, raised_on: date) -> date:
    """Return the last day on which what was raised on a day is to be decided."""
    calendar = company.calendars[company.default_calendar]
    return working_day(calendar, raised_on, company.appeals.decide_within_days)


def days(company: Company, month: Month) -> list[tuple[date, date, date]]:
    """List (raised on, last day to raise, last day to decide) of the days an appeal may come on."""
    last = deadline(company, month)
    span = (month.end - month.start).days + _DAYS_AFTER
    raised = (month.start + timedelta(days=at) for at in range(span))
    return [(day, last, decide_by(company, day)) for day in raised]
