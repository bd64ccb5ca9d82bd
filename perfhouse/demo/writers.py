"""Writers of the file sources: survey CSV, xAPI statements, HR rosters.

Each writes what the defect tables say, in a fixed order; nothing is decided here.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse.demo.people import Assignment, People, assignments
from perfhouse.demo.plan import Plan, write_text
from perfhouse.month import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

XAPI = "https://learning.example.com/xapi"
DUE = "https://perfhouse.dev/xapi/due-at"
_VERBS = {
    "assigned": f"{XAPI}/verbs/assigned",
    "completed": "http://adlnet.gov/expapi/verbs/completed",
    "passed": "http://adlnet.gov/expapi/verbs/passed",
    "failed": "http://adlnet.gov/expapi/verbs/failed",
    "waived": "https://w3id.org/xapi/adl/verbs/waived",
}
_SURVEY_HEADER = (
    "Response ID", "Site", "Survey", "Question", "Metric", "Status", "Sent", "Started",
    "Submitted", "Modified", "Zone", "Score", "Min", "Max", "Agent No", "Ticket", "Customer",
    "Language", "Comment", "Legacy Ref",
)  # fmt: skip


def write_surveys(con: DuckDBPyConnection, sources: Path, redelivery: Path) -> None:
    """Write surveys/<month>/<site>.csv, and the corrections that are delivered only later."""
    for in_redelivery, base, name in ((False, sources, None), (True, redelivery, "corrections")):
        rows = con.execute(_SURVEY_LINES, [in_redelivery]).fetchall()
        files: dict[tuple[str, str], list[tuple[object, ...]]] = {}
        for month, site, *cells in rows:
            files.setdefault((month, name or site.lower()), []).append(tuple(cells))
        for (month, stem), lines in files.items():
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\r\n")
            writer.writerow(_SURVEY_HEADER)
            writer.writerows(lines)
            write_text(base / "surveys" / month / f"{stem}.csv", text.getvalue(), "utf-8-sig")


_SURVEY_LINES = """
select
    if(in_redelivery, local_month, file_month), site,
    shown_no, site, 'post-contact-v2', metric || '-1', upper(metric),
    if(is_response, 'Completed', 'Sent'), civil_text(time_zone, sent_at), started_text,
    submitted_text, civil_text(time_zone, modified_at), time_zone, shown, low, high, agent_text,
    ticket_id, 'C' || customer_no, language_text,
    case
        when not is_response then ''
        when metric <> 'csat' then ''
        when ticket_id % 11 = 0 then '??'
        when shown >= 4 then 'Thanks, ' || if(site = 'London', 'sorted quickly', '处理得很快')
        when shown <= 2 then 'Still waiting, please call +44 20 7946 0' || (100 + ticket_id % 900)
        else ''
    end,
    ''
from survey_rows
where in_redelivery = ?
order by 1, site, ticket_id, metric, fate, version, copy
"""


def write_statements(con: DuckDBPyConnection, sources: Path) -> None:
    """Write training/<month>.jsonl, one xAPI statement a line, in the order of the store."""
    rows = con.execute(
        "select delivered_month, strftime(stored_at, '%Y-%m-%dT%H:%M:%S.000Z'), i, step, learner, "
        "course_id, course_name, course_type, "
        "strftime(due_at, '%Y-%m-%dT%H:%M:%SZ'), at_text, verb, contact_uuid(i * 8 + step), "
        "contact_uuid(7000000000 + i) from statements "
        "order by delivered_month, stored_at, i, step, copy"
    ).fetchall()
    files: dict[str, list[str]] = {}
    for row in rows:
        files.setdefault(row[0], []).append(_statement(row))
    for month, lines in files.items():
        write_text(sources / "training" / f"{month}.jsonl", "\n".join(lines) + "\n")


def _statement(row: tuple[object, ...]) -> str:
    (_, stored, number, _, learner, course, name, kind, due, moment, verb, uid, reg) = row
    body: dict[str, object] = {
        "id": uid,
        "actor": {"account": {"homePage": "https://hr.example.com", "name": learner}},
        "verb": {"id": _VERBS[str(verb)], "display": {"en": verb}},
        "object": {
            "id": f"https://learning.example.com/course/{course}",
            "definition": {"name": {"en": name}, "type": f"{XAPI}/activity-types/{kind}"},
        },
        "context": {"registration": reg, "extensions": {DUE: due}},
        "timestamp": moment,
        "stored": stored,
    }
    if verb in ("passed", "failed"):
        scaled = 0.5 if verb == "failed" else 0.8 + int(str(number)) % 20 / 100
        body["result"] = {"score": {"scaled": round(scaled, 2)}, "success": verb == "passed"}
    if verb == "completed":
        body["result"] = {"completion": True}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


_ROSTER_HEADER = (
    "快照日期", "工号", "姓名", "公司", "部门编号", "部门路径", "团队编号", "职位", "岗位序列",
    "职级", "直属上级工号", "是否管理者", "用工类型", "状态", "入职日期", "最后工作日", "离职日期",
    "工作地点", "全职当量", "生效日期", "失效日期", "代理人工号", "备注",
)  # fmt: skip
_ROLES = {
    "agent": ("客服专员", "客服"),
    "cs_manager": ("客服经理", "客服管理"),
    "director": ("客服总监", "管理层"),
}


def write_rosters(plan: Plan, people: People, sources: Path) -> dict[str, dict[str, int]]:
    """Write hr/roster_<month>.csv and hr/org_<month>.csv; return what was planted by month.

    The second month's roster is GB18030, as an old export tool wrote it.
    """
    counts: dict[str, dict[str, int]] = {}
    for position, month in enumerate(plan.months):
        rows = assignments(people, position)
        encoding = "gb18030" if position == 1 else "utf-8"
        lines = [_roster_line(plan, month, row) for row in rows if _shown(row, month)]
        planted = _roster_defects(plan, month, lines)
        planted["landed"] = len(lines) - planted["exact duplicate"] - planted["impossible date"]
        planted["rows"] = len(lines)
        counts[month.key] = planted
        path = sources / "hr" / f"roster_{month.key}.csv"
        write_text(path, _csv([_ROSTER_HEADER, *lines]), encoding)
        units: list[tuple[str, ...]] = [
            ("快照日期", "组织编号", "上级组织", "组织名称", "负责人", "状态")
        ]
        units.append((month.last_day.isoformat(), "HQ", "", "客服中心", "D0001", "有效"))
        for team in people.teams:
            lead = next(s.what for s in people.leads[team.team_id] if s.end > month.last_day)
            units.append((month.last_day.isoformat(), team.team_id, "HQ", team.name, lead, "有效"))
        write_text(sources / "hr" / f"org_{month.key}.csv", _csv(units))
    return counts


def _shown(row: Assignment, month: Month) -> bool:
    """Show who belongs to the month, and who left in the twelve months up to it."""
    if row.valid_from >= month.end:
        return False
    leave = row.person.leave
    if leave is not None and leave < month.start:
        return row.valid_to == leave and leave >= month.plus(-11).start
    return row.valid_to is None or row.valid_to > month.start or row.valid_to == leave


def _roster_line(plan: Plan, month: Month, row: Assignment) -> tuple[str, ...]:
    person = row.person
    leave = person.leave if person.leave is not None and person.leave < month.end else None
    until = row.valid_to if row.valid_to is not None and row.valid_to < month.end else None
    position, family = _ROLES[person.role]
    status = "休假" if row.is_on_leave else "在职"
    if leave is not None:
        status = "离职"
    elif not row.is_on_leave and person.hire > month.start - timedelta(days=60):
        status = "试用"
    padded = plan.u(person.employee_id, month.key, "pad") < 0.03
    grade = "?" if plan.u(person.employee_id, "grade") < 0.05 else f"P{3 + len(person.role) % 4}"
    return (
        month.last_day.isoformat(),
        person.employee_id,
        f"  {person.name} " if padded else person.name,
        "示例客服有限公司",
        row.team_id,
        f"客服中心/{person.site.name_zh}/{row.team_id}",
        row.team_id,
        position,
        family,
        grade,
        row.manager_id or "",
        "是" if person.role != "agent" else "否",
        "全职",
        status,
        person.hire.isoformat(),
        (leave - timedelta(days=1)).isoformat() if leave else "",
        leave.isoformat() if leave else "",
        person.site.name,
        "1",
        row.valid_from.isoformat(),
        until.isoformat() if until else "",
        row.deputy_id or "",
        "",
    )


def _roster_defects(plan: Plan, month: Month, lines: list[tuple[str, ...]]) -> dict[str, int]:
    """Repeat one line and add a person whose hire date does not exist."""
    padded = sum(1 for line in lines if line[2] != line[2].strip())
    unknown = sum(1 for line in lines if line[9] == "?")
    pick = int(plan.u(month.key, "roster-copy") * len(lines))
    lines.insert(pick + 1, lines[pick])
    impossible = date(month.start.year, 2, 1).strftime("%Y-02-30")
    broken = list(lines[0])
    broken[1], broken[2], broken[8], broken[10] = "X0001", "临时工", "其他", ""
    broken[14] = broken[19] = impossible
    lines.append(tuple(broken))
    return {
        "exact duplicate": 1,
        "impossible date": 1,
        "padded name": padded,
        "? for null": unknown,
    }


def _csv(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
