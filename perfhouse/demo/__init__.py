"""A demo company: five source systems in their own dialects, and the truth behind them.

Writes files and returns; knows neither connectors nor the warehouse's models. The same parameters
give the same bytes, whatever the threads.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perfhouse import warehouse
from perfhouse.demo import (
    answers,
    calls,
    company,
    defects,
    helpdesk,
    people,
    surveys,
    training,
    truth,
    writers,
)
from perfhouse.demo import plan as planning
from perfhouse.demo import tickets as ticket_tables
from perfhouse.demo.plan import Plan, Progress
from perfhouse.errors import ConfigError
from perfhouse.month import Month

__all__ = ["DemoResult", "generate", "redeliver"]

_log = logging.getLogger(__name__)
STAMP = "demo.json"


@dataclass(frozen=True)
class DemoResult:
    """Where the demo lies: --company, --data, what only redeliver brings, and the truth."""

    company: Path
    sources: Path
    redelivery: Path
    truth: Path
    months: tuple[Month, ...]
    unchanged: bool


def generate(
    folder: Path,
    *,
    managers: int = 24,
    agents: int = 240,
    months: int = 4,
    seed: int = 1,
    first_month: str = "2026-06",
    tickets: int = 60_000,
    calls: int = 90_000,
    progress: Progress | None = None,
) -> DemoResult:
    """Write the demo company; a folder that already holds the same one is left as it is.

    Raises:
        ConfigError: the sizes make no company (operator).
    """
    plan = _plan(managers, agents, months, seed, first_month, tickets, calls)
    folder = Path(folder)
    found = _stamp(folder)
    wanted = {"generator": _generator(), **plan.stamp()}
    told = progress or _log.info
    if found == wanted:
        told(f"demo: {folder} already holds this company")
        return _result(folder, plan, unchanged=True)
    if found is None and folder.exists() and any(folder.iterdir()):
        raise ConfigError([f"demo: expected an empty folder or an earlier demo, got {folder}"])
    _clear(folder)
    _write(plan, folder, told)
    planning.write_text(folder / STAMP, json.dumps(wanted, sort_keys=True) + "\n")
    return _result(folder, plan, unchanged=False)


def redeliver(folder: Path, month: str | None = None) -> list[Path]:
    """Deliver one month's survey corrections and late answers; return the files that came.

    Without a month it is the last but one. Only that month's folder of surveys changes; doing it
    again changes nothing.
    """
    folder = Path(folder)
    found = _stamp(folder)
    if found is None:
        raise ConfigError([f"demo: expected a folder that `perfhouse demo` wrote, got {folder}"])
    known = [str(m) for m in found["months"]]  # type: ignore[attr-defined]
    chosen = month or known[-2 if len(known) > 1 else -1]
    origin = folder / "sources_redelivery" / "surveys" / chosen
    if chosen not in known or not origin.is_dir():
        raise ConfigError([f"demo: month: expected one of {', '.join(known)}; got {chosen!r}"])
    target = folder / "sources" / "surveys" / chosen
    return [Path(shutil.copyfile(f, target / f.name)) for f in sorted(origin.iterdir())]


def _plan(
    managers: int, agents: int, months: int, seed: int, first_month: str, tickets: int, calls: int
) -> Plan:
    first = Month(first_month)
    sizes = (("managers", managers, 2), ("months", months, 1), ("agents", agents, 2 * managers),
             ("tickets", tickets, 1), ("calls", calls, 1))  # fmt: skip
    problems = [f"demo: {name}: expected at least {low}, got {got}" for name, got, low in sizes
                if got < low]  # fmt: skip
    if problems:
        raise ConfigError(problems)
    return Plan(managers, agents, tuple(first.until(first.plus(months - 1))), seed, tickets, calls)


def _write(plan: Plan, folder: Path, progress: Callable[[str], None]) -> None:
    sources = folder / "sources"
    con = warehouse.connect()
    try:
        planning.prepare(con, plan)
        crew = people.make(plan)
        people.load(con, plan, crew)
        answers.load(con, plan, crew)
        progress(f"demo: {len(crew.persons)} people in {len(crew.teams)} teams")
        ticket_tables.build(con, plan)
        calls.build(con, plan)
        surveys.build(con)
        training.build(con)
        defects.plant(con)
        progress(f"demo: {plan.tickets:,} tickets and {plan.calls:,} calls happened")
        company.write(plan, folder / "company")
        helpdesk.write(con, sources)
        progress("demo: help desk written (SQLite)")
        count = calls.write(con, sources)
        progress(f"demo: {count:,} hourly call files written (JSON)")
        writers.write_surveys(con, sources, folder / "sources_redelivery")
        writers.write_statements(con, sources)
        rosters = writers.write_rosters(plan, crew, sources)
        progress("demo: surveys, training and rosters written")
        truth.write(con, plan, folder / "truth", rosters)
        progress("demo: the truth written")
    finally:
        con.close()


def _generator() -> str:
    """Return a hash of this package: a demo of another generator is written again."""
    digest = hashlib.sha256()
    own = Path(__file__).parent
    for path in sorted(p for p in own.iterdir() if p.suffix in (".py", ".toml", ".md")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _stamp(folder: Path) -> dict[str, object] | None:
    try:
        found = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _clear(folder: Path) -> None:
    """Remove an earlier demo, stamp first: a folder that is cut short is written again."""
    (folder / STAMP).unlink(missing_ok=True)
    for name in ("company", "sources", "sources_redelivery", "truth"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _result(folder: Path, plan: Plan, *, unchanged: bool) -> DemoResult:
    return DemoResult(
        company=folder / "company",
        sources=folder / "sources",
        redelivery=folder / "sources_redelivery",
        truth=folder / "truth",
        months=plan.months,
        unchanged=unchanged,
    )
