"""The dashboard and the alerts ask for numbers that Airflow and perfhouse say they send."""

from __future__ import annotations

import inspect
import json
import re
from importlib import resources
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import jsonschema
import yaml

from perfhouse import measurements

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "monitoring"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
MAPPING = yaml.safe_load((MONITORING / "statsd-mapping.yml").read_text("utf-8"))


def asked() -> set[str]:
    """Return every number that a panel or an alert names, without what a histogram adds."""
    texts = [target["expr"] for panel in PANELS for target in panel["targets"]]
    texts += [rule["expr"] for rule in ALERTS]
    names = {name for text in texts for name in re.findall(r"\b(?:perfhouse|airflow)_\w+", text)}
    return {re.sub(r"_(sum|count|bucket)$", "", name) for name in names}


def test_every_number_that_is_asked_for_is_sent() -> None:
    ours = {f"perfhouse_{name}" for name in re.findall(r'Measure\("(\w+)"', SOURCE)}
    assert len(ours) > 10
    found = find_spec("airflow")
    assert found is not None
    assert found.origin is not None
    registry = "_shared/observability/metrics/metrics_template.yaml"
    listed = yaml.safe_load((Path(found.origin).parent / registry).read_text("utf-8"))["metrics"]
    airflows = {f"airflow_{re.sub(r'[^a-z0-9]', '_', each['name'])}" for each in listed}
    assert asked() - ours - airflows == set()
    dropped = [m["match"] for m in MAPPING["mappings"] if m.get("action") == "drop"]
    assert not [n for n in asked() if any(re.match(d.replace("\\.", "_"), n) for d in dropped)]


SOURCE = inspect.getsource(measurements)


def test_our_numbers_are_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for name in re.findall(r'Measure\("(\w+)"', SOURCE):
        assert name in text or name.removeprefix("arrival_to_release") in text, name


def test_the_compose_file_says_what_the_page_says_and_names_what_is_there() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.monitoring.yml").read_text("utf-8"))
    vendored = resources.files("check_jsonschema.builtin_schemas.vendor") / "compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(compose)] == []
    whole = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    airflows = {name for name, each in compose["services"].items() if "image" not in each}
    assert airflows == {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
    assert airflows <= set(whole)
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    said = dict(re.findall(r"^(AIRFLOW__METRICS__\w+)=(\S+)", page, re.MULTILINE))
    for name in airflows:
        assert compose["services"][name]["environment"] == said
    for service in compose["services"].values():
        assert service.get("user", "x") not in ("root", "0")
        for volume in service.get("volumes", ()):
            assert volume["type"] == "volume" or (ROOT / volume["source"]).exists()


def test_every_alert_says_who_must_act_and_where_to_look() -> None:
    for rule in ALERTS:
        assert rule["labels"]["who"] in {"data_owner", "data_engineer", "operator", "source_owner"}
        assert rule["annotations"]["check"]
        assert rule["annotations"]["summary"]


def test_panels_lie_beside_each_other_and_ask_the_chosen_prometheus() -> None:
    places = sorted((p["gridPos"]["y"], p["gridPos"]["x"], p) for p in PANELS)
    for (y, x, panel), (next_y, next_x, _) in pairwise(places):
        assert x + panel["gridPos"]["w"] <= (next_x if y == next_y else 24)
        assert y == next_y or y + panel["gridPos"]["h"] <= next_y
    chosen = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert chosen == {"${prometheus}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
