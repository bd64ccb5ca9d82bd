from __future__ import annotations

import dataclasses
import re
import tomllib
from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest

from perfhouse.company import load_company, mapping_sha256
from perfhouse.company_sources import ConnectorKeys
from perfhouse.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
HEADER = (
    "kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,"
    "announced_on,approved_by\n"
)
GOOD_ROW = "csat_rate,*,*,0.6,0.8,0.9,1,2026-09-01,,1,2026-08-20,HR\n"
GOOD = dedent(
    """
    [company]
    id = "demo"
    name_en = "Demo Support"
    name_zh = "示例客服"
    time_zone = "Asia/Shanghai"
    default_calendar = "cn"
    [locations.Shanghai]
    time_zone = "Asia/Shanghai"
    calendar = "cn"
    [calendars.cn]
    time_zone = "Asia/Shanghai"
    holidays = ["2026-05-01", 2026-10-01]
    [calendars.cn.hours]
    mon = ["09:00-12:00", "13:00-18:00"]
    sun = ["00:00-24:00"]
    [kpis]
    minimum_sample = { csat_rate = 10 }
    [[sources]]
    id = "helpdesk"
    connector = "files"
    owner = "desk <desk@example.com>"
    [[sources.streams]]
    stream = "tickets"
    path = "tickets/{month}/*.csv"
    ignore = ["Remarks"]
    [sources.streams.columns]
    ticket_id = "id"
    created_at = { from = "", format = "%d/%m/%Y %H:%M" }
    status = { value = "solved" }
    channel = { from = "c", values = { Inbound = "phone" }, otherwise = "other" }
    """
)
STREAMS = {"tickets": {"ticket_id", "created_at", "status", "channel", "requester_key"}}
EXISTS = {
    "streams": STREAMS,
    "connectors": {n: ConnectorKeys(ready=False) for n in ("files", "sql")},
    "kpis": {"csat_rate": "up", "nps": "up", "reopen_rate": "down"},
    "required": {"tickets": {"ticket_id", "created_at"}},
    "thresholds": {"raw": {"quarantine_share", "unmatched_share"}},
}


def write(folder: Path, toml: str = GOOD, targets: str | None = HEADER + GOOD_ROW) -> Path:
    (folder / "perfhouse.toml").write_text(toml, encoding="utf-8")
    if targets is not None:
        (folder / "targets.csv").write_text(targets, encoding="utf-8")
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_company(folder, **EXISTS)
    return list(caught.value.problems)


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_a_good_folder_is_read_with_its_defaults(tmp_path: Path) -> None:
    company = load_company(write(tmp_path), **EXISTS)

    assert company.name_zh == "示例客服"
    assert company.close_grace_days == 5
    assert company.calendars["cn"].hours == {0: ((32400, 43200), (46800, 64800)), 6: ((0, 86400),)}
    assert company.calendars["cn"].holidays == {date(2026, 5, 1), date(2026, 10, 1)}
    assert company.kpis.choose is None
    assert company.kpis.minimum_sample == {"csat_rate": 10}
    assert [t.kpi_id for t in company.kpis.targets] == ["csat_rate"]
    assert company.kpis.targets[0].valid_to is None
    assert [g.grade for g in company.scoring.grades] == ["A", "B", "C", "D"]
    source = company.sources[0]
    assert source.time_zone == "Asia/Shanghai"
    assert source.schedule == "0 3 1 * *"
    assert source.required
    columns = source.streams[0].columns
    assert columns["created_at"].source == "", "a source column may have an empty header"
    assert columns["status"].value == "solved"
    assert columns["channel"].otherwise == "other"


def test_every_problem_is_named_at_once_with_its_key_and_what_was_expected(tmp_path: Path) -> None:
    toml = dedent(
        """
        [company]
        id = "Demo!"
        name_en = "Demo"
        time_zone = "Asia/Shangai"
        close_grce_days = 5
        default_calendar = "uk"
        [calendars.cn]
        time_zone = "Asia/Shanghai"
        holidays = ["2026-13-01"]
        [calendars.cn.hours]
        mon = ["09:00-12:15", "12:45-18:00"]
        tue = ["22:00-06:00"]
        wed = ["9-5"]
        fri = ["09:00-12:00", "11:00-18:00"]
        [kpis]
        choose = ["csat_rat"]
        [scoring]
        coverage_minimum = 60
        [service_levels]
        first_reply = { clock = "busness", minutes = { low = 1, normal = 1, high = 1 } }
        [gates.raw]
        quarantine_shar = 0.1
        [[queue_owners]]
        queue_id = "*"
        manager_id = "M1"
        [[queue_owners]]
        queue_id = "*"
        manager_id = "M2"
        [[sources]]
        id = "helpdesk"
        connector = "fils"
        owner = "desk"
        schedule = "daily"
        [[sources.streams]]
        stream = "ticket"
        [[sources]]
        id = "helpdesk"
        connector = "files"
        owner = "desk"
        [[sources.streams]]
        stream = "tickets"
        path = "tickets/{mont}.csv"
        window = "createdat"
        encoding = "utf8"
        [sources.streams.columns]
        created_ad = { from = "x", sql = "y" }
        status = { from = "s", fromat = "x" }
        """
    )
    targets = (
        HEADER
        + "csat_rate,*,*,0.6,0.8,0.9,1,2026-09-01,,1,2026-09-03,HR\n"
        + "nps,*,*,0.6,0.8,0.7,heavy,2026-09-02,,1,2026-08-03,HR\n"
        + "nps,*,*,0.1,0.2,0.3,1,2026-05-01,,1,2026-04-03,HR\n"
        + "nps,*,*,0.1,0.2,0.3,1,2026-08-01,,1,2026-04-03,HR\n"
        + "nsp,*,*,0.1,0.2,0.3,1,2026-08-01,2026-08-01,1,2026-04-03,HR\n"
    )
    found = problems(write(tmp_path, toml, targets))

    for start in [
        "perfhouse.toml: company.id: expected an id of a-z",
        "perfhouse.toml: company.time_zone: expected a time zone such as Asia/Shanghai "
        "(did you mean 'Asia/Shanghai'?), got 'Asia/Shangai'",
        "perfhouse.toml: company.close_grce_days: unknown key (did you mean 'close_grace_days'?)",
        "perfhouse.toml: company.default_calendar: expected one of cn, got 'uk'",
        "perfhouse.toml: calendars.cn.holidays[0]: expected a day",
        "perfhouse.toml: calendars.cn.hours.mon: expected a break that does not start and end",
        "perfhouse.toml: calendars.cn.hours.tue[0]: expected an end after the start",
        "perfhouse.toml: calendars.cn.hours.wed[0]: expected hours such as 09:00-18:00, got '9-5'",
        "perfhouse.toml: calendars.cn.hours.fri[1]: expected to start after 09:00-12:00 ends",
        "perfhouse.toml: kpis.choose[0]: expected a known KPI (did you mean 'csat_rate'?)",
        "perfhouse.toml: scoring.coverage_minimum: expected a number from 0 to 1, got 60",
        "perfhouse.toml: service_levels.first_reply.clock: expected one of business, calendar",
        "perfhouse.toml: service_levels.first_reply.minutes.urgent: expected minutes for each",
        "perfhouse.toml: gates.raw.quarantine_shar: unknown key (did you mean 'quarantine_share'?)",
        "perfhouse.toml: queue_owners[1].valid_from: expected one owner of queue * at a time",
        "perfhouse.toml: sources[0].connector: expected one of files, sql (did you mean 'files'?)",
        "perfhouse.toml: sources[0].schedule: expected five cron fields",
        "perfhouse.toml: sources[0].streams[0].stream: expected one of tickets",
        "perfhouse.toml: sources[1].id: expected an id no other source has",
        "perfhouse.toml: sources[1].streams[0].path: expected {month} or {yyyymm}",
        "perfhouse.toml: sources[1].streams[0].window: expected a column of tickets "
        "(did you mean 'created_at'?), got 'createdat'",
        "perfhouse.toml: sources[1].streams[0].encoding: expected one of auto, big5, euc-kr",
        "perfhouse.toml: sources[1].streams[0].columns.created_ad: tickets has no such column "
        "(did you mean 'created_at'?)",
        "perfhouse.toml: sources[1].streams[0].columns.created_ad: expected exactly one of from",
        "perfhouse.toml: sources[1].streams[0].columns.status.fromat: unknown key",
        "perfhouse.toml: sources[1].streams[0].columns: expected also created_at, ticket_id",
        "targets.csv: line 2, announced_on: expected a day before 2026-09-01",
        "targets.csv: line 3: expected floor < target < stretch",
        "targets.csv: line 3, weight: expected a number above 0, got 'heavy'",
        "targets.csv: line 3, valid_from: expected the first day of a month",
        "targets.csv: lines 4 and 5: expected one target of nps",
        "targets.csv: line 6, kpi_id: expected a known KPI (did you mean 'nps'?)",
        "targets.csv: line 6, valid_to: expected a day after 2026-08-01",
    ]:
        assert any(problem.startswith(start) for problem in found), (start, found)
    assert len(found) == len(set(found)), "no problem is told twice"


def test_a_day_has_hours_of_its_own_whatever_its_weekday_and_its_holiday_say(
    tmp_path: Path,
) -> None:
    days = """
    [calendars.cn.days]
    "2026-10-10" = ["09:00-18:00"]
    2026-05-01 = ["10:00-12:00", "13:00-15:00"]
    "2026-10-12" = []
    """
    calendar = load_company(write(tmp_path, GOOD + dedent(days)), **EXISTS).calendars["cn"]
    assert calendar.openings_on(date(2026, 10, 10)) == ((32400, 64800),)  # a Saturday
    assert calendar.openings_on(date(2026, 5, 1)) == ((36000, 43200), (46800, 54000))
    assert calendar.openings_on(date(2026, 10, 12)) == ()  # a Monday
    assert calendar.openings_on(date(2026, 10, 1)) == ()
    assert calendar.openings_on(date(2026, 10, 5)) == ((32400, 43200), (46800, 64800))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            '"2026-13-10" = ["09:00-18:00"]',
            'days.2026-13-10: expected a day such as "2026-10-10" = ["09:00-18:00"], or [] if shut',
        ),
        ('"20261010" = []', "days.20261010: expected a day such as"),
        ('"2026-10-10" = ["9-18"]', "days.2026-10-10[0]: expected hours such as 09:00-18:00"),
        ('"2026-10-10" = "09:00-18:00"', "days.2026-10-10: expected a list of text"),
        (
            '"2026-10-10" = ["09:00-12:10", "12:40-18:00"]',
            "days.2026-10-10: expected a break that does not start and end inside one clock hour "
            "of UTC, got '12:10-12:40'",
        ),
    ],
)
def test_a_wrong_day_of_a_calendar_is_named(tmp_path: Path, line: str, problem: str) -> None:
    (found,) = problems(write(tmp_path, f"{GOOD}\n[calendars.cn.days]\n{line}\n"))
    assert found.startswith(f"perfhouse.toml: calendars.cn.{problem}")


def test_a_day_that_opens_in_the_hour_in_which_the_day_before_ends_is_named(
    tmp_path: Path,
) -> None:
    zone = '[calendars.cn]\ntime_zone = "Asia/Kolkata"'  # where an hour of UTC ends at half past
    toml = edited('[calendars.cn]\ntime_zone = "Asia/Shanghai"', zone)
    days = '\n[calendars.cn.days]\n"2026-10-12" = ["00:20-08:00"]\n'  # Sundays end at midnight
    (found,) = problems(write(tmp_path, toml + days))
    assert found.endswith("inside one clock hour of UTC, got '00:00-00:20'")
    assert "calendars.cn.days.2026-10-12: expected a break" in found


def test_a_missing_folder_and_broken_toml_are_told_in_plain_words(tmp_path: Path) -> None:
    assert "--company: expected a folder with perfhouse.toml" in problems(tmp_path / "no")[0]
    assert "expected TOML" in problems(write(tmp_path, "[company\n"))[0]
    (tmp_path / "perfhouse.toml").write_bytes("[company]\nname_zh='示例'".encode("gb18030"))
    assert problems(tmp_path) == ["perfhouse.toml: expected UTF-8"]


def test_a_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    write(tmp_path, "\ufeff" + GOOD, "\ufeff" + HEADER + GOOD_ROW)
    assert load_company(tmp_path, **EXISTS).id == "demo"


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        (None, "targets.csv: expected the file"),
        ("kpi_id,weigth\n", "targets.csv: header: expected also role"),
        (HEADER.replace("weight", "weigth") + GOOD_ROW, "unknown column 'weigth' (did you mean"),
        (HEADER + GOOD_ROW.replace("0.6", "nan"), "line 2, floor: expected a number, got 'nan'"),
        (HEADER + GOOD_ROW.replace(",1,2026-09-01", ",0,2026-09-01"), "a number above 0, got '0'"),
        (HEADER + GOOD_ROW.replace("2026-09-01", ""), "line 2, valid_from: expected the first"),
    ],
)
def test_a_wrong_targets_file_names_line_and_column(
    tmp_path: Path, targets: str | None, problem: str
) -> None:
    assert any(problem in found for found in problems(write(tmp_path, targets=targets)))


def test_a_target_may_say_when_it_was_approved_but_not_after_it_was_announced(
    tmp_path: Path,
) -> None:
    header = HEADER.replace("approved_by\n", "approved_by,approved_on\n")
    row = GOOD_ROW.replace("HR\n", "HR,2026-08-19\n")
    company = load_company(write(tmp_path, targets=header + row), **EXISTS)
    assert company.kpis.targets[0].approved_on == date(2026, 8, 19)
    found = problems(write(tmp_path, targets=header + row.replace("08-19", "08-21")))
    assert found == [
        "targets.csv: line 2, approved_on: expected a day not after 2026-08-20, when it was "
        "announced, got '2026-08-21'"
    ]


def test_targets_lie_in_the_company_folder_itself_where_they_are_hashed(tmp_path: Path) -> None:
    toml = edited("[kpis]\n", '[kpis]\ntargets = "../targets.csv"\n')
    assert problems(write(tmp_path, toml))[0] == (
        "perfhouse.toml: kpis.targets: expected the name of a .csv file in the company folder "
        "itself, got '../targets.csv'"
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("reopen_rate,*,*,0.05,0.10,0.15", "floor > target > stretch (its direction is 'down')"),
        ("csat_rate,*,*,0.9,0.8,0.6", "floor < target < stretch (its direction is 'up')"),
        ("csat_rate,*,*,0.6,0.6,0.9", "floor < target < stretch (its direction is 'up')"),
    ],
)
def test_targets_the_wrong_way_round_name_line_and_kpi(
    tmp_path: Path, row: str, expected: str
) -> None:
    rest = ",1,2026-09-01,,1,2026-08-20,HR\n"
    levels = ", ".join(f"{float(each):g}" for each in row.split(",")[3:])
    assert problems(write(tmp_path, targets=HEADER + row + rest)) == [
        f"targets.csv: line 2: expected {expected} of {row.partition(',')[0]}, got {levels}"
    ]


def test_a_pack_of_the_company_with_targets_the_wrong_way_round_is_named(tmp_path: Path) -> None:
    pack = tmp_path / "packs" / "ours"
    pack.mkdir(parents=True)
    about = "".join(f'{key} = "x"\n' for key in ("id", "name_en", "name_zh", "version"))
    about += 'purpose_en = "x"\npurpose_zh = "x"\nchoose = ["reopen_rate"]\n'
    (pack / "pack.toml").write_text(about, encoding="utf-8")
    proposal = "kpi_id,role,floor,target,stretch,weight\nreopen_rate,*,0.05,0.1,0.15,1\n"
    (pack / "targets.csv").write_text(proposal, encoding="utf-8")
    toml = edited("[kpis]\n", '[kpis]\npack = "packs/ours"\n')
    assert problems(write(tmp_path, toml)) == [
        "pack ours: targets.csv: line 2: expected floor > target > stretch (its direction is "
        "'down') of reopen_rate, got 0.05, 0.1, 0.15"
    ]


def test_a_target_that_nobody_approved_is_refused(tmp_path: Path) -> None:
    found = problems(write(tmp_path, targets=HEADER + GOOD_ROW.replace("HR", "")))
    assert found == [
        "targets.csv: line 2, approved_by: expected who approved it, for no other target counts, "
        "got ''"
    ]


CHANGES = """
[[scoring.changes]]
valid_from = 2027-01-01
announced_on = 2026-12-10
approved_by = "Head of service"
grades = [{ grade = "pass", from = 70 }, { grade = "fail", from = 0 }]
[[scoring.changes]]
valid_from = 2027-04-01
announced_on = 2027-03-10
approved_by = "Head of service"
coverage_minimum = 0.8
[[service_levels.changes]]
valid_from = 2027-01-01
announced_on = 2026-12-10
approved_by = "Head of service"
reopen_days = 14
"""


def test_grades_and_promises_change_from_a_month_on_and_keep_what_they_do_not_name(
    tmp_path: Path,
) -> None:
    company = load_company(write(tmp_path, GOOD + CHANGES), **EXISTS)
    before, from_january, from_april = (
        company.scoring.on(day) for day in (date(2026, 12, 31), date(2027, 1, 1), date(2027, 4, 1))
    )
    assert [grade.grade for grade in before.grades] == ["A", "B", "C", "D"]
    assert [grade.grade for grade in from_january.grades] == ["pass", "fail"]
    assert from_april.grades == from_january.grades
    assert (before.coverage_minimum, from_april.coverage_minimum) == (0.6, 0.8)
    assert company.service.on(date(2026, 12, 1)).reopen_days == 7
    assert company.service.on(date(2027, 12, 1)).reopen_days == 14
    assert company.service.on(date(2027, 12, 1)).resolution == company.service.resolution


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("2027-01-01", "2027-01-02", "changes[0].valid_from: expected the first day of a month"),
        ("2026-12-10", "2027-01-01", "changes[0].announced_on: expected a day before 2027-01-01"),
        ("2027-04-01", "2027-01-01", "scoring.changes[1].valid_from: expected a month after"),
        ('approved_by = "Head of service"', "", "changes[0].approved_by: expected text"),
        ("reopen_days", "reopen_day", "service_levels.changes[0].reopen_day: unknown key"),
    ],
)
def test_a_wrong_change_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    wrong = CHANGES.replace(old, new)
    assert any(problem in each for each in problems(write(tmp_path, GOOD + wrong)))


def test_roles_are_rules_in_their_order(tmp_path: Path) -> None:
    roles = """
    [[roles]]
    role = "technical_support"
    team_id = ["T7", "T8"]
    [[roles]]
    role = "director"
    leads = "managers"
    """
    company = load_company(write(tmp_path, GOOD + dedent(roles)), **EXISTS)
    assert [(rule.role, rule.leads, rule.team_id) for rule in company.roles] == [
        ("technical_support", None, ("T7", "T8")),
        ("director", "managers", ()),
    ]
    wrong = dedent(roles).replace('"managers"', '"people"')
    assert any(
        "roles[1].leads: expected one of agents, managers" in each
        for each in problems(write(tmp_path, GOOD + wrong))
    )


def test_a_target_that_ends_where_the_next_begins_does_not_overlap(tmp_path: Path) -> None:
    rows = (
        "nps,*,*,0.1,0.2,0.3,1,2026-05-01,2026-08-01,1,2026-04-03,HR\n"
        "nps,*,*,0.1,0.3,0.4,1,2026-08-01,,2,2026-07-03,HR\n"
        "nps,*,T1,0.1,0.3,0.4,1,2026-05-01,,1,2026-04-03,HR\n"
        "average_handle_time,*,*,600,400,300,1,2026-05-01,,1,2026-04-03,HR\n"
    )
    company = load_company(write(tmp_path, targets=HEADER + rows), STREAMS)
    assert len(company.kpis.targets) == 4


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('path = "tickets/{month}/*.csv"', "", "streams[0].path: expected text, for the connector"),
        ("tickets/{month}/*.csv", "/etc/*.csv", "path: expected a path inside --data"),
        ("tickets/{month}/*.csv", "../x/{month}.csv", "path: expected a path inside --data"),
        ("tickets/{month}/*.csv", "all.csv", "window: expected a column that tells the month"),
        ("ignore = [", 'window = "created_at"\nignore = [', "window: expected nothing, for path"),
        ('connector = "files"', 'connector = "sql"', "url: expected either url or connection"),
        ('values = { Inbound = "phone" }, ', "", "otherwise: expected to stand beside values"),
        ('owner = "desk <desk@example.com>"', "", "owner: expected who answers for the source"),
        ('"%d/%m/%Y %H:%M"', '"dd/mm"', "format: expected a strptime format"),
        ('time_zone = "Asia/Shanghai"\ndefault', "default", "company.time_zone: expected a time"),
        ('["Remarks"]', '"Remarks"', "ignore: expected a list of text, got 'Remarks'"),
        ("[kpis]", "[mart]\n[kpis]", "mart.connection: expected a connection such as"),
        ("[kpis]", '[mart]\nconnection = "a b"\n[kpis]', "mart.connection: expected a connection"),
        ("[kpis]", '[mart]\nconnection = "m"\nurl = "x"\n[kpis]', "mart.url: unknown key"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    found = problems(write(tmp_path, edited(old, new)))
    assert any(problem in text for text in found), found


def test_a_url_beside_a_connection_is_refused_without_being_told(tmp_path: Path) -> None:
    both = 'connector = "sql"\nurl = "mysql://me:hunter2@h/d"\nconnection = "desk"'
    found = problems(write(tmp_path, edited('connector = "files"', both)))
    assert any("either url or connection, got 'url and connection'" in text for text in found)
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("scheme", ["postgresql", "sftp", "https"])
def test_a_password_in_the_configuration_is_refused_without_being_told(
    tmp_path: Path, scheme: str
) -> None:
    url = f'connector = "files"\nurl = "{scheme}://me:hunter2@h:99/d"'
    found = problems(write(tmp_path, edited('connector = "files"', url)))
    assert any("url: expected no password; name a connection" in text for text in found)
    assert "hunter2" not in str(found)
    allowed = f'connector = "files"\nurl = "{scheme}://me@h:99/d:e@f"'
    write(tmp_path, edited('connector = "files"', allowed))
    assert load_company(tmp_path, STREAMS).sources[0].options["url"].endswith("d:e@f")


def test_the_mapping_hash_follows_what_decides_the_rows_and_nothing_else(tmp_path: Path) -> None:
    source = load_company(write(tmp_path), STREAMS).sources[0]
    sha = mapping_sha256(source)

    assert mapping_sha256(dataclasses.replace(source, owner="else", schedule="0 4 1 * *")) == sha
    assert mapping_sha256(dataclasses.replace(source, time_zone="UTC")) != sha
    moved = dataclasses.replace(source, options={**source.options, "connection": "elsewhere"})
    assert mapping_sha256(moved) == sha
    asked = dataclasses.replace(source, options={**source.options, "surveys": [{"id": "s"}]})
    assert mapping_sha256(asked) != sha
    other = load_company(write(tmp_path, edited('"solved"', '"closed"')), STREAMS).sources[0]
    assert mapping_sha256(other) != sha


def test_the_good_text_of_this_test_is_toml() -> None:
    assert tomllib.loads(GOOD)["company"]["id"] == "demo"


def test_every_threshold_a_suite_reads_may_be_set_and_no_other() -> None:
    from expectations import THRESHOLDS

    read = re.compile(r'threshold\(\s*"(\w+)",\s*"(\w+)"')
    found: dict[str, set[str]] = {gate: set() for gate in THRESHOLDS}
    for file in (ROOT / "expectations").glob("*.py"):
        for gate, name in read.findall(file.read_text(encoding="utf-8")):
            found[gate].add(name)
    assert found == THRESHOLDS


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*/perfhouse.toml")))
def test_each_example_is_a_sound_configuration(example: Path) -> None:
    from connectors import base, streams
    from expectations import THRESHOLDS
    from perfhouse.stages import kpi_directions

    company = load_company(
        example.parent,
        streams.columns_by_stream(),
        required=streams.required_by_stream(),
        connectors=base.Keys(),
        kpis=kpi_directions(),
        thresholds=THRESHOLDS,
    )
    assert company.id == example.parent.name
