"""The load of Airflow with 200 sources: parsing, the scheduler's loop, memory, event to task.

A company of 200 file sources, one DAG each, under the embedded Airflow; times of tasks come from
its metadata, times of loops from the StatsD packets it sends.
"""

from __future__ import annotations

import argparse
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import components, measure
from benchmarks.measure import say
from benchmarks.results import Report, Table, number

SOURCES = 200
EVENTS = 20
_IDLE_SECONDS = 60.0
_MONTH = "2026-09"
_LOOP = re.compile(r"airflow\.scheduler\.scheduler_loop_duration[^:]*:([0-9.]+)\|ms")
_PARSE = re.compile(r"airflow\.dag_processing\.last_duration,[^:]*ingest[^:]*:([0-9.]+)\|ms")
_TASKS = """
select r.queued_at, t.start_date, t.end_date from task_instance as t
join dag_run as r on t.dag_id = r.dag_id and t.run_id = r.run_id
where t.task_id = 'ingest' and t.end_date is not null order by r.queued_at
"""
_NOTES = (
    "Idle: a minute in which nothing arrives; CPU as a share of one core. PSS counts shared pages "
    "once; the most that was seen, looked at every second.",
    "Event to task: from the run's queueing to the first line of its task; alone, one run after "
    "another on an idle scheduler; together, all at once with three task slots.",
)
_TOML = """
[company]
id = "many"
name_en = "Many sources"
time_zone = "UTC"
default_calendar = "c"
[calendars.c]
time_zone = "UTC"
[calendars.c.hours]
mon = ["09:00-18:00"]
[kpis]
choose = ["csat_rate"]
"""
_SOURCE = """
[[sources]]
id = "s{0:03}"
connector = "files"
owner = "Owner <owner@example.com>"
schedule = "0 3 1 * *"
[[sources.streams]]
stream = "survey_responses"
path = "s{0:03}/{{month}}.csv"
[sources.streams.columns]
response_id = "id"
survey_id = {{ value = "s" }}
survey_kind = {{ value = "csat" }}
question_id = {{ value = "q" }}
metric = {{ value = "csat" }}
submitted_at = {{ from = "at", format = "%Y-%m-%d %H:%M" }}
score = "score"
scale_min = {{ value = 1 }}
scale_max = {{ value = 5 }}
subject_employee_id = "agent"
"""
_TARGETS = """\
kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,approved_by
csat_rate,*,*,0.5,0.8,0.9,1,2026-01-01,,1,2025-12-01,HR
"""


def run(options: argparse.Namespace) -> Report:
    """Serve the company, leave it idle, then announce deliveries alone and together."""
    with measure.workspace(options.tmp, "scheduler") as root, measure.heartbeat("scheduler"):
        found = measure.call(serve, root=str(root)).value
    data = [{"what": "component", "name": n, **v} for n, v in found["components"].items()]
    data.append({"what": "totals", **found["totals"]})
    tables = [_totals(found["totals"]), _memory(found["components"])]
    return Report("scheduler", {"sources": SOURCES, "events": EVENTS}, data, tables, _NOTES)


def serve(root: str) -> dict[str, Any]:
    """Run the company's Airflow and return what was measured."""
    from perfhouse import embedded, stages
    from perfhouse.settings import environment

    folder = Path(root)
    company = _company(folder)
    packets: list[str] = []
    with _taking(packets) as port, environment(_statsd(port)):
        ws = stages.open_workspace(company, folder / "data", folder / "home")
        began = time.perf_counter()
        with (
            components.watching(ws.home.root) as seen,
            embedded._alone(ws.home),
            embedded._airflow(ws, None, say) as airflow,
        ):
            ready = time.perf_counter() - began
            time.sleep(10)  # for the first parse of every file
            told = len(packets)
            idle = components.idle(_IDLE_SECONDS, seen)
            loops = _numbers(_LOOP, packets[told:])
            metadata = airflow.root / "metadata" / "airflow.db"
            alone = []
            for nth in range(5):
                embedded._trigger(airflow.api, f"s{nth:03}", _month(), "alone")
                alone += _waits(metadata, nth + 1)[-1:]
            for nth in range(5, 5 + EVENTS):
                embedded._trigger(airflow.api, f"s{nth:03}", _month(), "together")
            together = _waits(metadata, 5 + EVENTS)[5:]
    parts = {n: {**each.told(), "idle_cpu": idle.get(n, 0.0)} for n, each in seen.items()}
    totals = {
        "ready_seconds": ready,
        "parse_seconds": measure.median(_numbers(_PARSE, packets)) / 1000,
        "loop_ms": measure.median(loops),
        "loop_max_ms": max(loops),
        "alone_seconds": measure.median(alone),
        "together_median_seconds": measure.median(together),
        "together_last_seconds": max(together),
    }
    return {"components": parts, "totals": totals}


def _month() -> Any:
    from perfhouse.month import Month

    return Month(_MONTH)


def _company(folder: Path) -> Path:
    company = folder / "company"
    company.mkdir(parents=True)
    text = _TOML + "".join(_SOURCE.format(nth) for nth in range(SOURCES))
    (company / "perfhouse.toml").write_text(text, encoding="utf-8")
    (company / "targets.csv").write_text(_TARGETS, encoding="utf-8")
    for nth in range(SOURCES):
        file = folder / "data" / f"s{nth:03}" / f"{_MONTH}.csv"
        file.parent.mkdir(parents=True)
        file.write_text("id,at,score,agent\n1,2026-09-02 10:00,5,A1\n", encoding="utf-8")
    return company


def _statsd(port: int) -> dict[str, str]:
    return {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
    }


@contextmanager
def _taking(packets: list[str]) -> Iterator[int]:
    """Keep every StatsD packet that comes to a port of our own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taking:
        taking.bind(("127.0.0.1", 0))
        taking.settimeout(0.2)
        done = threading.Event()

        def take() -> None:
            while not done.is_set():
                try:
                    packets.extend(taking.recv(65535).decode().splitlines())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield taking.getsockname()[1]
        done.set()
        thread.join()


def _numbers(pattern: re.Pattern[str], packets: list[str]) -> list[float]:
    found = [float(m[1]) for packet in packets if (m := pattern.match(packet))]
    if not found:
        raise RuntimeError(f"no packet like {pattern.pattern}")
    return found


def _waits(metadata: Path, count: int) -> list[float]:
    """Wait until so many ingests have ended; return each one's seconds from queue to start."""
    deadline = time.monotonic() + 600
    rows: list[tuple[str, str, str]] = []
    while len(rows) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(rows)} of {count} ingests ended")
        time.sleep(0.5)
        with closing(sqlite3.connect(f"file:{metadata}?mode=ro", uri=True, timeout=60)) as con:
            rows = con.execute(_TASKS).fetchall()
    return [
        (datetime.fromisoformat(start) - datetime.fromisoformat(queued)).total_seconds()
        for queued, start, _ in rows
    ]


def _totals(of: dict[str, float]) -> Table:
    row = (
        *(number(of["ready_seconds"]), number(of["parse_seconds"], 1), number(of["loop_ms"])),
        *(number(of["loop_max_ms"]), number(of["alone_seconds"], 1)),
        *(number(of["together_median_seconds"], 1), number(of["together_last_seconds"], 1)),
    )
    return Table(
        f"Airflow with {SOURCES} sources, each a DAG",
        (
            *("start to ready, s", "parsing the 200 DAGs, s", "loop idle, median ms", "most ms"),
            "event to task, alone, s",
            f"{EVENTS} events at once, median s",
            "the last, s",
        ),
        (row,),
    )


def _memory(of: dict[str, dict[str, float]]) -> Table:
    rows = tuple(
        (
            name,
            number(each["rss_mib"]),
            number(each["pss_mib"]),
            f"{100 * each.get('idle_cpu', 0.0):.0f} %",
        )
        for name, each in of.items()
    )
    return Table(
        "Its processes", ("component", "most RSS, MiB", "most PSS, MiB", "CPU, idle"), rows
    )
