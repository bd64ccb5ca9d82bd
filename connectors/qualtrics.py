"""Qualtrics responses by its export: a job is started, waited for, and its file fetched.

Reads the surveys that the source lists; it keeps no words of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from connectors import api, instants, surveys
from connectors.base import Beside
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Client, Credentials
from connectors.paging import Page, Request
from perfhouse.company import Source
from perfhouse.errors import SourceChanged, TransientError
from perfhouse.settings import Connection

_KNOWN = ("responseId", "values", "labels", "displayedFields", "displayedValues")
# Qualtrics' status codes: 0 answered by the web, 1 preview, 2 test, 4 imported, 8 spam, 16 offline
_TESTS, _SPAM = (1, 2), (8,)


def _client(source: Source, connection: Connection) -> Client:
    return Client(
        api.base_url(source, connection),
        credentials=Credentials("X-API-TOKEN", connection.password),
    )


def _responses(call: Call) -> Iterator[Page]:
    for survey in surveys.surveys(call.source.options):
        exports = f"/API/v3/surveys/{survey}/export-responses"
        form = "%Y-%m-%dT%H:%M:%SZ"
        job = call.send(
            Request(
                exports,
                body={
                    "format": "json",
                    "compress": False,
                    "useLabels": False,
                    "timeZone": "UTC",
                    # told as 'after' the start: one second more, and the edge is cut by us
                    "startDate": (call.window.start - timedelta(seconds=1)).strftime(form),
                    "endDate": (call.window.end + timedelta(seconds=1)).strftime(form),
                },
                method="POST",
            )
        )
        progress = Request(f"{exports}/{job.at('result.progressId')}")
        done = call.until(progress, lambda page: page.at("result.status") != "inProgress")
        if done.at("result.status") == "failed":
            raise TransientError(f"{call.source.id}: the export of {survey} failed")
        if done.at("result.status") != "complete":
            raise SourceChanged(
                f"{call.source.id}: the export of {survey} ended as {done.at('result.status')!r}"
            )
        yield call.send(Request(f"{exports}/{done.at('result.fileId')}/file", label=survey))


def _unfold(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    values = record["values"]
    recorded = instants.instant(values["recordedDate"])
    if (beside.start and recorded < beside.start) or (beside.end and recorded >= beside.end):
        return
    survey = surveys.surveys(beside.options)[beside.name.split("/")[1]]
    status = values.get("status")
    state = "completed" if str(values.get("finished")) in ("1", "True", "true") else "partial"
    told = {
        "response_id": record["responseId"],
        "submitted_at": values["recordedDate"],
        "started_at": values.get("startDate"),
        "source_updated_at": values["recordedDate"],
        "status": "invalid" if status in _SPAM else state,
        "is_test": status in _TESTS,
        "language": values.get("userLanguage"),
        "channel": values.get("distributionChannel"),
        **{column: values.get(name) for column, name in survey.fields.items()},
    }
    yield from surveys.rows(survey, record, values, told, _KNOWN)


SYSTEM = System(
    client=_client,
    endpoints=(Endpoint("responses", _responses, "responses", streams=("survey_responses",)),),
    settle=timedelta(hours=1),
)
CONNECTOR = api.connector(
    name="qualtrics",
    title="Qualtrics",
    reads="responses of the listed surveys, recorded in the month, by response export",
    system=SYSTEM,
    defaults={"survey_responses": surveys.mapping()},
    unfold={"survey_responses": _unfold},
    options=("surveys",),
)
