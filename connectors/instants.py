"""A vendor's times as instants in UTC.

Values in, values out; nothing here knows a vendor.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from perfhouse.errors import SourceChanged


def parsed(text: Any, what: str) -> datetime | None:
    """Return an ISO instant of a vendor in UTC, None for nothing; SourceChanged when it is none."""
    if text in (None, ""):
        return None
    try:
        return instant(text)
    except ValueError:
        raise SourceChanged(f"{what}: expected an ISO time") from None


def instant(text: Any) -> datetime:
    """Return an ISO instant of a record in UTC; ValueError when it is none: it is quarantined."""
    found = datetime.fromisoformat(str(text))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def moment(epoch: Any) -> datetime:
    """Return seconds since 1970 as an instant; an error of a record where no calendar has it."""
    # not `fromtimestamp`: the system's own OSError would end the landing of all other records
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(epoch))
