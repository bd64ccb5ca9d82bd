"""The dashboards: which charts stand where, and what readers may choose.

Positions and filters in Superset's own words; it may not know what a chart shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bi import charts
from bi.charts import Chart
from bi.datasets import MANAGER_MONTHS, Dataset
from bi.datasets_operations import HR_NAMES, VERDICTS
from bi.kpis import Words

Place = tuple[str, int, int]  # chart, width in twelfths, height


@dataclass(frozen=True)
class Choice:
    """A filter of a dashboard: one value if `is_single`, the newest or first one to begin with."""

    column: str
    label: Words
    dataset: Dataset
    is_single: bool = False
    is_ascending: bool = True
    sort: str | None = None  # the metric that values are sorted by, if not by themselves


@dataclass(frozen=True)
class Dashboard:
    """A page of charts in rows of twelve columns."""

    key: str
    title: Words
    about: Words
    rows: tuple[tuple[Place, ...], ...]
    choices: tuple[Choice, ...]

    @property
    def charts(self) -> tuple[Chart, ...]:
        """Return its charts in the order of their places."""
        by_key = {chart.key: chart for chart in charts.CHARTS}
        return tuple(by_key[key] for row in self.rows for key, _, _ in row)


def _month(dataset: Dataset) -> Choice:
    return Choice("month", ("月份", "Month"), dataset, is_single=True, is_ascending=False)


_ROLE = Choice("role_name", ("岗位", "Role"), MANAGER_MONTHS)
_TEAM = Choice("team_id", ("团队", "Team"), MANAGER_MONTHS)

DASHBOARDS = (
    Dashboard(
        "overview",
        ("绩效 · 总览", "Performance · Overview"),
        (
            "各月总分、等级、指标热力图与变化；缺失不算 0 分。",
            "Totals, grades, KPIs and changes of a month; what is missing is no zero.",
        ),
        (
            (("role_totals", 6, 30), ("scored", 2, 30), ("unscored", 2, 30), ("coverage", 2, 30)),
            (("grades", 4, 50), ("bands", 4, 50), ("trend", 4, 50)),
            (("kpi_totals", 5, 80), ("kpi_trend", 7, 80)),
            (("heatmap", 12, 100),),
            (("risers", 6, 62), ("fallers", 6, 62)),
            (("score_spread", 6, 80), ("team_values", 6, 80)),
            (("ranking", 12, 80),),
        ),
        (_month(MANAGER_MONTHS), _ROLE, _TEAM),
    ),
    Dashboard(
        "manager",
        ("绩效 · 经理", "Performance · Manager"),
        ("一位经理的指标、目标、趋势与说明。", "One manager: KPIs, targets, trend and why."),
        (
            (("own_total", 2, 30), ("own_place", 10, 30)),
            (("own_kpis", 12, 80),),
            (("own_scores", 6, 70), ("own_trend", 6, 70)),
            (("own_reasons", 12, 70),),
            (("own_kpi_trend", 12, 60),),
            (("own_teams", 7, 60), ("own_appeals", 5, 60)),
        ),
        (
            _month(MANAGER_MONTHS),
            Choice(
                "manager_id",
                ("经理", "Manager"),
                MANAGER_MONTHS,
                is_single=True,
                sort="newest_first",
            ),
        ),
    ),
    Dashboard(
        "operations",
        ("绩效 · 运行", "Performance · Operations"),
        ("发布版本、关卡结论与数据行去向。", "Releases, gate verdicts and where rows went."),
        (
            (("months", 3, 22), ("failed", 3, 22), ("landed", 3, 22), ("left_out", 3, 22)),
            (("releases", 7, 46), ("gates", 5, 46)),
            (("failures", 12, 44),),
            (("streams", 6, 60), ("late", 6, 60)),
            (("fates", 12, 70),),
        ),
        (_month(VERDICTS),),
    ),
    Dashboard(
        "names",
        ("绩效 · 人事名单", "Performance · HR list"),
        ("带姓名的结果，仅人事可见。", "Results with names, for HR alone."),
        ((("names", 12, 100),),),
        (_month(HR_NAMES),),
    ),
)


def position(
    dashboard: Dashboard, language: int, uuid_of: dict[str, str], number_of: dict[str, int]
) -> dict[str, Any]:
    """Return where the charts stand; numbers of charts are the bundle's own, mended on import."""
    rows: list[str] = []
    found: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": rows, "parents": ["ROOT_ID"]},
        "HEADER_ID": {
            "type": "HEADER", "id": "HEADER_ID", "meta": {"text": dashboard.title[language]},
        },
    }  # fmt: skip
    titles = {chart.key: chart.title[language] for chart in dashboard.charts}
    for index, row in enumerate(dashboard.rows):
        row_id = f"ROW-{dashboard.key}-{index}"
        rows.append(row_id)
        found[row_id] = {
            "type": "ROW", "id": row_id, "parents": ["ROOT_ID", "GRID_ID"],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
            "children": [f"CHART-{key}" for key, _, _ in row],
        }  # fmt: skip
        for key, width, height in row:
            found[f"CHART-{key}"] = {
                "type": "CHART", "id": f"CHART-{key}", "children": [],
                "parents": ["ROOT_ID", "GRID_ID", row_id],
                "meta": {
                    "chartId": number_of[key], "uuid": uuid_of[key], "width": width,
                    "height": height, "sliceName": titles[key],
                },
            }  # fmt: skip
    return found


def metadata(
    dashboard: Dashboard, language: int, dataset_uuid: dict[str, str], number_of: dict[str, int]
) -> dict[str, Any]:
    """Return what readers may choose; a chart of all months stays out of the choice of a month."""
    timeless = [number_of[chart.key] for chart in dashboard.charts if not chart.of_month]
    return {
        "native_filter_configuration": [
            _filter(dashboard, choice, language, dataset_uuid, timeless)
            for choice in dashboard.choices
        ],
        "chart_configuration": {},
        "cross_filters_enabled": False,
        "color_scheme": "supersetColors",
        "label_colors": {},
        "shared_label_colors": [],
        "expanded_slices": {},
        "refresh_frequency": 0,
        "timed_refresh_immune_slices": [],
        "default_filters": "{}",
        "filter_bar_orientation": "HORIZONTAL",
    }


def _filter(
    dashboard: Dashboard,
    choice: Choice,
    language: int,
    dataset_uuid: dict[str, str],
    timeless: Sequence[int],
) -> dict[str, Any]:
    return {
        "id": f"NATIVE_FILTER-{dashboard.key}-{choice.column}",
        "name": choice.label[language],
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "targets": [
            {"datasetUuid": dataset_uuid[choice.dataset.key], "column": {"name": choice.column}}
        ],
        "controlValues": {
            "multiSelect": not choice.is_single,
            "enableEmptyFilter": choice.is_single,
            "defaultToFirstItem": choice.is_single,
            "inverseSelection": False,
            "searchAllOptions": choice.column == "manager_id",
            "sortAscending": choice.is_ascending,
        },
        "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
        # Without it charts would be asked for before the first value is chosen, and not again.
        "requiredFirst": choice.is_single,
        "cascadeParentIds": [],
        "sortMetric": choice.sort,
        "scope": {
            "rootPath": ["ROOT_ID"],
            "excluded": list(timeless) if choice.column == "month" else [],
        },
        "description": "",
    }
