"""Run a Python module with the slow libraries imported once, before it forks those who need them.

The embedded scheduler forks every task: a gate saves 4 seconds so, a build 3. It may do no work.
"""

from __future__ import annotations

import importlib
import runpy
import sys
import time
from pathlib import Path

SLOW = (
    "great_expectations",
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "pyarrow.parquet",
    "perfhouse.lineage_transport",
)


def main() -> None:
    """Import, wait for the file GO, then run MODULE as `python -m` would.

    Usage: python -m perfhouse.preloaded GO MODULE [ARGUMENTS]
    """
    for name in SLOW:
        importlib.import_module(name)
    go = Path(sys.argv[1])
    del sys.argv[:2]
    while not go.exists():
        time.sleep(0.05)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
