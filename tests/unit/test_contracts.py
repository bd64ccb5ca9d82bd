"""The contracts of the exports: valid by the standard's own schema, and what the gate promises."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from expectations.export_payroll import PAYROLL_COLUMNS
from expectations.exports import HR_COLUMNS
from perfhouse import settings
from perfhouse.export_columns import COLUMNS
from perfhouse.public_tables import PERSONAL_COLUMNS

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {"hr": HR_COLUMNS, "payroll": PAYROLL_COLUMNS}


def contract(kind: str) -> dict[str, Any]:
    file = ROOT / "contracts" / f"{kind}_manager_months.odcs.yaml"
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def model(kind: str) -> dict[str, Any]:
    folder = settings.project_dir() / "models" / "exports"
    text = (folder / f"export_{kind}_manager_months.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["models"][0]
    return found


@pytest.mark.parametrize("kind", PROMISED)
def test_a_contract_is_valid_by_the_standard(kind: str) -> None:
    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text("utf-8"))
    validator = jsonschema.Draft201909Validator(schema)
    assert [error.message for error in validator.iter_errors(contract(kind))] == []
    broken = {**contract(kind), "schema": [{"properties": [{"type": "date"}]}]}
    assert [*validator.iter_errors(broken)]


@pytest.mark.parametrize("kind", PROMISED)
def test_a_contract_promises_what_the_gate_demands_and_the_model_makes(kind: str) -> None:
    (promised,) = contract(kind)["schema"]
    columns = promised["properties"]
    assert tuple((each["name"], each["physicalType"]) for each in columns) == PROMISED[kind]
    made = model(kind)
    assert promised["physicalName"] == made["name"]
    types = {"date": "DATE", "varchar": "VARCHAR", "integer": "INTEGER"}
    of_model = [(c["name"], types.get(c["data_type"], "DECIMAL(18,6)")) for c in made["columns"]]
    assert tuple(of_model) == PROMISED[kind]
    keys = [each["name"] for each in columns if each.get("primaryKey")]
    assert keys == made["constraints"][0]["columns"]


@pytest.mark.parametrize("kind", PROMISED)
def test_a_contract_says_what_the_files_say_of_their_columns(kind: str) -> None:
    for each in contract(kind)["schema"][0]["properties"]:
        told = COLUMNS[each["name"]]
        assert each["businessName"] == f"{told.title_en} {told.title_zh}"
        assert each["description"] == f"{told.meaning_en}. {told.meaning_zh}。"
        assert each.get("required", False) == told.constraints.get("required", False)
        limits = {k: v for k, v in told.constraints.items() if k in ("minimum", "maximum")}
        assert each.get("logicalTypeOptions", {}) == limits


def test_only_hr_gets_a_name() -> None:
    personal = {
        kind: {
            each["name"]
            for each in contract(kind)["schema"][0]["properties"]
            if each.get("classification") == "personal"
        }
        for kind in PROMISED
    }
    assert personal["hr"] == {"employee_number", "display_name"}
    assert personal["payroll"] == {"employee_number"}
    assert not PERSONAL_COLUMNS & {name for name, _ in PAYROLL_COLUMNS}
