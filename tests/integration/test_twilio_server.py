"""Twilio's own OpenAPI document, mocked by Prism, judges our requests and answers at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
import stamina
from relay import passed_on
from servers.prism import Mock
from suite.cases.twilio import ACCOUNT, CASE, PATH
from suite.kit import Bench, Exchange, Reply, Vendor, balances

from perfhouse.errors import ConfigError

pytestmark = pytest.mark.server
PAGES = 40


def test_random_answers_in_the_published_shape_land_or_are_quarantined_to_the_last(
    prism: Callable[..., Mock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock = prism("twilio").url
    given = 0

    def fault(exchange: Exchange, nth: int) -> Reply:
        nonlocal given
        reply = passed_on(mock, exchange, seed=1 + len(vendor.seen))
        assert reply.status == 200, reply.body
        given += len(reply.body["calls"])
        here = int(exchange.query.get("Page", "0")) + 1
        following = urlencode({**exchange.query, "Page": here, "PageToken": f"PA{here}"})
        reply.body["next_page_uri"] = f"{PATH}?{following}" if here < PAGES else None
        return reply

    vendor = Vendor(CASE)
    vendor.fault = fault
    with vendor.serving() as url:
        it = Bench(CASE, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        manifest = it.ingest()
    calls = manifest.streams["calls"]
    assert len(vendor.seen) == PAGES
    assert calls.rows_read == given > PAGES
    assert balances(manifest)
    assert calls.quarantined > 0, "times that are no times"
    assert calls.outside_window > 0, "calls that have not ended"


def test_workers_are_asked_for_as_the_specification_of_taskrouter_says(
    prism: Callable[..., Mock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, taskrouter = prism("twilio").url, prism("twilio_taskrouter").url
    given = 0

    def fault(exchange: Exchange, nth: int) -> Reply:
        nonlocal given
        of_workers = exchange.path.endswith("/Workers")
        reply = passed_on(taskrouter if of_workers else calls, exchange, seed=5)
        assert reply.status == 200, reply.body
        reply.body["next_page_uri"] = None
        if of_workers:
            reply.body["meta"]["next_page_url"] = None
            given += len(reply.body["workers"])
        return reply

    space = f'workspace = "WS{"0" * 32}"\ntaskrouter_url = "{{url}}"\n'
    case = replace(CASE, source=f"{CASE.source}{space}")
    vendor = Vendor(case)
    vendor.fault = fault
    with vendor.serving() as url:
        it = Bench(case, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        manifest = it.ingest()
    assert manifest.streams["source_users"].rows_read == given > 0
    assert balances(manifest)


@pytest.mark.parametrize(
    ("login", "size", "told"),
    [
        pytest.param(ACCOUNT, 1000, None, id="as-we-ask"),
        pytest.param(ACCOUNT, 1001, "refused, HTTP 422", id="a-page-too-large"),
        pytest.param("ACshort", 1000, "refused, HTTP 422", id="no-account"),
    ],
)
def test_the_specification_takes_our_request_and_would_refuse_a_wrong_one(
    prism: Callable[..., Mock],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    login: str,
    size: int,
    told: str | None,
) -> None:
    mock = prism("twilio").url
    answers: list[int] = []

    def fault(exchange: Exchange, nth: int) -> Reply:
        reply = passed_on(mock, exchange)
        answers.append(reply.status)
        if reply.status == 200:
            reply.body["next_page_uri"] = None
        return reply

    case = replace(
        CASE,
        source=CASE.source.replace("page_size = 40", f"page_size = {size}"),
        connection=CASE.connection.replace(ACCOUNT, login),
    )
    vendor = Vendor(case)
    vendor.fault = fault
    with vendor.serving() as url, stamina.set_testing(True, attempts=1):
        it = Bench(case, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        if told is None:
            assert balances(it.ingest())
            assert answers == [200]
            return
        with pytest.raises(ConfigError, match=told):
            it.ingest()
    assert answers == [422]
