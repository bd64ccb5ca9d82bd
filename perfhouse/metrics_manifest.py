"""The manifest that MetricFlow reads, in the form that dbt writes: what a KPI is counted from.

Data in, data out; it may not know dbt, a database or a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_FORM = {"major_version": "0", "minor_version": "9", "patch_version": "0"}
CHAIN = "chain"  # the entity by which a row finds everybody who answers for it


def manifest(kpis: Iterable[Mapping[str, Any]], database: str, source: str) -> dict[str, Any]:
    """Return the semantic manifest of some KPIs, as the macro `semantic_layer` tells them.

    Args:
        kpis: each with its metric's names and the models behind it.
        database: where the views lie, one for each model by its name, and `chains`.
        source: the warehouse, whose days are the time spine.
    """
    known = list(kpis)
    return {
        "semantic_models": [
            _chains(database),
            *(_model(kpi, model, database) for kpi in known for model in kpi["models"]),
        ],
        "metrics": [metric for kpi in known for metric in _metrics(kpi)],
        "project_configuration": {
            "time_spine_table_configurations": [],
            "metadata": None,
            "dsi_package_version": dict(_FORM),
            "time_spines": [
                {
                    "node_relation": _relation(source, "core", "dim_days"),
                    "primary_column": {"name": "day", "time_granularity": "day"},
                    "custom_granularities": [],
                }
            ],
        },
        "saved_queries": [],
    }


def _relation(database: str, schema: str, name: str) -> dict[str, str]:
    return {
        "alias": name,
        "schema_name": schema,
        "database": database,
        "relation_name": f'"{database}"."{schema}"."{name}"',
    }


def _chains(database: str) -> dict[str, Any]:
    """Return who answers for a chain in which month: several managers, on purpose."""
    return {
        "name": "chains",
        "description": "Everybody who answers for what is credited to a chain of managers.",
        "node_relation": _relation(database, "main", "chains"),
        "primary_entity": "chains_row",
        "entities": [{"name": CHAIN, "type": "natural", "expr": "chain"}],
        "dimensions": [
            {"name": "manager", "type": "categorical", "expr": "manager_id"},
            {"name": "is_direct", "type": "categorical", "expr": "is_direct"},
            _day("valid_from", None, "day", {"is_start": True, "is_end": False}),
            _day("valid_to", None, "day", {"is_start": False, "is_end": True}),
        ],
        "measures": [],
    }


def _model(kpi: Mapping[str, Any], model: Mapping[str, Any], database: str) -> dict[str, Any]:
    """Return the rows behind a KPI; of confidential answers, by manager and month alone."""
    name, closed = model["name"], bool(kpi["is_suppressed"])
    entities = [(CHAIN, "kpi_chain")]
    dimensions = [_day(model["day"], "kpi_day", "month" if closed else "day")]
    if not closed:
        entities += [("team", "kpi_team_id"), ("employee", "kpi_employee_id")]
        finer = [{"name": "stratum", "expr": "kpi_stratum"}, *model["dimensions"]]
        dimensions += [{**each, "type": "categorical"} for each in finer]
    return {
        "name": name,
        "description": model["description"],
        "defaults": {"agg_time_dimension": model["day"]},
        "node_relation": _relation(database, "main", name),
        "primary_entity": f"{name}_row",
        "entities": [{"name": each, "type": "foreign", "expr": expr} for each, expr in entities],
        "dimensions": dimensions,
        "measures": [{**each, "agg": "sum"} for each in model["measures"]],
    }


def _day(
    name: str, expr: str | None, grain: str, validity: Mapping[str, bool] | None = None
) -> dict[str, Any]:
    parameters = {"time_granularity": grain, "validity_params": validity}
    return {"name": name, "type": "time", "expr": expr, "type_params": parameters}


def _metrics(kpi: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ratio and the two sums it divides, under the names of the KPI's file.

    Where the sums lie in two facts, who has rows of one alone has none of the other: a zero.
    """
    sums = [measure["name"] for model in kpi["models"] for measure in model["measures"]]
    parts = {"numerator": {"name": kpi["numerator"]}, "denominator": {"name": kpi["denominator"]}}
    filled = {"fill_nulls_with": 0} if len(kpi["models"]) > 1 else {}
    inputs = [{"name": name, **filled} for name in sums]
    ratio = {**parts, "input_measures": inputs}
    return [
        _metric(kpi["metric"], "ratio", kpi["label"], kpi["description"], ratio),
        *(
            _metric(kpi[side], "simple", f"{kpi['label']}, {side}", "",
                    {"measure": each, "input_measures": [each]})
            for side, each in zip(("numerator", "denominator"), inputs, strict=True)
        ),
    ]  # fmt: skip


def _metric(
    name: str, kind: str, label: str, description: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "label": label,
        "description": description,
        "type_params": dict(parameters),
    }
