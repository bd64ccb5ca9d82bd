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
* **A final release**, where the company has `[sign_off]`, waits for an approver: `ask` stages it,
  the form `sign_off` shows what changes and what the gates said, `publish` puts out exactly what
  was signed. Nobody's answer is a refusal. Trigger the run again to ask again.
"""

with DAG(
    dag_id="publish",
    description="Audit and release a month",
    doc_md=DOC,
    schedule=house.each_month_of(house.SCORECARDS),
    default_args=house.defaults("perfhouse"),
    tags=["perfhouse", "publish", COMPANY.id],
    catchup=False,
    max_active_runs=house.runs_at_once(COMPANY),
    dagrun_timeout=house.DAY + house.HOUR * house.signing_hours(COMPANY),
    deadline=house.run_deadline(COMPANY, house.signing_hours(COMPANY)),
):

    @task(
        priority_weight=20,
        outlets=[house.RELEASES],
        pool=house.WRITER,
        max_active_tis_per_dag=1,
        trigger_rule="none_failed",  # what needs no signature skips the form
    )
    def publish(**context: Any) -> dict[str, Any]:
        """Release the month, or say that it is unchanged."""
        return house.publish(context)

    published = publish()
    if COMPANY.sign_off:

        @task(
            priority_weight=20,
            outlets=[house.ASKED],
            pool=house.WRITER,
            max_active_tis_per_dag=1,
        )
        def ask(**context: Any) -> dict[str, Any]:
            """Stage and audit what would go out; skipped if it needs no signature."""
            return house.ask(context)

        signed = ask() >> house.sign_off_form(COMPANY.sign_off)
        if COMPANY.sign_off.deputies:

            @task(outlets=[house.ASKED])
            def hand_over(**context: Any) -> None:
                """Give the deputies their turn; skipped if an approver has answered."""
                house.hand_over(context)

            signed = signed >> hand_over() >> house.deputy_form(COMPANY.sign_off)
        signed >> published
    if COMPANY.notices:

        @task(outlets=[house.STOPPED])
        def stopped(**context: Any) -> None:
            """Announce a month that was stopped; a teardown, so the run fails all the same."""
            house.stopped(context)

        published >> stopped().as_teardown()
