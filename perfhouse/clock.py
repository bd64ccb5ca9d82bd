"""What time it is, for what watches and alerts; no number of a month may ask.

The only place of it, beside the connectors.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from perfhouse.company_types import Company


def now() -> datetime:
    """Return this machine's time, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def today(company: Company) -> date:
    """Return the company's day."""
    return now().astimezone(ZoneInfo(company.time_zone)).date()
