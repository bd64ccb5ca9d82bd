"""Airflow's side of the house: the assets, the month of a run, and the work of each task.

The only module outside `dags/` that imports airflow, beside triggers.py; it computes nothing,
stages.py does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import (
    Asset,
    AssetAll,
    AssetAny,
    AssetWatcher,
    Connection,
    CronPartitionTimetable,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    IdentityMapper,
    PartitionedAssetTimetable,
    RetryAction,
    RetryRule,
)
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from perfhouse import observed, report, settings, sign_off_task, stages
from perfhouse.company import Company, Source
from perfhouse.errors import ConfigError, GateFailed, TransientError
from perfhouse.month import Month
from perfhouse.restatement import Reason
from perfhouse.settings import Home, option
from perfhouse.sign_off_task import APPROVE, DEPUTY, REJECT

if TYPE_CHECKING:
    from pathlib import Path

    from expectations.gate import Verdict
    from perfhouse.arrivals import Arrival
    from perfhouse.company_sign_off import SignOff
    from perfhouse.reconcile import Work

_log = logging.getLogger(__name__)
Context = Mapping[str, Any]

# What a re-delivery is announced with: the AND over the sources is satisfied once per month only.
REDELIVERED = Asset("redelivered", group="perfhouse")
SCORECARDS = Asset("scorecards", group="perfhouse")
RELEASES = Asset("releases", group="perfhouse")
STOPPED = Asset("stopped", group="perfhouse")
# A final release waits for a signature: its approvers are told, or after a while the deputies.
ASKED = Asset("asked", group="perfhouse")

# Who writes the warehouse queues for its one slot, and holds no worker meanwhile, where there is
# such a pool: a task of a pool that nobody made never runs.
WRITER = option("pool") or "default_pool"
# After which a run is ended; a deadline is told of long before.
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVENT_DAYS = timedelta(days=7)  # for which an event that no ingest has followed is remembered

# Only what a retry may cure is tried again: wrong data or wrong code fails at once.
RETRIES = ExceptionRetryPolicy(
    rules=[RetryRule(exception=TransientError, action=RetryAction.RETRY)],
    default=RetryAction.FAIL,
)
TASK_DEFAULTS: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=float(option("retry_seconds", "60") or 60)),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=30),
    "retry_policy": RETRIES,
    "execution_timeout": timedelta(hours=6),
}


def _stored(name: str) -> settings.Connection | None:
    """Return a connection that Airflow keeps: in its metadata or in a secrets backend."""
    try:
        found = Connection.get(name)
    except AirflowNotFoundException:
        return None
    return settings.Connection(
        name=name,
        kind=found.conn_type,
        host=found.host or "",
        port=found.port,
        schema=found.schema or "",
        login=found.login or "",
        password=found.password or "",
        extra={str(key): str(value) for key, value in found.extra_dejson.items()},
    )


settings.ask_for_connections(_stored)


# ---------------------------------------------------------------- what the DAG files wire


def company() -> Company:
    """Read the company of PERFHOUSE_COMPANY; a wrong one shows as a DAG import error."""
    return stages.open_workspace().company


def workspace(company: Path | None = None) -> stages.Workspace:
    """Open a workspace whose connections may also be Airflow's."""
    return stages.open_workspace(company)


def defaults(owner: str, **other: Any) -> dict[str, Any]:
    """Return the default arguments of every task: owner, time limit, retries."""
    return {**TASK_DEFAULTS, "owner": owner, **other}


def run_deadline(of: Company, hours: float = 0.0) -> DeadlineAlert:
    """Tell whoever must act when a run is not over in time; `hours` are a person's, on top."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=of.deadlines.run + timedelta(hours=hours),
        callback=SyncCallback(f"{__name__}.missed"),
        name="run_minutes",
    )


def signing_hours(of: Company) -> float:
    """Return for how long a publish may wait for a person."""
    return of.sign_off.deadline_hours if of.sign_off else 0.0


def raw(source_id: str) -> Asset:
    """Return the asset that one source's landed months are."""
    return Asset(f"raw/{source_id}", group="perfhouse")


def delivery_months(source: Source, time_zone: str) -> CronPartitionTimetable:
    """Run by the source's clock, in the company's zone, for the month before the clock's tick."""
    return CronPartitionTimetable(
        source.schedule, timezone=time_zone, run_offset=-1, key_format="%Y-%m"
    )


def arrived(of: Company) -> PartitionedAssetTimetable:
    """Run once for a month when all required sources have it, and again when one is re-sent."""
    required = [s for s in of.sources if s.required] or list(of.sources)
    all_of_them = AssetAll(*(raw(s.id) for s in required))
    return _each_month(AssetAny(all_of_them, REDELIVERED))


def each_month_of(asset: Asset | AssetAny) -> PartitionedAssetTimetable:
    """Run once for every month that an asset, or one of several, announces."""
    return _each_month(asset)


def places(of: Company) -> Asset:
    """Return the asset that events update: watched places, a queue, or whoever calls the API."""
    from perfhouse import provenance, triggers

    watchers = []
    if any(source.watch for source in of.sources):
        settings_sha256 = provenance.configuration_sha256(of)[:12]
        places = (str(of.folder.resolve()), settings_sha256, float(of.arrivals.poll_seconds))
        watchers.append(AssetWatcher(name="places", trigger=triggers.PlacesTrigger(*places)))
    if of.arrivals.queue is not None:
        queue = triggers.QueueTrigger(of.arrivals.queue.connection, of.arrivals.queue.name)
        watchers.append(AssetWatcher(name="queue", trigger=queue))
    return Asset("arrivals", group="perfhouse", watchers=watchers)


def every_minutes(of: Company) -> CronTriggerTimetable:
    """Run by the clock, every so many minutes, also while nothing happens."""
    return CronTriggerTimetable(f"*/{of.arrivals.reconcile_minutes} * * * *", timezone="UTC")


def start(orders: Any) -> Any:
    """Start a run for every order; one that was started before is skipped."""
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

    starting = TriggerDagRunOperator.partial(
        task_id="start", logical_date=None, skip_when_already_exists=True
    )
    return starting.expand_kwargs(orders)


def _each_month(condition: Any) -> PartitionedAssetTimetable:
    return PartitionedAssetTimetable(assets=condition, default_partition_mapper=IdentityMapper())


# ---------------------------------------------------------------- the form of a sign-off


def runs_at_once(of: Company) -> int:
    """Return how many months may be in a publish: one that waits for a person holds up no other."""
    return 16 if of.sign_off else 1


def sign_off_form(of: SignOff) -> Any:
    """Return the task that waits for an approver; no worker is held meanwhile."""
    if not of.deputies:
        return _form("sign_off", of, of.approvers, (APPROVE, REJECT), of.deadline_hours)
    choices = (APPROVE, REJECT, DEPUTY)
    return _form("sign_off", of, of.approvers, choices, of.deputy_after_hours)


def deputy_form(of: SignOff) -> Any:
    """Return the task that waits for an approver or a deputy, for what is left of the deadline."""
    left = of.deadline_hours - of.deputy_after_hours
    return _form("sign_off_by_deputy", of, of.signers, (APPROVE, REJECT), left)


def _form(
    task_id: str, of: SignOff, logins: Sequence[str], choices: Sequence[str], hours: float
) -> Any:
    from airflow.providers.standard.operators.hitl import HITLOperator
    from airflow.sdk import Param

    told = "{{ ti.xcom_pull(task_ids='ask')['%s'] }}"
    words = "原因,将公开,请勿提及任何人 · Why: it is published, so name nobody"
    return HITLOperator(
        task_id=task_id,
        subject=told % "subject",
        body=told % "body",
        options=list(choices),
        defaults=choices[-1],  # nobody's answer: the deputy's turn, or a refusal
        params={sign_off_task.REASON: Param("", type="string", description=words)},
        response_timeout=timedelta(hours=hours),
        assigned_users=[{"id": of.airflow_ids.get(each, each), "name": each} for each in logins],
    )


# ---------------------------------------------------------------- the month of a run


def month_of(context: Context) -> Month:
    """Return the month a run is for: its partition key, else `month` of its configuration.

    Raises:
        ConfigError: the run names no month (operator); no run ever guesses one.
    """
    run = context["dag_run"]
    key = run.partition_key or (run.conf or {}).get("month")
    if not key:
        raise ConfigError(
            [
                f"run {run.run_id}: expected a month; trigger the DAG with a partition key such as "
                '2026-09, or with the configuration {"month": "2026-09"}'
            ]
        )
    return Month(str(key))


def as_of_of(context: Context) -> Month | None:
    """Return the as-of month of a run's configuration, or of the event that started the run."""
    run = context["dag_run"]
    chosen = (run.conf or {}).get("as_of")
    for events in (context.get("triggering_asset_events") or {}).values():
        for event in events:
            chosen = chosen or (event.extra or {}).get("as_of")
    return Month(str(chosen)) if chosen else None


def reason_of(context: Context) -> Reason | None:
    """Return why a closed month is restated, from a run's configuration or the event before it."""
    said = _said_of(context)
    return Reason.of(said.get("reason"), said.get("by")) if said else None


def _said_of(context: Context) -> dict[str, str]:
    """Return `reason` and `by` as one run or event gives them; they travel on together."""
    events = (context.get("triggering_asset_events") or {}).values()
    told = [event.extra or {} for each in events for event in each]
    for given in (context["dag_run"].conf or {}, *told):
        found = {key: str(given[key]) for key in ("reason", "by") if given.get(key)}
        if found:
            return found
    return {}


# ---------------------------------------------------------------- the work of each task


def ingest(source_id: str, context: Context) -> bool:
    """Land one source's month and announce it; True when it re-delivers a complete month.

    A changed landing of a month that had everything before cannot satisfy the AND over the
    sources again: the task behind this one then announces REDELIVERED. A later attempt cannot
    know what an earlier one landed before it died, so it announces as well: building twice is
    harmless, not building is not.
    """
    from perfhouse import arrivals

    month = month_of(context)
    ws = stages.open_workspace()
    complete_before = _is_complete(ws, source_id, month)
    manifest = stages.ingest(ws, source_id, month, _log.info)
    arrivals.followed(
        ws.home, source_id, month, int((context["dag_run"].conf or {}).get("announced") or 0)
    )
    observed.ingested(ws, month, manifest)
    facts = {"unchanged": manifest.unchanged, **_said_of(context)}
    _announce(context, raw(source_id), month, facts)
    again = complete_before and (not manifest.unchanged or context["ti"].try_number > 1)
    _log.info(
        "%s %s: %s%s",
        month,
        source_id,
        "unchanged" if manifest.unchanged else "landed",
        ", the month was complete before: it is built again" if again else "",
    )
    return again


def arrived_runs(context: Context) -> list[dict[str, Any]]:
    """Look at watched places and at what events named; order the ingests that follow."""
    from perfhouse import arrivals, clock

    ws = workspace()
    seen = arrivals.look(ws, clock.today(ws.company), _hints(ws))
    for line in seen.failed:
        _log.warning("%s", line)
    for each in seen.arrived:
        _log.info("%s", each.said)
    return [
        _order(f"ingest_{each.source}", f"arrived__{each.month}__{each.key}", each.month, each)
        for each in seen.arrived
    ]


def _hints(ws: stages.Workspace) -> list[Arrival]:
    """Return what the events of some days named and no ingest has followed.

    Airflow is asked for all of them, not for those of this run: it makes one run of events that
    come together, and the later ones may be in none. A wrong one is told and stops nothing.
    """
    from airflow.sdk.execution_time.context import InletEventsAccessor

    from perfhouse import arrivals, clock

    if not ws.company.listens:
        return []
    after = clock.now() - EVENT_DAYS
    found = []
    for event in InletEventsAccessor(asset_name="arrivals").after(after.isoformat()):
        extra = event.extra or {}
        said = extra.get("payload") if extra.get("from_trigger") else extra
        try:
            found.append(arrivals.hint(ws, said, int(event.timestamp.timestamp() * 1000)))
        except ConfigError as error:
            _log.warning("%s", error)
    return [hint for hint in found if hint is not None]


def behind_runs(context: Context) -> list[dict[str, Any]]:
    """Compare what arrived, landed and was published; order what needs no person.

    What just happened is on its way and no loss, and neither is a month whose DAG is at work. The
    day is in the runs' ids: what fails is tried again tomorrow, not all day.
    """
    from perfhouse import clock, reconcile

    ws, now = workspace(), clock.now()
    settled = now.timestamp() - 60.0 * ws.company.arrivals.settle_minutes
    today, orders = clock.today(ws.company), []
    behind = list(reconcile.everything(ws, today, _hints(ws)))
    observed.compared(ws, behind)
    for work in behind:
        dag_id = _DAGS[work.step].format(source=work.source) if not work.who else ""
        _log.log(logging.WARNING if work.who else logging.INFO, "%s", work.said)
        if dag_id and work.since <= settled and not _at_work(context, work.step, dag_id):
            run_id = f"healed__{work.month}__{work.key}__{today}"
            orders.append(_order(dag_id, run_id, work.month, work))
    return orders


_DAGS = {"ingest": "ingest_{source}", "build": "transform", "publish": "publish"}


def _at_work(context: Context, step: str, dag_id: str) -> bool:
    """Tell whether what would be started is under way: then there is nothing to heal yet."""
    count = context["ti"].get_dr_count
    waiting = (dag_id,) if step == "ingest" else ("transform", "publish")
    if step == "ingest" and count(dag_id="arrivals", states=["running"]):
        return True
    return any(count(dag_id=each, states=["queued", "running"]) for each in waiting)


def _order(dag_id: str, run_id: str, month: Month, what: Arrival | Work) -> dict[str, Any]:
    """Return what starts a run of a month; Airflow 3.3 passes no partition key on from a task."""
    conf: dict[str, Any] = {"month": month.key}
    as_of, announced = getattr(what, "as_of", None), what.announced
    if as_of is not None and as_of != month:
        conf["as_of"] = as_of.key
    if announced:
        conf["announced"] = announced
    return {"trigger_dag_id": dag_id, "trigger_run_id": run_id, "conf": conf}


def tell_late(context: Context) -> dict[str, Any]:
    """Tell who is late, what is overdue and whose cards' day has come, once, who wants to hear."""
    from perfhouse import clock, lateness, notice_cards, notices, overdue

    ws = workspace()
    today = clock.today(ws.company)
    found = lateness.late(ws.company, ws.home, today)
    for late in found:
        _log.warning("late: %s", late.said)
    observed.late(ws, [late.source for late in found])
    due = overdue.releases(ws, today)
    for each in due:
        _log.warning("overdue: %s", each.said(overdue.waits(ws, Month(each.month))))
    if ws.company.notices:
        handed_out = notice_cards.open_months(ws.company, ws.home, today)
        months = {late.month for late in found} | {Month(each.month) for each in due}
        for month in sorted(months | {*handed_out}):
            for told in notices.notify(
                *(ws, month), as_chosen=True, today=today, only=("late", "overdue", "cards"),
                progress=_log.info,
            ):  # fmt: skip
                _log.info("%s", told.said)
    return {"late": [f"{late.month} {late.source}" for late in found]}


def missed(context: Context) -> None:
    """Note that a run did not end in time, and tell whoever wants to hear of it.

    What Airflow calls when the deadline of `transform` or `publish` has passed.
    """
    from perfhouse import clock, notices, overdue

    run = context["dag_run"]
    key = run["partition_key"] or (run["conf"] or {}).get("month")
    if not key:  # a run that names no month fails by itself
        return
    ws, due = workspace(), str(context["deadline"]["deadline_time"])
    found = overdue.Overdue(str(Month(str(key))), run["dag_id"], due[:16])
    overdue.note(ws.home, found)
    _log.error("overdue: %s", found.said(overdue.waits(ws, Month(found.month))))
    if ws.company.notices:
        notices.notify(
            *(ws, Month(found.month)), as_chosen=True, today=clock.today(ws.company),
            only=("overdue",), progress=_log.info,
        )  # fmt: skip


def redelivered(context: Context) -> None:
    """Open the second door of the transformation for this month."""
    _announce(context, REDELIVERED, month_of(context), _said_of(context))


def gate_raw(context: Context) -> dict[str, Any]:
    """May what was landed be built?"""
    return _judged(context, "raw", stages.gate_raw)


def build(context: Context) -> dict[str, Any]:
    """Build facts, KPIs and scorecards of the month."""
    month, as_of = month_of(context), as_of_of(context)
    ws = stages.open_workspace()
    result = stages.build(ws, month, as_of, _log.info)
    observed.built(ws, result)
    return {"month": month.key, "models": len(result.models)}


def gate_facts(context: Context) -> dict[str, Any]:
    """Is every landed row in a fact, or left out for a reason?"""
    return _judged(context, "facts", stages.gate_facts)


def gate_scorecards(context: Context) -> dict[str, Any]:
    """May the scorecards be published? When they may, they are announced."""
    month, as_of = month_of(context), as_of_of(context)
    told = _judged(context, "scorecards", stages.gate_scorecards)
    facts: dict[str, Any] = {"as_of": as_of.key} if as_of else {}
    facts["gates"] = _said_by_gates(month, but="exports")  # of which only an earlier word stands
    _announce(context, SCORECARDS, month, {**facts, **_said_of(context)})
    return told


def ask(context: Context) -> dict[str, Any]:
    """Stage and audit the month; return the form of what is to be signed, else be skipped."""
    month, as_of, reason = month_of(context), as_of_of(context), reason_of(context)
    ws = stages.open_workspace()
    request = stages.ask(ws, month, as_of, _log.info, reason)
    if request is None:
        raise AirflowSkipException(f"{month} needs no sign-off: it is provisional, or has one")
    _announce(context, ASKED, month, {"release": request.content.release})
    return sign_off_task.shown(ws, request)


def hand_over(context: Context) -> None:
    """Give the deputies their turn and let them be told, unless somebody has answered."""
    from perfhouse import sign_off_answer

    month = month_of(context)
    if not sign_off_task.is_for_deputy(_pulled(context, "sign_off")):
        raise AirflowSkipException("an approver has answered")
    sign_off_answer.hand_over(stages.open_workspace(), month)
    _announce(context, ASKED, month, {"deputies": True})


def _pulled(context: Context, task_id: str) -> Any:
    return context["ti"].xcom_pull(task_ids=task_id)


def publish(context: Context) -> dict[str, Any]:
    """Stage, audit and release the month; a closed one changes only if the run says why.

    What somebody was asked to sign goes out only if it was signed, exactly as it was shown.
    """
    from perfhouse import overdue

    month, as_of, reason = month_of(context), as_of_of(context), reason_of(context)
    ws = stages.open_workspace()
    asked = _pulled(context, "ask") if ws.company.sign_off else None
    if asked:
        told = [_pulled(context, each) for each in ("sign_off", "sign_off_by_deputy")]
        sign_off_task.settle(ws, month, asked, [each for each in told if each])
    release = stages.publish(ws, month, as_of, _log.info, reason)
    observed.published(ws, month, release)
    overdue.settle(ws.home, month)
    facts = {
        "release": f"{month}.r{release.number}",
        "sha256": release.sha256,
        "unchanged": release.unchanged,
        "gates": _said_by_gates(month),
    }
    _announce(context, RELEASES, month, facts)
    return facts


def deliver(context: Context) -> dict[str, Any]:
    """Hand the exports of the newest release to the receivers that have not had them."""
    from perfhouse import deliver as delivering

    month = month_of(context)
    sent = delivering.deliver(stages.open_workspace(), month, progress=_log.info)
    return {"month": month.key, "sent": [event.delivery for event in sent]}


def stopped(context: Context) -> None:
    """Announce a month that a gate stopped; the task is skipped where none did."""
    from expectations import gate as gates

    month = month_of(context)
    found = gates.verdicts(stages.open_workspace().home, month)
    told = {verdict.gate: report.headline(verdict) for verdict in found if not verdict.passed}
    told |= sign_off_task.refused(stages.open_workspace().home, month)
    if not told:
        raise AirflowSkipException(f"no gate stopped {month}, and nobody refused to sign it")
    _announce(context, STOPPED, month, {"gates": told})


def notify(context: Context) -> dict[str, Any]:
    """Tell people of a month through the channels that want it sent; rehearse the others."""
    from perfhouse import clock, notices
    from perfhouse.company_notices import EVENTS

    ws, month = stages.open_workspace(), month_of(context)
    found = notices.notify(
        *(ws, month), as_chosen=True, today=clock.today(ws.company), progress=_log.info,
        only=[event for event in EVENTS if event not in ("late", "overdue")],  # of `reconcile`
    )  # fmt: skip
    for each in found:
        _log.info("%s", each.said)
    sent = {f"{each.channel}.{each.event}": each.count for each in found if each.is_sent}
    return {"month": month.key, "sent": sent}


def _judged(
    context: Context, gate: str, judge: Callable[[stages.Workspace, Month, Month | None], Verdict]
) -> dict[str, Any]:
    """Ask a gate; its verdict stands in the task's log, in words, and in XCom, even if it fails."""
    ws, month = stages.open_workspace(), month_of(context)
    try:
        verdict = judge(ws, month, as_of_of(context))
    except GateFailed:
        stopped = _kept(ws.home, month, gate)
        if stopped is not None:
            observed.judged(ws, month, gate, stopped)
            report.verdict(stopped, _log.error)
            context["ti"].xcom_push(key="verdict", value=report.facts(stopped))
        raise
    observed.judged(ws, month, gate, verdict)
    report.verdict(verdict, _log.info)
    return report.facts(verdict)


def _kept(home: Home, month: Month, gate: str) -> Verdict | None:
    from expectations import gate as gates

    return gates.verdict(home, month, gate)


def _said_by_gates(month: Month, but: str = "") -> dict[str, str]:
    """Return what every gate but one said of a month, in a line each, for an asset's event."""
    from expectations import gate as gates

    home = stages.open_workspace().home
    told = {verdict.gate: report.headline(verdict) for verdict in gates.verdicts(home, month)}
    return {gate: said for gate, said in told.items() if gate != but}


def _is_complete(ws: stages.Workspace, source_id: str, month: Month) -> bool:
    """Say whether the AND over the sources has been, or can be, satisfied without this landing."""
    from perfhouse import lake

    required = {s.id for s in ws.company.sources if s.required} or {
        s.id for s in ws.company.sources
    }
    return all(lake.read_manifest(ws.home, each, month) is not None for each in required)


def _announce(context: Context, asset: Asset, month: Month, facts: dict[str, Any]) -> None:
    """Tell Airflow that an asset has this month now; the key is given even to a keyless run."""
    event = cast("Callable[[Asset], Any]", context["outlet_events"].__getitem__)(asset)
    event.extra.update(facts)
    event.add_partitions([month.key])
