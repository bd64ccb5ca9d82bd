"""`deliver`: hand a released month's exports to the receivers that a company has, if any."""

from typing import Any

from airflow.sdk import DAG, task

from perfhouse import orchestration as house

COMPANY = house.company()
DOC = """\
Starts when `publish` announces a release. Encrypts and signs the exports of the month, puts them
where each receiver of `[exports]` takes them (folder, SFTP, S3), the ready file last, and notes the
answers to earlier deliveries. What was sent already is not sent again; after a restatement only
the rows that differ go to a receiver that has accepted the release before.

* **Retried** when a place does not answer; nothing half-written is there.
* **Answers** come later: `perfhouse deliveries` lists what is accepted, rejected or overdue.
"""

if COMPANY.receivers:
    with DAG(
        dag_id="deliver",
        description="Hand the exports of a month to their receivers",
        doc_md=DOC,
        schedule=house.each_month_of(house.RELEASES),
        default_args=house.defaults("perfhouse"),
        tags=["perfhouse", "deliver", COMPANY.id],
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=house.DAY,
    ):

        @task
        def deliver(**context: Any) -> dict[str, Any]:
            """Send what the receivers have not had yet."""
            return house.deliver(context)

        deliver()
