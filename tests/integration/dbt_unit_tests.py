"""Run the dbt unit tests; KPI SQL is generated from `graph`, which dbt leaves empty in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from perfhouse import build as builder

_WITH = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*with\b(?:\s+recursive\b)?", re.DOTALL | re.IGNORECASE
)


def inject(sql: str, ctes: Sequence[Any]) -> str:
    """Put CTEs before those of a query, as dbt does; dbt parses the whole query to find them."""
    if not ctes:
        return sql
    added = ", ".join(cte.sql for cte in ctes)
    found = _WITH.match(sql)
    if found is None:
        return f"with {added} {sql}"
    return f"{sql[: found.end()]} {added}, {sql[found.end() :]}"


def run(patch: pytest.MonkeyPatch, *arguments: str) -> tuple[builder.NodeRun, ...]:
    """Run `dbt test` with the metrics of the project in reach of unit tests."""
    from dbt.parser.unit_tests import UnitTestManifestLoader

    load = UnitTestManifestLoader.load

    def load_with_graph(loader: Any) -> Any:
        manifest = load(loader)
        manifest.flat_graph = loader.manifest.flat_graph
        return manifest

    patch.setattr(UnitTestManifestLoader, "load", load_with_graph)
    patch.setattr("dbt.compilation.inject_ctes_into_sql", inject)
    runs, failure = builder.run_dbt(["test", *arguments])
    assert failure is None
    return runs
