"""Survey tools: which questions count, what an answer is worth, and whose it is."""

from __future__ import annotations

import hashlib
import hmac
import importlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from suite.cases import qualtrics as qualtrics_case
from suite.cases import surveymonkey as surveymonkey_case
from suite.cases import typeform as typeform_case
from suite.kit import Bench, Exchange, Record, Reply, Vendor

from connectors import surveys
from connectors.base import Beside
from perfhouse.errors import ConfigError, TransientError
from perfhouse.settings import customer_key

STARS = {"id": "11", "metric": "csat", "scale": [1, 5]}
WORDS = {"id": "12", "metric": "comment", "scale": [0, 0]}
TONE = {"id": "13", "metric": "attitude", "scale": [0, 1], "scores": {"kind": 1, "rude": 0}}
SURVEY = {
    "id": "901",
    "kind": "csat",
    "version": 3,
    "fields": {"agent_id": "agent", "rater_key": "customer"},
    "questions": [STARS, WORDS, TONE],
}
START, END = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)


def unfolded(connector: str, record: Any, **lookups: Any) -> list[dict[str, Any]]:
    module = importlib.import_module(f"connectors.{connector}")
    beside = Beside(
        page=record,
        name="responses/901/000001.json",
        lookup=lambda endpoint, key: lookups.get(endpoint, {}),
        start=START,
        end=END,
        options={"surveys": [SURVEY]},
    )
    return [dict(row) for row in module.CONNECTOR.unfold["survey_responses"](record, beside)]


def short(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("question_id", "metric", "score", "score_choice", "has_comment", "agent_id")
    return [tuple(row.get(name) for name in names) for row in rows]


WANTED = [
    ("11", "csat", 4, None, None, "a7"),
    ("12", "comment", None, None, True, "a7"),
    ("13", "attitude", 1.0, "kind", None, "a7"),
]


@pytest.mark.parametrize(
    ("kind", "rater_type"),
    [
        *(("csat", "customer"), ("callback_csat", "customer")),
        *(("employee_satisfaction", "subordinate"), ("peer_360", "peer")),
        ("training_feedback", "peer"),
    ],
)
def test_a_survey_that_asks_employees_has_no_customers_for_raters(
    kind: str, rater_type: str
) -> None:
    told = surveys.surveys({"surveys": [SURVEY | {"kind": kind}]})["901"]
    assert told.rater_type == rater_type
    said = surveys.surveys({"surveys": [SURVEY | {"kind": kind, "rater_type": "manager"}]})["901"]
    assert said.rater_type == "manager"


def test_typeform_answers_are_told_by_their_type_and_choices_by_their_label() -> None:
    rows = unfolded(
        "typeform",
        {
            "token": "t",
            "response_id": "t",
            "landed_at": "2026-09-05T08:00:00Z",
            "submitted_at": "2026-09-05T08:01:00Z",
            "hidden": {"agent": "a7", "customer": "c1"},
            "answers": [
                {"field": {"id": "x1", "ref": "11"}, "type": "number", "number": 4},
                {"field": {"id": "12"}, "type": "text", "text": "private words"},
                {"field": {"id": "13"}, "type": "choice", "choice": {"label": "kind"}},
                {"field": {"id": "99"}, "type": "number", "number": 1},
            ],
            "brand_new": 1,
        },
    )
    assert short(rows) == WANTED
    assert {row["rater_key"] for row in rows} == {"c1"}
    assert {row["survey_version"] for row in rows} == {"3"}
    assert {row["brand_new"] for row in rows} == {1}, "a field nobody knows is reported"
    assert "private words" not in str(rows)


DETAILS = {
    "pages": [
        {
            "questions": [
                {"answers": {"choices": [{"id": "c4", "weight": 4, "text": "good"}]}},
                {"answers": {"choices": [{"id": "k", "text": "kind"}]}},
            ]
        }
    ]
}


def monkey(**changed: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "survey_id": 901,
        "response_status": "completed",
        "date_modified": "2026-09-05T08:01:00+00:00",
        "custom_variables": {"agent": "a7"},
        "pages": [
            {
                "questions": [
                    {"id": "11", "answers": [{"choice_id": "c4", "row_id": "1"}]},
                    {"id": "12", "answers": [{"text": "private words"}]},
                    {"id": "13", "answers": [{"choice_id": "k"}]},
                ]
            }
        ],
        **changed,
    }


def test_surveymonkey_choices_are_worth_their_weight_or_their_words() -> None:
    assert short(unfolded("surveymonkey", monkey(), details={"901": DETAILS})) == WANTED


def test_surveymonkey_responses_outside_the_half_open_month_are_left_out() -> None:
    for changed, count in (
        ("2026-09-01T00:00:00+00:00", 3),
        ("2026-08-31T23:59:59+00:00", 0),
        ("2026-10-01T00:00:00+00:00", 0),
    ):
        rows = unfolded("surveymonkey", monkey(date_modified=changed), details={"901": DETAILS})
        assert len(rows) == count


def test_a_choice_that_the_details_do_not_know_is_no_row_but_an_error() -> None:
    with pytest.raises(KeyError):
        unfolded("surveymonkey", monkey(), details={"901": {}})


def test_qualtrics_previews_are_tests_and_spam_is_invalid() -> None:
    values = {
        "recordedDate": "2026-09-05T08:01:00Z",
        "finished": 1,
        "status": 0,
        "agent": "a7",
        "11": 4,
        "12": "private words",
        "13": "kind",
    }
    assert short(unfolded("qualtrics", {"responseId": "R", "values": values})) == WANTED
    for status, state, test in ((1, "completed", True), (8, "invalid", False)):
        rows = unfolded("qualtrics", {"responseId": "R", "values": {**values, "status": status}})
        assert {(row["status"], row["is_test"]) for row in rows} == {(state, test)}
    late = {**values, "recordedDate": "2026-10-01T00:00:00Z"}
    assert not unfolded("qualtrics", {"responseId": "R", "values": late})


def test_everything_wrong_with_the_surveys_is_told_at_once() -> None:
    wrong = {
        "kind": "happiness",
        "colour": "red",
        "fields": {"agent": "x"},
        "questions": [{"id": "", "metric": "csat", "scale": [5]}, {"scores": {"a": "b"}}],
    }
    with pytest.raises(ConfigError) as refused:
        surveys.surveys({"surveys": [wrong]})
    told = str(refused.value)
    for part in (
        "surveys[0].colour: expected one of",
        "surveys[0].id: expected text",
        "surveys[0].kind: expected one of csat, nps",
        "surveys[0].fields.agent: expected one of agent_id",
        "surveys[0].questions[0].id: expected text",
        "surveys[0].questions[0].scale: expected the least and the most",
        "surveys[0].questions[1].metric: expected one of",
        "surveys[0].questions[1].scores: expected a number for each choice",
    ):
        assert part in told
    with pytest.raises(ConfigError, match="at least one"):
        surveys.surveys({})


def test_surveymonkeys_first_instant_lands_though_its_start_is_told_as_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = surveymonkey_case.CASE
    first = surveymonkey_case.moved(case.world(1)[0], surveymonkey_case.START)

    def answer(exchange: Exchange, records: Any) -> Reply:
        after = exchange.query.get("start_modified_at", "")
        late = [r for r in records if str(r["date_modified"])[:19] > after]
        return case.answer(exchange, late)

    vendor = Vendor(replace(case, answer=answer), [first])
    with vendor.serving() as url:
        it = Bench(case, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        assert it.keys(it.ingest()) == [("10000", "11"), ("10000", "12")]


def test_surveymonkey_responses_edited_while_they_are_read_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = surveymonkey_case.CASE
    vendor = Vendor(case, case.world(25))
    until = surveymonkey_case.START + timedelta(days=40)

    def edited(exchange: Exchange, nth: int) -> None:
        if exchange.query.get("page") == "2":
            held: list[Record] = vendor.world
            vendor.world = [surveymonkey_case.moved(held[0], until), *held[1:]]

    vendor.fault = edited
    with vendor.serving() as url:
        it = Bench(case, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        with pytest.raises(TransientError, match="survey 901: 25 responses were told, then 24"):
            it.ingest()
        assert not it.visible()


def test_an_export_that_failed_at_qualtrics_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = qualtrics_case.CASE

    def fault(exchange: Exchange, nth: int) -> Reply | None:
        failed = Reply({"result": {"percentComplete": 3.0, "status": "failed"}})
        return failed if "export-responses/ES_" in exchange.path else None

    vendor = Vendor(case, case.world(1))
    vendor.fault = fault
    with vendor.serving() as url:
        it = Bench(case, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        with pytest.raises(TransientError, match="the export of SV_1 failed"):
            it.ingest()


def test_a_page_of_typeform_that_is_shorter_than_asked_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = typeform_case.CASE

    def answer(exchange: Exchange, records: Any) -> Reply:
        fewer = replace(exchange, query={**exchange.query, "page_size": "4"})
        return case.answer(fewer, records)

    vendor = Vendor(replace(case, answer=answer), case.world(9))
    with vendor.serving() as url:
        it = Bench(case, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        assert len(it.keys(it.ingest())) == 9 * 3


def test_surveymonkey_is_never_asked_for_more_a_page_than_it_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = surveymonkey_case.CASE
    greedy = replace(case, source=case.source.replace("page_size = 10", "page_size = 1000"))

    def answer(exchange: Exchange, records: Any) -> Reply:
        capped = str(min(100, int(exchange.query.get("per_page", "1"))))
        return case.answer(replace(exchange, query={**exchange.query, "per_page": capped}), records)

    vendor = Vendor(replace(case, answer=answer), case.world(120))
    with vendor.serving() as url:
        it = Bench(greedy, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        assert len(it.keys(it.ingest())) == 120 * 2


def test_an_address_in_a_field_that_tells_who_or_what_lands_as_a_keyed_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = typeform_case.CASE
    linked = '{ agent_id = "agent", subject_employee_id = "rated", team_id = "team" }'
    asked = case.source.replace('{ agent_id = "agent", ticket_id = "ticket" }', linked)
    response = case.world(1)[0]
    hidden = [
        {"agent": " Ann@Corp.example", "rated": "E7", "team": "desk"},
        {"agent": "a7", "rated": "Ann <ann@corp.example>", "team": "desk@corp.example"},
    ]
    told = [
        {**response, "token": f"t{n}", "response_id": f"t{n}", "hidden": h}
        for n, h in enumerate(hidden)
    ]
    with Vendor(case, told).serving() as url:
        it = Bench(replace(case, source=asked), url, tmp_path)
        monkeypatch.setenv(*it.connection)
        (file,) = it.ingest().streams["survey_responses"].files

    def keyed(address: str) -> str:
        return hmac.new(customer_key(it.home), address.encode(), hashlib.sha256).hexdigest()

    with duckdb.connect() as con:
        found = con.execute(
            "select distinct response_id, agent_id, subject_employee_id, team_id "
            "from read_parquet(?) order by response_id",
            [str(it.home.root / file.path)],
        ).fetchall()
    ann, desk = keyed("ann@corp.example"), keyed("desk@corp.example")
    assert found == [("t0", ann, "E7", "desk"), ("t1", "a7", ann, desk)]
