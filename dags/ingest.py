"""`ingest_<source>`: fetch and land one month of one source, by its own clock or on demand."""

from typing import Any

from airflow.sdk import DAG, task

from perfhouse import orchestration as house

COMPANY = house.company()
DOC = """\
Fetches what **{source.id}** delivered for a month (connector `{source.connector}`), keeps the
original bytes, and lands typed rows in `raw/`. Doing it again replaces the month.

* **Owner:** {source.owner}
* **When:** `{source.schedule}` ({company.time_zone}), for the month before; or trigger it with a
  partition key such as `2026-09`.
* **`redelivered`** runs only when a month that was complete before has changed: it makes
  `transform` build that month again.
* **Fails when** the source has not delivered (retried), its header changed (nothing landed), or
  the configuration is wrong. The log names who must act.
"""

for source in COMPANY.sources:
    with DAG(
        dag_id=f"ingest_{source.id}",
        description=f"Land a month of {source.id} ({source.connector})",
        doc_md=DOC.format(source=source, company=COMPANY),
        schedule=house.delivery_months(source, COMPANY.time_zone),
        default_args=house.defaults(source.owner),
        tags=["perfhouse", "ingest", source.connector, COMPANY.id],
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=house.DAY * 2,
    ):

        @task.short_circuit(outlets=[house.raw(source.id)])
        def ingest(source_id: str, **context: Any) -> bool:
            """Land the month; go on only when a complete month was re-delivered."""
            return house.ingest(source_id, context)

        @task(outlets=[house.REDELIVERED])
        def redelivered(**context: Any) -> None:
            """Announce that the month must be built again."""
            house.redelivered(context)

        ingest(source.id) >> redelivered()
