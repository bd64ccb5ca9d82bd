"""Path templates of files: `{month}`, `{dd}` and the like, filled for the hours of a month.

Text and calendars only; nothing here may look at a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from perfhouse.company import Company, Source
from perfhouse.errors import ConfigError
from perfhouse.month import Month

PLACEHOLDERS = ("month", "yyyymm", "yyyy", "mm", "dd", "hh")
BRACED = re.compile(r"\{([^{}]*)\}")


def paths(
    template: str, source: Source, company: Company, month: Month, until: date | None = None
) -> list[str]:
    """Fill a path template for a month.

    `{dd}` and `{hh}` are days and hours in the source's zone; every one that touches the
    company's local month is listed. `{month}`, `{yyyymm}`, `{yyyy}` and `{mm}` alone name
    the month itself. `until`: the day after the last that is asked for, of a month under way.
    """
    words = set(BRACED.findall(template))
    unknown = sorted(words - set(PLACEHOLDERS))
    if unknown:
        known = ", ".join("{" + word + "}" for word in PLACEHOLDERS)
        raise ConfigError([f"{source.id}: path: expected {known}; got {{{unknown[0]}}}"])
    if not has_days(template):
        return [_fill(template, datetime.combine(month.start, datetime.min.time()))]
    return list(
        dict.fromkeys(_fill(template, hour) for hour in _hours(source, company, month, until))
    )


def has_days(template: str) -> bool:
    """Say whether a template names days or hours, so that a part of a month can be asked for."""
    return bool({"dd", "hh"} & set(BRACED.findall(template)))


def bounds(company: Company, month: Month, until: date | None = None) -> tuple[datetime, datetime]:
    """Return a month of the company's zone, up to a day, as half-open UTC instants."""
    home = ZoneInfo(company.time_zone)
    start, end = (
        datetime.combine(day, datetime.min.time(), home).astimezone(UTC)
        for day in (month.start, until or month.end)
    )
    return start, end


def _fill(template: str, at: datetime) -> str:
    values = {
        "month": f"{at:%Y-%m}",
        "yyyymm": f"{at:%Y%m}",
        "yyyy": f"{at:%Y}",
        "mm": f"{at:%m}",
        "dd": f"{at:%d}",
        "hh": f"{at:%H}",
    }
    return BRACED.sub(lambda match: values[match.group(1)], template)


def _hours(
    source: Source, company: Company, month: Month, until: date | None
) -> Iterator[datetime]:
    zone = ZoneInfo(source.time_zone)
    at, end = bounds(company, month, until)
    at = at.replace(minute=0)
    while at < end:
        yield at.astimezone(zone)
        at += timedelta(hours=1)
