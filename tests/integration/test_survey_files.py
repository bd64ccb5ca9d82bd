"""Survey files as other companies have them, from configuration alone, against direct counts.

Ratings that most callers never gave, NPS with comments of many lines and a month without answers,
360 reviews whose group means are known. The counts here know no pipeline.
"""

from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from perfhouse import stages, warehouse
from perfhouse.month import Month
from tests.hr_source import hr_source

MONTHS = tuple(Month(key) for key in ("2026-05", "2026-06", "2026-07", "2026-08", "2026-09"))
EMPTY, LAST = MONTHS[3], MONTHS[4]  # nobody was asked in August
TOML = """
[company]
id = "others"
name_en = "Others"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[calendars.cn]
time_zone = "Asia/Shanghai"
[calendars.cn.hours]
mon = ["09:00-18:00"]
[surveys.effort]
easy_is = "low"
[kpis]
choose = ["csat_rate", "nps", "ces_rate", "peer_review_score", "enps", "employee_satisfaction"]

[[sources]]
id = "calls"
connector = "files"
owner = "Calls"
[[sources.streams]]
stream = "survey_responses"
path = "calls.csv"
window = "submitted_at"
ignore = ["effort"]
[sources.streams.columns]
response_id = "id"
survey_id = { value = "after-call" }
survey_kind = { value = "csat" }
question_id = { value = "rating" }
metric = { value = "csat" }
status = { sql = "case when \\"rating\\" is null then 'sent' else 'completed' end" }
submitted_at = { from = "ended", format = "%d/%m/%Y %H:%M" }
score = "rating"
scale_min = { value = 1 }
scale_max = { value = 5 }
agent_id = "agent"

[[sources]]
id = "effort"
connector = "files"
owner = "Calls"
[[sources.streams]]
stream = "survey_responses"
path = "calls.csv"
window = "submitted_at"
where = "\\"effort\\" is not null"
ignore = ["rating"]
[sources.streams.columns]
response_id = "id"
survey_id = { value = "effort" }
survey_kind = { value = "ces" }
question_id = { value = "effort" }
metric = { value = "ces" }
submitted_at = { from = "ended", format = "%d/%m/%Y %H:%M" }
score = "effort"
scale_min = { value = 1 }
scale_max = { value = 7 }
agent_id = "agent"

[[sources]]
id = "nps"
connector = "files"
owner = "NPS"
required = false
[[sources.streams]]
stream = "survey_responses"
path = "nps.csv"
window = "submitted_at"
[sources.streams.columns]
response_id = "id"
survey_id = { value = "nps" }
survey_kind = { value = "nps" }
question_id = { value = "nps" }
metric = { value = "nps" }
submitted_at = { from = "when", format = "%Y-%m-%d %H:%M" }
score = { from = "score", required = false }
scale_min = { value = 0 }
scale_max = { value = 10 }
agent_id = "agent"
rater_key = { from = "customer", hash = true }
has_comment = { sql = "\\"comment\\" is not null" }

[[sources]]
id = "reviews"
connector = "files"
owner = "Reviews"
required = false
[[sources.streams]]
stream = "peer_reviews"
path = "reviews.csv"
window = "submitted_at"
[sources.streams.columns]
review_id = "form"
cycle_id = { value = "2026-h2" }
ratee_id = "about"
rater_key = { from = "rater", hash = true }
rater_type = { from = "relation", values = { Peer = "peer", Report = "subordinate", Boss = "manager", Self = "self" } }
dimension = "question"
score = "score"
scale_min = { value = 1 }
scale_max = { value = 5 }
submitted_at = { from = "when", format = "%Y-%m-%d" }

[[sources]]
id = "pulse"
connector = "files"
owner = "HR"
required = false
[[sources.streams]]
stream = "survey_responses"
path = "pulse.csv"
window = "submitted_at"
unpivot = { columns = ["recommend", "trust", "tools"], name = "question", value = "answer" }
where = '"answer" is not null'
[sources.streams.columns]
response_id = "form"
survey_id = { value = "pulse" }
survey_kind = { value = "employee_satisfaction" }
question_id = "question"
metric = { from = "question", values = { recommend = "enps" }, otherwise = "engagement" }
submitted_at = { from = "when", format = "%Y-%m-%d %H:%M" }
score = "answer"
scale_min = { from = "question", values = { recommend = 0 }, otherwise = 1 }
scale_max = { from = "question", values = { recommend = 10 }, otherwise = 5 }
subject_employee_id = "about"
rater_type = { value = "subordinate" }
rater_key = { from = "who", hash = true }

"""  # noqa: E501
TOML += hr_source()
TARGETS = """\
kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,approved_by
csat_rate,*,*,0.5,0.8,0.9,1,2026-01-01,,1,2025-12-01,HR
nps,*,*,-0.5,0.5,0.9,1,2026-01-01,,1,2025-12-01,HR
"""
MANAGER = {f"A{n}": f"M{1 + n % 2}" for n in range(6)}
COMMENTS = (
    "", "fine", 'He said "no",\nthen\r\n\nhung up, again', "多行\n评论，很长", "a;b\tc", '"', "\n",
)  # fmt: skip


def rounded(number: Fraction) -> Decimal:
    """Return a number of six digits behind the point, as tables have it."""
    return Decimal(round(number * 10**6)).scaleb(-6)


def calls() -> list[dict[str, Any]]:
    """Return calls of May to September; nine callers of ten rate nothing."""
    chance, start = random.Random(1), datetime(2026, 5, 1)  # noqa: DTZ001
    return [
        {
            "id": f"c{n}",
            "ended": f"{start + timedelta(minutes=chance.randrange(153 * 1440)):%d/%m/%Y %H:%M}",
            "agent": f"A{n % 6}",
            "rating": chance.choice("12345") if chance.random() < 0.1 else "",
            "effort": chance.choice("1234567") if chance.random() < 0.05 else "",
        }
        for n in range(3000)
    ]


def answers() -> list[dict[str, Any]]:
    """Return NPS answers, none of August; some customers answer every few weeks."""
    chance, start, found = random.Random(2), datetime(2026, 5, 1), []  # noqa: DTZ001
    for n in range(900):
        when = start + timedelta(minutes=chance.randrange(153 * 1440))
        if when.month != EMPTY.start.month:
            found.append(
                {
                    "id": f"n{n}",
                    "when": f"{when:%Y-%m-%d %H:%M}",
                    "customer": f"k{chance.randrange(400)}" if chance.random() < 0.9 else "",
                    "agent": f"A{n % 6}",
                    "score": chance.randrange(11) if chance.random() < 0.8 else "",
                    "comment": chance.choice(COMMENTS),
                }
            )
    return found


def reviews() -> list[dict[str, Any]]:
    """Return the 360 of both managers: groups of one, two, three and five raters."""
    chance, found = random.Random(3), []
    groups = {
        "M1": {"Peer": 3, "Report": 5, "Boss": 1, "Self": 1},
        "M2": {"Peer": 2, "Report": 3, "Boss": 1, "Self": 1},
    }
    for about, group in groups.items():
        for relation, raters in group.items():
            for rater in range(raters):
                for question in ("trust", "clarity", "help"):
                    row = {"form": f"{about}{relation}{rater}", "about": about}
                    row |= {"rater": f"{relation}{rater}", "relation": relation}
                    score = "" if chance.random() < 0.1 else chance.randint(1, 5)
                    found.append(
                        {**row, "question": question, "score": score, "when": "2026-09-20"}
                    )
    return found


def pulse() -> list[dict[str, Any]]:
    """Return employees' forms: nine people about M1, most of them several times; two about M2."""
    chance, found = random.Random(4), []
    who = [("M1", f"e{n % 9}") for n in range(30)] + [("M2", f"f{n % 2}") for n in range(5)]
    who += [("M1", "")] * 2 + [("M2", "e1")]  # without a name each form is a person's
    for n, (about, rater) in enumerate(who):
        row: dict[str, Any] = {"form": f"p{n}", "about": about, "who": rater}
        row["when"] = f"2026-09-{chance.randint(1, 28):02d} {n // 60:02d}:{n % 60:02d}"
        row["recommend"] = chance.choice([*range(11), ""])
        row |= {q: chance.choice([*range(1, 6), ""]) for q in ("trust", "tools")}
        found.append(row)
    return found


CALLS, ANSWERS, REVIEWS, PULSE = calls(), answers(), reviews(), pulse()
ROSTER = [
    *({"id": agent, "manager": manager, "job": "agent"} for agent, manager in MANAGER.items()),
    *({"id": manager, "manager": "", "job": "cs_manager"} for manager in ("M1", "M2")),
]


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> stages.Workspace:
    root = tmp_path_factory.mktemp("others")
    for folder in ("company", "data"):
        (root / folder).mkdir()
    (root / "company" / "perfhouse.toml").write_text(TOML, encoding="utf-8")
    (root / "company" / "targets.csv").write_text(TARGETS, encoding="utf-8")
    files = {"calls": CALLS, "nps": ANSWERS, "reviews": REVIEWS, "pulse": PULSE}
    for month in MONTHS:
        files[f"hr_{month}"] = [{"day": str(month.last_day), **row} for row in ROSTER]
    for name, rows in files.items():
        with (root / "data" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    opened = stages.open_workspace(root / "company", root / "data", root / "home")
    for month in MONTHS:
        for source in ("calls", "effort", "nps", "reviews", "pulse", "hr"):
            stages.ingest(opened, source, month)
    for month in (EMPTY, LAST):
        stages.build(opened, month)
    return opened


def test_the_gates_let_a_month_without_answers_go_on(ws: stages.Workspace) -> None:
    for month in (EMPTY, LAST):
        assert stages.gate_raw(ws, month).passed
        assert stages.gate_scorecards(ws, month).passed


def sums(ws: stages.Workspace, kpi_id: str, month: Month) -> dict[tuple[str, str], tuple]:
    with warehouse.connect(ws.home.warehouse, read_only=True) as con:
        found = con.execute(
            "select manager_id, stratum, sum(numerator), sum(denominator) "
            "from kpis.kpi_stratum_months where kpi_id = ? and month = ? group by all",
            [kpi_id, month.start],
        ).fetchall()
    return {(manager, stratum): (above, below) for manager, stratum, above, below in found}


def test_empty_ratings_are_invitations_and_never_answers(ws: stages.Workspace) -> None:
    offered, rated, good = Counter(), Counter(), Counter()
    for call in CALLS:
        if call["ended"][3:5] == "09":
            manager = MANAGER[call["agent"]]
            offered[manager] += 1
            rated[manager] += call["rating"] != ""
            good[manager] += call["rating"] in ("4", "5")
    assert 10 < rated["M1"] < offered["M1"] / 5
    assert sums(ws, "csat_rate", LAST) == {(m, "-"): (good[m], rated[m]) for m in rated}
    invited = sums(ws, "survey_response_rate", LAST)
    assert invited == {(m, "-"): (rated[m], offered[m]) for m in rated}


def test_effort_is_read_from_its_own_end(ws: stages.Workspace) -> None:
    easy, answered = Counter(), Counter()
    for call in CALLS:
        if call["ended"][3:5] == "09" and call["effort"]:
            answered[MANAGER[call["agent"]]] += 1
            easy[MANAGER[call["agent"]]] += call["effort"] in ("1", "2", "3")
    assert sums(ws, "ces_rate", LAST) == {(m, "-"): (easy[m], answered[m]) for m in answered}


def test_nps_counts_a_customer_once_in_ninety_days_whatever_lines_a_comment_has(
    ws: stages.Workspace,
) -> None:
    last: dict[str, datetime] = {}
    above: dict[str, Counter[str]] = defaultdict(Counter)
    below: dict[str, Counter[str]] = defaultdict(Counter)
    for row in sorted(ANSWERS, key=lambda row: row["when"]):
        if row["score"] == "":
            continue
        when = datetime.fromisoformat(row["when"])
        before = last.get(row["customer"]) if row["customer"] else None
        if before and when < before + timedelta(days=90):
            continue
        last[row["customer"]] = when
        manager = MANAGER[row["agent"]]
        below[row["when"][:7]][manager] += 1
        above[row["when"][:7]][manager] += (row["score"] >= 9) - (row["score"] <= 6)
    september = {(m, "-"): (above[LAST.key][m], below[LAST.key][m]) for m in ("M1", "M2")}
    assert sums(ws, "nps", LAST) == september
    assert sums(ws, "nps", EMPTY) == {}


def test_a_month_nobody_was_asked_in_is_not_available_and_never_zero(ws: stages.Workspace) -> None:
    with warehouse.connect(ws.home.warehouse, read_only=True) as con:
        found = con.execute(
            "select distinct status, value, score from scorecards.scorecard_kpi_months "
            "where kpi_id = 'nps' and month = ?",
            [EMPTY.start],
        ).fetchall()
    assert found == [("not_available", None, None)]


def test_an_employee_counts_once_however_often_they_answered(ws: stages.Workspace) -> None:
    newest: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in sorted(PULSE, key=lambda row: row["when"]):
        told = {q: row[q] for q in ("recommend", "trust", "tools") if row[q] != ""}
        newest[row["about"], row["who"] or row["form"]].update(told)
    recommended: dict[str, list[int]] = defaultdict(list)
    satisfied: dict[str, list[Fraction]] = defaultdict(list)
    for (about, _), told in newest.items():
        if "recommend" in told:
            recommended[about].append((told["recommend"] >= 9) - (told["recommend"] <= 6))
        items = [told[q] >= 4 for q in ("trust", "tools") if q in told]
        if items:
            satisfied[about].append(Fraction(sum(items), len(items)))
    for kpi_id, points in (("enps", recommended), ("employee_satisfaction", satisfied)):
        want = {(m, ""): (sum(each), len(each)) for m, each in points.items()}
        assert sums(ws, kpi_id, LAST) == want
    assert len(satisfied["M1"]) > 9
    assert len(satisfied["M2"]) == 3


def test_forms_of_few_people_stay_hidden_however_many_they_are(ws: stages.Workspace) -> None:
    assert sum(row["about"] == "M2" for row in PULSE) > 5
    with warehouse.connect(ws.home.warehouse, read_only=True) as con:
        cells = con.execute(
            "select kpi_id, manager_id, reason from kpis.kpi_confidential_cells "
            "where month = ? and team_id = '*' and kpi_id <> 'peer_review_score'",
            [LAST.start],
        ).fetchall()
        shown = con.execute(
            "select manager_id, numerator, denominator, value, score "
            "from scorecards.scorecard_kpi_months "
            "where month = ? and manager_id = 'M2' and kpi_id in ('enps', 'employee_satisfaction')",
            [LAST.start],
        ).fetchall()
    assert {(kpi, manager): reason for kpi, manager, reason in cells} == {
        (kpi, manager): "few_answers" if manager == "M2" else None
        for kpi in ("enps", "employee_satisfaction")
        for manager in ("M1", "M2")
    }
    assert shown == [("M2", None, None, None, None)] * 2


def test_the_means_of_rater_groups_are_exact_and_small_groups_hidden(ws: stages.Workspace) -> None:
    groups: dict[tuple[str, str], list[Fraction]] = defaultdict(list)
    raters: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in REVIEWS:
        if row["score"] != "":
            key = row["about"], {"Peer": "peer", "Report": "subordinate"}.get(row["relation"], "")
            groups[key].append(Fraction(row["score"] - 1, 4))
            raters[key].add(row["rater"])
    wanted = {
        key: (sum(scores), len(scores))
        for key, scores in groups.items()
        if key[1] and len(raters[key]) >= 3
    }
    assert set(wanted) == {("M1", "peer"), ("M1", "subordinate"), ("M2", "subordinate")}
    assert sums(ws, "peer_review_score", LAST) == wanted
    with warehouse.connect(ws.home.warehouse, read_only=True) as con:
        found = con.execute(
            "select ratee_id, rater_type, rater_count, answer_count, mean_score, mean_share "
            "from core.peer_review_means where month = ? and dimension = '*'",
            [LAST.start],
        ).fetchall()
        asked = con.execute(
            "select ratee_id, rater_type, dimension, mean_score from core.peer_review_means "
            "where dimension <> '*'"
        ).fetchall()
    means = {key: Fraction(above) / below for key, (above, below) in wanted.items()}
    assert {(about, kind): tuple(rest) for about, kind, *rest in found} == {
        key: (len(raters[key]), wanted[key][1], rounded(1 + 4 * mean), rounded(mean))
        for key, mean in means.items()
    }
    alone: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for row in REVIEWS:
        kind = {"Peer": "peer", "Report": "subordinate"}.get(row["relation"], "")
        if row["score"] != "" and (row["about"], kind) in wanted:
            alone[row["about"], kind, row["question"]].append(row["score"])
    thin = {key[:2] for key, scores in alone.items() if len(scores) < 3}
    assert {tuple(key): mean for *key, mean in asked} == {
        key: rounded(Fraction(sum(scores), len(scores)))
        for key, scores in alone.items()
        if key[:2] not in thin
    }
    assert thin
    assert asked
