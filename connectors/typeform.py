"""Typeform responses by the Responses API: completed ones, submitted in the month.

Reads the forms that the source lists; it keeps no words of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from connectors import api, surveys
from connectors.base import Beside
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Client, Policy, bearer
from connectors.paging import Page, Request
from perfhouse.company import Source
from perfhouse.settings import Connection

PAGE = 1000
_KNOWN = (
    *("landing_id", "token", "response_id", "response_type", "landed_at", "submitted_at"),
    *("metadata", "hidden", "calculated", "definition", "answers", "variables", "outcome"),
    *("tags", "ending_id", "thankyou_screen_ref"),
)


def _client(source: Source, connection: Connection) -> Client:
    return Client(
        api.base_url(source, connection, "https://api.typeform.com"),
        policy=Policy(per_second=2, burst=2),
        credentials=bearer(connection.password),
    )


def _responses(call: Call) -> Iterator[Page]:
    """Yield each form's pages, newest first; `before` follows tokens, so no response repeats."""
    size = call.whole("page_size", PAGE)
    for form in surveys.surveys(call.source.options):
        first = Request(
            f"/forms/{form}/responses",
            {
                "page_size": size,
                "response_type": "completed",
                "since": f"{call.window.start:%Y-%m-%dT%H:%M:%SZ}",
                # `until` is inclusive and times are whole seconds
                "until": f"{call.window.end - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}",
            },
            label=form,
        )

        def following(request: Request, page: Page) -> Request | None:
            oldest = page.last("items")  # a short page is no end: the vendor may give fewer
            return request.but(before=oldest["token"]) if oldest else None

        yield from call.pages(first, following)


def _unfold(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    survey = surveys.surveys(beside.options)[beside.name.split("/")[1]]
    hidden = record.get("hidden") or {}
    answers = {}
    for answer in record.get("answers") or ():
        value = _value(answer)
        answers[str(answer["field"]["id"])] = value
        if answer["field"].get("ref"):
            answers[str(answer["field"]["ref"])] = value
    told = {
        "response_id": record["response_id"],
        "submitted_at": record["submitted_at"],
        "started_at": record.get("landed_at"),
        "source_updated_at": record["submitted_at"],
        "status": "completed",
        "channel": "web",
        **{column: hidden.get(name) for column, name in survey.fields.items()},
    }
    return surveys.rows(survey, record, answers, told, _KNOWN)


def _value(answer: Mapping[str, Any]) -> Any:
    """Return what an answer holds: its type names the key; a choice is told by its label."""
    value = answer.get(str(answer["type"]))
    return value.get("label") if isinstance(value, Mapping) else value


SYSTEM = System(
    client=_client,
    endpoints=(Endpoint("responses", _responses, "items", streams=("survey_responses",)),),
    settle=timedelta(hours=1),  # the newest submissions may lag
)
CONNECTOR = api.connector(
    name="typeform",
    title="Typeform",
    reads="completed responses of the listed forms, submitted in the month",
    system=SYSTEM,
    defaults={"survey_responses": surveys.mapping()},
    unfold={"survey_responses": _unfold},
    options=("surveys", "page_size"),
)
