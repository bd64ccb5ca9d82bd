"""The other side of `benchmarks.sources`: the same feeds taken to Parquet by dlt.

Runs in an environment of its own (benchmarks/requirements-dlt.lock) and imports nothing of ours.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Load one feed; print rows, seconds and peak memory as JSON."""
    given = json.loads(sys.argv[1])
    import dlt  # type: ignore[import-not-found]

    folder = Path(given["folder"])
    _warm(dlt, folder / "warm")
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(folder / "state"),
        destination=dlt.destinations.filesystem(bucket_url=(folder / "out").as_uri()),
        dataset_name="feed",
    )
    source = _rest(given) if given["feed"] == "rest" else _sql(given)
    began, used = time.perf_counter(), _cpu()
    pipeline.run(source, loader_file_format="parquet", write_disposition="replace")
    seconds, used = time.perf_counter() - began, _cpu() - used
    import pyarrow.dataset as ds

    written = ds.dataset(sorted((folder / "out").rglob("incident/*.parquet")), format="parquet")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"rows": written.count_rows(), "seconds": seconds, "cpu_seconds": used}
    print(json.dumps({**told, "peak_mib": peak}))


def _warm(dlt: Any, folder: Path) -> None:
    """Load a few rows, so that everything is imported before the clock starts."""
    pipeline = dlt.pipeline(
        pipeline_name="warm",
        pipelines_dir=str(folder / "state"),
        destination=dlt.destinations.filesystem(bucket_url=(folder / "out").as_uri()),
        dataset_name="feed",
    )
    rows = [{"id": n, "text": str(n)} for n in range(10)]
    pipeline.run(rows, table_name="warm", loader_file_format="parquet")


def _cpu() -> float:
    """Return the CPU seconds of this process and of those it started and waited for."""
    parts = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, parts))


def _rest(given: dict[str, Any]) -> Any:
    from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

    return rest_api_source(
        {
            "client": {
                "base_url": given["url"],
                "paginator": {
                    "type": "offset",
                    "limit": given["page"],
                    "offset_param": "sysparm_offset",
                    "limit_param": "sysparm_limit",
                    "total_path": None,
                },
            },
            "resources": [
                {
                    "name": "incident",
                    "endpoint": {"path": "api/now/table/incident", "data_selector": "result"},
                }
            ],
        }
    )


def _sql(given: dict[str, Any]) -> Any:
    from dlt.sources.sql_database import sql_table  # type: ignore[import-not-found]

    return sql_table(
        credentials=given["url"],
        table="incident",
        backend="pyarrow",
        chunk_size=100_000,
    )


if __name__ == "__main__":
    main()
