"""The HTTP client tries again what may pass, and says who must act otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import stamina

from connectors.http import Client
from perfhouse.errors import ConfigError, TransientError


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


def client(*answers: int | Exception) -> tuple[Client, list[httpx.Request]]:
    seen: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        this = left.pop(0)
        if isinstance(this, Exception):
            raise this
        return httpx.Response(this, json={"status": this})

    return Client("http://x.test", transport=httpx.MockTransport(answer)), seen


def test_what_may_pass_is_tried_again() -> None:
    it, seen = client(503, httpx.ConnectError("no"), 200)
    with it:
        assert it.get("/a", {"b": 1}) == {"status": 200}
    assert len(seen) == 3
    assert seen[0].url.query == b"b=1"


def test_retries_are_bounded() -> None:
    it, seen = client(503, 503, 503, 503)
    with it, pytest.raises(TransientError, match="GET /a: HTTP 503"):
        it.get("/a")
    assert len(seen) == 3


def test_a_refusal_is_not_tried_again() -> None:
    it, seen = client(409)
    with it, pytest.raises(ConfigError, match="POST /a: refused, HTTP 409"):
        it.post("/a", {})
    assert len(seen) == 1


def test_a_token_is_sent_and_never_told() -> None:
    it, seen = client(200, 401)
    with it:
        it.authorize("very-secret")
        it.get("/a")
        with pytest.raises(ConfigError) as refused:
            it.get("/a")
    assert seen[0].headers["authorization"] == "Bearer very-secret"
    assert "very-secret" not in str(refused.value)
