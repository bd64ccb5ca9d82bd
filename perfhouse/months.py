"""Where a month stands: open, provisional, closed or restated, told from deliveries and releases.

No clock is read: what day it is, the newest complete delivery says. It may not build or publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from perfhouse import lake, ledger, warehouse
from perfhouse.company_types import Company
from perfhouse.month import Month
from perfhouse.settings import Home

OPEN, PROVISIONAL, CLOSED, RESTATED = "open", "provisional", "closed", "restated"
_KPI_MONTHS = "parquet/scorecard_kpi_months.parquet"


@dataclass(frozen=True)
class State:
    """Where a month stands; `provisional` names the KPIs that later events may still change.

    `is_locked`: what is not provisional changes only by a restatement.
    """

    month: Month
    status: str
    closes_on: date
    is_locked: bool
    release: str | None
    as_of: str | None
    provisional: tuple[str, ...]


def closes_on(company: Company, month: Month) -> date:
    """Return the day on which a month closes: days of grace after its end."""
    return month.end + timedelta(days=company.close_grace_days)


def known_until(company: Company, home: Home) -> date | None:
    """Return the day after the newest month that every required source has delivered."""
    required = {source.id for source in company.sources if source.required} or {
        source.id for source in company.sources
    }
    keys = {path.name.removeprefix("month=") for path in home.manifests.glob("month=*")}
    complete = [
        month
        for month in map(Month, keys)
        if all(lake.manifest_path(home, source, month).exists() for source in required)
    ]
    return max(complete).end if complete else None


def is_past_close(company: Company, home: Home, month: Month, as_of: Month) -> bool:
    """Say whether data of later than a month's close date is known, or counted in `as_of`."""
    days = [as_of.end, known_until(company, home)]
    return max(day for day in days if day is not None) >= closes_on(company, month)


def provisional(folder: Path) -> tuple[str, ...]:
    """Return the KPIs that a release says may still change."""
    file = folder / _KPI_MONTHS
    con = warehouse.connect()
    try:
        columns = con.execute("select name from parquet_schema(?)", [str(file)]).fetchall()
        if ("is_provisional",) not in columns:
            return ()
        rows = con.execute(
            "select distinct kpi_id from read_parquet(?) where is_provisional order by 1",
            [str(file)],
        ).fetchall()
    finally:
        con.close()
    return tuple(str(row[0]) for row in rows)


def state(company: Company, home: Home, month: Month) -> State:
    """Return where one month stands."""
    entry = ledger.latest(home, month)
    closing = closes_on(company, month)
    if entry is None:
        return State(month, OPEN, closing, False, None, None, ())
    waiting = provisional(home.published / entry.path)
    locked = is_past_close(company, home, month, Month(entry.as_of))
    status = RESTATED if entry.reason else CLOSED
    if not locked or waiting:
        status = PROVISIONAL
    name = f"{month}.r{entry.number}"
    return State(month, status, closing, locked, name, entry.as_of, waiting)


def states(company: Company, home: Home) -> list[State]:
    """Return where every month stands that has a delivery or a release, in their order."""
    keys = {path.name.removeprefix("month=") for path in home.manifests.glob("month=*")}
    keys |= {entry.month for entry in ledger.entries(home)}
    return [state(company, home, Month(key)) for key in sorted(keys)]
