"""How a card writes numbers: values in their unit, shares, counts; the same in both languages.

Text only; it may not know what a number means.
"""

from __future__ import annotations

from decimal import Decimal

from perfhouse.card_figures import DASH

_PERCENTAGES = frozenset({"rate", "ratio"})  # a ratio may pass 100 %, a rate may not
# A net rate is a share less another, from -1 to 1: people call it points, from -100 to 100.
HUNDREDTHS = _PERCENTAGES | {"net_rate"}


def show(value: float | None, unit: str, bare: bool = False) -> str:
    """Write a value in its unit; signs and symbols read the same in both languages."""
    if value is None:
        return DASH
    if unit in HUNDREDTHS:
        return f"{_trim(value * 100, 1)}{'%' if unit in _PERCENTAGES else ''}"
    sign = "" if bare else unit_sign(unit)
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{_trim(value, digits)}{sign}"


def unit_sign(unit: str) -> str:
    """Return what stands after a value of a unit; a share's sign is part of its number."""
    return {"minutes": " min", "seconds": " s"}.get(unit, "")


def percent(share: float | None) -> str:
    """Write a share as a percentage with at most one digit."""
    return DASH if share is None else f"{_trim(share * 100, 1)}%"


def number(value: float) -> str:
    """Write a count; halves and the like keep one digit."""
    return _trim(value, 1, ",")


def signed(value: Decimal) -> str:
    """Write a difference with its sign and without needless zeros."""
    text = f"{value:+f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if not value else text.replace("-", "−")


def _trim(value: float, digits: int, comma: str = "") -> str:
    text = f"{value:{comma}.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text and digits and not comma else text
    text = text.removesuffix(".0")
    return ("0" if text in {"-0", "-0.0"} else text).replace("-", "−")
