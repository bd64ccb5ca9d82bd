"""The bundle: everything Superset imports, as the files of its own export format.

Made from declarations and the KPI definitions, the same bytes every time; it holds no password.
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bi import charts, dashboards
from bi.charts import Chart
from bi.dashboards import Dashboard
from bi.datasets import HR, Dataset
from bi.datasets_operations import DATASETS
from perfhouse.errors import ConfigError

LANGUAGES = ("zh", "en")
FOLDER = Path(__file__).with_name("superset") / "bundle"
# The login of a URI says whose rights are asked for; superset_config puts the person's in place.
DATABASES = {"perfhouse": "perfhouse_bi_analyst", "perfhouse_hr": "perfhouse_bi_hr"}
_SPACE = uuid.UUID("6f2c5a0e-9d5b-5c39-8d3e-3a6f0f1b7c52")


def files(language: str) -> dict[str, str]:
    """Return the text of every file of the bundle in a language, by its place."""
    at = LANGUAGES.index(language)
    numbers = {chart.key: number for number, chart in enumerate(charts.CHARTS, start=1)}
    datasets = {dataset.key: identity("dataset", dataset.key) for dataset in DATASETS}
    uuids = {chart.key: identity("chart", chart.key) for chart in charts.CHARTS}
    found: dict[str, Any] = {
        "metadata.yaml": {
            "version": "1.0.0", "type": "assets", "timestamp": "2026-01-01T00:00:00+00:00",
        },
    }  # fmt: skip
    for name, login in DATABASES.items():
        found[f"databases/{name}.yaml"] = _database(name, login)
    for dataset in DATASETS:
        database = _database_of(dataset)
        found[f"datasets/{database}/{dataset.key}.yaml"] = _dataset(dataset, at)
    for chart in charts.CHARTS:
        found[f"charts/{chart.key}.yaml"] = _chart(chart, at)
    for dashboard in dashboards.DASHBOARDS:
        found[f"dashboards/{dashboard.key}.yaml"] = _dashboard(
            dashboard, at, uuids, datasets, numbers
        )
    return {place: _text(content) for place, content in found.items()}


def identity(kind: str, key: str) -> str:
    """Return the identity of a part, the same in every version and in both languages."""
    return str(uuid.uuid5(_SPACE, f"{kind}/{key}"))


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the bundles of both languages; files of parts that are gone are removed."""
    written = []
    for language in LANGUAGES:
        made = {folder / language / place: text for place, text in files(language).items()}
        for old in sorted((folder / language).rglob("*.yaml")):
            if old not in made:
                old.unlink()
        for path, text in made.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def archive(language: str, place: str, folder: Path = FOLDER) -> bytes:
    """Return the committed bundle as the ZIP that Superset imports, for a mart at a place.

    Args:
        language: zh or en.
        place: host:port/database of the mart, instead of the bundle's localhost.
        folder: where the bundles lie.
    """
    root = folder / language
    if not (root / "metadata.yaml").exists():
        raise ConfigError([f"bi: expected one of the languages {', '.join(LANGUAGES)}"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(root.rglob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            if path.parent.name == "databases":
                text = text.replace("localhost:5432/perfhouse_mart", place)
            packed.writestr(f"perfhouse/{path.relative_to(root)}", text)
    return buffer.getvalue()


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines, the queries, as they are read."""


def _as_read(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _as_read)


def _text(content: Mapping[str, Any]) -> str:
    return yaml.dump(dict(content), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)


def _database_of(dataset: Dataset) -> str:
    return "perfhouse_hr" if dataset.circle == HR else "perfhouse"


def _database(name: str, login: str) -> dict[str, Any]:
    return {
        "database_name": name,
        "sqlalchemy_uri": f"postgresql+psycopg2://{login}@localhost:5432/perfhouse_mart",
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {"allows_virtual_table_explore": True, "metadata_params": {}},
        "uuid": identity("database", name),
        "version": "1.0.0",
    }


def _dataset(dataset: Dataset, language: int) -> dict[str, Any]:
    return {
        "table_name": dataset.title[language],
        "main_dttm_col": "month",
        "description": f"perfhouse: {', '.join(dataset.tables.values())}",
        "schema": "perfhouse",
        "sql": dataset.sql(language),
        "filter_select_enabled": True,
        "uuid": identity("dataset", dataset.key),
        "columns": [
            {
                "column_name": column.name,
                "verbose_name": column.label[language],
                "is_dttm": column.kind == "m",
                "is_active": True,
                "type": column.type.upper(),
                "groupby": True,
                "filterable": True,
            }
            for column in dataset.columns
        ],
        "metrics": [
            {
                "metric_name": metric.name,
                "verbose_name": metric.label[language],
                "expression": metric.expression,
                "description": metric.description[language] or None,
                "d3format": metric.d3_format,
            }
            for metric in dataset.metrics
        ],
        "version": "1.0.0",
        "database_uuid": identity("database", _database_of(dataset)),
    }


def _chart(chart: Chart, language: int) -> dict[str, Any]:
    form = {"viz_type": chart.kind, "datasource": "1__table", **_form(chart)}
    context = {
        "datasource": {"id": 1, "type": "table"},
        "force": False,
        "queries": [_query(chart)],
        "form_data": form,
        "result_format": "json",
        "result_type": "full",
    }
    return {
        "slice_name": chart.title[language],
        "description": chart.about[language] or None,
        "viz_type": chart.kind,
        "params": form,
        "query_context": json.dumps(context, ensure_ascii=False),
        "uuid": identity("chart", chart.key),
        "version": "1.0.0",
        "dataset_uuid": identity("dataset", chart.dataset.key),
    }


def _form(chart: Chart) -> dict[str, Any]:
    """Return what the chart editor would have saved."""
    form: dict[str, Any] = {
        "adhoc_filters": [
            {
                "clause": "WHERE", "expressionType": "SIMPLE", "subject": column,
                "operator": operator, "comparator": value,
            }
            for column, operator, value in chart.filters
        ],
        "row_limit": chart.limit,
    }  # fmt: skip
    if chart.kind == "table" and chart.metrics:
        form |= {"groupby": list(chart.columns), "metrics": list(chart.metrics)}
        columns = ", ".join(name for name, _ in chart.order)
        # A table of metrics is sorted by a metric in the browser.
        form["timeseries_limit_metric"] = {
            "expressionType": "SQL", "sqlExpression": f"min(concat_ws(' ', {columns}))",
            "label": "order", "hasCustomLabel": True, "optionName": f"order_{chart.key}",
        }  # fmt: skip
        form["column_config"] = _formats(chart)
    elif chart.kind == "table":
        form["all_columns"] = list(chart.columns)
        form["order_by_cols"] = [json.dumps(list(pair)) for pair in chart.order]
        form["column_config"] = _formats(chart)
    elif chart.kind == "big_number_total":
        form["metric"] = chart.metrics[0]
        form["y_axis_format"] = _format(chart)
    elif chart.kind == "heatmap_v2":
        form |= {"x_axis": chart.columns[0], "groupby": chart.columns[1]}
        form["metric"] = chart.metrics[0]
    else:
        form |= {"x_axis": chart.columns[0], "metrics": list(chart.metrics)}
        form["groupby"] = list(chart.groups)
    return form | chart.look


def _formats(chart: Chart) -> dict[str, Any]:
    formats = {c.name: c.d3_format for c in chart.dataset.columns if c.kind == "n"}
    formats |= {c.name: ",d" for c in chart.dataset.columns if c.kind == "i"}
    formats |= {m.name: m.d3_format for m in chart.dataset.metrics if m.d3_format}
    shown = (*chart.columns, *chart.metrics)
    return {name: {"d3NumberFormat": formats[name]} for name in shown if name in formats}


def _format(chart: Chart) -> str:
    by_name = {metric.name: metric for metric in chart.dataset.metrics}
    return by_name[chart.metrics[0]].d3_format


def _query(chart: Chart) -> dict[str, Any]:
    """Return the query as Superset's server runs it, without a browser, too."""
    query: dict[str, Any] = {
        "columns": [*chart.columns, *chart.groups],
        "filters": [
            {"col": column, "op": operator, "val": value}
            for column, operator, value in chart.filters
        ],
        "orderby": [list(pair) for pair in chart.order],
        "row_limit": chart.limit,
        "extras": {},
        "annotation_layers": [],
        "series_columns": list(chart.groups),
    }
    if chart.metrics:
        query["metrics"] = list(chart.metrics)
    return query


def _dashboard(
    dashboard: Dashboard,
    language: int,
    uuids: dict[str, str],
    datasets: dict[str, str],
    numbers: dict[str, int],
) -> dict[str, Any]:
    return {
        "dashboard_title": dashboard.title[language],
        "description": dashboard.about[language],
        # Superset measures titles in Latin letters: Chinese would be cut.
        "css": ".title-panel .dynamic-title-input { min-width: 12em; }\n",
        "slug": f"perfhouse-{dashboard.key}",
        "uuid": identity("dashboard", dashboard.key),
        "position": dashboards.position(dashboard, language, uuids, numbers),
        "metadata": dashboards.metadata(dashboard, language, datasets, numbers),
        "version": "1.0.0",
        "published": True,
    }
