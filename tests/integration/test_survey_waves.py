"""A wave of answers over a month's end: who answered in either month is counted together, once.

Known group means; the counts here know no pipeline.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from perfhouse import stages, warehouse
from perfhouse.month import Month
from tests.hr_source import hr_source
from tests.integration.test_survey_files import TARGETS

AUGUST, SEPTEMBER = Month("2026-08"), Month("2026-09")
_ANSWERS = """
[[sources]]
id = "{kind}"
connector = "files"
owner = "HR"
required = false
[[sources.streams]]
stream = "survey_responses"
path = "{kind}.csv"
window = "submitted_at"
[sources.streams.columns]
response_id = "form"
survey_id = {{ value = "{kind}" }}
survey_kind = {{ value = "{kind}" }}
question_id = {{ value = "trust" }}
metric = {{ value = "item" }}
submitted_at = {{ from = "when", format = "%Y-%m-%d %H:%M:%S" }}
score = "score"
scale_min = {{ value = 1 }}
scale_max = {{ value = 5 }}
subject_employee_id = {{ value = "M1" }}
rater_type = {{ value = "{rater}" }}
rater_key = {{ from = "form", hash = true }}
"""
TOML = """
[company]
id = "waves"
name_en = "Waves"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[calendars.cn]
time_zone = "Asia/Shanghai"
[calendars.cn.hours]
mon = ["09:00-18:00"]
[surveys.employee_satisfaction]
closes_on = 2026-09-08
[surveys.peer_360]
closes_on = [2026-06-30, "2026-09-08"]
[kpis]
choose = ["csat_rate", "peer_review_score", "employee_satisfaction"]
"""
# Three answer in August and two in September, the last a second before the wave closes.
WAVE = (
    ("a", "2026-08-25 10:00:00", 5),
    ("b", "2026-08-26 10:00:00", 4),
    ("c", "2026-08-31 23:59:59", 1),
    ("d", "2026-09-01 00:00:00", 5),
    ("e", "2026-09-08 23:59:59", 2),
)
LATE = ("f", "2026-09-09 00:00:00", 5)
PEOPLE = [
    {"id": "A1", "manager": "M1", "job": "agent"},
    {"id": "M1", "manager": "", "job": "cs_manager"},
]


def write(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> stages.Workspace:
    root = tmp_path_factory.mktemp("waves")
    company, data = root / "company", root / "data"
    company.mkdir()
    data.mkdir()
    kinds = {"employee_satisfaction": "subordinate", "peer_360": "peer"}
    sources = "".join(_ANSWERS.format(kind=kind, rater=rater) for kind, rater in kinds.items())
    (company / "perfhouse.toml").write_text(TOML + sources + hr_source(), encoding="utf-8")
    (company / "targets.csv").write_text(TARGETS, encoding="utf-8")
    answers = [dict(zip(("form", "when", "score"), row, strict=True)) for row in (*WAVE, LATE)]
    for kind in kinds:
        write(data / f"{kind}.csv", answers)
    for month in (AUGUST, SEPTEMBER):
        write(data / f"hr_{month}.csv", [{"day": str(month.last_day), **row} for row in PEOPLE])
    opened = stages.open_workspace(company, data, root / "home")
    for month in (AUGUST, SEPTEMBER):
        for source in opened.company.sources:
            stages.ingest(opened, source.id, month)
    for month in (AUGUST, SEPTEMBER):
        stages.build(opened, month)
    return opened


def asked(ws: stages.Workspace, sql: str, month: Month) -> list[tuple[object, ...]]:
    with warehouse.connect(ws.home.warehouse, read_only=True) as con:
        return con.execute(sql, [month.start]).fetchall()


SUMS = (
    "select kpi_id, manager_id, sum(numerator), sum(denominator) from kpis.kpi_stratum_months "
    "where month = ? and kpi_id in ('employee_satisfaction', 'peer_review_score') "
    "group by all order by all"
)


def test_a_wave_is_counted_whole_in_the_month_in_which_it_closes(ws: stages.Workspace) -> None:
    assert asked(ws, SUMS, AUGUST) == []
    shares = [Decimal(score - 1) / 4 for _, _, score in WAVE]
    good = sum(score >= 4 for _, _, score in WAVE)
    assert asked(ws, SUMS, SEPTEMBER) == [
        ("employee_satisfaction", "M1", good, len(WAVE)),
        ("peer_review_score", "M1", sum(shares), len(WAVE)),
    ]
    means = asked(
        ws,
        "select rater_count, mean_score from core.peer_review_means "
        "where month = ? and dimension = '*'",
        SEPTEMBER,
    )
    assert means == [(5, Decimal("3.4"))]


def test_five_answers_of_a_wave_are_shown_though_no_month_had_five(ws: stages.Workspace) -> None:
    shown = asked(
        ws,
        "select kpi_id, value from scorecards.scorecard_kpi_months where month = ? "
        "and manager_id = 'M1' and kpi_id = 'employee_satisfaction'",
        SEPTEMBER,
    )
    assert shown == [("employee_satisfaction", Decimal("0.6"))]


def test_the_facts_gate_finds_every_answer_and_says_which_came_too_late(
    ws: stages.Workspace,
) -> None:
    counted = {}
    for month in (AUGUST, SEPTEMBER):
        assert stages.gate_facts(ws, month).passed
        counted[month.key] = asked(
            ws,
            "select reason, sum(rows) from ops.reconciliation "
            "where month = ? and stream = 'survey_responses' group by reason order by reason",
            month,
        )
    assert counted == {
        "2026-08": [("outside_month", 6)],
        "2026-09": [("after_waves", 2), ("in_facts", 10)],
    }
