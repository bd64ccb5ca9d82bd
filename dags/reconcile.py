"""`reconcile`: find what an event was lost for, and heal it; tell who is late."""

from typing import Any

from airflow.sdk import DAG, task

from perfhouse import orchestration as house

COMPANY = house.company()
DOC = """\
Runs by the clock (`[arrivals] reconcile_minutes`) and compares what lies at watched places, what is
landed and what was published. Whatever was lost while the scheduler was down, a DAG was paused or
Airflow dropped an event is found here: `compare` starts the ingest, `transform` or `publish` of
just that source and month.

* **On its way is not lost:** only what has stood for `settle_minutes` counts, and nothing is
  started while the DAG that does it is at work.
* **Needs a person:** a closed month that would change, a gate that stopped a month. The log names
  who must act; nothing is started.
* **Late:** a required source that has not delivered by its day is told of once, with its owner and
  what was received last, through `[[notices]]`; the others go on.
* **Cards** that were published before the day on which they are handed out are told of on that day.
* By hand, without Airflow: `perfhouse reconcile --heal`.
"""

with DAG(
    dag_id="reconcile",
    description="Heal what was lost; tell who is late",
    doc_md=DOC,
    schedule=house.every_minutes(COMPANY),
    default_args=house.defaults("perfhouse", execution_timeout=house.HOUR),
    tags=["perfhouse", "reconcile", COMPANY.id],
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=house.HOUR * 2,
):

    @task
    def compare(**context: Any) -> list[dict[str, Any]]:
        """Compare what is with what should be; name the runs to start."""
        return house.behind_runs(context)

    @task
    def tell_late(**context: Any) -> dict[str, Any]:
        """Tell who is late."""
        return house.tell_late(context)

    house.start(compare())
    tell_late()
