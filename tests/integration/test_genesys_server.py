"""Genesys' own SDK, mocked by Prism, judges our requests and answers at random in its shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from relay import passed_on
from servers.prism import Mock
from suite.cases.genesys import CASE, JOBS
from suite.kit import SECRET, Bench, Exchange, Record, Reply, Vendor, balances

pytestmark = pytest.mark.server
PAGES = 15


class Completed:
    """A mock's answers, completed by what it cannot know: states, cursors, totals, clocks."""

    def __init__(self, mock: str) -> None:
        self.mock = mock
        self.refused: list[tuple[str, str]] = []
        self.asked: list[tuple[str, str]] = []
        self.conversations = self.surveys = self.users = 0

    def __call__(self, exchange: Exchange, nth: int) -> Reply:
        if exchange.path == "/oauth/token":  # not part of the SDK's operations
            return Reply({"access_token": f"t-{SECRET}", "expires_in": 86399})
        self.asked.append((exchange.method, exchange.path))
        reply = passed_on(self.mock, exchange, seed=len(self.asked))
        if not 200 <= reply.status < 300:
            self.refused.append((exchange.method, exchange.path))
            return reply
        last = exchange.path.rsplit("/", 1)[-1]
        complete = {
            "availability": self._availability,
            "results": self._results,
            "users": self._users,
            "jobs": self._job,
        }.get(last, self._state)
        complete(exchange, reply.body)
        return reply

    def _availability(self, exchange: Exchange, body: Record) -> None:
        body["dataAvailabilityDate"] = exchange.now.isoformat()

    def _results(self, exchange: Exchange, body: Record) -> None:
        here = int(exchange.query.get("cursor", "0")) + 1
        body["cursor"] = str(here) if here < PAGES else None
        self.conversations += len(body["conversations"])
        self.surveys += sum(len(c.get("surveys") or []) for c in body["conversations"])

    def _users(self, exchange: Exchange, body: Record) -> None:
        body |= {"pageCount": 1, "total": len(body["entities"])}
        self.users += len(body["entities"])

    def _job(self, exchange: Exchange, body: Record) -> None:
        body["jobId"] = f"job-{len(self.asked)}"

    def _state(self, exchange: Exchange, body: Record) -> None:
        if exchange.method == "GET":
            body["state"] = "FULFILLED"


def test_random_conversations_in_the_sdks_shape_land_or_are_quarantined_to_the_last(
    prism: Callable[..., Mock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed = Completed(prism("genesys").url)
    vendor = Vendor(CASE)
    vendor.fault = completed
    with vendor.serving() as url:
        it = Bench(CASE, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        manifest = it.ingest()
    assert not completed.refused, "every request is one that the SDK could have made"
    methods = [(method, path.startswith(JOBS)) for method, path in completed.asked]
    assert methods.count(("POST", True)) == methods.count(("DELETE", True)) == 2
    assert balances(manifest)
    landed = manifest.streams
    assert completed.conversations > 2 * PAGES
    assert landed["calls"].rows_read >= completed.conversations
    assert landed["survey_responses"].rows_read >= completed.surveys > 0
    assert landed["qa_reviews"].rows_read >= completed.conversations
    assert landed["source_users"].rows_read == completed.users > 0
