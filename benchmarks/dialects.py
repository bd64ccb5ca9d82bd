"""Six source dialects: how each is written at any size, mapped, and read without any care.

Deterministic: every value is a hash of its row number. One row in a thousand is sent twice, one
in two thousand has a time that is none, so that the engine's duplicates and quarantine work too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import floors, writers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MONTH = "2026-09"
ZONE = "Asia/Shanghai"
Write = Callable[["DuckDBPyConnection", Path, int], None]
Floor = Callable[["DuckDBPyConnection", Path, Path], None]


@dataclass(frozen=True)
class Dialect:
    """One kind of delivery.

    Args:
        toml: its `[[sources]]` entry.
        write: writes that many rows below a data folder.
        floor: reads the same files with the same casts and writes Parquet, nothing else.
        floor_text: what the floor is, for people.
    """

    name: str
    title: str
    toml: str
    write: Write
    floor: Floor
    floor_text: str


_TICKET_COLUMNS = """
[sources.streams.columns]
ticket_id = "ticket_no"
category = "kind"
is_complaint = { sql = "\\"kind\\" = 'Complaint'" }
channel.from = "channel"
channel.values = { "Web form" = "web", "E-mail" = "email", "Live chat" = "chat", Phone = "phone" }
channel.otherwise = "other"
priority.from = "priority"
priority.values = { P1 = "urgent", P2 = "high", P3 = "normal", P4 = "low" }
status.from = "state"
status.values = { Open = "open", Solved = "solved", Closed = "closed" }
queue_id = "queue"
assignee_id = "assignee"
resolved_by_id = "assignee"
requester_key = { from = "customer", hash = true }
created_at = "created"
first_response_at = { from = "first_reply", unknown_when = "first_response_at < created_at" }
resolved_at = "solved"
reopen_count = "reopens"
reply_count = "replies"
source_updated_at = "updated"
"""

_TICKETS_CSV = f"""
[[sources]]
id = "tickets-csv"
connector = "files"
owner = "benchmark"
time_zone = "UTC"
[[sources.streams]]
stream = "tickets"
path = "tickets/{{month}}/*.csv"
{_TICKET_COLUMNS}
"""

_TICKETS_SQL = f"""
[[sources]]
id = "tickets-sql"
connector = "sql"
owner = "benchmark"
time_zone = "UTC"
url = "sqlite:///{{data}}/desk.db"
[[sources.streams]]
stream = "tickets"
query = "select * from tickets where updated >= :start and created < :end order by ticket_no"
{_TICKET_COLUMNS}
"""

_CALLS = """
[[sources]]
id = "calls-json"
connector = "amazon_connect"
owner = "benchmark"
time_zone = "UTC"
"""

_XAPI = """
[[sources]]
id = "training-jsonl"
connector = "xapi"
owner = "benchmark"
time_zone = "UTC"
"""

_SURVEYS = """
[[sources]]
id = "surveys-csv"
connector = "files"
owner = "benchmark"
[[sources.streams]]
stream = "survey_responses"
path = "surveys/{month}/*.csv"
[sources.streams.columns]
response_id = "Response ID"
survey_id = { value = "after-contact" }
survey_kind = { from = "Survey", values = { CSAT = "csat", NPS = "nps" } }
question_id = "Question"
metric = { from = "Survey", values = { CSAT = "csat", NPS = "nps" } }
status = { value = "completed" }
submitted_at = { from = "Submitted", format = "%d/%m/%Y %H:%M" }
score = "Score"
scale_min = { from = "Survey", values = { CSAT = "1", NPS = "0" } }
scale_max = { from = "Survey", values = { CSAT = "5", NPS = "10" } }
subject_employee_id = { sql = "trim(\\"Agent\\")" }
ticket_id = "Ticket"
rater_type = { value = "customer" }
rater_key = { from = "Customer", hash = true }
"""

_ROSTER = """
[[sources]]
id = "roster-gb18030"
connector = "files"
owner = "benchmark"
[[sources.streams]]
stream = "hr_roster"
path = "roster/{month}.csv"
encoding = "gb18030"
[sources.streams.columns]
snapshot_date = { from = "快照日期", format = "%Y/%m/%d" }
employee_id = "工号"
display_name = "姓名"
department_id = "部门"
team_id = "班组"
position_name = "岗位"
job_family.from = "岗位"
job_family.values = { "客服专员" = "agent", "客服主管" = "cs_manager" }
job_family.otherwise = "other"
manager_employee_id = "直属上级"
employment_status.from = "状态"
employment_status.values = { "在职" = "active", "试用" = "probation", "离职" = "left" }
hire_date = { from = "入职日期", format = "%Y/%m/%d" }
location = "工作地点"
fte = "工时系数"
valid_from = { from = "生效日期", format = "%Y/%m/%d" }
"""

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            name="tickets-csv",
            title="tickets, CSV",
            toml=_TICKETS_CSV,
            write=writers.tickets_csv,
            floor=floors.tickets_csv,
            floor_text="read_csv",
        ),
        Dialect(
            name="tickets-sql",
            title="tickets, SQLite through SQLAlchemy",
            toml=_TICKETS_SQL,
            write=writers.tickets_sql,
            floor=floors.tickets_sql,
            floor_text="sqlite3 cursor to Arrow",
        ),
        Dialect(
            name="calls-json",
            title="calls, hourly JSON contact traces",
            toml=_CALLS,
            write=writers.calls_json,
            floor=floors.calls_json,
            floor_text="read_json",
        ),
        Dialect(
            name="training-jsonl",
            title="training records, xAPI JSON lines",
            toml=_XAPI,
            write=writers.training_jsonl,
            floor=floors.training_jsonl,
            floor_text="read_json",
        ),
        Dialect(
            name="surveys-csv",
            title="survey responses, CSV with BOM, local times",
            toml=_SURVEYS,
            write=writers.surveys_csv,
            floor=floors.surveys_csv,
            floor_text="read_csv",
        ),
        Dialect(
            name="roster-gb18030",
            title="HR roster, CSV in GB18030",
            toml=_ROSTER,
            write=writers.roster_csv,
            floor=floors.roster_csv,
            floor_text="pyarrow.csv, then DuckDB",
        ),
    )
}

_COMPANY = f"""\
[company]
id = "bench"
name_en = "Benchmark"
time_zone = "{ZONE}"
default_calendar = "always"
[calendars.always]
time_zone = "{ZONE}"
[calendars.always.hours]
mon = ["00:00-24:00"]
"""
_TARGETS = (
    "kpi_id,role,team_id,floor,target,stretch,weight,"
    "valid_from,valid_to,version,announced_on,approved_by\n"
)


def company(folder: Path) -> Path:
    """Write the configuration that lands every dialect; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _COMPANY + "".join(dialect.toml for dialect in DIALECTS.values())
    (folder / "perfhouse.toml").write_text(text, encoding="utf-8")
    (folder / "targets.csv").write_text(_TARGETS, encoding="utf-8")
    return folder
