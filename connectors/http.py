"""The one HTTP client: bounded retries, paced calls, credentials, errors that say who must act.

It may not know any system's paths or fields; those belong to the caller.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from perfhouse.errors import ConfigError, TransientError

_log = logging.getLogger(__name__)
_RETRIED = (408, 425, 429, 500, 502, 503, 504)
# they log whole URLs, and some vendors want their tokens in the query
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def _tell_retry(details: RetryDetails) -> None:
    """Log a retry in one line; our errors hold no secret, arguments might."""
    _log.warning("%s; tried again in %.1f s", details.caused_by, details.wait_for)


set_on_retry_hooks([_tell_retry])


class Later(TransientError):
    """The server asks to come back; `seconds` None leaves the wait to the client."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        self.seconds = seconds
        super().__init__(message)


class Refused(ConfigError):
    """The server refused the call for good; `status` is its HTTP status (operator)."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__([message])


class StaleToken(TransientError):
    """The server no longer takes our token; it is renewed once and the call repeated."""


@dataclass(frozen=True)
class Policy:
    """How patient and how fast a client may be; times are seconds.

    Args:
        deadline: of one call, all its attempts and waits together.
        longest_wait: what a server may ask us to wait; more ends the call, to be retried as a task.
        per_second: calls a second that the vendor allows this connection; None for no pace.
        burst: calls that may be made at once after a rest.
        paced: a piece of the paths that the pace holds for; empty means every path.
        most_bytes: an answer larger than this is refused, whatever its length header said.
    """

    attempts: int = 6
    deadline: float = 600.0
    longest_wait: float = 120.0
    timeout: float = 60.0
    per_second: float | None = None
    burst: int = 1
    paced: str = ""
    most_bytes: int = 512 << 20


@dataclass(frozen=True)
class Answer:
    """One complete answer: its bytes as the server meant them, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def date(self) -> datetime | None:
        """Return the server's own clock, when it tells it."""
        return _http_date(self.headers.get("date", ""))


Judge = Callable[[Answer], None]


class Bucket:
    """A token bucket: `per_second` calls on average, `burst` at once after a rest."""

    def __init__(
        self,
        per_second: float,
        burst: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._burst = per_second, float(max(1, burst))
        self._clock, self._sleep = clock, sleep
        self._tokens, self._at = self._burst, clock()

    def take(self) -> None:
        """Wait until a call is allowed and use up its token."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            pause = (1 - self._tokens) / self._rate
            self._sleep(pause)
            self._at, self._tokens = now + pause, 1.0
        self._tokens -= 1


@dataclass(repr=False)
class Credentials:
    """What proves who we are, added to every call; never shown.

    Args:
        place: `header` or `query`.
        lease: fetches a token with a client that carries no credentials, and its life in
            seconds; it is renewed shortly before it ends and when the server says it is stale.
    """

    name: str
    value: str = ""
    place: str = "header"
    lease: Callable[[Client], tuple[str, float]] | None = None
    prefix: str = ""
    _until: float = field(default=0.0, init=False)

    def current(self, bare: Client, clock: Callable[[], float]) -> str:
        """Return the value to send now, leased anew when its life is over."""
        if self.lease is not None and clock() >= self._until:
            token, seconds = self.lease(bare)
            self.value, self._until = token, clock() + max(0.0, seconds * 0.9 - 5)
        return f"{self.prefix}{self.value}"

    def drop(self) -> bool:
        """Forget a leased token; tell whether there is a way to get another."""
        self._until = 0.0
        return self.lease is not None


def basic(login: str, password: str) -> Credentials:
    """Return HTTP Basic credentials."""
    text = base64.b64encode(f"{login}:{password}".encode()).decode()
    return Credentials("Authorization", text, prefix="Basic ")


def bearer(token: str) -> Credentials:
    """Return a fixed bearer token."""
    return Credentials("Authorization", token, prefix="Bearer ")


def leased(
    lease: Callable[[Client], tuple[str, float]],
    name: str = "Authorization",
    place: str = "header",
    prefix: str = "Bearer ",
) -> Credentials:
    """Return a token that is fetched when it is needed and renewed in time."""
    return Credentials(name, place=place, lease=lease, prefix=prefix)


class Client:
    """Speak with one server; what may pass is tried again, within the policy's bounds.

    Args:
        tell: what of a refusal's body may be told; by default nothing, for it may quote a person.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        policy: Policy | None = None,
        credentials: Credentials | None = None,
        transport: httpx.BaseTransport | None = None,
        tell: Callable[[bytes], str] = lambda _: "",
        verify: bool | str = True,
    ) -> None:
        self.policy = policy or Policy()
        self._credentials = credentials
        self._tell = tell
        self._bucket = (
            Bucket(self.policy.per_second, self.policy.burst) if self.policy.per_second else None
        )
        self._client = httpx.Client(
            base_url=base_url,
            headers=dict(headers or {}),
            timeout=self.policy.timeout,
            trust_env=False,
            transport=transport,
            verify=verify,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def authorize(self, token: str) -> None:
        """Send this bearer token from now on."""
        self._credentials = bearer(token)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the decoded answer.

        Raises:
            TransientError: the server did not answer, or not yet, after every attempt.
            ConfigError: the server refused the request (operator).
        """
        return _decoded(self.fetch("GET", path, params=params))

    def post(self, path: str, body: Any) -> Any:
        """Send a JSON body; return the decoded answer."""
        return _decoded(self.fetch("POST", path, body=body))

    def fetch(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        judge: Judge = lambda _: None,
        allow: tuple[int, ...] = (),
    ) -> Answer:
        """Return one complete answer that its judge accepts.

        A `body` is sent as JSON, a `form` as a form. The `judge` raises Later, StaleToken or
        another error for an answer that came with HTTP 200 and is none: vendors differ in how
        they say no. `allow` lists refusals (such as 404) that the caller wants to see.

        Raises:
            TransientError: the server did not answer, or not yet, after every attempt.
            ConfigError: the server refused the request (operator).
        """
        content: dict[str, Any] = {"params": dict(params or {}), "headers": dict(headers or {})}
        content |= {} if body is None else {"json": body}
        content |= {} if form is None else {"data": dict(form)}
        renewed = False
        for attempt in stamina.retry_context(
            on=self._wait,
            attempts=self.policy.attempts,
            wait_initial=0.2,
            wait_max=20.0,
            timeout=self.policy.deadline,
        ):
            with attempt:
                try:
                    return self._once(method, path, content, judge, allow)
                except StaleToken as stale:
                    if renewed or self._credentials is None or not self._credentials.drop():
                        raise ConfigError(
                            [f"{method} {path}: the credentials are refused"]
                        ) from None
                    renewed = True
                    raise Later(str(stale), 0) from None
        raise AssertionError("unreachable")  # pragma: no cover

    def _wait(self, error: Exception) -> bool | float:
        """Tell whether to try again, and after how many seconds where the server said so."""
        if isinstance(error, Later) and error.seconds is not None:
            return error.seconds if error.seconds <= self.policy.longest_wait else False
        return isinstance(error, TransientError) and not isinstance(error, StaleToken)

    def _once(
        self,
        method: str,
        path: str,
        content: dict[str, Any],
        judge: Judge,
        allow: tuple[int, ...],
    ) -> Answer:
        if self._bucket is not None and self.policy.paced in path:
            self._bucket.take()
        answer = self._send(method, path, self._signed(content))
        if answer.status == 401 and self._credentials and self._credentials.lease is not None:
            raise StaleToken(f"{method} {path}: HTTP 401")
        if answer.status in _RETRIED and answer.status not in allow:
            seconds = retry_after(answer)
            asked = f", asks to wait {seconds:.0f} s" if seconds is not None else ""
            raise Later(f"{method} {path}: HTTP {answer.status}{asked}", seconds)
        if not 200 <= answer.status < 300 and answer.status not in allow:
            told = self._tell(answer.body)
            colon = ": " if told else ""
            raise Refused(
                f"{method} {path}: refused, HTTP {answer.status}{colon}{told}", answer.status
            )
        judge(answer)
        return answer

    def _signed(self, content: dict[str, Any]) -> dict[str, Any]:
        """Add the credentials; leasing a token uses this same client without them."""
        mine = self._credentials
        if mine is None:
            return content
        self._credentials = None
        try:
            value = mine.current(self, time.monotonic)
        finally:
            self._credentials = mine
        where = "params" if mine.place == "query" else "headers"
        return {**content, where: {**content[where], mine.name: value}}

    def _send(self, method: str, path: str, content: dict[str, Any]) -> Answer:
        body = bytearray()
        end = time.monotonic() + self.policy.deadline  # each byte may come in time, and all never
        try:
            with self._client.stream(method, path, **content) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > self.policy.most_bytes:
                        most = f"{self.policy.most_bytes:,} bytes"
                        raise ConfigError([f"{method} {path}: answered more than {most}"])
                    if time.monotonic() > end:
                        raise TransientError(f"{method} {path}: the answer does not end")
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, headers, bytes(body))
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise TransientError(f"{method} {path}: {type(error).__name__}") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ConfigError([f"{method} {path}: the connection's address is no URL"]) from None


def pauses(
    seconds: float,
    first: float = 1.0,
    most: float = 30.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Yield at once and then after growing pauses, until so many seconds are over.

    For asking a source whether it has finished; who is still waiting at the end gives up.
    """
    end, pause = clock() + seconds, first
    yield
    while (left := end - clock()) > 0:
        sleep(min(pause, left))
        pause = min(most, pause * 1.5)
        yield


def retry_after(answer: Answer) -> float | None:
    """Return the wait that a server asks for, in seconds; a date counts from its own clock."""
    text = answer.headers.get("retry-after", "").strip()
    if text.replace(".", "", 1).isdigit():
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    return max(0.0, (until - told_time(answer)).total_seconds())


def told_time(answer: Answer | None = None) -> datetime:
    """Return the server's own time as its answer tells it; ours where it tells none."""
    told = answer.date if answer is not None else None
    return told or datetime.fromtimestamp(time.time(), UTC)


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _decoded(answer: Answer) -> Any:
    import msgspec

    if not answer.body:
        return None
    try:
        return msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        raise TransientError("the server answered something that is no JSON") from None
