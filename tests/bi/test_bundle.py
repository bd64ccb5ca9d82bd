"""The committed bundle is what the generator makes, and names nothing that is not published."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from bi import bundle, charts, dashboards, kpis, words
from bi.datasets import HR, KPI_MONTHS, MANAGERS, TEAM_MONTHS, Dataset
from bi.datasets_operations import DATASETS
from perfhouse import kpi_files
from perfhouse.mart import shape

ROOT = Path(__file__).resolve().parents[2]
TABLES = {table.name: {c.name for c in table.columns} for table in shape.tables()}
READERS = {table.name: set(table.policies) for table in shape.tables()}
_USED = re.compile(r"\b([a-z])\.([a-z_0-9]+)\b")
_STRING = re.compile(r"'(?:[^']|'')*'")
_WORD = re.compile(r"\b[a-z_][a-z_0-9]*\b")
_SQL = {
    "sum", "avg", "max", "min", "count", "distinct", "filter", "where", "and", "not", "is", "null",
    "nullif", "numeric", "coalesce", "lpad", "to_char", "integer", "text", "case", "when", "then",
    "else", "end", "in", "or", "round", "percentile_cont", "within", "group", "order", "by", "s",
}  # fmt: skip


def committed(language: str) -> dict[str, str]:
    root = bundle.FOLDER / language
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in root.rglob("*")
        if path.is_file()
    }


def loaded(language: str, part: str) -> list[dict[str, Any]]:
    return [
        yaml.safe_load(text)
        for place, text in committed(language).items()
        if place.startswith(f"{part}/")
    ]


@pytest.mark.parametrize("language", bundle.LANGUAGES)
def test_the_committed_bundle_is_what_the_definitions_make(language: str) -> None:
    assert committed(language) == bundle.files(language), "run: python -m bi bundle"


def test_identities_are_the_same_in_both_languages_and_nobody_elses() -> None:
    found = [
        {(part, each["uuid"]) for part in ("databases", "datasets", "charts", "dashboards")
         for each in loaded(language, part)}
        for language in bundle.LANGUAGES
    ]  # fmt: skip
    assert found[0] == found[1]
    assert len({uuid for _, uuid in found[0]}) == len(found[0])


def test_three_dashboards_and_one_of_names_hold_every_chart() -> None:
    assert [d.key for d in dashboards.DASHBOARDS] == ["overview", "manager", "operations", "names"]
    shown = [chart.key for d in dashboards.DASHBOARDS for chart in d.charts]
    assert sorted(shown) == sorted(chart.key for chart in charts.CHARTS)
    assert len(shown) == len(set(shown)) >= 12
    for dashboard in dashboards.DASHBOARDS:
        for row in dashboard.rows:
            assert sum(width for _, width, _ in row) == 12, (dashboard.key, row)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda each: each.key)
def test_every_column_comes_from_a_published_one(dataset: Dataset) -> None:
    for column in dataset.columns:
        for language in (0, 1):
            used = _USED.findall(_STRING.sub("''", column.text(language)))
            assert used, column
            for alias, name in used:
                assert name in TABLES[dataset.tables[alias]], (column.name, name)
    for alias, name in _USED.findall(_STRING.sub("''", dataset.joins)):
        assert name in TABLES[dataset.tables[alias]], (alias, name)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda each: each.key)
def test_a_data_set_is_shown_to_nobody_whom_the_mart_refuses(dataset: Dataset) -> None:
    groups = {
        MANAGERS: {shape.MANAGER, shape.ANALYST, shape.HR},
        HR: {shape.HR},
    }.get(dataset.circle, {shape.ANALYST, shape.HR})
    for table in dataset.tables.values():
        assert groups <= READERS[table], table
    if dataset.circle == MANAGERS:
        assert {"month", "manager_id"} <= dataset.names  # what the row-level rules ask for
    if shape.NAMES in dataset.tables.values():
        assert dataset.circle == HR


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda each: each.key)
def test_a_metric_names_columns_of_its_data_set_and_averages_nothing(dataset: Dataset) -> None:
    for metric in dataset.metrics:
        plain = _STRING.sub("", metric.expression)
        assert set(_WORD.findall(plain)) - _SQL <= dataset.names, metric  # so no avg, either
        assert plain.count("/") == len(re.findall(r"/ nullif\(", plain)), metric
        if "percentile_cont" in plain:  # points of one role only
            assert plain.startswith("case when count(distinct role) = 1"), metric


@pytest.mark.parametrize("chart", charts.CHARTS, ids=lambda each: each.key)
def test_a_chart_names_what_its_data_set_has(chart: charts.Chart) -> None:
    metrics = {metric.name for metric in chart.dataset.metrics}
    assert set(chart.metrics) <= metrics
    columns = {*chart.columns, *chart.groups, *(name for name, _, _ in chart.filters)}
    assert columns <= chart.dataset.names
    assert {name for name, _ in chart.order} <= chart.dataset.names | metrics


def test_months_on_an_axis_are_texts_for_superset_labels_no_first_month_of_a_time() -> None:
    lines = [chart for chart in charts.CHARTS if "line" in chart.kind]
    assert len(lines) >= 4
    for chart in lines:
        (column,) = (each for each in chart.dataset.columns if each.name == chart.columns[0])
        assert (column.kind, chart.of_month) == ("t", False), chart.key


def test_every_kpi_of_the_project_is_a_metric_in_the_words_of_its_definition() -> None:
    assert {kpi.id for kpi in kpis.read()} == set(kpi_files.catalogue())
    for (at, language), dataset in itertools.product(
        enumerate(bundle.LANGUAGES), (KPI_MONTHS, TEAM_MONTHS)
    ):
        said = next(d for d in loaded(language, "datasets") if d["uuid"]
                    == bundle.identity("dataset", dataset.key))  # fmt: skip
        metrics = {metric["metric_name"]: metric for metric in said["metrics"]}
        for kpi in kpis.read():
            assert metrics[kpi.id]["verbose_name"] == kpi.name[at]
            assert metrics[kpi.id]["description"].startswith(kpi.definition[at])


def test_values_and_scores_of_kpis_are_shown_by_metrics_alone() -> None:
    by_metric = set()
    for chart in charts.CHARTS:
        if chart.dataset in (KPI_MONTHS, TEAM_MONTHS):
            assert not {"value", "value_text", "score", "numerator", "denominator"} & {
                *chart.columns
            }, chart.key
            by_metric |= {chart.key} if chart.metrics else set()
    assert {"kpi_totals", "kpi_trend", "team_values", "own_kpis", "own_teams"} <= by_metric


@pytest.mark.parametrize("part", ["charts", "dashboards", "datasets"])
def test_titles_are_chinese_in_one_bundle_and_english_in_the_other(part: str) -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    key = {"charts": "slice_name", "dashboards": "dashboard_title", "datasets": "table_name"}[part]
    assert all(chinese.search(each[key]) for each in loaded("zh", part))
    for place, text in committed("en").items():
        if not place.startswith("datasets/"):
            assert not chinese.search(text), place
    for dataset in loaded("en", "datasets"):
        labels = [dataset["table_name"], *(c["verbose_name"] for c in dataset["columns"])]
        labels += [m["verbose_name"] for m in dataset["metrics"]]
        assert not chinese.search(" ".join(labels)), dataset["table_name"]


def test_every_fate_that_the_gates_page_explains_has_words() -> None:
    page = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    table = page[page.index("| reason | means |") :].split("\n\n")[0]
    assert set(words.FATES) == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_the_bundle_holds_no_password_and_takes_the_place_of_the_mart() -> None:
    with zipfile.ZipFile(io.BytesIO(bundle.archive("zh", "db.example.com:6432/m"))) as packed:
        names = packed.namelist()
        databases = [yaml.safe_load(packed.read(name)) for name in names if "/databases/" in name]
    assert sorted(each["sqlalchemy_uri"] for each in databases) == [
        "postgresql+psycopg2://perfhouse_bi_analyst@db.example.com:6432/m",
        "postgresql+psycopg2://perfhouse_bi_hr@db.example.com:6432/m",
    ]
    for language in bundle.LANGUAGES:
        for text in committed(language).values():
            assert "password" not in text.lower()
            assert not re.search(r"://[^/@\s]+:[^/@\s]+@", text)


def test_missing_is_neither_zero_nor_shown_as_zero() -> None:
    for dataset in DATASETS:
        for column in dataset.columns:
            for language in (0, 1):
                assert not re.search(r"coalesce\([^()]*, 0(\.0)?\)", column.text(language)), column
    for chart in charts.CHARTS:
        for query in json.loads(
            next(c for c in loaded("zh", "charts") if c["slice_name"] == chart.title[0]
                 and c["uuid"] == bundle.identity("chart", chart.key))["query_context"]
        )["queries"]:  # fmt: skip
            assert not query.get("post_processing")  # nothing fills a hole


def test_the_lock_is_hashed_names_no_index_and_no_place_of_ours() -> None:
    text = (bundle.FOLDER.parent / "requirements.lock").read_text(encoding="utf-8")
    assert "apache-superset==6.1.0" in text
    assert "http" not in text
    assert "/work" not in text
    packages = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in package for package in packages)


def test_accounts_are_kept_for_their_owner_only(tmp_path: Path) -> None:
    from bi import kept
    from bi.rights import Given

    file = tmp_path / "accounts.csv"
    kept.add(file, [Given("hr", "hr", "one")])
    kept.add(file, [Given("M1", "manager", "two")])
    kept.add(file, [])
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open(encoding="utf-8", newline="") as handle:
        rows = {row["user"]: row["password"] for row in csv.DictReader(handle)}
    assert rows == {"hr": "one", "M1": "two"}
