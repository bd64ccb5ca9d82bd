"""Build one month in the warehouse: configuration and raw views in, dbt over them, a record of it.

Knows dbt and which order things go in; may not know a KPI, a model's SQL or a source.
"""

from __future__ import annotations

import json
import logging
import os.path
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from perfhouse import (
    confidential,
    config_tables,
    kpi_files,
    lake,
    months,
    provenance,
    settings,
    warehouse,
)
from perfhouse.company_types import Company
from perfhouse.errors import BuildFailed, ConfigError, without_values
from perfhouse.month import Month
from perfhouse.settings import Home

_log = logging.getLogger(__name__)
Progress = Callable[[str], None]
Streams = Mapping[str, Sequence[tuple[str, str]]]

MACRO_TESTS = "macro"  # tag of tests that try the macros, not the data; `make test` runs them
_OK = frozenset({"success", "pass", "warn", "skipped", "no-op"})
_MESSAGE_LENGTH = 600
_OTHER_SHAPE = "does not have a column"


@dataclass(frozen=True)
class NodeRun:
    """One model or test that dbt ran; `rows` is what a test found wrong."""

    name: str
    kind: str
    status: str
    seconds: float
    rows: int
    message: str
    meaning: str


@dataclass(frozen=True)
class BuildResult:
    """What a build did; `seconds` is by node, `run_results` is dbt's own file."""

    month: Month
    as_of: Month
    models: tuple[str, ...]
    seconds: Mapping[str, float]
    run_results: Path


def build(
    company: Company,
    home: Home,
    month: Month,
    as_of: Month,
    streams: Streams,
    progress: Progress = _log.info,
) -> BuildResult:
    """Build every model of a month and test it; building it again replaces it.

    `as_of` is the last delivery window that counts, the month itself unless it is restated;
    `streams` gives (column, type) by stream, envelope first.

    Raises:
        BuildFailed: a model or a test failed, named with what it means (data engineer).
        ConfigError: the clocks of the company stopped before the month began (operator).
        TransientError: another build or a question holds the warehouse (try again).
    """
    company = replace(company, clocks_stop_at=months.read_at(company, home, as_of))
    _check_clocks(company, month)
    home.ensure()
    origin = provenance.origin(company, home, month, as_of)
    provenance.expect_format(home)
    provenance.write(home, month, None)
    _prepare(company, home, month, as_of, streams)
    # Nearly every model asks for it: from the table it would be 140 queries a build.
    offsets = json.dumps(config_tables.clock_offsets(company, month, as_of))
    more = {**environment(company, home), "PERFHOUSE_UTC_OFFSETS": offsets}
    with settings.dbt_environment(home, month, as_of, more):
        runs, failure = run_dbt(
            ["build", "--exclude-resource-type", "unit_test", "--exclude", f"tag:{MACRO_TESTS}"],
            progress=_titled(month, progress),
        )
    _record(home, month, as_of, runs)
    _refuse_failures(month, runs, failure)
    provenance.write(home, month, origin)
    models = [run for run in runs if run.kind == "model"]
    return BuildResult(
        month=month,
        as_of=as_of,
        models=tuple(run.name for run in models),
        seconds={run.name: run.seconds for run in runs},
        run_results=home.dbt / "target" / "run_results.json",
    )


def _check_clocks(company: Company, month: Month) -> None:
    """Refuse a month in which no clock runs: what was due in it would be due to nobody."""
    stop = company.clocks_stop_at
    begins = datetime.combine(month.start, time(), ZoneInfo(company.time_zone))
    if stop is not None and stop <= begins:
        raise ConfigError(
            [
                f"perfhouse.toml: company.clocks_stop_at: expected an instant after {begins}, when "
                f"{month} begins, or none if its sources were read later, got {stop}"
            ]
        )


def run_dbt(
    arguments: Sequence[str], progress: Progress = _log.info
) -> tuple[tuple[NodeRun, ...], str | None]:
    """Run one dbt command in this process; return its nodes and why it broke off, if it did.

    The month and the places come from the environment: see settings.dbt_environment.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    project = str(settings.project_dir())
    # dbt formats every event for its log file: nearly a tenth of a build, so only on demand.
    log = settings.option("dbt_log", "none") or "none"
    quiet = ["--log-level", "none", "--log-level-file", log, "--no-print", "--quiet"]
    where = ["--project-dir", project, "--profiles-dir", project]
    try:
        outcome = dbtRunner(callbacks=[_announce(progress)]).invoke([*arguments, *quiet, *where])
    finally:
        DuckDBConnectionManager.close_all_connections()
        _close_logs()
    if outcome.exception is not None:
        return (), without_values(str(outcome.exception))
    results = getattr(outcome.result, "results", None) or ()
    runs = (_node_run(result) for result in results)
    return tuple(run for run in runs if run.kind != "operation" or run.status not in _OK), None


def _close_logs() -> None:
    """Close the log file that dbt leaves open until the process ends."""
    from dbt_common.events.event_manager_client import get_event_manager

    for logger in get_event_manager().loggers:
        python_logger: Any = getattr(logger, "_python_logger", None)
        if python_logger is None:
            continue
        for handler in list(python_logger.handlers):
            python_logger.removeHandler(handler)
            handler.close()


def _prepare(company: Company, home: Home, month: Month, as_of: Month, streams: Streams) -> None:
    con = warehouse.connect(home.warehouse)
    try:
        con.execute("begin")
        config_tables.write(con, company, month, as_of, confidential.released(home, month))
        lake.create_raw_views(con, home, company, month, as_of, streams)
        con.execute("commit")
    finally:
        con.close()


def environment(company: Company, home: Home) -> dict[str, str]:
    """Return what the dbt profile and project read besides the month and the places."""
    config = warehouse.engine_config(home.warehouse.resolve().parent)
    stop = company.clocks_stop_at
    return {
        "PERFHOUSE_COMPANY_KPIS": company_kpis(company.folder),
        "PERFHOUSE_CLOCKS_STOP_AT": f"{stop.timestamp():.0f}" if stop else "",
        "PERFHOUSE_MEMORY_LIMIT": str(config["memory_limit"]),
        "PERFHOUSE_SPILL": str(config["temp_directory"]),
        "PERFHOUSE_DBT_THREADS": str(config.get("threads", 2)),
    }


def company_kpis(folder: Path) -> str:
    """Return a company's own KPI folder as dbt wants it: relative to the project."""
    own = folder.resolve() / kpi_files.FOLDER
    return os.path.relpath(own, settings.project_dir()) if own.is_dir() else "company_kpis"


def _titled(month: Month, progress: Progress) -> Progress:
    return lambda text: progress(f"{month}: {text}")


def _announce(progress: Progress) -> Callable[[Any], None]:
    """Return a dbt callback that tells of every finished model."""

    def callback(event: Any) -> None:
        if event.info.name != "NodeFinished":
            return
        node = event.data.node_info
        if node.resource_type == "model":
            seconds = getattr(event.data.run_result, "execution_time", 0.0)
            progress(f"{node.node_name} {node.node_status} {seconds:.1f} s")

    return callback


def _node_run(result: Any) -> NodeRun:
    node = result.node
    return NodeRun(
        name=node.name,
        kind=str(node.resource_type),
        status=str(result.status),
        seconds=float(result.execution_time or 0.0),
        rows=int(result.failures or 0),
        message=without_values(" ".join(str(result.message or "").split()))[:_MESSAGE_LENGTH],
        meaning=" ".join(str(getattr(node, "description", "") or "").split()),
    )


def _record(home: Home, month: Month, as_of: Month, runs: Iterable[NodeRun]) -> None:
    """Write the runs to ops.model_runs; nothing published reads it, for it holds durations."""
    con = warehouse.connect(home.warehouse)
    try:
        con.execute("create schema if not exists ops")
        con.execute(
            "create table if not exists ops.model_runs (month date, as_of varchar, name varchar, "
            "kind varchar, status varchar, seconds double, failing_rows bigint, message varchar)"
        )
        con.execute("begin")
        con.execute("delete from ops.model_runs where month = ?", [month.start])
        for run in runs:
            con.execute(
                "insert into ops.model_runs values (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(month.start, as_of.key, run.name, run.kind, run.status),
                    *(run.seconds, run.rows, run.message),
                ],
            )
        con.execute("commit")
    finally:
        con.close()


def _refuse_failures(month: Month, runs: Iterable[NodeRun], failure: str | None) -> None:
    if failure is not None:
        raise BuildFailed(f"build of {month}: dbt could not start\n  {failure}")
    failed = [run for run in runs if run.status not in _OK]
    if not failed:
        return
    lines = "\n".join(f"  - {_in_words(run)}" for run in failed)
    raise BuildFailed(f"build of {month}: {len(failed)} failed; nothing was published\n{lines}")


def _in_words(run: NodeRun) -> str:
    meaning = f" ({run.meaning})" if run.meaning else ""
    if _OTHER_SHAPE in run.message:
        return f"{run.kind} {run.name}: {run.message}; {provenance.REBUILD}"
    if run.kind == "test" and run.status == "fail":
        return f"test {run.name}{meaning}: {run.rows} rows say otherwise"
    return f"{run.kind} {run.name}{meaning}: {run.message or run.status}"
