"""Superset's REST interface: one session, lists to their end, refusals in our words.

It may not know dashboards or rights.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx

from perfhouse.errors import ConfigError, PerfhouseError, TransientError

_PAGE = 100


class Superset:
    """Somebody's session with a running Superset; close it with `with`."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url
        # A connection for each request: one that is kept may be closed by a busy server as we ask.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(
            base_url=url, timeout=120, follow_redirects=False, limits=limits
        )
        answer = self._client.post(
            "/api/v1/security/login",
            json={"username": username, "password": password, "provider": "db", "refresh": True},
        )
        if answer.status_code != httpx.codes.OK:
            self._client.close()
            raise ConfigError([f"bi: Superset refuses {username} ({answer.status_code})"])
        token = answer.json()["access_token"]
        self._client.headers.update({"Authorization": f"Bearer {token}", "Referer": url})
        said = self._client.get("/api/v1/security/csrf_token/")
        if said.status_code == httpx.codes.OK:
            self._client.headers["X-CSRFToken"] = said.json()["result"]

    def __enter__(self) -> Superset:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send a request as it is and return the answer, whatever it says."""
        return self._client.request(method, f"/api/v1/{path}", **content)

    def get(self, path: str) -> Any:
        """Return what a page of the interface says."""
        return self._said("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Make something."""
        return self._said("POST", path, json=dict(body))

    def listed(self, path: str, order: str = "id") -> list[dict[str, Any]]:
        """Return every entry of a list, page after page."""
        found: list[dict[str, Any]] = []
        for page in itertools.count():
            query = f"(page:{page},page_size:{_PAGE},order_column:{order},order_direction:asc)"
            rows = self._said("GET", path, params={"q": query})["result"]
            found += rows
            if len(rows) < _PAGE:
                break
        return found

    def upload(self, path: str, bundle: bytes, fields: Mapping[str, str]) -> None:
        """Send a ZIP."""
        files = {"bundle": ("perfhouse.zip", bundle, "application/zip")}
        self._said("POST", path, files=files, data=dict(fields))

    def _said(self, method: str, path: str, **content: Any) -> Any:
        try:
            answer = self.ask(method, path, **content)
        except httpx.TransportError as error:
            raise TransientError(f"Superset does not answer: {type(error).__name__}") from None
        if answer.is_success:
            return answer.json()
        raise PerfhouseError(
            f"Superset refuses {method} {path} ({answer.status_code}): {answer.text[:600]}"
        )


def wait(url: str, seconds: float, check: Any) -> None:
    """Wait until Superset answers; `check` raises when it has died.

    Raises:
        TransientError: it did not within this many seconds.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        check()
        try:
            if httpx.get(f"{url}/health", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise TransientError(f"Superset was not ready within {seconds:g} s")
