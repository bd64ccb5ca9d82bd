"""The thresholds of the gates, as data: what holds where a company agreed on nothing else.

Numbers and words only; which rule asks which is written at the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perfhouse.company_types import Agreement


@dataclass(frozen=True)
class Threshold:
    """A default, the version of perfhouse that set it last, and what it decides."""

    value: float
    meaning: str
    since: str = "0.1.0"


DEFAULTS: dict[str, dict[str, Threshold]] = {
    "raw": {
        "quarantine_share": Threshold(0.02, "critical above this share of a stream's rows"),
        "unmatched_share": Threshold(
            0.05, "critical above this share of events by people the roster does not know"
        ),
        "unmatched_warning_share": Threshold(0, "warning above it, see identity.md"),
        "vanished_share": Threshold(
            0.2,
            "critical above this share of people gone from the rosters without a date of leaving",
        ),
        "ambiguous_share": Threshold(
            0.001, "critical above this share of rows that claim to be one version of one record"
        ),
        "reversed_share": Threshold(
            0.01, "critical above this share of a stream's rows that end before they begin"
        ),
        "impossible_share": Threshold(
            0.001, "critical above this share of a stream's rows that can be no true row"
        ),
        "late_share": Threshold(
            0.5, "critical above this share of a stream's rows that describe earlier months"
        ),
        "duplicate_share": Threshold(0.05, "warning above this share of exact duplicates"),
        "volume_drop": Threshold(0.5, "warning below this share of the month before"),
        "volume_rise": Threshold(3, "warning above this multiple of the month before"),
        "volume_rows": Threshold(20, "volumes are compared from this many rows of a month up"),
        "allow_empty": Threshold(
            0, "1: an empty stream of a required source is a warning, not critical"
        ),
    },
    "facts": {
        "reversed_share": Threshold(
            0.01, "critical above this share of a fact's rows that end before they begin"
        ),
    },
    "scorecards": {
        "insufficient_share": Threshold(
            0.5, "warning above this share of managers without a total"
        ),
        "uncredited_share": Threshold(
            0.05, "critical above this share of a KPI's cases that is credited to no manager"
        ),
        "drift_months": Threshold(3, "drift is asked from this many earlier months up, of twelve"),
        "drift_deviations": Threshold(
            5, "warning this many deviations away from the median of the months before"
        ),
        "drift_floor": Threshold(
            0.05, "a deviation is at least this share of the median, of grades this share of all"
        ),
        "drift_critical": Threshold(0, "1: drift is critical, not a warning"),
    },
    "exports": {},
}


def origin(
    gate: str, name: str, agreed: Mapping[str, Mapping[str, Agreement]], own: bool
) -> tuple[str, str, str]:
    """Return who agreed to a threshold, on which day (ISO) and why; words where nobody said.

    Args:
        gate: whose threshold it is.
        name: the threshold.
        agreed: the company's agreements, by gate and name.
        own: whether the company set it at all.
    """
    found = agreed.get(gate, {}).get(name)
    if found is not None:
        return found.agreed_by, found.agreed_on.isoformat(), found.reason
    if own:
        return "perfhouse.toml, nobody named", "", ""
    return f"default of perfhouse {DEFAULTS[gate][name].since}", "", ""
