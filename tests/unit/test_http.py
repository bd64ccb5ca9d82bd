"""The HTTP client tries again what may pass, and says who must act otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import stamina

from connectors.http import (
    Answer,
    Bucket,
    Client,
    Later,
    Policy,
    Refused,
    StaleToken,
    basic,
    leased,
    retry_after,
)
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


Replying = Callable[[httpx.Request], httpx.Response]


def speaking(reply: Replying, **keys: Any) -> Client:
    return Client("http://x.test", transport=httpx.MockTransport(reply), **keys)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Sun, 22 Nov 2026 00:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2020 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_a_server_asks_to_wait_in_seconds_or_until_a_date_of_its_own_clock(
    header: str, seconds: float | None
) -> None:
    headers = {"retry-after": header, "date": "Sun, 22 Nov 2026 00:00:00 GMT"}
    assert retry_after(Answer(429, headers, b"")) == seconds


def test_a_server_is_waited_for_as_long_as_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    replies = iter([httpx.Response(429, headers={"Retry-After": "3"}), httpx.Response(200)])
    with stamina.set_testing(False), speaking(lambda _: next(replies)) as it:
        it.get("/a")
    assert waits == [3.0]


def test_a_longer_wait_than_allowed_ends_the_call_at_once() -> None:
    calls: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(503, headers={"Retry-After": "121"})

    it = speaking(reply, policy=Policy(longest_wait=120))
    with it, pytest.raises(Later, match="HTTP 503, asks to wait 121 s"):
        it.get("/a")
    assert len(calls) == 1


def test_calls_are_paced_by_a_bucket() -> None:
    now, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))
        now[0] += seconds

    bucket = Bucket(2, burst=3, clock=lambda: now[0], sleep=sleep)
    for _ in range(5):
        bucket.take()
    assert waits == [0.5, 0.5]
    now[0] += 60
    for _ in range(3):
        bucket.take()
    assert waits == [0.5, 0.5], "a long rest allows a burst, not more"


def test_a_pace_may_hold_for_some_paths_only(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[None] = []
    monkeypatch.setattr(Bucket, "take", lambda _: taken.append(None))
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    policy = Policy(per_second=0.1, paced="/incremental/")
    with Client("http://x.test", policy=policy, transport=answer) as it:
        it.get("/api/incremental/tickets")
        it.get("/api/groups")
    assert len(taken) == 1


def test_a_judge_can_refuse_an_answer_that_says_200() -> None:
    bodies = iter([b'{"errcode": -1}', b'{"errcode": 0}'])

    def judge(answer: Answer) -> None:
        if b"-1" in answer.body:
            raise Later("busy", 0)

    with speaking(lambda _: httpx.Response(200, content=next(bodies))) as it:
        assert it.fetch("GET", "/a", judge=judge).body == b'{"errcode": 0}'


def test_a_stale_token_is_renewed_once_and_the_call_repeated() -> None:
    tokens = iter(["old", "new"])
    sent: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.params["token"])
        return httpx.Response(200, json={"ok": sent[-1] == "new"})

    def judge(answer: Answer) -> None:
        if b"false" in answer.body:
            raise StaleToken("expired")

    credentials = leased(lambda _: (next(tokens), 7200), "token", "query", prefix="")
    with speaking(reply, credentials=credentials) as it:
        it.fetch("GET", "/a", judge=judge)
        it.fetch("GET", "/b", judge=judge)
    assert sent == ["old", "new", "new"]


def test_a_token_that_stays_stale_is_the_operators_to_mend() -> None:
    credentials = leased(lambda _: ("secret-token", 7200))
    it = speaking(lambda _: httpx.Response(401), credentials=credentials)
    with it, pytest.raises(ConfigError, match="GET /a: the credentials are refused") as refused:
        it.get("/a")
    assert "secret-token" not in str(refused.value)


def test_a_refusal_tells_nothing_of_its_body_unless_asked() -> None:
    reply: Replying = lambda _: httpx.Response(403, text="no access for jane@corp.example")  # noqa: E731
    with speaking(reply) as it, pytest.raises(Refused) as silent:
        it.get("/a")
    assert "jane" not in str(silent.value)
    assert silent.value.status == 403
    with speaking(reply, tell=bytes.decode) as it, pytest.raises(Refused, match="no access"):
        it.get("/a")


def test_a_redirect_is_not_followed_for_it_could_carry_the_credentials_away() -> None:
    seen: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(302, headers={"Location": "http://elsewhere.test/"})

    it = speaking(reply, credentials=basic("me", "pw"))
    with it, pytest.raises(Refused, match="HTTP 302"):
        it.get("/a")
    assert seen == ["x.test"]


def test_an_answer_beyond_all_measure_is_refused() -> None:
    it = speaking(
        lambda _: httpx.Response(200, content=b"x" * 2000), policy=Policy(most_bytes=1000)
    )
    with it, pytest.raises(ConfigError, match="answered more than 1,000 bytes"):
        it.get("/a")


def test_an_answer_that_drips_on_ends_at_the_deadline() -> None:
    def drops() -> Iterator[bytes]:
        yield from (b"." for _ in range(10_000))
        pytest.fail("nobody stopped listening")

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=drops()))
    policy = Policy(attempts=1, deadline=1e-9)
    with (
        Client("http://x.test", transport=transport, policy=policy) as it,
        pytest.raises(TransientError, match="GET /a: the answer does not end"),
    ):
        it.get("/a")


def test_what_is_no_json_is_tried_again_as_a_task() -> None:
    with (
        speaking(lambda _: httpx.Response(200, text="<html>")) as it,
        pytest.raises(TransientError, match="no JSON"),
    ):
        it.get("/a")
