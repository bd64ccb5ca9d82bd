"""`notify`: tell people of a month that was released or that a gate stopped, if they want it."""

from typing import Any

from airflow.sdk import DAG, task

from perfhouse import orchestration as house

COMPANY = house.company()
DOC = """\
Starts when `publish` announces a release or waits for a signature, and when a gate has stopped a
month. Tells each channel of `[[notices]]` what it wants to hear and has not heard: cards are ready,
findings of the monitors, a gate that failed, a signature that is asked for or refused. Nobody else
is named, and nothing goes out twice.

* **Sends** only through channels with `send = true`; of the others the log says what would go.
* **Retried** when a server does not answer; what went out before does not go out again.
* **Changes nothing**: a release stands whether or not anybody could be told. What fails here is
  told again by the next run, or by `perfhouse notify --month 2026-09 --send`.
"""

if COMPANY.notices:
    with DAG(
        dag_id="notify",
        description="Tell people of a month",
        doc_md=DOC,
        schedule=house.each_month_of(house.RELEASES | house.STOPPED | house.ASKED),
        default_args=house.defaults("perfhouse"),
        tags=["perfhouse", "notify", COMPANY.id],
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=house.DAY,
    ):

        @task
        def notify(**context: Any) -> dict[str, Any]:
            """Send what nobody has heard yet."""
            return house.notify(context)

        notify()
