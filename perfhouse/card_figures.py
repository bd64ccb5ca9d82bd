"""Where the marks of a card's figures stand: positions in percent, so that figures stretch.

Pure geometry; it may not know words, languages or templates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from perfhouse import card_peers, scorecards
from perfhouse.card_peers import Band
from perfhouse.scorecards import KpiScore, Total

DASH = "—"


# The totals of a month's role, ascending.
Peers = Mapping[tuple[date, str | None], Sequence[float]]


def trend(points: Sequence[Total], of_peers: Peers) -> dict[str, Any]:
    """Place the totals of the months at hand; a month without a total is a gap with its mark."""
    bands = [card_peers.band(of_peers.get((p.month, p.role), ()), p.total_score) for p in points]
    low, high = _reach(points, bands)
    count = len(points)
    xs = [(index + 0.5) / count * 100 for index in range(count)]

    def height(score: float) -> float:
        return round((high - score) / (high - low) * 100, 2)

    marks = [
        {
            "x": _fixed(x),
            "y": None if p.total_score is None else _fixed(height(p.total_score)),
            "label": None if p.total_score is None else f"{p.total_score:.1f}",
            "month": f"{p.month:%y-%m}",
            "wide_only": (count - 1 - index) % 2 == 1 and count > 6,
            "last": index == count - 1,
        }
        for index, (x, p) in enumerate(zip(xs, points, strict=True))
    ]
    return {
        "marks": marks,
        "gaps": any(p.total_score is None for p in points),
        "labels_all": count <= 6,
        "lines": [
            " ".join(f"{m['x']},{m['y']}" for m in run) for run in _runs(marks) if len(run) > 1
        ],
        "band": _band_path(xs, bands, height, 50 / count if count else 0),
        "ticks": [(_fixed(height(t)), t) for t in _ticks(low, high)],
        "target": _fixed(height(scorecards.TARGET_SCORE)),
        "text": "; ".join(
            f"{p.month:%Y-%m} {DASH if p.total_score is None else format(p.total_score, '.1f')}"
            for p in points
        ),
    }


def _reach(points: Sequence[Total], bands: Sequence[Band | None]) -> tuple[float, float]:
    seen = [p.total_score for p in points if p.total_score is not None]
    seen += [v for b in bands if b for v in (b.low, b.high)]
    lowest = min([*seen, 80.0])
    step = 20 if lowest >= 45 else 40
    return max(0.0, (lowest - 5) // step * step), scorecards.TOP_SCORE


def _ticks(low: float, high: float) -> list[int]:
    step = 20 if high - low <= 80 else 40
    return list(range(int(high), int(low) - 1, -step))


def _runs(marks: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    runs: list[list[dict[str, Any]]] = [[]]
    for mark in marks:
        if mark["y"] is None:
            runs.append([])
        else:
            runs[-1].append(mark)
    return runs


def _band_path(
    xs: Sequence[float],
    bands: Sequence[Band | None],
    height: Callable[[float], float],
    reach: float,
) -> str:
    """Draw the bands of peers as one closed area per unbroken run of months."""
    path, run = [], []
    for x, band in [*zip(xs, bands, strict=True), (0.0, None)]:
        if band:
            run.append((x, band))
            continue
        if run:
            edge = [(run[0][0] - reach / 2, run[0][1]), *run, (run[-1][0] + reach / 2, run[-1][1])]
            top = [f"{_fixed(x)},{_fixed(height(b.high))}" for x, b in edge]
            bottom = [f"{_fixed(x)},{_fixed(height(b.low))}" for x, b in reversed(edge)]
            path.append("M" + "L".join([*top, *bottom]) + "Z")
        run = []
    return "".join(path)


def bullet(score: KpiScore, median: float | None) -> dict[str, Any]:
    """Place a KPI on the score axis 0..120, in percent of its width, clamped at both ends."""
    scale = score.scale
    ends: tuple[str, str] | None = None
    width = None
    if scale and score.is_scored and score.ci_low is not None and score.ci_high is not None:
        low, high = sorted((scale.score(score.ci_low), scale.score(score.ci_high)))
        ends, width = (position(low), position(high)), position(high - low)
    basis = score.basis
    raw = scale.unclipped(basis) if scale and basis is not None and score.is_scored else 50.0
    return {
        "bar": position(score.score) if score.is_scored and score.score is not None else None,
        "below": raw < 0,
        "median": position(scale.score(median)) if scale and median is not None else None,
        "ci": ends,
        "ci_width": width,
    }


def _fixed(value: float) -> str:
    """Write a position to a tenth of a percent: less than a pixel of any figure."""
    return f"{value:.1f}".removesuffix(".0")


def position(score: float, top: float = scorecards.TOP_SCORE) -> str:
    """Place a score on its axis, in percent, clamped."""
    return _fixed(min(max(score / top * 100, 0.0), 100.0))
