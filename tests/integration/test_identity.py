"""Who is behind an id: from delivered files through the raw gate and the build to the facts."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from connectors import streams
from expectations import gate, raw
from perfhouse import cli, stages, warehouse
from perfhouse.errors import ConfigError, GateFailed
from perfhouse.month import Month
from tests.hr_source import hr_source

AUGUST, SEPTEMBER = Month("2026-08"), Month("2026-09")
TOML = """
[company]
id = "tiny"
name_en = "Tiny"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[calendars.cn]
time_zone = "Asia/Shanghai"
[calendars.cn.hours]
mon = ["09:00-18:00"]
[kpis]
choose = ["reopen_rate"]
[gates.raw]
unmatched_share = 0.9
allow_empty = 1
[[sources]]
id = "desk"
connector = "files"
owner = "Desk"
[[sources.streams]]
stream = "tickets"
path = "tickets_{month}.csv"
[sources.streams.columns]
ticket_id = "id"
created_at = "opened"
resolved_at = "solved"
resolved_by_id = "agent"
source_updated_at = "solved"
[[sources.streams]]
stream = "source_users"
path = "users_{month}.csv"
[sources.streams.columns]
source_user_id = "id"
employee_no = "number"
email_hash = { sql = "lower(trim(mail))", hash = true }
"""
HASHED = '{ sql = "lower(trim(mail))", hash = true }'
TOML += hr_source("roster_{month}.csv", work_email_hash=HASHED, job_family='{ value = "agent" }')
TARGETS = """\
kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,approved_by
reopen_rate,*,*,0.2,0.1,0,1,2026-01-01,,1,2025-12-01,HR
"""
WRITTEN = """\
source,source_user_id,employee_id,valid_from,valid_to,note
desk,reused,A3,,,
desk,reused,A4,2026-09-16,,the seat passed on
desk,robot,-,,,answers by itself
source,source_user_id,employee_id,valid_from,valid_to,note
desk,stranger,,,,not filled in yet
"""
ROSTER = (
    "A1,zhang@example.cn,M1", "A2,Li@example.cn,M1", "A3,team@example.cn,M1",
    "A4,team@example.cn,M1", "M1,chen@example.cn,",
)  # fmt: skip
USERS = (
    "number, A1 ,", "address,, LI@example.cn ", "shared,,TEAM@example.cn", "stranger,,",
    "both,A1,li@example.cn", "reused,,", "robot,,", "seat,{seat},",
)  # fmt: skip
SOLVED = {
    "number": "2026-09-03", "address": "2026-09-03", "shared": "2026-09-03",
    "stranger": "2026-09-04", "both": "2026-09-03", "reused": "2026-09-15",
    "reused.": "2026-09-16", "robot": "2026-09-03", "seat": "2026-09-03", "A1": "2026-09-03",
}  # fmt: skip


def put(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> stages.Workspace:
    root = tmp_path_factory.mktemp("identity")
    put(root / "company" / "perfhouse.toml", TOML)
    put(root / "company" / "targets.csv", TARGETS)
    put(root / "company" / "identity.csv", WRITTEN)
    for month, seat in ((AUGUST, "A1"), (SEPTEMBER, "A2")):
        data = root / "data"
        users = [line.format(seat=seat) for line in USERS]
        put(data / f"users_{month}.csv", "id,number,mail", *users)
        put(data / f"roster_{month}.csv", "day,id,mail,manager",
            *(f"{month.last_day},{line}" for line in ROSTER))  # fmt: skip
        tickets = [
            f"{who},2026-09-01 09:00:00,{day} 09:00:00,{who.rstrip('.')}"
            for who, day in SOLVED.items()
            if month is SEPTEMBER
        ]
        put(data / f"tickets_{month}.csv", "id,opened,solved,agent", *tickets)
    opened = stages.open_workspace(root / "company", root / "data", root / "home")
    for month in (AUGUST, SEPTEMBER):
        for source in ("hr", "desk"):
            stages.ingest(opened, source, month)
    stages.build(opened, SEPTEMBER)
    return opened


def asked(ws: stages.Workspace, sql: str) -> list[tuple]:
    with warehouse.connect(ws.home.warehouse, read_only=True) as con:
        return con.execute(sql).fetchall()


def listed(ws: stages.Workspace, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    """Return what `perfhouse identities` prints, by id."""
    where = ["--company", str(ws.company.folder), "--home", str(ws.home.root)]
    assert cli.main(["identities", *where, "--month", "2026-09"]) == 0
    return {
        row["source_user_id"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))
    }


def test_a_fact_is_credited_by_the_rule_that_knows_most_on_its_day(ws: stages.Workspace) -> None:
    found = dict(asked(ws, "select ticket_id, resolver_employee_id from core.fct_tickets"))
    assert found == {
        "number": "A1", "address": "A2", "shared": None, "stranger": None, "both": "A1",
        "reused": "A3", "reused.": "A4", "robot": None, "seat": "A2",
        # The desk lists its users and this is none of them, whatever employee has that number.
        "A1": None,
    }  # fmt: skip


def test_nobody_is_dropped_and_each_stranger_has_a_reason(ws: stages.Workspace) -> None:
    found = asked(
        ws,
        "select source_user_id, reason, event_count, first_on::varchar, last_on::varchar "
        "from core.unmatched_people where stream = 'tickets' order by 1",
    )
    assert found == [
        ("A1", "unmatched", 1, "2026-09-03", "2026-09-03"),
        ("robot", "nobody", 1, "2026-09-03", "2026-09-03"),
        ("shared", "ambiguous", 1, "2026-09-03", "2026-09-03"),
        ("stranger", "unmatched", 1, "2026-09-04", "2026-09-04"),
    ]


def test_the_gate_knows_exactly_whom_the_build_knows(ws: stages.Workspace) -> None:
    columns = ("_source, source_user_id, employee_id, match_rule, status, candidate_employee_id, "
               "contested_employee_id, valid_from, valid_to")  # fmt: skip
    case = gate.Case(ws.home, ws.company, SEPTEMBER, SEPTEMBER, streams.STREAMS, None)
    with warehouse.connect() as con:
        raw.strangers(con, case)
        of_gate = con.execute(f"select {columns} from identities order by all").fetchall()
        judged = con.execute(
            "select distinct person_id, is_known from people order by all"
        ).fetchall()
    assert of_gate == asked(ws, f"select {columns} from core.dim_identities order by all")
    facts = asked(
        ws,
        "select resolver_id, t.resolver_employee_id is not null or u.reason = 'nobody' "
        "from core.fct_tickets t left join core.unmatched_people u on u.stream = 'tickets' "
        "and u.source_user_id = t.resolver_id group by all order by all",
    )
    assert judged == [(person, bool(is_known)) for person, is_known in facts]


def test_the_gate_warns_of_each_kind_of_doubt_and_names_the_id(ws: stages.Workspace) -> None:
    verdict = stages.gate_raw(ws, SEPTEMBER)
    keys = {c.id: c.failing_keys for c in verdict.checks if not c.passed}
    assert keys["people_unknown"][0].startswith(
        "place=1, source=desk, stream=tickets, person_id=A1"
    )
    assert {key.split("person_id=")[1].split(",")[0] for key in keys["people_unknown"]} == {
        "A1", "shared", "stranger",
    }  # fmt: skip
    assert [key for key in keys["people_ambiguous"] if "desk" in key] == [
        "source=desk, person_id=shared, match_rule=email, employee_id=A3, other_employee_id=A4"
    ]
    assert keys["people_contested"] == (
        "source=desk, person_id=both, match_rule=employee_no, employee_id=A1, "
        "contested_employee_id=A2",
    )
    assert keys["people_changed"] == ("source=desk, person_id=seat, before=A1, employee_id=A2",)
    assert "example" not in str(verdict)


def test_too_many_strangers_stop_the_month_and_the_worst_come_first(
    ws: stages.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ws.company.gates["raw"], "unmatched_share", 0.29)
    with pytest.raises(GateFailed, match=r"perfhouse identities.*30.00% at most.*place=1") as stop:
        stages.gate_raw(ws, SEPTEMBER)
    assert "unmatched_rows=1, stream_rows=10" in str(stop.value)
    assert "people_known" in str(stop.value)


def test_the_list_names_every_doubt_and_mends_by_filling_in(
    ws: stages.Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    found = listed(ws, capsys)
    assert {key: row["note"] for key, row in found.items() if row["source"] == "desk"} == {
        "A1": "nobody is known; 1 tickets, 2026-09-03 to 2026-09-03",
        "shared": "A3 or A4; 1 tickets, 2026-09-03 to 2026-09-03",
        "stranger": "nobody is known; 1 tickets, 2026-09-04 to 2026-09-04",
        "both": "employee_no says A1, who is credited; another rule says A2",
        "seat": "was A1 until last month, is A2 now: from which day?",
    }
    assert {row["employee_id"] for row in found.values()} == {""}
    file = ws.company.folder / "identity.csv"
    before = file.read_text(encoding="utf-8")
    answers = {"shared": "A3", "stranger": "A4", "A1": "-", "both": "A1", "seat": "A2"}
    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(found["A1"]))
    writer.writeheader()
    writer.writerows(
        {**row, "employee_id": answers[key]} for key, row in found.items() if key in answers
    )
    try:
        file.write_text(before + lines.getvalue(), encoding="utf-8")
        assert listed(ws, capsys) == {}
    finally:
        file.write_text(before, encoding="utf-8")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("dsk,u,A1,,,", r"line 2, source: .*did you mean 'desk'.*'dsk'"),
        (",u,A1,,,", r"line 2, source: expected a source's id or \*"),
        ("desk,,A1,,,", "line 2, source_user_id: expected a user id"),
        ("desk,u,A1,16/09/2026,,", "line 2, valid_from: expected a day such as"),
        ("desk,u,A1,2026-09-16,2026-09-16,", "line 2, valid_to: expected a day after 2026-09-16"),
        ("desk,u,A1,,,\ndesk,u,A2,,,", "lines 2 and 3: expected one employee for an id"),
    ],
)
def test_a_fault_of_the_file_is_told_by_line(
    ws: stages.Workspace, tmp_path: Path, lines: str, problem: str
) -> None:
    put(tmp_path / "perfhouse.toml", TOML)
    put(tmp_path / "targets.csv", TARGETS)
    put(tmp_path / "identity.csv", WRITTEN.splitlines()[0], lines)
    with pytest.raises(ConfigError, match=problem):
        stages.open_workspace(tmp_path, home=ws.home.root)


def test_an_address_lands_hashed_in_one_spelling_or_not_at_all(tmp_path: Path) -> None:
    put(tmp_path / "targets.csv", TARGETS)
    put(tmp_path / "users_2026-09.csv", "id,number,mail", "u,A1,li@example.cn", "v,,Li@Example.CN")
    put(tmp_path / "tickets_2026-09.csv", "id,opened,solved,agent")
    put(tmp_path / "perfhouse.toml", TOML.replace(HASHED, '"mail"'))
    opened = stages.open_workspace(tmp_path, tmp_path, tmp_path / "home")
    with pytest.raises(ConfigError, match=r"desk\.source_users\.email_hash: expected hash = true"):
        stages.ingest(opened, "desk", SEPTEMBER)
    put(tmp_path / "perfhouse.toml", TOML.replace(HASHED, '{ from = "mail", hash = true }'))
    opened = stages.open_workspace(tmp_path, tmp_path, tmp_path / "home")
    stages.ingest(opened, "desk", SEPTEMBER)
    landed = f"{opened.home.raw}/source_users/*/*/*.parquet"
    with warehouse.connect() as con:
        found = con.execute(
            f"select count(*), count(distinct email_hash), min(length(email_hash)) from '{landed}'"
        ).fetchall()
    assert found == [(2, 1, 64)]
