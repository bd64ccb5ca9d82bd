"""The overview pages: one for HR over all managers, one per director over the own subtree.

Writes self-contained pages from what `page_data` read; the numbers stand in one table of the page,
and the charts are drawn from it, so that they cannot say anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import card_view, cards, page_data, page_parts
from perfhouse.card_kpis import CATEGORY_NAMES
from perfhouse.card_roles import role_name
from perfhouse.page_data import Kpi, Manager, Overview
from perfhouse.scorecards import KpiScore

if TYPE_CHECKING:
    import duckdb

    from perfhouse.month import Month

INDEX = "index.html"
SCRIPT = ("director_table.js", "director_charts.js", "director.js")
_ECHARTS = "vendor/echarts/echarts.min.js.gz"
# A KPI without a score has a mark of its own, never a colour of the scale: by code, the mark and
# what it says in Chinese and English.
MARKS = {
    "i": ("—", "样本不足", "too few cases"),
    "m": ("◔", "月份不足", "too few months"),
    "h": ("■", "不予显示", "not shown: confidential"),
    "t": ("○", "未设目标", "no target"),
    "d": ("∅", "暂无数据", "no data"),
    "x": ("×", "申诉剔除", "left out by an appeal"),
}
_CODES = {"insufficient_data": "i", "no_target": "t", "not_available": "d", "excluded": "x"}
_LACKING = {"months": "m", "answers": "h"}
_FUNNEL = {"inside": "0", "better_95": "b", "better_998": "B", "worse_95": "w", "worse_998": "W"}
_CHANGES = {"better": "b", "worse": "w", "no_clear_change": "n"}


def render_all(
    con: duckdb.DuckDBPyConnection,
    month: Month,
    out_dir: Path,
    *,
    release: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write `index.html` for HR and a page per director; return their paths, HR's first.

    Args:
        con: the warehouse, read only.
        month: of this month alone is told.
        out_dir: created when missing; cards are expected in `cards` beside it.
        release: what the page is published as, of `card_reading.read_sheet`.
    """
    everyone = page_data.read(con, month, release)
    files = cards.file_names(manager.total.manager_id for manager in everyone.managers)
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = [out_dir / INDEX]
    paths[0].write_bytes(render(everyone, files))
    for director in everyone.directors:
        paths.append(out_dir / files[director])
        paths[-1].write_bytes(render(everyone.of(director), files, director))
    return paths


def render(overview: Overview, files: Mapping[str, str], director: str | None = None) -> bytes:
    """Render the page of a director, or HR's where none is named.

    Args:
        overview: the managers that may be shown.
        files: the name of each manager's card and page, by id.
        director: whose page it is.
    """
    echarts, script = page_parts.packed(_ECHARTS), page_parts.script(*SCRIPT)
    return (
        page_parts.environment()
        .get_template("director.html")
        .render(
            month=str(overview.month),
            release=overview.release,
            director=_director(overview, director),
            provisional=_provisional(overview),
            reason=overview.reason,
            restated=sum(m.total.manager_id in overview.restated for m in overview.managers),
            groups=_groups(overview.kpis),
            kpis=[_kpi(kpi) for kpi in overview.kpis],
            managers=[_manager(m, overview, files, director) for m in overview.managers],
            marks=MARKS,
            css=page_parts.style("page.css"),
            echarts=echarts.text,
            script=script,
            policy=page_parts.policy(echarts.script, script),
        )
        .encode()
    )


def _director(overview: Overview, director: str | None) -> dict[str, str | None] | None:
    if director is None:
        return None
    own = next(m for m in overview.managers if m.total.manager_id == director)
    return {"manager_id": director, "name": own.name}


def _provisional(overview: Overview) -> int:
    """Count the KPIs of somebody's total that may still change."""
    open_kpis = {
        cell.kpi_id
        for manager in overview.managers
        for cell in manager.cells.values()
        if cell.is_provisional and cell.effective_weight
    }
    return len(open_kpis)


def _groups(kpis: Sequence[Kpi]) -> list[dict[str, Any]]:
    """Group neighbouring KPIs by category, for the head of the table."""
    found = []
    for category, members in groupby(kpis, key=lambda kpi: kpi.definition.category):
        zh, en = CATEGORY_NAMES.get(category, (category, category))
        found.append({"id": category, "zh": zh, "en": en, "count": len(list(members))})
    return found


def _kpi(kpi: Kpi) -> dict[str, Any]:
    known, funnel = kpi.definition, kpi.funnel
    return {
        "kpi_id": known.kpi_id,
        "zh": known.name_zh,
        "en": known.name_en,
        "category": known.category,
        "unit": known.unit,
        "down": known.direction == "down",
        "funnel": None
        if funnel is None
        else [
            precise(value)
            for value in (funnel.reference_value, funnel.within_variance, funnel.between_variance)
        ],
    }


def _manager(
    manager: Manager, overview: Overview, files: Mapping[str, str], director: str | None
) -> dict[str, Any]:
    total = manager.total
    change = total.change if total.total_score is not None else None
    has_page = len(overview.below.get(total.manager_id, ())) > 1 and total.manager_id != director
    return {
        "manager_id": total.manager_id,
        "href": files[total.manager_id],
        "has_page": has_page,
        "name": _line(manager.name),
        "role": total.role or "",
        "role_name": role_name(total.role) or ("", ""),
        "team": _line(manager.team),
        "place": _line(manager.place),
        "total": plain(total.total_score),
        "shown_total": None if total.total_score is None else f"{total.total_score:.1f}",
        "interval": card_view.total_interval(total),
        "status": total.status,
        "grade": total.grade,
        "rank": total.rank,
        "peers": total.peer_count,
        "tied": card_view.tied_ranks(total),
        "coverage": plain(total.coverage_rate),
        "change": plain(change),
        "shown_change": None if change is None else f"{change:+.1f}".replace("-", "−"),
        "change_code": _CHANGES.get(total.change_status or ""),
        "cells": [_cell(k, manager.cells.get(k.definition.kpi_id)) for k in overview.kpis],
    }


def _line(text: str | None) -> str:
    """Write a text on one line: an erasure takes a person's line out of the page."""
    return " ".join((text or "").split())


def _cell(kpi: Kpi, cell: KpiScore | None) -> dict[str, str] | None:
    """Describe a cell: its text and the attributes that charts read; None where no KPI applies."""
    if cell is None:
        return None
    code = _LACKING.get(cell.lacks(kpi.definition) or "", _CODES.get(cell.status or "", "d"))
    said = {
        "s": plain(cell.score) if cell.is_scored else None,
        "x": None if cell.is_scored else code,
        "v": plain(cell.adjusted_value),
        "n": plain(cell.sample_size),
        "w": plain(cell.effective_weight) if cell.is_scored else None,
        "f": _FUNNEL.get(cell.funnel_status or ""),
        "p": "1" if cell.is_provisional else None,
    }
    scored = f"{cell.score:.0f}{'*' if cell.is_provisional else ''}" if cell.is_scored else None
    text = scored or MARKS[code][0]
    return {"text": text, **{name: value for name, value in said.items() if value is not None}}


def plain(value: float | None) -> str | None:
    """Write a number of a published table, which has six digits after its point."""
    if value is None:
        return None
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def precise(value: float) -> str:
    """Write an estimate, which may be far smaller."""
    return f"{value:.9g}"
