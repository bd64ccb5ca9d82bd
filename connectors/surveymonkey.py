"""SurveyMonkey responses by the v3 API: completed ones, changed in the month.

Reads the surveys that the source lists and what their choices are worth; it keeps no words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from connectors import api, instants, surveys
from connectors.base import Beside
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Client, Policy, bearer
from connectors.paging import Page, Request, by_page, number
from perfhouse.company import Source
from perfhouse.errors import TransientError
from perfhouse.settings import Connection

PAGE = 100  # the most that the vendor gives
_KNOWN = (
    *("id", "survey_id", "collector_id", "recipient_id", "total_time", "custom_value"),
    *("edit_url", "analyze_url", "ip_address", "custom_variables", "logic_path", "metadata"),
    *("response_status", "page_path", "collection_mode", "date_created", "date_modified", "href"),
    *("pages", "email_address", "first_name", "last_name", "contact", "quiz_results"),
)


def _client(source: Source, connection: Connection) -> Client:
    return Client(
        api.base_url(source, connection, "https://api.surveymonkey.com"),
        policy=Policy(per_second=2, burst=2),
        credentials=bearer(connection.password),
    )


def _details(call: Call) -> Iterator[Page]:
    for survey in surveys.surveys(call.source.options):
        yield call.send(Request(f"/v3/surveys/{survey}/details", label=survey))


def _responses(call: Call) -> Iterator[Page]:
    size = min(PAGE, call.whole("page_size", PAGE))
    form = "%Y-%m-%dT%H:%M:%S"
    for survey in surveys.surveys(call.source.options):
        first = Request(
            f"/v3/surveys/{survey}/responses/bulk",
            {
                # told as 'after' the start: one second more, and the edge is cut by us
                "start_modified_at": (call.window.start - timedelta(seconds=1)).strftime(form),
                "end_modified_at": call.window.end.strftime(form),
                "status": "completed",
                "sort_by": "date_modified",
                "sort_order": "ASC",
                "per_page": size,
                "page": 1,
            },
            label=survey,
        )
        told: int | None = None
        for page in call.pages(first, by_page("page", "data", size)):
            total = number(page.at("total"))
            if page.request.params["page"] == 1:
                _check_budget(call, page, size)
            elif total != told:
                # a response edited meanwhile leaves the window, and all after it move up one place
                raise TransientError(
                    f"{call.source.id}: survey {survey}: {told} responses were told, then {total}: "
                    "they changed while they were read; nothing was landed"
                )
            told = total
            yield page


def _check_budget(call: Call, page: Page, size: int) -> None:
    """Refuse to start what the day's calls cannot end: a draft app has 500 of them."""
    left = number(page.headers.get("x-ratelimit-app-global-day-remaining"))
    needed = -(-(number(page.at("total")) or 0) // size) - 1
    if left is not None and needed > left:
        raise TransientError(
            f"{call.source.id}: {needed:,} more calls are needed and the app has {left:,} left "
            "today; it goes on tomorrow, or ask the vendor for more"
        )


def _unfold(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    changed = instants.instant(record["date_modified"])
    # whether the vendor's end is inclusive is not told; ours is not
    if (beside.start and changed < beside.start) or (beside.end and changed >= beside.end):
        return
    survey = surveys.surveys(beside.options)[str(record["survey_id"])]
    worth = _weights(beside.lookup("details", "id").get(survey.id) or {})
    answers = {
        str(question["id"]): _value(question.get("answers") or [], worth)
        for page in record["pages"]
        for question in page.get("questions") or ()
    }
    variables = record.get("custom_variables") or {}
    told = {
        "response_id": record["id"],
        "submitted_at": record["date_modified"],
        "started_at": record.get("date_created"),
        "source_updated_at": record["date_modified"],
        "status": {"completed": "completed", "partial": "partial"}.get(
            str(record.get("response_status")), "invalid"
        ),
        "is_test": record.get("collection_mode") == "preview",
        "channel": "web",
        **{column: variables.get(name) for column, name in survey.fields.items()},
    }
    yield from surveys.rows(survey, record, answers, told, _KNOWN)


def _weights(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a choice is worth, by its id: the weight of a rating, else its words."""
    found = {}
    for page in details.get("pages") or ():
        for question in page.get("questions") or ():
            for choice in (question.get("answers") or {}).get("choices") or ():
                weight = choice.get("weight")
                found[str(choice["id"])] = choice.get("text") if weight is None else weight
    return found


def _value(answers: list[Any], worth: Mapping[str, Any]) -> Any:
    for answer in answers:
        if "choice_id" in answer:
            return worth[str(answer["choice_id"])]
        if answer.get("text"):
            return answer["text"]
    return None


SYSTEM = System(
    client=_client,
    endpoints=(
        Endpoint("details", _details, beside=("survey_responses",)),
        Endpoint("responses", _responses, "data", streams=("survey_responses",)),
    ),
    settle=timedelta(minutes=15),
)
CONNECTOR = api.connector(
    name="surveymonkey",
    title="SurveyMonkey",
    reads="completed responses of the listed surveys, changed in the month",
    system=SYSTEM,
    defaults={"survey_responses": surveys.mapping()},
    unfold={"survey_responses": _unfold},
    options=("surveys", "page_size"),
)
