"""The one HTTP client: JSON, bounded retries, errors that say who must act.

It may not know any system's paths or fields; those belong to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import stamina

from perfhouse.errors import ConfigError, TransientError

_RETRIED = (408, 425, 429, 500, 502, 503, 504)


class Client:
    """Speak JSON with one server; what may pass is tried again, `attempts` times at most."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        attempts: int = 5,
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._attempts = attempts
        self._client = httpx.Client(
            base_url=base_url,
            headers=dict(headers or {}),
            timeout=timeout_seconds,
            trust_env=False,
            transport=transport,
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
        self._client.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the decoded answer.

        Raises:
            TransientError: the server did not answer, or not yet, after every attempt.
            ConfigError: the server refused the request (operator).
        """
        return self._call("GET", path, params=dict(params or {}))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send a body; tried again only when the server said 'not now' or was not reached."""
        return self._call("POST", path, json=dict(body))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change a thing; safe to repeat."""
        return self._call("PATCH", path, json=dict(body))

    def _call(self, method: str, path: str, **content: Any) -> Any:
        for attempt in stamina.retry_context(
            on=TransientError, attempts=self._attempts, wait_initial=0.2, wait_max=5.0, timeout=60.0
        ):
            with attempt:
                return self._once(method, path, **content)
        raise AssertionError("unreachable")  # pragma: no cover

    def _once(self, method: str, path: str, **content: Any) -> Any:
        try:
            response = self._client.request(method, path, **content)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise TransientError(f"{method} {path}: {type(error).__name__}") from error
        if response.status_code in _RETRIED:
            raise TransientError(f"{method} {path}: HTTP {response.status_code}")
        if response.is_error:
            answer = response.text[:300]
            raise ConfigError([f"{method} {path}: refused, HTTP {response.status_code}: {answer}"])
        return response.json() if response.content else None
