"""Extraction from an API: half characters, endpoints that give nothing, who is named in errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import stamina

from connectors import api, instants
from connectors.base import ExtractContext, Extracted
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Client
from connectors.paging import Page, Request
from perfhouse.company import Company, Source, StreamMapping
from perfhouse.errors import ConfigError, TransientError
from perfhouse.month import Month

DATE = {"Date": "Fri, 20 Nov 2026 00:00:00 GMT"}
STREAMS = ("tickets", "source_users")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIRFLOW_CONN_DESK", "https://me:pw@desk.test")
    with stamina.set_testing(True, attempts=2):
        yield


def extracted(
    tmp_path: Path,
    reply: Callable[[httpx.Request], httpx.Response],
    *endpoints: Endpoint,
    **keys: Any,
) -> dict[str, tuple[Extracted, bytes]]:
    transport = httpx.MockTransport(reply)
    system = System(
        client=lambda source, connection: Client("https://desk.test", transport=transport),
        endpoints=endpoints,
        **keys,
    )
    source = Source(
        id="desk",
        connector="zendesk",
        owner="Desk <desk@corp.example>",
        schedule="0 3 1 * *",
        required=True,
        time_zone="UTC",
        options={"connection": "desk"},
        streams=tuple(StreamMapping(name, {}, None, {}, ()) for name in STREAMS),
    )
    company = cast(Company, SimpleNamespace(time_zone="UTC"))
    context = ExtractContext(company, tmp_path, tmp_path)
    found = {}
    for at, item in enumerate(api.extract(system, source, Month("2026-09"), context)):
        target = tmp_path / str(at)
        item.save(target)
        found[item.name] = (item, target.read_bytes())
    return found


def tickets(call: Call) -> Iterator[Page]:
    return call.pages(Request("/tickets"))


def test_an_answer_with_half_a_character_is_archived_as_it_came(tmp_path: Path) -> None:
    body = rb'{"tickets": [{"id": 1, "x": "\ud800"}, {"id": 2}], "count": 2}'
    seen: list[int] = []

    def users(call: Call) -> Iterator[Page]:
        for ticket in call.records("tickets"):
            seen.append(ticket["id"])
            yield call.send(Request(f"/users/{ticket['id']}"))

    def reply(request: httpx.Request) -> httpx.Response:
        ours = body if request.url.path == "/tickets" else b'{"id": 7}'
        return httpx.Response(200, content=ours, headers=DATE)

    found = extracted(
        tmp_path,
        reply,
        Endpoint("tickets", tickets, "tickets", ("tickets",), total="count"),
        Endpoint("users", users, "", ("source_users",)),
    )
    assert found["tickets/000001.json"][1] == body
    assert seen == [1, 2]
    control = json.loads(found["control.json"][1])
    assert control["tickets"] == {"pages": 1, "records": 2, "told": 2}


@pytest.mark.parametrize(("records", "body"), [("", b"[]"), ("data.rows", b'{"data":{"rows":[]}}')])
def test_an_optional_endpoint_that_is_refused_lands_empty_instead_of_never(
    tmp_path: Path, records: str, body: bytes
) -> None:
    endpoint = Endpoint("tickets", tickets, records, ("tickets",), optional=True)
    found = extracted(tmp_path, lambda _: httpx.Response(403, headers=DATE), endpoint)
    item, kept = found["tickets/000000.json"]
    assert (item.streams, item.format, kept) == (("tickets",), "pages", body)
    told = json.loads(found["control.json"][1])["tickets"]
    assert (told["records"], told["refused"], told["streams"]) == (0, 403, ["tickets"])


def test_an_endpoint_that_is_not_optional_is_refused_by_name(tmp_path: Path) -> None:
    endpoint = Endpoint("tickets", tickets, "tickets", ("tickets",))
    with pytest.raises(ConfigError, match="desk: GET /tickets: refused, HTTP 403"):
        extracted(tmp_path, lambda _: httpx.Response(403, headers=DATE), endpoint)


def test_another_total_than_was_received_is_a_torn_read(tmp_path: Path) -> None:
    def reply(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"tickets": [{"id": 1}], "count": "2"}, headers=DATE)

    endpoint = Endpoint("tickets", tickets, "tickets", ("tickets",), total="count")
    with pytest.raises(TransientError, match=r"1 records received, the source told 2.*Desk <desk@"):
        extracted(tmp_path, reply, endpoint)


@pytest.mark.parametrize("value", ["ten", "10", 0, -1, 2.5, True, None])
def test_an_option_that_is_no_whole_number_is_told_by_its_name(value: Any) -> None:
    source = cast(Source, SimpleNamespace(id="desk", options={"page_size": value}))
    call = Call(source, cast(Any, None), cast(Any, None), cast(Any, None))
    with pytest.raises(ConfigError, match=r"desk\.page_size: expected a whole number, 1 or more"):
        call.whole("page_size", 100)
    assert call.whole("batch", 100) == 100


@pytest.mark.parametrize("epoch", [2**63, -(2**70), 1e300, "x", None, float("nan")])
def test_an_epoch_that_no_calendar_has_is_a_records_fault(epoch: Any) -> None:
    with pytest.raises((ArithmeticError, TypeError, ValueError)):
        instants.moment(epoch)
    assert instants.moment("0").isoformat() == "1970-01-01T00:00:00+00:00"
