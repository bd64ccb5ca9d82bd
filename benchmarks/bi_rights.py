"""How long Superset's rights take: a role, a row-level rule and a user for each of many managers.

Superset and PostgreSQL for real; a mart without a release, for rights do not depend on rows. The
environment is that of `make bi` (data/bi/venv), made if it is not there.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import ROOT, say
from benchmarks.results import Report, Table, number
from bi import api, bundle, environment, logins, postgres, rights, superset_server
from bi.rights import Given
from bi.superset_server import ADMIN, Instance
from perfhouse import processes
from perfhouse.mart import migration
from perfhouse.mart.readers import Reader

DEFAULT_MANAGERS = 5_000
GOAL = 300  # seconds, for all of them, the first time
_KEY = "a key that opens nothing but this"
_MART = "bench_bi_rights"
_NOTES = (
    "mart: a login with row rights for each (`bi/logins.py`). Superset: their roles, row-level "
    "rules on every data set of managers, users and first passwords, in one transaction, with the "
    "start of Superset's own program (`bi/superset/give_rights.py`).",
    "log-in: of one manager, while all the rules stand; the median of five.",
    f"The goal for {DEFAULT_MANAGERS:,} managers on two cores: {GOAL} s the first time, both parts "
    "together.",
)


def run(options: argparse.Namespace) -> Report:
    """Give so many managers their rights, again, and with one of them replaced."""
    programs = environment.ensure(ROOT / "data" / "bi" / "venv", say)
    data: list[dict[str, Any]] = []
    with measure.workspace(options.tmp, "bi_rights") as root:
        root.chmod(0o755)  # PostgreSQL runs as somebody else
        for managers in options.size or (DEFAULT_MANAGERS,):
            data += _measured(root / str(managers), programs, managers)
    table = Table(
        "Rights of managers",
        ("step", "managers", "mart, seconds", "Superset, seconds", "new users", "log-in, ms"),
        tuple(_row(entry) for entry in data),
    )
    return Report("bi_rights", {"goal_seconds": GOAL}, data, [table], _NOTES)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        entry["step"],
        number(entry["managers"]),
        number(entry["mart_seconds"], 1),
        number(entry["superset_seconds"], 1),
        number(entry["new_users"]),
        number(entry["log_in_ms"]),
    )


def _measured(folder: Path, programs: Path, managers: int) -> list[dict[str, Any]]:
    folder.mkdir(mode=0o755)
    people = [Reader(f"M{n:06}", "manager", (f"M{n:06}",)) for n in range(managers)]
    replaced = [*people[1:], Reader("LATE", "manager", ("LATE",))]
    with postgres.running(folder / "postgres") as server:
        os.environ[f"PERFHOUSE_URL_{_MART.upper()}"] = server.database("mart")
        migration.migrate(_MART)
        metadata = server.database("superset")
        instance = Instance(programs, folder / "superset", metadata, _KEY, _KEY, _KEY)
        superset_server.prepare(instance, say)
        with superset_server.serving(instance, processes.free_port()) as (url, _):
            with api.Superset(url, ADMIN, _KEY) as superset:
                archive = bundle.archive("zh", "127.0.0.1:5432/mart")
                superset.upload("assets/import/", archive, {})
            steps = (("first", people), ("again", people), ("one replaced", replaced))
            return [_step(name, instance, url, wanted) for name, wanted in steps]


def _step(name: str, instance: Instance, url: str, people: Sequence[Reader]) -> dict[str, Any]:
    kept: list[Given] = []
    mart = _seconds(lambda: logins.make(_MART, _KEY, people))
    superset = _seconds(lambda: rights.apply(instance, people, kept.extend))
    say(f"   {len(people):,} managers, {name}: mart {mart:.1f} s, Superset {superset:.1f} s")
    known = (kept or [Given(ADMIN, "", _KEY)])[-1]

    def log_in() -> None:
        api.Superset(url, known.username, known.password).__exit__(None, None, None)

    return {
        "step": name,
        "managers": len(people),
        "mart_seconds": round(mart, 2),
        "superset_seconds": round(superset, 2),
        "new_users": len(kept),
        "log_in_ms": round(1000 * measure.median([_seconds(log_in) for _ in range(5)])),
    }


def _seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began
