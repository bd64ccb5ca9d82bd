"""What can give no total is told before a month is built: the role, the weight, the streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors import base, streams
from perfhouse import kpi_files
from perfhouse.company import load_company
from perfhouse.company_coverage import NEEDS, gaps
from perfhouse.month import Month
from tests.hr_source import hr_source

MONTH = Month("2026-09")
TOML = """
[company]
id = "shop"
name_en = "Shop"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[calendars.cn]
time_zone = "Asia/Shanghai"
hours = { mon = ["09:00-18:00"] }
[kpis]
pack = "e-commerce"
[[sources]]
id = "desk"
connector = "files"
owner = "Desk"
[[sources.streams]]
stream = "tickets"
path = "tickets/{month}.csv"
[sources.streams.columns]
ticket_id = "id"
created_at = "created"
status = { value = "open" }
channel = { value = "chat" }
requester_key = { from = "customer", hash = true }
source_updated_at = "changed"
[[sources.streams]]
stream = "survey_responses"
path = "csat/{month}.csv"
[sources.streams.columns]
response_id = "id"
survey_id = { value = "csat" }
survey_kind = { value = "csat" }
question_id = { value = "csat" }
metric = { value = "csat" }
submitted_at = "at"
score = "score"
scale_min = { value = 1 }
scale_max = { value = 5 }
"""
CONNECT = """
[[sources]]
id = "voice"
connector = "amazon_connect"
owner = "Voice"
"""


def told(folder: Path, toml: str) -> list[str]:
    (folder / "perfhouse.toml").write_text(toml, encoding="utf-8")
    company = load_company(
        folder,
        streams.columns_by_stream(),
        connectors=base.Keys(),
        kpis=kpi_files.catalogue(),
    )
    return gaps(company, [base.effective(source) for source in company.sources], MONTH)


def test_tickets_satisfaction_and_a_roster_are_too_little_for_the_pack_of_a_shop(
    tmp_path: Path,
) -> None:
    found = {line.partition(":")[0]: line for line in told(tmp_path, TOML + hr_source())}
    front = found["role front_line"]
    assert "can give 58 of 100 of the weight, below the least coverage of 60%" in front
    assert "nobody gets a total" in front
    assert "; missing: calls (average_handle_time 4, service_level 2, speed_of_answer 2); " in front
    assert "tickets.is_complaint (complaint_on_time_rate 8)" in front
    assert "survey_responses.metric attitude (service_attitude_score 6)" in front
    assert "hr_roster" not in front


def test_what_a_ready_connector_brings_counts(tmp_path: Path) -> None:
    found = told(tmp_path, TOML + hr_source() + CONNECT)
    assert not [line for line in found if line.startswith("role front_line")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('metric = { value = "csat" }', 'metric = "what"'),
        ('metric = { value = "csat" }', 'metric = { sql = "lower(kind)" }'),
        (
            'metric = { value = "csat" }',
            'metric = { from = "w", values = { a = "csat", b = "attitude" }, otherwise = "item" }',
        ),
    ],
)
def test_a_column_that_may_say_more_is_believed(tmp_path: Path, old: str, new: str) -> None:
    found = "".join(told(tmp_path, TOML.replace(old, new) + hr_source()))
    assert "role front_line" not in found


def test_a_lower_least_coverage_is_the_companys_own(tmp_path: Path) -> None:
    assert told(tmp_path, TOML + hr_source() + "[scoring]\ncoverage_minimum = 0.2\n") == []


def test_targets_of_every_role_are_judged_together(tmp_path: Path) -> None:
    header = (
        "kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,"
        "announced_on,approved_by\n"
    )
    rows = (
        "csat_rate,*,*,0.6,0.8,0.9,4,2026-09-01,,1,2026-08-20,HR\n"
        "qa_score,*,*,0.6,0.8,0.9,6,2026-09-01,,1,2026-08-20,HR\n"
        "transfer_rate,*,*,0.3,0.2,0.1,90,2026-10-01,,1,2026-08-20,HR\n"
    )
    (tmp_path / "targets.csv").write_text(header + rows, encoding="utf-8")
    toml = TOML.replace('pack = "e-commerce"', 'choose = ["csat_rate", "qa_score"]')
    assert told(tmp_path, toml + hr_source()) == [
        "managers of any role: the configured streams can give 4 of 10 of the weight, below the "
        "least coverage of 60%: nobody gets a total; missing: qa_reviews (qa_score 6)"
    ]


def test_every_kpi_of_the_catalogue_and_only_streams_that_exist_are_named() -> None:
    assert set(NEEDS) == set(kpi_files.catalogue())
    known = streams.columns_by_stream()
    for needs in NEEDS.values():
        for need in needs:
            assert need.column in ("", *known[need.stream])
