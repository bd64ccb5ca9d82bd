"""A company of a few rows, for tests that need the whole path but no volume.

Two managers with two agents each, five tickets and six answers a month, a roster; all CSV files.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

TOML = """
[company]
id = "tiny"
name_en = "Tiny"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[calendars.cn]
time_zone = "Asia/Shanghai"
holidays = ["2026-10-01"]
[calendars.cn.hours]
mon = ["09:00-18:00"]
tue = ["09:00-18:00"]
wed = ["09:00-18:00"]
thu = ["09:00-18:00"]
fri = ["09:00-18:00"]
[kpis]
choose = ["csat_rate", "reopen_rate"]
minimum_sample = { csat_rate = 1, reopen_rate = 1 }
[gates.raw]
allow_empty = 0
[[sources]]
id = "desk"
connector = "files"
owner = "Desk owner <desk@example.com>"
[[sources.streams]]
stream = "tickets"
path = "desk/{month}/*.csv*"
[sources.streams.columns]
ticket_id = "id"
created_at = { from = "opened", format = "%Y-%m-%d %H:%M" }
resolved_at = { from = "solved", format = "%Y-%m-%d %H:%M" }
resolved_by_id = "agent"
source_updated_at = { from = "solved", format = "%Y-%m-%d %H:%M" }
[[sources]]
id = "survey"
connector = "files"
owner = "Survey owner <survey@example.com>"
[[sources.streams]]
stream = "survey_responses"
path = "survey/{month}/*.csv"
[sources.streams.columns]
response_id = "id"
survey_id = { value = "s" }
survey_kind = { value = "csat" }
question_id = { value = "q" }
metric = { value = "csat" }
submitted_at = { from = "at", format = "%Y-%m-%d %H:%M" }
score = "score"
scale_min = { value = 1 }
scale_max = { value = 5 }
subject_employee_id = "agent"
[[sources]]
id = "hr"
connector = "files"
owner = "HR owner <hr@example.com>"
[[sources.streams]]
stream = "hr_roster"
path = "hr/{month}.csv"
[sources.streams.columns]
snapshot_date = { from = "day", format = "%Y-%m-%d" }
valid_from = { from = "day", format = "%Y-%m-%d" }
employee_id = "id"
display_name = "name"
department_id = { value = "d" }
team_id = "team"
manager_employee_id = "manager"
job_family = "job"
employment_status = { value = "active" }
hire_date = { value = "2020-01-01" }
"""
TARGETS = """\
kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,approved_by
csat_rate,*,*,0.5,0.8,0.9,1,2026-01-01,,1,2025-12-01,HR
reopen_rate,*,*,0.2,0.1,0,1,2026-01-01,,1,2025-12-01,HR
"""
AGENTS = ("A1", "A2", "B1", "B2")
ROSTER = [
    "A1,张伟,TA,MA,agent",
    "A2,李娜,TA,MA,agent",
    "B1,王芳,TB,MB,agent",
    "B2,刘洋,TB,MB,agent",
]
MANAGERS = ("MA,陈静,,,cs_manager", "MB,杨磊,,,cs_manager")


def company(folder: Path) -> Path:
    """Write the configuration folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "perfhouse.toml").write_text(TOML, encoding="utf-8")
    (folder / "targets.csv").write_text(TARGETS, encoding="utf-8")
    return folder


def put(file: Path, *lines: str) -> Path:
    """Write lines to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def tickets(data: Path, month: str, count: int = 5) -> Path:
    """Write a month's tickets; tell the file."""
    rows = [
        f"{month}-{n},{month}-0{n + 1} 10:00,{month}-0{n + 2} 11:00,{AGENTS[n % 4]}"
        for n in range(count)
    ]
    return put(data / "desk" / month / "tickets.csv", "id,opened,solved,agent", *rows)


def answers(data: Path, month: str) -> Path:
    """Write a month's survey answers: two of three satisfied for each manager."""
    rows = [
        f"{month}-{n},{month}-1{n} 09:30,{score},{AGENTS[n % 4]}"
        for n, score in enumerate((5, 4, 4, 5, 3, 1))
    ]
    return put(data / "survey" / month / "answers.csv", "id,at,score,agent", *rows)


def roster(data: Path, month: str, *more: str) -> Path:
    """Write a month's roster; `more` are rows of id, name, team, manager, job."""
    rows = [f"{month}-01,{row}" for row in (*ROSTER, *MANAGERS, *more)]
    return put(data / "hr" / f"{month}.csv", "day,id,name,team,manager,job", *rows)


def deliver(data: Path, month: str) -> None:
    """Write a whole sound month."""
    tickets(data, month)
    answers(data, month)
    roster(data, month)


def perfhouse(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as people do, but in this process: most of a short run is imports."""
    from perfhouse import cli

    said, warned = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(warned):
        try:
            code = cli.main([*map(str, words)])
        except SystemExit as stopped:  # what argparse does
            code = int(stopped.code or 0)
        except Exception:
            code = 1
            traceback.print_exc()
    return subprocess.CompletedProcess([*words], code, said.getvalue(), warned.getvalue())


def process(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as people do."""
    return subprocess.run(
        [sys.executable, "-m", "perfhouse.cli", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def state(home: Path) -> dict[str, str]:
    """Return what must not change when a month fails: everything published and committed."""
    kept = {}
    for folder in ("published", "raw"):
        for file in sorted((home / folder).rglob("*")):
            if file.is_file():
                kept[str(file.relative_to(home))] = hashlib.sha256(file.read_bytes()).hexdigest()
    return kept
