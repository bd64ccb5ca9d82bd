"""`publish`: stage, audit and release a month whose scorecards passed their gate."""

from typing import Any

from airflow.sdk import DAG, task

from perfhouse import orchestration as house

COMPANY = house.company()
DOC = """\
Starts when `transform` announces a month's scorecards. Stages the release (tables, HR export,
cards), lets the **exports** gate audit the staged files, then cuts over in one step: readers see
the old release or the new one, never half. The same content again makes no new release.

* **A closed month** changes only when somebody says why: the run fails and lists what would change.
  Trigger it by hand with a partition key and `{"reason": "...", "by": "..."}` to restate the month;
  with the `as_of` of the `transform` run as well, if that had one.
"""

with DAG(
    dag_id="publish",
    description="Audit and release a month",
    doc_md=DOC,
    schedule=house.each_month_of(house.SCORECARDS),
    default_args=house.defaults("perfhouse"),
    tags=["perfhouse", "publish", COMPANY.id],
    catchup=False,
    max_active_runs=1,
):

    @task(priority_weight=20, outlets=[house.RELEASES])
    def publish(**context: Any) -> dict[str, Any]:
        """Release the month, or say that it is unchanged."""
        return house.publish(context)

    published = publish()
    if COMPANY.notices:

        @task(outlets=[house.STOPPED])
        def stopped(**context: Any) -> None:
            """Announce a month that a gate stopped; a teardown, so the run fails all the same."""
            house.stopped(context)

        published >> stopped().as_teardown()
