"""Run the dbt unit tests; KPI SQL is generated from `graph`, which dbt leaves empty in them."""

from __future__ import annotations

from typing import Any

import pytest

from perfhouse import build as builder


def run(patch: pytest.MonkeyPatch, *arguments: str) -> tuple[builder.NodeRun, ...]:
    """Run `dbt test` with the metrics of the project in reach of unit tests."""
    from dbt.parser.unit_tests import UnitTestManifestLoader

    load = UnitTestManifestLoader.load

    def load_with_graph(loader: Any) -> Any:
        manifest = load(loader)
        manifest.flat_graph = loader.manifest.flat_graph
        return manifest

    patch.setattr(UnitTestManifestLoader, "load", load_with_graph)
    runs, failure = builder.run_dbt(["test", *arguments])
    assert failure is None
    return runs
