"""MetricFlow in a process of its own, for many questions: it sets up dbt once, as `mf query` does.

Its arguments are a command line of `perfhouse`, which it runs at the end.
Reads [[words of --metrics], [words of --group-by]] pairs as JSON; writes a table of texts for each,
or why there is none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dbt_metricflow.cli.cli_configuration import CLIConfiguration
from metricflow.engine.metricflow_engine import MetricFlowQueryRequest
from metricflow_semantics.errors.error_classes import InvalidQueryException

from perfhouse import cli


def main() -> None:
    folder = Path.cwd()
    configuration = CLIConfiguration()
    configuration.setup(folder, folder, configure_file_logging=False)
    answers = []
    for metrics, group_by in json.load(sys.stdin):
        request = MetricFlowQueryRequest.create(metric_names=metrics, group_by_names=group_by)
        try:
            table = configuration.mf.query(request).result_df
        except InvalidQueryException as error:
            answers.append({"refused": str(error)})
            continue
        assert table is not None
        rows = [[None if cell is None else str(cell) for cell in row] for row in table.rows]
        answers.append({"columns": list(table.column_names), "rows": rows})
    sys.stdout.write(json.dumps(answers) + "\n")
    sys.exit(cli.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
