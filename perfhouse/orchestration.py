"""Airflow's side of the house: the assets, the month of a run, and the work of each task.

The only module outside `dags/` that imports airflow; it computes nothing, stages.py does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import (
    Asset,
    AssetAll,
    AssetAny,
    Connection,
    CronPartitionTimetable,
    ExceptionRetryPolicy,
    IdentityMapper,
    PartitionedAssetTimetable,
    RetryAction,
    RetryRule,
)
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from perfhouse import report, settings, stages
from perfhouse.company import Company, Source
from perfhouse.errors import ConfigError, GateFailed, TransientError
from perfhouse.month import Month
from perfhouse.restatement import Reason
from perfhouse.settings import Home, option

if TYPE_CHECKING:
    from expectations.gate import Verdict

_log = logging.getLogger(__name__)
Context = Mapping[str, Any]

# What a re-delivery is announced with: the AND over the sources is satisfied once per month only.
REDELIVERED = Asset("redelivered", group="perfhouse")
SCORECARDS = Asset("scorecards", group="perfhouse")
RELEASES = Asset("releases", group="perfhouse")
STOPPED = Asset("stopped", group="perfhouse")

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


def defaults(owner: str) -> dict[str, Any]:
    """Return the default arguments of every task: owner, time limit, retries."""
    return {**TASK_DEFAULTS, "owner": owner}


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


def _each_month(condition: Any) -> PartitionedAssetTimetable:
    return PartitionedAssetTimetable(assets=condition, default_partition_mapper=IdentityMapper())


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
    month = month_of(context)
    ws = stages.open_workspace()
    complete_before = _is_complete(ws, source_id, month)
    manifest = stages.ingest(ws, source_id, month, _log.info)
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


def redelivered(context: Context) -> None:
    """Open the second door of the transformation for this month."""
    _announce(context, REDELIVERED, month_of(context), _said_of(context))


def gate_raw(context: Context) -> dict[str, Any]:
    """May what was landed be built?"""
    return _judged(context, "raw", stages.gate_raw)


def build(context: Context) -> dict[str, Any]:
    """Build facts, KPIs and scorecards of the month."""
    month, as_of = month_of(context), as_of_of(context)
    result = stages.build(stages.open_workspace(), month, as_of, _log.info)
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


def publish(context: Context) -> dict[str, Any]:
    """Stage, audit and release the month; a closed one changes only if the run says why."""
    month, as_of, reason = month_of(context), as_of_of(context), reason_of(context)
    release = stages.publish(stages.open_workspace(), month, as_of, _log.info, reason)
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
    if not told:
        raise AirflowSkipException(f"no gate stopped {month}")
    _announce(context, STOPPED, month, {"gates": told})


def notify(context: Context) -> dict[str, Any]:
    """Tell people of a month through the channels that want it sent; rehearse the others."""
    from perfhouse import notices

    month = month_of(context)
    found = notices.notify(stages.open_workspace(), month, as_chosen=True, progress=_log.info)
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
            report.verdict(stopped, _log.error)
            context["ti"].xcom_push(key="verdict", value=report.facts(stopped))
        raise
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
