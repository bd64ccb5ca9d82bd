"""`arrivals`: start the ingest of just the source and month that something arrived for."""

from typing import Any

from airflow.sdk import DAG, task

from perfhouse import orchestration as house

COMPANY = house.company()
DOC = """\
Starts when a watched place shows something new (`watch = true`), when a message comes in the queue
of `[arrivals.queue]`, or when somebody calls `POST /api/v2/assets/events` for the asset `arrivals`
with `{"source": "...", "month": "2026-09"}`.

An event is a hint, never the truth: `look` lists the places and starts `ingest_<source>` for what
lies there whole and is not landed. So the same event twice starts nothing more, events may come in
any order, and what is lost is found by `reconcile`.

* **Never taken:** a file that is still being written, has a temporary name, or lacks its mark.
* **A place that cannot be reached** is named in the log; the others go on.
"""

if COMPANY.listens:
    with DAG(
        dag_id="arrivals",
        description="Start ingests for what arrived",
        doc_md=DOC,
        schedule=[house.places(COMPANY)],
        default_args=house.defaults("perfhouse", execution_timeout=house.HOUR),
        tags=["perfhouse", "arrivals", COMPANY.id],
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=house.HOUR * 2,
    ):

        @task(priority_weight=30)
        def look(**context: Any) -> list[dict[str, Any]]:
            """List the places; name the ingests to start."""
            return house.arrived_runs(context)

        house.start(look())
