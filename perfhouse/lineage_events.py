"""Tells Airflow's OpenLineage provider what our tasks read and made.

Named in AIRFLOW__OPENLINEAGE__EXTRACTORS; it computes nothing, lineage_sets.py knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.openlineage import conf
from airflow.providers.openlineage.extractors.base import BaseExtractor, OperatorLineage
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    data_quality_assertions_dataset,
    dataset_version_dataset,
    output_statistics_output_dataset,
)

from perfhouse import lineage_sets
from perfhouse.lineage_sets import Dataset


class Tasks(BaseExtractor):
    """Reads what a task of ours noted, when it has ended; before, nobody knows."""

    @classmethod
    def get_operator_classnames(cls) -> list[str]:
        """Name the operators that `@task` and `@task.short_circuit` make."""
        return ["_PythonDecoratedOperator", "_ShortCircuitDecoratedOperator"]

    def _execute_extraction(self) -> OperatorLineage:
        return OperatorLineage()

    def extract_on_complete(self, task_instance: Any) -> OperatorLineage:
        """Return what went in and came out, also of a task that failed."""
        flow = lineage_sets.noted()
        return OperatorLineage(inputs=_inputs(flow.inputs), outputs=_outputs(flow.outputs))


def _inputs(of: Sequence[Dataset]) -> list[InputDataset]:
    return [
        InputDataset(conf.namespace(), each.name, _checks(each), facets=_facets(each))
        for each in of
    ]


def _outputs(of: Sequence[Dataset]) -> list[OutputDataset]:
    return [
        OutputDataset(conf.namespace(), each.name, _rows(each), facets=_facets(each)) for each in of
    ]


def _facets(of: Dataset) -> dict[str, Any]:
    if not of.version:
        return {}
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(of.version)}


def _checks(of: Dataset) -> dict[str, Any]:
    if not of.checks:
        return {}
    found = [
        data_quality_assertions_dataset.Assertion(each.check, each.passed, severity=each.severity)
        for each in of.checks
    ]
    facet = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(found)
    return {"dataQualityAssertions": facet}


def _rows(of: Dataset) -> dict[str, Any]:
    if of.rows is None:
        return {}
    statistics = output_statistics_output_dataset
    return {"outputStatistics": statistics.OutputStatisticsOutputDatasetFacet(rowCount=of.rows)}
