"""`transform`: judge what was landed, build the month, judge its scorecards; one month a run."""

from typing import Any

from airflow.sdk import DAG, task

from perfhouse import orchestration as house

COMPANY = house.company()
DOC = """\
Starts **once for a month when all required sources have delivered it**, and again for that month
only when a source re-delivers it changed. The partition key of the run is the month.

`gate_raw` asks whether the data is fit, `build` makes facts, KPIs and scorecards with dbt,
`gate_facts` asks whether every landed row is in a fact or left out for a reason, `gate_scorecards`
asks whether the result may go on. A critical finding stops the run: nothing is
published, the last release stands. Months are built one at a time: DuckDB has one writer.

* **By hand:** trigger it with a partition key; `{"as_of": "2026-10"}` counts later deliveries too.
"""

with DAG(
    dag_id="transform",
    description="Gate, build and gate a month",
    doc_md=DOC,
    schedule=house.arrived(COMPANY),
    default_args=house.defaults("perfhouse", pool=house.WRITER),
    tags=["perfhouse", "transform", COMPANY.id],
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=house.DAY,
    deadline=house.run_deadline(COMPANY),
):

    @task(priority_weight=10)
    def gate_raw(**context: Any) -> dict[str, Any]:
        """May what was landed be built?"""
        return house.gate_raw(context)

    @task(priority_weight=10)
    def build(**context: Any) -> dict[str, Any]:
        """Build facts, KPIs and scorecards."""
        return house.build(context)

    @task(priority_weight=10)
    def gate_facts(**context: Any) -> dict[str, Any]:
        """Is every landed row in a fact, or left out for a reason?"""
        return house.gate_facts(context)

    @task(priority_weight=10, outlets=[house.SCORECARDS])
    def gate_scorecards(**context: Any) -> dict[str, Any]:
        """May the scorecards be published?"""
        return house.gate_scorecards(context)

    judged = gate_raw() >> build() >> gate_facts() >> gate_scorecards()
    if COMPANY.notices:

        @task(outlets=[house.STOPPED])
        def stopped(**context: Any) -> None:
            """Announce a month that a gate stopped; a teardown, so the run fails all the same."""
            house.stopped(context)

        judged >> stopped().as_teardown()
