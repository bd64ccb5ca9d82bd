"""A KPI that a company adds: what is wrong with its file is told by file and field."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_kpi import TOP_SCORE_RATE as GOOD

from perfhouse import kpi_files

PLACE = "kpis/top_score_rate.yml: "
KPI = f"{PLACE}metrics[0].config.meta.kpi"
FACT = "semantic_models[0]"


def read(folder: Path, text: str) -> tuple[dict[str, str], list[str]]:
    own = folder / "kpis"
    own.mkdir()
    (own / "top_score_rate.yml").write_text(text, encoding="utf-8")
    problems: list[str] = []
    return kpi_files.read([own], problems), problems


def test_a_good_file_is_a_kpi(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == ({"top_score_rate": "up"}, [])


def test_the_file_that_the_docs_show_is_this_one() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "own-kpi.md").read_text("utf-8")
    assert f"```yaml\n{GOOD}```" in page


def test_the_catalogue_passes_its_own_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kpi_files.project_dir() / "models" / "kpis"
    monkeypatch.setattr(kpi_files, "_known", lambda _: kpi_files.Known(words=set(kpi_files._KNOWN)))
    files = [f for f in folder.glob("*.yml") if "\nsemantic_models:" in f.read_text("utf-8")]
    (tmp_path / "kpis").mkdir()
    for file in files:
        (tmp_path / "kpis" / file.name).write_bytes(file.read_bytes())
    problems: list[str] = []
    assert len(kpi_files.read([tmp_path / "kpis"], problems)) == len(files) > 15
    assert [p for p in problems if "unknown key" not in p] == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("direction: up", "direction: higher",
         f"{KPI}.direction: expected one of down, up, got 'higher'"),
        ("kind: proportion", "kind: share",
         f"{KPI}.kind: expected one of proportion, ratio, score (did you mean 'score'?), "
         "got 'share'"),
        ("category: quality", "category: qualty",
         f"{KPI}.category: expected one of efficiency, innovation, people, quality, result "
         "(did you mean 'quality'?), got 'qualty'"),
        ("          name_zh: 满分率\n", "", f"{KPI}.name_zh: expected text, got nothing"),
        ("minimum_sample: 1", "minimum_sample: 0",
         f"{KPI}.minimum_sample: expected a whole number from 1, got 0"),
        ("minimum_sample: 1", "minimum_sample: 1\n          minimum_rows: 0",
         f"{KPI}.minimum_rows: expected a whole number from 1, got 0"),
        ("minimum_sample: 1", "minimum_sample: 1\n          is_signed: true",
         f"{KPI}.is_signed: expected false for a proportion, which is never negative, got True"),
        ("          version: 1\n", "",
         f"{KPI}.version: expected a whole number from 1, got nothing"),
        ("row_id: response_id", "row_id: response_no", f"{KPI}.row_id: expected one of "),
        ("to: employee", "to: agent",
         f"{KPI}.credit.to: expected one of employee, manager, queue, got 'agent'"),
        ("day: submitted_on }\n          row", "day: submitted_on, queue: queue }\n          row",
         f"{KPI}.credit.queue: expected one of "),
        ("to: employee, id: credited_employee_id, day: submitted_on",
         "to: manager, id: response_id, day: submitted_on, queue: response_id",
         f"{KPI}.credit.queue: expected a queue only beside `to: employee`, got 'response_id'"),
        ("day: submitted_on }\n          row", "day: submited_on }\n          row",
         "(did you mean 'submitted_on'?), got 'submited_on'"),
        ("          unit: rate", "          units: rate", f"{KPI}.units: unknown key"),
        ("score = scale_max", "skore = scale_max",
         f"{PLACE}{FACT}.measures[0].expr: expected columns of the fact (did you mean 'score'?), "
         "got 'skore'"),
        ("then 1 else 0 end\n      - name: top_score_rate_d", "then 1 els 0\n      - name: "
         "top_score_rate_d", f"{PLACE}{FACT}.measures[0].expr: expected one SQL expression"),
        ("ref('fct_survey_responses')", "ref('fct_survey_response')",
         f"{PLACE}{FACT}.model: expected one of "),
        ("expr: case when is_csat_rated then 1 else 0 end", "expr: case when score > 0 then 1 end",
         f"{KPI}.is_suppressed: expected true, for fct_survey_responses holds answers of "
         "employees (or count those of customers: "),
        ("minimum_sample: 1", "minimum_sample: 1\n          is_suppressed: true",
         f"{KPI}.minimum_sample: expected a whole number from 3, got 1"),
        ("kind: proportion\n          version: 1\n          minimum_sample: 1",
         "kind: ratio\n          version: 1\n          minimum_sample: 5\n"
         "          is_suppressed: true",
         f"{KPI}.kind: expected proportion, or score with `unit: rate`, of confidential answers: "),
        ("minimum_sample: 1", 'minimum_sample: 1\n          one_answer_each: "false"',
         f"{KPI}.one_answer_each: expected true or false, got 'false'"),
        ("        agg: sum\n        expr: case when is_csat_rated then", "        agg: average\n"
         "        expr: case when is_csat_rated then",
         f"{PLACE}{FACT}.measures[1].agg: expected one of sum, got 'average'"),
        ("type: ratio", "type: simple",
         f"{PLACE}metrics[0].type: expected one of ratio, got 'simple'"),
        ("numerator: top_score_rate_numerator,", "numerator: top,",
         f"{PLACE}metrics[0].type_params.numerator: expected the name of a simple metric of this "
         "file, got 'top'"),
        ("measure: top_score_rate_numerator", "measure: top_score_rate_numerater",
         f"{PLACE}metrics[1].type_params.measure: expected a measure of this file"),
        ("        kpi:\n", "        kpis:\n",
         f"{PLACE}metrics: expected one ratio metric with config.meta.kpi, got []"),
        ("- name: top_score_rate\n    label", "- name: csat_rate\n    label",
         f"{PLACE}metrics[0].name: expected an id that no other KPI has: csat_rate"),
        ("name: top_score_rate\n    description", "name: csat_rate\n    description",
         f"{PLACE}csat_rate: expected a name that no other KPI file uses"),
        ("version: 2\n", "version: 2\n  bad: [\n", f"{PLACE}line 2: expected YAML, got "),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_field_and_what_was_expected(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert GOOD.count(old) >= 1, old
    _, problems = read(tmp_path, GOOD.replace(old, new, 1))
    assert any(problem in each for each in problems), problems
