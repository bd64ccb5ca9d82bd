"""Who reads what: the exposures say it as the code and the contracts have it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfhouse.public_tables import PUBLIC_TABLES

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "dbt_project" / "models"
NAMES = {path.stem for path in MODELS.glob("*/*.sql")}
TYPES = {"dashboard", "notebook", "analysis", "ml", "application"}
# Modules of what perfhouse makes itself; `scorecards` serves cards and overviews alike.
SHARED = ("scorecards.py",)
MADE_BY = {
    "cards": ("cards.py", "card_*.py"),
    "overviews": ("page_data.py", "page_director.py"),
    "operations_page": ("page_operations.py",),
    "notices": ("notices.py", "notice_cards.py"),
}
RELATION = re.compile(r"\b(?:scorecards|kpis|core|exports|staging|monitors)\.([a-z_]+)\b")
BUNDLE = ROOT / "bi" / "superset" / "bundle" / "en"


def exposures() -> dict[str, dict[str, Any]]:
    text = (MODELS / "exposures.yml").read_text(encoding="utf-8")
    return {each["name"]: each for each in yaml.safe_load(text)["exposures"]}


def refs(exposure: dict[str, Any], kind: str = "ref") -> set[str]:
    found = [
        re.fullmatch(r"(ref|metric|source)\('(?:release', ')?(\w+)'\)", text)
        for text in exposure["depends_on"]
    ]
    assert all(found), exposure["name"]
    return {match[2] for match in found if match and match[1] == kind}


def kpis() -> set[str]:
    found = set()
    for path in MODELS.glob("kpis/*.yml"):
        for metric in yaml.safe_load(path.read_text(encoding="utf-8")).get("metrics") or []:
            if "kpi" in ((metric.get("config") or {}).get("meta") or {}):
                found.add(metric["name"])
    return found


def public() -> set[str]:
    found = set()
    for path in MODELS.glob("*/*.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models") or []:
            if "public" in (model.get("access"), (model.get("config") or {}).get("access")):
                found.add(model["name"])
    return found


def is_outside(exposure: dict[str, Any]) -> bool:
    return bool(exposure["config"]["meta"]["reads"] == "public tables")


def test_every_public_table_has_a_reader_and_readers_outside_see_no_other() -> None:
    read = {name: refs(each) for name, each in exposures().items() if is_outside(each)}
    assert set().union(*read.values()) == public()
    assert len(read) > 8
    published = {table.name for table in PUBLIC_TABLES}
    assert read["releases"] == read["mart"] == published


@pytest.mark.parametrize("name", sorted(exposures()))
def test_an_exposure_says_who_answers_for_it_and_where_to_read_on(name: str) -> None:
    exposure = exposures()[name]
    assert exposure["type"] in TYPES
    assert exposure["maturity"] in {"high", "medium", "low"}
    assert exposure["label"]
    assert exposure["description"].endswith(".")
    assert exposure["config"]["meta"]["reads"] in {"public tables", "warehouse"}
    # An office, never a person.
    assert re.fullmatch(r"[a-z-]+@example\.com", exposure["owner"]["email"])
    if name != "metricflow":
        assert refs(exposure) <= NAMES
    page, _, heading = exposure["url"].partition("#")
    text = (ROOT / "docs" / page.replace(".html", ".md")).read_text(encoding="utf-8")
    assert not heading or re.search(rf"^## {heading}$", text, re.MULTILINE | re.IGNORECASE)


def read_by(*patterns: str) -> set[str]:
    files = [path for pattern in patterns for path in (ROOT / "perfhouse").glob(pattern)]
    assert files
    found: set[str] = set()
    for path in files:
        text = path.read_text(encoding="utf-8")
        found |= set(RELATION.findall(text)) & NAMES
        found |= set(re.findall(r"([a-z_]+)\.parquet", text)) & NAMES
        found |= set(re.findall(r'"(scorecard_\w+|kpi_\w+)"', text)) & NAMES
    return found


def test_what_perfhouse_makes_reads_what_its_exposure_says() -> None:
    said = {name: refs(exposures()[name]) for name in MADE_BY}
    shared = read_by(*SHARED)
    assert shared <= said["cards"]
    for name, modules in MADE_BY.items():
        ours = read_by(*modules)
        assert ours <= said[name], name
        assert said[name] <= ours | shared | {"monitor_findings"}, name
    alerts = (ROOT / "perfhouse" / "notices.py").read_text(encoding="utf-8")
    assert ("monitor_findings" in said["notices"]) == ("monitors.findings" in alerts)


def test_the_semantic_layer_answers_every_kpi() -> None:
    assert refs(exposures()["metricflow"], "metric") == kpis()
    ours = {name for name, each in exposures().items() if not is_outside(each)}
    assert ours == {*MADE_BY, "metricflow"}


def written() -> set[str]:
    """Name the tables that perfhouse writes into a release without dbt."""
    sources = yaml.safe_load((MODELS / "sources.yml").read_text(encoding="utf-8"))["sources"]
    (release,) = (each for each in sources if each["name"] == "release")
    return {table["name"] for table in release["tables"]}


def dashboards() -> list[str]:
    return sorted(path.stem for path in BUNDLE.glob("dashboards/*.yaml"))


@pytest.mark.parametrize("name", dashboards())
def test_a_dashboard_of_superset_reads_what_its_exposure_says(name: str) -> None:
    tables: dict[str, set[str]] = {}
    for path in BUNDLE.glob("datasets/*/*.yaml"):
        data_set = yaml.safe_load(path.read_text(encoding="utf-8"))
        tables[data_set["uuid"]] = set(re.findall(r"perfhouse\.(\w+)", data_set["sql"])) & (
            NAMES | written()
        )
    charts = {}
    for path in BUNDLE.glob("charts/*.yaml"):
        chart = yaml.safe_load(path.read_text(encoding="utf-8"))
        charts[chart["uuid"]] = tables[chart["dataset_uuid"]]
    dashboard = yaml.safe_load((BUNDLE / f"dashboards/{name}.yaml").read_text(encoding="utf-8"))
    shown = [place for place in dashboard["position"].values() if isinstance(place, dict)]
    read = [charts[place["meta"]["uuid"]] for place in shown if place.get("type") == "CHART"]
    assert read
    exposure = exposures()[f"superset_{name}"]
    assert refs(exposure) | refs(exposure, "source") == set().union(*read)


def test_every_dashboard_of_superset_has_an_exposure() -> None:
    said = {name.removeprefix("superset_") for name in exposures() if name.startswith("superset_")}
    assert said == set(dashboards())
